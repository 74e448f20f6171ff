"""Flushing: waiting until what was queued at its beginning is settled."""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import Any, Callable, Optional

from snowplow_tracker._delivery.counts import Checkpoint
from snowplow_tracker._delivery.sender import Owner, request_seconds
from snowplow_tracker._delivery.sending import Sending, Step
from snowplow_tracker._delivery.settlement import Settlement
from snowplow_tracker._delivery.state import Core, Phase
from snowplow_tracker._delivery.stats import EmitterState

_PATIENCE = 2.0
"""Seconds after which a flush without a deadline stops asking a store that holds events and returns none."""


class AutomaticFlush:
    """A context in which this thread flushes an engine because it or a timer asked for it, not the program.

    Such a flush respects the delay after a failure. It goes through the emitter's `flush()`, which users override, and so
    cannot be an argument. Flushes of other engines, as in a callback, are not affected.

    Args:
        core: Of the engine.
        one_batch: Whether it ends after one batch, because the thread is the program's: a timer sends the rest.
    """

    def __init__(self, core: Core, *, one_batch: bool = False) -> None:
        self._core = core
        self._outer = _automatic.get()
        self.one_batch = one_batch

    def __enter__(self) -> None:
        # A weak reference: an interrupt between this call and the block would leave a strong one for ever.
        _automatic.set(weakref.ref(self))

    def __exit__(self, *_: object) -> None:
        _automatic.set(self._outer)

    @staticmethod
    def of(core: Core) -> Optional[AutomaticFlush]:
        """Return the context of this thread for an engine, if there is one."""
        reference = _automatic.get()
        context = None if reference is None else reference()
        return context if context is not None and context._core is core else None


_automatic: ContextVar[Optional[weakref.ReferenceType[AutomaticFlush]]] = ContextVar(
    "snowplow_tracker_automatic", default=None
)


class Flushing:
    """Has events sent, by this thread or by worker threads, and waits for it.

    A flush ends when the events of its checkpoint are settled, at the first failure if it has no deadline, at its deadline,
    or when the store is empty; an automatic one of the program's thread after one batch.

    Args:
        core: The shared state.
        sending: Sends a batch.
        settlement: Counts what is not settled yet.
        owner: The emitter.
        look: Asks the store whether it is empty; returns whether everything is done.
        wake: Notes that there are events.
    """

    def __init__(
        self,
        core: Core,
        sending: Sending,
        settlement: Settlement,
        owner: Owner,
        *,
        look: Callable[[], bool],
        wake: Callable[[], object],
    ) -> None:
        self.core = core
        self._sending = sending
        self._settlement = settlement
        self._owner = owner
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

        def is_stopped() -> bool:
            return core is not self.core or core.life is EmitterState.CLOSED or not alive()

        def is_over() -> bool:
            if is_stopped() or core.is_reached(checkpoint):
                return True
            if core.demand.phase is Phase.ASLEEP and not core.is_sending:
                return True
            if deadline is not None:
                return False
            on_hold = (
                core.breaker.failing and not core.is_probing and core.breaker.wait(forced=True) > 0
            )
            return core.last_failed > checkpoint.permits or on_hold

        self._wait(is_over, deadline)
        if core.is_reached(checkpoint):
            # The caller expects the callbacks to have been called, too.
            permits = core.permits
            self._wait(lambda: is_stopped() or core.all_ended(permits), deadline)
        return self._settlement.unsent()

    def _wait(self, is_over: Callable[[], bool], deadline: Optional[float]) -> None:
        core = self.core
        while not is_over():
            self._sending.recover_lost()
            rest = None if deadline is None else deadline - core.clock()
            if rest is not None and rest <= 0:
                return
            if not core.changed.wait(is_over, rest) and rest is None:
                return  # a signal handler must not wait for the thread that it interrupted

    def here(self, timeout: Optional[float]) -> int:
        """Send in the calling thread."""
        core = self.core
        deadline = None if timeout is None else core.clock() + timeout
        automatic = AutomaticFlush.of(core)
        try:
            if automatic is not None and automatic.one_batch and deadline is None:
                self._send_batch()
            else:
                self._send_to(deadline, forced=automatic is None)
        finally:
            is_done = self._look()
        return 0 if is_done else self._settlement.unsent()

    def _send_batch(self) -> None:
        """Send one batch, or wait for another thread that is sending it, for as long as a request may take."""
        core, sender = self.core, self._owner.get()
        batch_size = max(1, sender.batch_size)
        while True:
            step = self._sending.step(one_batch=True)
            if core is not self.core:  # a callback may fork
                return
            rest = self._settlement.size()
            # A callback may have tracked a batch, which its `track()` would have sent.
            if step is not Step.SENT_AND_ASKED or rest > batch_size:
                break
        if rest >= batch_size:
            core.has_backlog = True
        elif step is Step.EMPTY:
            permits, until = core.permits, core.clock() + request_seconds(sender)
            while not core.all_ended(permits) and core.changed.wait(
                lambda: core.all_ended(permits), until - core.clock()
            ):
                pass

    def _send_to(self, deadline: Optional[float], *, forced: bool) -> None:
        core = self.core
        core.has_backlog = False
        checkpoint = self._settlement.checkpoint()
        if core.demand.phase is Phase.ASLEEP and not core.is_reached(checkpoint):
            self._wake()  # the store has events of an earlier process
        patience = core.clock() + _PATIENCE
        while core is self.core and not core.is_reached(checkpoint):  # a callback may fork
            if deadline is not None and core.clock() >= deadline:
                return
            was_failing = core.breaker.failing
            step = self._sending.step(forced=forced, deadline=deadline)
            if core is not self.core:
                return
            if step.is_sent:
                forced = False
                if step is Step.SENT_AND_ASKED or was_failing:
                    # A callback tracked events and flushed; or events tracked during a retry were only queued.
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
                pause = core.pause()
                rest = pause if deadline is None else deadline - core.clock()
                core.changed.wait(lambda: False, max(0.0, min(pause, rest)))
                continue
            if not self._wait_for_others(
                deadline, checkpoint, forced=forced, empty=step is Step.EMPTY
            ):
                return

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
