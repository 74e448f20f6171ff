"""One round of delivery: a permit, events from the store, and their requests."""

from __future__ import annotations

import enum
import logging
from typing import Callable, Optional

from snowplow_tracker._delivery.dispatch import Dispatch, is_own_method
from snowplow_tracker._delivery.sender import Owner
from snowplow_tracker._delivery.settlement import Settlement, passes_on
from snowplow_tracker._delivery.state import Batch, Core, Permit, Phase, permit_in_use
from snowplow_tracker._delivery.stats import DropReason, EmitterState
from snowplow_tracker.typing import PayloadDictList

__all__ = ["Sending", "Step"]

logger = logging.getLogger("snowplow_tracker.emitters")


class Step(enum.Enum):
    """The result of one round."""

    SENT = "the events of a batch are settled"
    FAILED = "events of a batch were requeued"
    EMPTY = "the store returned no events"
    NOT_NOW = "the delay after a failure is not over, or another thread has the probe"


class Sending:
    """Takes events out of the store, sends and settles them. Every permit that it takes is given back.

    Args:
        core: The shared state.
        settlement: Settles the events.
        dispatch: Makes the requests.
        owner: The emitter.
        wake: Notes that there are events.
    """

    def __init__(
        self,
        core: Core,
        settlement: Settlement,
        dispatch: Dispatch,
        owner: Owner,
        *,
        wake: Callable[[], object],
    ) -> None:
        self.core = core
        self._settlement = settlement
        self._dispatch = dispatch
        self._owner = owner
        self._wake = wake

    def step(self, *, forced: bool = False, deadline: Optional[float] = None) -> Step:
        """Take one batch and send it.

        Args:
            forced: Whether to ignore our own delay after a failure.
            deadline: When requests have to end, on the clock of the core; None for no deadline.
        """
        core = self.core
        self.recover_lost()
        permit = core.try_begin(self._owner.get(), forced=forced)
        if permit is None:
            return Step.NOT_NOW
        try:
            permit.deadline = deadline
            return self._send(permit)
        finally:
            self._end(permit)

    def _send(self, permit: Permit) -> Step:
        core, batch, sender = permit.core, permit.batch, permit.sender
        try:
            self._settlement.store.take(batch, sender.max_batch_events)
        except Exception as error:
            if passes_on(error):
                raise
            logger.exception("The event store raised an error in get_events_batch().")
            self._settlement.failed(None, permit.generation)
            batch.failed = True
            return Step.FAILED
        if not batch.progress.open:
            return Step.EMPTY
        core.taken(len(batch.events))
        try:
            sender.send_events(batch.events)
        except BaseException as error:
            if passes_on(error) or is_own_method(sender.send_events):
                raise
            logger.exception("send_events raised: its events will be tried again.")
            batch.failed = True
            self._settlement.failed(None, permit.generation)
        else:
            if batch.progress.open and core is self._settlement.core:
                # Events that an override of `send_events` has handled itself.
                self._settlement.taken_over(batch, batch.open_events())
        return Step.FAILED if batch.failed else Step.SENT

    def _end(self, permit: Permit) -> None:
        """Requeue what was not settled, and give the permit back."""
        batch = permit.batch
        if batch.progress.open and permit.core is self._settlement.core:
            batch.failed = True
            self._settlement.requeue(batch, batch.open_events())
        core = permit.core
        if (
            batch.failed
            and core.demand.phase is Phase.ASLEEP
            and core.life is not EmitterState.CLOSED
            and core is self._settlement.core
        ):
            # Another thread found the store empty meanwhile; or the events did not come from it.
            self._wake()
        core.end_permit(permit)

    def recover_lost(self) -> None:
        """Requeue the events of interrupted rounds."""
        for batch in self.core.take_back_lost():
            self.requeue_orphan(batch)

    def requeue_orphan(self, batch: Batch) -> None:
        """Requeue the events of a batch whose round was interrupted."""
        self._settlement.requeue(batch, batch.open_events())
        self.core.close_orphan(batch)

    def abandon(self) -> None:
        """Drop the events in the store: they will not be sent."""
        core = self.core
        while True:
            permit = core.begin(self._owner.get())
            batch = permit.batch
            try:
                self._settlement.store.take(batch, permit.sender.max_batch_events)
                if not batch.progress.open:
                    return
                self._settlement.drop(batch, batch.events, DropReason.EXIT, reported=True)
            except Exception as error:
                if passes_on(error):
                    raise
                logger.exception("The event store raised an error in get_events_batch().")
                return
            finally:
                self._end(permit)

    def deliver(self, events: PayloadDictList) -> None:
        """Send events in bounded requests and settle each: what `Emitter.send_events` does."""
        permit = permit_in_use(self.core)
        if permit is not None:
            self._dispatch.deliver(permit, events)
        elif events:
            self._deliver_from_outside(events)

    def _deliver_from_outside(self, events: PayloadDictList) -> None:
        """Send events that a user passed to `send_events`, which are not from the store."""
        permit = self.core.begin(self._owner.get())
        batch = permit.batch
        try:
            batch.progress = batch.received(events)
            self._settlement.store.count_from_outside(len(events))
            self._dispatch.deliver(permit, events)
        finally:
            self._end(permit)
