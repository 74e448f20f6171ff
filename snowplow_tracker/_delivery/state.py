"""The state of an engine: state machines without threads and stores, and the one lock over them.

`Ledger`, `CircuitBreaker` and `Demand` are pure: tests use a fake clock. `Core` owns them and the permits. Only this module
takes its lock, and no function here makes a request, imports, or calls a store or a user's function.
"""

from __future__ import annotations

import enum
import sys
import threading
import weakref
from contextvars import ContextVar
from functools import partial
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from snowplow_tracker._delivery.counts import NOTHING, Checkpoint, Counts, Progress, dropped
from snowplow_tracker._delivery.retry import Backoff, RetryPolicy
from snowplow_tracker._delivery.sender import Sender
from snowplow_tracker._delivery.stats import DropReason, EmitterState
from snowplow_tracker._process.atomic import Versioned
from snowplow_tracker._process.locking import (
    WITH_IS_SAFE,
    LockOrder,
    Signal,
    new_lock,
    release_if_leaked,
)
from snowplow_tracker.typing import PayloadDict, PayloadDictList


class Batch:
    """Events that were taken out of the store.

    Invariant: each event is in `progress.open` until it is settled, once. An event is removed and counted in one
    assignment, so that an interrupt finds both done or neither.

    Args:
        permit: The number of their permit.
    """

    __slots__ = ("events", "failed", "permit", "progress")

    def __init__(self, permit: int) -> None:
        self.permit = permit
        self.events: PayloadDictList = []
        self.progress = Progress({})
        self.failed = False

    def received(self, events: PayloadDictList) -> Progress:
        """Take the events in; return the progress with all of them open."""
        self.events = events
        return Progress({id(event): event for event in events})

    def receiving(self, events: PayloadDictList) -> Callable[[], object]:
        """Return a call for `all_at_once` that takes the events in."""
        return partial(setattr, self, "progress", self.received(events))

    def open_events(self) -> PayloadDictList:
        """Return the events that are not settled yet, in their order."""
        return [*self.progress.open.values()]

    def open_among(self, events: Sequence[PayloadDict]) -> PayloadDictList:
        """Return those of these events that are in the batch and not settled yet, or copies of such."""
        left = dict(self.progress.open)
        found: PayloadDictList = []
        for event in events:
            key = _key_by_eid(left, event.get("eid")) if id(event) not in left else id(event)
            if key is not None:
                del left[key]
                found.append(event)
        return found

    def settled(self, events: Sequence[PayloadDict], counts: Counts) -> Progress:
        """Return the progress after these events are settled. The caller assigns it to `progress`."""
        progress = self.progress
        gone = {id(event) for event in events}
        left = {key: event for key, event in progress.open.items() if key not in gone}
        if left and len(left) + len(gone) > len(progress.open):
            # An override of `send_events` passed copies.
            for event in events:
                if id(event) not in progress.open:
                    left.pop(_key_by_eid(left, event.get("eid")), None)  # type: ignore[arg-type]
        return Progress(left, progress.counts.plus(counts))


def _key_by_eid(events: Mapping[int, PayloadDict], eid: object) -> Optional[int]:
    """Return the key of the first event with this `eid`."""
    if eid is None:
        return None
    return next((key for key, event in events.items() if event.get("eid") == eid), None)


class Ledger:
    """Counts events by their outcome. Not thread-safe: its owner holds a lock. A signal handler may come in between.

    Invariant: tracked = queued + in flight + sent + dropped. Only the ledger writes these numbers. It also holds the batches
    in flight, because an event leaves its batch and is counted in one assignment.
    """

    def __init__(self) -> None:
        first: Tuple[Counts, Tuple[Batch, ...]] = (NOTHING, ())
        self._state = Versioned(first)

    @property
    def batches(self) -> Tuple[Batch, ...]:
        """The batches in flight."""
        return self._state.read()[1]

    def add(self, counts: Counts) -> None:
        """Add counts that belong to no batch."""
        self._state.change(lambda state: (state[0].plus(counts), state[1]))

    def open(self, batch: Batch) -> None:
        """Count the events of a batch as in flight from now on."""
        self._state.change(lambda state: (state[0], (*state[1], batch)))

    def close(self, batch: Batch) -> None:
        """Remove a batch whose events are settled; keep its counts."""

        def without(state: Tuple[Counts, Tuple[Batch, ...]]) -> Tuple[Counts, Tuple[Batch, ...]]:
            base, batches = state
            if batch not in batches:
                return state
            rest = tuple(each for each in batches if each is not batch)
            return base.plus(batch.progress.counts), rest

        self._state.change(without)

    def counts(self) -> Counts:
        """Return the counts, with those of batches in flight."""
        total, batches = self._state.read()
        for batch in batches:
            total = total.plus(batch.progress.counts)
        return total

    def in_flight(self) -> int:
        """Return the number of events that are being sent."""
        return sum(len(batch.progress.open) for batch in self.batches)

    def orphans(self, permits: Sequence[int]) -> List[Batch]:
        """Return the batches in flight without one of these permits."""
        return [batch for batch in self.batches if batch.permit not in permits]


class CircuitBreaker(Backoff):
    """Allows all attempts while the collector accepts events, and one probe at a time while it fails.

    Not thread-safe: its owner holds a lock.

    Invariant: while failing, at most one probe is out. The failures of one generation count once, because several threads
    may meet the same outage. A `Retry-After` of the collector applies to every attempt.
    """

    @property
    def generation(self) -> int:
        """The number of failed attempts in a row. Attempts that begin now belong to this generation."""
        return self.failures

    def may_begin(self, *, forced: bool, probing: bool) -> bool:
        """Return whether an attempt may be made.

        Args:
            forced: A flush asked for it.
            probing: Whether a probe is out.
        """
        return not self.failing or (not probing and self.wait(forced=forced) <= 0)

    def failed_in(
        self, generation: int, max_delay: float, retry_after: Optional[str] = None
    ) -> None:
        """Note a failed attempt.

        Args:
            generation: The generation of the attempt.
            max_delay: Seconds.
            retry_after: The `Retry-After` header of the answer.
        """
        if self.failures == generation or retry_after:
            self.failed(max_delay, retry_after)


_FIRST_PAUSE, _MAX_PAUSE = 0.005, 1.0
"""Seconds between attempts to take events out of a store that holds some and returns none."""


class Phase(enum.Enum):
    """Whether the queue may hold events."""

    ASLEEP = "the queue is empty, and the next event wakes the emitter"
    LOOKING = "the queue seems empty, and the store is being asked"
    AWAKE = "there may be events in the queue"


class Demand:
    """What has to be sent now. Not thread-safe: its owner holds a lock.

    Invariant: it becomes ASLEEP only if the store was found empty while LOOKING. An event that comes in meanwhile makes it
    AWAKE, so that no event is forgotten.

    Attributes:
        wanted: The number of events to send although no batch is full.
        forced: Whether a flush asked for an attempt in spite of the delay after a failure.
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
        """Note that there are events."""
        if self.phase is Phase.ASLEEP:
            self.since = now
        self.phase = Phase.AWAKE

    def begin_to_look(self) -> None:
        """Note that the store returned no events, and is asked whether it is empty."""
        if self.phase is Phase.AWAKE:
            self.phase = Phase.LOOKING

    def looked(self, *, empty: bool) -> bool:
        """Note whether the store is empty; return whether it is ASLEEP now."""
        if self.phase is Phase.LOOKING:
            if empty:
                self.phase = Phase.ASLEEP
                self.wanted = 0
            else:
                self.phase = Phase.AWAKE
        return self.phase is Phase.ASLEEP

    def want(self, count: int, *, forced: bool = False) -> None:
        """Ask for this many events to be sent."""
        self.wanted = max(self.wanted, count)
        self.forced = self.forced or forced

    def pause(self, now: float) -> float:
        """Try again later: the store holds events and returns none, because another process has it locked.

        Returns:
            The seconds until then.
        """
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _MAX_PAUSE)
        self._paused_until = now + self._pause
        return self._pause

    def taken(self, count: int, now: float) -> None:
        """Note that this many events were taken out to be sent."""
        self.wanted = max(0, self.wanted - count)
        self.since = now
        self._pause = self._paused_until = 0.0

    def due_in(self, interval: Optional[float], now: float) -> Optional[float]:
        """Return the seconds until something has to be sent; None until the next event or flush.

        Args:
            interval: Seconds after which events are sent although no batch is full; None for never.
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
    """Permission to take a batch of events and to make requests with them.

    It lives in the frame of the function that asked for it. If an interrupt ends that function before it could give the
    permit back, nothing refers to the permit any more, and the core takes it back.

    Attributes:
        sender: The emitter, which stays alive while its permit is out.
        batch: The events that are sent with it.
        number: Its number, in the order of permits.
        generation: The generation of the circuit breaker at its beginning.
        probing: Whether it is a probe.
        ended: Whether it was given back.
        deadline: When its flush ends, in monotonic seconds; None for no deadline.
        one_batch: Whether no more requests are made once as much as a full batch is settled.
        requeued: The ids of requeued events, while a callback is called with them.
        flush_again: Whether a callback asked for a flush of what it tracked.
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
        "flush_again",
        "generation",
        "number",
        "one_batch",
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
        self.one_batch = False
        self.flush_again = False
        self.requeued: Optional[Dict[Any, None]] = None
        holder = sys._getframe(2)
        # Not the frame itself: it refers to the permit, which would be a reference cycle.
        self._frame = id(holder)
        self._code = holder.f_code
        self._thread = threading.get_ident()

    def is_of_this_thread(self) -> bool:
        """Return whether this thread asked for it: a thread or task that a callback starts may have a copy of the context."""
        return self._thread == threading.get_ident()

    def is_abandoned_here(self) -> bool:
        """Return whether this thread has left the function that held it, and only a traceback keeps it alive."""
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
"""The permits that this thread, greenlet or task uses, the innermost last.

A context variable also works for greenlets, whenever gevent patched `threading`.
"""


def permit_in_use(core: Core) -> Optional[Permit]:
    """Return the permit of this core that the calling code uses, if any."""
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
    """The state that the threads of one engine share: life, ledger, circuit breaker, demand, permits and retry budget.

    Invariant: ledger, circuit breaker, demand, permits and retry budget change under `lock`, which only methods of this
    class take; it is never held during a request, a call of a store, a callback or an import. A forked child gets a new
    core, so that it does not count what the parent is sending. The lock does not guard `max_body_bytes`, which is a guess.

    Args:
        policy: When to retry.
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
        """The number of permits so far."""
        self.last_failed = 0
        """The number of the last permit with a failed attempt."""
        self.max_body_bytes = sys.maxsize
        """Maximum size of a body, learned from answers with status 413."""
        self.has_backlog = False
        """Whether an automatic flush left more than it had to send: a full batch, which no later event may complete."""
        self.overflowing = 0
        """The number of events dropped since the queue became full; 0 while it has room."""
        self.permits_out: Dict[int, Tuple[weakref.ReferenceType[Permit], bool]] = {}
        """The permits that are out, by number, and whether each is a probe."""
        self._tries: Dict[Any, int] = {}
        self.set_up_locks()

    def set_up_locks(self) -> None:
        """Make new locks: threads that do not exist any more may hold the old ones."""
        self.lock = new_lock(LockOrder.CORE)
        self.work = Signal(self.lock)
        """Wakes the threads that send."""
        self.changed = Signal(self.lock)
        """Wakes the threads that wait for events to be settled."""

    def enter(self) -> Optional[Permit]:
        """Begin a call from outside: release the lock if an earlier interrupt left it locked.

        Returns:
            The permit that the calling code uses, if it is a callback or a signal handler; else None.
        """
        if not WITH_IS_SAFE:
            release_if_leaked(self.lock, file=__file__)
        return permit_in_use(self)

    def release_leaked_lock(self) -> None:
        """End a call from outside: release the lock if an interrupt has just left it locked."""
        if not WITH_IS_SAFE:
            release_if_leaked(self.lock, file=__file__)

    def set_life(self, state: EmitterState) -> None:
        """Set the state of the emitter, and wake all threads that wait for anything."""
        with self.lock:
            self.life = state
        self.wake_all()

    def wake_all(self) -> None:
        """Wake all threads that wait for anything."""
        self.work.notify()
        self.changed.notify()

    # Permits

    def try_begin(self, sender: Sender, *, forced: bool) -> Optional[Permit]:
        """Return a permit; None during the delay after a failure, or while another thread has the probe."""
        with self.lock:
            breaker = self.breaker
            if not breaker.may_begin(forced=forced or self.demand.forced, probing=self.is_probing):
                return None
            self.demand.forced = False
            number, generation = self.permits + 1, breaker.generation
            return self._give(Permit(self, sender, number, generation, probing=breaker.failing))

    def begin(self, sender: Sender) -> Permit:
        """Return a permit in any case: a user called `send_events`, or events are dropped."""
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
        """Take a permit back, and its batch if all its events are settled."""
        with self.lock:
            if permit.batch.failed:
                self.last_failed = max(self.last_failed, permit.number)
                self.demand.want(1)
            # Where events are left, `take_back_lost` finds them.
            if not permit.batch.progress.open:
                self.ledger.close(permit.batch)
            permit.ended = True
            self.permits_out.pop(permit.number, None)
        _in_use.set(tuple(each for each in _in_use.get() if not _is_over(each)))
        if self.changed.waiting:
            self.changed.notify()
        if self.work.waiting and self.demand.phase is not Phase.ASLEEP:
            self.work.notify()  # a worker may wait for the end of the probe

    def _lost(self, _: object) -> None:
        """Wake the threads that wait for a permit that an interrupt ended."""
        if not sys.is_finalizing() and any(
            ref() is None for ref, _ in [*self.permits_out.values()]
        ):
            self.changed.notify()
            self.work.notify()

    def take_back_lost(self) -> List[Batch]:
        """Take back the permits whose function has ended; return their batches."""
        if len(self.permits_out) == len(self.ledger.batches) == 0:
            return []
        with self.lock:
            for number, (reference, _) in [*self.permits_out.items()]:
                permit = reference()
                if permit is None or permit.is_abandoned_here():
                    self.permits_out.pop(number, None)
            return self.ledger.orphans([*self.permits_out])

    def close_orphan(self, batch: Batch) -> None:
        """Remove a batch whose permit was taken back and whose events were requeued."""
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
        """Return whether no permit up to this number is out: events that it is just taking are not counted yet."""
        return not any(
            number <= permits and ref() is not None
            for number, (ref, _) in [*self.permits_out.items()]
        )

    def renew_after_the_end(self) -> List[Batch]:
        """Continue without the threads that the interpreter stopped during shutdown; return their batches."""
        self.set_up_locks()
        self.permits_out.clear()
        return [*self.ledger.batches]

    # Demand

    def wake(self, hold: Callable[[], object]) -> None:
        """Note that there are events.

        Args:
            hold: Keeps the emitter alive. Called under the lock, because another thread may be about to release it.
        """
        with self.lock:
            hold()
            # Before the phase changes: after an interrupt in between, the next event does both again.
            if self.work.waiting:
                self.work.notify()
            self.demand.wake(self.clock())

    def want(self, count: int, *, forced: bool = False) -> None:
        """Ask the threads that send for this many events.

        Args:
            count: How many.
            forced: Whether to ignore the delay after a failure.
        """
        with self.lock:
            self.demand.want(count, forced=forced)
            self.work.notify()

    def want_nothing(self) -> None:
        """Reset the demand."""
        with self.lock:
            self.demand.wanted = 0

    def pause(self) -> float:
        """Ask the store again later, because another process has it locked; return the seconds until then."""
        with self.lock:
            return self.demand.pause(self.clock())

    def taken(self, count: int) -> None:
        """Note that this many events were taken out to be sent."""
        with self.lock:
            self.demand.taken(count, self.clock())
        if self.demand.wanted > 0:
            self.work.notify()

    def begin_to_look(self) -> bool:
        """Begin to look whether the store is empty; return False if events are being sent: their thread will look later."""
        with self.lock:
            if self.is_sending or self.ledger.in_flight():
                return False
            self.demand.begin_to_look()
            return True

    def looked(self, *, empty: bool, release: Callable[[], object]) -> bool:
        """Note whether the store is empty; return whether everything is done.

        Args:
            empty: Whether the store is empty.
            release: Releases what `hold` of `wake` held, under the lock, if everything is done.
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
        """Add counts that belong to no batch."""
        with self.lock:
            self.ledger.add(counts)

    def unsent(self, queued: int) -> int:
        """Return the number of events that are not delivered yet, with this many in the store."""
        return queued + self.ledger.in_flight()

    def checkpoint(self, queued: int, in_flight: int, added: Optional[int]) -> Checkpoint:
        """Return what has to be settled before a flush that begins now is done.

        The store was asked first, and settled events are counted now. So it may be too much, but never too little; a flush
        also ends when the queue is empty.

        Args:
            queued: The number of events in the store.
            in_flight: The number of events that were being sent before the store was asked.
            added: The number of events added to the store; None if it is the sum of all others.
        """
        with self.lock:
            counts = self.ledger.counts()
            unsent = queued + max(in_flight, self.ledger.in_flight())
            return Checkpoint(counts.settled + unsent, counts.tracked(unsent, added), self.permits)

    def is_reached(self, checkpoint: Checkpoint) -> bool:
        """Return whether all events of a checkpoint are settled."""
        # Both are needed: the first does not have events that are just being taken out, the second not those that an
        # earlier process left in the store.
        counts = self.ledger.counts()
        return (
            counts.settled >= checkpoint.settled
            and counts.sent + counts.total_dropped >= checkpoint.tracked
            and self.all_ended(checkpoint.permits)
        )

    def snapshot(self) -> Tuple[Counts, int]:
        """Return the counts and the number of events in flight, of one moment."""
        with self.lock:
            return self.ledger.counts(), self.ledger.in_flight()

    def overflowed(self, count: int, *, queued: bool) -> bool:
        """Count events that were dropped because the queue is full; return whether they are the first.

        Args:
            count: How many.
            queued: Whether they were in the queue before.
        """
        with self.lock:
            self.ledger.add(dropped(count, DropReason.OVERFLOW, queued=queued))
            first = self.overflowing == 0
            self.overflowing += count
            return first

    def overflow_ended(self) -> int:
        """Note that there is room again; return the number of events dropped meanwhile."""
        with self.lock:
            count, self.overflowing = self.overflowing, 0
            return count

    # The collector

    def failed(self, generation: int, max_delay: float, retry_after: Optional[str]) -> None:
        """Note a failed attempt, as `CircuitBreaker.failed_in`."""
        with self.lock:
            self.breaker.failed_in(generation, max_delay, retry_after)
        self.changed.notify()

    def set_delay(self, seconds: float) -> None:
        """Set the delay before the next attempt, as `CircuitBreaker.set_delay`."""
        with self.lock:
            self.breaker.set_delay(seconds)
        self.wake_all()

    def succeeded(self) -> None:
        """Note a successful attempt."""
        if self.breaker.failing:
            with self.lock:
                self.breaker.succeeded()

    # Retry budget

    def count_tries(
        self, events: PayloadDictList, max_retries: Optional[int]
    ) -> Tuple[PayloadDictList, PayloadDictList]:
        """Count a failed attempt for events; return those that may be retried, and those that may not."""
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
        """Forget the attempts of events that are settled."""
        if self._tries:
            with self.lock:
                for event in events:
                    self._tries.pop(event.get("eid"), None)


def _is_over(reference: weakref.ReferenceType[Permit]) -> bool:
    permit = reference()
    return permit is None or permit.ended
