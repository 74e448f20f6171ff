"""The commands of ``python -m snowplow_tracker``."""

import http.client
import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

import snowplow_tracker
from snowplow_tracker.__main__ import main
from snowplow_tracker.testing import Collector, Response

COMMAND = [sys.executable, "-m", "snowplow_tracker"]


def run(*arguments):
    return subprocess.run(
        [*COMMAND, *arguments], check=False, capture_output=True, text=True, timeout=60
    )


@pytest.mark.long
def test_the_demo_shows_one_event_of_each_type():
    """The demo prints a readable table of five events, and succeeds without noise."""
    result = run("demo")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    for word in (
        "page view",
        "page ping",
        "screen_view",
        "structured",
        "order",
        "product, voucher",
    ):
        assert word in result.stdout
    assert "All of them arrived, and all are valid." in result.stdout


def test_the_demo_fails_if_events_do_not_arrive(monkeypatch, capsys):
    """A collector that refuses makes the demo say what is missing, and fail."""

    class Refusing(Collector):
        def __init__(self):
            super().__init__(respond=lambda _request: Response(400))

        def wait_for(self, count, timeout):
            return super().wait_for(count, min(timeout, 0.1))

    monkeypatch.setattr("snowplow_tracker.testing.collector.Collector", Refusing)
    assert main(["demo"]) == 1
    assert "for 5 events, but 0 arrived" in capsys.readouterr().err


def test_the_demo_says_that_tracking_is_switched_off(monkeypatch, capsys):
    """With SNOWPLOW_DISABLED=1 the demo does not wait for events that cannot come, and ends with status 2."""
    monkeypatch.setenv("SNOWPLOW_DISABLED", "1")
    assert main(["demo"]) == 2
    assert "SNOWPLOW_DISABLED=1 switches tracking off" in capsys.readouterr().err


@pytest.mark.long
def test_the_collector_prints_events_as_they_arrive():
    """The collector says where it listens, prints each request, and ends well on an interrupt."""
    process = subprocess.Popen(
        [*COMMAND, "collector", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    try:
        endpoint = process.stdout.readline().partition(" on ")[2].partition(",")[0]
        connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=10)
        connection.request("GET", "/i?e=pv&page=Lamps")
        connection.getresponse().read()
        connection.close()
        lines = []
        while not any("eid is missing" in line for line in lines):
            line = process.stdout.readline()
            assert line, lines
            lines.append(line)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert any("Lamps" in line for line in lines)


@pytest.mark.long
def test_a_taken_port_is_a_clear_error():
    """The collector says in one line why it cannot listen."""
    with Collector() as other:
        result = run("collector", "--port", str(other.port))
    assert result.returncode == 1
    assert "in use" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["collector", "--port", "65536"], "must be from 0 to 65535"),
        (["collector", "--port", "web"], "'web' is not a whole number"),
        (["collector", "--max-events", "0"], "must be at least 1"),
        (["collector", "--schemas", "/nowhere"], "/nowhere"),
        (["unheard-of"], "invalid choice"),
        ([], "usage"),
    ],
)
def test_wrong_arguments_are_explained(arguments, text):
    """Arguments that make no sense end the program with status 2 and a reason."""
    result = run(*arguments)
    assert result.returncode == 2
    assert text in result.stderr


@pytest.mark.parametrize(
    ("script", "name"),
    [("/usr/bin/snowplow-tracker", "snowplow-tracker"), ("x.py", "python -m snowplow_tracker")],
)
@pytest.mark.parametrize(
    "arguments",
    [
        ["collector", "--schemas", "/nowhere"],
        ["generate", "--schemas", "/nowhere", "--out", "-"],
        ["generate", "--event-specifications", "/nowhere", "--out", "-"],
        ["track", "--endpoint", "localhost:9", "self-describing", "--lines", "/nowhere"],
        ["track", "--endpoint", "localhost:9", "self-describing", "@/nowhere"],
        ["track", "--schemas", "/nowhere", "--endpoint", "localhost:9", "page-view", "x"],
        ["validate", "--schemas", "/nowhere", "x.json"],
        ["validate", "/nowhere"],
    ],
)
def test_what_is_not_there_is_status_2_under_the_name_of_the_program(
    monkeypatch, capsys, script, name, arguments
):
    """Each command says what is missing under the name that it was called by, and ends with status 2."""
    monkeypatch.setattr("sys.argv", [script])
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{name} {arguments[0]}: ")
    assert "/nowhere" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["worker", "--threads", "abc"], "'abc' is not a whole number"),
        (["worker", "--metrics-port", "abc"], "'abc' is not a whole number"),
        (["worker", "--timeout", "abc"], "'abc' is not a number"),
        (["worker", "--timeout", "-1"], "'-1' is out of range: it must be more than 0"),
        (["track", "--timeout", "abc"], "'abc' is not a number"),
        (["track", "--timeout", "1e9"], "'1e9' is out of range"),
    ],
)
def test_a_wrong_number_is_explained_without_names_of_the_code(capsys, arguments, text):
    """What is no number is said in words, and no function of the package is named."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert text in said
    assert "invalid" not in said


@pytest.mark.long
def test_the_version_is_that_of_the_package():
    """``--version`` prints it."""
    assert run("--version").stdout.strip() == snowplow_tracker.__version__
