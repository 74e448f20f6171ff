"""Nothing is lost to a collector that is well, however many events come at once."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Type

import pytest

from snowplow_tracker import AsyncEmitter, Emitter, InMemoryEventStore, Tracker
from snowplow_tracker.events import StructuredEvent
from support.collector_with_faults import Answer, CollectorWithFaults
from support.inside import threads
from support.processes import run_program
from support.tracking import Notes, payload, track_many, until

Make = Callable[..., Any]

BURST = """
    import sys
    from snowplow_tracker import AsyncEmitter, Emitter, StructuredEvent, Tracker

    kind, endpoint, count = sys.argv[1:]
    emitter = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[kind](endpoint, protocol="http")
    tracker = Tracker("burst", emitter)
    for number in range(int(count)):
        tracker.track(StructuredEvent("burst", "event", value=number))
    tracker.flush()
    print(emitter.stats().dropped)
"""


@pytest.mark.long
@pytest.mark.slow
def test_a_burst_arrives(emitter_class: Any, collector: CollectorWithFaults) -> None:
    """25,000 events in a loop, at default settings, and a flush: all arrive."""
    done = run_program(BURST, emitter_class.__name__, collector.endpoint, 25_000, deadline=120)
    assert done.status == 0, done
    assert done.output == "{}\n"
    assert len(collector.arrived) == 25_000


@pytest.mark.long
def test_a_full_queue_waits_for_a_collector_that_takes_events(
    collector: CollectorWithFaults,
) -> None:
    """With room for 20 events and a collector that takes its time, `track()` waits, and nothing is dropped."""
    collector.behaviour = Answer(wait=0.02)
    with AsyncEmitter(collector.endpoint, buffer_capacity=20) as emitter:
        tracked = track_many(emitter, 400)
        assert emitter.sync_flush(timeout=20) == 0
        assert emitter.stats().dropped == {}
    assert set(collector.arrived) == set(tracked)


class OwnStore(InMemoryEventStore):
    """A store of a user that changes nothing about how events come in."""


@pytest.mark.parametrize("store_class", [InMemoryEventStore, OwnStore])
def test_a_queue_that_is_full_before_the_batch_is_sent(
    make: Make, collector: CollectorWithFaults, store_class: Type[InMemoryEventStore]
) -> None:
    """With room for fewer events than a batch has, nothing is dropped while the collector is well."""
    store = store_class(logging.getLogger("test"), 5)
    emitter = make(event_store=store, flush_interval=None)
    tracked = track_many(emitter, 30)
    assert emitter.sync_flush(timeout=5) == 0
    assert emitter.stats().dropped == {}
    assert [event["eid"] for event in collector.events()] == tracked


def test_a_queue_whose_bytes_are_full_before_the_batch_is_sent(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Where `buffer_bytes` is used up before `batch_size` is reached, the events are sent, and counted once."""
    store = InMemoryEventStore(logging.getLogger("test"), 10, buffer_bytes=20_000)
    emitter = make(event_store=store, batch_size=1_000, byte_limit=10**9, flush_interval=None)
    tracked = track_many(emitter, 200, page="x" * 1_000)
    assert emitter.sync_flush(timeout=5) == 0
    assert emitter.stats().dropped == {}
    assert [event["eid"] for event in collector.events()] == tracked


def test_threads_that_share_a_small_queue_lose_nothing(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Several threads wait for each other's requests where the room of a queue is in use by them."""
    collector.behaviour = Answer(wait=0.01)
    emitter = make(event_store=InMemoryEventStore(logging.getLogger("test"), 5))
    tracking = [threading.Thread(target=track_many, args=(emitter, 40)) for _ in range(6)]
    for thread in tracking:
        thread.start()
    for thread in tracking:
        thread.join()
    assert emitter.sync_flush(timeout=5) == 0
    assert emitter.stats().dropped == {}
    assert len(collector.arrived) == 240


def test_a_full_queue_without_threads_is_sent(
    make: Make, collector: CollectorWithFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An `AsyncEmitter` that gets no thread makes room where it is called."""
    monkeypatch.setattr(threads, "_daemon_threads_allowed", lambda: False)
    emitter = make(event_store=InMemoryEventStore(logging.getLogger("test"), 5))
    track_many(emitter, 30)
    assert emitter.sync_flush(timeout=5) == 0
    assert emitter.stats().dropped == {}
    assert len(collector.arrived) == 30


@pytest.mark.parametrize(
    ("overflow", "kept"), [("drop_newest", slice(5)), ("drop_oldest", slice(-5, None))]
)
def test_a_policy_that_was_asked_for_decides_about_a_full_queue(
    make: Make, collector: CollectorWithFaults, overflow: Any, kept: slice
) -> None:
    """With `drop_newest` or `drop_oldest`, a full queue drops, and sends nothing before its batch is full."""
    store = InMemoryEventStore(logging.getLogger("test"), 5, overflow=overflow)
    emitter = make(event_store=store, overflow=overflow, flush_interval=None)
    tracked = track_many(emitter, 30)
    assert collector.requests == []
    assert emitter.sync_flush(timeout=5) == 0
    assert [event["eid"] for event in collector.events()] == tracked[kept]
    assert emitter.stats().dropped == {"overflow": 25}


def test_a_flush_of_the_user_decides_about_a_full_queue(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A full queue is flushed by the user's `flush`; what that leaves no room for is dropped, as in 1.1.0."""

    class Manual(Emitter):
        def flush(self, *, timeout: Optional[float] = None) -> int:
            return 0

    emitter = make(Manual, event_store=InMemoryEventStore(logging.getLogger("test"), 5))
    track_many(emitter, 30)
    assert collector.requests == []
    assert emitter.stats().dropped == {"overflow": 25}


def test_a_full_queue_of_an_emitter_drops_at_once_while_the_collector_fails(
    collector: CollectorWithFaults,
) -> None:
    """An `Emitter` makes one attempt to make room, and then leaves a failing collector to its timer."""
    collector.behaviour = Answer(status=503, headers={"Retry-After": "60"})
    store = InMemoryEventStore(logging.getLogger("test"), 5)
    emitter = Emitter(collector.endpoint, protocol="http", event_store=store)
    track_many(emitter, 1_000)
    assert len(collector.requests) == 1
    assert emitter.stats().dropped == {"overflow": 995}
    emitter.close(timeout=0)


def test_a_full_queue_does_not_wait_for_a_collector_that_fails(
    collector: CollectorWithFaults,
) -> None:
    """While the collector is failing, `track()` drops what has no room at once."""
    collector.refuse()
    emitter = AsyncEmitter(collector.endpoint, buffer_capacity=20)
    track_many(emitter, 20)
    assert until(lambda: emitter.stats().failed_attempts, 5)
    started = time.monotonic()
    track_many(emitter, 1_000)
    assert time.monotonic() - started < 2
    assert emitter.stats().dropped == {"overflow": 1_000}
    emitter.close(timeout=0)


def test_a_full_queue_does_not_wait_for_a_silent_collector_for_longer_than_a_request(
    collector: CollectorWithFaults,
) -> None:
    """Without an answer, `track()` waits no longer than `request_timeout`."""
    collector.behaviour = Answer(wait=30)
    emitter = AsyncEmitter(collector.endpoint, buffer_capacity=10, request_timeout=0.3)
    started = time.monotonic()
    track_many(emitter, 40)
    assert time.monotonic() - started < 3
    emitter.close(timeout=0)


def test_an_event_loop_is_never_blocked(collector: CollectorWithFaults) -> None:
    """In a thread that runs an event loop, a full queue drops rather than waits."""
    collector.behaviour = Answer(wait=1)

    async def track() -> float:
        longest = 0.0
        for _ in range(200):
            started = time.monotonic()
            emitter.input(payload())
            longest = max(longest, time.monotonic() - started)
        return longest

    emitter = AsyncEmitter(collector.endpoint, buffer_capacity=10)
    assert asyncio.run(track()) < 0.5
    assert emitter.stats().dropped["overflow"] > 0
    emitter.close(timeout=0)


def test_the_queue_holds_more_than_its_capacity_as_long_as_bytes_are_left() -> None:
    """Beyond `buffer_capacity`, events fit as long as `buffer_bytes` has room; what leaves makes room again."""
    store = InMemoryEventStore(logging.getLogger("test"), 2, buffer_bytes=1_000)
    assert [store.add_event({"eid": str(number)}) for number in range(6)] == [True] * 5 + [False]
    assert [event["eid"] for event in store.get_events_batch(max_events=4)] == list("0123")
    assert store.add_event({"eid": "7", "url": "x" * 700})
    assert not store.add_event({"eid": "8", "url": "x" * 2_000}) or store.size() <= 2
    assert store.size() == len(store.get_events_batch())
    assert store.size() == 0


@pytest.mark.long
def test_an_outage_of_more_events_than_the_capacity(collector: CollectorWithFaults) -> None:
    """20,000 events while the collector is down arrive when it is back."""
    collector.refuse()
    with AsyncEmitter(collector.endpoint, max_retry_delay_seconds=0.2) as emitter:
        tracked = track_many(emitter, 20_000)
        assert until(lambda: emitter.stats().failed_attempts, 5)
        collector.listen()
        assert emitter.sync_flush(timeout=30) == 0
        assert emitter.stats().dropped == {}
    assert set(collector.arrived) == set(tracked)


# One call of http_post per batch, also for events that are none


@pytest.mark.parametrize("count", [1, 3])
def test_incomplete_events_go_together(
    make: Make, collector: CollectorWithFaults, count: int
) -> None:
    """Events without `e`, `p` or `tv`, as tests of 1.1.0's users have, are one request and one callback."""
    notes = Notes()
    posts: List[str] = []

    class Watched(type(make())):  # type: ignore[misc]
        def http_post(self, data: str) -> int:
            posts.append(data)
            return 200

    emitter = make(Watched, batch_size=count, **notes.callbacks())
    for number in range(count):
        emitter.input({"n": f"v{number}"})
    emitter.sync_flush(timeout=5)
    assert len(posts) == 1
    assert [len(events) for events in notes.successes] == [count]


def test_incomplete_events_do_not_spoil_the_others(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Mixed with complete events, those without a required parameter go into a request of their own."""
    emitter = make(batch_size=6)
    for number in range(3):
        emitter.input(payload())
        emitter.input({"n": f"v{number}"})
    assert emitter.sync_flush(timeout=5) == 0
    kinds = [["e" in event for event in request.events] for request in collector.requests]
    assert sorted(kinds) == [[False] * 3, [True] * 3]


# The flush race: a store that hands out nothing once


class Hesitant(InMemoryEventStore):
    """A store that hands out nothing at first, as SQLite does while its file is locked."""

    def __init__(self, times: int) -> None:
        super().__init__(logging.getLogger("test"))
        self.times = times

    def get_events_batch(self, *, max_events: Any = None) -> List[Dict[str, Any]]:
        self.times -= 1
        return [] if self.times >= 0 else super().get_events_batch(max_events=max_events)


@pytest.mark.parametrize("times", [1, 4])
def test_a_store_that_hands_out_nothing_once(
    make: Make, collector: CollectorWithFaults, times: int
) -> None:
    """A flush with time left goes on until the events are sent, though the store has none to hand out at first."""
    emitter = make(batch_size=100, event_store=Hesitant(times), flush_interval=None)
    tracked = track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)


@pytest.mark.long
def test_a_store_that_hands_out_nothing_for_ever(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A flush without a deadline ends, though the store keeps its events to itself."""
    emitter = make(batch_size=100, event_store=Hesitant(1_000_000), flush_interval=None)
    track_many(emitter, 5)
    done = threading.Event()

    def flush() -> None:
        emitter.flush()
        emitter.sync_flush(timeout=1)
        done.set()

    threading.Thread(target=flush, daemon=True).start()
    assert done.wait(20)
    assert collector.requests == []


# What was dropped and never told

TOLD = """
    import sys
    {logging}
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker
    emitter = {emitter}
    tracker = Tracker("n", emitter)
    for _ in range(5):
        tracker.track(PageView("https://example.com/"))
    emitter.sync_flush(timeout=5)
    {end}
"""


@pytest.mark.long
@pytest.mark.parametrize("end", ["", "emitter.close()"])
@pytest.mark.parametrize(
    "emitter", ["Emitter(sys.argv[1], batch_size=1)", "AsyncEmitter(sys.argv[1], batch_size=1)"]
)
def test_rejected_events_are_told_at_the_end(
    collector: CollectorWithFaults, emitter: str, end: str
) -> None:
    """A program without logging says once on stderr what was dropped, where it should have gone, and why."""
    collector.behaviour = Answer(status=401)
    source = TOLD.format(logging="", emitter=emitter, end=end)
    done = run_program(source, collector.url, deadline=20)
    assert done.status == 0, done
    (line,) = done.errors.splitlines()
    assert "5 events (rejected: 5)" in line
    assert collector.url in line
    assert "401" in line


def test_events_tracked_after_close_are_told_with_the_reason(
    collector: CollectorWithFaults,
) -> None:
    """A program without logging that tracks after `close()` reads that this is why its events were dropped."""
    source = TOLD.format(logging="", emitter="Emitter(sys.argv[1]); emitter.close()", end="")
    done = run_program(source, collector.url, deadline=20)
    assert done.status == 0, done
    (line,) = done.errors.splitlines()
    assert "5 events (exit: 5)" in line
    assert "tracked after close()" in line


def test_what_the_log_told_is_not_told_again(collector: CollectorWithFaults) -> None:
    """Where logging is set up, each drop is in the log, and nothing more is said at the end."""
    collector.behaviour = Answer(status=401)
    source = TOLD.format(
        logging="import logging; logging.basicConfig()",
        emitter="Emitter(sys.argv[1], batch_size=5)",
        end="",
    )
    done = run_program(source, collector.url, deadline=20)
    assert done.status == 0, done
    assert len(done.errors.splitlines()) == 1
    assert "Dropped (rejected): 5 events" in done.errors


@pytest.mark.long
@pytest.mark.slow
def test_overflow_is_told_at_the_end(collector: CollectorWithFaults) -> None:
    """Events that had no room are told at the end with the reason why the others could not leave."""
    collector.refuse()
    source = TOLD.format(
        logging="",
        emitter='Emitter(sys.argv[1], batch_size=1, buffer_capacity=2, overflow="drop_newest", exit_timeout=0.2)',
        end="",
    )
    done = run_program(source, collector.url, deadline=20)
    assert done.status == 0, done
    told = "\n".join(done.errors.splitlines())
    assert "overflow: 3" in told
    assert "refused" in told
    assert "2 events that could not be sent" in told


def test_events_made_of_log_records_do_not_feed_themselves(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A log handler that tracks makes no event of what delivery logs: with a dead collector that would never end."""
    collector.refuse()
    emitter = make(batch_size=1, max_retry_delay_seconds=0.05)
    tracker = Tracker("n", emitter)

    class ToEvents(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tracker.track(StructuredEvent("log", record.levelname))

    handler = ToEvents()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        logging.getLogger("app").warning("disk is nearly full")
        assert until(lambda: emitter.stats().failed_attempts >= 4, 10)
        stats = emitter.stats()
        emitter.close(timeout=0.1)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert stats.tracked - stats.dropped.get("feedback", 0) == 1
