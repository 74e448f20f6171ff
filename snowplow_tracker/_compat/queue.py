"""What programs that were written for 1.1.0 ask of `AsyncEmitter.queue`, through which its threads got their batches."""

from __future__ import annotations

from typing import Any, Callable

from snowplow_tracker.typing import PayloadDictList

__all__ = ["LegacyQueue"]


class LegacyQueue:
    """Looks at an emitter as if there were a queue between its store and its threads.

    Args:
        emitter: The emitter.
        send: Has its threads send what is in the store.
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
        """Have events sent that an override of `flush` took out of the store."""
        self._emitter.event_store.cleanup(events, True)
        self._send()
