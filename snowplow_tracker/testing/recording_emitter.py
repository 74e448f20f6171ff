"""An emitter for unit tests, which keeps events and sends nothing."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

from snowplow_tracker.testing._options import check_whole_number, resolver_of
from snowplow_tracker.testing.event_list import EventList
from snowplow_tracker.testing.records import CollectedEvent

if TYPE_CHECKING:
    from snowplow_tracker.tracker import Tracker

__all__ = ["RecordingEmitter", "record"]


class RecordingEmitter:
    """An emitter that keeps the events of a tracker instead of sending them. It ignores timeouts.

    Example:
        >>> emitter = RecordingEmitter()
        >>> tracker = Tracker("test", emitter)
        >>> event_id = tracker.track(PageView("https://example.com"))
        >>> event = emitter.events.assert_one(type="page view")
        >>> event["url"]
        'https://example.com'

    Attributes:
        payloads: a copy of each payload from the tracker.
        events: the same payloads decoded, as an `EventList`, which has the assertions. Values are
            strings, as on the wire.
        flush_count: the number of flushes.
        closed: whether the emitter was closed.
    """

    def __init__(self, *, max_events: Optional[int] = None, schemas: Any = None) -> None:
        """Create an emitter that has no events yet.

        Args:
            max_events: maximum number of events to keep; the oldest are removed. By default all are
                kept, with about a kilobyte each.
            schemas: the schemas for self-describing data, so that `CollectedEvent.problems` and
                `EventList.assert_valid` also report violations of them.

        Raises:
            ValueError: `max_events` is not a whole number of at least 1.
        """
        if max_events is not None:
            check_whole_number("max_events", max_events)
        self.payloads: List[Dict[str, Any]] = []
        self.events: EventList = EventList()
        self.flush_count: int = 0
        self.closed: bool = False
        self._max_events = max_events
        self._schemas = resolver_of(schemas)
        # Reentrant: a signal handler may track while something is being kept.
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.events)} events>"

    def input(self, payload: Dict[str, Any]) -> None:
        """Keep a payload: the names and values of an event."""
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
        """Count the call, and return 0, since there is nothing to send."""
        self.flush_count += 1
        return 0

    def sync_flush(self, *, timeout: Optional[float] = None) -> int:
        """Count the call, as `flush` does."""
        return self.flush(timeout=timeout)

    def async_flush(self) -> None:
        """Do nothing, as the method of real emitters: the call is not counted."""

    def close(self, timeout: Optional[float] = None) -> int:  # noqa: ARG002 (as real ones)
        """Record that the emitter was closed, and return 0, since there is nothing to send."""
        self.closed = True
        return 0

    def clear(self) -> None:
        """Remove the events so far."""
        with self._lock:
            self.payloads.clear()
            self.events.clear()
            self.flush_count = 0


@contextlib.contextmanager
def record(tracker: Tracker, *, schemas: Any = None) -> Iterator[RecordingEmitter]:
    """Make an existing tracker record events instead of sending them, inside a ``with`` statement.

    Example:
        >>> with record(shop.tracker) as recorded:
        ...     shop.add_to_basket("lamp")
        >>> recorded.events.assert_one(type="se", se_ac="add-to-basket")

    Args:
        tracker: the tracker of the app under test. Its emitters are restored at the end.
        schemas: the schemas for self-describing data.

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
