"""Fixtures of the tests of delivery, requests and processes: their `conftest.py` names those that they use."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Type

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


@pytest.fixture
def make(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> Iterator[Callable[..., Any]]:
    """Make emitters for the collector, which are closed at once after the test."""
    made: List[Any] = []

    def factory(
        cls: Type[Emitter] = emitter_class, endpoint: str = collector.endpoint, **options: Any
    ) -> Any:
        options.setdefault("protocol", "http")
        emitter = cls(endpoint, **options)
        made.append(emitter)
        return emitter

    yield factory
    for emitter in made:
        emitter.close(timeout=0)
