"""When to retry: a pure policy, and the state that applies it to one collector."""

from __future__ import annotations

import os
from typing import Callable, Optional

from snowplow_tracker._process.clock import wall_clock


def fresh_random() -> float:
    """Return a random number from 0 to 1.

    From the operating system: copies of a process (forks, snapshots) with the same random state would retry at the same
    moments, and the program may have seeded the module `random`.
    """
    return int.from_bytes(os.urandom(4), "big") / 2**32


class RetryPolicy:
    """Exponential backoff with full jitter.

    Args:
        first_window: The first delay is drawn from 0 to this many seconds.
        growth: Factor by which each failure widens the window. With 1.5, the collector is tried again within about
            twice the length of an outage; with the usual 2, within four times.
    """

    __slots__ = ("_first_window", "_growth")

    def __init__(self, first_window: float = 1.0, growth: float = 1.5) -> None:
        self._first_window = first_window
        self._growth = growth

    def window(self, failures: int, max_delay: float) -> float:
        """Return the maximum delay, in seconds, after this many failures in a row."""
        # Far past any maximum; without a limit the power would overflow after days of outage.
        return max(0.0, min(max_delay, self._first_window * self._growth ** min(failures - 1, 64)))

    def delay(self, failures: int, max_delay: float, random: Callable[[], float]) -> float:
        """Draw the delay, in seconds, after this many failures in a row."""
        return random() * self.window(failures, max_delay)


def parse_retry_after(
    value: Optional[str], wall_clock: Callable[[], float] = wall_clock
) -> Optional[float]:
    """Read a `Retry-After` header (RFC 9110, 10.2.3) as seconds from now; None if it is invalid."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.isdigit() and text.isascii():
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - wall_clock())
    except (TypeError, ValueError, OverflowError):
        return None


class Backoff:
    """The delay before the next attempt at one collector. Not thread-safe: its owner holds a lock.

    The clock is monotonic, so that setting the system time changes no delay.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._random = random
        self.failures = 0
        """The number of failed attempts in a row."""
        self.failing = False
        """Whether the last attempt failed. An attribute, because each `track()` reads it (fast path)."""
        self.delay = 0.0
        """Seconds from the last failed attempt to the next; 0 if the last attempt succeeded."""
        self.asked: Optional[float] = None
        """The seconds of a `Retry-After` that decided the delay; None where our own delay is longer."""
        self._retry_at = 0.0
        self._held_until = 0.0

    def failed(self, max_delay: float, retry_after: Optional[str] = None) -> None:
        """Note a failed attempt, and the `Retry-After` of its answer."""
        self.failures += 1
        self.failing = True
        now = self._clock()
        self.delay = self._policy.delay(self.failures, max_delay, self._random)
        self.asked = None
        asked = parse_retry_after(retry_after)
        if asked is not None:
            held = min(asked, max_delay)
            self._held_until = now + held
            if held >= self.delay:
                self.delay, self.asked = held, asked
        self._retry_at = now + self.delay

    def set_delay(self, seconds: float) -> None:
        """Note a failed attempt with this delay; with 0, a successful one."""
        if seconds <= 0:
            self.succeeded()
            return
        self.failures += 1
        self.failing = True
        self.delay, self.asked = seconds, None
        self._retry_at = self._clock() + seconds

    def succeeded(self) -> None:
        """Note a successful attempt."""
        self.failures = 0
        self.failing = False
        self.delay = self._retry_at = self._held_until = 0.0
        self.asked = None

    def wait(self, *, forced: bool) -> float:
        """Return the seconds until an attempt may be made.

        Args:
            forced: A flush asked for an attempt: our own delay does not apply, a `Retry-After` still does.
        """
        return max(0.0, (self._held_until if forced else self._retry_at) - self._clock())
