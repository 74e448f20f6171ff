"""The leased events of a store: they are being sent, and not settled yet."""

from __future__ import annotations

import time
import weakref
from typing import Any, Dict, Hashable, List, Optional, Sequence, Tuple

from snowplow_tracker.typing import PayloadDict

__all__ = ["HandedOut", "LeasedEvent"]

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


class HandedOut:
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

    def add(self, events: Sequence[LeasedEvent]) -> None:
        """Record events before they are returned to the caller."""
        now = time.monotonic()
        self._out.update(
            [(event.entry_id, (weakref.ref(event), event.get("eid"), now)) for event in events]
        )

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
        return reference() is None and time.monotonic() - since > _ABANDONED_AFTER

    def abandoned(self) -> List[Any]:
        """Return the `entry_id` of each abandoned event."""
        return [entry_id for entry_id in [*self._out] if self.is_abandoned(entry_id)]

    def entry_ids(self) -> List[Any]:
        """Return the `entry_id` of each leased event."""
        return [*self._out]
