"""A monotonic clock for deadlines, which tests that freeze time do not affect."""

from __future__ import annotations

import time

__all__ = ["monotonic"]


def monotonic() -> float:
    """Return the seconds of a monotonic clock that freezegun and time-machine do not replace."""
    if hasattr(time, "clock_gettime"):
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()
