"""One interface for all event stores, whatever they offer."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, Callable, Optional

from snowplow_tracker._compat.keywords import names_parameter
from snowplow_tracker._delivery.state import Batch, Progress
from snowplow_tracker._delivery.stats import Tally
from snowplow_tracker._protocol import deferred
from snowplow_tracker.event_store import EventStore, InMemoryEventStore
from snowplow_tracker.typing import PayloadDict, PayloadDictList

__all__ = ["StoreAccess"]

# The originals: a spy that a test puts in their place gets the calls as in 1.1.0.
_OWN_METHODS = {
    name: getattr(InMemoryEventStore, name) for name in ("add_event", "get_events_batch", "cleanup")
}


class StoreAccess:
    """Wraps a store, so that the engine need not know what it offers.

    A store with only the four methods of the protocol gets its calls one at a time, as in 1.1.0. The lock is used for
    nothing else, so that a slow store blocks only its own callers.

    Args:
        store: The store.
        overflow_listener: Called with the events that the store dropped to make room.
        lost_listener: Called with the number of events that the store lost, and how.
        as_text: Whether the values of events have to become strings.
    """

    def __init__(
        self,
        store: EventStore,
        overflow_listener: Callable[[PayloadDictList], None],
        lost_listener: Callable[[int, str], None],
        *,
        as_text: bool,
    ) -> None:
        self.store = store
        self._as_text = as_text
        self._memory: Optional[InMemoryEventStore] = None
        if type(store) is InMemoryEventStore and _is_own(store, "add_event"):
            self._memory = store
            store.hands_out_text = as_text
            store.keeps_room = True
        self.copies = self._memory is not None
        """Whether the store keeps its own copy, with values in the right form."""
        self.durable: bool = getattr(store, "durable", False) is True
        self._thread_safe: bool = getattr(store, "thread_safe", False) is True
        self._lock = threading.RLock()
        self._takes_limit: Optional[bool] = None
        self._tally = Tally()
        # One call less per event: the methods of the store itself (fast path).
        self.add: Callable[[PayloadDict], Optional[bool]] = self._add
        self.size: Callable[[], int] = self._size
        """Returns the number of events in the store."""
        self.count: Callable[[], int] = self._size
        """Returns nearly the same as `size`, faster: it is called for each event."""
        if self._memory is not None:
            self.add, self.size, self.count = (
                store.add_event,
                store.size,
                self._memory.count_waiting,
            )
        if hasattr(store, "overflow_listener"):
            store.overflow_listener = overflow_listener
        if hasattr(store, "lost_listener"):
            store.lost_listener = lost_listener

    def _add(self, event: PayloadDict) -> Optional[bool]:
        taken: Optional[bool] = self._call(self.store.add_event, event)
        if taken is not False:  # stores written for 1.1.0 may return None
            self._tally.add()
        return taken

    def _size(self) -> int:
        size: int = self._call(self.store.size)
        return size

    def added(self) -> Optional[int]:
        """Return the number of events added here; None if it is the sum of those queued, in flight and settled."""
        return None if self._memory is not None else self._tally.read()

    def count_from_outside(self, count: int) -> None:
        """Count events that are sent without having been added."""
        for _ in range(count):
            self._tally.add()

    def as_handed_out(self, event: PayloadDict) -> PayloadDict:
        """Return an event that the store refused in the form in which it would have come out."""
        event = event.copy()
        deferred.complete(event)
        return {name: str(event[name]) for name in event} if self._as_text else event

    def take(self, batch: Batch, max_events: int) -> None:
        """Take events out into a batch: at most `max_events`, if the store supports a limit."""
        if self._memory is not None and _is_own(self._memory, "get_events_batch"):
            self._memory.hand_out(max_events, batch.receiving)
            return
        get: Callable[..., Any] = self.store.get_events_batch
        if self._takes_limit is None:
            self._takes_limit = names_parameter(get, "max_events")
        events = self._call(get, max_events=max_events) if self._takes_limit else self._call(get)
        batch.progress = batch.received(list(events or ()))

    def acknowledge(self, events: PayloadDictList, batch: Batch, progress: Progress) -> None:
        """Have the store forget events, and set the progress of their batch."""
        if self._memory is not None and _is_own(self._memory, "cleanup"):
            self._memory.acknowledge(len(events), partial(setattr, batch, "progress", progress))
            return
        # First: after an interrupt in the store, the events must not be settled again.
        batch.progress = progress
        self._call(self.store.cleanup, events, False)

    def requeue(self, events: PayloadDictList, batch: Batch, progress: Progress) -> None:
        """Requeue events, and set the progress of their batch."""
        if self._memory is not None and _is_own(self._memory, "cleanup"):
            self._memory.requeue(events, partial(setattr, batch, "progress", progress))
            return
        self._call(self.store.cleanup, events, True)
        batch.progress = progress

    def renew(self, events: PayloadDictList) -> None:
        """Renew the leases of events that are being sent, if the store has leases."""
        self._optional("renew", events)

    def reset_after_fork(self) -> None:
        """Reset the store in a forked child."""
        self._lock = threading.RLock()
        self._tally = Tally()
        self._optional("reset_after_fork")

    def close(self) -> None:
        """Close the store, if it has a `close` method."""
        self._optional("close")

    def _call(self, method: Callable[..., Any], *arguments: object, **named: object) -> Any:
        if self._thread_safe:
            return method(*arguments, **named)
        with self._lock:
            return method(*arguments, **named)

    def _optional(self, name: str, *arguments: object) -> None:
        method = getattr(self.store, name, None)
        if callable(method):
            method(*arguments)


def _is_own(store: InMemoryEventStore, name: str) -> bool:
    return getattr(getattr(store, name), "__func__", None) is _OWN_METHODS[name]
