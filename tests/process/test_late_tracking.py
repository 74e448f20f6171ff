"""Tracking while the interpreter goes down: the process ends in time, and every event is counted."""

from __future__ import annotations

import sys
from typing import Type

import pytest

from snowplow_tracker.emitters import Emitter
from support.collector_with_faults import Answer, CollectorWithFaults
from support.processes import run_program
from support.repetitions import repetitions

START = """
    import atexit, os, sys, threading, time
    import snowplow_tracker
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker

    cls = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[sys.argv[1]]
    options = eval(sys.argv[3])
    emitter = cls(sys.argv[2], protocol="http", **{"exit_timeout": 1, **options})
    tracker = Tracker("late", emitter)
    view = PageView("https://example.com/")
"""
WAYS = {
    "__del__ of a global": """
    class Session:
        def __del__(self, track=tracker.track, view=view):
            track(view)

    session = Session()
    """,
    "__del__ after events": """
    class Session:
        def __del__(self, track=tracker.track, view=view):
            track(view)

    session = Session()
    for _ in range(5):
        tracker.track(view)
    """,
    "__del__ in a cycle": """
    class Session:
        def __init__(self):
            self.cycle = self

        def __del__(self, track=tracker.track, view=view):
            for _ in range(3):
                track(view)

    session = Session()
    """,
    "weakref callback": """
    import weakref

    class Session:
        pass

    session = Session()
    session.noted = weakref.ref(session, lambda _, track=tracker.track, view=view: track(view))
    kept = session.noted
    """,
    "weakref.finalize": """
    import weakref

    class Session:
        pass

    session = Session()
    weakref.finalize(session, tracker.track, view)
    """,
    "atexit first": """
    atexit.register(tracker.track, view)
    """,
    "thread that outlives the main one": """
    def go_on():
        while True:
            tracker.track(view)
            time.sleep(0.001)

    for _ in range(3):
        threading.Thread(target=go_on, daemon=True).start()
    time.sleep(0.1)
    """,
    "flush and close in __del__": """
    class Session:
        def __del__(self, tracker=tracker, view=view):
            tracker.track(view)
            tracker.flush()
            tracker.close()

    session = Session()
    """,
    "a tracker in __del__": """
    class Session:
        def __init__(self):
            self.tracker = Tracker("own", cls(sys.argv[2], protocol="http", exit_timeout=1))

        def __del__(self, view=view):
            self.tracker.track(view)

    session = Session()
    """,
}


# A tracker that tracks each event with three emitters, as three events.
WITH_OTHERS = """
    class Trackers:
        def __init__(self, trackers):
            self.trackers = trackers

        def track(self, event):
            for tracker in self.trackers:
                tracker.track(event)

        def flush(self):
            for tracker in self.trackers:
                tracker.flush()

        def close(self):
            for tracker in self.trackers:
                tracker.close()

    tracker = Trackers([tracker] + [
        Tracker("late", cls(sys.argv[2], protocol="http", **options, **others))
        for others in ({"batch_size": 1}, {"flush_interval": 0.05})
    ])
"""


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_the_process_ends_in_time(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, way: str
) -> None:
    """Whatever tracks while the interpreter goes down hangs nothing and shows no traceback."""
    program = START + WITH_OTHERS + WAYS[way]
    options = "{'exit_timeout': 0.3}"
    done = run_program(program, emitter_class.__name__, collector.endpoint, options, deadline=20)
    assert done.status == 0, done
    assert done.seconds < 5
    assert "Traceback" not in done.errors, done
    assert "Exception ignored" not in done.errors, done
    assert not collector.repeated


@pytest.mark.long
@pytest.mark.parametrize("way", ["__del__ of a global", "__del__ after events", "atexit first"])
@pytest.mark.parametrize("fault", ["refuses", "silent"])
def test_a_collector_that_is_gone_does_not_hold_up_the_end(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, way: str, fault: str
) -> None:
    """Late events of a collector that does not answer are told, within `exit_timeout` and a little."""
    if fault == "refuses":
        collector.refuse()
    else:
        collector.behaviour = Answer(fault="silence")
    program = START + WAYS[way]
    done = run_program(program, emitter_class.__name__, collector.endpoint, "{}", deadline=20)
    assert done.status == 0, done
    assert done.seconds < 6
    assert "Traceback" not in done.errors, done
    if way != "__del__ of a global":  # so late that there may be no stderr to write to
        assert "could not be sent" in done.errors, done


def test_what_comes_after_the_exit_hook_is_in_a_counter(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """Each event that was tracked in `__del__` is sent or counted as dropped."""
    program = """
    class Session:
        def __del__(self, tracker=tracker, emitter=emitter, view=view, write=os.write):
            for _ in range(3):
                tracker.track(view)
            stats = emitter.stats()
            write(1, b"%d %d %d %d" % (
                stats.tracked, stats.sent, stats.queued + stats.in_flight, sum(stats.dropped.values())
            ))

    session = Session()
    for _ in range(5):
        tracker.track(view)
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint, "{}")
    assert done.status == 0, done
    tracked, sent, waiting, dropped = map(int, done.output.split())
    assert tracked == 8
    assert waiting == 0
    assert sent + dropped == 8
    assert len(collector.arrived) == sent


def test_a_thread_that_is_not_a_daemon_tracks_after_the_main_one(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """The interpreter waits for such a thread, and so do its events: all arrive."""
    program = """
    def go_on():
        threading.main_thread().join()
        for _ in range(25):
            tracker.track(view)

    threading.Thread(target=go_on).start()
    tracker.track(view)
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint, "{}")
    assert done.status == 0, done
    assert len(collector.arrived) == 26, done


@pytest.mark.parametrize("end", ["sys.exit(3)", "raise ZeroDivisionError", "os.abort()"])
def test_the_exit_status_is_the_programs(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, end: str
) -> None:
    """Events that are sent at the end change nothing about how the process ends."""
    done = run_program(
        START + f"\n    tracker.track(view)\n    {end}\n",
        emitter_class.__name__,
        collector.endpoint,
        "{}",
    )
    assert done.status == {"sys.exit(3)": 3, "os.abort()": -6}.get(end, 1), done
    assert len(collector.arrived) == (end != "os.abort()")


@pytest.mark.long
def test_many_processes_end_without_a_hang(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """A process that ends while its thread starts or sends ends each time, not most times."""
    count = repetitions(15)
    program = f"""
    import subprocess

    if len(sys.argv) > 4:
        tracker.track(view)
    else:
        for _ in range({count}):
            subprocess.run([sys.executable, *sys.argv, "child"], check=True, timeout=10)
    """
    done = run_program(
        START + program, emitter_class.__name__, collector.endpoint, "{'batch_size': 1}"
    )
    assert (done.status, done.errors) == (0, ""), done
    assert len(collector.arrived) == count, sys.version


def test_a_finalizer_of_what_is_collected_with_its_emitter(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """An object that goes together with its tracker, in a cycle, still tracks in `__del__`: the event arrives."""
    program = """
    import gc

    class Session:
        def __init__(self):
            self.emitter = cls(sys.argv[2], protocol="http", exit_timeout=5)
            self.tracker = Tracker("own", self.emitter)
            self.cycle = self

        def __del__(self):
            self.tracker.track(view)

    Session()
    gc.collect()
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint, "{}")
    assert (done.status, done.errors) == (0, ""), done
    assert len(collector.arrived) == 1
