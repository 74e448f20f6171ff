"""Whatever bytes come to the socket of the collector."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snowplow_tracker.testing import Collector
from snowplow_tracker.testing.live_collector import LiveCollector
from support.repetitions import repetitions

TP2 = b"/com.snowplowanalytics.snowplow/tp2"
PAYLOAD_DATA = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
EVENT = {"e": "pv", "p": "srv", "tv": "test", "eid": "6dd4ac4d-1a2a-4a4c-8a1a-4d1d4a9c9b11"}
FEW = settings(
    max_examples=repetitions(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

line_ends = st.sampled_from([b"\r\n", b"\n", b"\r", b""])
methods = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"get", b"PUT"]) | st.binary(
    max_size=5
)
targets = (
    st.sampled_from([TP2, b"/i", b"/", b"/health", b"*", b"http://x/i", b"/micro/all", b"/%ff%00"])
    | st.builds(b"/i?%b".__mod__, st.binary(max_size=20))
    | st.binary(max_size=12)
)
usual_names = b"Content-Length Content-Type Cookie Origin Expect Connection Transfer-Encoding"
header_names = st.sampled_from([*usual_names.split(), b"SP-Anonymous"]) | st.binary(max_size=6)
usual_values = b"application/json 100-continue chunked close keep-alive gzip 1_0 \xb2 sp=\xff"
header_values = (
    st.sampled_from([*usual_values.split(), b"sp=a; sp", b'sp="\\012x"'])
    | st.integers(-1, 40).map(lambda number: b"%d" % number)
    | st.integers(0, 10**25).map(lambda number: b"%d" % number)
    | st.binary(max_size=10)
)
some_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["e", "eid", "ue_px", "ue_pr", "cx", "co", "p", "schema", "data"])
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
requests = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda line, end, headers, blank, body: b"%b%b%b%b%b" % (line, end, headers, blank, body),
        st.builds(
            b"%b %b HTTP/%b".__mod__,
            st.tuples(methods, targets, st.sampled_from([b"1.1", b"1.0", b"2", b""])),
        ),
        line_ends,
        st.lists(
            st.builds(b"%b: %b%b".__mod__, st.tuples(header_names, header_values, line_ends)),
            max_size=5,
        ).map(b"".join),
        line_ends,
        st.binary(max_size=40),
    ),
)
bodies = (
    st.binary(max_size=30)
    | some_json.map(lambda value: json.dumps(value).encode())
    | st.lists(some_json, max_size=3).map(
        lambda events: json.dumps({"schema": PAYLOAD_DATA, "data": events}).encode()
    )
)


@pytest.fixture(scope="module", params=[Collector, LiveCollector])
def collector(request):
    with request.param() as running:
        yield running


def send(collector, request):
    """Send bytes, and read until the collector hangs up."""
    answer = b""
    with contextlib.suppress(ConnectionError), socket.create_connection(
        ("127.0.0.1", collector.port), 10
    ) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        while True:
            received = connection.recv(65_536)
            if not received:
                break
            answer += received
    return answer


def is_serving(collector):
    """Return whether the collector takes an event, and keeps it."""
    collector.clear()
    body = json.dumps({"schema": PAYLOAD_DATA, "data": [EVENT]})
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    connection.request("POST", TP2.decode(), body, {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status == 200 and [event["eid"] for event in collector.events] == [EVENT["eid"]]


@FEW
@given(request=requests, more=requests)
@example(request=b"GET /i?e=pv HTTP/1.1\nOrigin: a\rb\n\n", more=b"")
@example(request=b'GET /i?e=pv HTTP/1.1\nCookie: sp="a\\012x: c"\n\n', more=b"")
def test_any_bytes_leave_the_collector_serving(collector, request, more):
    """After any bytes on its socket the collector goes on to serve, and says what it made of them."""
    answer = send(collector, request + more)
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\n")[1:]:
        assert line.partition(b": ")[0] not in (b"x", b"")
        assert b"\r" not in line.rstrip(b"\r")
    collector.print_events(io.StringIO())
    assert is_serving(collector)


@FEW
@given(body=bodies)
def test_any_body_is_taken_and_explained(collector, body):
    """Any body of a POST request is answered, its events can be looked at, and what is wrong is said in sentences."""
    head = b"POST %b HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    collector.clear()
    answer = send(collector, head % (TP2, len(body)) + body)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert all(isinstance(problem, str) for problem in collector.problems)
    for event in collector.events:
        assert isinstance(event.event_name, str) or event.event_name is None
        assert isinstance(event.contexts, list)
        assert all(isinstance(problem, str) for problem in event.problems)
        repr(event)
    collector.print_events(io.StringIO())
    assert is_serving(collector)
