"""A collector that is down, or asks to be left alone."""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any, Callable, Dict, List, Optional, Type

import pytest

from snowplow_tracker import InMemoryEventStore
from snowplow_tracker.emitters import AsyncEmitter, Emitter
from support.collector_with_faults import OK, Answer, CollectorWithFaults, in_turn, sizes
from support.processes import run_program
from support.tracking import Notes, assert_counters_add_up, payload, track_many, until

Make = Callable[..., Any]


@pytest.mark.long
def test_everything_tracked_in_an_outage_arrives_once(
    make: Make, collector: CollectorWithFaults
) -> None:
    """20,000 events tracked while connections are refused for 5 s arrive once each, in bounded requests."""
    collector.refuse()
    notes = Notes()
    emitter = make(buffer_capacity=50_000, **notes.callbacks())
    pause = threading.Event()
    end = time.monotonic() + 5
    tracked = []
    while len(tracked) < 20_000:
        tracked += track_many(emitter, 400)
        pause.wait(0.08)
    pause.wait(max(0.0, end - time.monotonic()))
    attempts = emitter.stats().failed_attempts
    assert 1 <= attempts <= 10
    assert len(notes.failures) <= 10

    collector.listen()
    assert collector.wait_for_events(20_000, timeout=15)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    assert not collector.repeated
    assert collector.largest_body <= 1_000_000
    assert sorted(notes.succeeded) == sorted(tracked)
    assert_counters_add_up(emitter, 20_000)


@pytest.mark.long
def test_retry_after_in_seconds_is_respected(make: Make, collector: CollectorWithFaults) -> None:
    """After a 503 that asks for 2 s no request comes within them, however many events are tracked."""
    collector.behaviour = in_turn(Answer(status=503, headers={"Retry-After": "2"}))
    emitter = make(batch_size=1)
    tracked = track_many(emitter, 1)
    assert collector.wait_for_requests(1)
    refused_at = time.monotonic()
    pause = threading.Event()
    while time.monotonic() < refused_at + 1.5:
        tracked += track_many(emitter, 5)
        pause.wait(0.05)
    assert collector.wait_for_events(len(tracked), timeout=10)
    assert collector.requests[1].at - collector.requests[0].at >= 2
    assert set(collector.arrived) == set(tracked)
    assert not collector.repeated


@pytest.mark.long
def test_retry_after_as_a_date_is_respected(make: Make, collector: CollectorWithFaults) -> None:
    """An HTTP date in `Retry-After` keeps requests away until then."""
    until = datetime.now(timezone.utc) + timedelta(seconds=3)
    header = {"Retry-After": format_datetime(until, usegmt=True)}
    collector.behaviour = in_turn(Answer(status=429, headers=header))
    emitter = make(batch_size=1)
    track_many(emitter, 1)
    assert collector.wait_for_events(1, timeout=10)
    # the date has whole seconds
    assert collector.requests[1].at - collector.requests[0].at >= 1.8


@pytest.mark.long
def test_retry_after_has_a_limit(make: Make, collector: CollectorWithFaults) -> None:
    """A collector that asks for an hour is tried again after `max_retry_delay_seconds`."""
    collector.behaviour = in_turn(Answer(status=503, headers={"Retry-After": "3600"}))
    emitter = make(batch_size=1, max_retry_delay_seconds=1)
    track_many(emitter, 1)
    assert collector.wait_for_events(1, timeout=5)
    assert collector.requests[1].at - collector.requests[0].at >= 0.95


@pytest.mark.long
def test_one_probe_at_a_time_while_the_collector_is_down(collector: CollectorWithFaults) -> None:
    """Four threads and thousands of waiting events send one request at a time to a failing collector."""
    busy = [0, 0]
    lock = threading.Lock()

    def behave(_: object) -> Answer:
        with lock:
            busy[0] += 1
            busy[1] = max(busy[1], busy[0]) if len(collector.requests) >= 8 else 0
        threading.Event().wait(0.05)
        with lock:
            busy[0] -= 1
        return Answer(status=503)

    collector.behaviour = behave
    emitter = AsyncEmitter(
        collector.endpoint, thread_count=4, max_retry_delay_seconds=1, batch_size=10
    )
    track_many(emitter, 3_000)
    assert collector.wait_for_requests(14, timeout=30)
    # The first of each thread may have been on their way when the collector began to fail.
    assert busy[1] <= 1
    emitter.close(timeout=0)


def test_max_retries_gives_up(make: Make, collector: CollectorWithFaults) -> None:
    """With `max_retries=2` an event is attempted three times and then given up, with the reason."""
    collector.behaviour = Answer(status=500)
    notes = Notes()
    emitter = make(batch_size=5, max_retries=2, max_retry_delay_seconds=0.1, **notes.callbacks())
    tracked = track_many(emitter, 5)
    assert notes.wait_for(lambda seen: seen.drops)
    assert sorted(notes.dropped("retries_exhausted")) == sorted(tracked)
    assert [collector.seen[eid] for eid in tracked] == [3] * 5
    assert len(notes.failures) == 3
    assert emitter.sync_flush(timeout=2) == 0
    assert emitter.stats().dropped == {"retries_exhausted": 5}
    assert_counters_add_up(emitter, 5)


def test_an_explicit_flush_makes_an_attempt_during_backoff(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A flush is not a silent no-op while a retry is pending."""
    collector.behaviour = in_turn(*[Answer(status=500)] * 6)
    notes = Notes()
    emitter = make(batch_size=100, flush_interval=None, **notes.callbacks())
    track_many(emitter, 3)
    for attempt in range(1, 7):
        assert emitter.sync_flush() == 3
        assert len(notes.failures) >= attempt
    assert emitter.sync_flush() == 0
    assert_counters_add_up(emitter, 3)


@pytest.mark.alone
def test_a_flush_of_a_collector_that_is_down_returns(
    make: Make, collector: CollectorWithFaults
) -> None:
    """`sync_flush()` returns after one failed attempt, without hammering the collector."""
    collector.refuse()
    notes = Notes()
    emitter = make(batch_size=10_000, **notes.callbacks())
    track_many(emitter, 3_000)
    started = time.monotonic()
    assert emitter.sync_flush() == 3_000
    assert time.monotonic() - started < 1
    assert len(notes.failures) <= 2


def test_flush_with_a_timeout_keeps_trying(make: Make, collector: CollectorWithFaults) -> None:
    """`sync_flush(timeout=…)` tries again within its time and reports that nothing is left."""
    collector.behaviour = in_turn(Answer(status=500), Answer(fault="reset"))
    emitter = make(batch_size=100, max_retry_delay_seconds=0.2)
    track_many(emitter, 3)
    assert emitter.sync_flush(timeout=5) == 0
    assert len(collector.arrived) == 3


def test_order_and_bounds_of_the_requests_after_an_outage(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A backlog goes out oldest first, in requests of at most `max_request_events`."""
    collector.refuse()
    emitter = make(batch_size=10_000, max_request_events=100, max_retry_delay_seconds=0.1)
    # The timer would be a second sender, and two keep no order.
    emitter._schedule_retry = lambda: None
    tracked = track_many(emitter, 1_050)
    emitter.sync_flush()
    collector.listen()
    assert emitter.sync_flush(timeout=10) == 0
    assert max(sizes(collector.requests)) <= 100
    assert [event["eid"] for event in collector.events()] == tracked


def test_a_success_after_an_outage_drains_without_more_delay(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Once the collector answers, the backlog goes out at once, not a batch per backoff or per event."""
    collector.behaviour = in_turn(*[Answer(status=503)] * 2)
    emitter = make(batch_size=10, max_retry_delay_seconds=0.2)
    track_many(emitter, 5_000)
    # What a retry takes is no multiple of ten, and so a part of a batch may be left.
    assert collector.wait_for_events(5_000 - 9, timeout=20)


def test_what_is_tracked_during_the_first_attempt_that_succeeds_goes_out_after_it(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Full batches that were queued while a retry was under way need no further event to be sent."""
    collector.behaviour = in_turn(Answer(status=503), Answer(wait=0.5))
    emitter = make(batch_size=10, max_retry_delay_seconds=0.05)
    track_many(emitter, 10)
    assert collector.wait_for_requests(2)  # the second by a thread
    track_many(emitter, 300)
    assert collector.wait_for_events(310 - 9, timeout=20)


FLOOD = """
    import logging, resource, sys, time
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker

    name, endpoint = sys.argv[1:]
    logging.basicConfig(stream=sys.stderr)
    emitter = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[name](
        endpoint, protocol="http", exit_timeout=0.1, buffer_bytes=16 * 2**20)
    tracker = Tracker("flood", emitter)
    view = PageView("https://example.com/", "a page")

    def track(count):
        for _ in range(count):
            tracker.track(view)

    def memory_now():
        # not ru_maxrss: a child starts with the peak of the process that forked it
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() // 1024

    track(20_000)
    memory = memory_now()
    track(80_000)
    grown = memory_now() - memory
    stats = emitter.stats()
    dropped = sum(stats.dropped.values())
    print(grown, stats.tracked, stats.queued + stats.in_flight, dropped)
"""


@pytest.mark.long
def test_more_events_than_fit_for_a_dead_collector(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """With the collector down for good, memory stays bounded by `buffer_bytes`, and drops are counted."""
    collector.refuse()
    done = run_program(FLOOD, emitter_class.__name__, collector.endpoint, deadline=90)
    assert done.status == 0, done
    grown, tracked, queued, dropped = map(float, done.output.split())
    assert tracked == 100_000
    assert 25_000 < queued < 100_000
    assert queued + dropped == 100_000
    assert grown < 20_000, "KiB: 16 MiB of events"
    assert len(done.errors.splitlines()) < 500


def test_dropping_is_logged_but_not_once_per_event(
    make: Make, collector: CollectorWithFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """A full queue is told of in the log, with far fewer records than events."""
    collector.refuse()
    emitter = make(buffer_capacity=100)
    with caplog.at_level(logging.WARNING, "snowplow_tracker.emitters"):
        track_many(emitter, 5_000)
    records = [r for r in caplog.records if r.name == "snowplow_tracker.emitters"]
    assert any("drop" in r.getMessage().lower() or "full" in r.getMessage() for r in records)
    assert len(records) < 50


def test_events_tracked_after_recovery_need_no_flush(
    make: Make, collector: CollectorWithFaults
) -> None:
    """The retry comes by itself, with nobody flushing or tracking."""
    collector.behaviour = in_turn(Answer(status=502), Answer(status=404), then=OK)
    emitter = make(batch_size=1, max_retry_delay_seconds=0.5)
    emitter.input(payload())
    assert collector.wait_for_events(1, timeout=5)


@pytest.mark.parametrize(
    ("headers", "end"),
    [
        ({}, " seconds."),
        ({"Retry-After": "5"}, " 5.0 seconds, as the collector asked (Retry-After)."),
        (
            {"Retry-After": "3600"},
            " 30.0 seconds, the longest delay: the collector asked for more (Retry-After).",
        ),
    ],
)
def test_the_log_says_when_the_next_attempt_is(
    make: Make,
    collector: CollectorWithFaults,
    caplog: pytest.LogCaptureFixture,
    headers: Dict[str, str],
    end: str,
) -> None:
    """The delay is in the log, with the Retry-After where it decided; no flush is promised, which may make no attempt."""
    collector.behaviour = in_turn(Answer(status=503, headers=headers))
    emitter = make(batch_size=1, max_retry_delay_seconds=30, exit_timeout=0)
    emitter.input(payload())
    assert collector.wait_for_requests(1)
    until(lambda: "the next attempt is in" in caplog.text)
    (message,) = [
        record.getMessage() for record in caplog.records if "next attempt" in record.getMessage()
    ]
    assert message.endswith(end)
    assert "flush" not in message
    emitter.close(timeout=0)


@pytest.mark.long
@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest"])
def test_a_full_queue_is_told_once_and_so_is_its_end(
    make: Make, collector: CollectorWithFaults, caplog: pytest.LogCaptureFixture, overflow: str
) -> None:
    """However many events a full queue costs, one line says that they are being dropped, and one that it is over."""
    collector.behaviour = in_turn(Answer(status=503, headers={"Retry-After": "60"}))
    emitter = make(batch_size=1, buffer_capacity=5, overflow=overflow, max_retry_delay_seconds=1)
    track_many(emitter, 1)
    assert collector.wait_for_requests(1)
    track_many(emitter, 50)
    assert emitter.stats().dropped
    dropped = sum(emitter.stats().dropped.values())
    messages = [record.getMessage() for record in caplog.records]
    assert messages.count("The event buffer is full: events are being dropped.") == 1
    assert "has room again" not in caplog.text

    assert emitter.sync_flush(timeout=10) == 0
    track_many(emitter, 1)
    text = f"The event buffer has room again. Dropped meanwhile: {dropped} events."
    assert caplog.text.count("has room again") == 1
    assert text in caplog.text


def test_a_retry_of_the_timer_that_waited_for_another_attempt_keeps_to_the_delay_after_it(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Where two threads are about to try again, the second leaves the collector alone once the first has failed."""
    refused = Answer(status=503)
    collector.behaviour = in_turn(refused, Answer(status=503, wait=0.5), refused, refused)
    emitter = make(Emitter, batch_size=1, max_retry_delay_seconds=0.01)
    emitter._engine.core.breaker._random = lambda: 1.0
    track_many(emitter, 1)
    assert collector.wait_for_requests(2)  # the second by the timer
    emitter.max_retry_delay_seconds = 60
    emitter._flush_by_timer()
    assert len(collector.requests) == 2
    assert emitter.retry_timer.is_active()


def test_events_given_to_send_events_are_tried_again(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Events that never were in the queue go there when their attempt fails, and are retried without another event."""
    collector.behaviour = in_turn(Answer(status=503))
    emitter = make(max_retry_delay_seconds=0.05)
    emitter.send_events([{"e": "pv", "eid": "00000000-0000-4000-8000-000000000001"}])
    assert collector.wait_for_events(1)
    emitter.sync_flush(timeout=5)
    assert emitter.stats().sent == 1


def test_the_deadline_of_a_flush_is_not_that_of_another_emitter(
    collector: CollectorWithFaults,
) -> None:
    """A request that a callback makes with another emitter has the time limit of that one."""
    statuses: List[int] = []
    other = Emitter(collector.endpoint, protocol="http", request_timeout=5)

    def on_success(_: object) -> None:
        collector.behaviour = Answer(wait=0.6)
        statuses.append(other.http_post("{}"))

    emitter = Emitter(collector.endpoint, protocol="http", batch_size=10, on_success=on_success)
    track_many(emitter, 1)
    assert emitter.flush(timeout=0.3) == 0
    assert statuses == [200]


class OnceRaising:
    """An override of `send_events` that raises once, and then delivers by itself."""

    def send_events(self, evts: List[Dict[str, Any]]) -> None:
        if not getattr(self, "raised", False):
            self.raised = True
            raise ConnectionError("the service is down")
        self.delivered: List[str] = [
            *getattr(self, "delivered", []),
            *(each["eid"] for each in evts),
        ]


@pytest.mark.parametrize("interval", [None, 0.2])
@pytest.mark.parametrize("reason", ["retries exhausted", "cleared by a callback"])
def test_an_empty_queue_during_an_outage_does_not_stop_later_events(
    make: Make, collector: CollectorWithFaults, reason: str, interval: Optional[float]
) -> None:
    """What is tracked after the outage arrives without a flush, although nothing was left to retry in it."""
    collector.behaviour = in_turn(Answer(status=503))
    stores: List[Any] = []

    def clear(_count: int, _events: List[Dict[str, Any]]) -> None:
        stores[0].get_events_batch()
        is_empty.set()

    def note(_events: List[Dict[str, Any]], _reason: Any) -> None:
        is_empty.set()

    is_empty = threading.Event()
    options: Dict[str, Any] = {"max_retries": 0, "on_drop": note}
    if reason == "cleared by a callback":
        stores.append(InMemoryEventStore(logging.getLogger("test")))
        options = {"event_store": stores[0], "on_failure": clear}
    # One at a time: without an interval, an event that fills no batch would wait for the next.
    emitter = make(batch_size=1, flush_interval=interval, max_retry_delay_seconds=0.05, **options)
    track_many(emitter, 1)
    assert is_empty.wait(10)
    assert until(lambda: not emitter.retry_timer.is_active())  # nothing is left to retry
    later = track_many(emitter, 4)
    assert until(lambda: set(later) <= set(collector.arrived))


def test_an_override_that_raised_once_goes_on(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """An override of `send_events` that failed once gets the events again, and all later ones without a flush."""
    kind: Any = type("Overridden", (OnceRaising, emitter_class), {})
    emitter = kind(
        collector.endpoint,
        protocol="http",
        batch_size=1,
        flush_interval=None,
        max_retry_delay_seconds=0.05,
    )
    tracked = track_many(emitter, 1)
    assert until(lambda: set(tracked) <= set(getattr(emitter, "delivered", [])))
    tracked += track_many(emitter, 4)
    assert until(lambda: set(tracked) <= set(emitter.delivered))
    emitter.close(timeout=1)


class SizeRaises(InMemoryEventStore):
    """A store whose `size` raises when it is told to."""

    is_down = False

    def size(self) -> int:
        if self.is_down:
            raise ConnectionError("the store is down")
        return super().size()

    def get_events_batch(self, *, max_events: Optional[int] = None) -> List[Dict[str, Any]]:
        return [] if self.is_down else super().get_events_batch(max_events=max_events)


def test_a_store_that_cannot_tell_its_size_is_not_empty(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A flush does not answer that all is done, and the events are sent once the store is back."""
    store = SizeRaises(logging.getLogger("test"))
    emitter = make(batch_size=100, event_store=store)
    tracked = track_many(emitter, 3)
    store.is_down = True
    assert emitter.sync_flush(timeout=0.2) > 0
    store.is_down = False
    assert emitter.sync_flush(timeout=5) == 0
    assert sorted(collector.arrived) == sorted(tracked)


def test_a_flush_as_in_1_1_0_does_for_a_sync_flush_with_a_timeout(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """A subclass whose `flush` takes no timeout can be flushed within one."""

    def flush(self: Any) -> None:
        super(kind, self).flush()

    kind: Any = type("Old", (emitter_class,), {"flush": flush})
    emitter = kind(collector.endpoint, protocol="http", batch_size=100)
    tracked = track_many(emitter, 3)
    assert emitter.sync_flush(timeout=5) == 0
    assert sorted(collector.arrived) == sorted(tracked)
    emitter.close(timeout=1)


def test_a_dead_reference_of_the_program_is_not_taken_for_the_emitter(
    collector: CollectorWithFaults,
) -> None:
    """A ReferenceError of an override comes out, and no event is dropped for it."""

    class Overridden(Emitter):
        def flush(self, *, timeout: Optional[float] = None) -> int:
            raise ReferenceError("weakly-referenced object no longer exists")

    emitter = Overridden(collector.endpoint, protocol="http", batch_size=2)
    with pytest.raises(ReferenceError):
        track_many(emitter, 2)
    assert emitter.stats().queued == 2
    emitter.close(timeout=1)


FORKING = """
    import os, sys
    from snowplow_tracker import Emitter, PageView, Tracker
    where, method = sys.argv[2:]
    main, forked, children = os.getpid(), [], []

    def fork():
        if not forked:
            forked.append(1)
            child = os.fork()
            if child:
                assert os.waitpid(child, 0)[1] == 0

    def note(*_):
        if os.getpid() != main:
            os.write(2, b"a callback in the child")
        if where == "callback":
            fork()

    class Forking(Emitter):
        def http_post(self, data):
            if where == "http_post":
                fork()
                if os.getpid() != main:
                    return 503
            return super().http_post(data)

    emitter = Forking(sys.argv[1], protocol="http", method=method, batch_size=3, on_success=note, max_retry_delay_seconds=0.1)
    tracker = Tracker("fork", emitter)
    for _ in range(3):
        tracker.track(PageView("https://example.com/"))
    if os.getpid() != main:
        os.write(2, repr(emitter.stats().dropped).encode() * bool(emitter.stats().tracked))
    assert emitter.flush(timeout=5) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize(
    ("where", "method"), [("http_post", "post"), ("callback", "post"), ("callback", "get")]
)
def test_a_child_forked_in_a_delivery_leaves_the_events_to_its_parent(
    collector: CollectorWithFaults, where: str, method: str
) -> None:
    """The child comes out of `track()`, and neither sends, counts nor reports the events of the batch."""
    collector.behaviour = in_turn(OK, Answer(status=500)) if method == "get" else OK
    done = run_program(FORKING, collector.endpoint, where, method, deadline=30)
    assert done.status == 0, done
    assert "child" not in done.errors
    assert len(collector.arrived) == 3
    assert not collector.repeated
