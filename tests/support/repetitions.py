"""How often tests do what they do many times."""

import os

__all__ = ["repetitions"]

# Set by CI on the Pythons beside the main one: what depends on chance is looked for at length on one of them.
FEW = "SNOWPLOW_TRACKER_TEST_FEW"


def repetitions(count: int) -> int:
    """Return how many times to do what is done `count` times on the main Python."""
    return max(3, count // 5) if os.environ.get(FEW) else count
