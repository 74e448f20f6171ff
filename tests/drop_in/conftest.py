"""What the tests of this folder share."""

from __future__ import annotations

from typing import Iterator

import pytest

from support.emitters import close_all
from support.recorder import Recorder


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A collector on loopback; what was made for it is closed before it goes."""
    with Recorder() as running:
        yield running
        close_all()
