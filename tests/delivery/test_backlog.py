"""More than a batch waits: what the thread that tracks sends of it, and what a timer does."""

from __future__ import annotations

import logging
import threading
from typing import Any, Callable, Dict, List, Optional, Type

import pytest

from snowplow_tracker import InMemoryEventStore
from snowplow_tracker.emitters import AsyncEmitter, Emitter
from support.collector_with_faults import Answer, CollectorWithFaults, in_turn, sizes
from support.inside import flushing, threads
from support.processes import run_program
from support.tracking import Notes, assert_counters_add_up, payload, track_many

Make = Callable[..., Any]


@pytest.fixture
def emitter_class() -> Type[Emitter]:
    """The emitter that sends in the thread that tracks."""
    return Emitter


class NoLimit:
    """A store with the methods of 1.1.0: it hands out all that it holds."""

    def __init__(self, inner: InMemoryEventStore) -> None:
        self._inner = inner
        self.add_event = inner.add_event
        self.size = inner.size

    def get_events_batch(self) -> List[Dict[str, Any]]:
        """Hand out all."""
        return self._inner.get_events_batch()

    def cleanup(self, batch: List[Dict[str, Any]], need_retry: bool) -> None:
        """Take some back."""
        self._inner.cleanup(batch, need_retry)


def left_behind(count: int, **pairs: Any) -> InMemoryEventStore:
    """Return a store with the events that an outage, or an earlier process, left."""
    store = InMemoryEventStore(logging.getLogger("test"), 100_000)
    for _ in range(count):
        store.add_event(payload(**pairs))
    return store


def untimed(emitter: Any) -> Any:
    """Return the emitter without its timer, so that all requests are those of the thread that tracks."""
    emitter._schedule_retry = lambda: None
    return emitter


@pytest.mark.parametrize(
    ("options", "pairs", "requests", "sent"),
    [
        ({}, {}, 1, 500),
        ({"max_request_events": 20}, {}, 1, 20),
        ({"max_request_events": 4}, {}, 3, 10),
        ({"method": "get"}, {}, 1, 1),
        ({"method": "get", "batch_size": 3}, {}, 3, 3),
        ({}, {"page": "x" * 9_900}, 1, 49),
        ({"batch_size": 1_000, "byte_limit": 2_000}, {}, 2, 20),
    ],
)
def test_a_call_of_track_sends_one_batch_of_a_backlog(
    make: Make,
    collector: CollectorWithFaults,
    options: Dict[str, Any],
    pairs: Dict[str, Any],
    requests: int,
    sent: int,
) -> None:
    """However much waits, `track()` makes the requests of one full batch: one, with the usual sizes."""
    store = left_behind(700, **pairs)
    waiting = [event["eid"] for event in store.event_buffer]
    emitter = untimed(make(event_store=store, **options))
    if "byte_limit" in options:
        emitter.bytes_queued = 500_000
    tracked = track_many(emitter, 1, **pairs)
    assert len(collector.requests) == requests
    arrived = [event["eid"] for event in collector.events()]
    assert abs(len(arrived) - sent) <= sent // 2
    assert arrived == waiting[: len(arrived)]
    assert emitter.stats().queued == 701 - len(arrived)
    assert emitter.flush() == 0
    assert [event["eid"] for event in collector.events()] == waiting + tracked
    assert emitter.stats().sent == 701


def test_a_store_that_knows_no_limit_gets_the_rest_back(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A store as in 1.1.0 hands out the whole backlog; what is more than one request returns to it, in order."""
    inner = left_behind(1_200)
    waiting = [event["eid"] for event in inner.event_buffer]
    emitter = untimed(make(event_store=NoLimit(inner)))
    tracked = []
    for _ in range(3):
        tracked += track_many(emitter, 1)
    assert sizes(collector.requests) == [500, 500, 203]
    assert [event["eid"] for event in collector.events()] == waiting + tracked


@pytest.mark.parametrize("method", ["post", "get"])
def test_a_timer_sends_the_rest_although_nothing_is_tracked(
    make: Make, collector: CollectorWithFaults, method: str
) -> None:
    """What a call of `track()` leaves of a backlog arrives without another one, in order and once."""
    store = left_behind(200, page="x" * 20_000)
    waiting = [event["eid"] for event in store.event_buffer]
    emitter = make(event_store=store, method=method)
    tracked = track_many(emitter, 1)
    assert collector.wait_for_events(201)
    assert [event["eid"] for event in collector.events()] == waiting + tracked
    assert emitter.flush() == 0
    assert not emitter.retry_timer.is_active()


def test_what_exceeds_the_bytes_of_a_batch_is_sent_by_the_timer(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A backlog that is no full batch by its number, but by its bytes, does not wait for more events."""
    emitter = make(event_store=left_behind(200), batch_size=1_000, byte_limit=2_000)
    emitter.bytes_queued = 50_000
    track_many(emitter, 1)
    assert collector.wait_for_events(201)


@pytest.mark.long
def test_track_waits_for_one_request_while_an_outage_is_made_up_for(
    make: Make, collector: CollectorWithFaults
) -> None:
    """While the backlog of an outage is sent, a call of `track()` is in the program's thread for one request at most."""
    collector.behaviour = in_turn(Answer(status=503), then=Answer(wait=0.1))
    emitter = make(max_request_events=100, max_retry_delay_seconds=0.1)
    main, own = threading.get_ident(), [0]
    post = emitter.http_post

    def http_post(data: str) -> Any:
        own[0] += threading.get_ident() == main
        return post(data)

    emitter.http_post = http_post
    tracked = track_many(emitter, 3_000)
    assert collector.wait_for_events(100)
    most = 0
    while len(collector.arrived) < 2_900:
        before = own[0]
        tracked += track_many(emitter, 1)
        most = max(most, own[0] - before)
    assert most <= 1  # 0 if the timer was faster
    assert emitter.flush() == 0
    assert set(collector.arrived) == set(tracked)
    assert not collector.repeated
    assert_counters_add_up(emitter, len(tracked))


def test_an_override_of_flush_is_called_and_sends_one_batch(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A user's `flush` is called by a full batch, as in 1.1.0; called by the program, it sends everything."""
    calls: List[int] = []

    class Overridden(Emitter):
        def flush(self, *, timeout: Optional[float] = None) -> int:
            calls.append(1)
            return super().flush(timeout=timeout)

    emitter = untimed(make(Overridden, event_store=left_behind(1_200)))
    track_many(emitter, 1)
    assert len(calls) == 1
    assert sizes(collector.requests) == [500]
    assert emitter.flush() == 0
    assert sizes(collector.requests) == [500, 500, 201]


def test_a_flush_that_a_callback_asks_of_another_emitter_sends_everything(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Only the emitter whose batch is full ends after one batch."""
    other = make(event_store=left_behind(1_200), batch_size=10_000)
    rest: List[int] = []
    emitter = make(batch_size=1, on_success=lambda _: rest.append(other.flush()))
    track_many(emitter, 1)
    assert rest == [0]
    assert len(collector.arrived) == 1_201


def test_what_a_callback_tracks_is_sent_by_the_same_call(
    make: Make, collector: CollectorWithFaults
) -> None:
    """An event that `on_success` tracks is sent when `track()` returns, as in 1.1.0."""
    more = [payload(), payload()]
    emitter = make(batch_size=1, on_success=lambda _: more and emitter.input(more.pop()))
    track_many(emitter, 1)
    assert len(collector.arrived) == 3


@pytest.mark.parametrize("flushes", [False, True])
def test_a_flush_in_a_callback_has_the_outer_one_send_the_rest(
    make: Make, collector: CollectorWithFaults, *, flushes: bool
) -> None:
    """What a callback tracks is sent by the flush that called it only if the callback flushes, too."""
    more = [payload()]

    def on_success(_: Any) -> None:
        if more:
            emitter.input(more.pop())
            if flushes:
                assert emitter.flush() > 0

    emitter = make(batch_size=10, on_success=on_success)
    emitter.input(payload())
    assert emitter.flush() == (0 if flushes else 1)
    assert len(collector.arrived) == (2 if flushes else 1)


def test_a_batch_that_another_thread_is_sending_is_waited_for(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Where another thread took the event along, `track()` returns when it has arrived."""
    collector.behaviour = in_turn(Answer(wait=0.3))
    emitter = make(batch_size=1)
    other = threading.Thread(target=emitter.input, args=(payload(),))
    other.start()
    assert collector.wait_for_requests(1)
    with flushing.AutomaticFlush(emitter._engine.core, one_batch=True):
        assert emitter.flush() == 0
    assert len(collector.arrived) == 1
    other.join()


def test_without_threads_each_call_of_track_sends_one_batch(
    make: Make, collector: CollectorWithFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An `AsyncEmitter` that gets no thread sends where it is called, and then one batch at a time, too."""
    monkeypatch.setattr(threads, "_daemon_threads_allowed", lambda: False)
    emitter = make(AsyncEmitter, event_store=left_behind(1_200))
    for requests in (1, 2, 3):
        track_many(emitter, 1)
        assert len(collector.requests) == requests
    assert len(collector.arrived) == 1_203


ENDING = """
    import logging, sys
    from snowplow_tracker import Emitter, InMemoryEventStore, PageView, Tracker

    store = InMemoryEventStore(logging.getLogger("test"), 100_000)
    tracker = Tracker("ending", Emitter(sys.argv[1], protocol="http", event_store=store))
    waiting = Tracker("waiting", Emitter(sys.argv[1], protocol="http", event_store=store, batch_size=10_000))
    for _ in range(3_000):
        waiting.track(PageView("https://example.com/"))
    tracker.track(PageView("https://example.com/"))
"""


def test_a_program_that_ends_with_a_backlog_loses_nothing(collector: CollectorWithFaults) -> None:
    """The end of the program sends all that the last `track()` and the timer have not."""
    done = run_program(ENDING, collector.endpoint, deadline=30)
    assert done.status == 0, done
    assert done.errors == ""
    assert len(collector.arrived) == 3_001


def test_a_steady_program_makes_one_request_per_batch(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Without a backlog, each full batch is one request, and no timer has anything to do."""
    notes = Notes()
    emitter = make(**notes.callbacks())
    for batches in range(1, 6):
        track_many(emitter, 10)
        assert sizes(collector.requests) == [10] * batches
        assert not emitter.retry_timer.is_active()
    assert [len(events) for events in notes.successes] == [10] * 5
