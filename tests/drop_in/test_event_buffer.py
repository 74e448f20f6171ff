"""Subclasses of the store in memory that work with `event_buffer`, which was the queue itself in 1.1.0."""

from __future__ import annotations

import copy
import logging
import pickle
import threading
import time
from typing import Any, Callable, Dict, List

import pytest

from snowplow_tracker import AsyncEmitter, Emitter, InMemoryEventStore, PageView, Tracker
from support.emitters import emitter_for
from support.recorder import Recorder

LOGGER = logging.getLogger("test")
A, B, C, D = ({"eid": letter} for letter in "abcd")


def held(*events: Dict[str, Any]) -> InMemoryEventStore:
    """A store that was given some events in the usual way."""
    store = InMemoryEventStore(LOGGER)
    for event in events:
        store.add_event({**event})
    return store


def _assign(store: Any) -> None:
    store.event_buffer = [A, D]


def _add(store: Any) -> None:
    store.event_buffer += [D]


def _set_item(store: Any) -> None:
    store.event_buffer[1] = D


def _set_slice(store: Any) -> None:
    store.event_buffer[:2] = [D]


def _delete(store: Any) -> None:
    del store.event_buffer[0]


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda store: store.event_buffer.append(D), [A, B, C, D]),
        (lambda store: store.event_buffer.insert(0, D), [D, A, B, C]),
        (lambda store: store.event_buffer.extend([D, A]), [A, B, C, D, A]),
        (lambda store: store.event_buffer.pop(), [A, B]),
        (lambda store: store.event_buffer.pop(0), [B, C]),
        (lambda store: store.event_buffer.remove(B), [A, C]),
        (lambda store: store.event_buffer.clear(), []),
        (lambda store: store.event_buffer.reverse(), [C, B, A]),
        (lambda store: store.event_buffer.sort(key=lambda event: event["eid"] != "b"), [B, A, C]),
        (_set_item, [A, D, C]),
        (_set_slice, [D, C]),
        (_delete, [B, C]),
        (_add, [A, B, C, D]),
        (_assign, [A, D]),
    ],
)
def test_a_change_of_the_buffer_changes_the_queue(
    change: Callable[[Any], object], left: List[Any]
) -> None:
    """Each way to change a list counts, also beside events that came in the usual way afterwards."""
    store = held(A, B, C)
    change(store)
    assert (store.size(), store.event_buffer) == (len(left), left)
    store.add_event({"eid": "later"})
    assert store.get_events_batch() == [*left, {"eid": "later"}]
    assert store.size() == 0


def test_a_list_that_was_kept_is_the_queue_still() -> None:
    """What came in since the list was asked for is neither lost nor repeated by a change of the list."""
    store = held(A)
    buffer = store.event_buffer
    store.add_event({**B})
    buffer.append(C)
    assert store.get_events_batch() == buffer == [A, B, C]
    assert type(copy.copy(buffer)) is type(pickle.loads(pickle.dumps(buffer))) is list  # noqa: S301


def test_a_list_that_was_taken_out_is_a_list() -> None:
    """After another list was put in its place, as in the usual way to take all events, it is the caller's."""
    store = held(A, B)
    batch, store.event_buffer = store.event_buffer, []
    assert (batch.pop(), batch, store.size()) == (B, [A], 0)


def test_a_change_of_an_event_in_the_buffer_counts() -> None:
    """A redaction of waiting events reaches those that are sent."""
    store = held({**A, "ip": "1"}, {**B, "ip": "2"})
    for event in store.event_buffer:
        del event["ip"]
    assert store.get_events_batch() == [A, B]


def test_looking_at_the_buffer_makes_no_room() -> None:
    """The size of events beyond the capacity is known after a look at them."""
    store = InMemoryEventStore(LOGGER, 1, buffer_bytes=600)
    taken = [store.add_event({**A}), store.add_event({**B}), store.add_event({**C})]
    for _ in range(3):
        assert len(store.event_buffer) == store.size()
        taken.append(store.add_event({**D}))
    assert taken == [True, True, True, False, False, False]
    assert store.get_events_batch() == [A, B, C]
    assert store.add_event({**D})


@pytest.mark.parametrize("cls", [Emitter, AsyncEmitter])
def test_a_store_that_keeps_its_events_in_the_buffer(recorder: Recorder, cls: Any) -> None:
    """All of a subclass's events arrive, once, and the counters say so."""

    class LastInFirstOut(InMemoryEventStore):
        def add_event(self, payload: Dict[str, Any]) -> bool:
            self.event_buffer.insert(0, payload)
            return True

        def get_events_batch(self) -> List[Dict[str, Any]]:  # type: ignore[override]
            batch = self.event_buffer
            self.event_buffer = []
            return batch

    emitter = emitter_for(recorder, cls, batch_size=5, event_store=LastInFirstOut(LOGGER))
    tracker = Tracker("ns", emitter)
    eids = [tracker.track(PageView("u")) for _ in range(12)]
    emitter.sync_flush()
    emitter.close()
    assert sorted(event["eid"] for event in recorder.events) == sorted(map(str, eids))
    stats = emitter.stats()
    assert (stats.tracked, stats.sent, stats.queued, stats.in_flight) == (12, 12, 0, 0)


@pytest.mark.parametrize("declared", [False, True])
def test_calls_of_a_subclass_come_one_at_a_time(recorder: Recorder, declared: bool) -> None:
    """A subclass of the store in memory is not taken to be safe for threads unless it says so itself."""
    inside: List[int] = []
    together: List[int] = []

    class Unsafe(InMemoryEventStore):
        if declared:
            thread_safe = True

        def add_event(self, payload: Dict[str, Any]) -> bool:
            inside.append(1)
            time.sleep(0.005)
            together.append(len(inside))
            inside.pop()
            return super().add_event(payload)

    emitter = emitter_for(recorder, batch_size=1000, event_store=Unsafe(LOGGER))
    tracker = Tracker("ns", emitter)
    threads = [
        threading.Thread(target=lambda: [tracker.track(PageView("u")) for _ in range(5)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (max(together) > 1) is declared
    assert emitter.stats().queued == 20
