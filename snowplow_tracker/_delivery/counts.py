"""The numbers of an engine, and the values that are made of them. They are immutable: a change is one assignment."""

import itertools
from types import MappingProxyType
from typing import Mapping, NamedTuple, Optional

from snowplow_tracker._delivery.stats import DropReason
from snowplow_tracker.typing import PayloadDict

_NONE_DROPPED: Mapping[DropReason, int] = MappingProxyType({})


class Counts(NamedTuple):
    """Numbers of events and requests by their outcome."""

    sent: int = 0
    settled: int = 0
    """Events that were sent, or dropped after they were queued."""
    failed_attempts: int = 0
    retried: int = 0
    dropped: Mapping[DropReason, int] = _NONE_DROPPED

    @property
    def total_dropped(self) -> int:
        """The number of dropped events, for all reasons."""
        return sum(self.dropped.values())

    def tracked(self, unsent: int, added: Optional[int]) -> int:
        """Return the number of events that the emitter got.

        Args:
            unsent: The number of events that are queued or in flight.
            added: The number of events added to the store; None if it is the sum of all others.
        """
        if added is None:
            return unsent + self.sent + self.total_dropped
        return added + self.total_dropped - (self.settled - self.sent)

    def plus(self, other: "Counts") -> "Counts":
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
    """The state of a batch: the events that are not settled yet, and the counts of the others."""

    open: Mapping[int, PayloadDict]
    """By `id()`: events may be equal, or have the same `eid`."""
    counts: Counts = NOTHING


class Checkpoint(NamedTuple):
    """What a flush waits for: the events that were not delivered when it began."""

    settled: int
    """The number of settled events to reach."""
    tracked: int
    """The number of sent and dropped events to reach."""
    permits: int
    """The number of the last permit before it."""


def dropped(count: int, reason: DropReason, *, queued: bool) -> Counts:
    """Return the counts for events that are dropped.

    Args:
        count: How many.
        reason: Why.
        queued: Whether they were in the queue before: then they count as settled.
    """
    return Counts(settled=count if queued else 0, dropped={reason: count})


class Tally:
    """A counter that many threads may increase without a lock.

    `next()` of an `itertools.count` is atomic, also where a signal handler that tracks interrupts the thread.
    """

    __slots__ = ("_numbers", "add")

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.add = self._numbers.__next__
        """Count one."""

    def read(self) -> int:
        """Return how often `add` was called."""
        # In every Python its representation, "count(5)", is the one way to read it without taking a number.
        return int(repr(self._numbers)[len("count(") : -1])
