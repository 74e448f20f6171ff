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

_ROOM = Path(tempfile.gettempdir()) / f"snowplow-tests-{os.getuid() if fcntl else ''}.room"


@contextlib.contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Run beside other tests of this machine, or while none of them runs.

    Who wants to be alone waits until nobody is there, and holds up nobody: that is when the others are done.
    """
    if fcntl is None:
        yield
        return
    with _ROOM.open("w") as room:
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
