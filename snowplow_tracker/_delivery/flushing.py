"""Flushing: waiting until what was queued at its beginning is settled."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Callable, Iterator, List, Optional

from snowplow_tracker._delivery.sending import Sending, Step
from snowplow_tracker._delivery.settlement import Settlement
from snowplow_tracker._delivery.state import Checkpoint, Core, Phase
from snowplow_tracker._delivery.stats import EmitterState

__all__ = ["Flushing", "automatic_flush"]

_automatic: ContextVar[bool] = ContextVar("snowplow_tracker_automatic", default=False)

_FIRST_PAUSE, _MAX_PAUSE = 0.005, 0.5
"""Seconds between attempts at a store that holds events and returns none: another process has it locked."""

_PATIENCE = 2.0
"""Seconds after which a flush without a deadline stops asking such a store."""


@contextmanager
def automatic_flush() -> Iterator[None]:
    """Have a flush of this thread respect the delay after a failure: a timer asked for it, not the program."""
    token = _automatic.set(True)
    try:
        yield
    finally:
        _automatic.reset(token)


class Flushing:
    """Has events sent, by this thread or by worker threads, and waits for it.

    A flush ends when the events of its checkpoint are settled, at the first failure if it has no deadline, at its deadline,
    or when the store is empty.

    Args:
        core: The shared state.
        sending: Sends a batch.
        settlement: Counts what is not settled yet.
        look: Asks the store whether it is empty; returns whether everything is done.
        wake: Notes that there are events.
    """

    def __init__(
        self,
        core: Core,
        sending: Sending,
        settlement: Settlement,
        *,
        look: Callable[[], bool],
        wake: Callable[[], object],
    ) -> None:
        self.core = core
        self._sending = sending
        self._settlement = settlement
        self._look = look
        self._wake = wake

    def by_workers(
        self, flush: Callable[[], Any], timeout: Optional[float], alive: Callable[[], bool]
    ) -> int:
        """Ask the worker threads for a flush, and wait for it as long as they are alive."""
        core = self.core
        deadline = None if timeout is None else core.clock() + timeout
        checkpoint = self._settlement.checkpoint()
        flush()
        callbacks: List[int] = []

        def is_over() -> bool:
            if core is not self.core or core.life is EmitterState.CLOSED or not alive():
                return True
            if core.is_reached(checkpoint):
                # The caller expects the callbacks to have been called, too.
                callbacks[:] = callbacks or [core.permits]
                return core.all_ended(callbacks[0])
            if core.demand.phase is Phase.ASLEEP and not core.is_sending:
                return True
            if deadline is not None:
                return False
            on_hold = (
                core.breaker.failing and not core.is_probing and core.breaker.wait(forced=True) > 0
            )
            return core.last_failed > checkpoint.permits or on_hold

        while not is_over():
            self._sending.recover_lost()
            rest = None if deadline is None else deadline - core.clock()
            if rest is not None and rest <= 0:
                break
            if not core.changed.wait(is_over, rest) and rest is None:
                break  # a signal handler must not wait for the thread that it interrupted
        return self._settlement.unsent()

    def here(self, timeout: Optional[float]) -> int:
        """Send in the calling thread."""
        core = self.core
        deadline = None if timeout is None else core.clock() + timeout
        try:
            self._send_to(deadline)
        finally:
            is_done = self._look()
        return 0 if is_done else self._settlement.unsent()

    def _send_to(self, deadline: Optional[float]) -> None:
        core = self.core
        checkpoint = self._settlement.checkpoint()
        if core.demand.phase is Phase.ASLEEP and not core.is_reached(checkpoint):
            self._wake()  # the store has events of an earlier process
        forced = not _automatic.get()
        patience = core.clock() + _PATIENCE
        pause = _FIRST_PAUSE
        while core is self.core and not core.is_reached(checkpoint):  # a callback may fork
            if deadline is not None and core.clock() >= deadline:
                return
            was_failing = core.breaker.failing
            step = self._sending.step(forced=forced, deadline=deadline)
            if core is not self.core:
                return
            if step is Step.SENT:
                forced, pause = False, _FIRST_PAUSE
                if self._asked_again or was_failing:
                    # A callback tracked events and flushed; or events tracked during a retry were only queued.
                    self._asked_again = False
                    checkpoint = self._settlement.checkpoint()
                continue
            if step is Step.FAILED:
                forced = False
                if deadline is None:
                    return
            if step is Step.EMPTY and core.all_ended(checkpoint.permits) and not core.is_sending:
                if core.unsent(self._settlement.size()) == 0 or (
                    deadline is None and core.clock() >= patience
                ):
                    return
                core.changed.wait(lambda: False, self._rest(deadline, pause))
                pause = min(2 * pause, _MAX_PAUSE)
                continue
            if not self._wait_for_others(
                deadline, checkpoint, forced=forced, empty=step is Step.EMPTY
            ):
                return

    _asked_again = False

    def ask_again(self) -> None:
        """Note that a callback asked for a flush of what it tracked."""
        self._asked_again = True

    def _rest(self, deadline: Optional[float], pause: float) -> float:
        return pause if deadline is None else min(pause, max(0.0, deadline - self.core.clock()))

    def _wait_for_others(
        self, deadline: Optional[float], checkpoint: Checkpoint, *, forced: bool, empty: bool
    ) -> bool:
        """Wait until a new attempt makes sense; return False if it does not within the time."""
        core = self.core
        if empty or core.is_probing:
            before = core.permits

            def may_go_on() -> bool:
                if empty:
                    return core.all_ended(before) or core.is_reached(checkpoint)
                return not core.is_probing

            if deadline is None:
                if core.last_failed > checkpoint.permits:
                    return False
                return core.changed.wait(may_go_on, None)
            return core.changed.wait(may_go_on, max(0.0, deadline - core.clock()))
        pause = core.breaker.wait(forced=forced)
        if pause <= 0:
            return True
        if deadline is None:
            return False

        def is_well() -> bool:
            return core.breaker.wait(forced=forced) <= 0 or core.is_reached(checkpoint)

        core.changed.wait(is_well, max(0.0, min(pause, deadline - core.clock())))
        return core.clock() < deadline
