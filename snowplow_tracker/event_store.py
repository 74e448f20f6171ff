"""Where events wait until the collector has them: the protocol, and the store in memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import islice, repeat, starmap
from typing import (
    Any,
    Callable,
    Deque,
    Dict,
    List,
    Literal,
    Optional,
    Protocol,
    Tuple,
)

from snowplow_tracker import _late_values, _live_objects
from snowplow_tracker.contracts import one_of
from snowplow_tracker.typing import Logger, PayloadDict, PayloadDictList

__all__ = ["EventStore", "InMemoryEventStore", "PayloadDict", "PayloadDictList"]

Overflow = Literal["drop_newest", "drop_oldest", "block"]

DEFAULT_BUFFER_CAPACITY = 10_000
OVERFLOW_POLICIES = ("drop_newest", "drop_oldest", "block")

_MOST_SHAPES = 1_000


class _Shape:
    """The names of an event's values, in order: one object for all events that have the same.

    Attributes:
        names: The names. A list, which compares with the names of another event quicker than a tuple.
        items: How many items of the queue an event takes: this object, and its values.
        late: Whether there may be late values.
    """

    __slots__ = ("items", "late", "names")

    def __init__(self, names: List[str]) -> None:
        self.names = names
        self.items = len(names) + 1
        self.late = not _late_values.LATE_NAMES.isdisjoint(names)


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
        if not 0 <= overflow_timeout <= threading.TIMEOUT_MAX:
            raise ValueError("overflow_timeout must not be negative or infinite.")
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
        # The shape of an event, its values, the shape of the next, its values: half the memory of
        # a dictionary for each, and quicker than copying one.
        self._items: Deque[Any] = deque()
        # As many bytes as there are events. No lock is held where events come in: with 4 threads
        # that track, it would be handed from one to the next at every event (3.11: 23 us for a rich
        # event instead of 15). Instead, an event is first counted, which reserves its room, and
        # then put in by one call that the interpreter does not interrupt. Where threads meet, there
        # may be an event for each of them beyond the capacity. An exception of a signal handler in
        # between leaves one counted too much, until all that is there was handed out.
        self._count = bytearray()
        self.count_waiting: Callable[[], int] = self._count.__len__
        """Nearly `size`, 50 ns quicker: an emitter asks for each event."""
        self._shapes: Dict[Tuple[str, ...], _Shape] = {}
        self._last_shape = _Shape([])
        # A thread that has it may come here again, from a signal handler or a finalizer: then what
        # is being done to the oldest events, while `_busy`, is not disturbed.
        self._lock = threading.RLock()
        self._busy = False
        self._room = threading.Condition(self._lock)

    @property
    def event_buffer(self) -> PayloadDictList:
        """The events that wait, oldest first: a copy."""
        return self._events(list(self._items))

    @event_buffer.setter
    def event_buffer(self, events: PayloadDictList) -> None:
        items = self._flat(events)
        with self._lock:
            old: List[Any] = []
            self._take(len(self._items), old)
            del self._count[: len(_starts(old))]
            self._count.extend(bytes(len(events)))
            self._items.extendleft(reversed(items))

    def add_event(self, payload: PayloadDict) -> bool:
        """Take an event in, or answer False when there is no room for it."""
        shape = self._last_shape
        if [*payload] != shape.names:
            shape = self._shape(payload)
        items = [shape, *payload.values()]
        if _live_objects.seen and self.hands_out_text:
            items[1:] = _live_objects.texts_of(items[1:])
        if len(items) != shape.items:
            raise ValueError("payload was changed by another thread while it was queued.")
        self._count.append(0)  # `_reserve`, written out: 0.05 us
        if len(self._count) + self._out <= self.buffer_capacity:
            self._items.extend(items)
            return True
        del self._count[-1:]
        return self._add_when_full(items)

    def get_events_batch(self, *, max_events: Optional[int] = None) -> PayloadDictList:
        """Hand out the events that waited longest: all of them, or no more than `max_events`."""
        with self._lock:
            if self._busy:
                return []
            self._busy = True
            items: List[Any] = []
            try:
                self._take(len(self._items) if max_events is None else max_events, items)
                events = self._events(items)
            except BaseException:  # somebody pressed Ctrl-C
                self._items.extendleft(reversed(items))
                raise
            finally:
                self._busy = False
            count = len(events)
            if self.keeps_room:
                self._out += count
            del self._count[:count]
            if self._count and not self._items:
                self._correct_count()
            if not self.keeps_room:
                self._room.notify(count)
        return events

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Forget events that were handed out, or put them back to the front, in their order."""
        if not need_retry:
            with self._lock:
                self._out = max(0, self._out - len(batch))
                self._room.notify(len(batch))
            return
        items = self._flat(batch)
        with self._lock:
            if self._busy:
                self._count.extend(bytes(len(batch)))
                self._items.extend(items)
                self._out = max(0, self._out - len(batch))
                return
            # Those whose room was kept fit in any case; others may come from elsewhere.
            too_many = len(batch) - self._out
            self._count.extend(bytes(len(batch)))
            self._items.extendleft(reversed(items))
            self._out = max(0, self._out - len(batch))
            too_many = min(too_many, len(self._count) + self._out - self.buffer_capacity)
            evicted = self._make_room(too_many)
        self._report(evicted)

    def size(self) -> int:
        """Return the number of events that wait."""
        return len(self._count) or (1 if self._items else 0)

    def reset_after_fork(self) -> None:
        """Start empty in a forked child: what waits here is the parent's to send."""
        self._items.clear()
        self._count.clear()
        self._out = 0
        self._lock = threading.RLock()
        self._busy = False
        self._room = threading.Condition(self._lock)

    def _shape(self, payload: PayloadDict) -> _Shape:
        names = tuple(payload)
        shape = self._shapes.get(names)
        if shape is None:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()  # events hold on to their own
            shape = self._shapes[names] = _Shape([*names])
        self._last_shape = shape
        return shape

    def _flat(self, events: PayloadDictList) -> List[Any]:
        items: List[Any] = []
        for event in events:
            items += (self._shape(event), *event.values())
        return items

    def _correct_count(self) -> None:
        """Forget what is counted and not there, because it will never be. The lock is held."""
        time.sleep(0.001)  # for threads that are about to put theirs in
        if not self._items:
            # One that takes longer than that goes out like any other, and until then has no room.
            del self._count[:]

    def _take(self, count: int, into: List[Any]) -> None:
        """Move the items of the oldest events, `count` at most, into a list. The lock is held."""
        items = self._items
        oldest = starmap(items.popleft, repeat(()))
        for _ in range(count):
            if not items:
                break
            # One call for all items of an event: no interrupt can come between them.
            into.extend(islice(oldest, items[0].items))

    def _events(self, items: List[Any]) -> PayloadDictList:
        """Put events together from their items."""
        as_text = self.hands_out_text
        events: PayloadDictList = []
        start = 0
        while start < len(items):
            shape = items[start]
            values = items[start + 1 : start + shape.items]
            start += shape.items
            if shape.late:
                values = _late_values.completed(shape.names, values)
            try:
                events.append(dict(zip(shape.names, map(str, values) if as_text else values)))
            except Exception:
                if not any(map(_has_no_text, values)):
                    raise
                # It stays as it is, and is given up when it is encoded.
                events.append(dict(zip(shape.names, values)))
        return events

    def _make_room(self, count: int) -> PayloadDictList:
        """Throw out as many events, by the policy. The lock is held."""
        if count <= 0:
            return []
        items: List[Any] = []
        self._busy = True
        try:
            if self.overflow == "drop_oldest":
                self._take(count, items)
            else:
                # At the other end, events may come in at any moment. So all come out at this one.
                kept: List[Any] = []
                self._take(len(self._items), kept)
                cut = _starts(kept)[-count:][0] if kept else 0
                items = kept[cut:]
                self._items.extendleft(reversed(kept[:cut]))
        finally:
            self._busy = False
        events = self._events(items)
        del self._count[: len(events)]
        return events

    def _add_when_full(self, items: List[Any]) -> bool:
        evicted: PayloadDictList = []
        with self._lock:
            if self._busy:  # beyond the capacity, by as many as come from in between
                self._count.append(0)
                self._items.extend(items)
                return True
            taken = self._reserve()
            if not taken and self.overflow == "block":
                taken = self._room.wait_for(self._reserve, self.overflow_timeout)
            while not taken and self.overflow == "drop_oldest" and self._items:
                evicted += self._make_room(1)
                taken = self._reserve()
            if taken:
                self._items.extend(items)
        self._report(evicted)
        if not taken and self.overflow_listener is None:
            self._log(1)
        return taken

    def _reserve(self) -> bool:
        """Count one event more, if there is room for it."""
        self._count.append(0)
        if len(self._count) + self._out <= self.buffer_capacity:
            return True
        del self._count[-1:]
        return False

    def _report(self, evicted: PayloadDictList) -> None:
        if evicted and self.overflow_listener is not None:
            self.overflow_listener(evicted)
        elif evicted:
            self._log(len(evicted))

    def _log(self, count: int) -> None:
        self.logger.error(
            "The event buffer is full (%d events); dropped: %d.", self.buffer_capacity, count
        )


def _starts(items: List[Any]) -> List[int]:
    """Tell at which places events start."""
    starts = []
    start = 0
    while start < len(items):
        starts.append(start)
        start += items[start].items
    return starts


def _has_no_text(value: Any) -> bool:
    try:
        str(value)
    except Exception:  # noqa: BLE001 - whatever its class raises
        return True
    return False
