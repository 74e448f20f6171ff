"""Tests that measure time run while no other test does, in whatever processes the tests run."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Iterator

try:
    import fcntl
except ImportError:  # Windows: tests run as they come
    fcntl = None  # type: ignore[assignment]

_FOLDER = Path(tempfile.gettempdir())


@contextlib.contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Run beside other tests of this machine, or while none of them runs.

    Who wants to be alone waits at the door, so that nobody else comes in meanwhile.
    """
    if fcntl is None:
        yield
        return
    user = os.getuid()
    with (_FOLDER / f"snowplow-tests-{user}.door").open("w") as door:  # noqa: SIM117
        with (_FOLDER / f"snowplow-tests-{user}.room").open("w") as room:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            fcntl.flock(door, fcntl.LOCK_UN)
            yield
