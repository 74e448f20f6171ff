"""The emitters: they queue completed events and send them to a collector."""

from __future__ import annotations

import threading
import time
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Type, TypeVar

from snowplow_tracker import _late_values
from snowplow_tracker._delivery import lifecycle
from snowplow_tracker._delivery.delivery import Delivery
from snowplow_tracker._delivery.encoding import PAYLOAD_DATA_SCHEMA as PAYLOAD_DATA_SCHEMA
from snowplow_tracker._delivery.flush_timer import FlushTimer as FlushTimer
from snowplow_tracker._delivery.options import (
    DEFAULT_FLUSH_INTERVAL,
    DEFAULT_MAX_REQUEST_EVENTS,
    DEFAULT_REQUEST_TIMEOUT,
    DeliveryOptions,
    check_options,
    check_positive,
    check_seconds,
    check_timeout,
    default_options,
)
from snowplow_tracker._delivery.outcome import NO_ANSWER, HttpStatus, read_status
from snowplow_tracker._delivery.sender import DropCallback, Timeout
from snowplow_tracker._delivery.stats import DeliveryStats, DropReason, EmitterState
from snowplow_tracker._delivery.transport import Transport
from snowplow_tracker._late_imports import guard
from snowplow_tracker._late_logging import get_logger, late_logger
from snowplow_tracker._legacy_queue import LegacyQueue
from snowplow_tracker._wording import events_text
from snowplow_tracker.contracts import one_of as one_of
from snowplow_tracker.contracts import plain
from snowplow_tracker.event_store import (
    DEFAULT_BUFFER_CAPACITY,
)
from snowplow_tracker.event_store import EventStore as EventStore
from snowplow_tracker.event_store import InMemoryEventStore as InMemoryEventStore
from snowplow_tracker.self_describing_json import SelfDescribingJson as SelfDescribingJson
from snowplow_tracker.typing import EmitterProtocol as EmitterProtocol
from snowplow_tracker.typing import FailureCallback as FailureCallback
from snowplow_tracker.typing import HttpProtocol as HttpProtocol
from snowplow_tracker.typing import Method as Method
from snowplow_tracker.typing import PayloadDict as PayloadDict
from snowplow_tracker.typing import PayloadDictList as PayloadDictList
from snowplow_tracker.typing import Session, Unpack
from snowplow_tracker.typing import SuccessCallback as SuccessCallback

if TYPE_CHECKING:
    import logging

__all__ = [
    "DEFAULT_MAX_LENGTH",
    "METHODS",
    "PAYLOAD_DATA_SCHEMA",
    "PROTOCOLS",
    "AsyncEmitter",
    "DeliveryOptions",
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

_logger = late_logger(__name__)
if TYPE_CHECKING:
    logger: logging.Logger

DEFAULT_MAX_LENGTH = 10
"""Events in a batch, where `batch_size` is not given."""
PROTOCOLS = {"http", "https"}
METHODS = {"get", "post"}

_POST_PATH = "/com.snowplowanalytics.snowplow/tp2"
_GET_PATH = "/i"
_LOOPBACK = ("localhost", "127.", "[::1]", "::1")

_SomeEmitter = TypeVar("_SomeEmitter", bound="Emitter")


def __getattr__(name: str) -> Any:
    # Users and tests reach for these names. Importing requests with this module would make up most of the package's
    # import time, and logging a fifth of the rest.
    if name == "requests":
        import requests

        return requests
    if name == "logger":
        return get_logger(__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Requester:
    """The two functions with which an emitter makes its requests.

    Args:
        post: Called as `requests.post` is.
        get: Called as `requests.get` is.
    """

    post: Callable[..., Any]
    get: Callable[..., Any]

    def __init__(self, post: Callable[..., Any], get: Callable[..., Any]) -> None:
        self.post = post
        self.get = get


class Emitter(EmitterProtocol):
    """Queues events and sends them in the thread that tracks.

    Every `batch_size` events, one call of `track()` makes a request and waits for its answer. While the collector is
    down, a background thread tries again, and `track()` only queues. What is left at the end of the program is sent
    then, within `exit_timeout`.

    Args:
        endpoint: The collector: a host, a host with a path, or a URL.
        protocol: `"http"` or `"https"`, where the endpoint does not say.
        port: Where the endpoint does not say; default: the protocol's own.
        method: `"post"`: batches. `"get"`: one request per event.
        batch_size: How many queued events are sent at once. Default: 10 for POST, 1 for GET. Under load and after an
            outage requests grow past it, up to `max_request_events`.
        on_success: Called with the events that were sent, after each request (GET: after each batch).
        on_failure: Called after each failed attempt with the number of events of the batch that were sent and the
            events that were not; see `on_drop` for those that are given up.
        byte_limit: Bytes of queued events, encoded, that are sent although the batch is not full.
        request_timeout: Seconds, or (connect, read) in seconds as requests has it. Default 5.0; ``(None, None)``
            waits for ever.
        max_retry_delay_seconds: The longest wait after a failed attempt, also where `Retry-After` asks for more.
        buffer_capacity: How many events may wait. Default 10,000.
        custom_retry_codes: Per HTTP status, whether to try again. By default everything that is not 2xx is tried
            again but 400, 401, 403, 410 and 422; -1 stands for no answer.
        event_store: Where events wait. Default: an `InMemoryEventStore`.
        session: Makes the requests, as it is; anything with the `post` and `get` of `requests.Session`. Default: a
            session that keeps connections and refuses cookies.
        **options: `DeliveryOptions`.

    Raises:
        TypeError: The endpoint is not text; an option is unknown or of the wrong type.
        ValueError: The endpoint, the protocol, the method or a size is unusable; the message names it.

    .. versionchanged:: 1.2.0
       `options`; a finite default timeout; kept connections; redirects are failures.
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
        **options: Unpack[DeliveryOptions],
    ) -> None:
        _check_sizes(
            batch_size=batch_size,
            byte_limit=byte_limit,
            buffer_capacity=buffer_capacity,
            max_retry_delay_seconds=max_retry_delay_seconds,
        )
        check_options(options)
        self._set_options({**default_options(), **self._own_defaults(), **options})
        self.endpoint = _collector_uri(endpoint, protocol, port, method, self.path)
        self.method = method
        self.batch_size = _batch_size(batch_size, buffer_capacity, method)
        self.byte_limit = byte_limit
        self.bytes_queued: Optional[int] = None if byte_limit is None else 0
        check_timeout(request_timeout)
        self.request_timeout = request_timeout
        self.on_success = on_success
        self.on_failure = on_failure
        self.max_retry_delay_seconds = max_retry_delay_seconds
        self.custom_retry_codes: Dict[int, bool] = dict(custom_retry_codes or {})
        self.lock = threading.RLock()
        self.timer = FlushTimer(emitter=self, repeating=True)
        self.retry_timer = _RetryTimer(emitter=self, repeating=False)
        self._delivery = Delivery(
            flush_interval=self.flush_interval,
            thread_count=self._thread_count(),
            sends=not self.enqueue_only,
        )
        if event_store is None:
            if self.enqueue_only:
                raise ValueError(
                    "enqueue_only needs an event_store that another process delivers from."
                )
            event_store = InMemoryEventStore(
                _logger,
                DEFAULT_BUFFER_CAPACITY if buffer_capacity is None else buffer_capacity,
                overflow=self.overflow,
                overflow_timeout=self.overflow_timeout,
            )
        self.event_store = event_store
        self._transport = Transport(session)
        self.request_method = Requester(post=self._transport.post, get=self._transport.get)
        lifecycle.register(self)
        if not self.enqueue_only:
            self._transport.prepare(self.endpoint, method)
        if self.flush_interval is not None and not self._thread_count() and not self.enqueue_only:
            self.set_flush_timer(self.flush_interval)
        _logger.debug("Emitter initialized with endpoint %s", self.endpoint)

    def _own_defaults(self) -> Dict[str, Any]:
        return {}

    def _thread_count(self) -> int:
        return 0

    def _set_options(self, options: Mapping[str, Any]) -> None:
        self.on_drop: Optional[DropCallback] = options["on_drop"]
        self.overflow = options["overflow"]
        self.overflow_timeout: float = options["overflow_timeout"]
        self.max_retries: Optional[int] = options["max_retries"]
        self.max_request_bytes: int = options["max_request_bytes"]
        self.max_request_events: Optional[int] = options["max_request_events"]
        self.flush_interval: Optional[float] = options["flush_interval"]
        self.exit_timeout: float = options["exit_timeout"]
        self.path: Optional[str] = options["path"]
        self.headers: Dict[str, str] = {
            plain(name): plain(value) for name, value in (options["headers"] or {}).items()
        }
        self.server_anonymisation: bool = options["server_anonymisation"]
        self.enqueue_only: bool = options["enqueue_only"]

    @staticmethod
    def as_collector_uri(
        endpoint: str,
        protocol: HttpProtocol = "https",
        port: Optional[int] = None,
        method: Method = "post",
    ) -> str:
        """Build the URL that requests go to.

        Args:
            endpoint: Same as for `Emitter`, as are the others.
            protocol: Where the endpoint does not say.
            port: Where the endpoint does not say.
            method: `"post"` or `"get"`: they have different paths.

        Raises:
            TypeError: The endpoint is not text.
            ValueError: It is empty, or no URL can be made of it.
        """
        return _collector_uri(endpoint, protocol, port, method, None)

    @property
    def event_store(self) -> EventStore:
        """Where events wait."""
        return self._delivery.store.store

    @event_store.setter
    def event_store(self, store: EventStore) -> None:
        reference = weakref.ref(self)

        def on_overflow(events: PayloadDictList) -> None:
            emitter = reference()
            if emitter is not None:
                emitter._delivery.overflowed(emitter, events)

        self._delivery.use_store(store, on_overflow, as_text=self.method == "post")

    @property
    def most_events(self) -> int:
        """The most events that one request may hold."""
        return self.max_request_events or max(DEFAULT_MAX_REQUEST_EVENTS, self.batch_size)

    @property
    def retry_delay(self) -> float:
        """Seconds from the last failed attempt to the next; 0 while the collector is well."""
        return self._delivery.backoff.delay

    @property
    def state(self) -> EmitterState:
        """Where the emitter is in its life.

        .. versionadded:: 1.2.0
        """
        return self._delivery.state

    def stats(self) -> DeliveryStats:
        """Take a snapshot of the delivery counters. It takes microseconds, plus the store's own `size()`.

        .. versionadded:: 1.2.0
        """
        return self._delivery.stats()

    @_late_values.takes_late
    def input(self, payload: PayloadDict) -> None:
        """Queue an event, and send the batch if that completes it.

        Args:
            payload: The event's parameters. The emitter keeps a copy; for POST all values become text.
        """
        delivery = self._delivery
        if self.byte_limit is not None or not delivery.store.copies:
            payload = self._own_copy(payload)
        delivery.add(self, payload)
        if delivery.wants_flush and self.reached_limit():
            self.flush()

    def _own_copy(self, payload: PayloadDict) -> PayloadDict:
        event = payload.copy()
        _late_values.complete(event)
        if self.method == "post":
            for name, value in payload.items():
                if value.__class__ is not str:
                    event[name] = str(event[name])
        if self.byte_limit is not None:
            self._count_bytes(event)
        return event

    def _count_bytes(self, event: PayloadDict) -> None:
        try:
            size = len(self._delivery.encoder.encode(event)[0])
        except Exception:  # it will be given up, with a reason, when it is sent
            return
        with self.lock:
            self.bytes_queued = (self.bytes_queued or 0) + size

    def reached_limit(self) -> bool:
        """Whether the queue is full enough to be sent."""
        try:
            size = self._delivery.store.count()
        except Exception:
            _logger.exception("The event store raised instead of telling its size.")
            return False
        if size >= self.batch_size:
            return True
        return self.byte_limit is not None and (self.bytes_queued or 0) >= self.byte_limit

    def flush(self, *, timeout: Optional[float] = None) -> int:
        """Send what is queued now, in this thread, also while a retry is pending.

        Without a timeout it ends with the first failed attempt, so it takes at most as long as its requests do. A
        `Retry-After` of the collector is respected. Called from a callback of this emitter it does nothing.

        Args:
            timeout: Seconds to go on trying, whatever fails.

        Returns:
            How many events are not delivered yet: 0 when all is done.

        .. versionchanged:: 1.2.0
           `timeout` and the result.
        """
        if self.enqueue_only:
            return self._delivery.unsent()
        self._reset_bytes()
        try:
            return self._delivery.flush_here(self, timeout)
        finally:
            self._schedule_retry()

    def sync_flush(self, *, timeout: Optional[float] = None) -> int:
        """Same as `flush`."""
        rest: Optional[int] = self.flush() if timeout is None else self.flush(timeout=timeout)
        return self._delivery.unsent() if rest is None else rest  # an override may return nothing

    def async_flush(self) -> None:
        """Do nothing. It exists because emitters of other people do.

        Use `flush` of an `AsyncEmitter` to send in the background.
        """

    def close(self, timeout: Optional[float] = None) -> int:
        """Send what is queued and end: threads, timers and connections. Events tracked afterwards are dropped.

        What a durable store still holds stays there; what is left in memory is given up (`DropReason.EXIT`).

        Args:
            timeout: Seconds to try. Default: `exit_timeout`.

        Returns:
            How many events were not delivered.

        .. versionadded:: 1.2.0
        """
        self.timer.cancel()
        self.retry_timer.cancel()
        unsent = self._delivery.close(self, self.exit_timeout if timeout is None else timeout)
        self._transport.close()
        return unsent

    def __enter__(self: _SomeEmitter) -> _SomeEmitter:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def http_post(self, data: str) -> int:
        """Make a POST request.

        An override may return the status or a `requests.Response`; what it raises is a failed attempt.

        Args:
            data: The body, JSON in ASCII.

        Returns:
            The status, or -1 if there was no answer.
        """
        _logger.debug("Sending POST request to %s: %s", self.endpoint, data)
        headers = {**self._headers(), "Content-Type": "application/json; charset=utf-8"}
        return self._request(
            self.request_method.post, self._post_endpoint(), data=data, headers=headers
        )

    def http_get(self, payload: PayloadDict) -> int:
        """Make a GET request. Same as `http_post`, but for one event.

        Args:
            payload: The event's parameters.

        Returns:
            The status, or -1 if there was no answer.
        """
        _logger.debug("Sending GET request to %s: %s", self.endpoint, payload)
        parameters = {name: _encodable(value) for name, value in payload.items()}
        headers = self._headers()
        if headers:
            return self._request(
                self.request_method.get, self.endpoint, params=parameters, headers=headers
            )
        return self._request(self.request_method.get, self.endpoint, params=parameters)

    def _request(self, function: Callable[..., Any], url: str, **options: Any) -> HttpStatus:
        configured = (
            DEFAULT_REQUEST_TIMEOUT if self.request_timeout is None else self.request_timeout
        )
        try:
            # A redirect turns a POST into a GET without its body, which the collector answers with 200.
            response = function(
                url, timeout=self._delivery.clip(configured), allow_redirects=False, **options
            )
        except Exception as error:  # requests raises its own, a user's session anything
            status = HttpStatus(NO_ANSWER)
            status.error = error
            return status
        return read_status(response)

    def _headers(self) -> Dict[str, str]:
        headers = dict(self.headers)
        if self.server_anonymisation:
            headers["SP-Anonymous"] = "*"
        return headers

    def _post_endpoint(self) -> str:
        """Where POST goes: with method GET, events that are too long for a URL are posted."""
        if self.method == "get" and self.endpoint.endswith(_GET_PATH):
            return self.endpoint[: -len(_GET_PATH)] + _post_path(self.path)
        return self.endpoint

    @staticmethod
    def is_good_status_code(status_code: int) -> bool:
        """Whether a status means that the events arrived: 2xx."""
        return 200 <= status_code < 300

    def send_events(self, evts: PayloadDictList) -> None:
        """Send events and settle their fate with the store, the counters and the callbacks.

        Args:
            evts: Events as they come from the store.
        """
        try:
            self._delivery.deliver(self, evts)
        finally:
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
        """Flush again and again.

        Args:
            timeout: Seconds between flushes. Setting it anew replaces the old one.
        """
        check_seconds("timeout", timeout, zero=True)
        self.timer.start(timeout=timeout)

    def cancel_flush_timer(self) -> None:
        """Stop flushing again and again."""
        self.timer.cancel()

    def _flush_by_timer(self) -> None:
        """Flush if the collector is not to be left alone; if it is, come back later."""
        if self._delivery.backoff.failing and self._delivery.backoff.wait(forced=False) > 0:
            self._schedule_retry()
            return
        with self._delivery.unasked():
            self.flush()
        self._schedule_retry()

    def _schedule_retry(self) -> None:
        """Have a background thread try again."""
        if lifecycle.is_exiting:  # the exit hook tries again itself, and no thread may start now
            return
        if self._delivery.retry_pending() and self.state is not EmitterState.CLOSED:
            self.retry_timer.start(max(0.01, self._delivery.backoff.wait(forced=False)))

    def _reset_bytes(self) -> None:
        if self.bytes_queued is not None:
            with self.lock:
                self.bytes_queued = 0

    def _flush_at_exit(self) -> bool:
        """Start to send without waiting, so that several can at the same time; False where that takes a thread."""
        return False

    def _try_at_exit(self, timeout: float) -> None:
        """Send what can be sent within `timeout` seconds."""
        if not self.enqueue_only and self.state is not EmitterState.CLOSED:
            self._delivery.close(self, timeout, final=False)

    def _finish_at_exit(self, timeout: float) -> None:
        """Send what is queued within `timeout` seconds, and say what could not be sent."""
        if self.enqueue_only or self.state is EmitterState.CLOSED:
            return
        if self._delivery.delivering_here():
            return
        deadline = time.monotonic() + timeout
        while True:
            # Other threads may go on tracking, and count on this one.
            unsent = self._delivery.close(self, max(0.0, deadline - time.monotonic()), final=False)
            if not unsent or time.monotonic() >= deadline:
                break
        if unsent:
            kept = self._delivery.kept()
            what = events_text(unsent)
            lifecycle.say("The program ends with %s that could not be sent.%s", what, kept)
            self._delivery.abandon(self)
        self._transport.close()  # in an orderly way: what the interpreter tears down later complains on stderr

    def _after_fork(self) -> None:
        delivery: Optional[Delivery] = self.__dict__.get("_delivery")
        if delivery is None:  # __init__ never ran, or not to its end
            return
        self.lock = threading.RLock()
        delivery.after_fork()
        self._transport.after_fork()
        self.retry_timer.after_fork()
        self.timer.after_fork()
        if self.bytes_queued is not None:
            self.bytes_queued = 0


class AsyncEmitter(Emitter):
    """Queues events and sends them in background threads: `track()` costs the same whatever the collector does.

    Threads start with the first event, again after a fork, and end with the emitter. What is queued is sent when
    the batch is full, after `flush_interval` seconds at the latest, and at the end of the program.

    Args:
        endpoint: Same as for `Emitter`, as are all others but these two.
        protocol: Plain `"http"` by default, as ever; set `"https"`, or a URL as the endpoint.
        thread_count: How many threads send. One keeps up with most programs: its requests grow with the load.

    .. versionchanged:: 1.2.0
       `options`; events are sent after `flush_interval` even if the batch is not full.
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
        **options: Unpack[DeliveryOptions],
    ) -> None:
        check_positive("thread_count", thread_count)
        self.thread_count = thread_count
        super().__init__(
            endpoint=endpoint,
            protocol=protocol,
            port=port,
            method=method,
            batch_size=batch_size,
            on_success=on_success,
            on_failure=on_failure,
            byte_limit=byte_limit,
            request_timeout=request_timeout,
            max_retry_delay_seconds=max_retry_delay_seconds,
            buffer_capacity=buffer_capacity,
            custom_retry_codes=custom_retry_codes,
            event_store=event_store,
            session=session,
            **options,
        )
        _warn_of_plain_http(endpoint, protocol, self.endpoint)

    def _own_defaults(self) -> Dict[str, Any]:
        return {"flush_interval": DEFAULT_FLUSH_INTERVAL}

    def _thread_count(self) -> int:
        return 0 if self.enqueue_only else self.thread_count

    def flush(self, *, timeout: Optional[float] = None) -> int:
        """Ask the background threads to send what is queued now, also while a retry is pending.

        Args:
            timeout: Seconds to wait for the result. Default: do not wait.

        Returns:
            How many events are not delivered yet.

        .. versionchanged:: 1.2.0
           `timeout` and the result.
        """
        if self.enqueue_only:
            return self._delivery.unsent()
        self._reset_bytes()
        if timeout is None:
            return self._delivery.request_flush(self)
        return self._delivery.flush_by_workers(self, lambda: None, timeout)

    def sync_flush(self, *, timeout: Optional[float] = None) -> int:
        """Have what is queued sent, and wait until it is.

        Without a timeout it ends with the first failed attempt. Called from a callback of this emitter it does not
        wait.

        Args:
            timeout: Seconds to wait, whatever fails.

        Returns:
            How many events are not delivered yet: 0 when all is done.
        """
        if self.enqueue_only:
            return self._delivery.unsent()
        return self._delivery.flush_by_workers(self, self.flush, timeout)

    @property
    def queue(self) -> LegacyQueue:
        """What 1.1.0 had between the store and its threads. `stats` and `sync_flush` tell and do more."""
        return LegacyQueue(self, lambda: self._delivery.request_flush(self))

    def consume(self) -> None:
        """Do the work of a background thread in this one, until the emitter is closed."""
        while self._delivery.wait_for_work():
            self._delivery.work(self)

    def _schedule_retry(self) -> None:
        """Leave it to the worker threads, which know when to try again."""

    def _flush_at_exit(self) -> bool:
        if not self.enqueue_only:
            self._delivery.request_flush(self)
        return True


class _RetryTimer(FlushTimer):
    """The timer of the next attempt. It is active while one is pending, whoever will make it."""

    def is_active(self) -> bool:
        """Whether an attempt is pending."""
        emitter = self.emitter
        return super().is_active() or (emitter is not None and emitter._delivery.retry_pending())

    def start(self, timeout: float) -> bool:
        """Wait for the next attempt; one that is pending already stays as it is."""
        return False if super().is_active() else super().start(timeout)


def _check_sizes(**sizes: Any) -> None:
    for name, value in sizes.items():
        if value is not None:
            kind = (int, float) if name == "max_retry_delay_seconds" else int
            # A batch or byte limit of 0 sends each event at once, as it did in 1.1.0.
            check_positive(name, value, kind=kind, zero=name != "buffer_capacity")


def _batch_size(batch_size: Optional[int], buffer_capacity: Optional[int], method: str) -> int:
    if batch_size is None:
        batch_size = DEFAULT_MAX_LENGTH if method == "post" else 1
    return batch_size if buffer_capacity is None else min(batch_size, buffer_capacity)


def _post_path(path: Optional[str]) -> str:
    return _POST_PATH if path is None else "/" + path.strip("/")


def _collector_uri(
    endpoint: str, protocol: str, port: Optional[int], method: str, path: Optional[str]
) -> str:
    if not isinstance(endpoint, str):
        raise TypeError(f"endpoint must be text, got {type(endpoint).__name__}.")
    if not endpoint:
        raise ValueError("No endpoint provided.")
    one_of(protocol, PROTOCOLS, name="protocol")
    one_of(method, METHODS, name="method")
    with guard:
        from urllib.parse import urlsplit  # 2 ms that nobody should wait for to import the package

    scheme, separator, rest = endpoint.partition("://")
    if separator:
        protocol = scheme.lower()
        if protocol not in PROTOCOLS:
            raise ValueError(f"endpoint must be http or https, got {endpoint!r}.")
    else:
        rest = endpoint
    host, slash, own_path = rest.rstrip("/").partition("/")
    url = f"{protocol}://{host}"
    try:
        parts = urlsplit(url)
        own_port = parts.port
    except ValueError as error:
        raise ValueError(f"endpoint {endpoint!r} is not a usable host or URL: {error}.") from None
    if (
        not parts.hostname
        or parts.query
        or parts.fragment
        or any(c.isspace() or c in "\\?#" for c in rest)
    ):
        raise ValueError(f"endpoint {endpoint!r} is not a usable host or URL.")
    if port is not None:
        check_positive("port", port)
        if port > 65_535:
            raise ValueError("port must not be greater than 65535.")
        if own_port is None:
            url += f":{port}"
        elif own_port != port:
            raise ValueError(f"port is {port}, but endpoint {endpoint!r} says {own_port}.")
    return url + slash + own_path + (_GET_PATH if method == "get" else _post_path(path))


def _warn_of_plain_http(endpoint: str, protocol: str, url: str) -> None:
    host = url.partition("://")[2]
    if protocol == "http" and "://" not in endpoint and not host.startswith(_LOOPBACK):
        _logger.warning(
            "Events go to %s over plain http, the default of AsyncEmitter: pass protocol='https' or a full URL to "
            "encrypt them, or an endpoint with http:// to confirm.",
            url,
        )


def _encodable(value: Any) -> Any:
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode("utf-8")
    return value
