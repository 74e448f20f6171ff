"""Whatever is in the headers and cookies of a request, by WSGI and by ASGI."""

from __future__ import annotations

import asyncio
import ipaddress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from snowplow_tracker import StructuredEvent, Tracker
from snowplow_tracker.integrations.asgi import SnowplowMiddleware
from snowplow_tracker.integrations.wsgi import SnowplowMiddleware as WSGIMiddleware
from snowplow_tracker.testing import RecordingEmitter
from support import protocol
from support.inside import request_cookies
from support.repetitions import repetitions

header_text = st.text(st.characters(max_codepoint=255), max_size=24)
id_values = st.lists(
    header_text
    | st.sampled_from(
        ["", "1", "99999999999", "9" * 30, "-1", "²", "%2E", "%", "%ff", "%00", "x" * 200]
    )
    | st.integers().map(str)
    | st.uuids().map(str),
    max_size=8,
).map(".".join)
cookies = st.lists(
    st.one_of(
        header_text,
        st.builds("_sp_id.{}={}".format, st.text("1f;= ", max_size=4), id_values),
        st.builds("sp={}".format, header_text | st.uuids().map(str)),
    ),
    max_size=4,
).map("; ".join)


@settings(max_examples=repetitions(70))
@given(header=cookies | st.text(st.characters(), max_size=30))
def test_any_cookie_header_gives_pairs(header):
    """Of any `Cookie` header come names and values without the characters that divide them."""
    for name, value in request_cookies.parse_cookies(header):
        assert name == name.strip()
        assert not {";", "="} & set(name)
        assert ";" not in value


@settings(max_examples=repetitions(150))
@given(
    values=st.dictionaries(
        st.sampled_from(["_sp_id.a", "_sp_id.b", "_sp_id.", "sp"]), id_values, max_size=3
    ),
    suffix=st.none() | st.sampled_from(["a", "", "c"]),
)
@example(values={"_sp_id.a": "u.1.2.9999999999999999999.5", "_sp_id.b": "v.1.2.²"}, suffix=None)
def test_any_id_cookies_give_what_the_pipeline_takes(values, suffix):
    """Of any id cookies come only ids that the pipeline takes; a session belongs to a user."""
    found = request_cookies.id_cookie_values(values, "_sp_", suffix)
    assert set(found) <= {"duid", "vid", "sid"}
    assert not found or "duid" in found
    for name, value in found.items():
        assert protocol.RULES[name](str(value))


def by_asgi(scope, **options):
    """Return the event of one request through the ASGI middleware."""
    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter)

    async def app(scope, receive, send):
        tracker.track(StructuredEvent("a", "b"))

    async def run():
        await SnowplowMiddleware(app, **options)(scope, None, None)

    asyncio.run(run())
    [event] = emitter.events
    return event


known_names = b"cookie Cookie user-agent accept-language referer x-forwarded-for host dnt sec-gpc"
names = st.sampled_from([*known_names.split(), b"x-forwarded-proto"]) | st.binary(max_size=5)
addresses = (
    st.ip_addresses().map(str)
    | st.ip_addresses(v=6).map("[{}]:80".format)
    | st.ip_addresses(v=6).map("{}%eth0".format)
    | st.ip_addresses(v=4).map("{}:1".format)
    | st.sampled_from(["", "unknown", '"', "[", "]", "[::", "1.2.3", ":", "::%", "10.0.0.1"])
    | header_text
)
forwarded = st.lists(addresses, max_size=3).map(",".join).map(lambda text: text.encode("latin-1"))
headers = st.lists(
    st.tuples(
        names,
        st.binary(max_size=30) | cookies.map(lambda text: text.encode("latin-1")) | forwarded,
    ),
    max_size=6,
)


@settings(max_examples=repetitions(70))
@given(
    headers=headers,
    path=st.text(max_size=8),
    raw_path=st.none() | st.binary(max_size=8),
    query=st.binary(max_size=12),
    client=st.none() | st.tuples(addresses, st.integers(0, 65_535)),
    server=st.none() | st.tuples(st.text(max_size=5), st.none() | st.integers()),
    scheme=st.sampled_from(["http", "https", "ws", "wss"]),
    trusted=st.sampled_from([0, 1, 3, ["10.0.0.0/8", "::/0"]]),
)
def test_any_headers_make_an_event_that_the_pipeline_takes(
    headers, path, raw_path, query, client, server, scheme, trusted
):
    """Whatever bytes a client sends to an ASGI server, the event of its request has no problems."""
    scope = {
        "type": "http",
        "headers": headers,
        "path": path,
        "raw_path": raw_path,
        "query_string": query,
        "client": client,
        "server": server,
        "scheme": scheme,
    }
    event = by_asgi(scope, trusted_proxies=trusted)
    assert event.problems == []
    if "ip" in event.parameters:
        assert ipaddress.ip_address(event["ip"])


@settings(max_examples=repetitions(70))
@given(peer=addresses, chain=st.lists(addresses, max_size=4), count=st.integers(0, 4))
def test_no_forged_address_is_taken_for_a_proxys(peer, chain, count):
    """With a number of trusted proxies the address is the peer's, or that which the outermost of them wrote."""
    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter)

    def app(environ, start_response):
        tracker.track(StructuredEvent("a", "b"))
        return [b""]

    environ = {"REMOTE_ADDR": peer, "PATH_INFO": "/", "HTTP_X_FORWARDED_FOR": ",".join(chain)}
    WSGIMiddleware(app, trusted_proxies=count)(environ, lambda *_: None)
    [event] = emitter.events
    address = event.get("ip")
    if address is None:
        return
    assert ipaddress.ip_address(address)
    written = [each for each in environ["HTTP_X_FORWARDED_FOR"].split(",") if each]
    said = written[-count] if 0 < count <= len(written) else peer
    assert address in _readings(said)


def _readings(text):
    """Return the addresses that a text can be read as."""
    inner = text.strip().strip('"')
    candidates = [inner, inner.partition(":")[0], inner[1:].partition("]")[0]]
    found = set()
    for each in candidates:
        try:
            known = ipaddress.ip_address(each.partition("%")[0])
            found.add(str(getattr(known, "ipv4_mapped", None) or known))
        except ValueError:
            continue
    return found
