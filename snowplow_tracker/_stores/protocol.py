"""What a durable store can do beyond the four methods of `EventStore`."""

from __future__ import annotations

from typing import Callable, Optional, Protocol

from snowplow_tracker.typing import PayloadDict, PayloadDictList

__all__ = ["DurableEventStore"]


class DurableEventStore(Protocol):
    """A store that keeps events when the process ends, and that several processes share.

    Events that it hands out are leased: nobody else is handed them until they come back by `cleanup`, or until their
    holder gives no sign of life any more. A store renews the leases of a living process by itself; `renew` is for an
    engine that knows which events it still sends.

    No method raises when the queue cannot be reached.
    """

    durable: bool
    """True: what is left in the store when the emitter is closed is kept."""
    thread_safe: bool
    """True: calls may be made at the same time."""
    overflow_listener: Optional[Callable[[PayloadDictList], None]]
    """Called with each list of events that the store dropped to make room."""
    lost_listener: Optional[Callable[[int, str], None]]
    """Called with the number of events that the store is known to have lost, and how: their file was deleted, or they
    cannot be read. Nobody has the events themselves. The store has logged it."""

    @property
    def failing(self) -> bool:
        """Whether the queue could not be used the last time that it was needed."""
        ...

    def add_event(self, payload: PayloadDict) -> bool:
        """Take an event in; return False where it was not taken."""
        ...

    def get_events_batch(self, *, max_events: Optional[int] = None) -> PayloadDictList:
        """Lease the events that waited longest.

        Args:
            max_events: How many at most. Default None: as many as the store thinks fit.
        """
        ...

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Settle events that were handed out; a batch may be settled in parts.

        Args:
            batch: Events from `get_events_batch`.
            need_retry: True: they could not be sent and wait again. False: forget them.
        """
        ...

    def renew(self, events: PayloadDictList) -> None:
        """Renew the leases of events that are still being sent. May be called as often as one likes."""
        ...

    def size(self) -> int:
        """Return the number of events that wait."""
        ...

    def remaining(self) -> Optional[int]:
        """Return the number of events that are not delivered, leased ones included; None where that is unknown."""
        ...

    def wait_for_events(self, timeout: float) -> bool:
        """Wait until events can be handed out.

        Args:
            timeout: Seconds. It may come back earlier.

        Returns:
            Whether there are some.
        """
        ...

    def reset_after_fork(self) -> None:
        """Start again in a forked child: what the parent is sending is the parent's to settle."""
        ...

    def close(self) -> None:
        """Close the queue. To use the store again opens it again."""
        ...
