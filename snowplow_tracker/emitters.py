"""The emitters: they queue completed events and send them to a collector."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from os import getpid
from typing import Any, Callable, Dict, Literal, Mapping, Optional, TypeVar

from snowplow_tracker._checks import whole_number
from snowplow_tracker._compat.keywords import takes_keyword
from snowplow_tracker._compat.queue import LegacyQueue
from snowplow_tracker._compat.requester import Requester
from snowplow_tracker._compat.sending import LegacySending
from snowplow_tracker._delivery.engine import Engine
from snowplow_tracker._delivery.flush_timer import FlushTimer, RetryTimer
from snowplow_tracker._delivery.flushing import AutomaticFlush
from snowplow_tracker._delivery.options import (
    CHECKS,
    DEFAULT_BUFFER_BYTES,
    DEFAULT_FLUSH_INTERVAL,
    DEFAULT_REQUEST_TIMEOUT,
    WAIT,
    check_arguments,
    check_seconds,
    described_as_in,
    is_disabled_by_environment,
    retry_codes,
)
from snowplow_tracker._delivery.outcome import is_success
from snowplow_tracker._delivery.request import as_query_parameters, request
from snowplow_tracker._delivery.sender import DropCallback, Owner, Timeout
from snowplow_tracker._delivery.stats import DeliveryStats, DropReason, EmitterState
from snowplow_tracker._http.endpoint import (
    METHODS,
    PROTOCOLS,
    as_post_url,
    collector_uri,
    redact,
    warn_of_plain_http,
)
from snowplow_tracker._process import fork
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._process.unpicklable import Unpicklable
from snowplow_tracker._protocol import deferred
from snowplow_tracker._protocol.bodies import PAYLOAD_DATA_SCHEMA
from snowplow_tracker._protocol.text import plain
from snowplow_tracker.contracts import one_of
from snowplow_tracker.event_store import DEFAULT_BUFFER_CAPACITY, EventStore, InMemoryEventStore
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.typing import (
    EmitterProtocol,
    FailureCallback,
    HttpProtocol,
    Method,
    PayloadDict,
    PayloadDictList,
    Session,
    SuccessCallback,
)

__all__ = [
    "DEFAULT_MAX_LENGTH",
    "METHODS",
    "PAYLOAD_DATA_SCHEMA",
    "PROTOCOLS",
    "AsyncEmitter",
    "DeliveryStats",
    "DropCallback",
    "DropReason",
    "Emitter",
    "EmitterProtocol",
    "EmitterState",
    "EventStore",
    "FailureCallback",
    "FlushTimer",
    "HttpProtocol",
    "InMemoryEventStore",
    "Method",
    "PayloadDict",
    "PayloadDictList",
    "Requester",
    "SelfDescribingJson",
    "SuccessCallback",
    "logger",
    "one_of",
]

logger: logging.Logger = logging.getLogger(__name__)

DEFAULT_MAX_LENGTH = 10
"""Events in a batch, where `batch_size` is not given."""


Overflow = Literal["wait", "drop_newest", "drop_oldest", "block"]


def __getattr__(name: str) -> Any:
    # Users and tests use this name. Imported with this module, requests would be most of the package's import time.
    if name == "requests":
        import requests

        return requests
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Emitter(Unpicklable, LegacySending, EmitterProtocol):
    """Queues events and sends them in the thread that tracks.

    Every `batch_size` events, one call of `track()` makes a request and waits for its answer. While the collector is
    down, a background thread tries again, and `track()` only queues. What an outage left is sent by that thread, and
    until then by `track()`, one request per call. What is left at the end of the program is sent then, within
    `exit_timeout`.

    Args:
        endpoint: The collector: a host, a host with a path, or a URL.
        protocol: `"http"` or `"https"`, used where the endpoint has none.
        port: Used where the endpoint has none. Default: that of the protocol.
        method: `"post"`: batches. `"get"`: one request per event.
        batch_size: How many queued events are sent at once. Default: 10 for POST, 1 for GET. Under load and after an
            outage requests grow past it, up to `max_request_events`.
        on_success: Called with the events that were sent, after each request (GET: after each batch), in the thread
            that sends.
        on_failure: Called after each failed attempt with the number of events of the batch that were sent and the
            events that were not; see `on_drop` for those that are dropped.
        byte_limit: Bytes of queued events, encoded, that are sent although the batch is not full.
        request_timeout: Seconds for a request, or (connect, read) in seconds as requests has it. Default 5.0;
            ``(None, None)`` waits for ever.
        max_retry_delay_seconds: Maximum delay after a failed attempt, also where `Retry-After` asks for more.
        buffer_capacity: How many events may wait. Default 10,000, and beyond them as many as fit in `buffer_bytes`.
        custom_retry_codes: Per HTTP status, whether to try again. By default everything that is not 2xx is tried
            again but 400, 401, 403, 410 and 422; -1 stands for no answer.
        event_store: Where events wait. Default: an `InMemoryEventStore`.
        session: Makes the requests, as it is; anything with the `post` and `get` of `requests.Session`. Default: a
            session that keeps connections and refuses cookies.
        on_drop: Called as ``on_drop(events, reason)`` with events that are dropped and a `DropReason`.
        overflow: What happens when the queue is full. `"wait"`: the thread that tracks waits while the collector takes
            events, at most `request_timeout` without progress, and never in an event loop; an `Emitter` sends, as when
            a batch is full; otherwise the new event is dropped. `"drop_newest"` drops the new event, `"drop_oldest"`
            the oldest, `"block"` waits for `overflow_timeout` whatever the collector does. For the emitter's own store;
            `"wait"` also where an `InMemoryEventStore` given to it refuses an event.
        overflow_timeout: Seconds that `track()` waits for room under `overflow="block"`.
        buffer_bytes: Bytes that events beyond `buffer_capacity` may take in memory. Default: 64 MiB where
            `buffer_capacity` is not given, else 0.
        max_retries: How often an event is retried before it is dropped. None: without limit.
        max_request_bytes: Maximum bytes in the body of a request with several events. A larger event is sent alone,
            whatever its size: the collector decides.
        max_request_events: Maximum number of events in a request. None: 500, or `batch_size` if that is larger.
        flush_interval: Seconds after which events are sent although the batch is not full; None for never.
        exit_timeout: Seconds that the end of the program, or `close()`, may take to send what is queued.
        path: The path of POST requests, in place of `/com.snowplowanalytics.snowplow/tp2`.
        headers: Extra headers for every request.
        server_anonymisation: Send `SP-Anonymous: *`: the collector then keeps neither IP address nor cookie.
        enqueue_only: Only add events to the store; another process sends them. No request is made, no thread started.
        enabled: False switches the emitter off: no event is queued, no thread started, no request made and no file
            opened. `SNOWPLOW_DISABLED=1` in the environment does it for all.

    Raises:
        TypeError: A parameter is of the wrong type; the message names it.
        ValueError: The endpoint, the protocol, the method or a size is unusable; the message names it.

    Changed in version 1.2.0: The parameters after `session`; a finite default timeout; kept connections; redirects
    are failures.
    """

    def __init__(
        self,
        endpoint: str,
        protocol: HttpProtocol = "https",
        port: Optional[int] = None,
        method: Method = "post",
        batch_size: Optional[int] = None,
        on_success: Optional[SuccessCallback] = None,
        on_failure: Optional[FailureCallback] = None,
        byte_limit: Optional[int] = None,
        request_timeout: Timeout = None,
        max_retry_delay_seconds: float = 60,
        buffer_capacity: Optional[int] = None,
        custom_retry_codes: Mapping[int, bool] = {},
        event_store: Optional[EventStore] = None,
        session: Optional[Session] = None,
        *,
        on_drop: Optional[DropCallback] = None,
        overflow: Overflow = "wait",
        overflow_timeout: float = 1.0,
        buffer_bytes: Optional[int] = None,
        max_retries: Optional[int] = None,
        max_request_bytes: int = 500_000,
        max_request_events: Optional[int] = None,
        flush_interval: Optional[float] = None,
        exit_timeout: float = 2.0,
        path: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        server_anonymisation: bool = False,
        enqueue_only: bool = False,
        enabled: bool = True,
    ) -> None:
        check_arguments(locals())
        self.on_drop = on_drop
        self.overflow: Overflow = overflow
        self.overflow_timeout = overflow_timeout
        self.max_retries = max_retries
        self.max_request_bytes = max_request_bytes
        self.max_request_events = max_request_events
        self.flush_interval = flush_interval
        self.exit_timeout = exit_timeout
        self.path = path
        self.headers: Dict[str, str] = {
            plain(name): plain(value) for name, value in (headers or {}).items()
        }
        self.server_anonymisation = server_anonymisation
        self.enqueue_only = enqueue_only
        self.enabled: bool = enabled and not is_disabled_by_environment()
        self.endpoint: str = collector_uri(endpoint, protocol, port, method, path)
        self.method = method
        self.batch_size: int = _batch_size(batch_size, buffer_capacity, method)
        self.byte_limit = byte_limit
        self.bytes_queued: Optional[int] = None if byte_limit is None else 0
        self.request_timeout = request_timeout
        self.on_success = on_success
        self.on_failure = on_failure
        # 1.1.0 took None, and failed with the first request that did.
        self.max_retry_delay_seconds = (
            60 if max_retry_delay_seconds is None else max_retry_delay_seconds
        )
        self.custom_retry_codes: Dict[int, bool] = retry_codes(custom_retry_codes)
        self.lock: threading.RLock = threading.RLock()
        self.timer: FlushTimer = FlushTimer(emitter=self, repeating=True)
        sends = self.enabled and not enqueue_only
        self._engine = Engine(
            Owner(self),
            flush_interval=flush_interval,
            thread_count=self._thread_count() if sends else 0,
            sends=sends,
            waits=overflow == WAIT,
        )
        self.retry_timer: RetryTimer = RetryTimer(self, self._engine.retry_pending)
        weakref.finalize(self, self._engine.stop).atexit = False
        if enqueue_only and self.enabled and type(event_store) in (InMemoryEventStore, type(None)):
            raise ValueError(
                "enqueue_only needs an event_store that another process can send from, not one in memory."
            )
        if event_store is None:
            if buffer_bytes is None:
                buffer_bytes = DEFAULT_BUFFER_BYTES if buffer_capacity is None else 0
            event_store = InMemoryEventStore(
                logger,
                DEFAULT_BUFFER_CAPACITY if buffer_capacity is None else buffer_capacity,
                overflow="drop_newest" if overflow == "wait" else overflow,
                overflow_timeout=overflow_timeout,
                buffer_bytes=buffer_bytes,
            )
        self.event_store = event_store
        # Imported by the thread that makes the emitter: imported with the package, it would more than double the import
        # time.
        from snowplow_tracker._http.transport import Transport

        self._transport = Transport(session)
        self.request_method: Requester = Requester(
            post=self._transport.post, get=self._transport.get
        )
        fork.register(self)
        if sends:
            self._transport.prepare(self.endpoint)
            if flush_interval is not None and not self._thread_count():
                self.set_flush_timer(flush_interval)
        logger.debug("Emitter initialized with endpoint %s", redact(self.endpoint))

    def _thread_count(self) -> int:
        return 0

    @property
    def event_store(self) -> EventStore:
        """Where events wait."""
        return self._engine.visible_store()

    @event_store.setter
    def event_store(self, store: EventStore) -> None:
        self._engine.use_store(store, as_text=self.method == "post")

    @property
    def state(self) -> EmitterState:
        """Where the emitter is in its life.

        New in version 1.2.0.
        """
        return self._engine.state

    def stats(self) -> DeliveryStats:
        """Take a snapshot of the delivery counters. It takes microseconds, plus the store's own `size()`.

        New in version 1.2.0.
        """
        fork.check()
        return self._engine.stats()

    def __repr__(self) -> str:
        # Debuggers show it in the middle of `__init__` of a subclass, too.
        known = vars(self)
        engine = known.get("_engine")
        state = "not ready" if engine is None else engine.state.value
        if engine is not None and not known.get("enabled", True):
            state = "disabled"
        return f"<{type(self).__name__} {redact(str(known.get('endpoint')))}: {known.get('method')}, {state}>"

    @deferred.takes_deferred
    def input(self, payload: PayloadDict) -> None:
        """Queue an event, and send the batch if that completes it.

        Args:
            payload: The event's parameters. The emitter keeps a copy; for POST all values become strings.
        """
        if getpid() != fork.process_id:
            fork.check()
        engine = self._engine
        if not self.enabled:
            return
        if self.byte_limit is not None or not engine.store.copies:
            payload = engine.store.as_returned(payload)
            if self.byte_limit is not None:
                size = engine.size_in_bytes(payload)
                with self.lock:
                    self.bytes_queued = (self.bytes_queued or 0) + size
        try:
            if engine.add(payload):
                if self.reached_limit():
                    with AutomaticFlush(engine.core, one_batch=True):
                        self.flush()
            elif engine.core.breaker.failing:
                self._schedule_retry()
        except ReferenceError:
            if not engine.is_collected():
                raise
            # `__del__` of an object that is collected together with this emitter: no later call would send the event.
            engine.revive(self)
            self._finish_at_exit(self.exit_timeout)
            engine.abandon()
        except BaseException:
            engine.end_call()
            raise

    def reached_limit(self) -> bool:
        """Return whether the queue holds a full batch, by events or by bytes."""
        try:
            size = self._engine.store.size()
        except Exception as error:
            if is_interrupt(error):
                raise
            logger.exception("The event store raised an error in size().")
            return False
        if size >= self.batch_size:
            return True
        return self.byte_limit is not None and (self.bytes_queued or 0) >= self.byte_limit

    def flush(self, *, timeout: Optional[float] = None) -> int:
        """Send what is queued now, in this thread, also while a retry is pending.

        Without a timeout it ends with the first failed attempt, so it takes at most as long as its requests do. A
        `Retry-After` of the collector is respected. Called from a callback of this emitter it returns at once, and the
        flush that called the callback sends what the callback tracked.

        Args:
            timeout: Seconds to go on trying, whatever fails.

        Returns:
            How many events are not delivered yet: 0 when all is done.

        Changed in version 1.2.0: `timeout` and the result.
        """
        if not self._begin_flush(timeout):
            return self._engine.unsent()
        try:
            return self._engine.flush_here(timeout)
        finally:
            self._engine.end_call()
            self._schedule_retry()

    def sync_flush(self, *, timeout: Optional[float] = None) -> int:
        """Send what is queued now, in this thread: `flush` under the name that all emitters have.

        Args:
            timeout: Seconds to go on trying, whatever fails. Default: end with the first failed attempt.

        Returns:
            How many events are not delivered yet: 0 when all is done.
        """
        if timeout is None:
            rest: Optional[int] = self.flush()
        elif getattr(self.flush, "__func__", None) is Emitter.flush or takes_keyword(
            self.flush, "timeout"
        ):
            rest = self.flush(timeout=timeout)
        else:  # an override as in 1.1.0
            self.flush()
            rest = self._engine.flush_here(timeout)
        return self._engine.unsent() if rest is None else rest  # an override may return nothing

    def close(self, timeout: Optional[float] = None) -> int:
        """Send what is queued and end: threads, timers and connections. Events tracked afterwards are dropped.

        What a durable store still holds stays there; what is left in memory is dropped (`DropReason.EXIT`).

        Args:
            timeout: Seconds to try. Default: `exit_timeout`.

        Returns:
            How many events were not delivered.

        New in version 1.2.0.
        """
        self._begin_flush(timeout)
        self.timer.cancel()
        self.retry_timer.cancel()
        try:
            unsent = self._engine.close(self.exit_timeout if timeout is None else timeout)
        finally:
            self._engine.end_call()
        self._transport.close()
        return unsent

    def __enter__(self: _SomeEmitter) -> _SomeEmitter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def http_post(self, data: str) -> int:
        """Make a POST request.

        An override may return the status or a `requests.Response`; what it raises is a failed attempt.

        Args:
            data: The body, JSON in ASCII.

        Returns:
            The status, or -1 if there was no answer.
        """
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("Sending POST request to %s: %s", redact(self.endpoint), data)
        # With method GET, events that are too long for a URL are posted.
        url = as_post_url(self.endpoint, self.path) if self.method == "get" else self.endpoint
        headers = {**self._headers(), "Content-Type": "application/json; charset=utf-8"}
        return self._request(self.request_method.post, url, data=data, headers=headers)

    def http_get(self, payload: PayloadDict) -> int:
        """Make a GET request for one event, in the session of the user or over a kept connection.

        Args:
            payload: The event's parameters.

        Returns:
            The status, or -1 if there was no answer.
        """
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("Sending GET request to %s: %s", redact(self.endpoint), payload)
        headers = self._headers()
        more = {"headers": headers} if headers else {}
        parameters = as_query_parameters(payload)
        return self._request(self.request_method.get, self.endpoint, params=parameters, **more)

    def _request(self, function: Callable[..., Any], url: str, **options: Any) -> int:
        timeout = DEFAULT_REQUEST_TIMEOUT if self.request_timeout is None else self.request_timeout
        return request(function, url, timeout=timeout, deadline=self._engine.deadline(), **options)

    def _headers(self) -> Dict[str, str]:
        headers = dict(self.headers)
        if self.server_anonymisation:
            headers["SP-Anonymous"] = "*"
        return headers

    is_good_status_code: Callable[[int], bool] = staticmethod(is_success)

    def send_events(self, evts: PayloadDictList) -> None:
        """Send events, and settle each with the store, the counters and the callbacks.

        Args:
            evts: Events as they come from the store.
        """
        try:
            self._engine.deliver(evts)
        finally:
            self._engine.end_call()
            if self._engine.is_failing:
                self._schedule_retry()

    @staticmethod
    def attach_sent_timestamp(events: PayloadDictList) -> None:
        """Set `stm` of events to now, in milliseconds: the pipeline takes `stm - dtm` off the collector's time.

        Args:
            events: They are changed.
        """
        now = str(int(time.time() * 1000))
        for event in events:
            event["stm"] = now

    def set_flush_timer(self, timeout: float) -> None:
        """Flush repeatedly, in a background thread.

        Args:
            timeout: Seconds between flushes. A second call replaces the first.
        """
        check_seconds("timeout", timeout, zero=True)
        self.timer.start(timeout=timeout)

    def cancel_flush_timer(self) -> None:
        """Stop the repeated flush."""
        self.timer.cancel()

    def _begin_flush(self, timeout: Optional[float]) -> bool:
        """Check the timeout, and count queued bytes anew; return False if this process does not send."""
        if timeout is not None:
            check_seconds("timeout", timeout, zero=True, forever=True)
        if getpid() != fork.process_id:
            fork.check()
        if self.enqueue_only or not self.enabled:
            return False
        if self.bytes_queued is not None:
            with self.lock:
                self.bytes_queued = 0
        return True

    def _flush_by_timer(self) -> None:
        self._engine.flush_by_timer(self.flush)
        self._schedule_retry()

    def _schedule_retry(self) -> None:
        """Have a background thread retry."""
        self._engine.schedule_retry(self.retry_timer.start)

    def _flush_at_exit(self) -> bool:
        return self._engine.begin_to_finish()

    def _try_at_exit(self, timeout: float) -> None:
        self._engine.try_to_finish(timeout)

    def _finish_at_exit(self, timeout: float) -> None:
        if self._engine.finish(timeout):
            self._transport.close()  # now: connections that the interpreter closes later warn on stderr

    def _finish_and_keep(self, what: str) -> None:
        """Warn of what a flush could not send, and keep it: the process may go on, unlike at its end."""
        store: Any = self._engine.store.store
        if hasattr(store, "_finish_at_exit"):  # it may hold events that Redis does not have yet
            store._finish_at_exit(store.exit_timeout)
        self._engine.warn_of_rest(what)

    def _after_fork(self) -> None:
        self.lock = threading.RLock()
        self._engine.after_fork()
        self._transport.after_fork()
        self.retry_timer.after_fork()
        self.timer.after_fork()
        if self.bytes_queued is not None:
            self.bytes_queued = 0


_SomeEmitter = TypeVar("_SomeEmitter", bound=Emitter)


@described_as_in(Emitter)
class AsyncEmitter(Emitter):
    """Queues events and sends them in background threads: `track()` costs the same whatever the collector does.

    Threads start with the first event, again after a fork, and end with the emitter. What is queued is sent when
    the batch is full, after `flush_interval` seconds at the latest, and at the end of the program.

    Args:
        protocol: Used where the endpoint has none. Plain `"http"` by default, as in 1.1.0; set `"https"`, or a URL as the
            endpoint.
        thread_count: How many threads send. One keeps up with most programs: its requests grow with the load.
        others: As for `Emitter`.

    Raises:
        TypeError: A parameter is of the wrong type; the message names it.
        ValueError: The endpoint, the protocol, the method or a size is unusable; the message names it.

    Changed in version 1.2.0: The parameters after `session`; events are sent after `flush_interval` even if the batch
    is not full.
    """

    def __init__(
        self,
        endpoint: str,
        protocol: HttpProtocol = "http",
        port: Optional[int] = None,
        method: Method = "post",
        batch_size: Optional[int] = None,
        on_success: Optional[SuccessCallback] = None,
        on_failure: Optional[FailureCallback] = None,
        thread_count: int = 1,
        byte_limit: Optional[int] = None,
        request_timeout: Timeout = None,
        max_retry_delay_seconds: float = 60,
        buffer_capacity: Optional[int] = None,
        custom_retry_codes: Mapping[int, bool] = {},
        event_store: Optional[EventStore] = None,
        session: Optional[Session] = None,
        *,
        on_drop: Optional[DropCallback] = None,
        overflow: Overflow = "wait",
        overflow_timeout: float = 1.0,
        buffer_bytes: Optional[int] = None,
        max_retries: Optional[int] = None,
        max_request_bytes: int = 500_000,
        max_request_events: Optional[int] = None,
        flush_interval: Optional[float] = DEFAULT_FLUSH_INTERVAL,
        exit_timeout: float = 2.0,
        path: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        server_anonymisation: bool = False,
        enqueue_only: bool = False,
        enabled: bool = True,
    ) -> None:
        arguments = {**locals()}
        for name in ("self", "__class__", "thread_count"):
            del arguments[name]
        CHECKS["thread_count"]("thread_count", thread_count)
        self.thread_count = thread_count
        super().__init__(**arguments)
        warn_of_plain_http(endpoint, protocol, self.endpoint)

    def _thread_count(self) -> int:
        return self.thread_count

    def flush(self, *, timeout: Optional[float] = None) -> int:
        """Ask the background threads to send what is queued now, also while a retry is pending.

        Args:
            timeout: Seconds to wait for the result. Default: do not wait.

        Returns:
            How many events are not delivered yet.

        Changed in version 1.2.0: `timeout` and the result.
        """
        if not self._begin_flush(timeout):
            return self._engine.unsent()
        if timeout is None:
            return self._engine.flush_soon()
        return self._engine.flush_by_workers(lambda: None, timeout)

    def sync_flush(self, *, timeout: Optional[float] = None) -> int:
        """Have what is queued sent, and wait until it is.

        Without a timeout it ends with the first failed attempt. Called from a callback of this emitter it only
        returns the number.

        Args:
            timeout: Seconds to wait, whatever fails.

        Returns:
            How many events are not delivered yet: 0 when all is done.
        """
        if not self._begin_flush(timeout):
            return self._engine.unsent()
        return self._engine.flush_by_workers(self.flush, timeout)

    @property
    def queue(self) -> LegacyQueue:
        """What 1.1.0 had between the store and its threads. New code uses `stats` and `sync_flush`."""
        return LegacyQueue(self, self._engine.request_flush)

    def consume(self) -> None:
        """Do the work of a background thread in this one, until the emitter is closed."""
        while self._engine.loop.wait():
            self._engine.loop.work()

    def _schedule_retry(self) -> None:
        """Have the worker threads retry a full batch; without any, retry here once the delay after a failure is over."""
        self._engine.retry_full_batch(self.reached_limit)


def _batch_size(batch_size: Optional[int], buffer_capacity: Optional[int], method: str) -> int:
    if batch_size is None:
        batch_size = DEFAULT_MAX_LENGTH if method == "post" else 1
    return whole_number(batch_size if buffer_capacity is None else min(batch_size, buffer_capacity))
