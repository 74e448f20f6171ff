"""The counters of one emitter, and the events that are being sent."""

from __future__ import annotations

from types import MappingProxyType
from typing import Dict, List, Mapping, NamedTuple, Sequence, Tuple

from snowplow_tracker._delivery.stats import DropReason
from snowplow_tracker.typing import PayloadDict, PayloadDictList

__all__ = ["Batch", "Checkpoint", "Counts", "Ledger", "Progress"]

_NONE_DROPPED: Mapping[DropReason, int] = MappingProxyType({})


class Counts(NamedTuple):
    """What became of events and requests."""

    sent: int = 0
    settled: int = 0
    """Events that left the queue for good: sent, or dropped after they were queued."""
    failed_attempts: int = 0
    retried: int = 0
    dropped: Mapping[DropReason, int] = _NONE_DROPPED

    @property
    def total_dropped(self) -> int:
        """All that were dropped, for whatever reason."""
        return sum(self.dropped.values())

    def plus(self, other: Counts) -> Counts:
        """Return the sum of both."""
        dropped = self.dropped
        if other.dropped:
            dropped = {
                reason: self.dropped.get(reason, 0) + other.dropped.get(reason, 0)
                for reason in [*self.dropped, *(r for r in other.dropped if r not in self.dropped)]
            }
        return Counts(
            self.sent + other.sent,
            self.settled + other.settled,
            self.failed_attempts + other.failed_attempts,
            self.retried + other.retried,
            dropped,
        )


NOTHING = Counts()


class Progress(NamedTuple):
    """Where a batch is: the events that are still to be settled, and what became of the others."""

    open: Mapping[int, PayloadDict]
    """By identity: a callback or an override may hold equal copies."""
    counts: Counts = NOTHING


class Batch:
    """Events that the store handed out.

    Invariant: each event is in `progress.open` until it is settled, once. An event and the count of what became of it
    change in one assignment, so that an interrupt finds both or neither.

    Args:
        permit: The number of the permit under which they are sent.
    """

    __slots__ = ("events", "failed", "permit", "progress")

    def __init__(self, permit: int) -> None:
        self.permit = permit
        self.events: PayloadDictList = []
        self.progress = Progress({})
        self.failed = False

    def received(self, events: PayloadDictList) -> Progress:
        """Return the progress of a batch that has just got these events."""
        self.events = events
        return Progress({id(event): event for event in events})

    def open_events(self) -> PayloadDictList:
        """Return the events that are still to be settled, in their order."""
        return [*self.progress.open.values()]

    def settled(self, events: Sequence[PayloadDict], counts: Counts) -> Progress:
        """Return the progress after these events are settled; assigned to `progress`, it is made."""
        progress = self.progress
        gone = {id(event) for event in events}
        left = {key: event for key, event in progress.open.items() if key not in gone}
        return Progress(left, progress.counts.plus(counts))


class Checkpoint(NamedTuple):
    """What a flush waits for: what was not delivered when it began."""

    settled: int
    """The count of settled events that has to be reached."""
    tracked: int
    """The count of sent and dropped events that has to be reached."""
    permits: int
    """The last permit that was given before."""


class Ledger:
    """Counts what becomes of events. Not thread-safe: its owner holds a lock.

    Invariant: tracked = queued + in flight + sent + dropped. Nobody else writes these numbers; the batches in flight are
    kept here too, because an event leaves a batch and is counted in one assignment.
    """

    def __init__(self) -> None:
        self._state: Tuple[Counts, Tuple[Batch, ...]] = (NOTHING, ())

    @property
    def batches(self) -> Tuple[Batch, ...]:
        """The batches in flight."""
        return self._state[1]

    def add(self, counts: Counts) -> None:
        """Count what concerns no batch."""
        base, batches = self._state
        self._state = (base.plus(counts), batches)

    def open(self, batch: Batch) -> None:
        """Begin to count the events of a batch as in flight."""
        base, batches = self._state
        self._state = (base, (*batches, batch))

    def close(self, batch: Batch) -> None:
        """End a batch whose events are settled."""
        base, batches = self._state
        if batch in batches:
            rest = tuple(each for each in batches if each is not batch)
            self._state = (base.plus(batch.progress.counts), rest)

    def counts(self) -> Counts:
        """Return the counts up to now."""
        total, batches = self._state
        for batch in batches:
            total = total.plus(batch.progress.counts)
        return total

    def in_flight(self) -> int:
        """Return how many events are being sent."""
        return sum(len(batch.progress.open) for batch in self._state[1])

    def orphans(self, permits: Sequence[int]) -> List[Batch]:
        """Return the batches in flight whose permit is none of these."""
        return [batch for batch in self._state[1] if batch.permit not in permits]


def dropped(events: Sequence[object], reason: DropReason, *, queued: bool) -> Counts:
    """Return the counts for events that are dropped.

    Args:
        events: The events.
        reason: Why.
        queued: Whether they had been in the queue: then they count as settled.
    """
    count = len(events)
    drops: Dict[DropReason, int] = {reason: count}
    return Counts(settled=count if queued else 0, dropped=drops)
