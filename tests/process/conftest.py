"""Fixtures of the tests of processes."""

from __future__ import annotations

from typing import Iterator, Type

import pytest

from snowplow_tracker.emitters import Emitter
from support.collector_with_faults import CollectorWithFaults
from support.tracking import EMITTER_CLASSES


@pytest.fixture
def collector() -> Iterator[CollectorWithFaults]:
    """A collector that answers 200 until a test says otherwise."""
    with CollectorWithFaults() as running:
        yield running


@pytest.fixture(params=EMITTER_CLASSES, ids=["sync", "threaded"])
def emitter_class(request: pytest.FixtureRequest) -> Type[Emitter]:
    """Each of the two emitters in turn."""
    return request.param  # type: ignore[no-any-return]
