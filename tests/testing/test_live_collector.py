"""The endpoints beside the page: those of Snowplow Micro, and who may ask."""

import http.client
import json
import threading
import time
import uuid

import pytest

from snowplow_tracker import (
    Emitter,
    Event,
    PagePing,
    PageView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)
from snowplow_tracker.testing.live_collector import LiveCollector

ORDER = "iglu:com.acme/order/jsonschema/1-0-0"
USER = "iglu:com.acme/user/jsonschema/1-0-0"
TP2 = "/com.snowplowanalytics.snowplow/tp2"
SCHEMA = {
    "$schema": "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
    "self": {"vendor": "com.acme", "name": "order", "format": "jsonschema", "version": "1-0-0"},
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"properties": {"price": {"type": "number"}}}}
    },
}


@pytest.fixture
def collector():
    with LiveCollector() as running:
        yield running


def ask(collector, method, path, body=None, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=20)
    try:
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def ask_json(collector, method, path, body=None):
    status, answer, headers = ask(collector, method, path, body)
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    return status, json.loads(answer)


def wait_for_validated(collector, count):
    """Wait until so many events are validated."""
    deadline = time.monotonic() + 20
    while collector.journal.counts["total"] < count:
        assert time.monotonic() < deadline, collector.journal.counts
        time.sleep(0.01)


@pytest.fixture
def tracked(collector):
    tracker = Tracker("shop", Emitter(collector.endpoint, batch_size=1), app_id="shop-web")
    tracker.track(PageView("https://shop.example/lamps", page_title="Lamps"))
    tracker.track(StructuredEvent("shop", "add", value=2.5))
    tracker.track(
        SelfDescribing(
            SelfDescribingJson(ORDER, {"id": "A-1"}),
            context=[SelfDescribingJson(USER, {"tier": "gold"})],
            event_subject=Subject().set_viewport(1200, 800).set_user_id("visitor-7"),
        )
    )
    tracker.track(Event({"e": "se", "se_ca": "shop", "se_ac": "pay", "se_va": "much"}))
    tracker.track(Event({"e": "se", "se_ca": "shop", "se_ac": "huge", "se_va": "1e999"}))
    wait_for_validated(collector, 5)
    return collector


def test_micro_counts(tracked):
    """``/micro/all`` has the three counts."""
    assert ask_json(tracked, "GET", "/micro/all") == (200, {"total": 5, "good": 4, "bad": 1})


def test_micro_good_has_the_published_fields(tracked):
    """A good event has its raw event, type, schema, contexts and the enriched event; latest first."""
    status, good = ask_json(tracked, "GET", "/micro/good")
    assert status == 200
    assert [each["eventType"] for each in good] == ["struct", "unstruct", "struct", "page_view"]
    order = good[1]
    assert set(order) == {"rawEvent", "eventType", "schema", "contexts", "event"}
    assert order["schema"] == ORDER
    assert order["contexts"] == [USER]
    assert set(order["rawEvent"]) == {"api", "parameters", "contentType", "source", "context"}
    assert order["rawEvent"]["api"] == {
        "vendor": "com.snowplowanalytics.snowplow",
        "version": "tp2",
    }
    assert order["rawEvent"]["parameters"]["uid"] == "visitor-7"
    event = order["event"]
    assert event["user_id"] == "visitor-7"
    assert (event["br_viewwidth"], event["br_viewheight"]) == (1200, 800)
    assert event["unstruct_event"]["data"] == {"schema": ORDER, "data": {"id": "A-1"}}
    assert event["contexts"]["data"] == [{"schema": USER, "data": {"tier": "gold"}}]
    assert (event["event_vendor"], event["event_name"]) == ("com.acme", "order")
    assert good[3]["schema"] == "iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0"
    assert good[3]["event"]["page_url"] == "https://shop.example/lamps"
    assert good[2]["event"]["se_value"] == 2.5


def test_micro_bad_has_the_published_fields(tracked):
    """A bad event has how it arrived, the raw event and the reasons."""
    [bad] = ask_json(tracked, "GET", "/micro/bad")[1]
    assert set(bad) == {"collectorPayload", "rawEvent", "errors"}
    assert bad["errors"] == ["se_va is 'much', but must be a decimal number"]
    assert json.loads(bad["collectorPayload"]["body"])["data"][0]["se_ac"] == "pay"


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 4),
        ({"event_type": "struct"}, 2),
        ({"event_type": "se"}, 2),
        ({"event_type": "transaction"}, 0),
        ({"schema": ORDER}, 1),
        ({"contexts": [USER]}, 1),
        ({"contexts": [USER, ORDER]}, 0),
        ({"contexts": []}, 4),
        ({"limit": 2}, 2),
        ({"limit": 0}, 0),
        ({"event_type": "unstruct", "schema": ORDER, "contexts": [USER], "limit": 10}, 1),
        ({"event_type": None}, 4),
    ],
)
def test_micro_filters_good(tracked, filters, count):
    """A POST to ``/micro/good`` leaves what has the type, the schema and all contexts."""
    status, good = ask_json(tracked, "POST", "/micro/good", filters)
    assert (status, len(good)) == (200, count)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 1),
        ({"vendor": "com.snowplowanalytics.snowplow", "version": "tp2"}, 1),
        ({"vendor": "com.acme"}, 0),
        ({"limit": 0}, 0),
    ],
)
def test_micro_filters_bad(tracked, filters, count):
    """A POST to ``/micro/bad`` filters by vendor and version."""
    assert len(ask_json(tracked, "POST", "/micro/bad", filters)[1]) == count


@pytest.mark.parametrize(
    "body",
    [
        "[",
        "[]",
        '{"limit": -1}',
        '{"schema": 5}',
        '{"contexts": "x"}',
        '{"contexts": [5]}',
        b"\xff",
        "[" * 100_000,
    ],
)
def test_filters_that_make_no_sense_are_a_400(tracked, body):
    """The answer says what is wrong with them."""
    status, answer = ask_json(tracked, "POST", "/micro/good", body)
    assert status == 400
    assert answer["error"]


@pytest.mark.long
@pytest.mark.parametrize("path", ["/micro/all", "/micro/good"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_was_answered_is_found_at_once(collector, method, path):
    """A test that asks right after a flush misses nothing, without waiting."""
    many = json.dumps(
        {
            "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
            "data": [
                {"e": "pv", "p": "web", "tv": "t", "eid": str(uuid.uuid4())} for _ in range(2_000)
            ],
        }
    )
    ask(collector, "POST", TP2, many, {"Content-Type": "application/json"})
    answer = ask_json(collector, method, path)[1]
    assert (answer["good"] if path == "/micro/all" else len(answer)) == 2_000


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_micro_reset_forgets(tracked, method):
    """After a reset all counts are 0, and new events count again."""
    nothing = {"total": 0, "good": 0, "bad": 0}
    assert ask_json(tracked, method, "/micro/reset") == (200, nothing)
    assert ask_json(tracked, "GET", "/micro/all") == (200, nothing)
    assert ask_json(tracked, "GET", "/micro/good") == (200, [])
    Tracker("ns", Emitter(tracked.endpoint, batch_size=1)).track(PageView("https://a.example"))
    wait_for_validated(tracked, 1)
    assert len(ask_json(tracked, "GET", "/micro/good")[1]) == 1


def test_schemas_validate_and_are_served(tmp_path):
    """With a folder of schemas wrong data is bad with its JSON path, and the schema can be had."""
    pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    path = tmp_path / "com.acme" / "order" / "jsonschema"
    path.mkdir(parents=True)
    (path / "1-0-0").write_text(json.dumps(SCHEMA))
    with LiveCollector(schemas=str(tmp_path)) as collector:
        tracker = Tracker("ns", Emitter(collector.endpoint, batch_size=1))
        tracker.track(SelfDescribing(SelfDescribingJson(ORDER, {"items": [{"price": "3"}]})))
        tracker.track(SelfDescribing(SelfDescribingJson(ORDER, {"items": [{"price": 3}]})))
        tracker.track(SelfDescribing(SelfDescribingJson(USER, {})))
        wait_for_validated(collector, 3)
        unknown, wrong = ask_json(collector, "GET", "/micro/bad")[1]
        assert "event at $.items[0].price: " in wrong["errors"][0]
        assert USER in unknown["errors"][0]
        assert ask_json(collector, "GET", f"/micro/iglu/{ORDER[5:]}") == (200, SCHEMA)
        assert ask_json(collector, "GET", f"/micro/iglu/{USER[5:]}")[0] == 404


def test_without_schemas_none_are_served(collector):
    """The answer says how to have some."""
    status, answer = ask_json(collector, "GET", f"/micro/iglu/{ORDER[5:]}")
    assert status == 404
    assert "--schemas" in answer["error"]


OURS = "127.0.0.1"
READ = ["/", "/page/stream", "/page/event?n=1", "/page/export", "/micro/all", "/micro/good"]


@pytest.mark.parametrize("path", [*READ, "/micro/reset", f"{TP2}?e=pv", "/i?e=pv", "/health"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9090",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "localhost.evil",
        "localhost:80@evil.example",
    ],
)
def test_a_foreign_host_is_refused(collector, path, host):
    """A name that somebody points at this machine does not open it to their page."""
    assert ask(collector, "GET", path, headers={"Host": host})[0] == 403
    assert collector.journal.counts["total"] == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
)
@pytest.mark.parametrize("path", ["/micro/good", "/page/event?n=1", "/micro/reset", "/page/clear"])
def test_a_foreign_page_is_refused(tracked, path, headers):
    """Pages of other sites can neither read what was collected nor clear it."""
    for method in ("GET", "POST"):
        assert ask(tracked, method, path, headers=headers)[0] == 403
    assert tracked.journal.counts["total"] == 5


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("http://app.localhost", 200),
        ("http://127.0.0.1:8000", 200),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
        ("http://shop.test", 200),
    ],
)
def test_pages_of_ones_own_may_send_events(origin, status):
    """An app in development sends from another port; the pages of others do not."""
    with LiveCollector(hosts=["shop.test"]) as collector:
        answered, _, headers = ask(collector, "GET", "/i?e=pv", headers={"Origin": origin})
        assert answered == status
        assert headers.get("Access-Control-Allow-Origin") == (origin if status == 200 else None)


def test_the_own_page_and_links_are_let_in(collector):
    """The page asks from its own origin; a link from elsewhere may lead to the page."""
    own = {"Origin": collector.endpoint, "Sec-Fetch-Site": "same-origin"}
    assert ask(collector, "POST", "/page/clear", headers=own)[0] == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert ask(collector, "GET", "/", headers=link)[0] == 200
    for host in ("localhost:9090", "127.0.0.1", "[::1]:80", "LOCALHOST."):
        assert ask(collector, "GET", "/", headers={"Host": host})[0] == 200


def test_the_page_runs_its_own_script_only(collector):
    """One file, with a policy that names its script and style by their hashes."""
    status, page, headers = ask(collector, "GET", "/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for word in (
        b"http://",
        b"https://",
        b"innerHTML",
        b" src=",
        b"@import",
        b'<link rel="stylesheet',
    ):
        assert word not in page.replace(b"https://example.com/", b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/page/clear", 405),
        ("DELETE", "/micro/good", 405),
        ("POST", "/", 405),
        ("GET", "/micro/unheard-of", 404),
        ("GET", "/page/unheard-of", 404),
        ("GET", "/page/event", 404),
        ("GET", "/page/event?n=%C2%B2", 404),
        ("GET", f"/page/event?n={'9' * 5000}", 404),
        ("GET", "/micro/iglu/../../etc/passwd/1-0-0", 404),
        ("HEAD", "/", 200),
        ("HEAD", "/page/stream", 200),
    ],
)
def test_other_ways_to_ask(collector, method, path, status):
    """What there is not is a 404, and what cannot be done with it a 405."""
    assert ask(collector, method, path)[0] == status


def test_events_are_exported_as_json_lines(tracked):
    """Each line is an event, in the order of arrival."""
    lines = [json.loads(line) for line in ask(tracked, "GET", "/page/export")[1].splitlines()]
    assert [line["good"] for line in lines] == [True, True, True, False, True]
    assert lines[2]["event"] == {"schema": ORDER, "data": {"id": "A-1"}}
    assert lines[2]["entities"] == [{"schema": USER, "data": {"tier": "gold"}}]


def test_only_the_latest_are_kept():
    """The number of events is bounded; the counts go on."""
    with LiveCollector(max_events=3) as collector:
        tracker = Tracker("ns", Emitter(collector.endpoint, batch_size=1))
        for number in range(10):
            tracker.track(PageView(f"https://shop.example/{number}"))
        wait_for_validated(collector, 10)
        good = ask_json(collector, "GET", "/micro/good")[1]
        assert [each["event"]["page_url"][-1] for each in good] == ["9", "8", "7"]
        assert ask_json(collector, "GET", "/page/event?n=1")[0] == 404


def test_a_stream_goes_on_where_it_was(tracked):
    """Who connects again gets what came since, and after a clear everything anew."""

    def read(last_event_id, count):
        connection = http.client.HTTPConnection("127.0.0.1", tracked.port, timeout=20)
        connection.request("GET", "/page/stream", headers={"Last-Event-ID": last_event_id})
        response = connection.getresponse()
        found, identifier = [], ""
        while len(found) < count:
            line = response.readline().decode()
            if line.startswith("id: "):
                identifier = line[4:].strip()
            elif line.startswith("data: ") and "entries" in line:
                found.extend(each["n"] for each in json.loads(line[6:])["entries"])
        connection.close()
        return found, identifier

    found, identifier = read("", 5)
    assert found == [1, 2, 3, 4, 5]
    Tracker("ns", Emitter(tracked.endpoint, batch_size=1)).track(PageView("https://a.example"))
    assert read(identifier, 1)[0] == [6]
    assert read("another.process.7", 6)[0] == [1, 2, 3, 4, 5, 6]


def test_stop_ends_streams_and_threads(collector):
    """An open page does not hold up the end, and no thread is left."""
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=20)
    connection.request("GET", "/page/stream")
    connection.getresponse().readline()
    began = time.monotonic()
    collector.stop()
    assert time.monotonic() - began < 4
    connection.close()
    assert not [each for each in threading.enumerate() if "snowplow-collector" in each.name]


@pytest.mark.parametrize(
    "event",
    [
        PageView('https://shop.example/"quoted"\'s', page_title="Zoë \\ \n ☂", referrer="x"),
        PagePing("https://shop.example", min_x=1, max_x=2, min_y=3, max_y=4),
        StructuredEvent("shop", "add", "label", "property", 2.5, true_timestamp=1_700_000_000_000),
        StructuredEvent("shop", "add", value=2),
        SelfDescribing(
            SelfDescribingJson(ORDER, {"items": [{"sku": "lamp" * 9, "n": None}] * 9, "ok": True}),
            event_subject=Subject()
            .set_platform("srv")
            .set_user_id("u")
            .set_screen_resolution(1, 2)
            .set_color_depth(24)
            .set_domain_session_index(7)
            .set_domain_session_id(str(uuid.UUID(int=1)))
            .set_useragent("agent"),
            context=[SelfDescribingJson(USER, {"tier": "gold"}), SelfDescribingJson(USER, [1])],
        ),
        Event({"e": "tr", "tr_id": "1", "tr_tt": "5"}),
        Event({"e": "se", "se_ca": "a", "se_ac": "b", "se_va": "much"}),
    ],
)
def test_a_snippet_tracks_the_same_event(collector, event):
    """The program that the page offers tracks the event again, but for its id and times."""
    Tracker("shop", Emitter(collector.endpoint, batch_size=1), app_id="shop-web").track(event)
    wait_for_validated(collector, 1)
    program = ask_json(collector, "GET", "/page/event?n=1")[1]["snippet"]
    scope = {}
    exec(program.replace("http://127.0.0.1:9090", collector.endpoint), scope)  # noqa: S102 (the point)
    scope["Snowplow"].reset()
    wait_for_validated(collector, 2)
    again, first = (each.event for each in collector.journal.latest_first())
    own = ("eid", "dtm", "stm")
    assert {k: v for k, v in again.parameters.items() if k not in own} == {
        k: v for k, v in first.parameters.items() if k not in own
    }
