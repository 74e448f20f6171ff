"""The README and the pages of the documentation: what they show runs as it stands, and nothing is missing."""

import argparse
import importlib
import inspect
import logging
import os
import pkgutil
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import snowplow_tracker
from snowplow_tracker import AsyncEmitter, Snowplow, Tracker, environment
from snowplow_tracker.__main__ import main
from snowplow_tracker.testing import Collector

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = ROOT / ".docs" / "pages"
TUTORIAL = DOCS / "tutorial.md"
PAGES = [README, *sorted((ROOT / ".docs").rglob("*.md"))]
# The pages name a collector that is not there; the test puts one of its own in its place.
PLACEHOLDER = "https://collector.example.com"
PACKAGE = "snowplow_tracker"
# What a block needs stands in a comment in front of it. What belongs into a file is not run here.
BLOCK = r"(?:^<!-- (?:needs ([\w.]+)|(?P<file>file) .*) -->\n)?^```{language}\n(.*?)^```$"
LONGEST_README = 250

# Their modules import what is not installed everywhere.
FRAMEWORKS = ("celery", "django", "flask", "opentelemetry", "rq")


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks(language, page=README):
    """Yield the line, the module that is needed or None, and the text of each block that stands for itself."""
    text = page.read_text(encoding="utf-8")
    pattern = BLOCK.replace("{language}", language)
    for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL):
        if match["file"] is None:
            yield text[: match.start(3)].count("\n") + 1, match.group(1), match.group(3)


@pytest.fixture
def trackers_are_forgotten():
    """What the pages set up, the level of a logger included, is for the page alone."""
    loggers = [logging.getLogger(name) for name in ("snowplow_tracker.emitters", "shop")]
    before = [(each, each.level, [*each.handlers]) for each in loggers]
    Snowplow.reset()
    yield
    Snowplow.reset()
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
def signals_are_restored():
    """What a page does about signals is for the page alone."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("trackers_are_forgotten", "signals_are_restored")
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_blocks_run_from_top_to_bottom(page, monkeypatch):
    """Every block runs, one after the other as a reader would try them, and what they send is valid."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    names = {"__name__": "page"}
    uses_placeholder = False
    with Collector() as collector:
        for line, needed, code in blocks("python", page):
            if needed is not None and not is_installed(needed):
                continue
            uses_placeholder |= PLACEHOLDER in code
            # Empty lines in front, so that a traceback names the line in the page.
            source = "\n" * (line - 1) + code.replace(PLACEHOLDER, collector.endpoint)
            exec(compile(source, str(page), "exec"), names)  # noqa: S102 (our own pages)
        for tracker in [each for each in names.values() if isinstance(each, Tracker)]:
            tracker.close(timeout=5)
        if uses_placeholder:
            assert collector.wait_for(1)
        assert collector.problems == []


def is_installed(module):
    """Whether a module can be imported. In CI all are installed on one Python."""
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    """Each relative link of a page names a file that is there."""
    text = re.sub(
        r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
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


def test_the_readme_can_be_read_in_ten_minutes():
    """What is longer stands in a page of the documentation."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README


# The tutorial


def test_the_tutorial_works_from_the_first_file_to_the_last_command(tmp_path):
    """Its files and commands, in their order, make what it promises."""
    pytest.importorskip("django", reason="django is not installed")
    pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    steps = re.findall(
        r"^<!-- (?:file (\S+)|run) -->\n```\w+\n(.*?)^```$",
        TUTORIAL.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    with Collector() as collector:
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "SNOWPLOW_ENDPOINT": collector.endpoint,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *map(str, sys.path)]),
        }
        for file, text in steps:
            text = text.replace("http://localhost:9090", collector.endpoint)  # noqa: PLW2901
            if file:
                path = tmp_path / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                continue
            for line in text.splitlines():
                command = line.replace("snowplow-tracker", "python -m snowplow_tracker")
                done = subprocess.run(  # noqa: S602 - as a reader types it
                    command[len("$ ") :],
                    shell=True,
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                assert done.returncode == 0, (shlex.quote(command), done.stdout, done.stderr)
        assert collector.wait_for(1)
        assert collector.problems == []
    assert sum(not file for file, _ in steps) == 4


# The reference


def public_modules():
    found = pkgutil.walk_packages(snowplow_tracker.__path__, f"{PACKAGE}.")
    names = [each.name for each in found if "._" not in each.name]
    return [PACKAGE, *(each for each in names if each.rpartition(".")[2] not in FRAMEWORKS)]


def public_names():
    """Return each name that a public module has for others, with the module; once, wherever it is handed on."""
    found = {}
    for module_name in public_modules():
        for name in importlib.import_module(module_name).__all__:
            found.setdefault(name, module_name)
    return found


def test_each_public_name_has_an_example():
    """Whoever looks a name up finds it in use, in a block that the tests run."""
    code = "\n".join(text for page in PAGES for _, _, text in blocks("python", page))
    missing = [name for name in public_names() if not re.search(rf"\b{name}\b", code)]
    assert missing == [], "use them in a Python block of .docs/pages/reference"


def test_each_public_name_is_in_the_reference():
    """Classes and functions stand in the reference with their docstrings, all other names in a text."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    shown = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    for each in shown:
        module, _, name = each.rpartition(".")
        if name not in FRAMEWORKS and not module.endswith(FRAMEWORKS):
            parent = importlib.import_module(module)
            assert hasattr(parent, name) or importlib.import_module(each), each
    missing = [name for name in public_names() if not re.search(rf"\b{name}\b", text)]
    assert missing == [], "give them a line with ::: in .docs/pages/reference"


def test_each_option_of_the_emitters_is_in_the_reference():
    """The table of options has the keywords of `AsyncEmitter`, which has all those of `Emitter`."""
    table = (DOCS / "reference" / "options.md").read_text(encoding="utf-8")
    _, _, *options = inspect.signature(AsyncEmitter.__init__).parameters  # after self, endpoint
    missing = [name for name in options if not re.search(f"`{name}\\b", table)]
    assert missing == [], "add a row for each to options.md"


def test_each_environment_variable_is_documented():
    """Each variable that the package reads stands in the table of the module about the environment."""
    package = Path(snowplow_tracker.__file__).parent
    text = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    table = environment.__doc__ or ""
    read = {name for name in re.findall(r"\"(SNOWPLOW_[A-Z_]+)\"", text) if "_TEST" not in name}
    assert sorted(name for name in read if f"| `{name}` |" not in table) == []


class TakenError(Exception):
    """Raised in the place of reading a command line, with the parser that was to read it."""


def test_each_command_and_its_options_are_in_the_reference(monkeypatch):
    """What `-h` knows, the page of the commands knows."""
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")

    def take(parser, _):
        raise TakenError(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", take)
    with pytest.raises(TakenError) as taken:
        main([])
    seen = []
    waiting = [*taken.value.args]
    while waiting:
        for action in waiting.pop()._actions:
            if isinstance(action, argparse._SubParsersAction):
                seen += action.choices
                waiting += action.choices.values()
            seen += action.option_strings
    assert "worker" in seen
    assert sorted({each for each in seen if each not in page and each != "--version"}) == []


@pytest.mark.parametrize("module_name", public_modules())
def test_no_docstring_sends_the_reader_elsewhere(module_name):
    """Where people look, they find what they look for: no docstring is "the same as" that of something else."""
    module = importlib.import_module(module_name)
    found = []
    for name in module.__all__:
        value = getattr(module, name)
        for member in [value, *(vars(value).values() if isinstance(value, type) else ())]:
            text = getattr(member, "__doc__", None) or ""
            if re.match(r"\s*(the )?same as\b", text, re.IGNORECASE):
                found.append(f"{name}: {text[:60]}")
    assert found == []
