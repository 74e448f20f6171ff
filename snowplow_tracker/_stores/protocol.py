"""The methods of a durable store, beyond the four of `EventStore`."""

from __future__ import annotations

from typing import Callable, Optional, Protocol

from snowplow_tracker.typing import PayloadDict, PayloadDictList

__all__ = ["DurableEventStore"]


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
