"""Settling events: they are acknowledged, requeued or dropped, with the store, the ledger and the callbacks."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Callable, Iterator, Optional

from snowplow_tracker._delivery import unreported
from snowplow_tracker._delivery.outcome import Outcome
from snowplow_tracker._delivery.sender import Owner
from snowplow_tracker._delivery.state import (
    Batch,
    Checkpoint,
    Core,
    Counts,
    Permit,
    dropped,
    permit_in_use,
)
from snowplow_tracker._delivery.stats import DeliveryStats, DropReason
from snowplow_tracker._delivery.store_access import StoreAccess
from snowplow_tracker._http.endpoint import redact
from snowplow_tracker._messages import events_text
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker.typing import PayloadDictList

__all__ = ["Settlement", "in_worker", "passes_on"]

logger = logging.getLogger("snowplow_tracker.emitters")

in_worker: ContextVar[bool] = ContextVar("snowplow_tracker_worker", default=False)
"""Whether this is a worker thread of an emitter, where an exception would only end the delivery."""

_DROPS_IN_A_ROW = 256
"""After this many drops in a row, a thread that tracks in a tight loop lets the threads that send run."""


def passes_on(error: BaseException) -> bool:
    """Return whether an exception has to be raised to the caller: it is meant to stop the calling thread."""
    return is_interrupt(error) and not in_worker.get()


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
        return self.core.stats(self.size, self.store.added)

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
            self.core.succeeded()  # else a failure before it would never end
            self.acknowledge(batch, events, Counts(sent=len(events), settled=len(events)))
            self.core.changed.notify()

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
