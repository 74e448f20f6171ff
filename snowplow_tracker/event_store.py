"""Where events wait until the collector has them: the protocols, and the store in memory."""

from __future__ import annotations

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
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

from snowplow_tracker._checks import check_number, check_seconds, whole_number
from snowplow_tracker._compat.event_buffer import EventBuffer
from snowplow_tracker._process.atomic import all_at_once, extend_together
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._process.locking import (
    LockOrder,
    Signal,
    hold,
    is_held_here,
    new_lock,
    release_if_leaked,
)
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

_MAX_HEADS = 1_000
_BYTES_PER_EVENT = 250
"""What an event takes in memory beside the characters of its values: their headers, its id, its place in the queue."""


class _Head(NamedTuple):
    """What the queue knows of an event beside its values: one object for all events that have the same names.

    Attributes:
        names: The names of its values, in order.
        size: Its size in bytes, if that is counted, or else 0. Then the head is its own.
    """

    names: Tuple[str, ...]
    size: int = 0


_WHOLE = ("event",)
"""The names of an event that `event_buffer` has shown: its only value is its dictionary, because users may change it."""


class _Events(NamedTuple):
    """Events in a row in the queue: their heads, where they begin in it, their values, and where those begin."""

    heads: List[_Head]
    start: int
    values: List[Any]
    values_start: int


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
        self.buffer_capacity: int = whole_number(buffer_capacity)
        self.buffer_bytes = buffer_bytes
        self.overflow: Overflow = overflow
        self.overflow_timeout = overflow_timeout
        self.overflow_listener: Optional[Callable[[PayloadDictList], None]] = None
        self._returns_text = False
        """Whether values become strings when events are taken out: the tracking thread need not do it."""
        self._keeps_room = False
        """Whether events that are being sent count until their `cleanup`, so that there is room to requeue them."""
        # The heads of the events, and the values of all of them one after the other: half the memory of dictionaries.
        # Where an event comes in, no lock is held (fast path), which threads that track would pass to each other at every
        # event. Where they meet, there may be an event for each of them beyond the capacity.
        # While the lock is held, others add at the right end only, signal handlers included. So events are looked at
        # first, and removed by their place in one call with what becomes of them.
        self._heads: Deque[_Head] = deque()
        self._values: Deque[Any] = deque()
        self._queue = (self._heads, self._values)
        self._evicted: PayloadDictList = []
        """Dropped events that are not reported to the listener yet."""
        self._out = 0
        self._bytes = 0
        self._replaced = 0
        """How many times `event_buffer` was set: lists that it returned before are not the queue any more."""
        self._known_heads: Dict[Tuple[str, ...], _Head] = {}
        self._last_head = _Head(())
        self._set_up_locks()

    def _set_up_locks(self) -> None:
        self._lock = new_lock(LockOrder.STORE)
        self._room = Signal(self._lock)

    @property
    def event_buffer(self) -> PayloadDictList:
        """The events that wait, oldest first. A change of the list, or of an event in it, changes the queue."""
        replaced = self._replaced

        def apply(buffer: EventBuffer, change: Callable[[], Any]) -> Any:
            if replaced != self._replaced or self._is_inside(entered=2):
                return change()  # as with a list that was taken out of the store
            with hold(self._lock):
                buffer.refresh(self._whole_events())
                try:
                    return change()
                finally:
                    self._replace(buffer)

        if self._is_inside():
            return EventBuffer(self._events(self._look(0, len(self._heads))), apply)
        with self._lock:
            return EventBuffer(self._whole_events(), apply)

    @event_buffer.setter
    def event_buffer(self, events: PayloadDictList) -> None:
        if self._is_inside():
            extend_together(self._queue, [_Head(_WHOLE)] * len(events), events)
            return
        with hold(self._lock):
            self._replace([*events])
            self._replaced += 1

    def _whole_events(self) -> PayloadDictList:
        """Return the events that wait, and keep their dictionaries in the queue. The lock is held."""
        found = self._look(0, len(self._heads))
        events = self._events(found)
        heads = [_Head(_WHOLE, head.size) for head in found.heads]
        # Unlike those that leave the queue, they still count.
        same_size = partial(setattr, self, "_bytes", self._bytes)
        all_at_once(*self._removal(found), *self._front(heads, events), same_size)
        return events

    def _replace(self, events: PayloadDictList) -> None:
        """Have these events wait instead of those that do. The lock is held."""
        found = self._look(0, len(self._heads))
        heads = [_Head(_WHOLE)] * len(events)
        all_at_once(*self._removal(found), *self._front(heads, events))

    def add_event(self, payload: PayloadDict) -> bool:
        """Take an event in, or return False when there is no room for it."""
        head = self._last_head
        if head.names != (*payload,):
            head = self._head(payload)
        values = [*payload.values()]
        if len(values) != len(head.names):
            raise ValueError("payload was changed by another thread while it was queued.")
        if len(self._heads) + self._out < self.buffer_capacity:
            extend_together(self._queue, (head,), values)
            return True
        return self._add_when_full(head, values)

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
        """Take the oldest events out: they leave the queue together with the call that `receiver` returns for them."""
        if self._is_inside():
            return
        with self._lock:
            waiting = len(self._heads)
            found = self._look(0, waiting if max_events is None else min(max_events, waiting))
            out = self._out + len(found.heads) if self._keeps_room else 0
            all_at_once(
                receiver(self._events(found)),
                *self._removal(found),
                partial(setattr, self, "_out", out),
            )
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
        """Forget events that were taken out, together with a call of `receipt`."""
        with hold(self._lock):
            all_at_once(partial(setattr, self, "_out", max(0, self._out - count)), receipt)
            if self._room.waiting:
                self._room.notify()

    def _requeue(self, batch: PayloadDictList, receipt: Callable[[], object]) -> None:
        """Requeue events at the front, in their order, together with a call of `receipt`."""
        heads = [self._head(event) for event in batch]
        values = [value for event in batch for value in event.values()]
        inside = self._is_inside()
        with hold(self._lock):
            # Those whose room was kept fit in any case; others may come from elsewhere.
            excess = len(batch) - self._out
            if inside:
                extend_together(self._queue, heads, values)
            all_at_once(
                *([] if inside else self._front(heads, values)),
                partial(setattr, self, "_out", max(0, self._out - len(batch))),
                receipt,
            )
            excess = min(excess, len(self._heads) + self._out - self.buffer_capacity)
            if excess > 0 and not inside:
                self._evict(excess)
        self._report()

    def size(self) -> int:
        """Return the number of events that wait."""
        return len(self._heads)

    def _buffer_capacity_reached(self) -> bool:
        """Return whether there is no room. Subclasses that were written for 1.1.0 ask before they add an event."""
        return self.size() >= self.buffer_capacity

    def reset_after_fork(self) -> None:
        """Start empty in a forked child: what waits here is the parent's to send."""
        self._set_up_locks()
        self._heads.clear()
        self._values.clear()
        self._evicted.clear()
        self._out = self._bytes = 0

    def _is_inside(self, *, entered: int = 1) -> bool:
        """Return whether the caller is a signal handler or a finalizer that interrupted a user of the lock.

        Args:
            entered: The number of calling methods of this call.
        """
        if not is_held_here(self._lock):
            return False
        release_if_leaked(self._lock, entered=entered + 1, file=__file__)
        return is_held_here(self._lock)

    def _head(self, payload: PayloadDict) -> _Head:
        if len(self._known_heads) >= _MAX_HEADS:
            self._known_heads.clear()  # events hold on to their own
        names = tuple(payload)
        head = self._last_head = self._known_heads.setdefault(names, _Head(names))
        return head

    def _look(self, start: int, count: int) -> _Events:
        """Return events of the queue, which stay there. The lock is held."""
        heads, values = self._heads, self._values
        values_start = sum([len(heads[index].names) for index in range(start)])
        found = [heads[index] for index in range(start, start + count)]
        values_end = values_start + sum([len(head.names) for head in found])
        found_values = [values[index] for index in range(values_start, values_end)]
        return _Events(found, start, found_values, values_start)

    def _removal(self, found: _Events) -> List[Callable[[], object]]:
        """Return the calls, for `all_at_once`, that remove events at which `_look` has looked. The lock is held."""
        size = sum([head.size for head in found.heads])
        return [
            _cut(self._heads, found.start, len(found.heads)),
            _cut(self._values, found.values_start, len(found.values)),
            partial(setattr, self, "_bytes", max(0, self._bytes - size)),
        ]

    def _front(self, heads: List[_Head], values: Sequence[Any]) -> List[Callable[[], object]]:
        """Return the calls, for `all_at_once`, that put events at the front. The lock is held."""
        return [
            partial(self._heads.extendleft, reversed(heads)),
            partial(self._values.extendleft, reversed(values)),
        ]

    def _events(self, found: _Events) -> PayloadDictList:
        """Put events together from their names and values."""
        as_text = self._returns_text
        events: PayloadDictList = []
        start = 0
        for names, _ in found.heads:
            values = found.values[start : start + len(names)]
            start += len(names)
            if names is _WHOLE:
                events += values
                continue
            if not deferred.DEFERRED_NAMES.isdisjoint(names):
                values = deferred.completed(names, values)
            try:
                events.append(dict(zip(names, map(str, values) if as_text else values)))
            except Exception as error:
                if is_interrupt(error) or not any(map(_has_no_text, values)):
                    raise
                # It stays as it is, and is dropped when it is encoded.
                events.append(dict(zip(names, values)))
        return events

    def _evict(self, count: int) -> None:
        """Drop as many events, by the policy. The lock is held."""
        count = min(count, len(self._heads))
        found = self._look(0 if self.overflow == "drop_oldest" else len(self._heads) - count, count)
        all_at_once(
            partial(self._evicted.extend, self._events(found)),
            *self._removal(found),
        )

    def _add_when_full(self, head: _Head, values: List[Any]) -> bool:
        if self._is_inside(entered=2):
            # Beyond the capacity, by as many as come in between.
            extend_together(self._queue, (head,), values)
            return True
        with self._lock:
            taken = self._put_in(head, values)
            while not taken and self.overflow == "drop_oldest" and self._heads:
                self._evict(1)
                taken = self._put_in(head, values)
        if not taken and self.overflow == "block":
            taken = self._wait_for_room(head, values)
        self._report()
        if not taken and self.overflow_listener is None:
            self._log(1)
        return taken

    def _put_in(self, head: _Head, values: List[Any]) -> bool:
        """Take an event in if there is room for it. The lock is held."""
        if self._has_room():
            extend_together(self._queue, (head,), values)
            return True
        if not self.buffer_bytes:
            return False
        size = _BYTES_PER_EVENT + sum(len(value) for value in values if type(value) in (str, bytes))
        if self._bytes + size > self.buffer_bytes:
            return False
        extend_together(self._queue, (head._replace(size=size),), values)
        self._bytes += size
        return True

    def _has_room(self) -> bool:
        return len(self._heads) + self._out < self.buffer_capacity

    def _wait_for_room(self, head: _Head, values: List[Any]) -> bool:
        deadline = monotonic() + self.overflow_timeout
        while True:
            with self._lock:
                if self._put_in(head, values):
                    return True
            rest = deadline - monotonic()
            if rest <= 0:
                return False
            self._room.wait(self._has_room, rest)

    def _report(self) -> None:
        """Report dropped events to the listener."""
        while self._evicted:
            events: PayloadDictList = []
            is_reported = False
            try:
                all_at_once(partial(events.extend, self._evicted), self._evicted.clear)
                is_reported = True
                if self.overflow_listener is not None:
                    self.overflow_listener(events)
                else:
                    self._log(len(events))
            finally:
                if not is_reported:
                    self._evicted.extend(events)

    def _log(self, count: int) -> None:
        self.logger.error(
            "The event buffer is full (%d events); dropped: %d.", self.buffer_capacity, count
        )


def _cut(queue: Deque[Any], start: int, count: int) -> Callable[[], object]:
    """Return a call, for `all_at_once`, that removes items from a queue."""
    if start == 0:  # as below, and faster
        return partial(deque, starmap(queue.popleft, repeat((), count)), 0)
    return partial(deque, map(queue.__delitem__, repeat(start, count)), 0)


def _has_no_text(value: Any) -> bool:
    try:
        str(value)
    except Exception as error:  # whatever its class raises
        if is_interrupt(error):
            raise
        return True
    return False
