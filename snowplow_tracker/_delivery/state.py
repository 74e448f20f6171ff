"""The state of an engine: state machines that know no thread and no store, and the one lock over them.

`Ledger`, `CircuitBreaker` and `Demand` are pure: tests move their clock. `Core` owns them and the permits. Nobody outside
this module takes its lock, and no function of this module makes a request, calls a store or a callback, or imports.
"""

from __future__ import annotations

import enum
import sys
import threading
import weakref
from contextvars import ContextVar
from functools import partial
from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from snowplow_tracker._delivery.retry import Backoff, RetryPolicy
from snowplow_tracker._delivery.sender import Sender
from snowplow_tracker._delivery.stats import DeliveryStats, DropReason, EmitterState
from snowplow_tracker._process.locking import LockOrder, Signal, new_lock, release_if_leaked
from snowplow_tracker.typing import PayloadDict, PayloadDictList

__all__ = [
    "Batch",
    "Checkpoint",
    "CircuitBreaker",
    "Core",
    "Counts",
    "Demand",
    "Ledger",
    "Permit",
    "Phase",
    "Progress",
    "dropped",
    "permit_in_use",
]

_NONE_DROPPED: Mapping[DropReason, int] = MappingProxyType({})


class Counts(NamedTuple):
    """What became of events and requests."""

    sent: int = 0
    settled: int = 0
    """Events that left the queue for good: sent, or dropped after they were queued."""
    failed_attempts: int = 0
    retried: int = 0
    dropped: Mapping[DropReason, int] = _NONE_DROPPED

    @property
    def total_dropped(self) -> int:
        """All that were dropped, for whatever reason."""
        return sum(self.dropped.values())

    def plus(self, other: Counts) -> Counts:
        """Return the sum of both."""
        dropped = self.dropped
        if other.dropped:
            dropped = {
                reason: self.dropped.get(reason, 0) + other.dropped.get(reason, 0)
                for reason in [*self.dropped, *(r for r in other.dropped if r not in self.dropped)]
            }
        return Counts(
            self.sent + other.sent,
            self.settled + other.settled,
            self.failed_attempts + other.failed_attempts,
            self.retried + other.retried,
            dropped,
        )


NOTHING = Counts()


class Progress(NamedTuple):
    """Where a batch is: the events that are still to be settled, and what became of the others."""

    open: Mapping[int, PayloadDict]
    """By identity: a callback or an override may hold equal copies."""
    counts: Counts = NOTHING


class Batch:
    """Events that the store handed out.

    Invariant: each event is in `progress.open` until it is settled, once. An event and the count of what became of it
    change in one assignment, so that an interrupt finds both or neither.

    Args:
        permit: The number of the permit under which they are sent.
    """

    __slots__ = ("events", "failed", "permit", "progress")

    def __init__(self, permit: int) -> None:
        self.permit = permit
        self.events: PayloadDictList = []
        self.progress = Progress({})
        self.failed = False

    def received(self, events: PayloadDictList) -> Progress:
        """Return the progress of a batch that has just got these events."""
        self.events = events
        return Progress({id(event): event for event in events})

    def receiving(self, events: PayloadDictList) -> Callable[[], object]:
        """Return the call by which it gets these events, as `all_at_once` takes it."""
        return partial(setattr, self, "progress", self.received(events))

    def open_events(self) -> PayloadDictList:
        """Return the events that are still to be settled, in their order."""
        return [*self.progress.open.values()]

    def settled(self, events: Sequence[PayloadDict], counts: Counts) -> Progress:
        """Return the progress after these events are settled; assigned to `progress`, it is made."""
        progress = self.progress
        gone = {id(event) for event in events}
        left = {key: event for key, event in progress.open.items() if key not in gone}
        return Progress(left, progress.counts.plus(counts))


class Checkpoint(NamedTuple):
    """What a flush waits for: what was not delivered when it began."""

    settled: int
    """The count of settled events that has to be reached."""
    tracked: int
    """The count of sent and dropped events that has to be reached."""
    permits: int
    """The last permit that was given before."""


class Ledger:
    """Counts what becomes of events. Not thread-safe: its owner holds a lock.

    Invariant: tracked = queued + in flight + sent + dropped. Nobody else writes these numbers; the batches in flight are
    kept here too, because an event leaves a batch and is counted in one assignment.
    """

    def __init__(self) -> None:
        self._state: Tuple[Counts, Tuple[Batch, ...]] = (NOTHING, ())

    @property
    def batches(self) -> Tuple[Batch, ...]:
        """The batches in flight."""
        return self._state[1]

    def add(self, counts: Counts) -> None:
        """Count what concerns no batch."""
        base, batches = self._state
        self._state = (base.plus(counts), batches)

    def open(self, batch: Batch) -> None:
        """Begin to count the events of a batch as in flight."""
        base, batches = self._state
        self._state = (base, (*batches, batch))

    def close(self, batch: Batch) -> None:
        """End a batch whose events are settled."""
        base, batches = self._state
        if batch in batches:
            rest = tuple(each for each in batches if each is not batch)
            self._state = (base.plus(batch.progress.counts), rest)

    def counts(self) -> Counts:
        """Return the counts up to now."""
        total, batches = self._state
        for batch in batches:
            total = total.plus(batch.progress.counts)
        return total

    def in_flight(self) -> int:
        """Return how many events are being sent."""
        return sum(len(batch.progress.open) for batch in self._state[1])

    def orphans(self, permits: Sequence[int]) -> List[Batch]:
        """Return the batches in flight whose permit is none of these."""
        return [batch for batch in self._state[1] if batch.permit not in permits]


def dropped(count: int, reason: DropReason, *, queued: bool) -> Counts:
    """Return the counts for events that are dropped.

    Args:
        count: How many.
        reason: Why.
        queued: Whether they had been in the queue: then they count as settled.
    """
    return Counts(settled=count if queued else 0, dropped={reason: count})


class CircuitBreaker:
    """Lets requests through while the collector is well, and one probe at a time while it is failing.

    Not thread-safe: its owner holds a lock.

    Invariant: while failing, at most one probe is out. The failures of one generation count once: several threads may run
    into the same outage at once. A `Retry-After` of the collector holds whoever asks for an attempt.
    """

    def __init__(
        self, policy: RetryPolicy, clock: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self._backoff = Backoff(policy, clock, random)
        self.failing = False
        """Whether the last attempt failed."""

    @property
    def generation(self) -> int:
        """How many attempts in a row failed: attempts that begin now belong to it."""
        return self._backoff.failures

    @property
    def delay(self) -> float:
        """Seconds from the last failed attempt to the next; 0 while the collector is well."""
        return self._backoff.delay

    def wait(self, *, forced: bool) -> float:
        """Return the seconds until an attempt may be made.

        Args:
            forced: Somebody asked for an attempt: our own delay does not count, the collector's wish still does.
        """
        return self._backoff.wait(forced=forced)

    def may_begin(self, *, forced: bool, probing: bool) -> bool:
        """Return whether an attempt may be made.

        Args:
            forced: Somebody asked for it.
            probing: Whether a probe is out.
        """
        return not self.failing or (not probing and self.wait(forced=forced) <= 0)

    def failed(self, generation: int, cap: float, retry_after: Optional[str] = None) -> None:
        """Note a failed attempt.

        Args:
            generation: To which the attempt belongs.
            cap: The longest delay, in seconds.
            retry_after: The header of the answer.
        """
        if self._backoff.failures == generation or retry_after:
            self._backoff.failed(cap, retry_after)
            self.failing = True

    def succeeded(self) -> None:
        """Note that the collector is well."""
        self._backoff.succeeded()
        self.failing = False


_FIRST_PAUSE, _MAX_PAUSE = 0.005, 1.0
"""Seconds between looks into a store that holds events and hands out none."""


class Phase(enum.Enum):
    """Whether somebody has to see to the queue."""

    ASLEEP = "the queue is empty, and the next event has to wake us"
    LOOKING = "the queue seemed empty, and is being looked at"
    AWAKE = "there may be events in the queue"


class Demand:
    """What is to be sent now. Not thread-safe: its owner holds a lock.

    Invariant: it is ASLEEP only after the store was looked at, while LOOKING, and found empty. An event that comes in
    meanwhile makes it AWAKE, so that none is left behind.

    Attributes:
        wanted: So many events are to be sent although no batch is full.
        forced: Whether somebody asked for an attempt in spite of the delay after a failure.
        since: When the oldest event began to wait, on the clock of the owner.
    """

    def __init__(self) -> None:
        self.phase = Phase.ASLEEP
        self.wanted = 0
        self.forced = False
        self.since = 0.0
        self._pause = 0.0
        self._paused_until = 0.0

    def wake(self, now: float) -> None:
        """There are events."""
        if self.phase is Phase.ASLEEP:
            self.since = now
        self.phase = Phase.AWAKE

    def begin_to_look(self) -> None:
        """The store handed out nothing: it has to be asked whether it is empty."""
        if self.phase is Phase.AWAKE:
            self.phase = Phase.LOOKING

    def looked(self, *, empty: bool) -> bool:
        """Take the answer of the store; return whether everything is done."""
        if self.phase is Phase.LOOKING:
            if empty:
                self.phase = Phase.ASLEEP
                self.wanted = 0
            else:
                self.phase = Phase.AWAKE
        return self.phase is Phase.ASLEEP

    def want(self, count: int, *, forced: bool = False) -> None:
        """Ask for so many events to be sent."""
        self.wanted = max(self.wanted, count)
        self.forced = self.forced or forced

    def pause(self, now: float) -> None:
        """Look again later: the store holds events and hands out none, since somebody else has it locked."""
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _MAX_PAUSE)
        self._paused_until = now + self._pause

    def taken(self, count: int, now: float) -> None:
        """Note that so many events were taken out to be sent."""
        self.wanted = max(0, self.wanted - count)
        self.since = now
        self._pause = self._paused_until = 0.0

    def due_in(self, interval: Optional[float], now: float) -> Optional[float]:
        """Return the seconds until something is to be sent; None when only an event or a flush can change that.

        Args:
            interval: After how many seconds events are sent although no batch is full; None for never.
            now: The time.
        """
        if self.phase is Phase.ASLEEP:
            return None
        pause = max(0.0, self._paused_until - now)
        if self.wanted > 0:
            return pause
        if interval is None:
            return None
        return max(pause, self.since + interval - now)


class Permit:
    """Leave to take a batch of events and to make requests with them.

    It lives in the frame of the function that asked for it. When an interrupt ends that function at a moment where it
    could not give the permit back, nothing refers to the permit any more, and the core takes it back.

    Attributes:
        sender: The emitter, which stays alive as long as its permit is out.
        batch: The events that are sent under it.
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
        "batch",
        "core",
        "deadline",
        "ended",
        "generation",
        "number",
        "probing",
        "requeued",
        "sender",
    )

    def __init__(
        self, core: Core, sender: Sender, number: int, generation: int, *, probing: bool
    ) -> None:
        self.core = core
        self.sender = sender
        self.batch = Batch(number)
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

    def is_of_this_thread(self) -> bool:
        """Whether this thread asked for it. A callback that starts a thread or a task may hand its context on."""
        return self._thread == threading.get_ident()

    def is_abandoned_here(self) -> bool:
        """Whether this thread held it, and has left the function that did: somebody keeps the traceback alive."""
        if not self.is_of_this_thread():
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
            if not permit.is_of_this_thread():
                return None
            if permit.is_abandoned_here():
                core.end_permit(permit)
                continue
            return permit
    return None


class Core:
    """What the threads of one engine share: its life, ledger, circuit breaker, demand, permits and retry budget.

    Invariant: ledger, circuit breaker, demand, permits and retry budget change under `lock`, which only methods of this
    class take; it is never held over a request, a call of a store, a callback or an import. A forked child gets a new
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
        self.life = EmitterState.NEW
        """Only `Engine` changes it."""
        self.breaker = CircuitBreaker(policy, clock, random)
        self.demand = Demand()
        self.ledger = Ledger()
        self.permits = 0
        """How many permits were given."""
        self.last_failed = 0
        """The number of the last permit under which an attempt failed."""
        self.max_body_bytes = sys.maxsize
        """The limit that answers of 413 have taught us."""
        self.overflowing = 0
        """How many events were dropped since the queue became full; 0 while it has room."""
        self.permits_out: Dict[int, Tuple[weakref.ReferenceType[Permit], bool]] = {}
        """The permits that were not given back, by number, and whether each is a probe."""
        self._tries: Dict[Any, int] = {}
        self.set_up_locks()

    def set_up_locks(self) -> None:
        """Make new locks: the threads that held the old ones are gone."""
        self.lock = new_lock(LockOrder.CORE)
        self.work = Signal(self.lock)
        """For the threads that send."""
        self.changed = Signal(self.lock)
        """For those who wait for events to be settled."""

    def enter(self) -> Optional[Permit]:
        """Begin a call from outside: no earlier interrupt may have left this thread with the lock.

        Returns:
            The permit under which the calling code runs: a callback or a signal handler is asking.
        """
        if self.lock.is_held_here():
            release_if_leaked(self.lock, file=__file__)
        return permit_in_use(self)

    # Permits

    def try_begin(self, sender: Sender, *, forced: bool) -> Optional[Permit]:
        """Ask for a permit; None where the collector is to be left alone or another thread is probing."""
        with self.lock:
            breaker = self.breaker
            if not breaker.may_begin(forced=forced or self.demand.forced, probing=self.is_probing):
                return None
            self.demand.forced = False
            number, generation = self.permits + 1, breaker.generation
            return self._give(Permit(self, sender, number, generation, probing=breaker.failing))

    def begin(self, sender: Sender) -> Permit:
        """Take a permit that needs nobody's leave: somebody called `send_events`."""
        with self.lock:
            number, generation = self.permits + 1, self.breaker.generation
            return self._give(Permit(self, sender, number, generation, probing=False))

    def _give(self, permit: Permit) -> Permit:
        self.permits_out[permit.number] = (weakref.ref(permit, self._lost), permit.probing)
        self.permits = permit.number
        self.ledger.open(permit.batch)
        alive = tuple(each for each in _in_use.get() if not _is_over(each))
        _in_use.set((*alive, weakref.ref(permit)))
        return permit

    def end_permit(self, permit: Permit) -> None:
        """Take a permit back, with its batch if its events are settled."""
        with self.lock:
            if permit.batch.failed:
                self.last_failed = max(self.last_failed, permit.number)
                self.demand.want(1)
            if (
                not permit.batch.progress.open
            ):  # else it was abandoned: `take_back_lost` finds what it left
                self.ledger.close(permit.batch)
            permit.ended = True
            self.permits_out.pop(permit.number, None)
        _in_use.set(tuple(each for each in _in_use.get() if not _is_over(each)))
        if self.changed.waiting:
            self.changed.notify()
        if self.work.waiting and self.demand.phase is not Phase.ASLEEP:
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

    def close_orphan(self, batch: Batch) -> None:
        """End a batch whose permit was taken back, and whose events are in the queue again."""
        with self.lock:
            self.ledger.close(batch)
            self.demand.want(1)

    @property
    def is_probing(self) -> bool:
        """Whether a probe is out."""
        return any(probing and ref() is not None for ref, probing in [*self.permits_out.values()])

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

    # Demand

    def wake(self, hold: Callable[[], object]) -> None:
        """Note that there are events.

        Args:
            hold: Keeps the emitter alive from here on, under the lock: another thread may be about to find that nothing is left.
        """
        with self.lock:
            hold()
            # Notified before the phase changes: an interrupt in between has the next event do both again.
            if self.work.waiting:
                self.work.notify()
            self.demand.wake(self.clock())

    def want(self, count: int, *, forced: bool = False) -> None:
        """Ask the threads that send for so many events.

        Args:
            count: How many.
            forced: In spite of the delay after a failure.
        """
        with self.lock:
            self.demand.want(count, forced=forced)
            self.work.notify()

    def want_nothing(self) -> None:
        """Take back what was asked for."""
        with self.lock:
            self.demand.wanted = 0

    def pause(self) -> None:
        """Look into the store again later: somebody else has it locked."""
        with self.lock:
            self.demand.pause(self.clock())

    def taken(self, count: int) -> None:
        """Note that so many events were taken out to be sent."""
        with self.lock:
            self.demand.taken(count, self.clock())
        if self.demand.wanted > 0:
            self.work.notify()

    def begin_to_look(self) -> bool:
        """Begin to look whether the store is empty; False where somebody is sending, who will look himself."""
        with self.lock:
            if self.is_sending:
                return False
            self.demand.begin_to_look()
            return True

    def looked(self, *, empty: bool, release: Callable[[], object]) -> bool:
        """Take the answer of the store; return whether everything is done.

        Args:
            empty: What it was.
            release: Lets the emitter go once everything is done, under the lock, as `wake` holds it.
        """
        with self.lock:
            done = self.demand.looked(empty=empty)
            if done:
                release()
        if self.changed.waiting:
            self.changed.notify()
        return done

    # Counts

    def count(self, counts: Counts) -> None:
        """Count what concerns no batch."""
        with self.lock:
            self.ledger.add(counts)

    def unsent(self, queued: int) -> int:
        """Return how many events are not delivered yet, with as many in the store."""
        return queued + self.ledger.in_flight()

    def checkpoint(self, queued: int, in_flight: int, added: Optional[int]) -> Checkpoint:
        """Note what is to be settled before a flush that begins now is done.

        What is queued was counted first, and what is settled is counted now: that errs on the side of waiting too long, from
        which an empty queue rescues.

        Args:
            queued: How many events the store has.
            in_flight: How many were being sent before it was asked.
            added: How many were added to it; None where that is what is left, being sent and gone.
        """
        with self.lock:
            counts = self.ledger.counts()
            unsent = queued + max(in_flight, self.ledger.in_flight())
            return Checkpoint(
                counts.settled + unsent, _tracked(unsent, added, counts), self.permits
            )

    def is_reached(self, checkpoint: Checkpoint) -> bool:
        """Return whether all that a checkpoint noted is settled."""
        # Both counts are needed: events between the store and a batch are missing from the first, those that an
        # earlier process left in the store from the second.
        counts = self.ledger.counts()
        return (
            counts.settled >= checkpoint.settled
            and counts.sent + counts.total_dropped >= checkpoint.tracked
            and self.all_ended(checkpoint.permits)
        )

    def stats(self, queued: Callable[[], int], added: Callable[[], Optional[int]]) -> DeliveryStats:
        """Take a snapshot of the counters.

        Args:
            queued: Asks the store how many events it has.
            added: Tells how many were added to it; None where that is what is left, being sent and gone.
        """
        with self.lock:
            counts, in_flight = self.ledger.counts(), self.ledger.in_flight()
        waiting = queued()
        return DeliveryStats(
            tracked=_tracked(waiting + in_flight, added(), counts),
            queued=waiting,
            in_flight=in_flight,
            sent=counts.sent,
            failed_attempts=counts.failed_attempts,
            retried=counts.retried,
            dropped=dict(counts.dropped),
        )

    def overflowed(self, count: int, *, queued: bool) -> bool:
        """Count events for which there was no room; return whether they are the first since there was.

        Args:
            count: How many.
            queued: Whether they had been in the queue.
        """
        with self.lock:
            self.ledger.add(dropped(count, DropReason.OVERFLOW, queued=queued))
            first = self.overflowing == 0
            self.overflowing += count
            return first

    def overflow_ended(self) -> int:
        """Note that there is room again; return how many events were dropped meanwhile."""
        with self.lock:
            count, self.overflowing = self.overflowing, 0
            return count

    # The collector

    def failed(self, generation: int, cap: float, retry_after: Optional[str]) -> None:
        """Note a failed attempt, as `CircuitBreaker.failed`."""
        with self.lock:
            self.breaker.failed(generation, cap, retry_after)
        self.changed.notify()

    def succeeded(self) -> None:
        """Note that the collector is well."""
        if self.breaker.failing:
            with self.lock:
                self.breaker.succeeded()

    # Retry budget

    def count_tries(
        self, events: PayloadDictList, max_retries: Optional[int]
    ) -> Tuple[PayloadDictList, PayloadDictList]:
        """Part the events that may be tried again from those that were tried too often."""
        if max_retries is None:
            return events, []
        again: PayloadDictList = []
        exhausted: PayloadDictList = []
        with self.lock:
            for event in events:
                eid = event.get("eid")
                tries = self._tries.get(eid, 0) + 1
                if tries > max_retries:
                    exhausted.append(event)
                else:
                    self._tries[eid] = tries
                    again.append(event)
        return again, exhausted

    def forget_tries(self, events: Sequence[PayloadDict]) -> None:
        """Forget how often events were tried that are settled."""
        if self._tries:
            for event in events:
                self._tries.pop(event.get("eid"), None)


def _is_over(reference: weakref.ReferenceType[Permit]) -> bool:
    permit = reference()
    return permit is None or permit.ended


def _tracked(unsent: int, added: Optional[int], counts: Counts) -> int:
    """Return how many events were handed to the emitter."""
    if added is None:
        return unsent + counts.sent + counts.total_dropped
    return added + counts.total_dropped - (counts.settled - counts.sent)
