"""An emitter for unit tests: it keeps what is tracked and sends nothing."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

from snowplow_tracker.testing._schemas import make_schemas
from snowplow_tracker.testing.event_list import EventList
from snowplow_tracker.testing.records import CollectedEvent

if TYPE_CHECKING:
    from snowplow_tracker.tracker import Tracker

__all__ = ["RecordingEmitter", "record"]


class RecordingEmitter:
    """Stands in for an emitter, and keeps what the tracker gives it.

    Example:
        >>> emitter = RecordingEmitter()
        >>> tracker = Tracker("test", emitter)
        >>> event_id = tracker.track(PageView("https://example.com"))
        >>> event = emitter.events.assert_one(type="page view")
        >>> event["url"]
        'https://example.com'

    Attributes:
        payloads: a copy of each payload, as the tracker gave it.
        events: the same payloads decoded; values are strings, as they would be on the wire. An
            `EventList`, which has the assertions.
        flush_count: how often a flush was asked for.
        closed: whether the emitter was closed.
    """

    def __init__(self, *, max_events: Optional[int] = None, schemas: Any = None) -> None:
        """Start with nothing kept.

        Args:
            max_events: how many events are kept; of more, the latest. By default all, which takes
                about a kilobyte for each.
            schemas: what self-describing data is held against, so that `CollectedEvent.problems`
                and `EventList.assert_valid` tell what the schemas do not allow.

        Raises:
            ValueError: `max_events` is not a whole number from 1 on.
        """
        if max_events is not None and (
            isinstance(max_events, bool) or not isinstance(max_events, int) or max_events < 1
        ):
            raise ValueError(f"max_events is {max_events!r}, but must be a whole number from 1 on")
        self.payloads: List[Dict[str, Any]] = []
        self.events: EventList = EventList()
        self.flush_count = 0
        self.closed = False
        self._max_events = max_events
        self._schemas = make_schemas(schemas)
        # Reentrant: a signal handler may track while something is being kept.
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.events)} events>"

    def input(self, payload: Dict[str, Any]) -> None:
        """Keep a payload.

        Args:
            payload: the names and values of an event.
        """
        kept = dict(payload)
        as_sent = {
            name: value if type(value) is str else str(value) for name, value in kept.items()
        }
        event = CollectedEvent(as_sent, schemas=self._schemas)
        with self._lock:
            self.payloads.append(kept)
            self.events.append(event)
            if self._max_events is not None and len(self.events) > self._max_events:
                del self.payloads[0]
                del self.events[0]

    def flush(self, *, timeout: Optional[float] = None) -> int:  # noqa: ARG002 (as real ones)
        """Count the call; there is nothing to send.

        Args:
            timeout: taken, as real emitters do.

        Returns:
            0, as nothing is ever left to deliver.
        """
        self.flush_count += 1
        return 0

    def sync_flush(self, *, timeout: Optional[float] = None) -> int:
        """Count the call, as `flush` does.

        Args:
            timeout: taken, as real emitters do.

        Returns:
            0, as nothing is ever left to deliver.
        """
        return self.flush(timeout=timeout)

    def async_flush(self) -> None:
        """Count the call, as `flush` does."""
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
        with self._lock:
            self.payloads.clear()
            self.events.clear()
            self.flush_count = 0


@contextlib.contextmanager
def record(tracker: Tracker, *, schemas: Any = None) -> Iterator[RecordingEmitter]:
    """Have a tracker that exists already record instead of send, inside of a ``with`` statement.

    Example:
        >>> with record(shop.tracker) as recorded:
        ...     shop.add_to_basket("lamp")
        >>> recorded.events.assert_one(type="se", se_ac="add-to-basket")

    Args:
        tracker: the tracker of the app under test. Its emitters come back at the end.
        schemas: what self-describing data is held against.

    Returns:
        The emitter that records.
    """
    recorder = RecordingEmitter(schemas=schemas)
    real_emitters = tracker.emitters
    tracker.emitters = [recorder]
    try:
        yield recorder
    finally:
        tracker.emitters = real_emitters
