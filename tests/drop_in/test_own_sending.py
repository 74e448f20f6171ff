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
from support.stores import FourMethodStore
from support.tracking import until

EMITTERS = [Emitter, AsyncEmitter]


def new_store(kind: str, path: Any) -> Any:
    """A store of a kind."""
    if kind == "sqlite":
        return SQLiteEventStore(path / "events.db")
    return FourMethodStore() if kind == "own" else InMemoryEventStore(logging.getLogger("test"))


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

    def all_wait() -> bool:
        # A store in a file is asked after the counters: a retry may take the events out in between.
        stats = emitter.stats()
        return (stats.tracked, stats.queued + stats.in_flight, stats.sent) == (10, 10, 0)

    assert until(all_wait)
    assert emitter.stats().failed_attempts > 0
    recorder.answer = lambda _request: 200
    emitter.sync_flush(timeout=5)
    sent = emitter.stats()
    assert (sent.tracked, sent.queued, sent.in_flight, sent.sent) == (10, 0, 0, 10)
    assert emitter.retry_delay == 0
    assert {event["eid"] for event in recorder.events} == set(eids)


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
            self.retry_delay = 60  # so that there is no second attempt

    emitter = emitter_for(recorder, Own, batch_size=100)
    tracker = Tracker("ns", emitter)
    for _ in range(5):
        tracker.track(PageView("u"))
    emitter.sync_flush()
    stats = emitter.stats()
    assert (stats.tracked, stats.queued, stats.sent, stats.failed_attempts) == (5, 3, 2, 1)
    assert len(left) == 1
    assert left[0] > 0


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
    store = FourMethodStore()

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


def copied(cls: Any) -> Any:
    """A subclass that sends as 1.1.0 did, with its private methods."""

    class Copied(cls):  # type: ignore[misc]
        def send_events(self, evts: List[Dict[str, Any]]) -> None:
            if not evts:
                return
            status = post(self, evts)
            if self._should_retry(status):
                self._set_retry_delay()
                self._retry_failed_events(evts)
            else:
                self.event_store.cleanup(evts, False)
                self._reset_retry_delay()

    return Copied


@pytest.mark.parametrize("cls", EMITTERS)
def test_a_copy_of_the_original(recorder: Recorder, cls: Any) -> None:
    """A copy of 1.1.0's `send_events` sends each event once, and retries after a growing delay."""
    recorder.answer = lambda _request: 503
    emitter = emitter_for(recorder, copied(cls), batch_size=5)
    tracker = Tracker("ns", emitter)
    eids = [str(tracker.track(PageView("u"))) for _ in range(10)]
    emitter.sync_flush()
    time.sleep(0.3)
    assert len(recorder.requests) < 10
    failed = emitter.stats()
    assert failed.queued + failed.in_flight == 10
    recorder.answer = lambda _request: 200
    emitter.sync_flush(timeout=5)
    assert {event["eid"] for event in recorder.events} == set(eids)
    assert (emitter.stats().sent, emitter.stats().tracked, emitter.retry_delay) == (10, 10, 0)


def test_a_delay_that_a_subclass_chooses(recorder: Recorder) -> None:
    """A subclass with its own `_set_retry_delay` decides when the next attempt is made."""
    recorder.answer = lambda _request: 503

    class Own(copied(Emitter)):  # type: ignore[misc]
        def _set_retry_delay(self) -> None:
            self.retry_delay = 40

    emitter = emitter_for(recorder, Own, batch_size=1)
    tracker = Tracker("ns", emitter)
    for _ in range(3):
        tracker.track(PageView("u"))
        assert emitter.retry_delay == 40
    assert len(recorder.requests) == 1
    emitter.flush()
    assert (len(recorder.requests), emitter.retry_delay) == (2, 40)
    emitter.retry_delay = 0
    recorder.answer = lambda _request: 200
    tracker.track(PageView("u"))
    emitter.flush()
    assert emitter.stats().sent == 4


@pytest.mark.parametrize(
    ("status", "again"),
    [
        *((200, False), (204, False), (302, True), (400, False), (401, False), (410, False)),
        *((413, True), (422, False), (429, True), (500, True), (-1, True), (418, False)),
    ],
)
def test_which_statuses_are_tried_again(status: int, again: bool) -> None:
    """The answer is that of the engine, with the user's own codes."""
    emitter = Emitter("localhost", protocol="http", custom_retry_codes={418: False})
    assert emitter._should_retry(status) is again


@pytest.mark.parametrize("cls", EMITTERS)
def test_retries_that_are_asked_for_from_outside(recorder: Recorder, cls: Any) -> None:
    """Events that come back outside of any delivery are sent by the timer, unless it is cancelled."""
    emitter = emitter_for(recorder, cls, batch_size=100, flush_interval=None)
    tracker = Tracker("ns", emitter)
    tracker.track(PageView("u"))
    events = emitter.event_store.get_events_batch()
    emitter._set_retry_delay()
    assert emitter.retry_delay > 0
    emitter._reset_retry_delay()
    assert emitter.retry_delay == 0
    emitter._set_retry_timer(60)
    assert emitter.retry_timer.is_active()
    emitter._cancel_retry_timer()
    assert not emitter.retry_timer.is_active()
    emitter._retry_failed_events(events)
    assert len(recorder.wait_for_events(1)) == 1


def test_room_in_the_store() -> None:
    """A subclass of the store may ask whether there is room."""
    store = InMemoryEventStore(logging.getLogger("test"), 1)
    assert not store._buffer_capacity_reached()
    store.add_event({"e": "pv"})
    assert store._buffer_capacity_reached()
