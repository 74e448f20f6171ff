"""The attribute `AsyncEmitter.queue` for programs that were written for 1.1.0, whose threads got batches from it."""

from __future__ import annotations

from typing import Any, Callable

from snowplow_tracker.typing import PayloadDictList


class LegacyQueue:
    """Presents an emitter as if there were a queue between its store and its threads.

    Args:
        emitter: The emitter.
        send: Makes its threads send the events in the store.
    """

    def __init__(self, emitter: Any, send: Callable[[], object]) -> None:
        self._emitter = emitter
        self._send = send

    def qsize(self) -> int:
        """Return how many events are not delivered yet. 1.1.0 counted batches."""
        stats = self._emitter.stats()
        return int(stats.queued + stats.in_flight)

    def empty(self) -> bool:
        """Whether all events are delivered."""
        return self.qsize() == 0

    def join(self) -> None:
        """Wait until all events are delivered, or an attempt fails: `AsyncEmitter.sync_flush`."""
        self._emitter.sync_flush()

    def put(self, events: PayloadDictList) -> None:
        """Send events that an override of `flush` took from the store."""
        self._emitter.event_store.cleanup(events, True)
        self._send()
