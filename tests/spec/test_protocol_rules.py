"""Whatever is tracked, each request is one that the pipeline takes whole."""

from __future__ import annotations

import string
from typing import Any, Dict, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snowplow_tracker import (
    AsyncEmitter,
    Emitter,
    Event,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)
from support import protocol
from support.recorder import Recorder
from support.repetitions import repetitions

FEW = settings(
    max_examples=repetitions(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# Every text that Python can hold, lone surrogates included.
text = st.text(st.characters(), max_size=40)
some_text = st.text(st.characters(), min_size=1, max_size=40)
number = st.one_of(
    st.integers(-(10**12), 10**12), st.floats(allow_nan=False, allow_infinity=False, width=32)
)
int32 = st.integers(-(2**31), 2**31 - 1)
size = st.integers(1, 10_000)
uuids = st.uuids().map(str)
timestamp = st.one_of(
    st.integers(0, 4 * 10**12), st.floats(0, 4e12, allow_nan=False, allow_infinity=False)
)

json_value = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=8,
)
schema = st.text(string.ascii_lowercase, min_size=1, max_size=8).map(
    lambda name: f"iglu:com.acme/{name}/jsonschema/1-0-0"
)
described = st.builds(SelfDescribingJson, schema, st.dictionaries(text, json_value, max_size=5))


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    """A subject on which some things are set."""
    subject = Subject()
    setters: Dict[str, Any] = {
        "set_platform": st.tuples(st.sampled_from(sorted(protocol.PLATFORMS))),
        "set_user_id": st.tuples(text),
        "set_screen_resolution": st.tuples(size, size),
        "set_viewport": st.tuples(size, size),
        "set_color_depth": st.tuples(st.integers(1, 64)),
        "set_timezone": st.tuples(text),
        "set_lang": st.tuples(text),
        "set_domain_user_id": st.tuples(text),
        "set_domain_session_id": st.tuples(uuids),
        "set_domain_session_index": st.tuples(int32),
        "set_ip_address": st.tuples(text),
        "set_useragent": st.tuples(text),
        "set_network_user_id": st.tuples(text),
    }
    for name in draw(st.sets(st.sampled_from(sorted(setters)))):
        getattr(subject, name)(*draw(setters[name]))
    return subject


common = {
    "event_subject": st.none() | subjects(),
    "context": st.none() | st.lists(described, max_size=3),
    "true_timestamp": st.none() | timestamp,
}
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        PageView, some_text, page_title=st.none() | text, referrer=st.none() | text, **common
    ),
    st.builds(
        PagePing,
        some_text,
        min_x=st.none() | int32,
        max_x=st.none() | int32,
        min_y=st.none() | int32,
        max_y=st.none() | int32,
        **common,
    ),
    st.builds(
        StructuredEvent,
        some_text,
        some_text,
        label=st.none() | text,
        property_=st.none() | text,
        value=st.none() | number,
        **common,
    ),
    st.builds(ScreenView, id_=st.none() | uuids, name=some_text, type=st.none() | text, **common),
    st.builds(SelfDescribing, described, **common),
    st.builds(
        Event,
        st.dictionaries(
            st.sampled_from(["e", "url", "page", "refr", "colour", "", "E", "ue_xx", "se_xx"]),
            st.none() | text,
        ).map(lambda pairs: {**pairs, "e": "pv"}),
        **common,
    ),
)


def faults(recorder: Recorder) -> List[str]:
    """What is wrong with the requests that arrived."""
    found = []
    for request in recorder.requests:
        assert request.method == "POST"
        content_type = request.headers.get("Content-Type", "")
        found += protocol.faults_of_post(request.path, content_type, request.body)
    return found


@pytest.mark.long
@FEW
@given(
    tracked=st.lists(events, min_size=1, max_size=12),
    tracker_subject=st.none() | subjects(),
    base64=st.booleans(),
    threaded=st.booleans(),
    app_id=st.none() | text,
)
def test_every_post_meets_the_rules(
    tracked: List[Event], tracker_subject: Any, base64: bool, threaded: bool, app_id: Any
) -> None:
    """Only known keys, all texts, none required missing, times in order, below the size limit."""
    with Recorder() as recorder:
        emitter = (AsyncEmitter if threaded else Emitter)(recorder.host, protocol="http")
        tracker = Tracker("ns", emitter, app_id=app_id, encode_base64=base64)
        tracker.set_subject(tracker_subject)
        returned = [tracker.track(event) for event in tracked]
        emitter.close(timeout=5)
        assert not faults(recorder)
        assert [event["eid"] for event in recorder.events] == returned


@pytest.mark.parametrize("base64", [True, False])
def test_large_queues_go_out_in_requests_below_the_limit(base64: bool) -> None:
    """Fifty events of 40 kB each are cut into requests that the collector keeps, and all arrive."""
    with Recorder() as recorder:
        emitter = Emitter(recorder.host, protocol="http", batch_size=50)
        tracker = Tracker("ns", emitter, encode_base64=base64)
        data = {"text": "ž🐎" * 7_000}
        for _ in range(50):
            tracker.track(
                SelfDescribing(SelfDescribingJson("iglu:com.acme/a/jsonschema/1-0-0", data))
            )
        assert emitter.close(timeout=10) == 0
        assert not faults(recorder)
        assert len({event["eid"] for event in recorder.events}) == 50


GOOD = {
    "e": "pv",
    "p": "pc",
    "tv": "py-1",
    "dtm": "1700000000000",
    "stm": "1700000000001",
    "eid": "5c4b2c4e-2a4b-4a37-8d0a-3f2c1c1e0b11",
}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"colour": "red"}, "no parameter"),
        ({"e": None}, "e is missing"),
        ({"p": "fridge"}, "p is"),
        ({"eid": GOOD["eid"].upper()}, "eid is"),
        ({"dtm": "1700000000.5"}, "dtm is"),
        ({"stm": "1699999999999"}, "before"),
        ({"url": 5}, "not a text"),
        ({"url": ""}, "empty"),
        ({"cx": "e30"}, "cx is"),
        ({"res": "1.5x2"}, "res is"),
        ({"vid": "4294967296"}, "vid is"),
    ],
)
def test_the_rules_find_what_breaks_them(change: Dict[str, Any], fault: str) -> None:
    """The test's own table refuses what the pipeline refuses, and nothing else."""
    assert not protocol.faults_of_event(GOOD)
    changed = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    (found,) = protocol.faults_of_event(changed)
    assert fault in found
