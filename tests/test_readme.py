"""The README: what it shows runs as it stands."""

import logging
import re
from pathlib import Path

import pytest

from snowplow_tracker import Snowplow
from snowplow_tracker.testing import Collector

README = Path(__file__).parent.parent / "README.md"
# The README names a collector that is not there; the test puts one of its own in its place.
PLACEHOLDER = "https://collector.example.com"


def blocks(language):
    text = README.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text[: match.start()].count("\n") + 2, match.group(1)) for match in found]


@pytest.fixture
def trackers_are_forgotten():
    """What the README sets up, the level of a logger included, is for the README alone."""
    logger = logging.getLogger("snowplow_tracker.emitters")
    level = logger.level
    Snowplow.reset()
    yield
    Snowplow.reset()
    logger.setLevel(level)


@pytest.mark.usefixtures("trackers_are_forgotten")
def test_the_python_blocks_run_from_top_to_bottom():
    """Every block runs, one after the other as a reader would try them, and what they send is valid."""
    names = {"__name__": "readme"}
    with Collector() as collector:
        for line, code in blocks("python"):
            # Empty lines in front, so that a traceback names the line in the README.
            source = "\n" * (line - 1) + code.replace(PLACEHOLDER, collector.endpoint)
            exec(compile(source, str(README), "exec"), names)  # noqa: S102 (our own README)
        assert collector.wait_for(1)
        assert collector.problems == []


def test_it_opens_with_a_sentence_and_two_commands():
    """The first two blocks are the command that shows the package and the one that tests it."""
    commands = [code.strip() for _, code in blocks("sh")][:2]
    assert commands == [
        "python3 -m pip install . && python3 -m snowplow_tracker demo",
        "python3 -m pip install '.[test]' && pytest",
    ]
