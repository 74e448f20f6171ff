"""Where events wait until the collector has them: the protocols, and the store in memory."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from itertools import repeat, starmap
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

from snowplow_tracker._checks import check_number, check_seconds, whole_number
from snowplow_tracker._compat.event_buffer import EventBuffer
from snowplow_tracker._process.atomic import all_at_once, move_back, move_oldest
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._process.locking import LockOrder, Signal, hold, new_lock, release_if_leaked
from snowplow_tracker._protocol import deferred
from snowplow_tracker.contracts import one_of
from snowplow_tracker.typing import Logger, PayloadDict, PayloadDictList

__all__ = [
    "DurableEventStore",
    "EventStore",
    "InMemoryEventStore",
    "PayloadDict",
    "PayloadDictList",
]

Overflow = Literal["drop_newest", "drop_oldest", "block"]

DEFAULT_BUFFER_CAPACITY = 10_000
OVERFLOW_POLICIES = ("drop_newest", "drop_oldest", "block")

_MAX_SHAPES = 1_000
_BYTES_PER_EVENT = 250
"""What an event takes in memory beside the characters of its values: their headers, its id, its place in the queue."""


class _Shape:
    """The names of an event's values, in order: one object for all events that have the same.

    Attributes:
        names: A list, which compares with the names of another event faster than a tuple.
        items: How many items of the queue an event takes: this object, its values, and its size if that is counted.
        deferred: Whether there may be deferred values.
        sized: The same shape for events whose size in bytes is counted; in that one, None.
    """

    __slots__ = ("deferred", "items", "names", "sized")

    def __init__(self, names: List[str], *, is_sized: bool = False) -> None:
        self.names = names
        self.items = len(names) + (2 if is_sized else 1)
        self.deferred = not deferred.DEFERRED_NAMES.isdisjoint(names)
        self.sized: Optional[_Shape] = None if is_sized else _Shape(names, is_sized=True)


_WHOLE = _Shape(["event"])
"""The shape of an event that `event_buffer` has shown: its dictionary is kept, because users may change it."""
_WHOLE.deferred = True  # treated apart, like deferred values, so that other events take no longer
_WHOLE.sized.deferred = True  # type: ignore[union-attr]


class EventStore(Protocol):
    """What an emitter needs of a store. Four methods are enough; calls to them are never made at the same time.

    A store may offer more, and then the emitter makes use of it:

    - ``get_events_batch(*, max_events=None)``: returns at most this many events, which keeps batches bounded;
    - ``thread_safe = True``: the emitter does not serialise its calls;
    - ``durable = True``: what is left in it when the emitter is closed is kept, not dropped;
    - ``lost_listener``: set by the emitter to a function that the store calls with the number of events that it lost,
      and how;
    - ``renew(events)``: called while events are being sent, for stores that lease them;
    - ``overflow_listener``: set by the emitter to a function that the store calls with each list of events that it
      dropped to make room (an event that it did not take is reported by returning False);
    - ``reset_after_fork()``: called in a forked child, where the parent's threads do not exist and its locks may be held;
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
        """Return events to be sent. Each is passed to `cleanup` once it was sent, dropped or has to be retried."""
        ...

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Forget or requeue events that `get_events_batch` returned.

        Args:
            batch: Events from `get_events_batch`.
            need_retry: True to requeue them; False to forget them: they were sent or dropped.
        """
        ...

    def size(self) -> int:
        """Return the number of queued events, without those that are being sent."""
        ...


class DurableEventStore(Protocol):
    """A store that keeps events after the end of the process, and that several processes share.

    `get_events_batch` leases events: no other process gets them until `cleanup` requeues them, or until the lease
    expires because its holder shows no sign of life. A store renews the leases of a living process by itself; `renew`
    is for an engine that knows which events it is still sending.

    No method raises if the queue cannot be reached.
    """

    durable: bool
    """True: events that are left in the store when the emitter is closed are kept."""
    thread_safe: bool
    """True: methods may be called concurrently."""
    overflow_listener: Optional[Callable[[PayloadDictList], None]]
    """Called with each list of events that the store dropped to make room."""
    lost_listener: Optional[Callable[[int, str], None]]
    """Called with the number of lost events, and the reason: their file was deleted, or they cannot be read. The events
    themselves are not available. The store has logged the loss."""

    @property
    def failing(self) -> bool:
        """Whether the last access to the queue failed."""
        ...

    def add_event(self, payload: PayloadDict) -> bool:
        """Add an event; return whether it was added."""
        ...

    def get_events_batch(self, *, max_events: Optional[int] = None) -> PayloadDictList:
        """Lease the oldest queued events.

        Args:
            max_events: Maximum number. Default None: the store decides.
        """
        ...

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Settle leased events. A batch may be settled in parts.

        Args:
            batch: Events from `get_events_batch`.
            need_retry: True to requeue them, because they could not be sent; False to acknowledge them.
        """
        ...

    def renew(self, events: PayloadDictList) -> None:
        """Renew the leases of events that are still being sent. It may be called at any rate."""
        ...

    def size(self) -> int:
        """Return the number of queued events."""
        ...

    def remaining(self) -> Optional[int]:
        """Return the number of events that are not delivered yet, including leased ones; None if it is unknown."""
        ...

    def wait_for_events(self, timeout: float) -> bool:
        """Wait until events can be leased.

        Args:
            timeout: Maximum seconds. It may return earlier.

        Returns:
            Whether there are some.
        """
        ...

    def reset_after_fork(self) -> None:
        """Start again in a forked child: the events that the parent is sending stay leased by the parent."""
        ...

    def close(self) -> None:
        """Close the queue. If the store is used again, it opens the queue again."""
        ...


class InMemoryEventStore(EventStore):
    """A bounded first-in, first-out queue in memory. What it holds ends with the process.

    Args:
        logger: Gets a message when events are dropped and no emitter listens.
        buffer_capacity: How many events may wait; in an emitter, those that are being sent count.
        overflow: What happens when it is full: `"drop_newest"` refuses the new event, `"drop_oldest"` drops the
            oldest, `"block"` waits up to `overflow_timeout` for room and then refuses. An emitter with
            `overflow="wait"`, its default, makes room for a refused event as long as the collector takes events.
        overflow_timeout: Seconds.
        buffer_bytes: Bytes that events beyond `buffer_capacity` may take in memory. Default 0: none may wait.

    Raises:
        TypeError: A capacity, size or time is not a number.
        ValueError: It is negative, the capacity 0, or the policy unknown.

    Changed in version 1.2.0: `overflow`, `overflow_timeout` and `buffer_bytes`; failed events go back to the front,
    and the policy decides about overflow.
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
        buffer_bytes: int = 0,
    ) -> None:
        check_number("buffer_capacity", buffer_capacity, fraction=True)  # a float as in 1.1.0
        one_of(overflow, OVERFLOW_POLICIES, name="overflow")
        check_seconds("overflow_timeout", overflow_timeout, zero=True)
        check_number("buffer_bytes", buffer_bytes, zero=True)
        self.logger = logger
        self.buffer_capacity = whole_number(buffer_capacity)
        self.buffer_bytes = buffer_bytes
        self.overflow: Overflow = overflow
        self.overflow_timeout = overflow_timeout
        self.overflow_listener: Optional[Callable[[PayloadDictList], None]] = None
        self._returns_text = False
        """Whether values become strings when events are taken out: the tracking thread need not do it."""
        self._keeps_room = False
        """Whether events that are being sent count until their `cleanup`, so that there is room to requeue them."""
        # The lock-free queue (fast path). The shape of an event, its values, the shape of the next, its values: half the
        # memory of a dictionary for each. Where an event comes in no lock is held, which threads that track would pass
        # to each other at every event. Instead, an event is counted first, which reserves its room, and then put in by
        # one call. Where threads meet, there may be an event for each of them beyond the capacity.
        self._items: Deque[Any] = deque()
        self._count = bytearray()
        self._count_waiting: Callable[[], int] = self._count.__len__
        """Nearly `size`, and cheaper: emitters ask for each event."""
        self._moving: List[Any] = []
        """Items on their way out of the queue. What an interrupt leaves here goes back with the next call."""
        self._evicted: PayloadDictList = []
        """Dropped events that are not reported to the listener yet."""
        self._out = 0
        self._bytes = 0
        self._replaced = 0
        """How many times `event_buffer` was set: lists that it returned before are not the queue any more."""
        self._shapes: Dict[Tuple[str, ...], _Shape] = {}
        self._last_shape = _Shape([])
        self._set_up_locks()

    def _set_up_locks(self) -> None:
        self._lock = new_lock(LockOrder.STORE)
        self._room = Signal(self._lock)

    @property
    def event_buffer(self) -> PayloadDictList:
        """The events that wait, oldest first. A change of the list, or of an event in it, changes the queue."""
        replaced = self._replaced

        def apply(buffer: EventBuffer, change: Callable[[], Any]) -> Any:
            if replaced != self._replaced:
                return change()  # as with a list that was taken out of the store
            with hold(self._lock):
                buffer.refresh(self._whole_events())
                try:
                    return change()
                finally:
                    self._replace(buffer)

        if self._lock.is_held_here():
            release_if_leaked(self._lock, file=__file__)
            if self._lock.is_held_here():
                # In the middle of a move.
                return EventBuffer(self._events([*self._moving, *self._items]), apply)
        with self._lock:
            return EventBuffer(self._whole_events(), apply)

    @event_buffer.setter
    def event_buffer(self, events: PayloadDictList) -> None:
        with hold(self._lock):
            self._replace([*events])
            self._replaced += 1

    def _whole_events(self) -> PayloadDictList:
        """Return the events that wait, and keep their dictionaries in the queue. The lock is held."""
        moving, _ = self._move_oldest(len(self._items))
        items: List[Any] = []
        events: PayloadDictList = []
        for start in _starts(moving):
            shape = moving[start]
            entry = moving[start : start + shape.items]
            (event,) = self._events(entry)
            events.append(event)
            items += (_WHOLE, event) if shape.sized else (_WHOLE.sized, event, entry[-1])
        all_at_once(moving.clear, partial(self._items.extendleft, reversed(items)))
        return events

    def _replace(self, events: PayloadDictList) -> None:
        """Have these events wait instead of those that do. The lock is held."""
        items = [item for event in events for item in (_WHOLE, event)]
        moving, _ = self._move_oldest(len(self._items))
        all_at_once(
            # Not all of them: a thread may have counted an event that it is about to put in.
            partial(self._count.__delitem__, slice(0, len(_starts(moving)))),
            moving.clear,
            partial(self._items.extendleft, reversed(items)),
            partial(self._count.extend, bytes(len(events))),
            partial(setattr, self, "_bytes", 0),
        )

    def add_event(self, payload: PayloadDict) -> bool:
        """Take an event in, or return False when there is no room for it."""
        shape = self._last_shape
        if [*payload] != shape.names:
            shape = self._shape(payload)
        items = [shape, *payload.values()]
        if len(items) != shape.items:
            raise ValueError("payload was changed by another thread while it was queued.")
        count = self._count
        try:
            count.append(0)
            if len(count) + self._out <= self.buffer_capacity:
                self._items.extend(items)
                return True
            del count[-1:]
        except BaseException:  # an interrupt, which is passed on
            self._recount()
            raise
        return self._add_when_full(items)

    def get_events_batch(self, *, max_events: Optional[int] = None) -> PayloadDictList:
        """Return the oldest events: all of them, or at most `max_events`."""
        batch: PayloadDictList = []
        self._take(max_events, lambda events: partial(batch.extend, events))
        return batch

    def _take(
        self,
        max_events: Optional[int],
        receiver: Callable[[PayloadDictList], Callable[[], object]],
    ) -> None:
        """Take the oldest events out, and pass them to a receiver.

        Args:
            max_events: How many; None for all.
            receiver: Returns a call, as `all_at_once` takes them, that receives the events. With it they leave the queue.
        """
        if self._lock.is_held_here():
            release_if_leaked(self._lock, file=__file__)
            if self._lock.is_held_here():
                return  # a signal handler or a finalizer, in the middle of a move
        with self._lock:
            moving, sized = self._move_oldest(
                len(self._items) if max_events is None else max_events
            )
            events = self._events(moving)
            count = len(events)
            all_at_once(
                receiver(events),
                moving.clear,
                partial(self._count.__delitem__, slice(0, count)),
                partial(setattr, self, "_out", self._out + count if self._keeps_room else 0),
                partial(setattr, self, "_bytes", max(0, self._bytes - sized)),
            )
            if self._count and not self._items:
                self._correct_count()
            if not self._keeps_room:
                self._room.notify()
        self._report()

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Forget events that were taken out, or requeue them at the front, in their order."""
        if need_retry:
            self._requeue(batch, bool)
        else:
            self._acknowledge(len(batch), bool)

    def _acknowledge(self, count: int, receipt: Callable[[], object]) -> None:
        """Forget events that were taken out.

        Args:
            count: How many.
            receipt: Called as `all_at_once` does, together with it.
        """
        with hold(self._lock):
            all_at_once(partial(setattr, self, "_out", max(0, self._out - count)), receipt)
            if self._room.waiting:
                self._room.notify()

    def _requeue(self, batch: PayloadDictList, receipt: Callable[[], object]) -> None:
        """Requeue events at the front, in their order.

        Args:
            batch: Events that were taken out.
            receipt: Called as `all_at_once` does, together with it.
        """
        items = self._flat(batch)
        count = len(batch)
        inside = self._lock.is_held_here()
        with hold(self._lock):
            if not inside and self._moving:
                move_back(self._moving, self._items)
            # Those whose room was kept fit in any case; others may come from elsewhere.
            excess = count - self._out
            all_at_once(
                partial(self._items.extendleft, reversed(items)),
                partial(self._count.extend, bytes(count)),
                partial(setattr, self, "_out", max(0, self._out - count)),
                receipt,
            )
            excess = min(excess, len(self._count) + self._out - self.buffer_capacity)
            if excess > 0 and not inside:
                self._evict(excess)
        self._report()

    def size(self) -> int:
        """Return the number of events that wait."""
        return len(self._count) or (1 if self._items else 0)

    def _buffer_capacity_reached(self) -> bool:
        """Return whether there is no room. Subclasses that were written for 1.1.0 ask before they add an event."""
        return self.size() >= self.buffer_capacity

    def reset_after_fork(self) -> None:
        """Start empty in a forked child: what waits here is the parent's to send."""
        self._set_up_locks()
        self._items.clear()
        self._moving.clear()
        self._evicted.clear()
        self._count.clear()
        self._out = self._bytes = 0

    def _shape(self, payload: PayloadDict) -> _Shape:
        names = tuple(payload)
        shape = self._shapes.get(names)
        if shape is None:
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()  # events hold on to their own
            shape = self._shapes[names] = _Shape([*names])
        self._last_shape = shape
        return shape

    def _flat(self, events: PayloadDictList) -> List[Any]:
        items: List[Any] = []
        for event in events:
            items += (self._shape(event), *event.values())
        return items

    def _recount(self) -> None:
        """Count again what waits: an interrupt may have come between counting an event and putting it in."""
        with self._lock:
            count = sum(1 for item in [*self._moving, *self._items] if item.__class__ is _Shape)
            all_at_once(self._count.clear, partial(self._count.extend, bytes(count)))

    def _correct_count(self) -> None:
        """Forget what is counted and not there, because it will never be. The lock is held."""
        time.sleep(0.001)  # for threads that are about to put theirs in
        if not self._items:
            # One that takes longer than that goes out like any other, and until then has no room.
            del self._count[:]

    def _move_oldest(self, count: int) -> Tuple[List[Any], int]:
        """Move the items of the oldest events, at most `count`, out of the queue. The lock is held.

        Returns:
            The items, and how many bytes of them were counted.
        """
        items, moving = self._items, self._moving
        if moving:
            move_back(moving, items)
        sized = 0
        for _ in range(count):
            if not items:
                break
            shape = items[0]
            move_oldest(items, shape.items, moving)
            if shape.sized is None:
                sized += moving[-1]
        return moving, sized

    def _events(self, items: List[Any]) -> PayloadDictList:
        """Put events together from their items."""
        as_text = self._returns_text
        events: PayloadDictList = []
        start = 0
        while start < len(items):
            shape = items[start]
            values = items[start + 1 : start + 1 + len(shape.names)]
            start += shape.items
            if shape.deferred:
                if shape.names is _WHOLE.names:
                    events += values
                    continue
                values = deferred.completed(shape.names, values)
            try:
                events.append(dict(zip(shape.names, map(str, values) if as_text else values)))
            except Exception as error:
                if is_interrupt(error) or not any(map(_has_no_text, values)):
                    raise
                # It stays as it is, and is dropped when it is encoded.
                events.append(dict(zip(shape.names, values)))
        return events

    def _evict(self, count: int) -> None:
        """Drop as many events, by the policy. The lock is held."""
        if self.overflow == "drop_oldest":
            moving, sized = self._move_oldest(count)
            keep = 0
        else:
            # At the other end, events may come in at any moment. So all come out at this one.
            moving, sized = self._move_oldest(len(self._items))
            starts = _starts(moving)
            keep = starts[-count:][0] if moving else 0
            sized = sum(
                moving[start + moving[start].items - 1]
                for start in starts[-count:]
                if moving[start].sized is None
            )
        events = self._events(moving[keep:])
        all_at_once(
            partial(self._evicted.extend, events),
            partial(moving.__delitem__, slice(keep, None)),
            partial(self._count.__delitem__, slice(0, len(events))),
            partial(setattr, self, "_bytes", max(0, self._bytes - sized)),
        )
        move_back(moving, self._items)

    def _add_when_full(self, items: List[Any]) -> bool:
        if self._lock.is_held_here():
            release_if_leaked(self._lock, entered=2, file=__file__)
        if self._lock.is_held_here():
            # A signal handler came into the middle of a move: beyond the capacity, by as many as come in between.
            all_at_once(partial(self._items.extend, items), partial(self._count.append, 0))
            return True
        with self._lock:
            taken = self._put_in(items)
            while not taken and self.overflow == "drop_oldest" and self._items:
                self._evict(1)
                taken = self._put_in(items)
        if not taken and self.overflow == "block":
            taken = self._wait_for_room(items)
        self._report()
        if not taken and self.overflow_listener is None:
            self._log(1)
        return taken

    def _put_in(self, items: List[Any]) -> bool:
        """Take an event in if there is room for it. The lock is held."""
        if len(self._count) + self._out < self.buffer_capacity:
            all_at_once(partial(self._items.extend, items), partial(self._count.append, 0))
            return True
        if not self.buffer_bytes:
            return False
        size = _BYTES_PER_EVENT + sum(
            len(value) for value in items if value.__class__ is str or value.__class__ is bytes
        )
        if self._bytes + size > self.buffer_bytes:
            return False
        all_at_once(
            partial(self._items.extend, (items[0].sized, *items[1:], size)),
            partial(self._count.append, 0),
            partial(setattr, self, "_bytes", self._bytes + size),
        )
        return True

    def _wait_for_room(self, items: List[Any]) -> bool:
        deadline = monotonic() + self.overflow_timeout

        def has_room() -> bool:
            return len(self._count) + self._out < self.buffer_capacity

        while True:
            with self._lock:
                if self._put_in(items):
                    return True
            rest = deadline - monotonic()
            if rest <= 0:
                return False
            self._room.wait(has_room, rest)

    def _report(self) -> None:
        """Report dropped events to the listener."""
        while self._evicted:
            events: PayloadDictList = []
            is_reported = False
            try:
                # Each is taken by one thread only.
                events.extend(starmap(self._evicted.pop, repeat((0,), len(self._evicted))))
                is_reported = True
                if self.overflow_listener is not None:
                    self.overflow_listener(events)
                elif events:
                    self._log(len(events))
            except IndexError:
                if is_reported:
                    raise
            finally:
                if not is_reported:
                    self._evicted.extend(events)

    def _log(self, count: int) -> None:
        self.logger.error(
            "The event buffer is full (%d events); dropped: %d.", self.buffer_capacity, count
        )


def _starts(items: List[Any]) -> List[int]:
    """Return at which places events start."""
    starts = []
    start = 0
    while start < len(items):
        starts.append(start)
        start += items[start].items
    return starts


def _has_no_text(value: Any) -> bool:
    try:
        str(value)
    except Exception as error:  # whatever its class raises
        if is_interrupt(error):
            raise
        return True
    return False
