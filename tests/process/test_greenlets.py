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
def test_all_greenlets_deliver(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, when: str
) -> None:
    """60 of 60 events of 20 greenlets arrive once, by `flush`, when one that sends is killed, and by the end."""
    collector.behaviour = Answer(wait=0.01)
    program = """
    def work(what):
        for _ in range(3):
            tracker.track(PageView("https://example.com/" + what))
            gevent.sleep(0)

    def start(what):
        return [gevent.spawn(work, what) for _ in range(20)]

    gevent.joinall(start("flush"))
    assert emitter.sync_flush(timeout=5) == 0
    assert emitter.stats().tracked == emitter.stats().sent, emitter.stats()

    greenlets = start("kill")
    gevent.sleep(0)
    others = [gevent.spawn(emitter.flush) for _ in range(3)]
    gevent.sleep(0.005)
    gevent.killall(others)
    gevent.joinall(greenlets)

    gevent.joinall(start("end"))
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint, when)
    assert done.status == 0, done
    assert len(collector.arrived) == 180 + (when == "after a fork"), done
    # A request that was stopped in the middle may have arrived. What its batch held is sent again.
    repeated = {event["url"] for event in collector.events() if event["eid"] in collector.repeated}
    assert repeated <= {"https://example.com/kill"}


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
