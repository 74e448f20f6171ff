"""The engine under every emitter: takes events from the store, sends them, settles their fate.

One request gives one outcome, and one place settles it with the store, the counters and the callbacks. No lock is
held while the store, the collector or a callback is at work.
"""

from __future__ import annotations

import enum
import sys
import threading
import time
from contextlib import contextmanager
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from snowplow_tracker._delivery import lifecycle
from snowplow_tracker._delivery.batch import Batch
from snowplow_tracker._delivery.encoding import LARGEST_BODY, EventEncoder
from snowplow_tracker._delivery.outcome import Outcome
from snowplow_tracker._delivery.retry import Backoff, RetryPolicy
from snowplow_tracker._delivery.sender import Sender, Timeout
from snowplow_tracker._delivery.stats import DeliveryStats, DropReason, EmitterState, Tally
from snowplow_tracker._delivery.store_access import StoreAccess
from snowplow_tracker._delivery.worker import Workers
from snowplow_tracker._late_imports import guard
from snowplow_tracker._late_logging import late_logger
from snowplow_tracker._wording import events_text
from snowplow_tracker.event_store import EventStore
from snowplow_tracker.typing import PayloadDict, PayloadDictList

logger = late_logger("snowplow_tracker.emitters")


def _random() -> float:
    with guard:
        from random import random  # 1 ms to import, and needed once something has failed

    return random()  # noqa: S311 - it spreads retries, and hides nothing


_DROPS_IN_A_ROW = 256
"""So often, a thread that tracks in a tight loop into a full queue lets a sending thread come to the locks.

It holds one of them most of the time, and who waits for a lock does not make the interpreter change threads: without
this, 100 events were sent in 3 s in which 340,000 were dropped.
"""


class Step(enum.Enum):
    """What one round of taking and sending came to."""

    SENT = "a batch has its fate"
    FAILED = "a batch is back in the store"
    EMPTY = "there was nothing to send"
    NOT_NOW = "the collector is to be left alone, or another thread is trying"


class _Attempt:
    """Leave to make a request."""

    __slots__ = ("known_failures", "number", "probing")

    def __init__(self, number: int, known_failures: int, *, probing: bool) -> None:
        self.number = number
        self.known_failures = known_failures
        self.probing = probing


class _Mark:
    """What a flush waits for: counts to be reached, and the last attempt that began before it."""

    __slots__ = ("attempts", "settled", "tracked")

    def __init__(self, settled: int, tracked: int, attempts: int) -> None:
        self.settled = settled
        self.tracked = tracked
        self.attempts = attempts


class _Here(threading.local):
    """What the current thread is delivering."""

    in_step = False
    batch: Optional[Batch] = None
    deadline: Optional[float] = None
    put_back: Optional[Dict[Any, None]] = None
    is_worker = False
    asked_again = False
    unasked = False


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
        self.epoch = 0
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
        self.learned_bytes = LARGEST_BODY
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
        overflowing = self._overflowing
        try:
            taken = self.store.add(event)
        except Exception:
            logger.exception("The event store raised: an event was dropped.")
            self.drop(emitter, [self.store.as_handed_out(event)], DropReason.STORE_FAILED)
            return
        if taken is False:  # stores written for 1.1.0, which ignored the answer, may give none
            self.overflowed(emitter, [self.store.as_handed_out(event)])
        elif overflowing and overflowing == self._overflowing:  # it threw none out to take this one
            self._overflow_ended()
        if self._idle:
            self._begin(emitter)
        if lifecycle.is_exiting:
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
            let_in = self.in_background and self._overflowing % _DROPS_IN_A_ROW == 0
        if let_in:
            time.sleep(0.0002)
        if first:
            logger.error("The event buffer is full: events are being dropped.")
        self.drop(emitter, events, DropReason.OVERFLOW, log=False)

    def _overflow_ended(self) -> None:
        with self._lock:
            count, self._overflowing = self._overflowing, 0
        if count:
            logger.warning(
                "The event buffer has room again. Dropped meanwhile: %s.", events_text(count)
            )

    def _refuse_closed(self, emitter: Sender, event: PayloadDict) -> None:
        with self._lock:
            first, self._said_closed = not self._said_closed, True
        if first:
            logger.warning("The emitter is closed: events tracked from now on are dropped.")
        self.drop(emitter, [self.store.as_handed_out(event)], DropReason.EXIT, log=False)

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
            self._here.in_step = True
            try:
                events = self.store.take(emitter.most_events)
            except Exception:
                logger.exception("The event store raised instead of handing out events.")
                self.failed(emitter, None, attempt.known_failures)
                return Step.FAILED
            if not events:
                with self._lock:
                    self._goal = 0
                    self._update_wants_flush()
                return Step.EMPTY
            batch = self._hand_out(emitter, events, attempt.known_failures)
            try:
                _send(emitter, batch)
            finally:
                self._hand_in(batch, attempt.number)
            return Step.FAILED if batch.failed else Step.SENT
        finally:
            self._here.in_step = False
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
        return _Attempt(self._attempts, self.backoff.failures, probing=probing)

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

    def _hand_out(self, emitter: Sender, events: PayloadDictList, known_failures: int) -> Batch:
        with self._lock:
            self._in_flight += len(events)
            self._goal = max(0, self._goal - len(events))
            self._waiting_since = self._clock()
            self._update_wants_flush()
            if self._goal > 0:
                self._work.notify()
            batch = Batch(emitter, events, self, self.epoch, known_failures)
        self._here.batch = batch
        return batch

    def _hand_in(self, batch: Batch, attempt: int) -> None:
        self._here.batch = None
        if batch.epoch != self.epoch:
            return
        with self._lock:
            if batch.failed:
                self._last_failed = max(self._last_failed, attempt)
                self._goal = max(self._goal, 1)

    def deliver(self, emitter: Sender, events: PayloadDictList) -> None:
        """Send events in bounded requests and settle each: what `Emitter.send_events` does."""
        batch = self._here.batch
        if batch is not None:
            batch.deliver(events)
        elif events:
            self._deliver_from_outside(emitter, events)

    def _deliver_from_outside(self, emitter: Sender, events: PayloadDictList) -> None:
        """Send events that are not from the store: somebody else called `send_events`."""
        for _ in events:
            self._count()
        with self._lock:
            attempt = self._new_attempt(probing=False)
        batch = self._hand_out(emitter, events, attempt.known_failures)
        try:
            batch.deliver(events)
        except BaseException:
            batch.put_back(batch.leftovers())
            raise
        finally:
            self._hand_in(batch, attempt.number)
            self._end_attempt(attempt)

    # What a batch says ---------------------------------------------------------------------------

    @property
    def in_background(self) -> bool:
        """Whether threads of our own send, beside those that track."""
        return self._workers is not None

    def learn_limit(self, size: int) -> None:
        """Remember what size was refused with 413, so that later batches are not refused first as well."""
        self.learned_bytes = max(1_000, min(self.learned_bytes, size // 2))
        self.count_failed_attempts(1)

    def learn_from_success(self) -> None:
        """Find out by and by whether the limit is gone. Asking costs one refused request in about twenty."""
        if self.learned_bytes < LARGEST_BODY:
            self.learned_bytes += self.learned_bytes // 32

    def count_failed_attempts(self, count: int, *, retried: int = 0) -> None:
        """Count requests that failed, and events that went back to the store because of it."""
        with self._lock:
            self._failed_attempts += count
            self._retried += retried

    def count_tries(
        self, events: PayloadDictList, max_retries: Optional[int]
    ) -> Tuple[PayloadDictList, PayloadDictList]:
        """Tell the events that may be tried again from those that were tried too often."""
        if max_retries is None:
            return events, []
        again: PayloadDictList = []
        exhausted: PayloadDictList = []
        with self._lock:
            for event in events:
                eid = event.get("eid")
                tries = self._tries.pop(eid, 0) + 1
                if tries > max_retries:
                    exhausted.append(event)
                else:
                    self._tries[eid] = tries
                    again.append(event)
        return again, exhausted

    @contextmanager
    def refusing_again(self, events: PayloadDictList) -> Iterator[None]:
        """Let no callback in this thread queue events that are back in the store already."""
        self._here.put_back = {event.get("eid"): None for event in events}
        with self._lock:
            self._put_backs += 1
        try:
            yield
        finally:
            self._here.put_back = None
            with self._lock:
                self._put_backs -= 1

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
            if self._tries:
                for event in events:
                    self._tries.pop(event.get("eid"), None)
        if log:
            logger.warning(
                "Given up (%s): %s%s",
                reason.value,
                events_text(len(events)),
                f", {detail}" if detail else "",
            )
        self.call_back("on_drop", emitter.on_drop, events, reason)

    def call_back(
        self, name: str, callback: Optional[Callable[..., None]], *arguments: object
    ) -> None:
        if callback is None:
            return
        try:
            callback(*arguments)
        except BaseException as error:
            if not self.ends_here(error):
                raise
            logger.exception("%s raised; delivery goes on.", name)

    def ends_here(self, error: BaseException) -> bool:
        """Whether an exception ends here: any in a worker, where `SystemExit` would end no program but the thread."""
        return isinstance(error, Exception) or self._here.is_worker

    def tell_store(self, events: PayloadDictList, *, need_retry: bool) -> None:
        """Tell the store what became of events."""
        if not events:
            return
        try:
            self.store.settle(events, need_retry=need_retry)
        except Exception:
            logger.exception(
                "The event store raised when it was told about %s.", events_text(len(events))
            )

    def account(
        self,
        batch: Batch,
        events: Sequence[PayloadDict],
        *,
        sent: bool = False,
        back: bool = False,
    ) -> None:
        """Take events off those in flight: they were sent, went back to the store, or were given up."""
        if batch.epoch != self.epoch:
            return
        batch.settled.append(events)
        with self._lock:
            count = min(len(events), batch.open)
            batch.open -= count
            self._in_flight -= count
            if not back:
                self._settled += count
            if sent:
                self._sent += len(events)
                if self._tries:
                    for event in events:
                        self._tries.pop(event.get("eid"), None)
            self._changed.notify_all()

    def failed(self, emitter: Sender, outcome: Optional[Outcome], known_failures: int) -> None:
        """Note that the collector is in trouble."""
        with self._lock:
            # Several threads may run into the same outage at once: that is one failure, not several.
            if self.backoff.failures == known_failures or (
                outcome is not None and outcome.retry_after
            ):
                self.backoff.failed(
                    emitter.max_retry_delay_seconds, outcome.retry_after if outcome else None
                )
            self._update_wants_flush()

    def succeeded(self) -> None:
        """Note that the collector is well."""
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

    @contextmanager
    def unasked(self) -> Iterator[None]:
        """Let a flush of this thread respect the delay after a failure: nobody asked for it, a timer makes it."""
        self._here.unasked = True
        try:
            yield
        finally:
            self._here.unasked = False

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
            forced = not self._here.unasked
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
        self._changed.wait(min(remaining, threading.TIMEOUT_MAX))
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
            lifecycle.say(
                "The emitter is closed with %s that could not be sent.%s",
                events_text(unsent),
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
            self.tell_store(left, need_retry=False)
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
        """Whether the calling thread is in the middle of a delivery: a callback or a signal handler is asking."""
        return self._here.in_step or self._here.batch is not None

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
        self.epoch += 1
        self._reset()
        if self.state is not EmitterState.CLOSED:
            self.state = EmitterState.NEW
        if self._workers is not None:
            self._workers.forget()
        self.store.reset_after_fork()


def _send(emitter: Sender, batch: Batch) -> None:
    """Pass a batch to `send_events`, and see to the events that it leaves behind."""
    try:
        emitter.send_events(batch.events)
    except Exception:
        logger.exception("send_events raised: its events will be tried again.")
        batch.put_back(batch.leftovers())
    except BaseException:
        # Somebody wants this thread to stop; the events are not to blame.
        batch.put_back(batch.leftovers())
        raise
    else:
        batch.let_go(batch.leftovers())
