"""Settling events: they are acknowledged, requeued or dropped, with the store, the ledger and the callbacks."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Callable, Iterator, Optional

from snowplow_tracker._compat.keywords import names_parameter
from snowplow_tracker._delivery import unreported
from snowplow_tracker._delivery.counts import Checkpoint, Counts, Progress, Tally, dropped
from snowplow_tracker._delivery.outcome import Outcome
from snowplow_tracker._delivery.sender import Owner
from snowplow_tracker._delivery.state import (
    Batch,
    Core,
    Permit,
    permit_in_use,
)
from snowplow_tracker._delivery.stats import DeliveryStats, DropReason
from snowplow_tracker._http.endpoint import redact
from snowplow_tracker._messages import events_text
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._protocol import deferred
from snowplow_tracker.event_store import EventStore, InMemoryEventStore
from snowplow_tracker.typing import PayloadDict, PayloadDictList

logger = logging.getLogger("snowplow_tracker.emitters")

in_worker: ContextVar[bool] = ContextVar("snowplow_tracker_worker", default=False)
"""Whether this is a worker thread of an emitter, where an exception would only end the delivery."""

_MAX_SNAPSHOTS = 3
"""How often the counters and the size of the store are read, until they are of one moment."""

_DROPS_IN_A_ROW = 256
"""After this many drops in a row, a thread that tracks in a tight loop lets the threads that send run."""


def passes_on(error: BaseException) -> bool:
    """Return whether an exception has to be raised to the caller: it is meant to stop the calling thread."""
    return is_interrupt(error) and not in_worker.get()


# The originals: a spy that a test puts in their place gets the calls as in 1.1.0.
_OWN_METHODS = {
    name: getattr(InMemoryEventStore, name) for name in ("add_event", "get_events_batch", "cleanup")
}


class StoreAccess:
    """Wraps a store, so that the engine need not know what it offers.

    A store with only the four methods of the protocol gets its calls one at a time, as in 1.1.0. So does a subclass of
    the store in memory, unless it sets `thread_safe` itself or waits for room, which is new. The lock is used for
    nothing else, so that a slow store blocks only its own callers.

    Args:
        store: The store.
        overflow_listener: Called with the events that the store dropped to make room.
        lost_listener: Called with the number of events that the store lost, and how.
        as_text: Whether the values of events have to become strings.
    """

    def __init__(
        self,
        store: EventStore,
        overflow_listener: Callable[[PayloadDictList], None],
        lost_listener: Callable[[int, str], None],
        *,
        as_text: bool,
    ) -> None:
        self.store = store
        self._as_text = as_text
        self._memory: Optional[InMemoryEventStore] = None
        if type(store) is InMemoryEventStore and _is_own(store, "add_event"):
            self._memory = store
            store._returns_text = as_text
            store._keeps_room = True
        self.copies = self._memory is not None
        """Whether the store keeps its own copy, with values in the right form."""
        self.refuses_only_when_full = isinstance(store, InMemoryEventStore) and _is_own(
            store, "add_event"
        )
        """Whether an event that it refuses may have room later. Other stores may have other reasons."""
        self.durable: bool = getattr(store, "durable", False) is True
        self._thread_safe = _is_thread_safe(store)
        self._lock = threading.RLock()
        self._takes_limit: Optional[bool] = None
        self._tally = Tally()
        # One call less per event: the methods of the store itself (fast path).
        self.add: Callable[[PayloadDict], Optional[bool]] = self._add
        self.size: Callable[[], int] = self._size
        """Returns the number of events in the store."""
        if self._memory is not None:
            self.add, self.size = store.add_event, store.size
        self._overflow_listener = overflow_listener
        if hasattr(store, "overflow_listener"):
            store.overflow_listener = overflow_listener
        if hasattr(store, "lost_listener"):
            store.lost_listener = lost_listener

    def _add(self, event: PayloadDict) -> Optional[bool]:
        taken: Optional[bool] = self._call(self.store.add_event, event)
        if taken is not False:  # stores written for 1.1.0 may return None
            self._tally.add()
        return taken

    def _size(self) -> int:
        size: int = self._call(self.store.size)
        return size

    def added(self) -> Optional[int]:
        """Return the number of events added here; None if it is the sum of those queued, in flight and settled."""
        return None if self._memory is not None else self._tally.read()

    def is_in_memory_alone(self) -> bool:
        """Return whether this is the package's own store in memory, which no other emitter has taken over."""
        memory = self._memory
        return memory is not None and memory.overflow_listener is self._overflow_listener

    def count_from_outside(self, count: int) -> None:
        """Count events that are sent without having been added."""
        for _ in range(count):
            self._tally.add()

    def as_returned(self, event: PayloadDict) -> PayloadDict:
        """Return an event that the store refused in the form in which it would have come out."""
        event = event.copy()
        deferred.complete(event)
        return {name: str(event[name]) for name in event} if self._as_text else event

    def take(self, batch: Batch, max_events: int) -> None:
        """Take events out into a batch: at most `max_events`, if the store supports a limit."""
        if self._memory is not None and _is_own(self._memory, "get_events_batch"):
            self._memory._take(max_events, batch.receiving)
            return
        get: Callable[..., Any] = self.store.get_events_batch
        if self._takes_limit is None:
            self._takes_limit = names_parameter(get, "max_events")
        events = self._call(get, max_events=max_events) if self._takes_limit else self._call(get)
        batch.progress = batch.received(list(events or ()))

    def acknowledge(self, events: PayloadDictList, batch: Batch, progress: Progress) -> None:
        """Have the store forget events, and set the progress of their batch."""
        if self._memory is not None and _is_own(self._memory, "cleanup"):
            self._memory._acknowledge(len(events), partial(setattr, batch, "progress", progress))
            return
        # First: after an interrupt in the store, the events must not be settled again.
        batch.progress = progress
        self._call(self.store.cleanup, events, False)

    def requeue(self, events: PayloadDictList, batch: Batch, progress: Progress) -> None:
        """Requeue events, and set the progress of their batch."""
        if self._memory is not None and _is_own(self._memory, "cleanup"):
            self._memory._requeue(events, partial(setattr, batch, "progress", progress))
            return
        self._call(self.store.cleanup, events, True)
        batch.progress = progress

    def cleanup(self, events: PayloadDictList, need_retry: bool) -> None:
        """Pass on a user's own call."""
        self._call(self.store.cleanup, events, need_retry)

    def renew(self, events: PayloadDictList) -> None:
        """Renew the leases of events that are being sent, if the store has leases."""
        self._optional("renew", events)

    def reset_after_fork(self) -> None:
        """Reset the store in a forked child."""
        self._lock = threading.RLock()
        self._tally = Tally()
        self._optional("reset_after_fork")

    def close(self) -> None:
        """Close the store, if it has a `close` method."""
        self._optional("close")

    def _call(self, method: Callable[..., Any], *arguments: object, **named: object) -> Any:
        if self._thread_safe:
            return method(*arguments, **named)
        with self._lock:
            return method(*arguments, **named)

    def _optional(self, name: str, *arguments: object) -> None:
        method = getattr(self.store, name, None)
        if callable(method):
            method(*arguments)


def _is_thread_safe(store: Any) -> bool:
    """Return whether a store may be called concurrently: a subclass of the store in memory has to say so itself."""
    if getattr(store, "thread_safe", False) is not True:
        return False
    if type(store) is InMemoryEventStore or not isinstance(store, InMemoryEventStore):
        return True
    if store.overflow == "block":  # waiting for room, it would keep out those who make it
        return True
    classes = type(store).__mro__
    own = classes[: classes.index(InMemoryEventStore)]
    return "thread_safe" in vars(store) or any("thread_safe" in vars(each) for each in own)


def _is_own(store: InMemoryEventStore, name: str) -> bool:
    return getattr(getattr(store, name), "__func__", None) is _OWN_METHODS[name]


class Settlement:
    """Settles events, whatever requests they were in.

    Args:
        core: The shared state.
        owner: The emitter.
        in_background: Whether worker threads send.
    """

    def __init__(self, core: Core, owner: Owner, *, in_background: bool) -> None:
        self.core = core
        self.store: StoreAccess
        self._last_size = 0
        self.last_reason = ""
        """Why the last attempt failed."""
        self._owner = owner
        self._in_background = in_background

    # Looking

    def size(self) -> int:
        """Return the number of events in the store; the last known one if it raises."""
        return self._size_or(self._last_size)

    def is_empty(self) -> bool:
        """Return whether the store is empty; False if it raises."""
        return self._size_or(1) == 0

    def unsent(self) -> int:
        """Return the number of events that are not delivered yet; never 0 if the store raises."""
        return self.core.unsent(self._size_or(max(1, self._last_size)))

    def _size_or(self, unknown: int) -> int:
        try:
            self._last_size = self.store.size()
        except Exception as error:
            if passes_on(error):
                raise
            logger.exception("The event store raised an error in size().")
            return unknown
        return self._last_size

    def checkpoint(self) -> Checkpoint:
        """Return what has to be settled before a flush that begins now is done."""
        # Before the store is asked: events that are requeued in between would be in neither number.
        in_flight = self.core.ledger.in_flight()
        return self.core.checkpoint(self.size(), in_flight, self.store.added())

    def stats(self) -> DeliveryStats:
        """Take a snapshot of the counters."""
        tries = 0
        while True:
            counts, in_flight = self.core.snapshot()
            added = self.store.added()
            queued = self.size()
            tries += 1
            moved = (counts, in_flight, added) != (*self.core.snapshot(), self.store.added())
            if not moved or tries == _MAX_SNAPSHOTS:
                break
        return DeliveryStats(
            tracked=counts.tracked(queued + in_flight, added),
            queued=queued,
            in_flight=in_flight,
            sent=counts.sent,
            failed_attempts=counts.failed_attempts,
            retried=counts.retried,
            dropped=dict(counts.dropped),
        )

    # Events of a batch

    def sent(self, permit: Permit, events: PayloadDictList) -> None:
        """Acknowledge events that arrived."""
        self.acknowledge(permit.batch, events, Counts(sent=len(events), settled=len(events)))
        self.core.forget_tries(events)
        self.call_back("on_success", permit.sender.on_success, events)
        if self.core.changed.waiting:
            self.core.changed.notify()

    def taken_over(self, batch: Batch, events: PayloadDictList) -> None:
        """Count events as sent that an override of `send_events` has handled itself, as in 1.1.0."""
        if events:
            self.acknowledge(batch, events, Counts(sent=len(events), settled=len(events)))
            self.core.forget_tries(events)
            if not (batch.failed or batch.progress.open):
                self.core.succeeded()  # else a failure before it would never end
            self.core.changed.notify()

    def failed_outside(self, permit: Permit, events: PayloadDictList) -> None:
        """Requeue events that an override of `send_events` could not send: its attempt failed."""
        self.note_failure(permit)
        again, exhausted = self.core.count_tries(events, permit.sender.max_retries)
        self.requeue(permit.batch, again, retried=len(again))
        self.drop(permit.batch, exhausted, DropReason.RETRIES_EXHAUSTED)

    def note_failure(self, permit: Permit) -> None:
        """Note that the attempt of an override of `send_events` failed. It counts once."""
        if not permit.batch.failed:
            permit.batch.failed = True
            self.failed(None, permit.generation)
            self.count_failed_attempts(1)

    def requeue(self, batch: Batch, events: PayloadDictList, *, retried: int = 0) -> None:
        """Requeue events."""
        if events:
            progress = batch.settled(events, Counts(retried=retried))
            try:
                self.store.requeue(events, batch, progress)
            except Exception as error:
                if passes_on(error):
                    raise
                logger.exception(
                    "The event store raised an error when %s were requeued.",
                    events_text(len(events)),
                )
                batch.progress = progress
            self.core.changed.notify()

    def drop(
        self,
        batch: Batch,
        events: PayloadDictList,
        reason: DropReason,
        detail: str = "",
        *,
        reported: bool = False,
    ) -> None:
        """Drop events of a batch: count, log and report them.

        Args:
            batch: Their batch.
            events: The events.
            reason: Why they are dropped.
            detail: The reason in words.
            reported: Whether the caller logs it.
        """
        if events:
            self.acknowledge(batch, events, dropped(len(events), reason, queued=True))
            self._report(events, reason, detail, log=not reported, reported=reported)
            self.core.changed.notify()

    def acknowledge(self, batch: Batch, events: PayloadDictList, counts: Counts) -> None:
        """Settle events, and have the store forget them.

        Args:
            batch: Their batch.
            events: They were sent or dropped.
            counts: Their outcome.
        """
        try:
            self.store.acknowledge(events, batch, batch.settled(events, counts))
        except Exception as error:
            if passes_on(error):
                raise
            logger.exception(
                "The event store raised an error when %s were acknowledged.",
                events_text(len(events)),
            )

    def renew(self, events: PayloadDictList) -> None:
        """Renew the leases of events that are being sent, in a store that has leases."""
        try:
            self.store.renew(events)
        except Exception as error:
            if passes_on(error):
                raise
            logger.exception("The event store raised when leases were renewed.")

    # Events that are in no batch

    def refuse(
        self, events: PayloadDictList, reason: DropReason, detail: str = "", *, log: bool = True
    ) -> None:
        """Drop events that were never queued."""
        self.core.count(dropped(len(events), reason, queued=False))
        self._report(events, reason, detail, log=log)

    def overflowed(self, events: PayloadDictList, *, queued: bool) -> None:
        """Drop events for which the store has no room. Logged once until there is room again."""
        first = self.core.overflowed(len(events), queued=queued)
        if self._in_background and self.core.overflowing % _DROPS_IN_A_ROW == 0:
            time.sleep(0.0002)
        if first:
            logger.error("The event buffer is full: events are being dropped.")
        self._report(events, DropReason.OVERFLOW, "", log=False)

    def lost(self, count: int, what: str) -> None:
        """Count events that the store has lost. No callback can get them."""
        self.core.count(dropped(count, DropReason.LOST, queued=True))
        unreported.note(
            redact(self._owner.get().endpoint), DropReason.LOST, count, f"the queue {what}"
        )
        self.core.changed.notify()

    def overflow_ended(self) -> None:
        """Log that there is room again, if there was none."""
        count = self.core.overflow_ended()
        if count:
            logger.warning(
                "The event buffer has room again. Dropped meanwhile: %s.", events_text(count)
            )

    def _report(
        self,
        events: PayloadDictList,
        reason: DropReason,
        detail: str,
        *,
        log: bool = True,
        reported: bool = False,
    ) -> None:
        self.core.forget_tries(events)
        if log:
            logger.warning(
                "Dropped (%s): %s%s",
                reason.value,
                events_text(len(events)),
                f", {detail}" if detail else "",
            )
        owner = self._owner.get()
        if not reported:
            unreported.note(redact(owner.endpoint), reason, len(events), detail or self.last_reason)
        self.call_back("on_drop", owner.on_drop, events, reason)

    # News about the collector

    def failed(self, outcome: Optional[Outcome], generation: int) -> None:
        """Note a failed attempt."""
        if outcome is not None:
            self.last_reason = outcome.detail
        self.core.failed(
            generation,
            self._owner.get().max_retry_delay_seconds,
            outcome.retry_after if outcome else None,
        )

    def count_failed_attempts(self, count: int) -> None:
        """Count requests that failed."""
        if count:
            self.core.count(Counts(failed_attempts=count))

    # Callbacks

    def call_back(
        self, name: str, callback: Optional[Callable[..., None]], *arguments: object
    ) -> None:
        """Call a user's function. An exception is logged, unless it is meant to stop the calling thread."""
        if callback is None:
            return
        try:
            callback(*arguments)
        except BaseException as error:
            if passes_on(error):
                raise
            logger.exception("%s raised; delivery goes on.", name)

    @contextmanager
    def ignoring(self, events: PayloadDictList) -> Iterator[None]:
        """Ignore events that a callback in this thread tracks although they are requeued already."""
        permit = permit_in_use(self.core)
        if permit is None:
            yield
            return
        permit.requeued = {event.get("eid"): None for event in events}
        try:
            yield
        finally:
            permit.requeued = None
