"""A system that has no thread left for a while, and log records that become events."""

from __future__ import annotations

from typing import Type

import pytest

from snowplow_tracker.emitters import Emitter
from support.collector_with_faults import CollectorWithFaults
from support.processes import run_program

START = """
    import _thread, logging, sys, time
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, StructuredEvent, Tracker

    cls = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[sys.argv[1]]
    view = PageView("https://example.com/")
"""
NO_THREADS = """
    begin, refused = _thread.start_new_thread, []

    def refuse(*arguments, **options):
        if len(refused) < TIMES:
            refused.append(arguments)
            raise RuntimeError("can't start new thread")
        return begin(*arguments, **options)

    import threading
    _thread.start_new_thread = refuse
    if hasattr(threading, "_start_new_thread"):
        threading._start_new_thread = refuse
    emitter = cls(sys.argv[2], protocol="http", batch_size=5, flush_interval=0.1, exit_timeout=5)
    tracker = Tracker("threads", emitter)
"""


@pytest.mark.long
def test_a_thread_that_could_not_start_is_tried_again(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """After the system had no thread left once, later events start one, which sends without a flush."""
    program = (
        START
        + NO_THREADS.replace("TIMES", "1")
        + """
    tracker.track(view)
    deadline = time.monotonic() + 10
    while emitter.stats().sent < 1 and time.monotonic() < deadline:
        time.sleep(0.3)
        tracker.track(view)
    assert emitter.stats().sent, emitter.stats()
    """
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint)
    assert done.status == 0, done
    assert not collector.repeated


@pytest.mark.long
def test_without_any_thread_the_calling_thread_sends(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """Where no thread can ever be started, full batches are sent at once, and the rest at the end."""
    program = (
        START
        + NO_THREADS.replace("TIMES", "10**9")
        + """
    for _ in range(12):
        tracker.track(view)
    assert emitter.stats().sent >= 10, emitter.stats()
    """
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint)
    assert done.status == 0, done
    assert len(collector.arrived) == 12
    assert "Traceback" not in done.errors


@pytest.mark.long
@pytest.mark.parametrize("level", ["WARNING", "DEBUG"])
@pytest.mark.parametrize("is_down", [False, True], ids=["collector up", "collector down"])
def test_log_records_that_become_events_make_no_more_of_them(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, level: str, is_down: bool
) -> None:
    """What delivery logs while it delivers makes no events of its emitter, and the program ends."""
    if is_down:
        collector.refuse()
    program = (
        START
        + f"""
    tracker = Tracker("log", cls(sys.argv[2], protocol="http", exit_timeout=1))

    class ToEvents(logging.Handler):
        def emit(self, record):
            tracker.track(StructuredEvent("log", record.levelname))

    logging.basicConfig(level=logging.{level}, handlers=[ToEvents()])
    logging.warning("the disk is nearly full")
    """
    )
    done = run_program(program, emitter_class.__name__, collector.endpoint, deadline=15)
    assert done.status == 0, done
    assert done.seconds < 6
    assert len(collector.requests) < 10
    assert is_down or 1 <= len(collector.arrived) < 20
