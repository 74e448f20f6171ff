"""Where events wait until the collector has them: the protocol, and the store in memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from logging import Logger
from typing import Any, Callable, Deque, Dict, List, Literal, Optional, Protocol, Tuple

from snowplow_tracker.contracts import one_of
from snowplow_tracker.typing import PayloadDict, PayloadDictList

__all__ = ["EventStore", "InMemoryEventStore", "PayloadDict", "PayloadDictList"]

Overflow = Literal["drop_newest", "drop_oldest", "block"]

DEFAULT_BUFFER_CAPACITY = 10_000
OVERFLOW_POLICIES = ("drop_newest", "drop_oldest", "block")

_MOST_SHAPES = 1_000

# One row of the queue: the event's keys, shared by all events of the same shape, then its values.
_Row = Tuple[Any, ...]


class EventStore(Protocol):
    """What an emitter needs of a store. Four methods are enough; calls to them are never made at the same time.

    A store may offer more, and then the emitter makes use of it:

    - ``get_events_batch(*, max_events=None)``: hands out no more than asked for, which keeps batches bounded;
    - ``thread_safe = True``: the emitter does not serialise its calls;
    - ``durable = True``: what is left in it when the emitter is closed is kept, not given up;
    - ``overflow_listener``: set by the emitter to a function that the store calls with each list of events that it
      threw out to make room (an event that it did not take at all it reports by returning False);
    - ``reset_after_fork()``: called in a forked child, where locks and threads of the parent mean nothing;
    - ``close()``: called once the emitter is closed.
    """

    def add_event(self, payload: PayloadDict) -> bool:
        """Take an event in.

        Args:
            payload: The event's parameters. It belongs to the store from now on.

        Returns:
            Whether it was taken; only `False` itself means that it was not.
        """
        ...

    def get_events_batch(self) -> PayloadDictList:
        """Hand out events to be sent. Each comes back by `cleanup`, once its fate is known."""
        ...

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Take notice of the fate of events that were handed out.

        Args:
            batch: Events from `get_events_batch`.
            need_retry: True: they could not be sent, keep them for later. False: forget them.
        """
        ...

    def size(self) -> int:
        """Return the number of events that wait, without those handed out."""
        ...


class InMemoryEventStore(EventStore):
    """A bounded first-in, first-out queue in memory. What it holds ends with the process.

    Args:
        logger: Gets a message when events are thrown out and no emitter listens.
        buffer_capacity: How many events may wait. Events that were handed out do not count.
        overflow: What happens when it is full: `"drop_newest"` refuses the new event, `"drop_oldest"` throws out
            the one that waited longest, `"block"` waits up to `overflow_timeout` for room and then refuses.
        overflow_timeout: Seconds.

    Raises:
        ValueError: A capacity below 1, an unknown policy or a negative time.

    .. versionchanged:: 1.2.0
       `overflow` and `overflow_timeout`; failed events go back to the front, and the policy decides about overflow.
    """

    durable = False
    thread_safe = True

    def __init__(
        self,
        logger: Logger,
        buffer_capacity: int = DEFAULT_BUFFER_CAPACITY,
        *,
        overflow: Overflow = "drop_newest",
        overflow_timeout: float = 1.0,
    ) -> None:
        if buffer_capacity < 1:
            raise ValueError("buffer_capacity must be greater than 0.")
        one_of(overflow, OVERFLOW_POLICIES, name="overflow")
        if overflow_timeout < 0:
            raise ValueError("overflow_timeout must not be negative.")
        self.logger = logger
        self.buffer_capacity = buffer_capacity
        self.overflow: Overflow = overflow
        self.overflow_timeout = overflow_timeout
        self.overflow_listener: Optional[Callable[[PayloadDictList], None]] = None
        self.hands_out_text = False
        """Whether values become text when handed out: it takes that work from the tracking thread."""
        # A row costs half of the memory of a dictionary, and is quicker to make than a copy of one.
        self._shapes: Dict[Tuple[str, ...], Tuple[str, ...]] = {}
        self._last_shape: Tuple[str, ...] = ()
        self._rows: Deque[_Row] = deque()
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)

    @property
    def event_buffer(self) -> PayloadDictList:
        """The events that wait, oldest first: a copy."""
        with self._lock:
            rows = list(self._rows)
        return self._events(rows)

    @event_buffer.setter
    def event_buffer(self, events: PayloadDictList) -> None:
        rows = [self._row(event) for event in events]
        with self._lock:
            self._rows = deque(rows)

    def add_event(self, payload: PayloadDict) -> bool:
        """Take an event in, or answer False when there is no room for it."""
        row = self._row(payload)
        with self._lock:
            if len(self._rows) < self.buffer_capacity:
                self._rows.append(row)
                return True
        return self._add_when_full(row)

    def get_events_batch(self, *, max_events: Optional[int] = None) -> PayloadDictList:
        """Hand out the events that waited longest: all of them, or no more than `max_events`."""
        with self._lock:
            rows: List[_Row]
            if max_events is None or max_events >= len(self._rows):
                rows = list(self._rows)
                self._rows.clear()
            else:
                take = self._rows.popleft
                rows = [take() for _ in range(max_events)]
            self._room.notify(len(rows))
        return self._events(rows)

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Forget events that were handed out, or put them back to the front, in their order."""
        if not need_retry:
            return
        rows = [self._row(event) for event in reversed(batch)]
        with self._lock:
            self._rows.extendleft(rows)
            excess = len(self._rows) - self.buffer_capacity
            evicted: List[_Row] = []
            if excess > 0:
                throw_out = self._rows.popleft if self.overflow == "drop_oldest" else self._rows.pop
                evicted = [throw_out() for _ in range(excess)]
        if evicted:
            self._report(evicted)

    def size(self) -> int:
        """Return the number of events that wait."""
        return len(self._rows)

    def reset_after_fork(self) -> None:
        """Start empty in a forked child: what waits here is the parent's to send."""
        self._rows = deque()
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)

    def _row(self, payload: PayloadDict) -> _Row:
        shape = self._last_shape
        keys = (*payload,)
        if keys != shape:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()  # rows hold on to their own shape
            shape = self._last_shape = self._shapes.setdefault(keys, keys)
        return (shape, *payload.values())

    def _events(self, rows: List[_Row]) -> PayloadDictList:
        if self.hands_out_text:
            return [dict(zip(row[0], map(str, row[1:]))) for row in rows]
        return [dict(zip(row[0], row[1:])) for row in rows]

    def _add_when_full(self, row: _Row) -> bool:
        evicted: List[_Row] = []
        with self._lock:
            if self.overflow == "block":
                deadline = time.monotonic() + self.overflow_timeout
                while len(self._rows) >= self.buffer_capacity:
                    remaining = deadline - time.monotonic()
                    if remaining <= 0 or not self._room.wait(remaining):
                        break
            elif self.overflow == "drop_oldest":
                while len(self._rows) >= self.buffer_capacity:
                    evicted.append(self._rows.popleft())
            has_room = len(self._rows) < self.buffer_capacity
            if has_room:
                self._rows.append(row)
        if evicted:
            self._report(evicted)
        elif not has_room and self.overflow_listener is None:
            self.logger.error(
                "The event buffer is full (%d events): an event was dropped.", self.buffer_capacity
            )
        return has_room

    def _report(self, evicted: List[_Row]) -> None:
        if self.overflow_listener is not None:
            self.overflow_listener(self._events(evicted))
        else:
            self.logger.error(
                "The event buffer is full (%d events): %d events were dropped.",
                self.buffer_capacity,
                len(evicted),
            )
