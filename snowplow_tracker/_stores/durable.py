"""What the durable stores have in common: the limit of their queue, and reports of events that are gone."""

from __future__ import annotations

import logging
import time
from typing import Any, Callable, List, Optional, Sequence

from snowplow_tracker._delivery.options import check_number, check_seconds
from snowplow_tracker._messages import events_text
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._stores.bodies import decode
from snowplow_tracker.contracts import one_of
from snowplow_tracker.event_store import OVERFLOW_POLICIES, EventStore, Overflow
from snowplow_tracker.typing import PayloadDictList

logger = logging.getLogger("snowplow_tracker.emitters")


class DurableStore(EventStore):
    """A queue with a limit that several processes share.

    Args:
        name: What messages call the queue, such as its path.
        buffer_capacity: Maximum number of queued events.
        overflow: What happens when the queue is full.
        overflow_timeout: Maximum seconds to wait for room.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.
    """

    durable = True
    thread_safe = True

    def __init__(
        self, name: str, buffer_capacity: int, overflow: Overflow, overflow_timeout: float
    ) -> None:
        check_number("buffer_capacity", buffer_capacity, fraction=True)
        one_of(overflow, OVERFLOW_POLICIES, name="overflow")
        check_seconds("overflow_timeout", overflow_timeout, zero=True)
        self._name = name
        self.buffer_capacity = buffer_capacity
        self.overflow: Overflow = overflow
        self.overflow_timeout = overflow_timeout
        self.overflow_listener: Optional[Callable[[PayloadDictList], None]] = None
        self.lost_listener: Optional[Callable[[int, str], None]] = None

    def _wait_for_room(self, add: Callable[[], bool], interval: float) -> bool:
        """Call a function at intervals, in seconds, until it has added an event; return whether it has."""
        deadline = monotonic() + self.overflow_timeout
        while True:
            rest = deadline - monotonic()
            if rest <= 0:
                return False
            time.sleep(min(rest, interval))
            if add():
                return True

    def _report_full(self, count: int = 1) -> None:
        """Log that events were dropped, unless an emitter listens, which counts them."""
        if self.overflow_listener is None:
            logger.error("The event queue %s is full: dropped %s.", self._name, events_text(count))

    def _report_dropped(self, bodies: Sequence[Any]) -> None:
        """Report events that were removed from the queue to make room."""
        if self.overflow_listener is None:
            self._report_full(len(bodies))
            return
        events: List[Any] = [event for event in map(decode, bodies) if event is not None]
        self.overflow_listener(events)
        if len(events) < len(bodies):
            self._report_lost(len(bodies) - len(events), "cannot be read")

    def _report_lost(self, count: int, what: str) -> None:
        if self.lost_listener is not None:
            self.lost_listener(count, what)
