"""Whatever arrives, the collector and its table end in bounded time, and go on."""

import http.client
import io
import json
import socket
import struct
import time

import pytest

from snowplow_tracker.testing import CollectedEvent, Collector, format_table
from snowplow_tracker.testing.live_collector import LiveCollector
from support.inside import collector_http

TP2 = "/com.snowplowanalytics.snowplow/tp2"
JSON = {"Content-Type": "application/json"}
# Far above what it takes, and far below what it took.
LIMIT = 5.0


@pytest.fixture(params=[Collector, LiveCollector])
def collector(request):
    with request.param() as running:
        yield running


def alive(collector):
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    connection.request("GET", "/health")
    status = connection.getresponse().status
    connection.close()
    return status == 200


def post(collector, body):
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=30)
    connection.request("POST", TP2, body, JSON)
    status = connection.getresponse().status
    connection.close()
    return status


def body_of(**event):
    return json.dumps(
        {
            "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
            "data": [{"e": "pv", "p": "web", "tv": "t", **event}],
        }
    )


@pytest.mark.parametrize(
    "text",
    [
        "Ω" * 20_000,
        "日" * 200_000,
        "e\u0301" * 100_000,
        "\u0301" * 200_000,
        "\x1b[31m" * 50_000,
        "\U0001f468\u200d" * 50_000,
        "\ud83d" * 20_000,
        "\u202e" * 20_000,
        "x" * 1_000_000,
    ],
    ids=["greek", "wide", "combined", "combining", "codes", "emoji", "halves", "bidi", "long"],
)
@pytest.mark.parametrize("name", ["page", "uid", "se_ca", "e", "eid"])
def test_the_table_takes_any_event(text, name):
    """A table of it is made in bounded time, fits, and holds nothing that steers a terminal."""
    event = CollectedEvent({"e": "se" if name == "se_ca" else "pv", name: text})
    began = time.process_time()
    table = format_table([event] * 5, width=80)
    assert time.process_time() - began < LIMIT
    assert all(each.isprintable() or each == "\n" for each in table)
    assert max(map(len, table.splitlines())) <= 4 * 80


@pytest.mark.parametrize(
    "data",
    [
        {"k" * 100_000: 1},
        {str(number): "x" * 100 for number in range(20_000)},
        ["x"] * 100_000,
        10**3_000,
        {"a": {"b": [[[[["x" * 100_000]]]]]}},
    ],
    ids=["key", "keys", "list", "number", "nested"],
)
def test_the_table_takes_any_data(data):
    """Self-describing data of any shape is shown in bounded time."""
    text = json.dumps(
        {
            "schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
            "data": {"schema": "iglu:com.acme/order/jsonschema/1-0-0", "data": data},
        }
    )
    event = CollectedEvent({"e": "ue", "ue_pr": text})
    began = time.process_time()
    format_table([event] * 5, width=80)
    assert event.unstruct["data"] == data
    assert time.process_time() - began < LIMIT


@pytest.mark.long
@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": '
        + "[" * 100_000,
        '"' + "\\" * 500_000,
        "9" * 1_000_000,
        "[" + "9" * 900_000 + "]",
        "[]" * 500_000,
        body_of(ue_pr="[" * 100_000),
        body_of(ue_px="W1tb" * 100_000),
        body_of(vid="9" * 500_000, se_va="9" * 500_000),
        body_of(url="http://" + "[" * 100_000, refr="a" * 500_000 + ":"),
        body_of(**{f"x{number}": number for number in range(20_000)}),
        '{"data": [' + "{}," * 5_000 + "{}]}",
        "\x00" * 100_000,
        b"\xff" * 100_000,
    ],
    ids=lambda body: f"{body[:12]!r}-{len(body)}",
)
def test_any_body_is_taken_and_told(collector, body):
    """It is answered, told to be bad in bounded time, and nothing ends."""
    assert post(collector, body) == 200
    began = time.process_time()
    if isinstance(collector, LiveCollector):
        deadline = time.monotonic() + 30
        while not collector.journal.counts["total"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert collector.journal.counts["good"] == 0
        assert len(json.dumps([each.summary() for each in collector.journal.latest_first()]))
    else:
        assert collector.problems
        assert len(collector.problems[0]) < 2_000
        collector.print_events(io.StringIO())
    assert time.process_time() - began < LIMIT
    assert alive(collector)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: \xb2", b"400"),
        (b"Content-Length: -1", b"400"),
        (b"Content-Length: +5", b"400"),
        (b"Content-Length: 1_0", b"400"),
        (b"Content-Length: 0x10", b"400"),
        (b"Content-Length: \xd9\xa1", b"400"),
        (b"Content-Length: 1, 1", b"400"),
        (b"Content-Length: ", b"400"),
        (b"Content-Length: " + b"9" * 30, b"413"),
        (b"Content-Length: " + b"9" * 5_000, b"413"),
        (b"Expect: 100-continue\r\nContent-Length: 99999999999", b"413"),
    ],
)
def test_an_odd_content_length_is_refused(collector, head, status):
    """The answer says so, and the next request is answered."""
    with socket.create_connection(("127.0.0.1", collector.port), timeout=10) as client:
        client.sendall(b"POST /a/b HTTP/1.1\r\n" + head + b"\r\n\r\n")
        assert client.recv(100).split()[1] == status
    assert alive(collector)


def test_a_body_that_is_too_large_is_not_kept(collector, monkeypatch):
    """It is read to its end so that the client hears 413, and takes no memory."""
    monkeypatch.setattr(collector_http, "_MAX_BODY", 100_000)
    assert post(collector, b"x" * 5_000_000) == 413
    assert all(request.size < 100_001 for request in collector.requests)
    assert alive(collector)


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"", b"P"),
        (b"POST /a/b HTTP/1.1\r\n", b"x: y\r\n"),
        (b"POST /a/b HTTP/1.1\r\nx: ", b"y"),
        (b"POST /a/b HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", b"z"),
    ],
)
def test_a_request_that_drips_is_ended(collector, monkeypatch, first, drip):
    """A request has a deadline as a whole, however lively it is."""
    monkeypatch.setattr(collector_http, "_REQUEST_TIMEOUT", 0.3)
    with socket.create_connection(("127.0.0.1", collector.port), timeout=10) as client:
        client.settimeout(0.05)
        client.sendall(first)
        deadline = time.monotonic() + 10
        answer = b""
        while time.monotonic() < deadline:
            try:
                client.sendall(drip)
                answer = client.recv(100)
            except socket.timeout:
                continue
            except OSError:
                break
            break
        assert time.monotonic() < deadline
        assert answer[:12] in (b"", b"HTTP/1.1 408", b"HTTP/1.1 431")
    assert alive(collector)


def test_an_idle_connection_is_closed(collector, monkeypatch):
    """A connection on which nothing happens ends, as a collector's does."""
    monkeypatch.setattr(collector_http, "_IDLE_TIMEOUT", 0.1)
    with socket.create_connection(("127.0.0.1", collector.port), timeout=10) as client:
        assert client.recv(1) == b""


def test_connections_that_say_nothing_make_room(collector, monkeypatch):
    """However many connections are opened, somebody who asks is answered."""
    monkeypatch.setattr(collector_http, "_MAX_CONNECTIONS", 20)
    silent = [socket.create_connection(("127.0.0.1", collector.port)) for _ in range(60)]
    try:
        assert alive(collector)
        assert alive(collector)
    finally:
        for each in silent:
            each.close()


def test_clients_that_vanish_are_no_trouble(collector):
    """Connections that are reset in the middle of anything leave the collector as it was."""
    for sent in (b"", b"POST", b"POST /a/b HTTP/1.1\r\nContent-Length: 9\r\n\r\nx", b"\r\n\r\n"):
        client = socket.create_connection(("127.0.0.1", collector.port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(sent)
        client.close()
    assert alive(collector)


@pytest.mark.long
def test_a_client_that_never_reads_is_left(collector, monkeypatch):
    """Answers that nobody reads do not hold a thread for ever."""
    monkeypatch.setattr(collector_http, "_ANSWER_TIMEOUT", 0.2)
    with socket.create_connection(("127.0.0.1", collector.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_000)
        client.settimeout(0.5)
        try:
            for _ in range(200_000):
                client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)
        except OSError:
            pass
    collector.stop()


def test_keepalive_and_pipelined_requests(collector):
    """Requests that come in one piece are answered one after the other."""
    with socket.create_connection(("127.0.0.1", collector.port), timeout=10) as client:
        client.sendall(
            b"GET /health HTTP/1.1\r\n\r\n\r\nGET /health HTTP/1.1\nConnection: close\n\n"
        )
        answers = b""
        while True:
            part = client.recv(1_000)
            if not part:
                break
            answers += part
    assert answers.count(b"200 OK") == 2


def test_a_bounded_collector_keeps_the_latest():
    """With a bound old requests go, and who waits still counts them all."""
    with Collector(max_requests=2) as collector:
        for _ in range(5):
            post(collector, body_of())
        assert len(collector.requests) == 2
        assert len(collector.wait_for(2)) == 2
    with pytest.raises(ValueError, match="max_requests is 0"):
        Collector(max_requests=0)


@pytest.mark.long
def test_a_request_of_very_many_events_is_bounded():
    """Of half a million events in one request the page has the first, and the number of the rest."""
    with LiveCollector() as collector:
        assert post(collector, '{"data": [' + "{}," * 500_000 + "{}]}") == 200
        deadline = time.monotonic() + 60
        while not collector.journal.counts["total"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        latest = collector.journal.latest_first()
        assert len(latest) == 10_000
        assert latest[0].problems == ("490,001 more events of this request are not shown",)
