"""What becomes of events: acknowledged, requeued or dropped, with the store, the ledger and the callbacks."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Callable, Iterator, Optional

from snowplow_tracker._delivery import untold
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
"""Whether this thread is one of an emitter's own, where an exception would end nothing but deliveries."""

_DROPS_IN_A_ROW = 256
"""So often, a thread that tracks in a tight loop into a full queue lets a thread that sends have the interpreter."""


def passes_on(error: BaseException) -> bool:
    """Return whether an exception has to come out of the tracker: somebody wants the calling thread to stop."""
    return is_interrupt(error) and not in_worker.get()


class Settlement:
    """Settles events. It knows nothing of batches as requests, only of events and of what became of them.

    Args:
        core: The shared state.
        owner: The emitter.
        in_background: Whether threads of our own send, beside those that track.
    """

    def __init__(self, core: Core, owner: Owner, *, in_background: bool) -> None:
        self.core = core
        self.store: StoreAccess
        self.last_reason = ""
        """Why the last attempt failed."""
        self._owner = owner
        self._in_background = in_background

    # Looking

    def size(self) -> int:
        """Return how many events the store has."""
        try:
            return self.store.size()
        except Exception as error:
            if passes_on(error):
                raise
            logger.exception("The event store raised instead of telling its size.")
            return 0

    def unsent(self) -> int:
        """Return how many events are not delivered yet."""
        return self.core.unsent(self.size())

    def checkpoint(self) -> Checkpoint:
        """Note what is to be settled before a flush that begins now is done."""
        # Before the store is asked: what is requeued meanwhile is missing from its answer and from the later count.
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
        """Take events as sent that an override of `send_events` saw to itself, as it could in 1.1.0."""
        if events:
            self.acknowledge(batch, events, Counts(sent=len(events), settled=len(events)))
            self.core.changed.notify()

    def requeue(self, batch: Batch, events: PayloadDictList, *, retried: int = 0) -> None:
        """Have events tried again."""
        if events:
            progress = batch.settled(events, Counts(retried=retried))
            try:
                self.store.requeue(events, batch, progress)
            except Exception as error:
                if passes_on(error):
                    raise
                logger.exception(
                    "The event store raised when it was given %s back.", events_text(len(events))
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
        told: bool = False,
    ) -> None:
        """Drop events of a batch: count, log and report them.

        Args:
            batch: Theirs.
            events: The events.
            reason: Why they are dropped.
            detail: The reason in words.
            told: The log says it otherwise.
        """
        if events:
            self.acknowledge(batch, events, dropped(len(events), reason, queued=True))
            self._report(events, reason, detail, log=not told, told=told)
            self.core.changed.notify()

    def acknowledge(self, batch: Batch, events: PayloadDictList, counts: Counts) -> None:
        """Settle events that the store may forget.

        Args:
            batch: Theirs.
            events: They were sent or dropped.
            counts: What became of them.
        """
        try:
            self.store.acknowledge(events, batch, batch.settled(events, counts))
        except Exception as error:
            if passes_on(error):
                raise
            logger.exception(
                "The event store raised when it was told about %s.", events_text(len(events))
            )

    def renew(self, events: PayloadDictList) -> None:
        """Tell a store with leases that events are still being sent."""
        try:
            self.store.renew(events)
        except Exception as error:
            if passes_on(error):
                raise
            logger.exception("The event store raised when leases were renewed.")

    # Events that are in no batch

    def refuse(self, events: PayloadDictList, reason: DropReason, *, log: bool = True) -> None:
        """Drop events that were never queued."""
        self.core.count(dropped(len(events), reason, queued=False))
        self._report(events, reason, "", log=log)

    def overflowed(self, events: PayloadDictList, *, queued: bool) -> None:
        """Drop events for which the store had no room. Logged once, until there is room again."""
        first = self.core.overflowed(len(events), queued=queued)
        if self._in_background and self.core.overflowing % _DROPS_IN_A_ROW == 0:
            time.sleep(0.0002)
        if first:
            logger.error("The event buffer is full: events are being dropped.")
        self._report(events, DropReason.OVERFLOW, "", log=False)

    def lost(self, count: int, what: str) -> None:
        """Count events that the store has lost, which nobody can be handed."""
        self.core.count(dropped(count, DropReason.LOST, queued=True))
        untold.note(redact(self._owner.get().endpoint), DropReason.LOST, count, f"the queue {what}")
        self.core.changed.notify()

    def overflow_ended(self) -> None:
        """Say that there is room again."""
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
        told: bool = False,
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
        if not told:
            untold.note(redact(owner.endpoint), reason, len(events), detail or self.last_reason)
        self.call_back("on_drop", owner.on_drop, events, reason)

    # News about the collector

    def failed(self, outcome: Optional[Outcome], generation: int) -> None:
        """Note that the collector is failing."""
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
        """Call a user's function. What it raises is logged, unless it is meant to stop the calling thread."""
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
        """Let no callback in this thread queue events again that are back in the queue already."""
        permit = permit_in_use(self.core)
        if permit is None:
            yield
            return
        permit.requeued = {event.get("eid"): None for event in events}
        try:
            yield
        finally:
            permit.requeued = None
