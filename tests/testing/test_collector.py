"""The local collector: what it takes, what it says about it, and how it misbehaves when asked to."""

import http.client
import io
import itertools
import json
import math
import socket
import ssl
import threading
import uuid

import pytest

from snowplow_tracker import (
    Emitter,
    PageView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Tracker,
)
from snowplow_tracker.testing import Collector, EventsMissingError, Response
from support.certificates import make_certificate

PAYLOAD_DATA = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
JSON = {"Content-Type": "application/json; charset=utf-8"}
TP2 = "/com.snowplowanalytics.snowplow/tp2"


@pytest.fixture
def collector():
    with Collector() as running:
        yield running


NUMBERS = itertools.count(1)


def next_id():
    """Return an id that is the same in every process that collects the tests."""
    return str(uuid.UUID(int=next(NUMBERS), version=4))


def an_event(**changes):
    event = {"e": "pv", "p": "srv", "tv": "test", "eid": next_id(), "dtm": "1700000000000"}
    event.update(changes)
    return {name: value for name, value in event.items() if value is not None}


def a_body(*events, schema=PAYLOAD_DATA):
    return json.dumps({"schema": schema, "data": events})


def ask(collector, method, path, body=None, headers=JSON):
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


@pytest.mark.parametrize("method", ["post", "get"])
@pytest.mark.parametrize("encode_base64", [True, False])
def test_events_arrive_decoded(collector, method, encode_base64):
    """Self-describing data and entities are read whichever way they were sent."""
    tracker = Tracker("ns", Emitter(collector.endpoint, method=method), encode_base64=encode_base64)
    entity = SelfDescribingJson("iglu:com.acme/user/jsonschema/1-0-0", {"name": "Zoë ☂"})
    event_id = tracker.track(
        SelfDescribing(
            SelfDescribingJson("iglu:com.acme/order/jsonschema/1-0-0", {"total": 2.5}),
            context=[entity],
        )
    )
    tracker.flush()

    [event] = collector.wait_for(1)

    assert event.event_id == event_id
    assert (event.event_type, event.event_name) == ("ue", "order")
    assert event.unstruct == {
        "schema": "iglu:com.acme/order/jsonschema/1-0-0",
        "data": {"total": 2.5},
    }
    assert event.contexts == [entity.to_json()]
    assert event.entities == event.contexts
    assert event.method == method.upper()
    assert "user-agent" in event.headers
    assert "User-Agent" in event.headers
    assert collector.good == [event]
    assert collector.problems == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", TP2, 200),
        ("POST", "/com.acme/track", 200),
        ("POST", "/", 404),
        ("POST", "/one", 404),
        ("GET", "/i?e=pv", 200),
        ("GET", "/health", 200),
        ("GET", "/elsewhere", 404),
        ("PUT", TP2, 404),
    ],
)
def test_paths_are_those_of_a_collector(collector, method, path, status):
    """Only the paths that a real collector knows are answered with 200."""
    assert ask(collector, method, path, a_body(an_event()))[0] == status


def test_health_checks_are_not_kept(collector):
    """A health check is answered and leaves no trace among the requests."""
    assert ask(collector, "GET", "/health")[:2] == (200, b"OK")
    assert collector.requests == []


def test_a_payload_that_is_too_large_is_answered_200_and_thrown_away(collector):
    """Over 1,048,576 bytes the answer is 200, but the events are gone; over twice that it is 413."""
    large = a_body(an_event(url="x" * 1_048_576))
    assert ask(collector, "POST", TP2, large)[0] == 200
    assert ask(collector, "POST", TP2, large + " " * 1_048_576)[0] == 413

    assert collector.events == []
    assert "thrown away" in collector.problems[0]
    assert len(collector.requests[0].events) == 1


def test_a_request_line_that_is_too_long_is_refused(collector):
    """A GET over 20,480 bytes is answered 400."""
    assert ask(collector, "GET", "/i?e=pv&url=" + "x" * 20_480)[0] == 400
    assert collector.events == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        (a_body(), "no events"),
        (a_body(an_event(), schema="iglu:com.acme/other/jsonschema/1-0-0"), "schema"),
        (a_body(an_event(), "text"), "event 1: not an object"),
        (a_body(an_event(e=None)), "e is missing"),
        (a_body(an_event(p=None)), "p is missing"),
        (a_body(an_event(tv=None)), "tv is missing"),
        (a_body(an_event(unheard_of="1")), "'unheard_of' is not a parameter"),
        (a_body(an_event(vid=3)), "vid is 3, which is not a string"),
    ],
)
def test_what_spoils_a_post_spoils_every_event_in_it(collector, body, problem):
    """A request that breaks the schema of the payload is bad as a whole, good events included."""
    ask(collector, "POST", TP2, body)

    [request] = collector.requests
    assert request.status == 200
    assert request.spoiled
    assert any(problem in each for each in collector.problems)
    assert collector.good == []


def test_problems_name_events_by_their_place(collector):
    """What is no object counts, so that the number of a bad event is that in the body of its request."""
    ask(collector, "POST", TP2, a_body("text", an_event(), an_event(eid=None)))
    assert collector.problems == [
        "request 0: event 0: not an object",
        "request 0: event 2: eid is missing",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("e", "xx"),
        ("eid", "not-a-uuid"),
        ("eid", None),
        ("p", "fridge"),
        ("dtm", "1700000000.5"),
        ("res", "1920"),
        ("vid", "2147483648"),
        ("se_va", "much"),
        ("tr_cu", "EURO"),
        ("uid", "u" * 256),
        ("ue_px", "!!!"),
        ("ue_pr", '{"schema": "iglu:com.acme/a/jsonschema/1-0-0", "data": {}}'),
        ("co", '{"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1"}'),
        ("co", "NaN"),
    ],
)
def test_a_bad_value_makes_its_own_event_bad(collector, name, value):
    """A value that breaks its rule fails its event and leaves the others in the request good."""
    good = an_event()
    ask(collector, "POST", TP2, a_body(an_event(**{name: value}), good))

    assert [event.parameters for event in collector.good] == [good]
    [bad] = collector.bad
    assert len(bad.problems) == 1
    assert bad.problems[0].startswith(name[:2])


@pytest.mark.parametrize("content_type", ["text/plain", "application/json; charset=latin-1"])
def test_another_content_type_is_a_problem(collector, content_type):
    """The pipeline reads nothing but JSON in UTF-8, and says so."""
    ask(collector, "POST", TP2, a_body(an_event()), {"Content-Type": content_type})
    assert "content type" in collector.problems[0]
    assert collector.good == []


def test_wait_for_returns_as_soon_as_events_arrive(collector):
    """Events that arrive while somebody waits end the wait."""
    found = []
    waiter = threading.Thread(target=lambda: found.extend(collector.wait_for(2, timeout=30)))
    waiter.start()
    ask(collector, "POST", TP2, a_body(an_event()))
    ask(collector, "POST", TP2, a_body(an_event()))
    waiter.join(10)
    assert len(found) == 2


def test_wait_for_counts_only_what_was_asked_for(collector):
    """With a condition, other events neither count nor are returned."""
    ask(collector, "POST", TP2, a_body(an_event(), an_event(e="pp")))
    [ping] = collector.wait_for(1, where=lambda event: event.event_type == "pp")
    assert ping["e"] == "pp"


def test_wait_for_says_what_arrived_instead(collector):
    """The error shows the events that came, and the requests that were not accepted."""
    collector.respond = lambda request: Response(503) if "down" in request.path else None
    ask(collector, "POST", TP2, a_body(an_event(page="Lamps")))
    ask(collector, "POST", "/com.acme/down", a_body(an_event()))
    with pytest.raises(EventsMissingError) as caught:
        collector.wait_for(2, timeout=0.01)
    assert "waited 0.01 s for 2 events, but 1 arrived, in 2 requests" in str(caught.value)
    assert "Lamps" in str(caught.value)
    assert "/com.acme/down" in str(caught.value)
    assert "503" in str(caught.value)


def test_clear_forgets_what_arrived(collector):
    """After a clear only new events count."""
    ask(collector, "POST", TP2, a_body(an_event()))
    collector.clear()
    assert collector.requests == []
    with pytest.raises(EventsMissingError):
        collector.wait_for(1, timeout=0)


def test_a_refused_request_is_kept_but_its_events_are_not(collector):
    """Only what was answered with 2xx counts as arrived; the request can still be looked at."""
    collector.respond = lambda _request: Response(503, {"Retry-After": "1"}, b"later")
    status, body, headers = ask(collector, "POST", TP2, a_body(an_event()))
    assert (status, body, headers["Retry-After"]) == (503, b"later", "1")
    assert collector.events == []
    [request] = collector.wait_for_requests(1)
    assert (request.status, len(request.events)) == (503, 1)


def test_a_dropped_answer_is_a_reset_after_the_events_were_taken(collector):
    """The client sees a reset although the collector has the events: its retry repeats them."""
    collector.respond = lambda _request: Response(drop=True)
    with pytest.raises(ConnectionError):
        ask(collector, "POST", TP2, a_body(an_event()))
    assert len(collector.events) == 1


def test_redirects_are_possible(collector):
    """The hook can send the client elsewhere."""
    collector.respond = lambda _request: Response(301, {"Location": "https://127.0.0.1:1/"})
    status, _, headers = ask(collector, "POST", TP2, a_body(an_event()))
    assert (status, headers["Location"]) == (301, "https://127.0.0.1:1/")


def test_stop_cuts_a_request_that_is_never_answered(collector):
    """Stopping does not wait for answers that are delayed for ever, and leaves no thread behind."""
    collector.respond = lambda _request: Response(delay=math.inf)
    failed = threading.Event()

    def call():
        try:
            ask(collector, "POST", TP2, a_body(an_event()))
        except (OSError, http.client.HTTPException):
            failed.set()

    caller = threading.Thread(target=call)
    caller.start()
    collector.wait_for_requests(1)
    collector.stop()
    caller.join(5)
    assert failed.is_set()
    assert not [each for each in threading.enumerate() if "snowplow-collector" in each.name]


def test_a_stopped_collector_refuses_and_comes_back_on_its_port(collector):
    """An outage ends where it began: same port, and what arrived before is still there."""
    ask(collector, "POST", TP2, a_body(an_event()))
    endpoint = collector.endpoint
    collector.stop()
    with pytest.raises(ConnectionRefusedError):
        ask(collector, "POST", TP2, a_body(an_event()))
    collector.start()
    ask(collector, "POST", TP2, a_body(an_event()))
    assert collector.endpoint == endpoint
    assert len(collector.events) == 2


def test_stop_and_start_may_be_called_twice():
    """Starting what runs and stopping what is stopped changes nothing."""
    collector = Collector()
    collector.stop()
    port = collector.start().port
    assert collector.start().port == port
    collector.stop()
    collector.stop()


def test_a_taken_port_is_an_error(collector):
    """Two collectors cannot have one port."""
    with pytest.raises(OSError, match="in use"):
        Collector(collector.port).start()


def test_https_is_spoken_with_the_certificate_given(tmp_path):
    """With an SSL context the collector speaks https only, and can be stopped like any other."""
    certificate = make_certificate(tmp_path)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    client_side = ssl.create_default_context(cafile=str(certificate))
    with Collector(ssl_context=server_side) as collector:
        assert collector.endpoint.startswith("https://")
        client = http.client.HTTPSConnection(
            "127.0.0.1", collector.port, timeout=10, context=client_side
        )
        client.request("POST", TP2, a_body(an_event()), JSON)
        assert client.getresponse().read() == b"ok"
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(collector, "GET", "/health")
        assert len(collector.events) == 1
    # The connection was open until now: the stop cut it, and its thread is gone.
    client.close()
    assert not [each for each in threading.enumerate() if "snowplow-collector" in each.name]


def test_connections_are_kept(collector):
    """Many requests go through one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("POST", TP2, a_body(an_event()), JSON)
        connection.getresponse().read()
    assert connection.sock is first
    connection.close()
    assert len(collector.events) == 3


def test_the_cookie_names_a_network_user():
    """On request the cookie of a collector is set, kept for who sends it, and not for the anonymous."""
    with Collector(cookie=True) as collector:
        cookie = ask(collector, "POST", TP2, a_body(an_event()))[2]["Set-Cookie"]
        again = ask(collector, "POST", TP2, a_body(an_event()), {**JSON, "Cookie": cookie})[2]
        anonymous = ask(collector, "POST", TP2, a_body(an_event()), {**JSON, "SP-Anonymous": "*"})
    assert cookie.startswith("sp=")
    assert again["Set-Cookie"] == cookie
    assert "Set-Cookie" not in anonymous[2]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST /a/b HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"400"),
        (b"POST /a/b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST /a/b HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 201, b"431"),
    ],
)
def test_what_cannot_be_read_is_refused(collector, sent, status):
    """A malformed request gets an answer that says so, and the connection ends."""
    with socket.create_connection(("127.0.0.1", collector.port), timeout=10) as client:
        client.sendall(sent)
        assert client.recv(100).split()[1] == status


def test_a_client_that_waits_for_permission_gets_it(collector):
    """`Expect: 100-continue`, which curl sends with large bodies, is answered."""
    body = a_body(an_event()).encode()
    with socket.create_connection(("127.0.0.1", collector.port), timeout=10) as client:
        client.sendall(
            b"POST /a/b HTTP/1.1\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert b"100 Continue" in client.recv(100)
        client.sendall(body)
        collector.wait_for(1)


def test_the_table_fits_the_width(collector):
    """No line is wider than asked for, and wide characters count twice."""
    tracker = Tracker("ns", Emitter(collector.endpoint, batch_size=1))
    tracker.track(PageView("https://example.com/" + "long/" * 30, page_title="日本語" * 20))
    tracker.track(StructuredEvent("shop", "add\x1b[31m\nto-basket", value=2))
    tracker.flush()
    out = io.StringIO()
    collector.print_events(out, width=70)
    lines = out.getvalue().splitlines()
    assert "2 events" in lines
    assert "日本語" in lines[2]
    assert max(len(line) + sum(each > "⺀" for each in line) for line in lines) <= 70
    assert "shop | add?[31m?to-basket | 2" in lines[3]


def test_the_table_can_be_printed_in_any_encoding(collector):
    """What an ASCII terminal cannot show becomes a question mark, not an error."""
    ask(collector, "POST", TP2, a_body(an_event(page="Zoë")))
    raw = io.BytesIO()
    terminal = io.TextIOWrapper(raw, encoding="ascii")
    collector.print_events(terminal)
    assert b"Zo?" in raw.getvalue()


@pytest.mark.long
def test_many_requests_are_swallowed(collector):
    """50,000 events in 500 requests arrive whole."""
    body = a_body(*[an_event() for _ in range(100)])
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    for _ in range(500):
        connection.request("POST", TP2, body, JSON)
        connection.getresponse().read()
    connection.close()
    assert len(collector.wait_for(50_000)) == 50_000
