"""gevent: patched before the import of the package, after it, or never."""

from __future__ import annotations

from typing import Type

import pytest

from snowplow_tracker.emitters import Emitter
from support.collector_with_faults import Answer, CollectorWithFaults
from support.processes import run_program

pytest.importorskip("gevent")

START = """
    import sys, warnings
    warnings.simplefilter("ignore")
    WHEN = sys.argv[3]
    if WHEN == "early":
        from gevent import monkey; monkey.patch_all()
    import snowplow_tracker
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker
    if WHEN == "after the import":
        from gevent import monkey; monkey.patch_all()
    cls = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[sys.argv[1]]
    emitter = cls(sys.argv[2], protocol="http", batch_size=5, exit_timeout=5)
    tracker = Tracker("greenlets", emitter)
    view = PageView("https://example.com/")
    if WHEN == "after the emitter":
        from gevent import monkey; monkey.patch_all()
    if WHEN == "after a fork":  # as gunicorn does with --preload, where the first event came before
        import os
        tracker.track(view)
        child = os.fork()
        if child:
            status = os.waitpid(child, 0)[1]
            assert status == 0, status
            sys.exit(0)
        from gevent import monkey; monkey.patch_all()
    import gevent
"""
WHEN = ["early", "after the import", "after the emitter", "after a fork", "never"]


@pytest.mark.long
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("end", ["flush", "exit", "kill"])
def test_all_greenlets_deliver(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, when: str, end: str
) -> None:
    """60 of 60 events of 20 greenlets arrive once, by `flush` and by the end of the program."""
    collector.behaviour = Answer(wait=0.01)
    program = f"""
    def work():
        for _ in range(3):
            tracker.track(view)
            gevent.sleep(0)

    greenlets = [gevent.spawn(work) for _ in range(20)]
    if {end!r} == "kill":
        gevent.sleep(0)
        others = [gevent.spawn(emitter.flush) for _ in range(3)]
        gevent.sleep(0.005)
        gevent.killall(others)
    gevent.joinall(greenlets)
    if {end!r} == "flush":
        assert emitter.sync_flush(timeout=5) == 0
        assert emitter.stats().tracked == emitter.stats().sent, emitter.stats()
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint, when)
    assert done.status == 0, done
    assert len(collector.arrived) == 60 + (when == "after a fork"), done
    if end != "kill":  # a request that was stopped in the middle may have arrived
        assert not collector.repeated


@pytest.mark.long
@pytest.mark.parametrize("when", WHEN[:-1])
def test_greenlets_that_flush_at_the_same_time(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, when: str
) -> None:
    """Each greenlet's flush waits for its own events, while others of the same thread send theirs."""
    collector.behaviour = Answer(wait=0.02)
    program = """
    sent, early = set(), []
    emitter.on_success = lambda events: sent.update(event["eid"] for event in events)

    def work():
        event_id = tracker.track(view)
        emitter.sync_flush(timeout=5)
        if event_id not in sent:
            early.append(event_id)

    gevent.joinall([gevent.spawn(work) for _ in range(10)])
    assert not early, early
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint, when)
    assert done.status == 0, done
    assert len(collector.arrived) == 10 + (when == "after a fork"), done
    assert not collector.repeated
