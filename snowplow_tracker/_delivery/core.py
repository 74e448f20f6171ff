"""The shared state of an engine, and the one lock over it."""

from __future__ import annotations

import sys
import threading
import weakref
from contextvars import ContextVar
from typing import Any, Callable, Dict, List, Optional, Tuple

from snowplow_tracker._delivery.breaker import CircuitBreaker
from snowplow_tracker._delivery.demand import Demand, Phase
from snowplow_tracker._delivery.ledger import Batch, Ledger
from snowplow_tracker._delivery.retry import RetryPolicy
from snowplow_tracker._process.locking import (
    Signal,
    held_by_this_thread,
    holds_locks,
    new_lock,
    release_if_leaked,
)

__all__ = ["Core", "Permit", "permit_in_use"]

holds_locks(__file__)


class Permit:
    """Leave to take events and to make requests with them.

    It lives in the frame of the function that asked for it. When an interrupt ends that function at a moment where it
    could not give the permit back, nothing refers to the permit any more, and the core takes it back.

    Attributes:
        number: Permits are numbered in their order.
        generation: Of the circuit breaker, when it was given.
        probing: Whether it is a probe.
        ended: Whether it was given back.
        deadline: When the flush that asked for it ends, in monotonic seconds; None for no end.
        requeued: The ids of the events that went back to the queue and that a callback is being told about.
    """

    __slots__ = (
        "__weakref__",
        "_code",
        "_frame",
        "_thread",
        "core",
        "deadline",
        "ended",
        "generation",
        "number",
        "probing",
        "requeued",
    )

    def __init__(self, core: Core, number: int, generation: int, *, probing: bool) -> None:
        self.core = core
        self.number = number
        self.generation = generation
        self.probing = probing
        self.ended = False
        self.deadline: Optional[float] = None
        self.requeued: Optional[Dict[Any, None]] = None
        holder = sys._getframe(2)
        # Not the frame itself: it refers to the permit, and the two would keep each other alive.
        self._frame = id(holder)
        self._code = holder.f_code
        self._thread = threading.get_ident()

    def is_abandoned_here(self) -> bool:
        """Whether this thread held it, and has left the function that did: somebody keeps the traceback alive."""
        if self._thread != threading.get_ident():
            return False
        frame = sys._getframe(1)
        while frame is not None:
            if id(frame) == self._frame and frame.f_code is self._code:
                return False
            frame = frame.f_back  # type: ignore[assignment]
        return True


_in_use: ContextVar[Tuple[weakref.ReferenceType[Permit], ...]] = ContextVar(
    "snowplow_tracker_permits", default=()
)
"""The permits under which this thread, greenlet or task is at work, the innermost last.

A context variable follows greenlets, whether gevent patched `threading` early, late or never.
"""


def permit_in_use(core: Core) -> Optional[Permit]:
    """Return the permit of this core under which the calling code runs, if there is one."""
    for reference in reversed(_in_use.get()):
        permit = reference()
        if permit is not None and permit.core is core and not permit.ended:
            # A callback that starts a thread or a task may hand its context on.
            if permit._thread != threading.get_ident():
                return None
            if permit.is_abandoned_here():
                core.end_permit(permit)
                continue
            return permit
    return None


class Core:
    """What the threads of one engine share: ledger, circuit breaker, demand and permits.

    Invariant: `lock` is never held over a request, a call of a store, a callback or an import. A forked child gets a new
    core, so that nothing that the parent has under way is counted there.

    Args:
        policy: When to try again.
        clock: Monotonic seconds.
        random: Numbers from 0 to 1.
    """

    def __init__(
        self, policy: RetryPolicy, clock: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self.clock = clock
        self.breaker = CircuitBreaker(policy, clock, random)
        self.demand = Demand()
        self.ledger = Ledger()
        self.permits = 0
        """How many permits were given."""
        self.last_failed = 0
        """The number of the last permit under which an attempt failed."""
        self.max_body_bytes = sys.maxsize
        """The limit that answers of 413 have taught us."""
        self.permits_out: Dict[int, Tuple[weakref.ReferenceType[Permit], bool]] = {}
        """The permits that were not given back, by number, and whether each is a probe."""
        self.set_up_locks()

    def set_up_locks(self) -> None:
        """Make new locks: the threads that held the old ones are gone."""
        self.lock = new_lock()
        self.work = Signal(self.lock)
        """For the threads that send."""
        self.changed = Signal(self.lock)
        """For those who wait for events to be settled."""

    def enter(self) -> None:
        """See to it that no earlier interrupt left this thread with the lock."""
        if held_by_this_thread(self.lock):
            release_if_leaked(self.lock, entered=2)

    def try_begin(self, *, forced: bool) -> Optional[Permit]:
        """Ask for a permit; None where the collector is to be left alone or another thread is probing."""
        with self.lock:
            breaker = self.breaker
            if not breaker.may_begin(forced=forced or self.demand.forced, probing=self.is_probing):
                return None
            self.demand.forced = False
            number = self.permits + 1
            return self._give(Permit(self, number, breaker.generation, probing=breaker.failing))

    def begin(self) -> Permit:
        """Take a permit that needs nobody's leave: somebody called `send_events`."""
        with self.lock:
            return self._give(
                Permit(self, self.permits + 1, self.breaker.generation, probing=False)
            )

    @property
    def is_probing(self) -> bool:
        """Whether a probe is out."""
        return any(probing and ref() is not None for ref, probing in [*self.permits_out.values()])

    def _give(self, permit: Permit) -> Permit:
        self.permits_out[permit.number] = (weakref.ref(permit, self._lost), permit.probing)
        self.permits = permit.number
        alive = tuple(each for each in _in_use.get() if not _is_over(each))
        _in_use.set((*alive, weakref.ref(permit)))
        return permit

    def end_permit(self, permit: Permit) -> None:
        """Take a permit back."""
        with self.lock:
            permit.ended = True
            self.permits_out.pop(permit.number, None)
        _in_use.set(tuple(each for each in _in_use.get() if not _is_over(each)))
        self.changed.notify()
        if self.demand.phase is not Phase.ASLEEP:
            self.work.notify()  # a worker may wait for the end of a probe

    def _lost(self, _: object) -> None:
        """Wake those who wait for a permit that an interrupt ended."""
        if not sys.is_finalizing() and any(
            ref() is None for ref, _ in [*self.permits_out.values()]
        ):
            self.changed.notify()
            self.work.notify()

    def take_back_lost(self) -> List[Batch]:
        """Take back the permits whose holder is gone; return the batches that it left."""
        if len(self.permits_out) == len(self.ledger.batches) == 0:
            return []
        with self.lock:
            for number, (reference, _) in [*self.permits_out.items()]:
                permit = reference()
                if permit is None or permit.is_abandoned_here():
                    self.permits_out.pop(number, None)
            return self.ledger.orphans([*self.permits_out])

    @property
    def is_sending(self) -> bool:
        """Whether a permit is out."""
        return any(ref() is not None for ref, _ in [*self.permits_out.values()])

    def all_ended(self, permits: int) -> bool:
        """Return whether no permit up to this number is out: what it took from the store is in no count yet."""
        return not any(
            number <= permits and ref() is not None
            for number, (ref, _) in [*self.permits_out.items()]
        )

    def renew_after_the_end(self) -> List[Batch]:
        """Go on alone: the interpreter stopped all other threads, wherever they were. Return what they left."""
        self.set_up_locks()
        self.permits_out.clear()
        return [*self.ledger.batches]


def _is_over(reference: weakref.ReferenceType[Permit]) -> bool:
    permit = reference()
    return permit is None or permit.ended
