"""The collector command on terminals, in pipes, and without an output."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest

from support.inside import common
from support.servers import free_port

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals")

COMMAND = [sys.executable, "-m", "snowplow_tracker", "collector", "--port"]
TP2 = "/com.snowplowanalytics.snowplow/tp2"
ESCAPES = "\x1b]0;owned\x07\x1b[31mred\r\n\u202e\x9b2J"


def send(port, *events):
    body = json.dumps(
        {
            "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
            "data": [{"p": "web", "tv": "t", **event} for event in events],
        }
    )
    deadline = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("POST", TP2, body, {"Content-Type": "application/json"})
            return connection.getresponse().status
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        finally:
            connection.close()


def counts(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/micro/all")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def wait_for_total(port, total):
    deadline = time.monotonic() + 30
    while counts(port)["total"] < total:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def end(process):
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=20)


def on_a_terminal(**environment):
    """What the command writes on a terminal for a good and a bad event."""
    port = free_port()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, str(port)],
        stdout=theirs,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "100", **environment},
    )
    os.close(theirs)
    written = bytearray()

    def read():
        try:
            while True:
                written.extend(os.read(ours, 65_536))
        except OSError:
            pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        send(port, {"e": "pv", "eid": "2c9f7c2e-5d3b-4a63-9d0e-0d5b7c2f1a11", "page": ESCAPES})
        send(port, {"e": "pv", "eid": ESCAPES, "uid": ESCAPES, ESCAPES: "1"})
        deadline = time.monotonic() + 30
        while b"is not a parameter" not in written:
            assert time.monotonic() < deadline, written
            time.sleep(0.02)
        assert end(process) == 0
    finally:
        process.kill()
        process.wait()
    reader.join(10)
    os.close(ours)
    return written.decode()


@pytest.mark.long
def test_control_characters_of_events_are_escaped():
    """What comes from events steers no terminal, in the table and in the problems."""
    written = on_a_terminal(TERM="dumb")
    assert "owned" in written
    assert all(each.isprintable() or each in "\r\n" for each in written), written
    # A terminal turns each end of a line into these two.
    assert written.count("\r") == written.count("\r\n")


@pytest.mark.long
def test_colors_where_the_terminal_knows_them():
    """A bad event is red; nothing else is written that steers a terminal."""
    written = on_a_terminal(TERM="xterm-256color")
    assert "\x1b[31m" in written
    rest = written.replace("\x1b[31m", "").replace("\x1b[0m", "")
    assert all(each.isprintable() or each in "\r\n" for each in rest), rest


@pytest.mark.long
def test_no_colors_where_they_are_not_wanted():
    """``NO_COLOR`` is respected."""
    assert "\x1b" not in on_a_terminal(TERM="xterm-256color", NO_COLOR="1")


class Screen:
    def isatty(self):
        return True


class Closed:
    def isatty(self):
        raise ValueError("I/O operation on closed file")


@pytest.mark.parametrize(
    ("stream", "term", "knows"),
    [
        (Screen(), "xterm", True),
        (Screen(), "dumb", False),
        (Screen(), "", False),
        (Screen(), None, False),
        (Closed(), "xterm", False),
        (None, "xterm", False),
        (object(), "xterm", False),
    ],
)
def test_who_knows_colors(monkeypatch, stream, term, knows):
    """A terminal of a known kind does, and nothing else."""
    for name in ("NO_COLOR", "WT_SESSION", "TERM"):
        monkeypatch.delenv(name, raising=False)
    if term is not None:
        monkeypatch.setenv("TERM", term)
    assert common.knows_codes(stream) is knows


@pytest.mark.long
def test_one_header_for_all_events():
    """The lines form one table: a header, then a line for each event with its problems below."""
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
    )
    try:
        for number in range(3):
            send(port, {"e": "pv", "page": f"Lamp {number}"})
        lines = []
        while sum("eid is missing" in line for line in lines) < 3:
            line = process.stdout.readline()
            assert line, lines
            lines.append(line.rstrip("\n"))
        assert end(process) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert sum(line.startswith("time ") for line in lines) == 1
    for number in range(3):
        row = next(i for i, line in enumerate(lines) if f"Lamp {number}" in line)
        assert "BAD" in lines[row]
        assert lines[row + 1] == "    eid is missing"
    assert max(map(len, lines)) <= 100


@pytest.mark.long
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_it_runs_without_an_output(closed):
    """With its output closed the command collects all the same, and ends well."""
    port = free_port()
    process = subprocess.Popen(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert send(port, {"e": "pv"}) == 200
        wait_for_total(port, 1)
        assert end(process) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.long
def test_it_goes_on_when_nobody_reads_any_more():
    """A pipe that ends early ends the lines, and nothing else; there is no noise about it."""
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        process.stdout.readline()
        process.stdout.close()
        for _ in range(3):
            send(port, {"e": "pv"})
        wait_for_total(port, 3)
        assert end(process) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["0", "--host", "example.com"], 2, "is not an IP address"),
        (["0", "--max-events", "0"], 2, "must be at least 1"),
        (["0", "--schemas", "/no/such/folder"], 2, "python -m snowplow_tracker collector: "),
    ],
)
def test_wrong_arguments_are_one_line(arguments, status, text):
    """What cannot be is said in one line, with a status."""
    result = subprocess.run(
        [*COMMAND, *arguments], check=False, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == status
    assert text in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


@pytest.mark.long
def test_it_listens_on_what_was_asked_for():
    """With another address it says so in its URL; Host may then be any address."""
    process = subprocess.Popen(
        [*COMMAND, "0", "--host", "0.0.0.0"], stdout=subprocess.PIPE, text=True
    )
    try:
        endpoint = process.stdout.readline().partition(" on ")[2].partition(",")[0]
        connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=10)
        connection.request("GET", "/micro/all", headers={"Host": "192.0.2.7:9090"})
        assert connection.getresponse().status == 200
        connection.close()
        assert end(process) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
