"""Leases of a durable store: the events that are being sent, and a thread that renews their leases."""

from __future__ import annotations

import _thread
import logging
import time
import weakref
from typing import Any, Callable, Dict, Hashable, List, Optional, Sequence, Tuple, Type

from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._stores.bodies import decode
from snowplow_tracker.typing import PayloadDict

logger = logging.getLogger("snowplow_tracker.emitters")

_ABANDONED_AFTER = 2.0
"""Seconds after which an event counts as abandoned: a caller that keeps only copies must settle them by then."""


class LeasedEvent(Dict[str, Any]):
    """A leased event: its parameters, and its id in the store.

    Attributes:
        entry_id: The id by which the store identifies it, even if its parameters are changed.
    """

    __slots__ = ("__weakref__", "entry_id")

    entry_id: Any

    def __reduce__(self) -> Tuple[Any, ...]:
        """Turn copies and pickles into plain dictionaries, since they are not the leased object."""
        return dict, (dict(self),)


class LeasedEvents:
    """Keeps track of leased events, and of those that were abandoned.

    An interrupt may occur after a store has leased events and before its caller has them. Such events would never be
    settled. So an event whose object no longer exists is abandoned, and the store requeues it.
    """

    def __init__(self) -> None:
        self._out: Dict[Hashable, Tuple[weakref.ref[LeasedEvent], Any, float]] = {}

    def __len__(self) -> int:
        return len(self._out)

    def __contains__(self, entry_id: Hashable) -> bool:
        return entry_id in self._out

    def add(
        self, bodies: Sequence[Tuple[Hashable, Any]], event_class: Type[LeasedEvent] = LeasedEvent
    ) -> Tuple[List[LeasedEvent], List[Any]]:
        """Decode and record leased events, each given as its `entry_id` and its body.

        Returns:
            The events, and the `entry_id` of each body that is not an event.
        """
        events: List[LeasedEvent] = []
        unreadable: List[Any] = []
        for entry_id, body in bodies:
            parameters = decode(body)
            if parameters is None:
                unreadable.append(entry_id)
                continue
            event = event_class(parameters)
            event.entry_id = entry_id
            events.append(event)
        now = monotonic()
        # At once, before the caller has them.
        self._out.update(
            [(event.entry_id, (weakref.ref(event), event.get("eid"), now)) for event in events]
        )
        return events, unreadable

    def find(self, event: PayloadDict) -> Optional[Any]:
        """Return the `entry_id` of a leased event or of its original if it is a copy; None if it is not leased."""
        entry_id = getattr(event, "entry_id", None)
        if entry_id is not None:
            return entry_id if entry_id in self._out else None
        eid = event.get("eid")
        if eid is None:
            return None
        return next((key for key, (_, each, _) in [*self._out.items()] if each == eid), None)

    def remove(self, entry_id: Hashable) -> None:
        """Record that an event is settled."""
        self._out.pop(entry_id, None)

    def is_abandoned(self, entry_id: Hashable) -> bool:
        """Return whether an event is abandoned: its object no longer exists, so it will not be settled."""
        entry = self._out.get(entry_id)
        if entry is None:
            return True
        reference, _, since = entry
        return reference() is None and monotonic() - since > _ABANDONED_AFTER

    def abandoned(self) -> List[Any]:
        """Return the `entry_id` of each abandoned event."""
        return [entry_id for entry_id in [*self._out] if self.is_abandoned(entry_id)]

    def entry_ids(self) -> List[Any]:
        """Return the `entry_id` of each leased event."""
        return [*self._out]


class LeaseKeeper:
    """Calls a method at intervals until it returns that there is nothing left to do.

    It holds no strong reference to the object, so that an unused store can be garbage-collected. If no thread can be
    started (the interpreter ends, or allows none), leases are only renewed by calls of the store.

    Args:
        keep: A bound method, which renews leases and returns whether there are any.
        interval: Seconds between two calls.
    """

    def __init__(self, keep: Callable[[], bool], interval: float) -> None:
        self._keep = weakref.WeakMethod(keep)
        self._interval = interval
        self._current: Optional[object] = None
        """The token of the current thread. A thread whose token is not this one ends."""

    def ensure_running(self) -> None:
        """Start the thread if it is not running."""
        if self._current is not None:
            return
        token = self._current = object()
        try:
            # Not with `threading.Thread`, whose `start` waits: a signal handler that interrupts it and tracks might
            # wait for ever. The function is looked up each time, since gevent may have replaced it.
            _thread.start_new_thread(_run, (weakref.ref(self), token, self._interval))
        except RuntimeError as error:
            self._current = None
            logger.debug("Could not start a thread to renew leases: %s", error)
        except BaseException:
            self._current = None
            raise

    def _keep_once(self, token: object) -> bool:
        """Call the method in its thread; return whether the thread continues."""
        keep = self._keep()
        if keep is None or self._current is not token:
            return False
        self._current = None  # first, so that a lease from now on starts a new thread
        try:
            if not keep():
                return False
        except Exception:
            logger.exception("Leases could not be renewed.")
        if self._current is not None:
            return False
        self._current = token
        return True


def _run(reference: weakref.ref[LeaseKeeper], token: object, interval: float) -> None:
    while True:
        time.sleep(interval)
        keeper = reference()
        if keeper is None or not keeper._keep_once(token):  # noqa: SLF001 - the body of its thread
            return
        del keeper
