"""The README and the pages of the documentation: what they show runs as it stands."""

import importlib
import logging
import re
import sys
import threading
from pathlib import Path

import pytest

import snowplow_tracker
from snowplow_tracker import Snowplow, Tracker
from snowplow_tracker.testing import Collector

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / ".docs").rglob("*.md"))]
# The pages name a collector that is not there; the test puts one of its own in its place.
PLACEHOLDER = "https://collector.example.com"
PACKAGE = "snowplow_tracker"
# What a block needs stands in a comment in front of it.
BLOCK = r"(?:^<!-- needs ([\w.]+) -->\n)?^```{language}\n(.*?)^```$"


def blocks(language, page=README):
    """Yield the line, the module that is needed or None, and the text of each block."""
    text = page.read_text(encoding="utf-8")
    pattern = BLOCK.replace("{language}", language)
    for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL):
        yield text[: match.start(2)].count("\n") + 1, match.group(1), match.group(2)


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
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_blocks_run_from_top_to_bottom(page, monkeypatch):
    """Every block runs, one after the other as a reader would try them, and what they send is valid."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    names = {"__name__": "page"}
    with Collector() as collector:
        for line, needed, code in blocks("python", page):
            if needed is not None and not is_installed(needed):
                continue
            # Empty lines in front, so that a traceback names the line in the page.
            source = "\n" * (line - 1) + code.replace(PLACEHOLDER, collector.endpoint)
            exec(compile(source, str(page), "exec"), names)  # noqa: S102 (our own pages)
        for tracker in [each for each in names.values() if isinstance(each, Tracker)]:
            tracker.close(timeout=5)
        if PLACEHOLDER in page.read_text(encoding="utf-8"):
            assert collector.wait_for(1)
        assert collector.problems == []


def is_installed(module):
    """Whether a module can be imported. In CI all are installed on one Python."""
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    """Each relative link of a page names a file that is there."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        path = (page.parent / target).resolve()
        folder, *rest = path.relative_to(ROOT.resolve()).parts
        if folder == PACKAGE:  # it may be installed elsewhere, and that is what is tested
            path = Path(snowplow_tracker.__file__).parent.joinpath(*rest)
        assert path.exists(), target


def test_it_opens_with_a_sentence_and_two_commands():
    """The first two blocks are the command that shows the package and the one that tests it."""
    commands = [code.strip() for _, _, code in blocks("sh")][:2]
    assert commands == [
        "python3 -m pip install . && python3 -m snowplow_tracker demo",
        "python3 -m pip install '.[test]' && pytest",
    ]
