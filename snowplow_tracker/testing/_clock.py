"""The clock by which the kit waits: tests that freeze time must not freeze a deadline."""

from __future__ import annotations

import time

__all__ = ["monotonic"]


def monotonic() -> float:
    """Return the seconds on a clock that freezegun and time-machine leave alone."""
    if hasattr(time, "clock_gettime"):
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()
