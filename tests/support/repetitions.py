"""How often tests do what they do many times."""

import os

__all__ = ["FEW", "repetitions"]

FEW = "SNOWPLOW_TRACKER_TEST_FEW"
"""Set for the quick tests, and by CI on the Pythons beside the main one: chance is looked for at length on one of them."""


def repetitions(count: int) -> int:
    """Return how many times to do what is done `count` times where all tests run."""
    return max(3, count // 5) if os.environ.get(FEW) else count
