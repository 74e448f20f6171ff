"""Whatever lines the commands `track` and `validate` are given."""

from __future__ import annotations

import io
import json
import sys
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snowplow_tracker.__main__ import main
from snowplow_tracker.testing import Collector
from support.iglu import SCHEMAS
from support.inside import json_input
from support.repetitions import repetitions

SCHEMA = "iglu:org.beta/product/jsonschema/1-0-0"
GOOD = {"schema": SCHEMA, "data": {"id": 5}}
FEW = settings(
    max_examples=repetitions(50),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

some_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["schema", "data", "context", "true_timestamp", "e", "eid", "ue_px"])
            | st.text(max_size=4),
            inner | st.just(SCHEMA),
            max_size=4,
        )
    ),
    max_leaves=8,
)
near_events = st.fixed_dictionaries(
    {"schema": st.just(SCHEMA) | some_json, "data": some_json},
    optional={
        "context": some_json | st.lists(st.just(GOOD) | some_json, max_size=2),
        "true_timestamp": some_json | st.integers(),
        "e": st.sampled_from(["pv", "ue", ""]),
    },
)
lines = (
    (some_json | near_events).map(json.dumps).map(str.encode)
    | st.binary(max_size=20)
    | st.sampled_from(
        [b"\xef\xbb\xbf{}", b"[" * 100_000, b"9" * 5_000, b"{}{}", b'"\\ud800"', b"["]
    )
)
files = st.lists(lines, max_size=5).map(b"\n".join)


def run(capsys, *arguments):
    """Run a command; return its status and what it printed to both streams."""
    status = main(list(arguments))
    output = capsys.readouterr()
    return status, output.out, output.err


def complaints(err):
    """Return what the command itself says is wrong; warnings, as of a time that is left out, are logged beside it."""
    return [
        line for line in err.splitlines() if line.startswith("python -m snowplow_tracker track: ")
    ]


@pytest.fixture(scope="module")
def collector():
    with Collector() as running:
        yield running


@FEW
@given(content=files)
def test_any_file_is_read_entry_by_entry(tmp_path, content):
    """Each entry of any file is a value or says why there is none."""
    file = tmp_path / "a.json"
    file.write_bytes(content)
    for entry in json_input.entries_of(str(file)):
        assert entry.place.startswith(str(file))
        assert entry.error or json.dumps(entry.value) is not None


@pytest.mark.parametrize("options", [[], ["--schema", SCHEMA]], ids=["whole", "data"])
@settings(FEW, max_examples=repetitions(30))
@given(content=files)
def test_any_lines_are_tracked_or_said_to_be_wrong(collector, tmp_path, capsys, options, content):
    """Whatever the lines are, those that are events arrive, and the others are named; none ends the command early."""
    collector.clear()
    file = tmp_path / "a.jsonl"
    file.write_bytes(content + b"\n" + json.dumps(GOOD).encode() + b"\n")
    arguments = ["--endpoint", collector.endpoint, "self-describing", *options]
    status, out, err = run(capsys, "track", *arguments, "--lines", str(file))
    assert status in (0, 1)
    assert (status == 0) == (not complaints(err))
    assert all(line.isprintable() for line in err.splitlines())
    if status == 0:
        assert (
            out == f"{len(collector.events)} event{'s' * (len(collector.events) != 1)} delivered\n"
        )
    assert collector.bad == []


@pytest.mark.skipif(find_spec("jsonschema") is None, reason="jsonschema is not installed")
@FEW
@given(content=files, stdin=st.booleans())
@example(content=b"\xff", stdin=True)
def test_any_lines_are_validated(tmp_path, capsys, monkeypatch, content, stdin):
    """Whatever the lines are, each is found valid or wrong, and the command says so by its status."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(content)
    name = str(file)
    if stdin:
        name = "-"
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    status, out, err = run(capsys, "validate", "--schemas", str(SCHEMAS), name)
    assert status in (0, 1), err
    assert (status == 0) == (out == "")
    assert all(line.isprintable() for line in out.splitlines())
    assert "checked" in err


@settings(FEW, max_examples=repetitions(30))
@given(
    argument=lines.map(lambda line: line.decode(errors="replace")) | st.text("@{}[]-x", max_size=3)
)
def test_any_argument_is_tracked_or_refused(collector, capsys, monkeypatch, argument):
    """Whatever is given as the JSON of one event, it arrives or the command says why not."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(argument))
    status, _, err = run(
        capsys, "track", "--endpoint", collector.endpoint, "self-describing", "--", argument
    )
    assert status in (0, 1, 2)
    assert (status == 0) == (not complaints(err))


def test_a_byte_that_is_no_text_does_not_end_the_standard_input(collector, capsys, monkeypatch):
    """On the standard input too, a line that is no UTF-8 is wrong alone, and the events after it are delivered."""
    collector.clear()
    content = b"\xff\n" + json.dumps(GOOD).encode() + b"\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    arguments = ["--endpoint", collector.endpoint, "self-describing", "--lines", "-"]
    status, _, err = run(capsys, "track", *arguments)
    assert (status, len(collector.events)) == (1, 1)
    assert err.startswith("python -m snowplow_tracker track: -:1: ")
