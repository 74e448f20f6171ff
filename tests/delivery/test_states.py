"""The state machines of the engine, by themselves, with a clock that the test moves."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
from typing import Any, List, Optional, Set

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from snowplow_tracker import DropReason
from support.inside import counts, retry, state

NOBODY: Any = None
"""No emitter: what is tested here only keeps it."""


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def core(clock: Clock) -> state.Core:
    return state.Core(retry.RetryPolicy(), clock, lambda: 1.0)


# Demand: few states, so all sequences of what can happen are tried.

STEPS = ("event", "look", "empty", "full", "want", "taken")


@pytest.mark.parametrize("first", STEPS)
def test_nothing_sleeps_while_there_are_events(first: str) -> None:
    """Whatever happens, an emitter is asleep only after a look found the store empty with no event since."""
    for rest in itertools.product(STEPS, repeat=4):
        try_demand([first, *rest])


def try_demand(steps: List[str]) -> None:
    demand = state.Demand()
    seen_empty = True
    for step in steps:
        if step == "event":
            demand.wake(0.0)
            seen_empty = False
        elif step == "look":
            demand.begin_to_look()
        elif step in ("empty", "full"):
            was_looking = demand.phase is state.Phase.LOOKING
            demand.looked(empty=step == "empty")
            if was_looking and step == "empty":
                seen_empty = True
        elif step == "want":
            demand.want(3)
        else:
            demand.taken(1, 0.0)
        assert (demand.phase is state.Phase.ASLEEP) == seen_empty, steps


def test_what_is_due(clock: Clock) -> None:
    """Events are due when they are wanted, or after the interval; asleep, nothing is; a pause puts both off."""
    demand = state.Demand()
    assert demand.due_in(5.0, clock()) is None
    demand.wake(clock())
    assert demand.due_in(5.0, clock()) == 5.0
    assert demand.due_in(None, clock()) is None
    clock.now += 4
    assert demand.due_in(5.0, clock()) == 1.0
    demand.want(2)
    assert demand.due_in(5.0, clock()) == 0.0
    demand.pause(clock())
    paused = demand.due_in(5.0, clock())
    assert paused is not None
    assert paused > 0
    demand.pause(clock())
    longer = demand.due_in(5.0, clock())
    assert longer is not None
    assert longer > paused
    demand.taken(2, clock())
    assert (demand.wanted, demand.due_in(5.0, clock())) == (0, 5.0)


# The circuit breaker


def test_a_generation_fails_once(clock: Clock) -> None:
    """Attempts that began before the same failure count as one; one that began after it counts again."""
    breaker = state.CircuitBreaker(retry.RetryPolicy(first_window=1, growth=2), clock, lambda: 1.0)
    breaker.failed_in(0, 60)
    breaker.failed_in(0, 60)
    assert (breaker.generation, breaker.delay) == (1, 1.0)
    breaker.failed_in(1, 60)
    assert (breaker.generation, breaker.delay) == (2, 2.0)


def test_retry_after_holds_whoever_asks(clock: Clock) -> None:
    """A forced attempt ignores our own delay, and never the collector's wish, also of an old generation."""
    breaker = state.CircuitBreaker(retry.RetryPolicy(), clock, lambda: 1.0)
    breaker.failed_in(0, 60)
    assert breaker.may_begin(forced=True, probing=False)
    assert not breaker.may_begin(forced=False, probing=False)
    breaker.failed_in(0, 60, "7")
    assert not breaker.may_begin(forced=True, probing=False)
    assert breaker.wait(forced=True) == 7
    clock.now += 7
    assert breaker.may_begin(forced=True, probing=False)
    assert not breaker.may_begin(forced=True, probing=True)
    breaker.succeeded()
    assert breaker.may_begin(forced=False, probing=True)


# The ledger


def test_a_batch_is_counted_in_one_place_at_a_time() -> None:
    """An event is in flight, then sent, requeued or dropped; the sum of all never changes on the way."""
    ledger = state.Ledger()
    batch = state.Batch(1)
    events = [{"eid": str(number)} for number in range(4)]
    batch.progress = batch.received(events)
    ledger.open(batch)
    assert ledger.in_flight() == 4
    batch.progress = batch.settled(events[:2], state.Counts(sent=2, settled=2))
    batch.progress = batch.settled(events[2:3], state.dropped(1, DropReason.REJECTED, queued=True))
    assert (ledger.in_flight(), ledger.counts().sent, ledger.counts().total_dropped) == (1, 2, 1)
    assert batch.open_events() == events[3:]
    batch.progress = batch.settled(events[3:], state.Counts())
    before = ledger.counts()
    ledger.close(batch)
    ledger.close(batch)
    assert (ledger.in_flight(), ledger.counts(), ledger.batches) == (0, before, ())


class LedgerMachine(RuleBasedStateMachine):
    """Events that are tracked, taken, sent, requeued, dropped and lost on the way, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = state.Ledger()
        self.queue: List[dict] = []
        self.batches: List[state.Batch] = []
        self.tracked = 0

    @rule(count=st.integers(1, 5))
    def track(self, count: int) -> None:
        for _ in range(count):
            self.queue.append({"eid": str(self.tracked)})
            self.tracked += 1

    @rule(count=st.integers(1, 5))
    def refuse(self, count: int) -> None:
        self.tracked += count
        self.ledger.add(state.dropped(count, DropReason.OVERFLOW, queued=False))

    @precondition(lambda self: self.queue)
    @rule(count=st.integers(1, 5))
    def take(self, count: int) -> None:
        batch = state.Batch(len(self.batches))
        self.ledger.open(batch)
        batch.progress = batch.received(self.queue[:count])
        del self.queue[:count]
        self.batches.append(batch)

    @precondition(lambda self: self.batches)
    @rule(count=st.integers(1, 5), fate=st.sampled_from(["sent", "dropped", "requeued"]))
    def settle(self, count: int, fate: str) -> None:
        batch = self.batches[0]
        events = batch.open_events()[:count]
        if fate == "sent":
            counts = state.Counts(sent=len(events), settled=len(events))
        elif fate == "dropped":
            counts = state.dropped(len(events), DropReason.REJECTED, queued=True)
        else:
            counts = state.Counts(retried=len(events))
            self.queue[:0] = events
        batch.progress = batch.settled(events, counts)
        if not batch.progress.open:
            self.ledger.close(self.batches.pop(0))

    @invariant()
    def everything_is_somewhere(self) -> None:
        counts = self.ledger.counts()
        assert self.tracked == (
            len(self.queue) + self.ledger.in_flight() + counts.sent + counts.total_dropped
        )


TestLedger = LedgerMachine.TestCase


@given(st.lists(st.sampled_from(list(DropReason)), max_size=20))
def test_drops_add_up_by_reason(reasons: List[DropReason]) -> None:
    """However drops are added up, each reason keeps its own count."""
    ledger = state.Ledger()
    for reason in reasons:
        ledger.add(state.dropped(1, reason, queued=False))
    assert dict(ledger.counts().dropped) == {
        reason: reasons.count(reason) for reason in set(reasons)
    }


# Permits


def hold(core: state.Core, kept: List[BaseException], *, lose: bool) -> Optional[state.Permit]:
    """Take a permit, and lose it as an interrupt would; the traceback may be kept."""
    try:
        permit = core.try_begin(NOBODY, forced=False)
        assert permit is not None
        assert state.permit_in_use(core) is permit
        if lose:
            raise KeyboardInterrupt
        core.end_permit(permit)
    except KeyboardInterrupt as error:
        kept.append(error)
    return None


@pytest.mark.parametrize("keeps_traceback", [False, True])
def test_a_permit_whose_holder_is_gone_is_taken_back(
    core: state.Core, keeps_traceback: bool
) -> None:
    """An interrupt that leaves a probe behind does not keep the next one from being made."""
    core.breaker.failed_in(0, 0)
    kept: List[BaseException] = []
    hold(core, kept, lose=True)
    if not keeps_traceback:
        kept.clear()
        gc.collect()
        assert not core.is_probing
    assert state.permit_in_use(core) is None
    core.take_back_lost()
    assert not core.permits_out
    hold(core, kept, lose=False)
    assert not core.permits_out


def test_a_permit_of_another_thread_is_left_alone(core: state.Core) -> None:
    """What another thread is doing is neither ours nor lost."""
    permit = core.try_begin(NOBODY, forced=False)
    found: List[object] = []

    def look() -> None:
        found.extend((state.permit_in_use(core), core.take_back_lost(), len(core.permits_out)))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [None, [], 1]
    assert permit is not None
    core.end_permit(permit)


def test_one_probe_at_a_time(core: state.Core) -> None:
    """While the collector is failing, the second attempt waits for the end of the first."""
    core.breaker.failed_in(0, 0)
    first = core.try_begin(NOBODY, forced=True)
    assert first is not None
    assert core.try_begin(NOBODY, forced=True) is None
    core.end_permit(first)
    second = core.try_begin(NOBODY, forced=True)
    assert second is not None
    core.end_permit(second)


def test_an_emitter_is_not_let_go_between_its_hold_and_its_wake(core: state.Core) -> None:
    """Another thread that is about to find the store empty waits for the event that comes in, and finds it."""
    core.wake(bool)
    assert core.begin_to_look()
    done: List[str] = []
    other = threading.Thread(
        target=lambda: done.append(
            str(core.looked(empty=True, release=lambda: done.append("let go")))
        )
    )

    def hold() -> None:
        done.append("held")
        other.start()
        other.join(0.2)

    core.wake(hold)
    other.join()
    assert done == ["held", "False"]
    assert core.demand.phase is state.Phase.AWAKE


def test_a_tally_may_be_read_by_many_threads() -> None:
    """Reading a counter changes nothing, so threads that read at the same time all get the count."""
    tally = counts.Tally()
    for _ in range(5):
        tally.add()
    seen: Set[int] = set()

    def read() -> None:
        seen.update(tally.read() for _ in range(20_000))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert seen == {5}


class Interrupted(counts.Counts):
    """Counts in the middle of whose addition a signal handler or a finalizer counts others."""

    handlers: List[Any]

    @property
    def dropped(self) -> Any:  # type: ignore[override]
        """Run the handlers, once."""
        handlers, self.handlers = self.handlers, []
        for handler in handlers:
            handler()
        return {}


def test_counts_that_come_in_the_middle_of_others() -> None:
    """What a signal handler counts and settles while the ledger is being changed is in the sum as well."""
    ledger, batch = state.Ledger(), state.Batch(1)
    addition = Interrupted(sent=1)
    addition.handlers = [
        lambda: ledger.add(counts.Counts(sent=10)),
        lambda: ledger.open(batch),
        lambda: setattr(batch, "progress", counts.Progress({}, counts.Counts(sent=100))),
        lambda: ledger.close(batch),
        lambda: ledger.add(counts.Counts(sent=1000)),
    ]
    ledger.add(addition)
    assert (ledger.counts().sent, ledger.batches) == (1111, ())
