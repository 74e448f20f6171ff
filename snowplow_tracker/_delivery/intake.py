"""Intake: events come into the store, wait for room, or are refused."""

from __future__ import annotations

import logging
from typing import Callable

from snowplow_tracker._delivery.feedback import is_from_log_record
from snowplow_tracker._delivery.flushing import AutomaticFlush
from snowplow_tracker._delivery.sender import Owner, request_seconds
from snowplow_tracker._delivery.settlement import Settlement, passes_on
from snowplow_tracker._delivery.state import Core, permit_in_use
from snowplow_tracker._delivery.stats import DropReason
from snowplow_tracker._process import exit as process_exit
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.event_loops import in_event_loop
from snowplow_tracker._process.locking import is_held_here
from snowplow_tracker.typing import PayloadDict

logger = logging.getLogger("snowplow_tracker.emitters")


class Intake:
    """Adds events to the store. What it cannot add is counted and reported.

    Args:
        core: The shared state.
        settlement: Has the store, and reports what is dropped.
        owner: The emitter.
        waits: Whether a thread that tracks makes room, or waits for it, while the collector accepts events.
        has_workers: Returns whether worker threads make room.
        clock: Monotonic seconds.

    Attributes:
        accepts: Whether events are accepted: not after the emitter was closed.
    """

    def __init__(
        self,
        core: Core,
        settlement: Settlement,
        owner: Owner,
        *,
        waits: bool,
        has_workers: Callable[[], bool],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.core = core
        self.accepts = True
        self._settlement = settlement
        self._owner = owner
        self._waits = waits
        self._has_workers = has_workers
        self._clock = clock
        self._warned_closed = self._warned_feedback = False

    def after_fork(self, core: Core) -> None:
        """Start again in a forked child, with its core."""
        self.core = core
        self._warned_closed = self._warned_feedback = False

    def add(self, event: PayloadDict) -> bool:
        """Add an event to the store. An error of the store is logged; an interrupt is raised.

        Returns:
            Whether the store has it, or is full: then there is something to send.
        """
        core, settlement = self.core, self._settlement
        if core.permits_out and self._is_ignored(event):
            return False
        store = settlement.store
        if not self.accepts:
            self._refuse_closed(event)
            return False
        overflowing = core.overflowing
        try:
            taken = store.add(event)
        except Exception as error:
            if passes_on(error):
                raise
            logger.exception(
                "The event store raised an error in add_event(): the event was dropped."
            )
            settlement.refuse([store.as_returned(event)], DropReason.STORE_FAILED)
            return False
        if taken is False and not self._add_when_there_is_room(event):
            settlement.overflowed([store.as_returned(event)], queued=False)
        elif overflowing and overflowing == core.overflowing:
            settlement.overflow_ended()  # nothing was dropped for this event
        return True

    def _is_ignored(self, event: PayloadDict) -> bool:
        """Return whether an event that was tracked during a delivery must not be queued."""
        permit = permit_in_use(self.core)
        if permit is None:
            return False
        if permit.requeued is not None and event.get("eid") in permit.requeued:
            return True  # `on_failure` tracks events that are requeued already
        if is_from_log_record():
            # An event made from a log record about delivery would cause the next record.
            first, self._warned_feedback = not self._warned_feedback, True
            self._settlement.refuse([event], DropReason.FEEDBACK, log=first)
            return True
        return False

    def _refuse_closed(self, event: PayloadDict) -> None:
        first, self._warned_closed = not self._warned_closed, True
        if first:
            logger.warning("The emitter is closed: events tracked from now on are dropped.")
        event = self._settlement.store.as_returned(event)
        self._settlement.refuse([event], DropReason.EXIT, "tracked after close()", log=False)

    def _add_when_there_is_room(self, event: PayloadDict) -> bool:
        """Make room while the collector accepts events, or wait for it; return whether the event was queued."""
        core, store = self.core, self._settlement.store
        if (
            not self._waits
            or not store.refuses_only_when_full
            or process_exit.is_exiting
            or permit_in_use(core) is not None
            or is_held_here(core.lock)
        ):
            return False
        sender = self._owner.get()
        settled = core.ledger.counts().settled
        deadline = self._clock() + request_seconds(sender)

        def has_changed() -> bool:
            return core.breaker.failing or core.ledger.counts().settled != settled

        while not core.breaker.failing and self.accepts:
            if not self._has_workers():
                with AutomaticFlush(core, one_batch=True):  # no batch can be fuller
                    sender.flush()
            elif in_event_loop():
                return False
            else:
                core.want(1)
                core.changed.wait(has_changed, deadline - self._clock())
            try:
                if store.add(event) is not False:
                    return True
            except Exception as error:
                if passes_on(error):
                    raise
                return False
            if core.ledger.counts().settled != settled:
                settled = core.ledger.counts().settled
                deadline = self._clock() + request_seconds(sender)
            elif not self._has_workers() or self._clock() >= deadline:
                return False
        return False
