"""The life of an emitter: flush, close, `with`, its states and its counters."""

from __future__ import annotations

import inspect
import json
import logging
import re
import threading
import time
from typing import Any, Callable, Dict, List, Type
from unittest.mock import Mock

import pytest

from snowplow_tracker import (
    AsyncEmitter,
    Emitter,
    EmitterConfiguration,
    InMemoryEventStore,
    PageView,
    Snowplow,
    Tracker,
)
from snowplow_tracker.emitters import DeliveryStats, DropReason, EmitterState
from support.collector_with_faults import OK, Answer, CollectorWithFaults, fail_at_random, in_turn
from support.inside import options
from support.tracking import Notes, assert_counters_add_up, payload, track_many, until

Make = Callable[..., Any]
LOGGER = "snowplow_tracker.emitters"


def test_states(make: Make, collector: CollectorWithFaults) -> None:
    """An emitter is new, active from the first event on, and closed after `close`."""
    emitter = make(batch_size=5)
    assert emitter.state is EmitterState.NEW
    track_many(emitter, 1)
    assert emitter.state is EmitterState.ACTIVE
    assert emitter.close() == 0
    assert emitter.state is EmitterState.CLOSED
    assert len(collector.arrived) == 1


def test_an_emitter_is_closing_while_it_sends_its_rest(
    make: Make, collector: CollectorWithFaults
) -> None:
    """During `close` the state is CLOSING."""
    states: List[EmitterState] = []
    emitter: Any = None
    emitter = make(batch_size=50, on_success=lambda _: states.append(emitter.state))
    track_many(emitter, 1)
    emitter.close()
    assert states == [EmitterState.CLOSING]


def test_no_thread_before_the_first_event(collector: CollectorWithFaults) -> None:
    """Threads start late, are named, and are daemons."""
    before = set(threading.enumerate())

    def ours() -> List[threading.Thread]:
        started = set(threading.enumerate()) - before
        return [thread for thread in started if thread.name.startswith("snowplow")]

    emitter = AsyncEmitter(collector.endpoint, thread_count=3)
    assert not ours()
    collector.behaviour = Answer(wait=0.2)
    track_many(emitter, 10)
    assert until(lambda: len(ours()) == 3, 10)
    threads = ours()
    assert all(thread.daemon for thread in threads)
    emitter.close(timeout=2)
    assert until(lambda: not any(thread.is_alive() for thread in threads), 10)


def test_close_sends_what_is_queued(make: Make, collector: CollectorWithFaults) -> None:
    """`close()` delivers what is below the batch size, and a second `close()` is fine."""
    emitter = make(batch_size=100)
    tracked = track_many(emitter, 25)
    assert emitter.close() == 0
    assert emitter.close() == 0
    assert set(collector.arrived) == set(tracked)
    assert_counters_add_up(emitter, 25)


def test_with_closes(make: Make, collector: CollectorWithFaults) -> None:
    """Leaving the `with` block of an emitter sends what is queued and closes it, also after an exception."""
    emitter = make(batch_size=100)

    def use() -> None:
        with emitter as entered:
            assert entered is emitter
            track_many(emitter, 3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert len(collector.arrived) == 3
    assert emitter.state is EmitterState.CLOSED


def test_close_of_an_emitter_that_was_never_used(make: Make) -> None:
    """Closing, flushing and counting an emitter without events does nothing."""
    emitter = make()
    assert emitter.flush() in (0, None)
    assert emitter.sync_flush() == 0
    assert emitter.stats() == DeliveryStats(0, 0, 0, 0, 0, 0, {})
    assert emitter.close() == 0
    assert emitter.sync_flush(timeout=1) == 0


@pytest.mark.alone
def test_close_is_bounded_and_counts_what_it_gave_up(
    make: Make, collector: CollectorWithFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """With a dead collector `close(timeout=…)` ends in time, reports, logs once, and counts the events."""
    collector.refuse()
    notes = Notes()
    emitter = make(batch_size=100, **notes.callbacks())
    tracked = track_many(emitter, 25)
    started = time.monotonic()
    with caplog.at_level(logging.WARNING, LOGGER):
        assert emitter.close(timeout=0.5) == 25
    assert time.monotonic() - started < 1
    # a worker may have been in the middle of an attempt, and gives its events up at the end of it
    assert notes.wait_for(lambda seen: len(seen.dropped(DropReason.EXIT)) == 25)
    while emitter.stats().in_flight and time.monotonic() < started + 10:
        time.sleep(0.001)
    assert sorted(notes.dropped(DropReason.EXIT)) == sorted(tracked)
    assert emitter.stats().dropped == {DropReason.EXIT: 25}
    told = [r for r in caplog.records if "25" in r.getMessage() and r.levelno >= logging.WARNING]
    assert told
    assert_counters_add_up(emitter, 25)
    assert emitter.close(timeout=0.5) in (0, 25)
    assert emitter.stats().dropped == {DropReason.EXIT: 25}


@pytest.mark.alone
def test_close_while_a_request_hangs(make: Make, collector: CollectorWithFaults) -> None:
    """A request in flight does not hold `close` beyond its time."""
    collector.behaviour = Answer(fault="silence")
    emitter = make(cls=AsyncEmitter, batch_size=5)
    track_many(emitter, 12)
    assert collector.wait_for_requests(1)
    started = time.monotonic()
    assert emitter.close(timeout=0.5) == 12
    assert time.monotonic() - started < 1
    stats = emitter.stats()
    assert stats.tracked == stats.sent + stats.queued + stats.in_flight + sum(
        stats.dropped.values()
    )


def test_events_after_close_are_given_up_with_a_reason(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Tracking into a closed emitter raises nothing, and the event is counted, not lost in silence."""
    notes = Notes()
    emitter = make(batch_size=1, **notes.callbacks())
    emitter.close()
    late = track_many(emitter, 2)
    assert collector.requests == []
    assert notes.dropped(DropReason.EXIT) == late
    assert_counters_add_up(emitter, 2)


def test_close_from_several_threads(make: Make, collector: CollectorWithFaults) -> None:
    """Many threads may flush, close and track at once; nothing is lost and nothing hangs."""
    collector.behaviour = Answer(wait=0.01)
    emitter = make(batch_size=10)
    tracked = track_many(emitter, 205)
    start = threading.Barrier(9)
    results: List[int] = []

    def work(number: int) -> None:
        start.wait(5)
        if number % 3 == 0:
            emitter.flush()
        if number % 3 == 1:
            emitter.sync_flush(timeout=5)
        results.append(emitter.close(timeout=5))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert results == [0] * 9
    assert set(collector.arrived) == set(tracked)
    assert not collector.repeated
    assert_counters_add_up(emitter, 205)


@pytest.mark.long
def test_tracking_while_another_thread_closes(make: Make, collector: CollectorWithFaults) -> None:
    """Each event tracked during `close` is either sent or counted as given up."""
    emitter = make(batch_size=10)
    enough = threading.Event()
    counts = [0] * 4

    def work(number: int) -> None:
        while not enough.is_set():
            emitter.input(payload())
            counts[number] += 1
            if counts[number] == 200:
                closing.set()

    closing = threading.Event()
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    assert closing.wait(10)
    emitter.close(timeout=5)
    enough.set()
    for thread in threads:
        thread.join(10)
    emitter.close(timeout=5)
    stats = emitter.stats()
    assert stats.tracked == sum(counts)
    assert stats.queued == stats.in_flight == 0
    assert stats.sent == len(collector.arrived)
    assert stats.sent + sum(stats.dropped.values()) == stats.tracked
    assert set(stats.dropped) <= {DropReason.EXIT, DropReason.OVERFLOW}


@pytest.mark.alone
def test_flush_of_the_threaded_emitter_returns_at_once(collector: CollectorWithFaults) -> None:
    """Without a timeout `AsyncEmitter.flush()` asks for sending and does not wait."""
    collector.behaviour = Answer(wait=0.5)
    with AsyncEmitter(collector.endpoint, batch_size=100, flush_interval=None) as emitter:
        track_many(emitter, 5)
        started = time.monotonic()
        emitter.flush()
        assert time.monotonic() - started < 0.3
        assert collector.wait_for_events(5, timeout=5)


def test_flush_waits_for_what_is_in_flight(make: Make, collector: CollectorWithFaults) -> None:
    """`sync_flush` returns after the answer to a request that was already on its way."""
    collector.behaviour = Answer(wait=0.3)
    notes = Notes()
    emitter = make(cls=AsyncEmitter, batch_size=5, **notes.callbacks())
    track_many(emitter, 5)
    assert collector.wait_for_requests(1)
    assert emitter.sync_flush() == 0
    assert emitter.stats().sent == 5
    assert len(notes.succeeded) == 5


@pytest.mark.alone
def test_flush_with_no_time_returns_at_once(make: Make, collector: CollectorWithFaults) -> None:
    """A timeout of zero is an answer, not an error."""
    collector.behaviour = Answer(wait=2)
    emitter = make(batch_size=100)
    track_many(emitter, 5)
    started = time.monotonic()
    assert emitter.flush(timeout=0) in range(6)
    assert time.monotonic() - started < 0.5


def test_flush_does_not_wait_for_later_events(collector: CollectorWithFaults) -> None:
    """`sync_flush` ends although another thread keeps tracking."""
    emitter = AsyncEmitter(collector.endpoint, batch_size=10, buffer_capacity=1_000_000)
    done = threading.Event()

    def keep_tracking() -> None:
        while not done.is_set():
            track_many(emitter, 5)

    busy = threading.Thread(target=keep_tracking)
    busy.start()
    started = time.monotonic()
    emitter.sync_flush()
    took = time.monotonic() - started
    done.set()
    busy.join(10)
    emitter.close(timeout=10)
    assert took < 5


@pytest.mark.long
def test_the_threaded_emitter_sends_after_a_while(collector: CollectorWithFaults) -> None:
    """Events below the batch size go out after `flush_interval` by themselves."""
    with AsyncEmitter(collector.endpoint, batch_size=100, flush_interval=0.3) as emitter:
        started = time.monotonic()
        track_many(emitter, 3)
        assert collector.wait_for_events(3, timeout=3)
        assert time.monotonic() - started >= 0.25
        track_many(emitter, 3)
        assert collector.wait_for_events(6, timeout=3)
    assert AsyncEmitter(collector.endpoint).flush_interval == 1.0
    assert Emitter(collector.endpoint, protocol="http").flush_interval is None


def test_the_synchronous_emitter_can_send_after_a_while_too(
    collector: CollectorWithFaults,
) -> None:
    """`flush_interval` works with the synchronous emitter."""
    with Emitter(
        collector.endpoint, protocol="http", batch_size=100, flush_interval=0.2
    ) as emitter:
        track_many(emitter, 3)
        assert collector.wait_for_events(3, timeout=3)


@pytest.mark.long
def test_the_flush_timer(make: Make, collector: CollectorWithFaults) -> None:
    """`set_flush_timer` sends again and again, takes a new interval, and can be cancelled."""
    emitter = make(batch_size=100, flush_interval=None)
    emitter.set_flush_timer(60)
    assert emitter.timer.is_active()
    emitter.set_flush_timer(0.1)
    track_many(emitter, 1)
    assert collector.wait_for_events(1, timeout=3)
    track_many(emitter, 1)
    assert collector.wait_for_events(2, timeout=3)
    emitter.cancel_flush_timer()
    assert not emitter.timer.is_active()
    track_many(emitter, 1)
    assert not collector.wait_for_events(3, timeout=0.4)


@pytest.mark.parametrize("seed", range(3))
def test_counters_add_up_under_random_faults(
    make: Make, collector: CollectorWithFaults, seed: int
) -> None:
    """Whatever the collector does, every event ends in exactly one counter, and each callback tells the same."""
    kinds = [
        Answer(status=503),
        Answer(status=400),
        Answer(status=413),
        Answer(fault="reset"),
        Answer(fault="close"),
        Answer(status=302),
    ]
    turns = [fail_at_random(0.15, seed * 10 + n, kind) for n, kind in enumerate(kinds)]

    def behave(request: Any) -> Answer:
        for turn in turns:
            answer = turn(request)
            if answer is not OK:
                return answer
        return OK

    collector.behaviour = behave
    notes = Notes()
    emitter = make(
        batch_size=7,
        max_request_events=20,
        max_retries=5,
        max_retry_delay_seconds=0.01,
        buffer_capacity=150,
        **notes.callbacks(),
    )
    tracked = track_many(emitter, 300)
    assert emitter.sync_flush(timeout=20) == 0
    stats = emitter.stats()
    assert_counters_add_up(emitter, 300)
    assert stats.queued == 0
    assert stats.sent == len(notes.succeeded) == len(collector.arrived)
    told = [event["eid"] for events, _ in notes.drops for event in events]
    assert len(told) == sum(stats.dropped.values())
    assert sorted(told + notes.succeeded) == sorted(tracked)


def test_failed_and_retried_are_counted(make: Make, collector: CollectorWithFaults) -> None:
    """`failed_attempts` counts requests, `retried` counts events put back."""
    collector.behaviour = in_turn(Answer(status=503), Answer(status=503))
    emitter = make(batch_size=5, max_retry_delay_seconds=0.05)
    track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    stats = emitter.stats()
    assert stats.failed_attempts == 2
    assert stats.retried == 10
    assert stats.sent == 5


def test_in_flight_is_counted(collector: CollectorWithFaults) -> None:
    """While a request is on its way its events are in flight, not queued."""
    released = threading.Event()

    def behave(_: object) -> Answer:
        released.wait(5)
        return OK

    collector.behaviour = behave
    emitter = AsyncEmitter(collector.endpoint, batch_size=5)
    track_many(emitter, 5)
    assert until(lambda: emitter.stats().in_flight == 5)
    assert emitter.stats() == DeliveryStats(5, 0, 5, 0, 0, 0, {})
    released.set()
    assert emitter.sync_flush() == 0
    assert emitter.stats() == DeliveryStats(5, 0, 0, 5, 0, 0, {})
    emitter.close()


def test_overflow_drops_the_newest_by_default(make: Make, collector: CollectorWithFaults) -> None:
    """A full queue keeps what it has, and the callback gets the event that did not fit."""
    notes = Notes()
    collector.refuse()
    emitter = make(
        batch_size=10, buffer_capacity=10, max_retry_delay_seconds=60, **notes.callbacks()
    )
    tracked = track_many(emitter, 10)
    assert notes.wait_for(lambda seen: seen.failures)
    emitter.sync_flush()
    tracked += track_many(emitter, 5)
    assert notes.dropped(DropReason.OVERFLOW) == tracked[10:]
    assert emitter.stats().dropped == {DropReason.OVERFLOW: 5}
    collector.listen()
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked[:10])
    assert_counters_add_up(emitter, 15)


def test_overflow_can_drop_the_oldest(make: Make, collector: CollectorWithFaults) -> None:
    """`overflow="drop_oldest"` makes room for what is new."""
    notes = Notes()
    collector.refuse()
    emitter = make(
        batch_size=10,
        buffer_capacity=10,
        max_retry_delay_seconds=60,
        overflow="drop_oldest",
        **notes.callbacks(),
    )
    tracked = track_many(emitter, 10)
    assert notes.wait_for(lambda seen: seen.failures)
    emitter.sync_flush()
    tracked += track_many(emitter, 5)
    assert sorted(notes.dropped(DropReason.OVERFLOW)) == sorted(tracked[:5])
    collector.listen()
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked[5:])
    assert_counters_add_up(emitter, 15)


@pytest.mark.alone
def test_overflow_can_block(collector: CollectorWithFaults) -> None:
    """`overflow="block"` waits for room up to `overflow_timeout`, and then drops the newest."""
    notes = Notes()
    collector.refuse()
    emitter = AsyncEmitter(
        collector.endpoint,
        batch_size=10,
        buffer_capacity=10,
        overflow="block",
        overflow_timeout=0.3,
        max_retry_delay_seconds=1,
        **notes.callbacks(),
    )
    tracked = track_many(emitter, 10)
    assert notes.wait_for(lambda seen: seen.failures)
    started = time.monotonic()
    dropped = track_many(emitter, 1)
    assert 0.25 < time.monotonic() - started < 1
    assert notes.dropped(DropReason.OVERFLOW) == dropped
    emitter.event_store.overflow_timeout = 10
    collector.listen()
    tracked += track_many(emitter, 1)
    assert collector.wait_for_events(10, timeout=10)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    emitter.close()


@pytest.mark.long
def test_blocking_overflow_loses_nothing_when_the_collector_is_well(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A producer that is faster than the collector is slowed down, not robbed."""
    collector.behaviour = Answer(wait=0.005)
    emitter = make(batch_size=10, buffer_capacity=50, overflow="block", overflow_timeout=10)
    tracked = track_many(emitter, 2_000)
    assert emitter.sync_flush(timeout=10) == 0
    assert set(collector.arrived) == set(tracked)


@pytest.mark.long
@pytest.mark.slow
def test_failed_events_do_not_overflow_a_full_queue_silently(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Events that come back from a failed request into a queue that filled up meanwhile are kept or counted."""
    entered, released = threading.Event(), threading.Event()

    def behave(_: object) -> Answer:
        entered.set()
        released.wait(5)
        return Answer(status=503)

    collector.behaviour = behave
    notes = Notes()
    emitter = make(
        cls=AsyncEmitter,
        batch_size=10,
        buffer_capacity=10,
        max_retry_delay_seconds=60,
        **notes.callbacks(),
    )
    track_many(emitter, 10)
    assert entered.wait(5)
    track_many(emitter, 30)
    released.set()
    assert notes.wait_for(lambda seen: seen.failures)
    emitter.sync_flush()
    stats = emitter.stats()
    assert stats.queued <= 10
    assert_counters_add_up(emitter, 40)
    assert sum(len(events) for events, _ in notes.drops) == sum(stats.dropped.values())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("overflow", "drop_everything"),
        ("buffer_capacity", 0),
        ("buffer_capacity", -1),
        ("max_request_events", 0),
        ("max_request_bytes", 0),
        ("batch_size", -1),
        ("method", "put"),
        ("protocol", "ftp"),
        ("exit_timeout", -1),
        ("max_retries", -1),
        ("request_timeout", 0),
        ("request_timeout", -1),
        ("request_timeout", "5"),
        ("request_timeout", float("inf")),
        ("request_timeout", (1, 2, 3)),
        ("flush_interval", float("inf")),
        ("overflow_timeout", float("nan")),
        ("exit_timeout", float("inf")),
        ("request_timeout", (1, -1)),
        ("headers", {"X Name": "a space"}),
        ("headers", {"X-Name:": "a colon"}),
        ("headers", {"": "no name"}),
        ("headers", {"X-Value": "a\nX-More: header"}),
        ("headers", {"X-Value": " a space"}),
        ("headers", {"X-Value": "\u00a0a space"}),
        ("headers", {"X-Value": "\u20ac"}),
        ("headers", {"X-Value": 1}),
        ("no_such_option", 1),
    ],
)
def test_bad_options_are_refused_by_name(
    emitter_class: Type[Emitter], option: str, value: object
) -> None:
    """A value that cannot work is an error at the call that names the parameter."""
    with pytest.raises((ValueError, TypeError), match=option):
        emitter_class("127.0.0.1:1", **{"protocol": "http", option: value})


def test_path_and_headers(make: Make, collector: CollectorWithFaults) -> None:
    """An own path and extra headers are used for each request."""
    emitter = make(
        batch_size=2,
        path="/com.acme/track",
        headers={"X-Api-Key": "k", "Host": "c.example", "X-Name": "J\u00f6 (1)", "X-Empty": ""},
    )
    track_many(emitter, 2)
    assert emitter.sync_flush(timeout=5) == 0
    (request,) = collector.requests
    assert request.path == "/com.acme/track"
    assert request.headers["x-api-key"] == "k"
    assert request.headers["host"] == "c.example"
    assert request.headers["x-name"] == "J\u00f6 (1)"
    assert request.headers["x-empty"] == ""
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert len(collector.arrived) == 2


@pytest.mark.parametrize("method", ["post", "get"])
def test_server_anonymisation(make: Make, collector: CollectorWithFaults, method: str) -> None:
    """With `server_anonymisation` the collector is asked to drop the address and the cookie."""
    anonymous = make(batch_size=1, method=method, server_anonymisation=True)
    track_many(anonymous, 1)
    assert anonymous.sync_flush(timeout=5) == 0
    plain = make(batch_size=1, method=method)
    track_many(plain, 1)
    assert plain.sync_flush(timeout=5) == 0
    assert [r.headers.get("sp-anonymous") for r in collector.requests] == ["*", None]


def test_only_enqueueing(make: Make, collector: CollectorWithFaults) -> None:
    """With `enqueue_only` no request is ever made; the events stay in the store."""

    class Shared(InMemoryEventStore):
        """Stands for a store that another process can send from."""

    store = Shared(logging.getLogger("test"))
    emitter = make(batch_size=2, enqueue_only=True, event_store=store)
    track_many(emitter, 6)
    emitter.flush()
    emitter.sync_flush(timeout=0.2)
    assert collector.connections == 0
    assert emitter.event_store.size() == 6


@pytest.mark.parametrize("store", [None, InMemoryEventStore(logging.getLogger("test"))])
def test_enqueueing_into_memory_is_refused(make: Make, store: Any) -> None:
    """Nobody could send what `enqueue_only` adds to a queue in memory: it is an error at the call."""
    with pytest.raises(ValueError, match="enqueue_only needs an event_store"):
        make(enqueue_only=True, event_store=store)


@pytest.fixture
def no_trackers() -> Any:
    """An empty registry before and after the test."""
    Snowplow.reset()
    yield
    Snowplow.reset()


def test_create_tracker_passes_every_option_on(
    no_trackers: None, collector: CollectorWithFaults
) -> None:
    """All that the emitters take can be said through `create_tracker`."""
    notes = Notes()
    options: Dict[str, Any] = {
        "overflow": "drop_oldest",
        "overflow_timeout": 0.5,
        "max_retries": 7,
        "max_request_bytes": 12_345,
        "max_request_events": 17,
        "flush_interval": 1.5,
        "exit_timeout": 0.7,
        "path": "/com.acme/track",
        "headers": {"X-Team": "blue"},
        "server_anonymisation": True,
    }
    config = EmitterConfiguration(
        batch_size=3,
        buffer_capacity=99,
        emitter_class=AsyncEmitter,
        protocol="http",
        port=collector.port,
        thread_count=2,
        max_retry_delay_seconds=9,
        **notes.callbacks(),
        **options,
    )
    tracker = Snowplow.create_tracker("n", "127.0.0.1", emitter_config=config)
    (emitter,) = tracker.emitters
    assert type(emitter) is AsyncEmitter
    for name, value in {**options, "batch_size": 3, "max_retry_delay_seconds": 9}.items():
        assert getattr(emitter, name) == value, name
        if name != "batch_size":
            assert getattr(config, name) == value, name
    assert emitter.event_store.buffer_capacity == 99
    for number in range(3):
        tracker.track(PageView(f"https://example.com/{number}"))
    assert notes.wait_for(lambda seen: seen.successes, timeout=5)
    assert collector.requests[0].path == "/com.acme/track"
    assert collector.requests[0].headers["x-team"] == "blue"
    tracker.close()


def test_create_tracker_defaults_to_the_synchronous_emitter(no_trackers: None) -> None:
    """Without options a tracker sends over https in the caller's thread, as before."""
    tracker = Snowplow.create_tracker("n", "collector.example")
    (emitter,) = tracker.emitters
    assert type(emitter) is Emitter
    assert emitter.endpoint == "https://collector.example/com.snowplowanalytics.snowplow/tp2"


def test_the_tracker_flushes_and_closes(make: Make, collector: CollectorWithFaults) -> None:
    """`flush(timeout=…)`, `close()` and `with` of a tracker reach all its emitters and stay chainable."""
    emitters = [make(batch_size=100), make(batch_size=100)]
    with Tracker("n", emitters) as tracker:
        tracker.track(PageView("https://example.com/"))
        assert tracker.flush(timeout=5) is tracker
        assert len(collector.events()) == 2
        tracker.track(PageView("https://example.com/"))
    assert len(collector.events()) == 4
    assert [emitter.state for emitter in emitters] == [EmitterState.CLOSED] * 2
    assert tracker.close() is tracker


@pytest.mark.alone
def test_the_tracker_bounds_its_flush(make: Make, collector: CollectorWithFaults) -> None:
    """A tracker with two hanging emitters gives its timeout to both together, not to each."""
    collector.behaviour = Answer(fault="silence")
    tracker = Tracker("n", [make(batch_size=100), make(batch_size=100)])
    tracker.track(PageView("https://example.com/"))
    started = time.monotonic()
    tracker.flush(timeout=1)
    assert time.monotonic() - started < 1.6
    started = time.monotonic()
    tracker.close(timeout=1)
    assert time.monotonic() - started < 1.6


def test_the_tracker_flushes_emitters_that_know_no_timeout(collector: CollectorWithFaults) -> None:
    """A custom emitter with the methods of 1.1.0, or only `input`, works with the new arguments."""
    calls: List[str] = []

    class Old:
        def input(self, payload: Dict[str, Any]) -> None:
            calls.append("input")

        def flush(self) -> None:
            calls.append("flush")

        def sync_flush(self) -> None:
            calls.append("sync_flush")

    class Bare:
        def input(self, payload: Dict[str, Any]) -> None:
            calls.append("bare")

    with Tracker("n", [Old(), Bare()]) as tracker:  # type: ignore[list-item]
        tracker.track(PageView("https://example.com/"))
        tracker.flush(timeout=1)
        tracker.flush(is_async=True)
    assert calls[:4] == ["input", "bare", "sync_flush", "flush"]


def test_payloads_are_never_logged_above_debug(
    make: Make, collector: CollectorWithFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """What users track is private: under no fault does it appear in the log at INFO or above."""
    collector.behaviour = in_turn(Answer(status=503), Answer(status=400), Answer(fault="reset"))
    with caplog.at_level(logging.INFO):
        for method in ("post", "get"):
            emitter = make(
                method=method, batch_size=2, max_retry_delay_seconds=0.05, buffer_capacity=2
            )
            track_many(emitter, 10, page="secret-title")
            emitter.sync_flush(timeout=3)
            emitter.close(timeout=0.2)
    assert caplog.records
    assert "secret-title" not in caplog.text


def test_bodies_are_valid_json_for_every_text(make: Make, collector: CollectorWithFaults) -> None:
    """Control characters, surrogates, quotes and percent signs reach the collector as they were."""
    texts = ["%s %d %%", '"\\/', "\x00\x1f\x7f", "\u2028", "😀", "a\ud800b"]
    emitter = make(batch_size=len(texts))
    for text in texts:
        emitter.input(payload(page=text))
    assert emitter.sync_flush(timeout=5) == 0
    (request,) = collector.requests
    pages = [event["page"] for event in json.loads(request.body)["data"]]
    assert pages[:-1] == texts[:-1]
    assert pages[-1] == "a?b"


def test_what_an_emitter_shows_of_itself(emitter_class: Type[Emitter]) -> None:
    """Its `repr` says where events go and in which state it is, without the password."""
    emitter = emitter_class("https://user:secret@collector.example")
    shown = f"<{emitter_class.__name__} https://collector.example/com.snowplowanalytics.snowplow/tp2: post, %s>"
    assert repr(emitter) == shown % "new"
    emitter.close(timeout=0)
    assert repr(emitter) == shown % "closed"
    assert repr(emitter_class.__new__(emitter_class)).startswith(f"<{emitter_class.__name__} None")


@pytest.mark.parametrize("by_environment", [False, True])
def test_an_emitter_that_is_switched_off_says_so(
    emitter_class: Type[Emitter], monkeypatch: pytest.MonkeyPatch, *, by_environment: bool
) -> None:
    """The `repr` of an emitter that will never send is not that of one that is about to."""
    if by_environment:
        monkeypatch.setenv("SNOWPLOW_DISABLED", "1")
    emitter = emitter_class("https://collector.example", enabled=by_environment)
    assert repr(emitter).endswith(": post, disabled>")
    emitter.close()
    assert repr(emitter).endswith(": post, disabled>")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_retry_delay_seconds", "a"),
        ("max_retry_delay_seconds", -1),
        ("port", "a"),
        ("port", 70_000),
        ("event_store", 5),
        ("event_store", InMemoryEventStore),
        ("session", object()),
        ("emitter_class", list),
        ("protocol", "ftp"),
        ("thread_count", 1.0),
        ("request_timeout", "5"),
        ("on_success", "print"),
        ("on_drop", 5),
        ("custom_retry_codes", [503]),
        ("batch_size", 1.5),
        ("byte_limit", True),
        ("buffer_capacity", 0),
        ("exit_timeout", -1),
        ("flush_interval", 0),
        ("enabled", 1),
    ],
)
def test_a_configuration_refuses_by_name(option: str, value: object) -> None:
    """An option that cannot work is an error that names it where it is passed, and where it is set, which changes nothing."""
    with pytest.raises((ValueError, TypeError), match=option):
        EmitterConfiguration(**{option: value})
    config = EmitterConfiguration()
    before = getattr(config, option)
    with pytest.raises((ValueError, TypeError), match=option):
        setattr(config, option, value)
    assert getattr(config, option) == before


def test_threads_need_an_emitter_that_has_some() -> None:
    """A number of threads for an `Emitter` is an error that says what to do, whenever it was set."""
    with pytest.raises(ValueError, match="thread_count needs emitter_class=AsyncEmitter"):
        EmitterConfiguration(thread_count=2)
    config = EmitterConfiguration()
    config.thread_count = 2
    with pytest.raises(ValueError, match="thread_count needs emitter_class=AsyncEmitter"):
        config.make_emitter("localhost", "post")
    config.emitter_class = AsyncEmitter
    assert config.make_emitter("http://localhost", "post").thread_count == 2


def test_none_in_a_configuration_is_the_default_of_the_emitter() -> None:
    """An option that is set to None is as one that is not set; only as a flush interval None is a choice."""
    names = set(options.CHECKS) - {"flush_interval"}
    config = EmitterConfiguration(emitter_class=AsyncEmitter, **dict.fromkeys(names))
    by_default, made = (
        AsyncEmitter("localhost", "http"),
        config.make_emitter("http://localhost", "post"),
    )
    for name in names & set(vars(made)):
        assert getattr(made, name) == getattr(by_default, name), name
    assert made.flush_interval == by_default.flush_interval
    config.flush_interval = None
    assert config.make_emitter("http://localhost", "post").flush_interval is None


def test_a_session_of_the_user_s_may_take_another_timeout() -> None:
    """A timeout that requests does not know is accepted in a configuration that has a session, or may get one."""

    class OwnTimeout:
        pass

    config = EmitterConfiguration()
    config.request_timeout = timeout = OwnTimeout()
    config.session = Mock()
    assert config.make_emitter("localhost", "post").request_timeout is timeout
    assert EmitterConfiguration(request_timeout=(1, 2, 3, 4), session=Mock()).session is not None


@pytest.mark.parametrize("taker", [Emitter, AsyncEmitter, EmitterConfiguration])
def test_the_options_stand_once(taker: Callable[..., Any]) -> None:
    """Each parameter of an emitter is checked and described; the configuration takes the same ones, and keeps them."""
    parameters = [*inspect.signature(taker.__init__).parameters][1:]
    described = re.findall(r"(?m)^    (\w+): ", inspect.getdoc(taker).partition("Raises:")[0])
    assert described == parameters
    made = taker() if taker is EmitterConfiguration else taker("127.0.0.1:1", protocol="http")
    # The store and the transport keep these, and the endpoint.
    elsewhere = {"buffer_bytes", "buffer_capacity", "session", "protocol", "port"}
    if taker is EmitterConfiguration:
        assert set(options.CHECKS) == set(parameters) - {"emitter_class"}
        elsewhere = set()
    else:
        assert set(parameters) <= {*options.CHECKS, "endpoint", "method"}
    assert {name for name in parameters if not hasattr(made, name)} == elsewhere
