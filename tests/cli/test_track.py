"""The command `track`, against a real collector."""

import io
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from snowplow_tracker.__main__ import main
from snowplow_tracker.testing import Collector, Response
from support.iglu import SCHEMAS
from support.inside import json_input

SCHEMA = "iglu:org.beta/product/jsonschema/1-0-0"


@pytest.fixture
def collector():
    """A collector."""
    with Collector() as running:
        yield running


def track(collector, *arguments, before=()):
    return main(["track", "--endpoint", collector.endpoint, *before, *map(str, arguments)])


def test_a_page_view_is_delivered(collector, capsys):
    """A page view with subject, entity, time and application arrives, and the status is 0."""
    entity = json.dumps({"schema": SCHEMA, "data": {"id": 1}})
    subject = ["--user-id", "u", "--lang", "en", "--ip-address", "203.0.113.7", "--platform", "web"]
    arguments = [
        "page-view",
        "https://a.example/",
        "--title",
        "A",
        "--entity",
        entity,
        "--true-timestamp",
        "1000",
    ]
    assert track(collector, *arguments, *subject, before=["--app-id", "shop"]) == 0
    assert capsys.readouterr().out == "1 event delivered\n"
    (event,) = collector.good
    expected = {
        "e": "pv",
        "page": "A",
        "uid": "u",
        "lang": "en",
        "ip": "203.0.113.7",
        "p": "web",
        "aid": "shop",
    }
    assert {name: event[name] for name in expected} == expected
    assert event["ttm"] == "1000"
    assert event.contexts == [{"schema": SCHEMA, "data": {"id": 1}}]


def test_a_structured_event_is_delivered(collector):
    """A structured event with a value arrives, by GET too."""
    arguments = [
        "structured",
        "--category",
        "a",
        "--action",
        "b",
        "--label",
        "c",
        "--property",
        "d",
        "--value",
        "2.5",
    ]
    assert track(collector, *arguments, before=["--method", "get"]) == 0
    (event,) = collector.good
    assert [event[f"se_{name}"] for name in ("ca", "ac", "la", "pr", "va")] == [
        "a",
        "b",
        "c",
        "d",
        "2.5",
    ]


@pytest.mark.parametrize("way", ["argument", "file", "stdin"])
@pytest.mark.parametrize("with_schema", [True, False])
def test_data_comes_from_anywhere(collector, tmp_path, monkeypatch, way, with_schema):
    """Data is an argument, a file or the standard input, with its schema or beside it."""
    value = {"id": 1} if with_schema else {"schema": SCHEMA, "data": {"id": 1}}
    text = json.dumps(value)
    (tmp_path / "a.json").write_text(text)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    given = {"argument": text, "file": f"@{tmp_path / 'a.json'}", "stdin": "-"}[way]
    schema = ["--schema", SCHEMA] if with_schema else []
    assert track(collector, "self-describing", given, *schema) == 0
    (event,) = collector.good
    assert (event.schema, event.data) == (SCHEMA, {"id": 1})


def test_many_come_line_by_line(collector, tmp_path, capsys):
    """Each good line arrives with its own entities and time; each bad one is named, and the status says so."""
    entity = {"schema": SCHEMA, "data": {"id": 2}}
    lines = [
        {"schema": SCHEMA, "data": {"id": 1}, "context": [entity], "true_timestamp": 1000},
        {"schema": "nonsense", "data": {}},
        {"schema": SCHEMA, "data": 5},
        {"schema": SCHEMA, "data": {}, "context": {}},
        {"schema": SCHEMA, "data": {}, "true_timestamp": "today"},
        [],
        {"schema": SCHEMA, "data": {"id": 3}},
    ]
    file = tmp_path / "a.jsonl"
    file.write_text("".join(f"{json.dumps(each)}\n" for each in lines) + "no json\n")
    assert track(collector, "self-describing", "--lines", file) == 1
    assert sorted(each.data["id"] for each in collector.good) == [1, 3]
    first = next(each for each in collector.good if each.data["id"] == 1)
    assert (first.contexts, first["ttm"]) == ([entity], "1000")
    output = capsys.readouterr()
    assert output.out == "2 events delivered, 6 not sent since the input is wrong\n"
    said = output.err.splitlines()
    assert [f"a.jsonl:{number}: " in line for number, line in zip([2, 3, 4, 5, 6, 8], said)] == [
        True
    ] * 6
    assert len(said) == 6


def _line(number):
    return json.dumps({"schema": SCHEMA, "data": {"id": number}})


@pytest.mark.parametrize(
    ("text", "numbers", "status"),
    [
        (f"{_line(1)}\n{_line(2)}\n", [1, 2], 0),
        (f"\n  \n{_line(1)}\n\n{_line(2)}", [1, 2], 0),
        (f"\ufeff{_line(1)}\r\n{_line(2)}\r\n", [1, 2], 0),
        (f'no json\n{_line(1)[:-2]}, "more": "\u2028"}}}}\n{_line(2)}\n', [1, 2], 1),
        (f"no json\n{_line(1)}\n{_line(2)}\n", [1, 2], 1),
        (f"no json\n{_line(1)}\nno json\n{_line(2)}\n{_line(3)[:-9]}", [1, 2], 1),
        (f"{_line(3)[:-9]}\n{_line(1)}\n\n{_line(2)}\n[", [1, 2], 1),
        (f"[\n{_line(1)}\n{_line(2)}\n]", [], 1),
        (f"[\n{_line(1)},\n{_line(2)}\n]", [1, 2], 0),
    ],
)
@pytest.mark.parametrize("way", ["file", "pipe"])
@pytest.mark.skipif(os.name == "nt", reason="pipes have names on POSIX")
def test_lines_come_from_files_and_pipes(collector, tmp_path, way, text, numbers, status):
    """A pipe is read as a file is, and neither blank lines, line ends nor a bad first line cost the others."""
    file = tmp_path / "a.jsonl"
    if way == "file":
        file.write_bytes(text.encode())
        assert track(collector, "self-describing", "--lines", file) == status
    else:
        os.mkfifo(file)
        with ThreadPoolExecutor() as pool:
            pool.submit(file.write_bytes, text.encode())
            assert track(collector, "self-describing", "--lines", file) == status
    assert sorted(each.data["id"] for each in collector.good) == numbers


def test_what_a_file_has_no_more_is_no_reason_to_send_the_rest_again(
    collector, tmp_path, capsys, monkeypatch
):
    """Where a file can be read in part only, the events of that part are delivered and the status says that it was so."""

    def entries(_file):
        yield json_input.Entry("a.jsonl:1", json.loads(_line(1)))
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(json_input, "entries_of", entries)
    assert track(collector, "self-describing", "--lines", "a.jsonl") == 1
    assert "a.jsonl:1: what follows cannot be read: Input/output error" in capsys.readouterr().err
    assert len(collector.good) == 1


@pytest.mark.parametrize("text", ["\ufeff", ""], ids=["mark", "plain"])
def test_the_standard_input_is_utf_8_as_files_are(collector, monkeypatch, text):
    """The locale of a shell does not change letters, and a byte order mark is no error, in one event or in lines."""
    for arguments in (["-"], ["--lines", "-"]):
        collector.clear()
        content = f'{text}{_line(1)[:-2]}, "more": "ü"}}}}\n'.encode()
        stream = io.TextIOWrapper(io.BytesIO(content), encoding="latin-1")
        monkeypatch.setattr(sys, "stdin", stream)
        assert track(collector, "self-describing", *arguments) == 0
        assert collector.good[0].data["more"] == "ü"
    for arguments in (["-"], ["--lines", "-"]):
        monkeypatch.setattr(sys, "stdin", None)
        assert track(collector, "self-describing", *arguments) != 0


ID = "c6ef9d6b-8d7b-5f4e-9d0c-0f3b3a1d7a11"


def test_lines_have_ids_and_times_of_their_own(collector, tmp_path):
    """A backfill from a file keeps its ids and both times, as numbers or as ISO 8601; null is as if it were absent."""
    line = {
        "schema": SCHEMA,
        "data": {"id": 1},
        "event_id": ID,
        "true_timestamp": "2025-03-01T12:30:00+01:00",
        "created_timestamp": "2025-03-01T11:30:00.500Z",
    }
    absent = {"schema": SCHEMA, "data": {"id": 2}, "event_id": None, "true_timestamp": None}
    file = tmp_path / "a.jsonl"
    file.write_text(f"{json.dumps(line)}\n{json.dumps(absent)}\n")
    assert track(collector, "self-describing", "--lines", file) == 0
    first, second = sorted(collector.good, key=lambda each: each.data["id"])
    assert first.event_id == ID
    assert (first["ttm"], first["dtm"]) == ("1740828600000", "1740828600500")
    assert second.event_id
    assert "ttm" not in second.parameters


@pytest.mark.parametrize(
    "arguments",
    [
        ["page-view", "https://a.example"],
        ["structured", "--category", "a", "--action", "b"],
        ["self-describing", "--schema", SCHEMA, "{}"],
    ],
)
def test_an_event_has_the_id_and_the_times_of_the_options(collector, arguments):
    """Each kind of event takes an id and both times from options."""
    times = ["--true-timestamp", "2025-03-01T11:30:00Z", "--created-timestamp", "1740828600500"]
    assert track(collector, *arguments, "--event-id", ID, *times) == 0
    (event,) = collector.good
    assert event.event_id == ID
    assert (event["ttm"], event["dtm"]) == ("1740828600000", "1740828600500")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"evnt_id": ID}, "the event has the unknown key 'evnt_id': it must have schema and data"),
        ({"event_id": "A-1017"}, "event_id must be a UUID, not 'A-1017'"),
        ({"event_id": 5}, "event_id must be a UUID, not 5"),
        ({"true_timestamp": "today"}, "true_timestamp: 'today' is not a point in time"),
        ({"true_timestamp": True}, "true_timestamp: True is not a point in time"),
        ({"created_timestamp": []}, "created_timestamp: [] is not a point in time"),
        ({"context": [{"schema": SCHEMA, "date": {}}]}, "an entity has the unknown key 'date'"),
        ({"context": [{"schema": SCHEMA}]}, "an entity has no data"),
    ],
)
def test_what_is_wrong_in_a_line_is_named(collector, capsys, monkeypatch, more, text):
    """The complaint about a line names the key that is unknown, missing or wrong."""
    line = json.dumps({"schema": SCHEMA, "data": {}, **more})
    monkeypatch.setattr("sys.stdin", io.StringIO(line))
    assert track(collector, "self-describing", "--lines", "-") == 1
    assert f"-:1: {text}" in capsys.readouterr().err


@pytest.mark.long
def test_thousands_arrive(collector, tmp_path, capsys):
    """More events than any batch holds arrive, each once, and the progress is shown."""
    file = tmp_path / "a.jsonl"
    file.write_text("".join(f'{{"id": {number}}}\n' for number in range(3_000)))
    assert track(collector, "self-describing", "--schema", SCHEMA, "--lines", file) == 0
    assert sorted(each.data["id"] for each in collector.good) == list(range(3_000))
    assert "3,000 events delivered" in capsys.readouterr().out


def test_schemas_are_applied_before_sending(collector, capsys):
    """With schemas an event that is not valid is not sent, and the status says so."""
    pytest.importorskip("jsonschema")
    before = ["--schemas", str(SCHEMAS)]
    assert (
        track(collector, "self-describing", "--schema", SCHEMA, '{"id": "1"}', before=before) == 1
    )
    assert '$.id: must be an integer, not "1"' in capsys.readouterr().err
    entity = json.dumps({"schema": SCHEMA, "data": {}})
    assert (
        track(collector, "page-view", "https://a.example", "--entity", entity, before=before) == 1
    )
    assert "context[0] at $.id: id is missing" in capsys.readouterr().err
    assert collector.events == []


def test_the_status_says_that_nobody_answered(capsys):
    """A collector that is down: status 3, within the timeout, and the log says why."""
    with Collector() as gone:
        pass
    assert track(gone, "page-view", "https://a.example", before=["--timeout", "0.5"]) == 3
    output = capsys.readouterr()
    said = output.err
    assert output.out == "0 events delivered\n"
    assert "refused" in said
    assert "not delivered in time: 1 of 1" in said


def test_the_status_says_that_the_collector_refused(capsys):
    """A collector that refuses for good: status 4."""
    with Collector(respond=lambda _request: Response(403)) as refusing:
        assert track(refusing, "page-view", "https://a.example") == 4
    assert "dropped: 1 of 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["self-describing"],
        ["self-describing", "{}", "--lines", "a"],
        ["self-describing", "{no json"],
        ["self-describing", "@/nowhere"],
        ["self-describing", "--lines", "a", "--event-id", ID],
        ["page-view", "https://a.example", "--entity", "5"],
        ["page-view", "https://a.example", "--entity", "@/nowhere"],
        ["page-view", "https://a.example", "--platform", "toaster"],
    ],
)
def test_what_makes_no_sense_is_one_line(collector, capsys, arguments):
    """Arguments that make no sense: status 2, one line, and nothing is sent."""
    assert track(collector, *arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert collector.events == []


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("{no json", "'{no json': it is not JSON (Expecting property name"),
        ("-", "the standard input: it is not JSON (Expecting value, column 1)"),
        ("@a.json", "a.json: it is not text in UTF-8"),
    ],
)
def test_what_is_not_json_is_said_to_be_none(
    collector, capsys, monkeypatch, tmp_path, argument, text
):
    """The message says that JSON was expected, and where it was looked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_bytes(b"\xff")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert track(collector, "self-describing", argument) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["page-view"],
        ["nonsense"],
        ["structured", "--category", "a", "--action", "b", "--value", "nan"],
        ["structured", "--category", "a"],
        ["page-view", "x", "--true-timestamp", "yesterday"],
        ["page-view", "x", "--event-id", "yesterday"],
    ],
)
def test_a_wrong_command_line_is_one_line(collector, capsys, arguments):
    """What the command line lacks is said in one line that points to the help."""
    with pytest.raises(SystemExit) as caught:
        track(collector, *arguments)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "-h" in said
    assert "invalid int" not in said


def test_it_says_that_tracking_is_switched_off(collector, monkeypatch, capsys):
    """With SNOWPLOW_DISABLED=1 nothing is sent, which is said and is no failure; wrong input is one as ever."""
    monkeypatch.setenv("SNOWPLOW_DISABLED", "1")
    assert track(collector, "page-view", "https://a.example") == 0
    output = capsys.readouterr()
    assert "SNOWPLOW_DISABLED=1 switches tracking off" in output.err
    assert output.out == "0 events delivered\n"
    assert track(collector, "self-describing", "{}") == 1
    assert collector.requests == []
    monkeypatch.delenv("SNOWPLOW_ENDPOINT", raising=False)
    assert main(["track", "page-view", "https://a.example"]) == 0


def test_a_variable_with_a_wrong_value_is_named(monkeypatch, capsys):
    """An endpoint of the environment is named by its variable, and one that is passed is not."""
    monkeypatch.setenv("SNOWPLOW_ENDPOINT", "ftp://h")
    assert main(["track", "page-view", "https://a.example"]) == 2
    assert "SNOWPLOW_ENDPOINT: endpoint must be http or https" in capsys.readouterr().err
    assert main(["track", "--endpoint", "ftp://other", "page-view", "https://a.example"]) == 2
    assert "SNOWPLOW_ENDPOINT" not in capsys.readouterr().err


def test_a_host_alone_is_asked_by_https(capsys):
    """A host that is not this machine is sent nothing over plain http; this machine is."""
    arguments = ["--timeout", "0.2", "page-view", "https://a.example"]
    assert main(["track", "--endpoint", "collector.invalid", *arguments]) == 3
    assert "to https://collector.invalid/" in capsys.readouterr().err
    with Collector() as local:
        address = local.endpoint.partition("://")[2]
        assert main(["track", "--endpoint", address, *arguments]) == 0


@pytest.mark.parametrize("command", ["generate", "validate", "track"])
def test_the_help_teaches_by_an_example(capsys, command):
    """The help of each command has an example and the exit statuses."""
    with pytest.raises(SystemExit) as caught:
        main([command, "-h"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert f"Example:\n  snowplow-tracker {command} " in text
    assert "Exit status:" in text


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_ends_it():
    """Ctrl-C while it waits for input: status 130, without a traceback."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "snowplow_tracker",
            "track",
            "--endpoint",
            "localhost:9",
            "self-describing",
            "--lines",
            "-",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        process.stdin.write("no json\n")
        process.stdin.flush()
        assert "-:1:" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said


def test_an_endpoint_after_the_kind_is_told_its_place(capsys, monkeypatch):
    """An endpoint behind the kind of event is not reported only as missing: the message says where it belongs."""
    monkeypatch.delenv("SNOWPLOW_ENDPOINT", raising=False)
    with pytest.raises(SystemExit) as end:
        main(["track", "page-view", "https://a.example/", "--endpoint", "localhost:9"])
    assert end.value.code == 2
    assert "--endpoint, before the kind of event, or SNOWPLOW_ENDPOINT" in capsys.readouterr().err
