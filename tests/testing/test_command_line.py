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
        (["collector", "--port", "web"], "invalid"),
        (["unheard-of"], "invalid choice"),
        ([], "usage"),
    ],
)
def test_wrong_arguments_are_explained(arguments, text):
    """Arguments that make no sense end the program with status 2 and a reason."""
    result = run(*arguments)
    assert result.returncode == 2
    assert text in result.stderr


@pytest.mark.long
def test_the_version_is_that_of_the_package():
    """``--version`` prints it."""
    assert run("--version").stdout.strip() == snowplow_tracker.__version__
