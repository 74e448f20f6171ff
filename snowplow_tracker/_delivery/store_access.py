"""One way to speak to any event store, whatever it offers."""

from __future__ import annotations

import threading
from typing import Any, Callable, Optional

from snowplow_tracker import _late_values
from snowplow_tracker._signatures import names_parameter
from snowplow_tracker.event_store import EventStore, InMemoryEventStore
from snowplow_tracker.typing import PayloadDict, PayloadDictList

# Captured before anybody can put a spy in its place, who then gets the events as from 1.1.0.
_ADD_TO_MEMORY = InMemoryEventStore.add_event


class StoreAccess:
    """Wraps a store so that the engine need not know what it can do.

    A store with only the four methods of the protocol gets its calls one at a time, as it did in 1.1.0. The lock is
    this store's own: nothing else waits for a store that is slow.
    """

    def __init__(
        self,
        store: EventStore,
        overflow_listener: Callable[[PayloadDictList], None],
        *,
        as_text: bool,
    ) -> None:
        self.store = store
        self._as_text = as_text
        self.copies = (
            type(store) is InMemoryEventStore
            and getattr(store.add_event, "__func__", None) is _ADD_TO_MEMORY
        )
        """Whether the store keeps a copy of its own, with the values as they have to be."""
        if isinstance(store, InMemoryEventStore) and self.copies:
            store.hands_out_text = as_text
            store.keeps_room = True
        self.durable: bool = getattr(store, "durable", False) is True
        self._thread_safe: bool = getattr(store, "thread_safe", False) is True
        self._lock = threading.RLock()
        self._takes_limit: Optional[bool] = True if self.copies else None
        # One call less for each event, where there is nothing to add to what the store does.
        self.add: Callable[[PayloadDict], Optional[bool]]
        self.add = store.add_event if self._thread_safe else self._add
        self.size: Callable[[], int] = store.size if self._thread_safe else self._size
        self.count: Callable[[], int] = self.size
        """As `size`, or nearly: for what is asked with each event."""
        if isinstance(store, InMemoryEventStore) and self.copies:
            self.count = store.count_waiting
        if hasattr(store, "overflow_listener"):
            store.overflow_listener = overflow_listener

    def _add(self, event: PayloadDict) -> Optional[bool]:
        with self._lock:
            return self.store.add_event(event)

    def _size(self) -> int:
        with self._lock:
            return self.store.size()

    def as_handed_out(self, event: PayloadDict) -> PayloadDict:
        """Give an event that the store did not take the form in which it would have handed it out."""
        event = event.copy()
        _late_values.complete(event)
        return {name: str(event[name]) for name in event} if self._as_text else event

    def take(self, max_events: int) -> PayloadDictList:
        """Take events out, no more than `max_events` if the store can."""
        get: Callable[..., Any] = self.store.get_events_batch
        if self._takes_limit is None:
            self._takes_limit = names_parameter(get, "max_events")
        if self._takes_limit:
            return list(self._call(get, max_events=max_events) or ())
        return list(self._call(get) or ())

    def settle(self, batch: PayloadDictList, *, need_retry: bool) -> None:
        """Tell the store what became of events."""
        self._call(self.store.cleanup, batch, need_retry)

    def reset_after_fork(self) -> None:
        """Make the store usable in a forked child."""
        self._lock = threading.RLock()
        self._optional("reset_after_fork")

    def close(self) -> None:
        """Close the store if it can be closed."""
        self._optional("close")

    def _call(self, method: Callable[..., Any], *arguments: object, **named: object) -> Any:
        if self._thread_safe:
            return method(*arguments, **named)
        with self._lock:
            return method(*arguments, **named)

    def _optional(self, name: str) -> None:
        method = getattr(self.store, name, None)
        if callable(method):
            method()
