"""The collector validates as the pipeline does: one table of what it accepts and what it refuses."""

import base64
import http.client
import json
import urllib.parse
import uuid

import pytest

from snowplow_tracker.testing import CollectedEvent, Collector

TP2 = "/com.snowplowanalytics.snowplow/tp2"
PAYLOAD_DATA = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
UNSTRUCT = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1"
ORDER = "iglu:com.acme/order/jsonschema/1-0-0"

EMOJI = "\U0001f600"

LENGTHS = {
    "tv": 100,
    "tna": 128,
    "aid": 255,
    "tz": 255,
    "lang": 255,
    "uid": 255,
    "duid": 128,
    "tnuid": 128,
    "ip": 128,
    "ua": 1000,
    "cd": 12,
    "cs": 128,
    "url": 10_000,
    "refr": 10_000,
    "page": 2000,
    "se_ca": 1000,
    "se_ac": 1000,
    "se_la": 4096,
    "se_pr": 1000,
    "tr_id": 255,
    "tr_af": 255,
    "tr_ci": 255,
    "tr_st": 255,
    "tr_co": 255,
    "ti_id": 255,
    "ti_sk": 255,
    "ti_nm": 255,
    "ti_ca": 255,
}
INTEGERS = ("vid", "pp_mix", "pp_max", "pp_miy", "pp_may", "ti_qu")
DECIMALS = ("se_va", "tr_tt", "tr_tx", "tr_sh", "ti_pr")
TIMES = ("dtm", "stm", "ttm")
SIZES = ("res", "vp", "ds")
UUIDS = ("eid", "sid")
CURRENCIES = ("tr_cu", "ti_cu")
FREE = [
    "ctype",
    "cookie",
    "fp",
    "tid",
    "nuid",
    "mac",
    "sa",
    "sn",
    "st",
    "sp",
    "ue_na",
    "ti_na",
    "f_pdf",
    "f_qt",
    "f_realp",
    "f_wma",
    "f_dir",
    "f_fla",
    "f_java",
    "f_gears",
    "f_ag",
    "ad_ba",
    "ad_ca",
    "ad_ad",
    "ad_uid",
]


def cases():
    for name, limit in LENGTHS.items():
        yield name, "x" * limit, True
        yield name, "x" * (limit + 1), False
        # Outside of the first plane a character is two units; all others are one.
        yield name, EMOJI * (limit // 2), True
        yield name, EMOJI * (limit // 2 + 1), False
        yield name, "é" * limit, True
        yield name, "Ω" * (limit + 1), False
        yield name, "日" * limit, True
    for name in INTEGERS:
        for value in ("0", "-0", "+5", "007", "2147483647", "-2147483648", "+0000000000000012"):
            yield name, value, True
        for value in (
            "2147483648",
            "-2147483649",
            "3.0",
            "1e3",
            "",
            " 1",
            "1 ",
            "0x10",
            "1_000",
            "1,000",
            "True",
            "NaN",
            "+",
            "--1",
            "9" * 100_000,
        ):
            yield name, value, False
    for name in DECIMALS:
        for value in ("0", "-1.5", "+1.5", ".5", "5.", "1e3", "1E-7", "1.5e+10", "00.10"):
            yield name, value, True
        for value in (
            "NaN",
            "nan",
            "inf",
            "-Infinity",
            "True",
            "",
            "1,5",
            "1.5.2",
            "e5",
            ".",
            "1e",
            "0x1p3",
            "12 EUR",
            "1/3",
            "1_000.0",
            "1e99999999999",
        ):
            yield name, value, False
    for name in TIMES:
        for value in (
            "0",
            "1700000000000",
            "+1700000000000",
            "-1",
            "-62167219200000",
            "253402300799999",
        ):
            yield name, value, True
        for value in (
            "253402300800000",
            "-62167219200001",
            "1700000000000000",
            "1700000000000000000",
            "1700000000.5",
            "1700000000000.0",
            "1.7e12",
            "2023-11-14T22:13:20Z",
            "",
            "now",
        ):
            yield name, value, False
    for name in SIZES:
        for value in ("0x0", "1920x1080", "2147483647x1"):
            yield name, value, True
        for value in (
            "1920",
            "1920.0x1080.0",
            "1920X1080",
            "x",
            "-1x1",
            "2147483648x1",
            "1x1x1",
            "",
        ):
            yield name, value, False
    for name in UUIDS:
        yield name, str(uuid.UUID(int=7)), True
        yield name, str(uuid.UUID(int=0x5D047A9ED02D4BEC90000000000ABCDE)).upper(), True
        for value in (
            uuid.UUID(int=0x5D047A9ED02D4BEC90000000000ABCDE).hex,
            "1-1-1-1-1",
            f"{{{uuid.UUID(int=0x5D047A9ED02D4BEC90000000000ABCDE)}}}",
            "",
            "session-7",
        ):
            yield name, value, False
    for name in CURRENCIES:
        yield name, "EUR", True
        for value in ("EURO", "EU", "€"):
            yield name, value, False
    for name in FREE:
        yield name, "anything at all " * 1000, True
    for value in ("web", "iot", "app", "mob", "pc", "cnsl", "tv", "srv", "headset"):
        yield "p", value, True
    for value in ("Web", "fridge", "", "mobile"):
        yield "p", value, False
    for value in ("pv", "pp", "se", "ue", "tr", "ti"):
        yield "e", value, True
    for value in ("ad", "PV", "", "page view"):
        yield "e", value, False
    for name in ("url", "refr"):
        for value in (
            "https://example.com",
            "https://example.com/a b?c={d}&e=f|g#h",
            "http://example.com/%zz",
            "http://example.com/[a]",
            "http://münchen.example/straße",
            "http://user:password@example.com:8080/",
            "http://[::1]:8080/",
            "http://a_b.example/",
            "file:///etc/hosts",
            "mailto:someone@example.com",
            "about:blank",
            "//example.com/x",
            "/only/a/path",
            "page",
            "android-app://com.acme.shop",
            "",
        ):
            yield name, value, True
        for value in (
            "http://",
            "https:",
            "http:///",
            "://example.com",
            "1http://example.com",
            "ht tp://example.com",
            "http://exa<mple.com/",
            "http://[::1",
            "http://[example]/",
            "http://exa\\mple.com/",
            "ht_tp://example.com",
        ):
            yield name, value, False
    for name, envelope, inner, good_data in (
        ("ue", UNSTRUCT, {"schema": ORDER, "data": {"total": 1}}, True),
        ("ue", UNSTRUCT, {"schema": ORDER, "data": "text"}, True),
        ("ue", UNSTRUCT, {"schema": ORDER}, False),
        ("ue", UNSTRUCT, {"schema": ORDER, "data": {}, "more": 1}, False),
        ("ue", UNSTRUCT, {"schema": "iglu:com.acme/order/1-0-0", "data": {}}, False),
        ("ue", UNSTRUCT, {"schema": "iglu:com.acme/order/jsonschema/0-0-0", "data": {}}, False),
        ("ue", UNSTRUCT, {"schema": "iglu:com.acme/order/jsonschema/1-00-0", "data": {}}, False),
        ("ue", UNSTRUCT, [], False),
        ("ue", CONTEXTS, {"schema": ORDER, "data": {}}, False),
        ("cx", CONTEXTS, [{"schema": ORDER, "data": {}}], True),
        ("cx", CONTEXTS, [], True),
        ("cx", CONTEXTS[:-1] + "0", [{"schema": ORDER, "data": {}}], True),
        ("cx", CONTEXTS, {"schema": ORDER, "data": {}}, False),
        ("cx", CONTEXTS, [{"schema": "order", "data": {}}], False),
        ("cx", UNSTRUCT, [{"schema": ORDER, "data": {}}], False),
    ):
        text = json.dumps({"schema": envelope, "data": inner})
        encoded = base64.urlsafe_b64encode(text.encode()).decode()
        plain_name, encoded_name = ("ue_pr", "ue_px") if name == "ue" else ("co", "cx")
        yield plain_name, text, good_data
        yield encoded_name, encoded, good_data
        yield encoded_name, encoded.rstrip("="), good_data
        yield encoded_name, text, False
        yield plain_name, encoded, False
    deep = json.dumps({"schema": UNSTRUCT, "data": {"schema": ORDER, "data": 0}})
    yield "ue_pr", deep.replace(" 0}", " " + "[" * 100 + "]" * 100 + "}"), True
    yield "ue_pr", deep.replace(" 0}", " " + "[" * 50_000 + "]" * 50_000 + "}"), False
    yield "ue_pr", deep.replace(" 0}", ' "' + "[" * 50_000 + '"}'), True
    yield "ue_pr", deep.replace(" 0}", " NaN}"), False
    yield "ue_pr", "[" * 100_000, False


CASES = list(cases())


def an_event(**changes):
    event = {
        "e": "pv",
        "p": "srv",
        "tv": "py",
        "eid": str(uuid.UUID(int=0x5D047A9ED02D4BEC90000000000ABCDE)),
        "dtm": "1700000000000",
    }
    event.update(changes)
    if event["e"] == "ue":
        event.setdefault(
            "ue_pr", json.dumps({"schema": UNSTRUCT, "data": {"schema": ORDER, "data": {}}})
        )
    return event


@pytest.mark.parametrize(
    ("name", "value", "is_good"), CASES, ids=[f"{n}={v[:20]!a}-{len(v)}" for n, v, _ in CASES]
)
def test_a_value_is_validated_as_in_the_pipeline(name, value, is_good):
    """Each value is good or refused by itself, and a refusal names the parameter."""
    problems = CollectedEvent(an_event(**{name: value})).problems
    assert (not problems) is is_good, problems
    assert is_good or any(
        name[:2] in each or "entit" in each or "event" in each for each in problems
    )


def ask(collector, method, target, body=None, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    try:
        connection.request(method, target, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


JSON = {"Content-Type": "application/json; charset=utf-8"}
QUERY = urllib.parse.urlencode(an_event())
BODY = json.dumps({"schema": PAYLOAD_DATA, "data": [an_event()]})


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "good", "bad"),
    [
        ("GET", f"/i?{QUERY}", None, 200, 1, 0),
        ("GET", f"/ice.png?{QUERY}", None, 200, 1, 0),
        ("GET", f"/i?{QUERY}&unheard_of=1&_ga=2", None, 200, 1, 0),
        ("HEAD", f"/i?{QUERY}", None, 200, 1, 0),
        ("GET", f"{TP2}?{QUERY}", None, 200, 1, 0),
        ("HEAD", f"{TP2}?{QUERY}", None, 200, 1, 0),
        ("GET", "/i", None, 200, 0, 0),
        ("POST", TP2, BODY, 200, 1, 0),
        ("POST", "/com.acme/track", BODY, 200, 0, 1),
        ("GET", f"/com.acme/track?{QUERY}", None, 200, 0, 1),
        ("POST", "/configured/path", BODY, 200, 1, 0),
        ("POST", "/i", BODY, 404, 0, 0),
        ("OPTIONS", TP2, None, 200, 0, 0),
        ("OPTIONS", "/i", None, 200, 0, 0),
        ("GET", "/robots.txt", None, 200, 0, 0),
        ("HEAD", "/robots.txt", None, 200, 0, 0),
        ("GET", "/health", None, 200, 0, 0),
        ("GET", "/nowhere", None, 404, 0, 0),
        ("DELETE", TP2, None, 404, 0, 0),
    ],
)
def test_requests_are_answered_as_a_collector_does(method, target, body, status, good, bad):
    """The status is a collector's, and what comes out is what the pipeline makes of it."""
    with Collector(paths=["/configured/path"]) as collector:
        answered, content = ask(collector, method, target, body, JSON if body else ())
        assert answered == status
        assert method != "HEAD" or not content
        assert (len(collector.good), len(collector.bad)) == (good, bad)


def test_a_get_without_an_event_is_a_problem():
    """What is accepted and then refused is told, an empty query too."""
    with Collector() as collector:
        ask(collector, "GET", "/i")
        assert collector.problems == ["request 0: the query string has no event"]


def test_an_unknown_path_is_named():
    """The problem says which path it was, and which there are."""
    with Collector() as collector:
        ask(collector, "POST", "/com.acme/track", BODY, JSON)
        [problem] = collector.problems
        assert "no adapter for '/com.acme/track'" in problem
        assert TP2 in problem


@pytest.mark.parametrize(("length", "is_good"), [(1000, True), (1001, False)])
def test_the_header_counts_where_there_is_no_user_agent(length, is_good):
    """Without ``ua`` the header becomes the user agent of the event, and must be as short."""
    with Collector() as collector:
        ask(collector, "POST", TP2, BODY, {**JSON, "User-Agent": "x" * length})
        assert len(collector.good) == is_good


def test_one_bad_value_of_a_get_is_not_about_strings():
    """A parameter that nobody knows spoils a POST, and does no harm to a GET."""
    with Collector() as collector:
        ask(collector, "POST", TP2, BODY.replace('"p":', '"unheard_of": "1", "p":'), JSON)
        assert len(collector.bad) == 1
