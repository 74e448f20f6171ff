"""Forks, in the middle of everything."""

from __future__ import annotations

import sys
from typing import Type

import pytest

from snowplow_tracker.emitters import AsyncEmitter, Emitter
from support.collector_with_faults import Answer, CollectorWithFaults
from support.inside import bypass
from support.processes import run_program
from support.repetitions import repetitions
from support.tracking import EMITTER_CLASSES

START = """
    import os, sys, threading, time, warnings, signal
    warnings.simplefilter("ignore")
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker

    NAME, ENDPOINT, FORKS = sys.argv[1], sys.argv[2], int(sys.argv[3])
    cls = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[NAME]
    emitter = cls(ENDPOINT, protocol="http", batch_size=10, buffer_capacity=100_000)
    tracker = Tracker("fork", emitter)
    view = PageView("https://example.com/")

    def fork(work):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(20)
                work()
                status = 0
            except BaseException:
                import traceback
                traceback.print_exc()
            finally:
                os._exit(status)
        return child

    def wait(child):
        status = os.waitpid(child, 0)[1]
        assert status == 0, "child ended with status %d" % status
"""

MANY = (
    START
    + """
    ids = []

    def work():
        own = [tracker.track(view) for _ in range(3)]
        left = emitter.sync_flush(timeout=10)
        assert left == 0, left
        assert emitter.close(timeout=5) == 0
        stats = emitter.stats()
        assert (stats.tracked, stats.sent) == (3, 3), stats

    done = threading.Event()

    def keep_tracking():
        while not done.wait(0.002):
            ids.append(tracker.track(view))

    # forks must hit every moment of another thread's tracking
    other = threading.Thread(target=keep_tracking, daemon=True)
    other.start()
    for number in range(FORKS):
        for _ in range(13):
            ids.append(tracker.track(view))
        wait(fork(work))
    done.set()
    other.join()
    left = emitter.sync_flush(timeout=20)
    assert left == 0, left
    assert emitter.stats().tracked == len(ids) == emitter.stats().sent, emitter.stats()
    print(len(ids))
"""
)


@pytest.mark.long
@pytest.mark.parametrize("wait", [0, 0.003])
def test_hundreds_of_forks(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, wait: float
) -> None:
    """Parent and children, forked with events queued and a request in flight, deliver their own events once each."""
    collector.behaviour = Answer(wait=wait)
    forks = repetitions(200) if wait else 20
    done = run_program(MANY, emitter_class.__name__, collector.endpoint, forks, deadline=90)
    assert done.status == 0, done
    assert not collector.repeated
    assert len(collector.arrived) == int(done.output) + 3 * forks


@pytest.mark.alone
def test_a_fork_during_a_hanging_request(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """A child forked while the parent's request hangs sends its own events over its own connection."""
    calls = []

    def behave(request: object) -> Answer:
        calls.append(request)
        return Answer(wait=1.0) if len(calls) == 1 else Answer()

    collector.behaviour = behave
    program = (
        START
        + """
    def track(count):
        for _ in range(count):
            tracker.track(view)

    sender = threading.Thread(target=track, args=(10,))
    sender.start()
    time.sleep(0.4)

    def work():
        started = time.monotonic()
        track(3)
        assert emitter.sync_flush(timeout=5) == 0
        assert time.monotonic() - started < 0.5

    child = fork(work)
    wait(child)
    sender.join()
    assert emitter.sync_flush(timeout=5) == 0
"""
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, 0)
    assert done.status == 0, done
    assert len(collector.arrived) == 13
    assert not collector.repeated
    assert len({request.connection for request in collector.requests}) >= 2


@pytest.mark.parametrize(
    "state",
    [
        "emitter.close()",
        "emitter.set_flush_timer(0.1)",
        "emitter.sync_flush()",
        "pass",
    ],
)
@pytest.mark.parametrize("cls", EMITTER_CLASSES)
def test_forks_in_each_state(
    cls: Type[Emitter], collector: CollectorWithFaults, state: str
) -> None:
    """A fork of a new, flushed, timed or closed emitter leaves parent and child working."""
    program = (
        START
        + f"""
    for _ in range(3):
        tracker.track(view)
    {state}

    def work():
        tracker.track(view)
        emitter.flush()
        emitter.sync_flush(timeout=3)
        emitter.close(timeout=1)

    for _ in range(3):
        wait(fork(work))
    tracker.track(view)
    emitter.close(timeout=3)
"""
    )
    done = run_program(program, cls.__name__, collector.endpoint, 0, deadline=20)
    assert done.status == 0, done
    assert len(collector.arrived) == (3 if "close" in state else 7)
    assert not collector.repeated


def test_a_child_of_a_child(emitter_class: Type[Emitter], collector: CollectorWithFaults) -> None:
    """Each generation sends what it tracked itself."""
    program = (
        START
        + """
    def generation(depth):
        tracker.track(view)
        if depth:
            child = fork(lambda: generation(depth - 1))
            wait(child)
        tracker.track(view)
        assert emitter.sync_flush(timeout=5) == 0

    generation(3)
"""
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, 0)
    assert done.status == 0, done
    assert len(collector.arrived) == 8
    assert not collector.repeated


def test_a_child_that_exits_without_flushing(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """A child of `os.fork` that ends by `sys.exit` sends its own events and leaves the parent's alone."""
    program = (
        START
        + """
    for _ in range(4):
        tracker.track(view)
    child = os.fork()
    if child == 0:
        for _ in range(3):
            tracker.track(view)
        sys.exit(0)
    wait(child)
"""
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, 0)
    assert done.status == 0, done
    assert len(collector.arrived) == 7
    assert not collector.repeated


@pytest.mark.long
def test_a_fork_in_backoff(collector: CollectorWithFaults) -> None:
    """A child does not wait for the delay that the parent's failures brought about."""
    calls = []

    def behave(request: object) -> Answer:
        calls.append(request)
        return Answer(status=503, headers={"Retry-After": "3"}) if len(calls) == 1 else Answer()

    collector.behaviour = behave
    program = (
        START
        + """
    for _ in range(10):
        tracker.track(view)
    while not emitter.stats().failed_attempts:
        time.sleep(0.01)

    def work():
        started = time.monotonic()
        tracker.track(view)
        assert emitter.sync_flush(timeout=2) == 0
        assert emitter.stats().failed_attempts == 0

    wait(fork(work))
    assert emitter.sync_flush(timeout=10) == 0
"""
    )
    done = run_program(program, AsyncEmitter.__name__, collector.endpoint, 0)
    assert done.status == 0, done
    assert len(collector.arrived) == 11


@pytest.mark.parametrize("milliseconds", [0, 10, 50])
def test_a_fork_while_the_first_request_is_being_prepared(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, milliseconds: int
) -> None:
    """A child forked while another thread imports what the first request needs does not wait for that import."""
    program = (
        START
        + f"""
    def first():
        for _ in range(10):
            tracker.track(view)

    sender = threading.Thread(target=first)
    sender.start()
    time.sleep({milliseconds} / 1000)

    def work():
        tracker.track(view)
        assert emitter.sync_flush(timeout=5) == 0

    wait(fork(work))
    sender.join()
    assert emitter.sync_flush(timeout=5) == 0
"""
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, 0, deadline=30)
    assert done.status == 0, done
    assert len(collector.arrived) == 11
    assert not collector.repeated


@pytest.mark.long
@pytest.mark.parametrize("way", ["plain", "get", "session", "proxy", "localhost"])
def test_the_first_request_imports_nothing(way: str, collector: CollectorWithFaults) -> None:
    """Whichever way it takes: a child forked in the middle of an import would wait for that for ever."""
    program = """
    import os, sys
    from snowplow_tracker import Emitter, PageView, Tracker

    way, endpoint = sys.argv[1:]
    options = {"method": "get"} if way == "get" else {}
    if way == "session":
        from requests import Session
        options["session"] = Session()
    if way == "proxy":
        os.environ["http_proxy"] = endpoint
    if way == "localhost":
        endpoint = endpoint.replace("127.0.0.1", "localhost")
    emitter = Emitter(endpoint, protocol="http", batch_size=1, **options)
    before = {*sys.modules}
    Tracker("n", emitter).track(PageView("https://example.com/"))
    print(sorted({*sys.modules} - before), emitter.stats().sent)
"""
    done = run_program(program, way, collector.endpoint, deadline=30)
    assert done.output == "[] 1\n", done


@pytest.mark.skipif(
    not bypass.knows_requests(), reason="with this urllib3 all goes through requests"
)
def test_a_child_of_a_fork_in_the_middle_of_an_import_of_requests(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """A child sends its events although another thread of its parent, which is not ours, was importing requests."""
    program = (
        START
        + """
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    half = ModuleType("requests")
    half.__spec__ = ModuleSpec("requests", None)
    half.__spec__._initializing = True
    sys.modules["requests"] = half
    sys.modules["requests.api"] = ModuleType("requests.api")

    def work():
        tracker.track(view)
        assert emitter.sync_flush(timeout=5) == 0, emitter.stats()

    wait(fork(work))
"""
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, 0)
    assert done.status == 0, done
    assert len(collector.arrived) == 1


@pytest.mark.long
@pytest.mark.parametrize("milliseconds", [0, 2, 5, 10])
def test_a_fork_while_a_thread_of_the_user_imports_what_requests_need(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, milliseconds: int
) -> None:
    """A child sends its events whatever another thread of its parent was importing when it was forked."""
    program = (
        START
        + f"""
    import importlib
    def import_all():
        for name in ("http.client", "http.cookiejar", "email.utils", "urllib3", "requests"):
            importlib.import_module(name)

    threading.Thread(target=import_all).start()
    time.sleep({milliseconds} / 1000)

    def work():
        tracker.track(view)
        assert emitter.sync_flush(timeout=5) == 0, emitter.stats()

    wait(fork(work))
"""
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, 0)
    assert done.status == 0, done
    assert len(collector.arrived) == 1


IN_A_THREAD = """
    import os, sys, threading, time
    from snowplow_tracker import AsyncEmitter, PageView, Tracker

    tracker = Tracker("fork", AsyncEmitter(sys.argv[1], batch_size=1))

    def fork():
        child = os.fork()
        if not child:
            for _ in range(3):
                tracker.track(PageView("https://a.example"))
            return
        deadline = time.monotonic() + 10
        while not os.waitpid(child, os.WNOHANG)[0]:
            if time.monotonic() > deadline:
                os.kill(child, 9)
                os.waitpid(child, 0)
                print("killed")
            time.sleep(0.01)

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
"""


@pytest.mark.skipif(
    sys.version_info >= (3, 14),
    reason="from Python 3.14 on, such a child hangs by itself if it has started a thread",
)
def test_a_child_of_a_thread_ends_with_the_function_of_the_thread(
    collector: CollectorWithFaults,
) -> None:
    """A child whose forking thread returns sends its events and ends: an idle sending thread does not keep it alive."""
    done = run_program(IN_A_THREAD, collector.endpoint, deadline=20)
    assert "killed" not in done.output
    assert len(collector.events()) == 3
