"""How many events are wanted now, and whether an emitter is at work."""

from __future__ import annotations

import enum
from typing import Optional

__all__ = ["Demand", "Phase"]

_FIRST_PAUSE, _MAX_PAUSE = 0.005, 1.0
"""Seconds."""


class Phase(enum.Enum):
    """Whether somebody has to see to the queue."""

    ASLEEP = "the queue is empty, and the next event has to wake us"
    LOOKING = "the queue seemed empty, and is being looked at"
    AWAKE = "there may be events in the queue"


class Demand:
    """What is to be sent now. Not thread-safe: its owner holds a lock.

    Invariant: it is ASLEEP only after the store was looked at, while LOOKING, and found empty. An event that comes in
    meanwhile makes it AWAKE, so that none is left behind.

    Attributes:
        wanted: So many events are to be sent although no batch is full.
        forced: Whether somebody asked for an attempt in spite of the delay after a failure.
        since: When the oldest event began to wait, on the clock of the owner.
    """

    def __init__(self) -> None:
        self.phase = Phase.ASLEEP
        self.wanted = 0
        self.forced = False
        self.since = 0.0
        self._pause = 0.0
        self._paused_until = 0.0

    def wake(self, now: float) -> None:
        """There are events."""
        if self.phase is Phase.ASLEEP:
            self.since = now
        self.phase = Phase.AWAKE

    def begin_to_look(self) -> None:
        """The store handed out nothing: it has to be asked whether it is empty."""
        if self.phase is Phase.AWAKE:
            self.phase = Phase.LOOKING

    def looked(self, *, empty: bool) -> bool:
        """Take the answer of the store; return whether everything is done."""
        if self.phase is Phase.LOOKING:
            if empty:
                self.phase = Phase.ASLEEP
                self.wanted = 0
            else:
                self.phase = Phase.AWAKE
        return self.phase is Phase.ASLEEP

    def want(self, count: int, *, forced: bool = False) -> None:
        """Ask for so many events to be sent."""
        self.wanted = max(self.wanted, count)
        self.forced = self.forced or forced

    def pause(self, now: float) -> None:
        """Look again later: the store holds events and hands out none, since somebody else has it locked."""
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _MAX_PAUSE)
        self._paused_until = now + self._pause

    def taken(self, count: int, now: float) -> None:
        """Note that so many events were taken out to be sent."""
        self.wanted = max(0, self.wanted - count)
        self.since = now
        self._pause = self._paused_until = 0.0

    def due_in(self, interval: Optional[float], now: float) -> Optional[float]:
        """Return the seconds until something is to be sent; None when only an event or a flush can change that.

        Args:
            interval: After how many seconds events are sent although no batch is full; None for never.
            now: The time.
        """
        if self.phase is Phase.ASLEEP:
            return None
        pause = max(0.0, self._paused_until - now)
        if self.wanted > 0:
            return pause
        if interval is None:
            return None
        return max(pause, self.since + interval - now)
