"""The clocks for deadlines and delays, which tests that freeze time do not affect.

freezegun replaces the functions of `time`, also where they are attributes of other modules, and a default that is evaluated
while time is frozen stays frozen. Threads and sockets wait for real seconds meanwhile, so that a deadline would never come.
The times in events come from `time.time`, and can be frozen.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Callable


def _call(name: str) -> float:
    return float(getattr(time, name)())


def _real(name: str, *clocks: str) -> Callable[[], float]:
    """Return a function of `time` that is not replaced, where the system has its clock by the first of these names."""
    found = [getattr(time, clock) for clock in clocks if hasattr(time, clock)]
    return partial(time.clock_gettime, found[0]) if found else partial(_call, name)


# The first is the one of `time.monotonic` on macOS.
monotonic = _real("monotonic", "CLOCK_UPTIME_RAW", "CLOCK_MONOTONIC")
"""Returns the seconds of `time.monotonic`."""

wall_clock = _real("time", "CLOCK_REALTIME")
"""Returns the seconds of `time.time`."""
