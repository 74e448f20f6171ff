"""Deadlines and delays pass while a test tool freezes the time."""

from __future__ import annotations

from typing import Iterator

import pytest

from support.collector_with_faults import OK, Answer, CollectorWithFaults, in_turn
from support.processes import run_program

pytest.importorskip("freezegun")

PROGRAM = """
    import logging, sys, threading
    from freezegun import freeze_time

    imported, name, endpoint = sys.argv[1:]
    if imported == "before":
        import snowplow_tracker

    def track(count=4, **options):
        emitter = getattr(snowplow_tracker, name)(
            endpoint, protocol="http", batch_size=3, max_retry_delay_seconds=0.1, exit_timeout=0.2, **options)
        tracker = snowplow_tracker.Tracker("frozen", emitter)
        for _ in range(count):
            tracker.track(snowplow_tracker.StructuredEvent("frozen", "event"))
        return emitter

    with freeze_time("2020-01-01"):
        import snowplow_tracker
        print("flush")
        track().flush(timeout=0.1)
        print("close")
        track().close(timeout=0.1)
        print("a queue that blocks")
        track(6, event_store=snowplow_tracker.InMemoryEventStore(
            logging.getLogger("test"), 4, overflow="block", overflow_timeout=0.1))
        print("flush after it was frozen")
        emitter = track()
    emitter.flush(timeout=0.1)
    print("exit")
    with freeze_time("2020-01-01"):
        track()
        sys.exit()
"""


@pytest.fixture
def collector() -> Iterator[CollectorWithFaults]:
    """A collector that is down."""
    with CollectorWithFaults() as running:
        running.behaviour = Answer(status=503)
        yield running


@pytest.mark.parametrize("imported", ["before", "within"])
@pytest.mark.parametrize("name", ["Emitter", "AsyncEmitter"])
def test_nothing_waits_for_a_frozen_clock(
    collector: CollectorWithFaults, imported: str, name: str
) -> None:
    """Whenever the package was imported, what has a time limit ends at it: the last line is what does not."""
    done = run_program(PROGRAM, imported, name, collector.endpoint, deadline=8)
    assert done.status == 0, done
    assert done.output.endswith("exit\n")


RETRIED = """
    import sys, time
    from freezegun import freeze_time

    imported, name, endpoint = sys.argv[1:]
    if imported == "before":
        import snowplow_tracker
    with freeze_time("2020-01-01"):
        import snowplow_tracker
        emitter = getattr(snowplow_tracker, name)(
            endpoint, protocol="http", batch_size=1, max_retry_delay_seconds=0.1)
        snowplow_tracker.Tracker("frozen", emitter).track(snowplow_tracker.PageView("https://example.com/"))
        for _ in range(400):
            if emitter.stats().sent:
                break
            time.sleep(0.01)
        print(emitter.stats().sent)
"""


@pytest.mark.parametrize("imported", ["before", "within"])
@pytest.mark.parametrize("name", ["Emitter", "AsyncEmitter"])
def test_a_retry_comes_although_time_is_frozen(
    collector: CollectorWithFaults, imported: str, name: str
) -> None:
    """The delay after a failure passes, and the event is stamped with the frozen time."""
    collector.behaviour = in_turn(Answer(status=503, headers={"Retry-After": "0"}), then=OK)
    done = run_program(RETRIED, imported, name, collector.endpoint, deadline=15)
    assert done.status == 0, done
    assert done.output == "1\n"
    (event,) = collector.events()
    assert event["dtm"] == "1577836800000"
