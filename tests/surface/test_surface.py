"""The public surface: what 1.1.0 had is there, and ours changes only on purpose."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Set, Tuple

import pytest
from surface import snapshot

from snowplow_tracker import SelfDescribingJson
from support.inside import bypass

REFERENCE: Dict[str, Any] = json.loads(snapshot.REFERENCE.read_text(encoding="utf-8"))

# Where a default of 1.1.0 was replaced on purpose: old text, new text.
CHANGED_DEFAULTS = {
    # The specification calls both of them not required.
    ("ScreenView.__init__", "id_"): ("(required)", "None"),
    ("ScreenView.__init__", "name"): ("(required)", "None"),
    # One configuration object shared by all callers is what made them share retry codes.
    ("Snowplow.create_tracker", "tracker_config"): ("<TrackerConfiguration>", "None"),
    ("Snowplow.create_tracker", "emitter_config"): ("<EmitterConfiguration>", "None"),
    ("EmitterConfiguration.__init__", "custom_retry_codes"): ("{}", "None"),
    ("Emitter.__init__", "custom_retry_codes"): ("{}", "None"),
    ("AsyncEmitter.__init__", "custom_retry_codes"): ("{}", "None"),
}

# Sets that the pipeline's own list has outgrown: ours may hold more.
GROWN = {"SUPPORTED_PLATFORMS"}

# Kinds of names that belong to the module in which they are found.
AT_HOME = {"class", "function"}

POSITIONAL = {"POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD", "VAR_POSITIONAL"}


def reference_names() -> Iterator[Tuple[str, str, Dict[str, Any]]]:
    """Every name of every module of 1.1.0."""
    for module, names in REFERENCE.items():
        for name, entry in names.items():
            yield module, name, entry


def reference_callables() -> Iterator[Tuple[str, str, Dict[str, Any]]]:
    """Every function and every method of 1.1.0, with its dotted name inside its module."""
    for module, name, entry in reference_names():
        if "parameters" in entry:
            yield module, name, entry
        for member, description in entry.get("members", {}).items():
            if "parameters" in description:
                yield module, f"{name}.{member}", description


def named(entries: Any) -> List[Any]:
    """Parameters for pytest whose test ids are the names."""
    return [pytest.param(*entry, id=f"{entry[0]}:{entry[1]}") for entry in entries]


def lookup(module: str, dotted: str) -> Any:
    """The object of ours at a path of 1.1.0's."""
    value: Any = importlib.import_module(module)
    for name in dotted.split("."):
        value = getattr(value, name)
    return value


def static_kind(cls: type, name: str) -> str:
    """How a class holds a member: as a static method, a class method or something else."""
    for owner in cls.__mro__:
        if name in vars(owner):
            return type(vars(owner)[name]).__name__
    return "missing"


@pytest.mark.parametrize(("module", "name", "entry"), named(reference_names()))
def test_every_name_of_1_1_0_is_importable(module: str, name: str, entry: Dict[str, Any]) -> None:
    """Each name that users import from 1.1.0 is found at the same path, and is the same thing."""
    ours = lookup(module, name)
    if entry["kind"] == "re-export":
        assert ours is lookup(entry["of"], name)
    elif entry["kind"] == "class":
        assert isinstance(ours, type)
        assert set(entry["bases"]) <= {base.__name__ for base in ours.__mro__}
    elif entry["kind"] == "logger":
        assert ours.name == entry["name"]
    elif entry["kind"] == "constant" and name in GROWN:
        # The text of a set is valid Python.
        assert ast.literal_eval(entry["value"]) <= set(ours)
    elif entry["kind"] == "constant" and "VERSION" not in name.upper():
        assert snapshot.stable_repr(ours) == entry["value"]


@pytest.mark.parametrize(("module", "dotted", "entry"), named(reference_callables()))
def test_every_signature_of_1_1_0_is_callable_the_same_way(
    module: str, dotted: str, entry: Dict[str, Any]
) -> None:
    """The old parameters come first, in order, with their names and defaults."""
    ours = {
        parameter["name"]: parameter for parameter in snapshot.parameters(lookup(module, dotted))
    }
    old = [dict(parameter) for parameter in entry["parameters"]]
    if old[:1] and old[0]["name"] in {"self", "cls"} and old[0]["name"] not in ours:
        # Reached through the class, a class method no longer shows what it is bound to.
        old = old[1:]
    names = list(ours)
    assert names[: len(old)] == [parameter["name"] for parameter in old]
    for parameter in old:
        mine = ours[parameter["name"]]
        assert mine["kind"] == parameter["kind"]
        theirs = parameter.get("default", "(required)")
        allowed = CHANGED_DEFAULTS.get((dotted, parameter["name"]), (theirs, theirs))
        assert mine.get("default", "(required)") in {theirs, allowed[1]}, parameter["name"]
    added = [parameter for name, parameter in ours.items() if name in names[len(old) :]]
    assert not [parameter["name"] for parameter in added if parameter["kind"] in POSITIONAL]
    assert not [
        parameter["name"]
        for parameter in added
        if parameter["kind"] == "KEYWORD_ONLY" and "default" not in parameter
    ]


# Properties of 1.1.0 may be plain attributes of ours, which only an instance shows.
INSTANCES: Dict[str, Callable[[Any], Any]] = {
    "EmitterConfiguration": lambda cls: cls(),
    "Event": lambda cls: cls(),
    "PagePing": lambda cls: cls("https://acme.com/"),
    "PageView": lambda cls: cls("https://acme.com/"),
    "ScreenView": lambda cls: cls(name="Home"),
    "SelfDescribing": lambda cls: cls(
        SelfDescribingJson("iglu:com.acme/a/jsonschema/1-0-0", {"a": 1})
    ),
    "SelfDescribingJson": lambda cls: cls("iglu:com.acme/a/jsonschema/1-0-0", {"a": 1}),
    "StructuredEvent": lambda cls: cls("category", "action"),
    "TrackerConfiguration": lambda cls: cls(),
}


@pytest.mark.parametrize(
    ("module", "name", "entry"),
    named(each for each in reference_names() if each[2]["kind"] == "class"),
)
def test_every_member_of_1_1_0_s_classes_is_of_the_same_kind(
    module: str, name: str, entry: Dict[str, Any]
) -> None:
    """Static methods stay static, and each property can be read and written as before."""
    cls = lookup(module, name)
    for member, description in entry["members"].items():
        if description["kind"] == "property":
            instance = INSTANCES[name](cls)
            value = getattr(instance, member)
            if description["writable"]:
                setattr(instance, member, value)
        elif description["kind"] in {"staticmethod", "classmethod"}:
            assert static_kind(cls, member) == description["kind"], member
        else:
            assert callable(getattr(cls, member)), member


def test_requests_is_a_name_of_the_emitters_module() -> None:
    """Patches such as `snowplow_tracker.emitters.requests.post` find the library."""
    import requests

    assert lookup("snowplow_tracker.emitters", "requests") is requests


def test_our_own_surface_changes_on_purpose() -> None:
    """The committed description of our surface is what the code has."""
    committed = snapshot.OURS.read_text(encoding="utf-8")
    assert committed == snapshot.as_text(snapshot.surface()), (
        "The public surface differs from tests/surface/api.txt. If that is what you want, run "
        "`python tests/surface/snapshot.py ours`, read the diff as a user of the package would, "
        "and commit it with the change."
    )


def isort_style(name: str) -> Tuple[int, str]:
    """The order that the linter keeps: constants, then classes, then the rest."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("name", snapshot.public_modules())
def test_all_is_sorted_and_true(name: str) -> None:
    """Each public module lists its public names in a sorted `__all__`."""
    module = importlib.import_module(name)
    assert module.__all__ == sorted(module.__all__, key=isort_style)
    assert not [entry for entry in module.__all__ if not hasattr(module, entry)]
    # What 1.1.0 defined here has been importable with a star, and must remain so.
    old = {key for key, entry in REFERENCE.get(name, {}).items() if entry["kind"] in AT_HOME}
    if name == snapshot.PACKAGE:
        old = set(REFERENCE[name]) - {"__version__"}
    assert not old - set(module.__all__)


PACKAGE_FOLDER = Path(importlib.import_module(snapshot.PACKAGE).__file__ or "").parent


def sources() -> Dict[str, Path]:
    """The module names of the package with their files."""
    found = {}
    for path in sorted(PACKAGE_FOLDER.rglob("*.py")):
        parts = [PACKAGE_FOLDER.name, *path.relative_to(PACKAGE_FOLDER).with_suffix("").parts]
        if "_plugin" in parts:
            continue  # installed, it is no part of the package
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = path
    return found


SOURCES = sources()


def nodes_of(tree: ast.AST, *, types: bool) -> Iterator[ast.AST]:
    """Every node below another, with or without what only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.dump(node.test).find("'TYPE_CHECKING'") >= 0:
            if types:
                yield from nodes_of(node, types=types)
            continue
        yield node
        yield from nodes_of(node, types=types)


def imported_by(module: str, *, types: bool = False) -> Set[str]:
    """The modules of the package that a module imports, wherever in the file it does so."""
    path = SOURCES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in nodes_of(ast.parse(path.read_text(encoding="utf-8")), types=types):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = importlib.util.resolve_name("." * node.level + base, package)
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                found.add(submodule if submodule in SOURCES else base)
    return {name for name in found if name.split(".")[0] == snapshot.PACKAGE}


TESTS = Path(__file__).resolve().parent.parent
INSIDE = TESTS / "support" / "inside.py"
# Also in a program that stands in a string; names such as `__file__` are Python's.
PRIVATE = re.compile(
    r"\bsnowplow_tracker(\.\w+)*\._[a-z]\w*"
    r"|\bfrom snowplow_tracker[\w.]* import (\([^)]*|[^(\n]*)(?<!as )\b_[a-z]\w*"
)


def test_the_inside_of_the_package_is_known_in_one_place() -> None:
    """Tests use the public names, and a short list of modules in one file for what cannot be seen from outside."""
    named = {
        path: len(PRIVATE.findall(path.read_text(encoding="utf-8"))) for path in TESTS.rglob("*.py")
    }
    assert 0 < named.pop(INSIDE) <= 10, "test through public names"
    assert [str(path) for path, count in named.items() if count] == [], f"import it from {INSIDE}"


# Programs that stand on the package as any user's would.
PROGRAMS = {name for name in SOURCES if name.endswith("__main__") or "._cli" in name}


@pytest.mark.parametrize("module", sorted(set(SOURCES) - {snapshot.PACKAGE} - PROGRAMS))
def test_no_module_imports_the_package_root(module: str) -> None:
    """The root only collects names; what collects it back makes a cycle."""
    assert snapshot.PACKAGE not in imported_by(module, types=True)


@pytest.mark.long
def test_imports_have_no_cycle() -> None:
    """Modules can be put in an order in which each imports only those before it.

    Annotations may point back: nothing is imported for them when the program runs.
    """
    waiting = {name: imported_by(name) & set(SOURCES) - {name} for name in SOURCES}
    while waiting:
        ready = {name for name, needs in waiting.items() if not needs & set(waiting)}
        assert ready, f"these import each other: {sorted(waiting)}"
        for name in ready:
            del waiting[name]


def run_silently(program: str, folder: Path) -> None:
    """Run a program that is to succeed and print nothing, in a folder where what is installed is imported."""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
        # Measuring the coverage of the child would import some modules before it does.
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


IMPORT_PROBE = """
import logging, sys
before = (list(logging.root.handlers), logging.root.level)
import snowplow_tracker
assert (list(logging.root.handlers), logging.root.level) == before, "root logger"
for name in ("snowplow_tracker", "snowplow_tracker.emitters", "snowplow_tracker.snowplow"):
    assert logging.getLogger(name).level == logging.NOTSET, name
heavy = {"requests", "urllib3", "typing_extensions", "redis"} & set(sys.modules)
assert not heavy, heavy
snowplow_tracker.Tracker("ns", snowplow_tracker.Emitter("localhost", protocol="http"))
"""


@pytest.mark.long
def test_importing_the_package_has_no_side_effects(tmp_path: Path) -> None:
    """The import prints nothing, leaves logging alone and loads neither of the dependencies."""
    run_silently(IMPORT_PROBE, tmp_path)


# Not what logging imports by itself: on 3.14 that is dataclasses and inspect.
LATE_IMPORT_PROBE = """
import logging, sys
before = set(sys.modules)
import snowplow_tracker
late = {"datetime", "inspect", "ssl", "http", "email", "random", "urllib", "uuid", "dataclasses", "asyncio"}
early = late & (set(sys.modules) - before)
assert not early, early
emitter = snowplow_tracker.Emitter("localhost", protocol="http", port=9)
snowplow_tracker.Tracker("ns", emitter).track(snowplow_tracker.PageView("https://acme.com/"))
early = LATER & (set(sys.modules) - before)
assert not early, early
sys.modules["logging"].getLogger("snowplow_tracker").setLevel("ERROR")
assert emitter.close(timeout=0) == 1
"""


def test_what_few_programs_need_is_imported_late(tmp_path: Path) -> None:
    """What the import and the tracking of a page view do not need is not imported for them."""
    # With a urllib3 that is not known all goes through requests, which is imported for it.
    later = {"inspect", "requests", "uuid"} if bypass.knows_requests() else set()
    run_silently(f"LATER = {later}\n{LATE_IMPORT_PROBE}", tmp_path)


LOGGING_PROBE = """
import snowplow_tracker
import copy, io, logging, pickle
emitter = snowplow_tracker.Emitter("localhost", protocol="http", port=9)
for module in (snowplow_tracker, snowplow_tracker.emitters, snowplow_tracker.snowplow):
    assert isinstance(module.logger, logging.Logger), module
assert snowplow_tracker.logger is snowplow_tracker.emitters.logger
assert snowplow_tracker.logger.name == "snowplow_tracker.emitters"
assert snowplow_tracker.snowplow.logger.name == "snowplow_tracker.snowplow"
[handler] = logging.getLogger("snowplow_tracker").handlers
assert isinstance(handler, logging.NullHandler), handler
for twin in (copy.copy(emitter.event_store.logger), pickle.loads(pickle.dumps(emitter.event_store.logger))):
    assert twin is snowplow_tracker.logger, twin
stream = io.StringIO()
logging.basicConfig(stream=stream, level=logging.DEBUG)
snowplow_tracker.Emitter("localhost", protocol="http")
assert "DEBUG:snowplow_tracker.emitters:Emitter initialized" in stream.getvalue(), stream.getvalue()
"""


@pytest.mark.long
def test_loggers_are_those_of_logging_whenever_it_is_imported(tmp_path: Path) -> None:
    """A program that imports and sets up logging after the package hears it, and finds real loggers under its names."""
    run_silently(LOGGING_PROBE, tmp_path)
