"""Children that C code forks, without Python's fork hooks, as uWSGI and embedding servers do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Optional, Type

import pytest

from snowplow_tracker.emitters import Emitter
from snowplow_tracker.sqlite_event_store import SQLiteEventStore
from support.collector_with_faults import CollectorWithFaults
from support.inside import fork
from support.processes import run_program

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

START = """
    import ctypes, os, signal, sys, threading, time, warnings
    warnings.simplefilter("ignore")
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker

    NAME, ENDPOINT, BATCH = sys.argv[1], sys.argv[2], int(sys.argv[3])
    cls = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[NAME]
    view = PageView("https://example.com/")
    raw_fork = ctypes.PyDLL(None).fork

    def fork(work):
        # Threads come to rest: one that waits for the interpreter at this moment is waited for in the child, for ever,
        # by the interpreter itself.
        time.sleep(0.05)
        child = raw_fork()
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


@pytest.mark.long
@pytest.mark.parametrize("batch", [1, 10])
def test_children_deliver_what_they_tracked(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, batch: int
) -> None:
    """Events of parent and children arrive once each, whatever the parent had under way."""
    program = (
        START
        + """
    def work():
        for _ in range(10):
            tracker.track(view)
        assert emitter.sync_flush(timeout=5) == 0, emitter.stats()
        assert emitter.stats().tracked == emitter.stats().sent == 10, emitter.stats()

    for in_the_parent in (0, 1, 4):
        emitter = cls(ENDPOINT, protocol="http", batch_size=BATCH, flush_interval=60)
        tracker = Tracker("raw", emitter)
        for _ in range(in_the_parent):
            tracker.track(view)
        for child in [fork(work) for _ in range(3)]:
            wait(child)
        tracker.track(view)
        assert emitter.sync_flush(timeout=5) == 0
"""
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, batch)
    assert done.status == 0, done
    assert len(collector.arrived) == 3 * (30 + 1) + 0 + 1 + 4
    assert not collector.repeated


@pytest.mark.long
def test_a_child_that_only_flushes_or_reads_leaves_the_parents_events_alone(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """`flush`, `stats`, `close` and the exit hook of a child do not touch what the parent had queued."""
    program = (
        START
        + """
    emitter = cls(ENDPOINT, protocol="http", batch_size=100, flush_interval=60)
    tracker = Tracker("raw", emitter)
    for _ in range(5):
        tracker.track(view)

    def check(work, expected):
        def child():
            found = work()
            assert found == expected, found
        wait(fork(child))

    check(lambda: emitter.stats().tracked, 0)
    check(lambda: emitter.stats().queued, 0)
    check(lambda: emitter.flush(timeout=5), 0)
    check(lambda: emitter.sync_flush(timeout=5), 0)
    check(lambda: emitter.close(timeout=5), 0)
    import atexit
    check(atexit._run_exitfuncs, None)
"""
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, 10)
    assert done.status == 0, done
    assert len(collector.arrived) == 5  # by the parent, at its end
    assert not collector.repeated


@pytest.mark.long
def test_a_child_of_a_child(emitter_class: Type[Emitter], collector: CollectorWithFaults) -> None:
    """Each generation sends what it tracked itself, also where raw forks and Python's alternate."""
    program = (
        START
        + """
    emitter = cls(ENDPOINT, protocol="http", batch_size=10, flush_interval=60)
    tracker = Tracker("raw", emitter)

    def generation(depth):
        global raw_fork
        tracker.track(view)
        raw_fork = os.fork if depth % 2 else ctypes.PyDLL(None).fork
        if depth:
            wait(fork(lambda: generation(depth - 1)))
        tracker.track(view)
        assert emitter.sync_flush(timeout=5) == 0

    generation(4)
"""
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, 10)
    assert done.status == 0, done
    assert len(collector.arrived) == 10
    assert not collector.repeated


@pytest.mark.long
def test_threads_of_the_child_that_come_at_once(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """Threads of a child that all track first lose nothing to the one that starts everything again."""
    program = (
        START
        + """
    # No threads in the parent: the interpreter's own lock would remember them in the child.
    emitters = [cls(ENDPOINT, protocol="http", batch_size=10) for _ in range(20)]
    trackers = [Tracker("raw", emitter) for emitter in emitters]
    if NAME == "Emitter":
        for tracker in trackers:
            tracker.track(view)

    def work():
        barrier = threading.Barrier(8)
        def track(number):
            barrier.wait()
            for tracker in trackers[number:] + trackers[:number]:
                tracker.track(view)
        threads = [threading.Thread(target=track, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for emitter in emitters:
            assert emitter.sync_flush(timeout=5) == 0
            assert emitter.stats().tracked == emitter.stats().sent == 8, emitter.stats()

    for _ in range(3):
        wait(fork(work))
"""
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, 10)
    assert done.status == 0, done
    assert len(collector.arrived) == 20 * (emitter_class is Emitter) + 3 * 8 * 20
    assert not collector.repeated


@pytest.mark.long
def test_a_signal_handler_that_tracks_first_in_the_child(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """A handler that comes while the child starts again neither waits for ever nor stops that."""
    program = (
        START
        + """
    emitter = cls(ENDPOINT, protocol="http", batch_size=100, flush_interval=60)
    tracker = Tracker("raw", emitter)
    tracker.track(view)

    def work():
        signal.signal(signal.SIGUSR1, lambda *_: tracker.track(view))
        os.kill(os.getpid(), signal.SIGUSR1)
        tracker.track(view)
        assert emitter.sync_flush(timeout=5) == 0
        assert emitter.stats().sent == 2, emitter.stats()

    for _ in range(10):
        wait(fork(work))
"""
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, 10)
    assert done.status == 0, done
    assert len(collector.arrived) == 21
    assert not collector.repeated


@pytest.mark.long
def test_children_do_not_share_a_connection(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """A child opens a connection of its own, where the parent has one open."""
    program = (
        START
        + """
    emitter = cls(ENDPOINT, protocol="http", batch_size=1)
    tracker = Tracker("raw", emitter)
    tracker.track(view)
    assert emitter.sync_flush(timeout=5) == 0

    def work():
        tracker.track(view)
        assert emitter.sync_flush(timeout=5) == 0

    for child in [fork(work) for _ in range(3)]:
        wait(child)
    tracker.track(view)
    assert emitter.sync_flush(timeout=5) == 0
"""
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, 1)
    assert done.status == 0, done
    assert len(collector.arrived) == 5
    assert len({request.connection for request in collector.requests}) == 4


@pytest.mark.long
def test_producers_of_one_file(collector: CollectorWithFaults, tmp_path: Path) -> None:
    """Children that write to the SQLite file that their parent had open keep 31 of 31 events in it."""
    program = (
        START
        + """
    from snowplow_tracker.sqlite_event_store import SQLiteEventStore

    store = SQLiteEventStore(sys.argv[4])
    emitter = Emitter(ENDPOINT, event_store=store, enqueue_only=True)
    tracker = Tracker("raw", emitter)
    tracker.track(view)

    def work():
        for _ in range(10):
            tracker.track(view)
        emitter.close()

    for child in [fork(work) for _ in range(3)]:
        wait(child)
"""
    )
    file = str(tmp_path / "events.db")
    done = run_program(program, "Emitter", collector.endpoint, 10, file)
    assert done.status == 0, done
    store = SQLiteEventStore(file)
    assert store.size() == 31
    store.close()


class Part:
    """Something with state, that notes when it starts again."""

    def __init__(self, name: str, notes: List[str], error: Optional[BaseException] = None) -> None:
        self._name = name
        self._notes = notes
        self.error = error or ValueError()
        self.fails = False
        fork.register(self)

    def _after_fork(self) -> None:
        self._notes.append(self._name)
        if self.fails:
            raise self.error


def in_a_copy(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have this process look like a copy of itself."""
    monkeypatch.setattr(os, "getpid", lambda: number)


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry without the emitters of other tests."""
    monkeypatch.setattr(fork, "_objects", {})
    monkeypatch.setattr(fork, "_functions", [])
    monkeypatch.setattr(fork, "_restarts", {})
    monkeypatch.setattr(fork, "process_id", os.getpid())
    monkeypatch.setattr(fork, "is_raw", False)


@pytest.mark.usefixtures("own_registry")
def test_functions_come_first_then_objects_in_order_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy starts each part again once, in the order that is written down."""
    notes: List[str] = []
    parts = [Part(f"object {number}", notes) for number in range(3)]
    fork.register_function(lambda: notes.append("function"))
    gone = Part("gone", notes)
    del gone
    fork.check()
    assert notes == []
    in_a_copy(monkeypatch, -1)
    fork.check()
    fork.check()
    assert notes == ["function", "object 0", "object 1", "object 2"]
    in_a_copy(monkeypatch, -2)
    fork.check()
    assert len(notes) == 8
    del parts


@pytest.mark.usefixtures("own_registry")
def test_a_part_that_fails_does_not_keep_others_from_starting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of one part is logged; the rest starts again."""
    notes: List[str] = []
    parts = [Part("first", notes), Part("second", notes)]
    parts[0].fails = True
    in_a_copy(monkeypatch, -1)
    fork.check()
    assert notes == ["first", "second"]
    assert "could not start again" in caplog.text


@pytest.mark.usefixtures("own_registry")
def test_an_interrupt_comes_out_and_the_next_call_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a signal handler raises while parts start again stops that only until the next call."""
    notes: List[str] = []
    parts = [Part(name, notes, KeyboardInterrupt()) for name in ("first", "second", "third")]
    parts[1].fails = True
    in_a_copy(monkeypatch, -1)
    with pytest.raises(KeyboardInterrupt):
        fork.check()
    parts[1].fails = False
    fork.check()
    fork.check()
    assert notes == ["first", "second", "second", "third"]
