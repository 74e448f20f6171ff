"""The numbers of events in a Redis stream, as far as this process knows them, and the limit of the queue."""

from __future__ import annotations

from typing import Any, Callable, List, Optional, TypeVar

from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.interrupts import suppress
from snowplow_tracker._stores.redis_link import Kind, RedisLink
from snowplow_tracker._stores.redis_stream import RedisStream

_Result = TypeVar("_Result")

_LOOK_AT_LENGTH_EVERY = 100
_LOOK_AT_LENGTH_INTERVAL = 1.0
_NEARLY_FULL = 0.9
_WAITING_IS_FRESH = 0.1


class RedisCounts:
    """Counts events without asking Redis at each of them.

    Args:
        link: The link to Redis.
        stream: The stream.
        capacity: Maximum number of events in the stream.
        on_drop: Called with the bodies of the oldest events, which were removed to make room; None if none are removed.
    """

    def __init__(
        self,
        link: RedisLink,
        stream: RedisStream,
        capacity: int,
        on_drop: Optional[Callable[[List[Any]], None]],
    ) -> None:
        self._link = link
        self._stream = stream
        self._capacity = capacity
        self._on_drop = on_drop
        self._length, self._added, self._looked_at = 0, 0, float("-inf")
        # The last number of queued events, which is valid for a moment unless events leave; its time; the number of changes.
        self._waiting, self._counted_at, self._changes = 0, float("-inf"), 0

    def waiting(self) -> int:
        """Return the number of queued events in the stream: the last known one while Redis cannot be reached."""
        now = monotonic()
        if now - self._counted_at <= _WAITING_IS_FRESH or not self._link.may_try(Kind.READ):
            return self._waiting
        changes = self._changes
        with suppress(*self._link.failures):
            waiting = self._link.call(self._stream.waiting)
            if changes == self._changes:
                self._waiting, self._counted_at = waiting, now
            return waiting
        return self._waiting

    def added(self) -> None:
        """Count an event that was added."""
        self._changes += 1
        self._waiting += 1

    def changed(self) -> None:
        """Make the next `waiting` ask Redis."""
        self._changes += 1
        self._counted_at = float("-inf")

    def room(self, wanted: int) -> int:
        """Return how many of `wanted` events there is room for.

        Raises:
            Exception: One of the link's `failures`.
        """
        now = monotonic()
        known = self._length + self._added + wanted
        if (
            known <= self._capacity * _NEARLY_FULL
            and self._added < _LOOK_AT_LENGTH_EVERY
            and now - self._looked_at < _LOOK_AT_LENGTH_INTERVAL
        ):
            self._added += wanted
            return wanted
        self._length = self._call(self._stream.length)
        self._looked_at, self._added = now, wanted
        excess = self._length + wanted - self._capacity
        if excess <= 0:
            return wanted
        if self._on_drop is not None:
            # A few at once: dropping takes two calls, which would be slow for each event.
            dropped = self._drop_oldest(max(excess, self._capacity // 1_000))
            if dropped:
                self._on_drop(dropped)
            return wanted
        self._added = max(0, wanted - excess)
        return self._added

    def _drop_oldest(self, count: int) -> List[Any]:
        oldest = self._call(lambda: self._stream.oldest_waiting(count))
        if not oldest.ids:
            return []
        # Another program may make room at the same time: each dropped event is reported by only one of them.
        deleted = self._call(lambda: self._stream.delete(oldest.ids))
        self._looked_at = float("-inf")
        return [body for body, gone in zip(oldest.bodies, deleted) if gone and body is not None]

    def _call(self, operation: Callable[[], _Result]) -> _Result:
        """Make a call without which no event can be added; that it works does not show that one can."""
        return self._link.call(operation, Kind.ADD, is_proof=False)
