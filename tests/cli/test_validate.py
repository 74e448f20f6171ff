"""The command `validate`."""

import io
import json

import pytest

from snowplow_tracker import PageView, SelfDescribingJson, Tracker
from snowplow_tracker.__main__ import main
from snowplow_tracker.testing import RecordingEmitter
from support.iglu import SCHEMAS

pytest.importorskip("jsonschema")

SCHEMA = "iglu:org.beta/product/jsonschema/1-0-0"
GOOD = {"schema": SCHEMA, "data": {"id": 5}}
BAD = {"schema": SCHEMA, "data": {"id": "5"}}
SAID = '$.id: must be an integer, not "5" (iglu:org.beta/product/jsonschema/1-0-0)'


def validate(*arguments):
    return main(["validate", "--schemas", str(SCHEMAS), *map(str, arguments)])


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("value", "status", "said"),
    [(GOOD, 0, ""), (BAD, 1, f": {SAID}"), ([GOOD, BAD], 1, f"[1]: {SAID}")],
)
def test_a_document_is_checked(tmp_path, capsys, value, status, said, indent):
    """A file with one JSON value, or an array of them, however it is laid out."""
    file = tmp_path / "a.json"
    file.write_text(json.dumps(value, indent=indent))
    assert validate(file) == status
    lines = capsys.readouterr().out.splitlines()
    if said.startswith(":") and indent is None:
        said = f":1{said}"
    assert lines == ([f"{file}{said}"] if said else [])


def test_lines_are_checked_one_by_one(tmp_path, capsys):
    """JSON lines: each problem says the line, and what is no JSON does not stop the rest."""
    file = tmp_path / "a.jsonl"
    file.write_text(
        "\n".join(
            [json.dumps(GOOD), "", "{no json}", json.dumps(BAD), json.dumps(GOOD), '{"a": NaN}']
        )
    )
    assert validate(file) == 1
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{file}:3", f"{file}:4", f"{file}:6"]
    assert lines[0].startswith(f"{file}:3: it is not JSON (")
    assert lines[1] == f"{file}:4: {SAID}"
    assert output.err == "5 checked, 3 not valid\n"


def test_the_first_line_may_be_the_wrong_one(tmp_path, capsys):
    """JSON lines whose first is broken are read as lines all the same."""
    file = tmp_path / "a.jsonl"
    file.write_text(f"{{no json}}\n{json.dumps(BAD)}\n{json.dumps(GOOD)}\n")
    assert validate(file) == 1
    assert [line.split(": ")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"{file}:1",
        f"{file}:2",
    ]


def test_the_standard_input_is_read(monkeypatch, capsys):
    """`-` is the standard input, line by line."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{json.dumps(GOOD)}\n{json.dumps(BAD)}\n"))
    assert validate("-") == 1
    assert capsys.readouterr().out == f"-:2: {SAID}\n"


def test_events_and_requests_are_checked(tmp_path, capsys):
    """An event as it is sent, and the body of a request, are checked with what is in them."""
    emitter = RecordingEmitter()
    Tracker("t", emitter).track(
        PageView("https://a.example", context=[SelfDescribingJson(SCHEMA, {"id": "5"})])
    )
    event = dict(emitter.events[0].parameters)
    file = tmp_path / "a.jsonl"
    body = {
        "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
        "data": [event, event],
    }
    file.write_text(f"{json.dumps(event)}\n{json.dumps(body)}\n")
    assert validate(file) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{file}:1: context[0] at {SAID}",
        f"{file}:2 event 0: context[0] at {SAID}",
        f"{file}:2 event 1: context[0] at {SAID}",
    ]


def test_what_is_no_event_in_a_request_is_a_problem(tmp_path, capsys):
    """A text or a number among the events of a request is named, since the pipeline would refuse them all."""
    file = tmp_path / "a.jsonl"
    schema = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
    file.write_text(json.dumps({"schema": schema, "data": ["text"]}))
    assert validate(file) == 1
    assert capsys.readouterr().out == f"{file}:1 event 0: $: must be an object\n"


def test_what_a_file_says_cannot_steer_a_terminal(tmp_path, capsys):
    """A problem is one line, without control characters, whatever the file has in it."""
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"schema": SCHEMA, "data": {"id": 1, "\x1b[2J\n\u202e": 1}}))
    assert validate(file) == 1
    line, rest = capsys.readouterr().out.split("\n", 1)
    assert line.isprintable()
    assert rest == ""


def test_unknown_schemas_and_files_are_said(tmp_path, capsys):
    """A schema that is not found is a problem; a file that is not there is a usage error."""
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"schema": "iglu:a.b/c/jsonschema/1-0-0", "data": {}}))
    assert validate(file) == 1
    assert f"was not found in {SCHEMAS}" in capsys.readouterr().out
    assert validate(tmp_path / "nothing.json") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_variable_with_a_wrong_value_is_named(tmp_path, monkeypatch, capsys):
    """A folder of SNOWPLOW_SCHEMAS that does not exist is named by the variable, and one that is passed is not."""
    monkeypatch.setenv("SNOWPLOW_SCHEMAS", "/no/such/folder")
    assert main(["validate", str(tmp_path)]) == 2
    assert "SNOWPLOW_SCHEMAS: There is no folder" in capsys.readouterr().err
    assert main(["validate", "--schemas", "/no/such/folder", str(tmp_path)]) == 2
    assert "SNOWPLOW_SCHEMAS" not in capsys.readouterr().err
