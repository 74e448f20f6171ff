"""Stores by their URL, as programs open them that are configured by their environment."""

from __future__ import annotations

from typing import Any, Dict, List

from snowplow_tracker import Tracker

__all__ = ["FourMethodStore", "open_store"]


def open_store(url: str) -> Any:
    """Open a store; the tracker with which it is opened is gone afterwards, and has sent nothing."""
    variables = {
        "SNOWPLOW_ENDPOINT": "127.0.0.1:9",
        "SNOWPLOW_EMITTER": "sync",
        "SNOWPLOW_STORE": url,
        "SNOWPLOW_ENQUEUE_ONLY": "1",
    }
    [emitter] = Tracker.from_environment(variables).emitters
    return emitter.event_store


class FourMethodStore:
    """A user's store with the four methods of 1.1.0 and nothing else."""

    def __init__(self) -> None:
        self.held: List[Dict[str, Any]] = []

    def add_event(self, payload: Dict[str, Any]) -> bool:
        """Add an event."""
        self.held.append(payload)
        return True

    def get_events_batch(self) -> List[Dict[str, Any]]:
        """Take all events out."""
        batch, self.held = self.held, []
        return batch

    def cleanup(self, batch: List[Dict[str, Any]], need_retry: bool) -> None:
        """Requeue events, or forget them."""
        if need_retry:
            self.held = [*batch, *self.held]

    def size(self) -> int:
        """Return how many wait."""
        return len(self.held)
