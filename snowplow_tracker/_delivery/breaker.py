"""Whether the collector is to be left alone."""

from __future__ import annotations

from typing import Callable, Optional

from snowplow_tracker._delivery.retry import Backoff, RetryPolicy

__all__ = ["CircuitBreaker"]


class CircuitBreaker:
    """Lets requests through while the collector is well, and one probe at a time while it is failing.

    Not thread-safe: its owner holds a lock.

    Invariant: while failing, at most one probe is out. The failures of one generation count once: several threads may run
    into the same outage at once. A `Retry-After` of the collector holds whoever asks for an attempt.
    """

    def __init__(
        self, policy: RetryPolicy, clock: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self._backoff = Backoff(policy, clock, random)
        self.failing = False
        """Whether the last attempt failed."""

    @property
    def generation(self) -> int:
        """How many attempts in a row failed: attempts that begin now belong to it."""
        return self._backoff.failures

    @property
    def delay(self) -> float:
        """Seconds from the last failed attempt to the next; 0 while the collector is well."""
        return self._backoff.delay

    def wait(self, *, forced: bool) -> float:
        """Return the seconds until an attempt may be made.

        Args:
            forced: Somebody asked for an attempt: our own delay does not count, the collector's wish still does.
        """
        return self._backoff.wait(forced=forced)

    def may_begin(self, *, forced: bool, probing: bool) -> bool:
        """Return whether an attempt may be made.

        Args:
            forced: Somebody asked for it.
            probing: Whether a probe is out.
        """
        return not self.failing or (not probing and self.wait(forced=forced) <= 0)

    def failed(self, generation: int, cap: float, retry_after: Optional[str] = None) -> None:
        """Note a failed attempt.

        Args:
            generation: To which the attempt belongs.
            cap: The longest delay, in seconds.
            retry_after: The header of the answer.
        """
        if self._backoff.failures == generation or retry_after:
            self._backoff.failed(cap, retry_after)
            self.failing = True

    def succeeded(self) -> None:
        """Note that the collector is well."""
        self._backoff.succeeded()
        self.failing = False
