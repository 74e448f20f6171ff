"""The events of a store that are out: with somebody who sends them, and not settled yet."""

from __future__ import annotations

import time
import weakref
from typing import Any, Dict, Hashable, List, Optional, Sequence, Tuple

from snowplow_tracker.typing import PayloadDict

__all__ = ["HandedOut", "LeasedEvent"]

_ABANDONED_AFTER = 2.0
"""Seconds. Who makes copies of events and lets go of the originals has that long to settle them."""


class LeasedEvent(Dict[str, Any]):
    """An event that was handed out: its parameters, and where the store has it.

    Attributes:
        entry_id: By this the store knows it, whatever is done to its parameters.
    """

    __slots__ = ("__weakref__", "entry_id")

    entry_id: Any

    def __reduce__(self) -> Tuple[Any, ...]:
        """Make copies and pickles plain dictionaries: they are not what was handed out."""
        return dict, (dict(self),)


class HandedOut:
    """Knows which events are out, and which of those nobody holds any more.

    An interrupt may come between the moment in which a store hands out events and the one in which its caller notes
    them. Nobody would settle them, so an event that is gone from memory is abandoned, and the store takes it back.
    """

    def __init__(self) -> None:
        self._out: Dict[Hashable, Tuple[weakref.ref[LeasedEvent], Any, float]] = {}

    def __len__(self) -> int:
        return len(self._out)

    def __contains__(self, entry_id: Hashable) -> bool:
        return entry_id in self._out

    def add(self, events: Sequence[LeasedEvent]) -> None:
        """Note events, before they are handed out."""
        now = time.monotonic()
        self._out.update(
            [(event.entry_id, (weakref.ref(event), event.get("eid"), now)) for event in events]
        )

    def find(self, event: PayloadDict) -> Optional[Any]:
        """Return the `entry_id` of an event, or of the one that it is a copy of; None for what is not out."""
        entry_id = getattr(event, "entry_id", None)
        if entry_id is not None:
            return entry_id if entry_id in self._out else None
        eid = event.get("eid")
        if eid is None:
            return None
        return next((key for key, (_, each, _) in [*self._out.items()] if each == eid), None)

    def remove(self, entry_id: Hashable) -> None:
        """Note that an event is settled."""
        self._out.pop(entry_id, None)

    def is_abandoned(self, entry_id: Hashable) -> bool:
        """Return whether nobody holds an event any more, so that nobody will settle it."""
        entry = self._out.get(entry_id)
        if entry is None:
            return True
        reference, _, since = entry
        return reference() is None and time.monotonic() - since > _ABANDONED_AFTER

    def abandoned(self) -> List[Any]:
        """Return the `entry_id` of each event that nobody holds any more."""
        return [entry_id for entry_id in [*self._out] if self.is_abandoned(entry_id)]

    def entry_ids(self) -> List[Any]:
        """Return the `entry_id` of each event that is out."""
        return [*self._out]
