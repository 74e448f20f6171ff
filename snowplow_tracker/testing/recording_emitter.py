"""An emitter for unit tests: it keeps what is tracked and sends nothing."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from snowplow_tracker.testing.records import CollectedEvent

__all__ = ["RecordingEmitter"]


class RecordingEmitter:
    """Stands in for an emitter, and keeps what the tracker gives it.

    Example:
        >>> emitter = RecordingEmitter()
        >>> tracker = Tracker("test", emitter)
        >>> event_id = tracker.track(PageView("https://example.com"))
        >>> [event] = emitter.events
        >>> event["url"]
        'https://example.com'

    Attributes:
        payloads: a copy of each payload, as the tracker gave it.
        events: the same payloads decoded; values are text, as they would be on the wire.
        flush_count: how often a flush was asked for.
        closed: whether the emitter was closed.
    """

    def __init__(self) -> None:
        """Start with nothing kept."""
        self.payloads: List[Dict[str, Any]] = []
        self.events: List[CollectedEvent] = []
        self.flush_count = 0
        self.closed = False

    def input(self, payload: Dict[str, Any]) -> None:
        """Keep a payload.

        Args:
            payload: the names and values of an event.
        """
        self.payloads.append(dict(payload))
        as_sent = {name: str(value) for name, value in payload.items()}
        self.events.append(CollectedEvent(as_sent))

    def flush(self, timeout: Optional[float] = None) -> int:  # noqa: ARG002 (as real ones)
        """Count the call; there is nothing to send.

        Args:
            timeout: taken, as real emitters do.

        Returns:
            0, as nothing is ever left to deliver.
        """
        self.flush_count += 1
        return 0

    def sync_flush(self, timeout: Optional[float] = None) -> int:
        """Same as `flush`."""
        return self.flush(timeout)

    def async_flush(self) -> None:
        """Same as `flush`, without a result."""
        self.flush()

    def close(self, timeout: Optional[float] = None) -> int:  # noqa: ARG002 (as real ones)
        """Note that the emitter was closed.

        Args:
            timeout: taken, as real emitters do.

        Returns:
            0, as nothing is ever left to deliver.
        """
        self.closed = True
        return 0

    def clear(self) -> None:
        """Forget what was tracked so far."""
        self.payloads.clear()
        self.events.clear()
        self.flush_count = 0
