"""Many threads, many emitters, and other ways to run code at once."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, List, Type

import pytest

from snowplow_tracker.emitters import AsyncEmitter, Emitter
from support.collector_with_faults import (
    Answer,
    CollectorWithFaults,
    fail_at_random,
)
from support.processes import run_program
from support.tracking import assert_counters_add_up, payload, track_many

Make = Callable[..., Any]


@pytest.mark.long
@pytest.mark.parametrize("threads", [1, 4])
def test_eight_threads_and_a_collector_that_fails_often(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, threads: int
) -> None:
    """8 threads x 2,000 events, 30 % of the requests fail: 16,000 distinct events arrive."""
    options = {"thread_count": threads} if emitter_class is AsyncEmitter else {}
    collector.behaviour = fail_at_random(0.3, seed=threads)
    emitter = emitter_class(
        collector.endpoint,
        protocol="http",
        buffer_capacity=50_000,
        max_retry_delay_seconds=0.1,
        **options,
    )
    tracked: List[str] = []

    def work() -> None:
        for _ in range(4):
            tracked.extend(track_many(emitter, 500))

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert emitter.sync_flush(timeout=30) == 0
    assert len(tracked) == 16_000
    assert set(collector.arrived) == set(tracked)
    assert not collector.repeated
    assert_counters_add_up(emitter, 16_000)
    emitter.close()


LEFT_BEHIND = """
    import gc, os, resource, sys, threading, time
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker

    NAME, ENDPOINT, HOW = sys.argv[1:]
    cls = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[NAME]
    view = PageView("https://example.com/")

    def use(count):
        for _ in range(count):
            emitter = cls(ENDPOINT, protocol="http", batch_size=1)
            if HOW == "used":
                Tracker("n", emitter).track(view)
                assert emitter.sync_flush(timeout=10) in (0, None)
            elif HOW == "closed":
                Tracker("n", emitter).track(view)
                emitter.close(timeout=10)

    def settle():
        deadline = time.monotonic() + 10
        gc.collect()
        while threading.active_count() > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
            gc.collect()

    def memory():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() // 1024

    few, many = (2_000, 6_000) if HOW == "unused" else (200, 600)
    use(few)
    settle()
    before = memory()
    use(many)
    settle()
    print(threading.active_count(), len(os.listdir("/proc/self/fd")), memory() - before)
"""


@pytest.mark.long
@pytest.mark.parametrize("how", ["unused", "used", "closed"])
def test_dropped_emitters_leave_nothing_behind(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, how: str
) -> None:
    """Hundreds of emitters that were used, or thousands that were not, leave no thread, socket or memory."""
    done = run_program(LEFT_BEHIND, emitter_class.__name__, collector.endpoint, how, deadline=60)
    assert done.status == 0, done
    threads, files, kilobytes = map(int, done.output.split())
    assert threads == 1
    assert files < 12
    assert kilobytes < 3_000


GEVENT = """
    from gevent import monkey
    monkey.patch_all()
    import sys, time
    import gevent
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker

    NAME, ENDPOINT = sys.argv[1:]
    cls = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[NAME]
    emitter = cls(ENDPOINT, protocol="http", batch_size=10)
    tracker = Tracker("gevent", emitter)
    ticks = []

    def tick():
        while True:
            ticks.append(time.perf_counter())
            gevent.sleep(0.005)

    def work(number):
        for _ in range(5):
            tracker.track(PageView("https://example.com/%d" % number))
            gevent.sleep(0.001)

    ticker = gevent.spawn(tick)
    gevent.joinall([gevent.spawn(work, n) for n in range(10)], raise_error=True)
    left = emitter.sync_flush(timeout=10)
    ticker.kill()
    assert left == 0, left
    gaps = [b - a for a, b in zip(ticks, ticks[1:])]
    for _ in range(5):
        tracker.track(PageView("https://example.com/at-exit"))
    print(max(gaps))
"""


@pytest.mark.long
def test_gevent(emitter_class: Type[Emitter], collector: CollectorWithFaults) -> None:
    """Under gevent's monkey patching events arrive, a flush returns, the exit works, and other greenlets run."""
    collector.behaviour = Answer(wait=0.2)
    done = run_program(GEVENT, emitter_class.__name__, collector.endpoint, deadline=30)
    assert done.status == 0, done
    assert len(collector.arrived) == 55
    assert not collector.repeated
    assert float(done.output) < 0.15


ASYNCIO = """
    import asyncio, sys, time
    from snowplow_tracker import AsyncEmitter, PageView, Tracker

    ENDPOINT = sys.argv[1]
    emitter = AsyncEmitter(ENDPOINT, buffer_capacity=100_000)
    tracker = Tracker("loop", emitter)

    async def main():
        view = PageView("https://example.com/")
        held = []
        for number in range(2_000):
            started = time.perf_counter()
            tracker.track(view)
            held.append(time.perf_counter() - started)
            await asyncio.sleep(0.0003)
        held.sort()
        print(held[1_980], held[-2], held[-1])

    asyncio.run(main())
    emitter.close(timeout=5 if sys.argv[2] == "well" else 0.1)
"""


@pytest.mark.alone
@pytest.mark.parametrize("health", ["well", "slow", "silent", "down"])
def test_an_event_loop_is_not_held_up(collector: CollectorWithFaults, health: str) -> None:
    """`track()` from an asyncio loop returns in well under a millisecond, whatever the collector does."""
    answers = {"slow": Answer(wait=0.2), "silent": Answer(fault="silence")}
    collector.behaviour = answers.get(health, Answer())
    if health == "down":
        collector.refuse()
    done = run_program(ASYNCIO, collector.endpoint, health, deadline=30)
    assert done.status == 0, done
    percentile, second_worst, _ = map(float, done.output.split())
    assert percentile < 0.001
    # the machine itself may take the processor away now and then
    assert second_worst < 0.02
    if health == "well":
        assert len(collector.arrived) == 2_000


@pytest.mark.long
@pytest.mark.parametrize("through_requests", [False, True])
def test_many_threads_share_connections_without_noise(
    collector: CollectorWithFaults,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    through_requests: bool,
) -> None:
    """Thirty threads that send at once keep their connections and warn of nothing, whichever way requests go."""
    if through_requests:
        monkeypatch.setenv("NETRC", "/nowhere")  # a netrc file is for requests to read
    collector.behaviour = Answer(wait=0.005)
    emitter = Emitter(collector.endpoint, protocol="http", batch_size=1)
    start = threading.Barrier(30)

    def work() -> None:
        start.wait(5)
        for _ in range(10):
            track_many(emitter, 1)

    threads = [threading.Thread(target=work) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert emitter.sync_flush(timeout=10) == 0
    assert len(collector.arrived) == 300
    assert collector.connections <= 31
    assert caplog.records == []


def test_a_full_queue_is_emptied_while_a_thread_tracks_in_a_tight_loop(
    make: Make, collector: CollectorWithFaults
) -> None:
    """The thread that sends comes to its turn, although one that tracks into a full queue never rests."""
    emitter = make(AsyncEmitter, batch_size=10, buffer_capacity=50)
    deadline = time.monotonic() + 20
    while emitter.stats().sent < 200 and time.monotonic() < deadline:
        for _ in range(1_000):
            emitter.input(payload())
    assert emitter.stats().sent >= 200
