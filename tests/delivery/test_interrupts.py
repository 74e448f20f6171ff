"""Interrupts: what a signal handler raises comes out of the tracker, and breaks nothing."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from snowplow_tracker import Emitter, StructuredEvent, Tracker
from support.collector_with_faults import Answer, CollectorWithFaults
from support.inside import request_bodies
from support.processes import run_program
from support.redis_server import redis_server
from support.repetitions import repetitions

ROUNDS = int(os.environ.get("SNOWPLOW_TRACKER_INTERRUPTS", repetitions(100)))
"""How many interrupts, for each emitter and store. By hand 2,000, with another seed."""
SEED = int(os.environ.get("SNOWPLOW_TRACKER_SEED", "1"))

KINDS = {
    "sync": 'Emitter(URL, protocol="http", batch_size=5)',
    "threaded": "AsyncEmitter(URL, batch_size=5)",
    "get": 'Emitter(URL, protocol="http", batch_size=5, method="get")',
    "sync, sqlite": 'Emitter(URL, protocol="http", batch_size=5, event_store=SQLiteEventStore(PATH))',
    "threaded, sqlite": "AsyncEmitter(URL, batch_size=5, event_store=SQLiteEventStore(PATH))",
    "sync, redis": 'Emitter(URL, protocol="http", batch_size=5, event_store=RedisEventStore(REDIS, stream=STREAM, claim_after=3))',
    "threaded, redis": (
        "AsyncEmitter(URL, batch_size=5, event_store=RedisEventStore(REDIS, stream=STREAM, claim_after=3, write_behind=True))"
    ),
    "drop_oldest": 'Emitter(URL, protocol="http", batch_size=5, buffer_capacity=6, overflow="drop_oldest")',
}

RANDOM_MOMENTS = """
    import json, random, signal, sys, time
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker
    from snowplow_tracker.redis_event_store import RedisEventStore
    from snowplow_tracker.sqlite_event_store import SQLiteEventStore

    URL, maker, rounds, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    FOLDER, REDIS = sys.argv[5:]

    class TimeLimit(Exception):
        pass

    armed = False
    came = 0
    random.seed(seed)

    def track():
        while came == before:
            mine.append(tracker.track(PageView("https://example.com/")))
            if random.random() < 0.3:
                emitter.flush()

    def interrupt(_, frame):
        global came
        if not armed:
            return
        while frame is not None and frame.f_code is not track.__code__:
            frame = frame.f_back
        if frame is None:  # between the parts of the statement that catches it
            signal.setitimer(signal.ITIMER_REAL, 5e-5)
            return
        came += 1
        raised.append(random.choice([KeyboardInterrupt, TimeLimit, TimeoutError]))
        raise raised[-1]

    signal.signal(signal.SIGALRM, interrupt)
    raised, returned, wedged, miscounted, swallowed, ignored = [], [], [], [], [], []
    sys.unraisablehook = lambda told: ignored.append(repr(told.object))
    for number in range(rounds):
        if number % 50 == 0:
            STREAM, PATH = "s%d" % number, "%s/%d.db" % (FOLDER, number)
            emitter = eval(maker)
            tracker = Tracker("x", emitter)
            mine = []
        armed, before = True, came
        signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-5, 9e-4))
        try:
            track()
            swallowed.append((number, raised[-1].__name__))
        except (KeyboardInterrupt, TimeLimit, TimeoutError):
            pass
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        if emitter.sync_flush(timeout=10):
            wedged.append(number)
        stats = emitter.stats()
        gone = stats.sent + sum(stats.dropped.values())
        if "event_store" in maker:
            # It may hold an event that an interrupt kept from being counted, and takes back after a while what an
            # interrupt kept from being noted by its caller.
            if number % 50 == 49 or number == rounds - 1:
                deadline = time.monotonic() + 20
                while emitter.event_store.remaining() and time.monotonic() < deadline:
                    emitter.sync_flush(timeout=1)
                    time.sleep(0.1)
                stats = emitter.stats()
                gone = stats.sent + sum(stats.dropped.values())
                if emitter.event_store.remaining() or gone < len(mine):
                    miscounted.append((number, repr(stats), len(mine)))
        elif stats.tracked != stats.queued + stats.in_flight + gone or gone < len(mine):
            miscounted.append((number, repr(stats), len(mine)))
        if number % 50 == 49 or number == rounds - 1:
            returned.extend(mine)
            dropped = sum(stats.dropped.values())
    print(json.dumps({
        "wedged": wedged, "miscounted": miscounted, "swallowed": swallowed, "came": came,
        "returned": returned, "dropped": dropped, "ignored": ignored,
    }))
"""


@pytest.fixture
def redis_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A Redis, for the kinds that need one."""
    if "redis" not in request.node.callspec.params["kind"]:
        yield ""
        return
    with redis_server(tmp_path) as server:
        yield server.url


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupt_at_a_random_moment(
    kind: str, collector: CollectorWithFaults, tmp_path: Path, redis_url: str
) -> None:
    """After an interrupt at any moment of `track` and `flush` the emitter goes on, and each event is in a counter."""
    done = run_program(
        *(RANDOM_MOMENTS, collector.endpoint, KINDS[kind], ROUNDS, SEED, tmp_path, redis_url),
        deadline=100 + ROUNDS,
    )
    assert done.status == 0, done
    told = json.loads(done.output)
    assert told["came"] == ROUNDS
    assert (told["wedged"], told["miscounted"]) == ([], [])
    # The interpreter itself ignores what is raised in a finalizer, and says so. redis-py keeps what comes in the finalizers
    # of its connections to itself, and takes any `OSError` that comes while it looks whether a connection has something to
    # read for an answer to that.
    swallowed = told["swallowed"]
    allowed = len(told["ignored"]) + 1
    if "redis" in kind:
        swallowed = [each for each in swallowed if each[1] != "TimeoutError"]
        allowed += ROUNDS // 20
    assert len(swallowed) <= allowed, swallowed
    if kind != "drop_oldest":
        assert set(told["returned"]) <= set(collector.arrived)


LIMIT = """
    import signal, socket, sys
    from requests import Session
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker

    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()
    url = "http://127.0.0.1:%d" % silent.getsockname()[1]

    for base in (Exception, TimeoutError, ConnectionError, BaseException):
        class TimeLimit(base):
            pass

        def stop(*_):
            raise TimeLimit

        signal.signal(signal.SIGALRM, stop)
        emitter = {emitter}
        tracker = Tracker("n", emitter)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            tracker.track(PageView("https://example.com/"))
            {call}
        except TimeLimit:
            left = emitter.stats()
            print(base.__name__, left.queued + left.in_flight)
    silent.close()
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("emitter", "call"),
    [
        ("Emitter(url, batch_size=1, exit_timeout=0.1)", "pass"),
        ("Emitter(url, batch_size=10, exit_timeout=0.1)", "emitter.flush()"),
        ("Emitter(url, batch_size=10, exit_timeout=0.1, session=Session())", "emitter.flush()"),
        ("Emitter(url, batch_size=10, exit_timeout=0.1)", "emitter.close(timeout=5)"),
        ("AsyncEmitter(url, batch_size=10, exit_timeout=0.1)", "emitter.sync_flush(timeout=5)"),
        ("AsyncEmitter(url, batch_size=10, exit_timeout=0.1)", "emitter.close(timeout=5)"),
    ],
)
def test_a_time_limit_comes_out(emitter: str, call: str) -> None:
    """What a signal handler raises while the collector is silent comes out, whatever its class; the event stays."""
    done = run_program(LIMIT.format(emitter=emitter, call=call), deadline=20)
    assert done.status == 0, done
    assert done.output == "Exception 1\nTimeoutError 1\nConnectionError 1\nBaseException 1\n"
    assert done.seconds < 8, "four times, with a limit of 5 seconds each"


HANDLER = """
    import signal, sys
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, StructuredEvent, Tracker

    tracked = 0

    def handle(*_):
        global tracked
        tracker.track(StructuredEvent("app", "stopping"))
        tracked += 1

    signal.signal(signal.SIGALRM, handle)
    for number in range({count}):
        emitter = {emitter}
        tracker = Tracker("x", emitter)
        for each in range(60):
            if each % 10 == 0:
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + number * 0.00005 + each * 0.00001)
            tracker.track(PageView("https://example.com/"))
        emitter.sync_flush(timeout=10)
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert emitter.close() == 0
        assert emitter.stats().tracked == emitter.stats().sent, emitter.stats()
    print(tracked)
"""


@pytest.mark.long
@pytest.mark.parametrize(
    "emitter",
    [
        'Emitter(sys.argv[1], protocol="http")',
        "AsyncEmitter(sys.argv[1])",
        "AsyncEmitter(sys.argv[1], batch_size=1, thread_count=3)",
    ],
)
def test_a_signal_handler_that_tracks(emitter: str, collector: CollectorWithFaults) -> None:
    """A handler that tracks, wherever it comes in between, waits for nobody, and loses nothing."""
    count = repetitions(40)
    program = HANDLER.format(emitter=emitter, count=count)
    done = run_program(program, collector.endpoint, deadline=90)
    assert done.status == 0, done
    assert int(done.output) > count / 10
    assert len(collector.arrived) == int(done.output) + count * 60


FINALIZER = """
import sys
from snowplow_tracker import AsyncEmitter, StructuredEvent, Tracker

reported = tracked = 0

def on_drop(events, _):
    global reported
    reported += len(events)

class Session:
    def __init__(self):
        self.cycle = self

    def __del__(self):
        global tracked
        tracked += 1
        tracker.track(StructuredEvent("session", "end"))

emitter = AsyncEmitter(sys.argv[1], buffer_capacity=20, max_retry_delay_seconds=30, on_drop=on_drop)
tracker = Tracker("shop", emitter)
while emitter.stats().failed_attempts == 0:
    tracker.track(StructuredEvent("shop", "view"))
    tracked += 1
for _ in range(6000):
    Session()
    tracker.track(StructuredEvent("shop", "view"))
    tracked += 1
stats = emitter.stats()
print(tracked - stats.tracked, reported - sum(stats.dropped.values()))
"""


def test_a_finalizer_that_tracks_while_events_are_dropped(collector: CollectorWithFaults) -> None:
    """Each event is counted, although the garbage collector runs in the middle of counting others."""
    collector.behaviour = Answer(status=503)
    done = run_program(FINALIZER, collector.endpoint, deadline=15)
    assert (done.status, done.output.split()) == (0, ["0", "0"]), done


class TimeLimitError(Exception):
    """What another thread raises in a job."""


def _raise_while_encoding(job: threading.Thread) -> None:
    while job.is_alive():
        frame = sys._current_frames().get(job.ident or 0)
        while frame is not None:
            if frame.f_globals is vars(request_bodies):
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(job.ident or 0), ctypes.py_object(TimeLimitError)
                )
                return
            frame = frame.f_back


def test_a_time_limit_that_comes_while_a_body_is_encoded(collector: CollectorWithFaults) -> None:
    """What another thread raises there, as RQ and stopit do, drops no event."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    dropped: List[Any] = []
    try:
        for _ in range(5):
            emitter = Emitter(
                collector.endpoint,
                protocol="http",
                batch_size=400,
                on_drop=lambda events, _: dropped.extend(events),
            )
            tracker = Tracker("shop", emitter)
            for _ in range(399):
                tracker.track(StructuredEvent("shop", "view", label="x" * 100))

            def flush(emitter: Emitter = emitter) -> None:
                with contextlib.suppress(TimeLimitError):
                    emitter.flush()

            job = threading.Thread(target=flush)
            job.start()
            _raise_while_encoding(job)
            job.join()
            emitter.close(timeout=10)
    finally:
        sys.setswitchinterval(interval)
    assert (len(collector.arrived), dropped) == (5 * 399, [])
