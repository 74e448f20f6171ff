"""A collector that accepts and does not answer, or answers very slowly."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Type

import pytest

from snowplow_tracker.emitters import AsyncEmitter, Emitter
from support.collector_with_faults import OK, Answer, CollectorWithFaults
from support.processes import run_program
from support.tracking import Notes, assert_counters_add_up, payload, track_many

Make = Callable[..., Any]

SILENCE = Answer(fault="silence")


def test_tracking_is_unaffected_by_a_silent_collector(collector: CollectorWithFaults) -> None:
    """The threaded emitter takes events at the same speed while a request hangs."""
    collector.behaviour = SILENCE
    emitter = AsyncEmitter(collector.endpoint, buffer_capacity=100_000)
    track_many(emitter, 10)
    assert collector.wait_for_requests(1)
    times = []
    for _ in range(5_000):
        event = payload()
        started = time.perf_counter()
        emitter.input(event)
        times.append(time.perf_counter() - started)
    times.sort()
    assert times[4_950] < 0.001
    assert times[-1] < 0.1
    emitter.close(timeout=0)


@pytest.mark.long
def test_flush_returns_within_its_timeout(make: Make, collector: CollectorWithFaults) -> None:
    """`flush(timeout=2)` is back within 2.5 s and says how many events are left."""
    collector.behaviour = SILENCE
    emitter = make(batch_size=100)
    track_many(emitter, 25)
    started = time.monotonic()
    assert emitter.flush(timeout=2) == 25
    assert time.monotonic() - started < 2.5


@pytest.mark.alone
def test_flush_of_a_dripping_answer_returns_within_its_timeout(
    make: Make, collector: CollectorWithFaults
) -> None:
    """An answer that comes byte by byte, each within the read timeout, does not hold a bounded flush."""
    collector.behaviour = Answer(drip=0.15)
    emitter = make(batch_size=100)
    track_many(emitter, 5)
    started = time.monotonic()
    emitter.flush(timeout=1)
    assert time.monotonic() - started < 1.5


@pytest.mark.alone
def test_request_timeout_bounds_a_request(make: Make, collector: CollectorWithFaults) -> None:
    """`request_timeout` ends an attempt that gets no answer; its events are tried again."""
    collector.behaviour = SILENCE
    notes = Notes()
    emitter = make(batch_size=100, request_timeout=0.3, **notes.callbacks())
    tracked = track_many(emitter, 5)
    started = time.monotonic()
    assert emitter.sync_flush() == 5
    assert 0.25 < time.monotonic() - started < 1.5
    assert sorted(notes.failed) == sorted(tracked)
    collector.behaviour = OK
    assert emitter.sync_flush(timeout=5) == 0
    assert_counters_add_up(emitter, 5)


@pytest.mark.long
def test_there_is_a_timeout_by_default(make: Make, collector: CollectorWithFaults) -> None:
    """Without any setting a silent collector holds a flush for seconds, not for ever."""
    collector.behaviour = SILENCE
    emitter = make(batch_size=100)
    track_many(emitter, 1)
    started = time.monotonic()
    assert emitter.sync_flush() == 1
    assert time.monotonic() - started < 7


@pytest.mark.alone
def test_threads_do_not_wait_for_each_others_requests(
    make: Make, collector: CollectorWithFaults
) -> None:
    """One slow request of one thread does not keep other threads from tracking, with either emitter."""
    entered, released = threading.Event(), threading.Event()

    def behave(_: object) -> Answer:
        entered.set()
        released.wait(5)
        return OK

    collector.behaviour = behave
    emitter = make(batch_size=10)
    slow = threading.Thread(target=track_many, args=(emitter, 10))
    slow.start()
    assert entered.wait(5)
    started = time.monotonic()
    # fewer than a batch: these have no reason to send anything
    track_many(emitter, 5)
    assert time.monotonic() - started < 0.5
    released.set()
    slow.join(10)
    assert not slow.is_alive()
    assert emitter.sync_flush(timeout=5) == 0
    assert len(collector.arrived) == 15


EXIT = """
    import sys, time
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker

    name, endpoint, batch_size, exit_timeout = sys.argv[1:]
    emitter = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[name](
        endpoint, protocol="http", batch_size=int(batch_size), exit_timeout=float(exit_timeout))
    tracker = Tracker("exit", emitter)
    for _ in range(25):
        tracker.track(PageView("https://example.com/"))
    print(time.monotonic())
"""


@pytest.mark.alone
def test_exit_is_within_the_deadline(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """A silent collector holds the end of the process for no longer than the exit deadline and 0.5 s."""
    collector.behaviour = SILENCE
    batch = 100 if emitter_class is Emitter else 10
    done = run_program(EXIT, emitter_class.__name__, collector.endpoint, batch, 1, deadline=20)
    assert done.status == 0, done
    assert done.ended - float(done.output) < 1.5


@pytest.mark.alone
def test_exit_during_a_dripping_answer_is_within_the_deadline(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """An answer that never ends and never pauses does not hold the end of the process either."""
    collector.behaviour = Answer(drip=0.2)
    batch = 100 if emitter_class is Emitter else 10
    done = run_program(EXIT, emitter_class.__name__, collector.endpoint, batch, 1, deadline=20)
    assert done.status == 0, done
    assert done.ended - float(done.output) < 1.5


@pytest.mark.alone
def test_the_default_exit_deadline_is_a_couple_of_seconds(collector: CollectorWithFaults) -> None:
    """Without a setting the end of a process waits about two seconds for a silent collector."""
    collector.behaviour = SILENCE
    program = EXIT.replace(", exit_timeout=float(exit_timeout)", "")
    done = run_program(program, "AsyncEmitter", collector.endpoint, 10, 0, deadline=20)
    assert done.status == 0, done
    assert done.ended - float(done.output) < 2.5
