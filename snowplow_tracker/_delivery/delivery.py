"""The engine under every emitter: takes events from the store, sends them, settles their fate.

One request gives one outcome, and one place settles it with the store, the counters and the callbacks. No lock is
held while the store, the collector or a callback is at work.
"""

from __future__ import annotations

import enum
import logging
import sys
import threading
import time
from typing import (
    Any,
    Callable,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Set,
    Tuple,
    Union,
)

from snowplow_tracker._delivery import lifecycle
from snowplow_tracker._delivery.encoding import LARGEST_BODY, EventEncoder
from snowplow_tracker._delivery.outcome import (
    NO_ANSWER,
    HttpStatus,
    Outcome,
    Verdict,
    judge,
    read_status,
)
from snowplow_tracker._delivery.retry import Backoff, RetryPolicy
from snowplow_tracker._delivery.stats import DeliveryStats, DropReason, EmitterState, Tally
from snowplow_tracker._delivery.store_access import StoreAccess
from snowplow_tracker._delivery.worker import Workers
from snowplow_tracker.event_store import EventStore
from snowplow_tracker.typing import FailureCallback, PayloadDict, PayloadDictList, SuccessCallback

logger = logging.getLogger("snowplow_tracker.emitters")

DropCallback = Callable[[PayloadDictList, DropReason], None]
Timeout = Union[None, float, Tuple[Optional[float], Optional[float]]]

_LONGEST_URL_PARAMETERS = 16_000
"""Bytes. The collector answers 400 to a GET whose request line is over 20,480; proxies before it may take less."""

_MOST_FAILED_GETS = 3
"""GET requests of a batch that may fail in a row before it is the collector that is failing, not the events."""


class Sender(Protocol):
    """An emitter as the engine sees it: its live options, and the methods that users override."""

    method: Any
    endpoint: str
    on_success: Optional[SuccessCallback]
    on_failure: Optional[FailureCallback]
    on_drop: Optional[DropCallback]
    custom_retry_codes: Dict[int, bool]
    max_retry_delay_seconds: float
    max_retries: Optional[int]
    max_request_bytes: int

    @property
    def most_events(self) -> int:
        """The most events that one request may hold."""
        ...

    def send_events(self, evts: PayloadDictList) -> None: ...

    def http_post(self, data: str) -> Any: ...

    def http_get(self, payload: PayloadDict) -> Any: ...

    def is_good_status_code(self, status_code: int) -> bool: ...

    def attach_sent_timestamp(self, events: PayloadDictList) -> None: ...


def _random() -> float:
    from random import random  # 1 ms to import, and needed once something has failed

    return random()  # noqa: S311 - it spreads retries, and hides nothing


class Step(enum.Enum):
    """What one round of taking and sending came to."""

    SENT = "a batch has its fate"
    FAILED = "a batch is back in the store"
    EMPTY = "there was nothing to send"
    NOT_NOW = "the collector is to be left alone, or another thread is trying"


class _Attempt(NamedTuple):
    """Leave to make a request."""

    number: int
    known_failures: int
    probing: bool


class _Mark(NamedTuple):
    """What a flush waits for: counts to be reached, and the last attempt that began before it."""

    settled: int
    tracked: int
    attempts: int


class _Handed:
    """Events that the store handed out, until each has its fate."""

    def __init__(self, events: PayloadDictList, epoch: int, known_failures: int) -> None:
        self.events = events
        self.epoch = epoch
        self.known_failures = known_failures
        self.open = len(events)
        self.settled: List[Sequence[PayloadDict]] = []
        self.failed = False

    def leftovers(self) -> PayloadDictList:
        """The events that nobody settled: an overridden `send_events` or an exception passed them by."""
        if self.open <= 0:
            return []
        done = {id(event) for events in self.settled for event in events}
        return [event for event in self.events if id(event) not in done]


class _Here(threading.local):
    """What the current thread is delivering."""

    handed: Optional[_Handed] = None
    deadline: Optional[float] = None
    put_back: Optional[Dict[Any, None]] = None
    is_worker = False
    asked_again = False


class Delivery:
    """Delivers the events of one emitter. It never refers to the emitter, so that the emitter can be collected.

    Args:
        flush_interval: Seconds after which events are sent although the batch is not full; None for never.
        thread_count: How many threads of its own it may start; 0 for none: it sends in the threads that call it.
        sends: False if another process does.
        clock: Monotonic seconds.
        random_: Numbers from 0 to 1.
        policy: When to try again.
    """

    def __init__(
        self,
        *,
        flush_interval: Optional[float] = None,
        thread_count: int = 0,
        sends: bool = True,
        clock: Callable[[], float] = time.monotonic,
        random_: Callable[[], float] = _random,
        policy: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
    ) -> None:
        self.flush_interval = flush_interval
        self.state = EmitterState.NEW
        self.accepts = True
        self.store: StoreAccess
        self.encoder = EventEncoder()
        self._sends = sends
        self._clock = clock
        self._random = random_
        self._policy = policy
        self._workers = Workers(thread_count) if thread_count else None
        self._epoch = 0
        self._reset()

    def _reset(self) -> None:
        """Set up all that a forked child must not take over: locks, counters, what was under way."""
        lock = threading.RLock()
        self._lock = lock
        self._work = threading.Condition(lock)
        self._changed = threading.Condition(lock)
        self._here = _Here()
        self.backoff = Backoff(self._policy, self._clock, self._random)
        self._tally = Tally()
        self._count = self._tally.add
        self._sent = self._failed_attempts = self._retried = self._in_flight = self._settled = 0
        self._dropped: Dict[DropReason, int] = {}
        self._given_up = 0
        self._tries: Dict[Any, int] = {}
        self._idle = True
        self._probing = False
        self._forced = False
        self._goal = 0
        self._waiting_since = 0.0
        self._attempts = self._last_failed = self._put_backs = 0
        self._active: Set[int] = set()
        self._learned_bytes = LARGEST_BODY
        self._overflowing = 0
        self._said_closed = False
        self.wants_flush = self._sends

    # Taking events in ----------------------------------------------------------------------------------------------

    def use_store(
        self,
        store: EventStore,
        on_overflow: Callable[[PayloadDictList], None],
        *,
        as_text: bool,
    ) -> None:
        """Set where events wait, and whether their values have to be text."""
        self.store = StoreAccess(store, on_overflow, as_text=as_text)

    def add(self, emitter: Sender, event: PayloadDict) -> None:
        """Queue an event. Never raises, and never waits longer than the store does."""
        if self._put_backs and self._is_put_back(event):
            return
        self._count()
        if not self.accepts:
            self._refuse_closed(emitter, event)
            return
        try:
            taken = self.store.add(event)
        except Exception:
            logger.exception("The event store raised: an event was dropped.")
            self.drop(emitter, [event], DropReason.STORE_FAILED)
            return
        if taken is False:  # stores written for 1.1.0, which ignored the answer, may give none
            self.overflowed(emitter, [event])
        elif self._overflowing:
            self._overflow_ended()
        if self._idle:
            self._begin(emitter)
            if lifecycle.exiting():
                lifecycle.finish(emitter)
        if not self.accepts:  # closed meanwhile: nobody else will look into the store
            self.abandon(emitter)

    def _is_put_back(self, event: PayloadDict) -> bool:
        """Whether a callback, asked about failed events, queues again what is back in the store already."""
        put_back = self._here.put_back
        return put_back is not None and event.get("eid") in put_back

    def overflowed(self, emitter: Sender, events: PayloadDictList) -> None:
        """Give up events for which the store had no room. Logged once, until there is room again."""
        with self._lock:
            first = self._overflowing == 0
            self._overflowing += len(events)
        if first:
            logger.error("The event buffer is full: events are being dropped.")
        self.drop(emitter, events, DropReason.OVERFLOW, log=False)

    def _overflow_ended(self) -> None:
        with self._lock:
            count, self._overflowing = self._overflowing, 0
        if count:
            logger.warning(
                "The event buffer has room again; %d events were dropped meanwhile.", count
            )

    def _refuse_closed(self, emitter: Sender, event: PayloadDict) -> None:
        with self._lock:
            first, self._said_closed = not self._said_closed, True
        if first:
            logger.warning("The emitter is closed: events tracked from now on are dropped.")
        self.drop(emitter, [event], DropReason.EXIT, log=False)

    def _begin(self, emitter: Sender) -> None:
        """Wake up: there are events again. From here on the emitter stays alive until they have their fate."""
        with self._lock:
            if not self._idle:
                return
            self._idle = False
            if self.state is EmitterState.NEW:
                self.state = EmitterState.ACTIVE
            self._waiting_since = self._clock()
            if self._sends:
                lifecycle.hold(emitter)
            self._work.notify()
        if self._workers is not None:
            self._workers.ensure_started(emitter, self)

    def _end(self, emitter: Sender) -> None:
        """Go to sleep if nothing is left."""
        with self._lock:
            if self._idle or self._active:
                return
            # Asleep first and looking afterwards: an event that comes in between wakes us up.
            self._idle = True
            self._goal = 0
            self._update_wants_flush()
            lifecycle.release(emitter)
            self._changed.notify_all()
        if self._size():
            self._begin(emitter)

    # Sending -------------------------------------------------------------------------------------------------------

    def step(self, emitter: Sender, *, forced: bool = False) -> Step:
        """Take one batch and send it.

        Args:
            emitter: Whose events they are.
            forced: Try although our own delay after a failure is not over.
        """
        attempt = self._begin_attempt(forced=forced)
        if attempt is None:
            return Step.NOT_NOW
        try:
            try:
                batch = self.store.take(emitter.most_events)
            except Exception:
                logger.exception("The event store raised instead of handing out events.")
                self._failed(emitter, None, attempt.known_failures)
                return Step.FAILED
            if not batch:
                with self._lock:
                    self._goal = 0
                    self._update_wants_flush()
                return Step.EMPTY
            handed = self._hand_out(batch, attempt.known_failures)
            try:
                self._send(emitter, handed)
            finally:
                self._hand_in(handed, attempt.number)
            return Step.FAILED if handed.failed else Step.SENT
        finally:
            self._end_attempt(attempt)

    def _begin_attempt(self, *, forced: bool) -> Optional[_Attempt]:
        """Ask for leave to make a request: while the collector is failing, one thread at a time has it."""
        with self._lock:
            forced = forced or self._forced
            probing = self.backoff.failing
            if probing:
                if self._probing or self.backoff.wait(forced=forced) > 0:
                    return None
                self._probing = True
            self._forced = False
            return self._new_attempt(probing=probing)

    def _new_attempt(self, *, probing: bool) -> _Attempt:
        self._attempts += 1
        self._active.add(self._attempts)
        return _Attempt(self._attempts, self.backoff.failures, probing)

    def _end_attempt(self, attempt: _Attempt) -> None:
        with self._lock:
            self._active.discard(attempt.number)
            if attempt.probing:
                self._probing = False
            self._update_wants_flush()
            if not self._idle:
                self._work.notify()  # a worker may wait for the end of a probe
            self._changed.notify_all()

    def _all_ended(self, attempt: int) -> bool:
        """Whether no attempt up to this one is under way. Between taking and sending, events are in no count."""
        return not self._active or min(self._active) > attempt

    def _hand_out(self, batch: PayloadDictList, known_failures: int) -> _Handed:
        with self._lock:
            self._in_flight += len(batch)
            self._goal = max(0, self._goal - len(batch))
            self._waiting_since = self._clock()
            self._update_wants_flush()
            if self._goal > 0:
                self._work.notify()
            handed = _Handed(batch, self._epoch, known_failures)
        self._here.handed = handed
        return handed

    def _hand_in(self, handed: _Handed, attempt: int) -> None:
        self._here.handed = None
        if handed.epoch != self._epoch:
            return
        with self._lock:
            if handed.failed:
                self._last_failed = max(self._last_failed, attempt)
                self._goal = max(self._goal, 1)

    def _send(self, emitter: Sender, handed: _Handed) -> None:
        """Pass a batch to `send_events`, and see to the events that it leaves behind."""
        try:
            emitter.send_events(handed.events)
        except Exception:
            logger.exception("send_events raised: its events will be tried again.")
            self._return(emitter, handed, handed.leftovers())
        except BaseException:
            # Somebody wants this thread to stop; the events are not to blame.
            self._return(emitter, handed, handed.leftovers())
            raise
        else:
            leftovers = handed.leftovers()
            if leftovers:  # an override took their fate into its own hands, as it could in 1.1.0
                self._tell_store(leftovers, need_retry=False)
                self._account(handed, leftovers, sent=True)

    def _return(self, emitter: Sender, handed: _Handed, events: PayloadDictList) -> None:
        self._failed(emitter, None, handed.known_failures)
        handed.failed = True
        if events:
            self._tell_store(events, need_retry=True)
            self._account(handed, events, back=True)

    def deliver(self, emitter: Sender, events: PayloadDictList) -> None:
        """Send events in bounded requests and settle each: what `Emitter.send_events` does."""
        if not events:
            return
        handed = self._here.handed
        deliver = self._deliver_by_post if emitter.method == "post" else self._deliver_by_get
        if handed is not None:
            deliver(emitter, events, handed)
            return
        # Called from outside, with events that are not from the store.
        for _ in events:
            self._count()
        with self._lock:
            attempt = self._new_attempt(probing=False)
        handed = self._hand_out(events, attempt.known_failures)
        try:
            deliver(emitter, events, handed)
        except BaseException:
            self._return(emitter, handed, handed.leftovers())
            raise
        finally:
            self._hand_in(handed, attempt.number)
            self._end_attempt(attempt)

    def _deliver_by_post(self, emitter: Sender, events: PayloadDictList, handed: _Handed) -> None:
        parts = [events]  # a stack: what is to be sent next is at its end
        while parts:
            if handed.epoch != self._epoch:
                return  # a callback forked: in the child these events are the parent's
            part = parts.pop()
            chunk = part[: emitter.most_events]
            emitter.attach_sent_timestamp(chunk)
            try:
                body = self.encoder.next_body(
                    chunk,
                    min(emitter.max_request_bytes, self._learned_bytes),
                    considerate=self._workers is not None,
                )
            except Exception:
                self._deliver_encodable(emitter, chunk, handed)
                parts.append(part[len(chunk) :])
                continue
            chunk = part[: body.size]
            if body.size < len(part):
                parts.append(part[body.size :])
            if len(body.text) > LARGEST_BODY:
                detail = f"{len(body.text)} bytes, and the collector throws away more than {LARGEST_BODY}"
                self._give_up(emitter, handed, chunk, DropReason.TOO_LARGE, detail)
                continue
            outcome = self._attempt(emitter, emitter.http_post, body.text)
            if outcome.verdict is Verdict.TOO_LARGE and len(chunk) > 1:
                self._learn_limit(emitter, chunk, len(body.text))
                middle = len(chunk) // 2
                parts.extend((chunk[middle:], chunk[:middle]))
            elif outcome.verdict is Verdict.RETRY:
                untried = [event for later in reversed(parts) for event in later]
                self._retry_later(emitter, handed, chunk, untried, outcome)
                return
            else:
                if outcome.verdict is Verdict.SENT and self._learned_bytes < LARGEST_BODY:
                    # The limit may be gone. Asking costs one refused request in about twenty.
                    self._learned_bytes += self._learned_bytes // 32
                self._settle(emitter, handed, chunk, outcome)

    def _deliver_encodable(self, emitter: Sender, chunk: PayloadDictList, handed: _Handed) -> None:
        """Find the events that cannot be encoded, give them up, and send the others."""
        fit: PayloadDictList = []
        for event in chunk:
            try:
                self.encoder.encode(event)
                fit.append(event)
            except Exception as error:
                self._give_up(
                    emitter,
                    handed,
                    [event],
                    DropReason.ENCODING,
                    f"{type(error).__name__}: {error}",
                )
        if len(fit) < len(chunk):
            self._deliver_by_post(emitter, fit, handed)
        else:
            self._give_up(
                emitter, handed, chunk, DropReason.ENCODING, "encoding them together failed"
            )

    def _learn_limit(self, emitter: Sender, chunk: PayloadDictList, size: int) -> None:
        """Remember what size was refused with 413, so that later batches are not refused first as well."""
        self._learned_bytes = max(1_000, min(self._learned_bytes, size // 2))
        with self._lock:
            self._failed_attempts += 1
        logger.warning(
            "%s refused %d events of %d bytes as too large: they are sent in smaller requests.",
            emitter.endpoint,
            len(chunk),
            size,
        )
        self._call_back("on_failure", emitter.on_failure, 0, chunk)

    def _deliver_by_get(self, emitter: Sender, events: PayloadDictList, handed: _Handed) -> None:
        """Send each event by itself. Each has its own outcome; the callbacks hear of all of them together."""
        sent: PayloadDictList = []
        failed: PayloadDictList = []
        again: PayloadDictList = []
        given_up: List[Tuple[PayloadDict, Outcome]] = []
        last_failure: Optional[Outcome] = None
        tried = in_a_row = 0
        for event in events:
            tried += 1
            outcome = self._attempt_get(emitter, event)
            if outcome.verdict is Verdict.SENT:
                in_a_row = 0
                sent.append(event)
                continue
            failed.append(event)
            if outcome.verdict is Verdict.RETRY:
                again.append(event)
                last_failure = outcome
                in_a_row += 1
                if (
                    outcome.status == NO_ANSWER
                    or outcome.retry_after is not None
                    or in_a_row == _MOST_FAILED_GETS
                ):
                    break  # nobody is there, or wants to be left alone: the others need not be tried
            else:
                given_up.append((event, outcome))
        if sent:
            self._tell_store(sent, need_retry=False)
            self._call_back("on_success", emitter.on_success, sent)
            self._account(handed, sent, sent=True)
        if failed:
            with self._lock:
                self._failed_attempts += len(failed) - (1 if again else 0)
        if again and last_failure is not None:
            self._retry_later(
                emitter, handed, again, events[tried:], last_failure, (len(sent), failed)
            )
        else:
            self._succeeded()
            if failed:
                self._call_back("on_failure", emitter.on_failure, len(sent), failed)
        for event, outcome in given_up:
            self._give_up(emitter, handed, [event], _drop_reason(outcome), outcome.detail)

    def _attempt_get(self, emitter: Sender, event: PayloadDict) -> Outcome:
        emitter.attach_sent_timestamp([event])
        try:
            if _url_bytes(event) <= _LONGEST_URL_PARAMETERS:
                return self._attempt(emitter, emitter.http_get, event)
            body = self.encoder.next_body([event], LARGEST_BODY)
        except Exception as error:
            return Outcome(Verdict.REJECTED, NO_ANSWER, detail=f"{type(error).__name__}: {error}")
        if len(body.text) > LARGEST_BODY:
            return Outcome(Verdict.TOO_LARGE, NO_ANSWER, detail=f"{len(body.text)} bytes")
        return self._attempt(emitter, emitter.http_post, body.text)

    def _attempt(self, emitter: Sender, request: Callable[[Any], Any], argument: object) -> Outcome:
        """Make one request. Whatever it raises is a failed attempt, unless it is meant to end the thread."""
        try:
            status = read_status(request(argument))
        except BaseException as error:
            if not self._is_ours(error):
                raise
            logger.debug("The request raised.", exc_info=True)
            status = HttpStatus(NO_ANSWER)
            status.error = error
        return judge(status, emitter.is_good_status_code, emitter.custom_retry_codes)

    # Settling ------------------------------------------------------------------------------------------------------

    def _settle(
        self, emitter: Sender, handed: _Handed, events: PayloadDictList, outcome: Outcome
    ) -> None:
        self._succeeded()  # it answered, so there is no reason to leave it alone
        if outcome.verdict is Verdict.SENT:
            self._tell_store(events, need_retry=False)
            try:
                self._call_back("on_success", emitter.on_success, events)
            finally:
                self._account(handed, events, sent=True)
            return
        with self._lock:
            self._failed_attempts += 1
        self._call_back("on_failure", emitter.on_failure, 0, events)
        self._give_up(emitter, handed, events, _drop_reason(outcome), outcome.detail)

    def _retry_later(
        self,
        emitter: Sender,
        handed: _Handed,
        events: PayloadDictList,
        untried: PayloadDictList,
        outcome: Outcome,
        failure: Optional[Tuple[int, PayloadDictList]] = None,
    ) -> None:
        """Put events back: those that were tried in vain, and those behind them that were not tried."""
        handed.failed = True
        self._failed(emitter, outcome, handed.known_failures)
        again, exhausted = self._count_tries(emitter, events)
        closed = self.state is EmitterState.CLOSED and not self.store.durable
        if closed:
            back: PayloadDictList = []
        else:
            back = again + untried
            self._tell_store(back, need_retry=True)
        with self._lock:
            self._failed_attempts += 1
            self._retried += len(again)
        logger.warning(
            "Sending %d events to %s failed (%s); the next attempt is in %.1f seconds at the earliest.",
            len(events),
            emitter.endpoint,
            outcome.detail,
            self.backoff.delay,
        )
        sent_count, failed = failure or (0, events)
        self._here.put_back = {event.get("eid"): None for event in again}
        with self._lock:
            self._put_backs += 1
        try:
            self._call_back("on_failure", emitter.on_failure, sent_count, failed)
        finally:
            self._here.put_back = None
            with self._lock:
                self._put_backs -= 1
            self._account(handed, back, back=True)
        if exhausted:
            self._give_up(emitter, handed, exhausted, DropReason.RETRIES_EXHAUSTED, outcome.detail)
        if closed:
            self._give_up(emitter, handed, again + untried, DropReason.EXIT, outcome.detail)

    def _count_tries(
        self, emitter: Sender, events: PayloadDictList
    ) -> Tuple[PayloadDictList, PayloadDictList]:
        if emitter.max_retries is None:
            return events, []
        again: PayloadDictList = []
        exhausted: PayloadDictList = []
        with self._lock:
            for event in events:
                eid = event.get("eid")
                tries = self._tries.pop(eid, 0) + 1
                if tries > emitter.max_retries:
                    exhausted.append(event)
                else:
                    self._tries[eid] = tries
                    again.append(event)
        return again, exhausted

    def _give_up(
        self,
        emitter: Sender,
        handed: _Handed,
        events: PayloadDictList,
        reason: DropReason,
        detail: str,
    ) -> None:
        self._tell_store(events, need_retry=False)
        try:
            self.drop(emitter, events, reason, detail)
        finally:
            self._account(handed, events)

    def drop(
        self,
        emitter: Sender,
        events: PayloadDictList,
        reason: DropReason,
        detail: str = "",
        *,
        log: bool = True,
    ) -> None:
        """Count, log and report events that are given up."""
        with self._lock:
            self._dropped[reason] = self._dropped.get(reason, 0) + len(events)
            self._given_up += len(events)
        if log:
            logger.warning(
                "%d events were given up (%s)%s",
                len(events),
                reason.value,
                f": {detail}" if detail else ".",
            )
        self._call_back("on_drop", emitter.on_drop, events, reason)

    def _call_back(
        self, name: str, callback: Optional[Callable[..., None]], *arguments: object
    ) -> None:
        if callback is None:
            return
        try:
            callback(*arguments)
        except BaseException as error:
            if not self._is_ours(error):
                raise
            logger.exception("%s raised; delivery goes on.", name)

    def _is_ours(self, error: BaseException) -> bool:
        """Whether an exception ends here: any in a worker, where `SystemExit` would end no program but the thread."""
        return isinstance(error, Exception) or self._here.is_worker

    def _tell_store(self, events: PayloadDictList, *, need_retry: bool) -> None:
        if not events:
            return
        try:
            self.store.settle(events, need_retry=need_retry)
        except Exception:
            logger.exception(
                "The event store raised when it was told about %d events.", len(events)
            )

    def _account(
        self,
        handed: _Handed,
        events: Sequence[PayloadDict],
        *,
        sent: bool = False,
        back: bool = False,
    ) -> None:
        """Take events off those in flight: they were sent, went back to the store, or were given up."""
        if handed.epoch != self._epoch:
            return
        handed.settled.append(events)
        with self._lock:
            count = min(len(events), handed.open)
            handed.open -= count
            self._in_flight -= count
            if not back:
                self._settled += count
            if sent:
                self._sent += len(events)
                if self._tries:
                    for event in events:
                        self._tries.pop(event.get("eid"), None)
            self._changed.notify_all()

    def _failed(self, emitter: Sender, outcome: Optional[Outcome], known_failures: int) -> None:
        with self._lock:
            # Several threads may run into the same outage at once: that is one failure, not several.
            if self.backoff.failures == known_failures or (
                outcome is not None and outcome.retry_after
            ):
                self.backoff.failed(
                    emitter.max_retry_delay_seconds, outcome.retry_after if outcome else None
                )
            self._update_wants_flush()

    def _succeeded(self) -> None:
        if self.backoff.failing:
            with self._lock:
                self.backoff.succeeded()
                self._update_wants_flush()

    # Flushing, closing ---------------------------------------------------------------------------------------------

    def request_flush(self, emitter: Sender) -> int:
        """Ask the worker threads to send what is queued now, and do not wait. Returns what is not delivered yet."""
        queued = self._size()
        if queued:
            with self._lock:
                self._goal = max(self._goal, queued)
                self._forced = True
                self._update_wants_flush()
                self._work.notify()
            if self._idle:  # events that an earlier process left in the store
                self._begin(emitter)
            elif self._workers is not None:
                self._workers.ensure_started(emitter, self)
        return queued + self._in_flight

    def _mark(self) -> _Mark:
        """Note what is to be settled before a flush that begins now is done.

        Counting what is queued first and what is settled afterwards errs on the side of waiting too long, from which
        an empty queue rescues.
        """
        unsent = self.unsent()
        with self._lock:
            return _Mark(self._settled + unsent, self._tally.read(), self._attempts)

    def _reached(self, mark: _Mark) -> bool:
        # Both counts are needed: events between the store and a request are missing from the first, those that an
        # earlier process left in the store from the second.
        done = self._settled >= mark.settled and self._sent + self._given_up >= mark.tracked
        return done and self._all_ended(mark.attempts)

    def flush_by_workers(
        self, emitter: Sender, flush: Callable[[], Any], timeout: Optional[float]
    ) -> int:
        """Ask for a flush and wait until what is queued now has its fate, an attempt failed, or time is up."""
        if self.delivering_here():
            return self.unsent()
        deadline = None if timeout is None else self._clock() + timeout
        mark = self._mark()
        flush()
        self.request_flush(emitter)  # flush is a seam: a patched one may have asked for nothing
        if self._workers is None or not self._workers.alive():
            return self.flush_here(emitter, timeout)
        with self._lock:
            while not self._reached(mark):
                if self.state is EmitterState.CLOSED or (self._idle and not self._active):
                    break
                if deadline is None:
                    gave_up = self._last_failed > mark.attempts
                    on_hold = (
                        self.backoff.failing
                        and not self._probing
                        and self.backoff.wait(forced=True) > 0
                    )
                    if gave_up or on_hold:
                        break
                    self._changed.wait()
                elif not self._wait_until(deadline):
                    break
        return self.unsent()

    def flush_here(self, emitter: Sender, timeout: Optional[float]) -> int:
        """Send what is queued now in the calling thread, until an attempt fails, or time is up."""
        if self.delivering_here():
            self._here.asked_again = True
            return self.unsent()
        outer_deadline = self._here.deadline
        deadline = None if timeout is None else self._clock() + timeout
        self._here.deadline = deadline
        try:
            mark = self._mark()
            if self._idle and not self._reached(mark):
                self._begin(emitter)  # there are events that an earlier process left in the store
            forced = True
            while not self._reached(mark):
                if deadline is not None and self._clock() >= deadline:
                    break
                self._here.asked_again = False
                step = self.step(emitter, forced=forced)
                if step is Step.SENT and self._here.asked_again:
                    mark = self._mark()  # a callback tracked more, and wanted it sent
                if step in (Step.SENT, Step.FAILED):
                    forced = False
                if step is Step.FAILED and deadline is None:
                    break
                if step in (Step.EMPTY, Step.NOT_NOW, Step.FAILED) and not self._wait_for_others(
                    deadline, mark.attempts, forced=forced, empty=step is Step.EMPTY
                ):
                    break
        finally:
            self._here.deadline = outer_deadline
            self._end(emitter)
        return self.unsent()

    def _wait_for_others(
        self, deadline: Optional[float], attempts: int, *, forced: bool, empty: bool
    ) -> bool:
        """Wait until it makes sense to look again; False when it never will within the time."""
        with self._lock:
            if empty and self._all_ended(attempts) and not self._in_flight:
                return False
            if empty or self._probing:
                if deadline is None:
                    if self._last_failed > attempts:
                        return False
                    return self._changed.wait()
                return self._wait_until(deadline)
            pause = self.backoff.wait(forced=forced)
            if pause <= 0:
                return True
            if deadline is None or self._clock() + pause > deadline:
                # Waiting for the deadline as well: another thread may bring good news.
                return deadline is not None and self._wait_until(deadline)
            self._changed.wait(pause)
            return True

    def _wait_until(self, deadline: float) -> bool:
        remaining = deadline - self._clock()
        if remaining <= 0:
            return False
        self._changed.wait(remaining)
        return True

    def close(self, emitter: Sender, timeout: float, *, final: bool = True) -> int:
        """Send what is queued within `timeout` seconds; then, if `final`, take and send nothing any more."""
        with self._lock:
            if self.state is EmitterState.CLOSED:
                return 0
            self.state = EmitterState.CLOSING
        deadline = self._clock() + timeout
        if not self._sends:
            pass  # another process does
        elif self._workers is not None and self._workers.alive() and not self.delivering_here():
            self.flush_by_workers(emitter, lambda: self.request_flush(emitter), timeout)
        else:
            self.flush_here(emitter, timeout)
        if not final:
            self.state = EmitterState.ACTIVE
            return self.unsent()
        with self._lock:
            self.state = EmitterState.CLOSED
            self.accepts = False
            self._work.notify_all()
            self._changed.notify_all()
            lifecycle.release(emitter)
            while self._in_flight and not self.delivering_here() and self._wait_until(deadline):
                pass  # what was tracked while we waited is on its way
        unsent = self.unsent()
        if unsent and self._sends:
            logger.warning(
                "The emitter is closed with %d events that could not be sent.%s",
                unsent,
                self.kept(),
            )
        self.abandon(emitter)
        self.store.close()
        return unsent

    def kept(self) -> str:
        """Say what becomes of events that could not be sent."""
        return " The store keeps them." if self.store.durable else ""

    def abandon(self, emitter: Sender) -> None:
        """Give up what a store that is not durable still holds."""
        if self.store.durable:
            return
        while True:
            try:
                left = self.store.take(emitter.most_events)
            except Exception:
                logger.exception("The event store raised instead of handing out events.")
                return
            if not left:
                self._end(emitter)
                return
            self._tell_store(left, need_retry=False)
            self.drop(emitter, left, DropReason.EXIT, log=False)

    # What workers ask ----------------------------------------------------------------------------------------------

    def wait_for_work(self) -> bool:
        """Block until there is something to send. False when the thread is to end."""
        with self._lock:
            while True:
                if self.state is EmitterState.CLOSED:
                    return False
                due = self._due_in()
                if due is not None and due <= 0:
                    return True
                self._work.wait(due)

    def _due_in(self) -> Optional[float]:
        """Seconds until there is something to do; None when only an event can change that."""
        if self._idle:
            return None
        if self._goal <= 0 and self.state is not EmitterState.CLOSING:
            if self.flush_interval is None:
                return None
            rest = self._waiting_since + self.flush_interval - self._clock()
            if rest > 0:
                return rest
        if self.backoff.failing:
            return None if self._probing else self.backoff.wait(forced=self._forced)
        return 0.0

    def work(self, emitter: Sender) -> None:
        """Do one round of a worker thread's work."""
        self._here.is_worker = True
        step = self.step(emitter)
        if step is Step.EMPTY:
            self._end(emitter)
        elif step is Step.SENT:
            rest = self._size()
            if not rest:
                self._end(emitter)
            elif rest >= getattr(emitter, "batch_size", 1):
                with self._lock:
                    self._goal = max(self._goal, 1)

    def stop(self, _: object = None) -> None:
        """End the worker threads: the emitter was collected."""
        if sys.is_finalizing():
            return  # a thread that the interpreter stopped may hold the lock for ever
        with self._lock:
            self.state = EmitterState.CLOSED
            self._work.notify_all()

    # Looking -------------------------------------------------------------------------------------------------------

    def _update_wants_flush(self) -> None:
        """Whether a full batch is a reason to flush: not while one is asked for already or the collector is down."""
        asked_already = self._workers is not None and self._goal > 0
        self.wants_flush = self._sends and not self.backoff.failing and not asked_already

    def delivering_here(self) -> bool:
        """Whether the calling thread is in the middle of a delivery, that is: a callback is asking."""
        return self._here.handed is not None

    def clip(self, timeout: Timeout) -> Timeout:
        """Shorten a request timeout to the deadline of the flush that makes the request."""
        deadline = self._here.deadline
        if deadline is None:
            return timeout
        rest = max(0.05, deadline - self._clock())
        if isinstance(timeout, tuple):
            connect, read = timeout
            return (min(connect or rest, rest), min(read or rest, rest))
        return min(timeout or rest, rest)

    def retry_pending(self) -> bool:
        """Whether events wait for the collector to get well."""
        return self.backoff.failing and not self._idle

    def _size(self) -> int:
        try:
            return self.store.size()
        except Exception:
            logger.exception("The event store raised instead of telling its size.")
            return 0

    def unsent(self) -> int:
        """How many events are not delivered yet."""
        return self._size() + self._in_flight

    def stats(self) -> DeliveryStats:
        """Take a snapshot of the counters."""
        queued = self._size()
        with self._lock:
            return DeliveryStats(
                tracked=self._tally.read(),
                queued=queued,
                in_flight=self._in_flight,
                sent=self._sent,
                failed_attempts=self._failed_attempts,
                retried=self._retried,
                dropped=dict(self._dropped),
            )

    def after_fork(self) -> None:
        """Start again in a forked child: nothing that the parent has under way is ours."""
        self._epoch += 1
        self._reset()
        if self.state is not EmitterState.CLOSED:
            self.state = EmitterState.NEW
        if self._workers is not None:
            self._workers.forget()
        self.store.reset_after_fork()


def _drop_reason(outcome: Outcome) -> DropReason:
    return DropReason.TOO_LARGE if outcome.verdict is Verdict.TOO_LARGE else DropReason.REJECTED


def _url_bytes(event: Mapping[str, object]) -> int:
    """An upper bound of the event's length in a URL that is exact enough: escaping can triple it."""
    size = sum(len(str(value)) for value in event.values())
    if size * 12 <= _LONGEST_URL_PARAMETERS:  # four bytes of UTF-8, three characters each
        return size
    from urllib.parse import urlencode

    return len(
        urlencode({key: str(value).encode("utf-8", "replace") for key, value in event.items()})
    )
