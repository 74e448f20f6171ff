"""What the delivery tests share: payloads, emitters that tell what happened, and the sum of the counters."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any, Callable, Dict, List, Tuple, Type

from snowplow_tracker.emitters import AsyncEmitter, Emitter

__all__ = ["EMITTER_CLASSES", "Notes", "assert_counters_add_up", "payload", "track_many", "until"]

EMITTER_CLASSES: List[Type[Emitter]] = [Emitter, AsyncEmitter]


def payload(**pairs: Any) -> Dict[str, Any]:
    """Return a payload as a tracker hands it to an emitter, under a new event id."""
    return {
        "e": "pv",
        "url": "https://example.com/",
        "p": "srv",
        "tv": "py-test",
        "eid": str(uuid.uuid4()),
        "dtm": int(time.time() * 1000),
        **pairs,
    }


def track_many(emitter: Any, count: int, **pairs: Any) -> List[str]:
    """Give this many payloads to the emitter and return their event ids."""
    eids = []
    for _ in range(count):
        event = payload(**pairs)
        eids.append(event["eid"])
        emitter.input(event)
    return eids


class Notes:
    """Keeps what the callbacks of an emitter were called with."""

    def __init__(self) -> None:
        self.successes: List[List[Dict[str, Any]]] = []
        self.failures: List[Tuple[int, List[Dict[str, Any]]]] = []
        self.drops: List[Tuple[List[Dict[str, Any]], Any]] = []
        self._changed = threading.Condition()

    def callbacks(self) -> Dict[str, Any]:
        """Return the three callbacks as keyword arguments of an emitter."""
        return {
            "on_success": self._on_success,
            "on_failure": self._on_failure,
            "on_drop": self._on_drop,
        }

    def wait_for(self, condition: Callable[[Notes], object], timeout: float = 10.0) -> bool:
        """Wait until the condition holds; it is checked after every callback."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: condition(self), timeout))

    @property
    def succeeded(self) -> List[str]:
        """The ids of the events that were reported as sent."""
        return [event["eid"] for events in self.successes for event in events]

    @property
    def failed(self) -> List[str]:
        """The ids of the events that were reported as failed, once per attempt."""
        return [event["eid"] for _, events in self.failures for event in events]

    def dropped(self, reason: Any) -> List[str]:
        """Return the ids of the events that were given up for this reason."""
        return [event["eid"] for events, why in self.drops if why == reason for event in events]

    def _on_success(self, events: List[Dict[str, Any]]) -> None:
        with self._changed:
            self.successes.append(events)
            self._changed.notify_all()

    def _on_failure(self, sent: int, events: List[Dict[str, Any]]) -> None:
        with self._changed:
            self.failures.append((sent, events))
            self._changed.notify_all()

    def _on_drop(self, events: List[Dict[str, Any]], reason: Any) -> None:
        with self._changed:
            self.drops.append((events, reason))
            self._changed.notify_all()


def until(condition: Callable[[], object], timeout: float = 10.0) -> bool:
    """Wait for something that nothing tells of, such as the end of a thread.

    Returns:
        Whether it came true before the time was over.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.005)
    return True


def assert_counters_add_up(emitter: Any, tracked: int) -> None:
    """Check that every event that was tracked is in exactly one of the other counters."""
    stats = emitter.stats()
    assert stats.tracked == tracked, stats
    assert stats.in_flight == 0, stats
    assert stats.tracked == stats.sent + stats.queued + sum(stats.dropped.values()), stats
