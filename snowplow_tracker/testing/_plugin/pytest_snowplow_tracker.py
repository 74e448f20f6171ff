"""Fixtures for tests of your own tracking. pytest finds this plugin automatically.

It is installed beside the package, not in it, so that it does not slow down the start of pytest: the
package is imported by the first test that uses a fixture.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Iterator, List

import pytest

if TYPE_CHECKING:
    from snowplow_tracker import Tracker
    from snowplow_tracker.testing import Collector, RecordingEmitter


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of the configuration file.

    Args:
        parser: pytest's parser.
    """
    parser.addini(
        "snowplow_schemas",
        "Folders, archives or registries of Iglu schemas that the events of the snowplow fixtures "
        "are validated against; paths are relative to the configuration file.",
        type="linelist",
        default=[],
    )
    parser.addini(
        "snowplow_validate",
        "Fail a test that tracked an event which the pipeline would refuse.",
        type="bool",
        default=False,
    )


@pytest.fixture
def snowplow_emitter(pytestconfig: pytest.Config) -> Iterator[RecordingEmitter]:
    """An emitter that keeps what is tracked, and sends nothing."""
    from snowplow_tracker.testing import RecordingEmitter

    emitter = RecordingEmitter(schemas=_schemas(pytestconfig))
    yield emitter
    if pytestconfig.getini("snowplow_validate"):
        emitter.events.assert_valid()


@pytest.fixture
def snowplow_tracker(snowplow_emitter: RecordingEmitter) -> Tracker:
    """A tracker whose events are in ``snowplow_emitter.events``."""
    from snowplow_tracker import Tracker

    return Tracker("test", snowplow_emitter, app_id="test")


@pytest.fixture
def snowplow_collector(pytestconfig: pytest.Config) -> Iterator[Collector]:
    """A collector on a free port of this machine; ``snowplow_collector.endpoint`` is its URL."""
    from snowplow_tracker.testing import Collector

    with Collector(schemas=_schemas(pytestconfig)) as collector:
        yield collector
        if pytestconfig.getini("snowplow_validate"):
            problems = collector.problems
            if problems:
                pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture(autouse=True)
def _snowplow_registry() -> Iterator[None]:
    """Restore the registry of trackers for each test, so that tests do not share trackers."""
    before = _registered()
    yield
    module = sys.modules.get("snowplow_tracker.snowplow")
    if module is not None and _registered() != before:
        module.Snowplow.reset()
        for tracker in before:
            module.Snowplow.add_tracker(tracker)


def _registered() -> List[Any]:
    module = sys.modules.get("snowplow_tracker.snowplow")
    registry = getattr(module, "Snowplow", None)
    return list(getattr(registry, "_trackers", {}).values())


def _schemas(config: pytest.Config) -> Any:
    sources = config.getini("snowplow_schemas")
    folder = config.inipath.parent if config.inipath is not None else config.rootpath
    return [each if "://" in each else folder / each for each in sources] or None
