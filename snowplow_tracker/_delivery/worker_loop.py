"""What a worker thread does: it waits until there is something to send, and sends it."""

from __future__ import annotations

import logging
from typing import Callable, Optional

from snowplow_tracker._delivery.sender import Owner
from snowplow_tracker._delivery.sending import Sending, Step
from snowplow_tracker._delivery.settlement import Settlement, in_worker
from snowplow_tracker._delivery.state import Core
from snowplow_tracker._delivery.stats import EmitterState
from snowplow_tracker._process import fork

logger = logging.getLogger("snowplow_tracker.emitters")

_LOOK_AT_THREADS_INTERVAL = 0.2
"""Seconds between two checks whether a process that ends with its threads may end."""


class WorkerLoop:
    """The loop of all worker threads of an engine.

    Args:
        core: The shared state.
        sending: Sends a batch.
        settlement: Knows what is queued.
        owner: The emitter.
        flush_interval: Seconds after which events are sent although the batch is not full; None for never.
        look: Asks the store whether it is empty; returns whether everything is done.
    """

    def __init__(
        self,
        core: Core,
        sending: Sending,
        settlement: Settlement,
        owner: Owner,
        *,
        flush_interval: Optional[float],
        look: Callable[[], bool],
    ) -> None:
        self.core = core
        self._sending = sending
        self._settlement = settlement
        self._owner = owner
        self._flush_interval = flush_interval
        self._look = look

    def run(self) -> None:
        """Send until the emitter is closed or collected."""
        in_worker.set(True)
        while self.wait():
            try:
                owner = self._owner.get()
            except ReferenceError:
                return
            try:
                self.work()
            except BaseException:  # `SystemExit` in a callback would end the thread silently
                logger.exception("A sending thread was interrupted; it continues.")
            del owner

    def wait(self) -> bool:
        """Wait until there is something to send; return False if the thread has to end."""
        core = self.core
        due: Optional[float] = None

        def has_work() -> bool:
            # An event may have come since `due` was computed.
            now_due = self._due_in()
            return core.life is EmitterState.CLOSED or (
                now_due is not None and (due is None or now_due <= 0)
            )

        while core.life is not EmitterState.CLOSED:
            if core is not self.core:
                return False
            due = self._due_in()
            if due is not None and due <= 0:
                return True
            timeout = due
            if fork.ends_with_its_threads():
                if due is None and not core.breaker.failing and fork.may_end():
                    return False
                timeout = min(_LOOK_AT_THREADS_INTERVAL, float("inf") if due is None else due)
            core.work.wait(has_work, timeout)
        return False

    def _due_in(self) -> Optional[float]:
        """Return the seconds until there is something to do; None until the next event."""
        core = self.core
        interval = 0.0 if core.life is EmitterState.CLOSING else self._flush_interval
        due = core.demand.due_in(interval, core.clock())
        if due != 0.0 or not core.breaker.failing:
            return due
        return None if core.is_probing else core.breaker.wait(forced=core.demand.forced)

    def work(self) -> None:
        """Send one batch."""
        step = self._sending.step()
        if step is Step.EMPTY:
            if not self._look():
                self.core.pause()
        elif step.is_sent:
            rest = self._settlement.size()
            if not rest:
                self._look()
            elif rest >= self._owner.get().batch_size:
                self.core.want(1)
