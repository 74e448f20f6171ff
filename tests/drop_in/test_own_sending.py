"""Overrides of `send_events` that send and settle their events by themselves, as the original of 1.1.0 did."""

from __future__ import annotations

import json
import logging
import time
from typing import Any, Dict, List

import pytest

from snowplow_tracker import AsyncEmitter, Emitter, InMemoryEventStore, PageView, Tracker
from snowplow_tracker.emitters import PAYLOAD_DATA_SCHEMA
from snowplow_tracker.sqlite_event_store import SQLiteEventStore
from support.emitters import emitter_for
from support.recorder import Recorder

EMITTERS = [Emitter, AsyncEmitter]


class OwnStore:
    """A store with the four methods of 1.1.0."""

    def __init__(self) -> None:
        self.held: List[Dict[str, Any]] = []

    def add_event(self, payload: Dict[str, Any]) -> bool:
        """Add an event."""
        self.held.append(payload)
        return True

    def get_events_batch(self) -> List[Dict[str, Any]]:
        """Return all events."""
        batch, self.held = self.held, []
        return batch

    def cleanup(self, batch: List[Dict[str, Any]], need_retry: bool) -> None:
        """Requeue events, or forget them."""
        if need_retry:
            self.held = [*batch, *self.held]

    def size(self) -> int:
        """Return how many wait."""
        return len(self.held)


def new_store(kind: str, path: Any) -> Any:
    """A store of a kind."""
    if kind == "sqlite":
        return SQLiteEventStore(path / "events.db")
    return OwnStore() if kind == "own" else InMemoryEventStore(logging.getLogger("test"))


def post(emitter: Any, events: List[Dict[str, Any]]) -> int:
    """Make the request of an override; return the status."""
    emitter.attach_sent_timestamp(events)
    status: int = emitter.http_post(json.dumps({"schema": PAYLOAD_DATA_SCHEMA, "data": events}))
    return status


@pytest.mark.parametrize("cls", EMITTERS)
@pytest.mark.parametrize("kind", ["memory", "sqlite", "own"])
@pytest.mark.parametrize("copied", [False, True])
def test_an_override_that_requeues(
    recorder: Recorder, tmp_path: Any, cls: Any, kind: str, copied: bool
) -> None:
    """What an override requeues has failed: it waits, is counted so, and is sent after a delay."""
    recorder.answer = lambda _request: 503

    class Own(cls):  # type: ignore[misc]
        def send_events(self, evts: List[Dict[str, Any]]) -> None:
            events = [{**event, "uid": "added"} for event in evts] if copied else evts
            status = post(self, events)
            assert isinstance(self.event_store, type(store))
            assert self.event_store == store
            self.event_store.cleanup(events, not self.is_good_status_code(status))

    store = new_store(kind, tmp_path)
    emitter = emitter_for(recorder, Own, batch_size=5, event_store=store)
    assert emitter.event_store is store
    tracker = Tracker("ns", emitter)
    eids = [str(tracker.track(PageView("u"))) for _ in range(10)]
    emitter.sync_flush()
    time.sleep(0.3)
    assert len(recorder.requests) < 10
    emitter.sync_flush()
    failed = emitter.stats()
    assert (failed.tracked, failed.queued, failed.sent) == (10, 10, 0)
    assert failed.failed_attempts > 0
    recorder.answer = lambda _request: 200
    recorder.requests.clear()
    emitter.sync_flush(timeout=5)
    sent = emitter.stats()
    assert (sent.tracked, sent.queued, sent.in_flight, sent.sent) == (10, 0, 0, 10)
    assert emitter.retry_delay == 0
    assert sorted(event["eid"] for event in recorder.events) == sorted(eids)


@pytest.mark.parametrize("cls", EMITTERS)
@pytest.mark.parametrize("first", [False, True])
def test_an_override_that_requeues_a_part(recorder: Recorder, cls: Any, first: bool) -> None:
    """Of a batch that was sent in part, the rest is requeued and the collector counts as failing, in either order."""
    left: List[Any] = []

    class Own(cls):  # type: ignore[misc]
        def send_events(self, evts: List[Dict[str, Any]]) -> None:
            for need_retry in (first, not first):
                self.event_store.cleanup(evts[2:] if need_retry else evts[:2], need_retry)
            left.append(self.retry_delay)

    emitter = emitter_for(recorder, Own, batch_size=100)
    tracker = Tracker("ns", emitter)
    for _ in range(5):
        tracker.track(PageView("u"))
    emitter.sync_flush()
    stats = emitter.stats()
    assert (stats.tracked, stats.queued, stats.sent, stats.failed_attempts) == (5, 3, 2, 1)
    assert emitter.retry_delay == left[0] > 0


def test_an_override_that_requeues_respects_the_retry_budget(recorder: Recorder) -> None:
    """With `max_retries`, events that an override requeues once more are dropped."""
    dropped: List[Any] = []

    class Own(Emitter):
        def send_events(self, evts: List[Dict[str, Any]]) -> None:
            self.event_store.cleanup(evts, True)

    emitter = emitter_for(
        recorder, Own, max_retries=1, on_drop=lambda events, reason: dropped.append(reason.value)
    )
    Tracker("ns", emitter).track(PageView("u"))
    emitter.flush()
    emitter.flush()
    assert len(dropped) == 1
    assert emitter.stats().queued == 0


def test_events_of_others_go_to_the_store(recorder: Recorder) -> None:
    """What an override requeues beside its batch is the store's business alone."""
    store = OwnStore()

    class Own(Emitter):
        def send_events(self, evts: List[Dict[str, Any]]) -> None:
            super().send_events(evts[:1])
            self.event_store.cleanup([{"eid": "other"}, *evts[1:]], True)

    emitter = emitter_for(recorder, Own, batch_size=3, event_store=store)
    tracker = Tracker("ns", emitter)
    eids = [str(tracker.track(PageView("u"))) for _ in range(3)]
    assert [event["eid"] for event in recorder.events] == eids[:1]
    assert sorted(event["eid"] for event in store.held) == sorted(["other", *eids[1:]])
    assert emitter.stats().sent == 1
