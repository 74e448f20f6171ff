"""Where events wait until the collector has them: the protocol, and the store in memory."""

from __future__ import annotations

import threading
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

_Shape = Tuple[str, ...]
"""The keys of an event, in order."""


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
        buffer_capacity: How many events may wait; in an emitter, those that are being sent count.
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
        self.keeps_room = False
        """Whether events that were handed out count until their `cleanup`, so that all of them can come back."""
        self._out = 0
        # The values of all events one after the other, and the keys of each event, shared by all
        # events of the same shape. That takes half the memory of a dictionary for each, and is
        # quicker than copying one.
        self._values: Deque[Any] = deque()
        self._order: Deque[_Shape] = deque()
        self.count_waiting: Callable[[], int] = self._order.__len__
        """`size`, 50 ns quicker: an emitter asks for each event."""
        self._shapes: Dict[_Shape, _Shape] = {}
        self._last_shape: _Shape = ()
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)

    @property
    def event_buffer(self) -> PayloadDictList:
        """The events that wait, oldest first: a copy."""
        with self._lock:
            shapes, values = list(self._order), list(self._values)
        return self._events(shapes, values)

    @event_buffer.setter
    def event_buffer(self, events: PayloadDictList) -> None:
        shapes = [self._shape(event) for event in events]
        with self._lock:
            self._order.clear()
            self._order.extend(shapes)
            self._values.clear()
            self._values.extend(value for event in events for value in event.values())

    def add_event(self, payload: PayloadDict) -> bool:
        """Take an event in, or answer False when there is no room for it."""
        shape = self._last_shape
        if (*payload,) != shape:
            shape = self._shape(payload)
        values = (*payload.values(),)
        if len(values) != len(shape):
            raise ValueError("payload was changed by another thread while it was queued.")
        with self._lock:
            if len(self._order) + self._out < self.buffer_capacity:
                self._order.append(shape)
                self._values.extend(values)
                return True
        return self._add_when_full(shape, values)

    def get_events_batch(self, *, max_events: Optional[int] = None) -> PayloadDictList:
        """Hand out the events that waited longest: all of them, or no more than `max_events`."""
        with self._lock:
            if max_events is None or max_events >= len(self._order):
                shapes, values = list(self._order), list(self._values)
                self._order.clear()
                self._values.clear()
            else:
                shapes, values = self._pop(max_events)
            if self.keeps_room:
                self._out += len(shapes)
            else:
                self._room.notify(len(shapes))
        return self._events(shapes, values)

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Forget events that were handed out, or put them back to the front, in their order."""
        if not need_retry:
            with self._lock:
                self._out = max(0, self._out - len(batch))
                self._room.notify(len(batch))
            return
        shapes = [self._shape(event) for event in batch]
        values = [value for event in batch for value in event.values()]
        with self._lock:
            self._order.extendleft(reversed(shapes))
            self._values.extendleft(reversed(values))
            self._out = max(0, self._out - len(batch))
            evicted = self._make_room(len(self._order) - self.buffer_capacity)
        self._report(evicted)

    def size(self) -> int:
        """Return the number of events that wait."""
        return len(self._order)

    def reset_after_fork(self) -> None:
        """Start empty in a forked child: what waits here is the parent's to send."""
        self._order.clear()
        self._values.clear()
        self._out = 0
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)

    def _shape(self, payload: PayloadDict) -> _Shape:
        keys = (*payload,)
        if len(self._shapes) >= _MOST_SHAPES:
            self._shapes.clear()  # events hold on to their own
        shape = self._last_shape = self._shapes.setdefault(keys, keys)
        return shape

    def _events(self, shapes: List[_Shape], values: List[Any]) -> PayloadDictList:
        rest = map(str, values) if self.hands_out_text else iter(values)
        return [dict(zip(shape, rest)) for shape in shapes]

    def _pop(self, count: int, *, newest: bool = False) -> Tuple[List[_Shape], List[Any]]:
        """Take events out at one end. The lock is held."""
        take_shape = self._order.pop if newest else self._order.popleft
        take_value = self._values.pop if newest else self._values.popleft
        shapes = [take_shape() for _ in range(count)]
        values = [take_value() for shape in shapes for _ in shape]
        return (shapes[::-1], values[::-1]) if newest else (shapes, values)

    def _make_room(self, count: int) -> PayloadDictList:
        """Throw out as many events, by the policy. The lock is held."""
        if count <= 0:
            return []
        return self._events(*self._pop(count, newest=self.overflow != "drop_oldest"))

    def _add_when_full(self, shape: _Shape, values: Tuple[Any, ...]) -> bool:
        evicted: PayloadDictList = []
        with self._lock:
            if self.overflow == "block":
                self._room.wait_for(self._has_room, self.overflow_timeout)
            elif self.overflow == "drop_oldest" and self._order and not self._has_room():
                evicted = self._make_room(1)
            taken = self._has_room()
            if taken:
                self._order.append(shape)
                self._values.extend(values)
        self._report(evicted)
        if not taken and self.overflow_listener is None:
            self._log(1)
        return taken

    def _has_room(self) -> bool:
        return len(self._order) + self._out < self.buffer_capacity

    def _report(self, evicted: PayloadDictList) -> None:
        if evicted and self.overflow_listener is not None:
            self.overflow_listener(evicted)
        elif evicted:
            self._log(len(evicted))

    def _log(self, count: int) -> None:
        self.logger.error(
            "The event buffer is full (%d events); dropped: %d.", self.buffer_capacity, count
        )
