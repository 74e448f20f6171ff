"""Whatever values users give, and whatever is in an id cookie."""

from __future__ import annotations

import datetime as dt
import enum
import json
import uuid

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snowplow_tracker import (
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
    max_examples=repetitions(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SCHEMA = "iglu:com.acme/order/jsonschema/1-0-0"


class Colour(enum.Enum):
    RED = "red"


class Odd:
    """An object that has neither a JSON form nor a string form of its own."""


class Raising:
    """An object that cannot say what it is."""

    def __str__(self):
        raise LookupError("no text")


class Text(str):
    __slots__ = ()


text = st.text(st.characters(), max_size=8)
hashable = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | text
    | text.map(Text)
    | st.binary(max_size=4)
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(dt.timezone.utc))
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.complex_numbers()
    | st.sampled_from([Colour.RED, 10**400, -(2**63), "1e999", "", "\0"])
    | st.sampled_from([1700000000000, "2024-02-29T12:00:00Z", str(uuid.UUID(int=1))])
)
odd = (
    st.builds(pow, st.just(10), st.just(5_000))
    | st.builds(Odd)
    | st.builds(Raising)
    | st.sampled_from([Odd, len, Ellipsis])
)
values = st.recursive(
    hashable | odd,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.frozensets(hashable, max_size=3)
        | st.dictionaries(hashable, inner, max_size=3)
    ),
    max_leaves=6,
)


def attempt(make):
    """Return what a function makes, or None and what its error says; any other error comes out."""
    try:
        return make(), ""
    except (TypeError, ValueError) as error:
        return None, str(error)


KINDS = {
    PageView: ("page_url", "page_title", "referrer"),
    PagePing: ("page_url", "page_title", "referrer", "min_x", "max_x", "min_y", "max_y"),
    StructuredEvent: ("category", "action", "label", "property_", "value"),
    ScreenView: ("id_", "name", "type", "previous_name", "previous_id", "transition_type"),
    SelfDescribing: ("event_json",),
    Event: ("dict_",),
}
USUAL = {
    "page_url": "https://a.example/",
    "category": "a",
    "action": "b",
    "name": "n",
    "id_": "1",
    "event_json": SelfDescribingJson(SCHEMA, {}),
    "dict_": {"e": "pv"},
}
COMMON = ("event_subject", "context", "true_timestamp")
# What the protocol calls them, which is what some messages say.
SENT_AS = {
    "page_url": "url",
    "page_title": "page",
    "referrer": "refr",
    "min_x": "pp_mi",
    "max_x": "pp_ma",
    "min_y": "pp_mi",
    "max_y": "pp_ma",
    "category": "se_ca",
    "action": "se_ac",
    "label": "se_la",
    "property_": "se_pr",
    "value": "se_va",
    "id_": "id",
    "previous_name": "previousName",
    "previous_id": "previousId",
    "transition_type": "transitionType",
}


@pytest.fixture(scope="module")
def recorder():
    with Recorder() as running:
        yield running


@pytest.fixture(scope="module")
def tracker(recorder):
    emitter = Emitter(recorder.host, protocol="http", batch_size=1)
    yield Tracker("ns", emitter, encode_base64=False)
    emitter.close(timeout=1)


def is_text_on_the_wire(recorder, given=()):
    """Return whether the last request was a body of the protocol with nothing but texts in its events.

    Parameters that are given as such are sent as they are.
    """
    request = recorder.requests[-1]
    document = json.loads(request.body.decode("utf-8"), parse_constant=lambda _: 1 / 0)
    assert document["schema"] == protocol.PAYLOAD_DATA
    for event in document["data"]:
        for name, value in event.items():
            assert name in protocol.RULES
            assert isinstance(value, str)
            assert value
            if name in ("ue_pr", "co") and name not in given:
                assert protocol.RULES[name](value)
        assert {"p", "tv", "eid", "dtm", "stm"} <= set(event)
    return True


@FEW
@given(
    choice=st.sampled_from([(kind, name) for kind, names in KINDS.items() for name in names])
    | st.tuples(st.sampled_from(list(KINDS)), st.sampled_from(COMMON)),
    value=values,
)
def test_any_value_of_a_parameter_is_sent_or_named(recorder, tracker, choice, value):
    """Any value of any parameter of an event gives an event of the protocol, or an error that names the parameter."""
    kind, name = choice
    arguments = {each: USUAL[each] for each in KINDS[kind] if each in USUAL}
    arguments[name] = value
    del recorder.requests[:]
    sent, error = attempt(lambda: tracker.track(kind(**arguments)))
    if sent is None and error:
        # Of a dictionary the pair is named.
        assert name in error or SENT_AS.get(name, name) in error or name == "dict_"
    elif recorder.requests:
        assert is_text_on_the_wire(recorder, ("ue_pr", "co") if name == "dict_" else ())


@pytest.mark.parametrize("value", [7, True, "e", ["e"], {"e"}])
def test_parameters_that_are_no_mapping_are_named(value):
    """What stands in the place of the dictionary of an event and is none is refused by its name."""
    with pytest.raises(TypeError, match="dict_"):
        Event(value)


@FEW
@given(data=values, as_entity=st.booleans())
def test_any_data_is_sent_as_json_or_named(recorder, tracker, data, as_entity):
    """Any self-describing data becomes valid JSON inside its envelope, or an error says where it has no JSON form."""
    described = SelfDescribingJson(SCHEMA, data)
    event = (
        PageView("https://a.example/", context=[described])
        if as_entity
        else SelfDescribing(described)
    )
    del recorder.requests[:]
    sent, error = attempt(lambda: tracker.track(event))
    if sent is None:
        assert "data" in error
    else:
        assert is_text_on_the_wire(recorder)


@FEW
@given(
    pairs=st.dictionaries(st.sampled_from(sorted(protocol.RULES)) | hashable, values, max_size=3)
)
def test_any_parameters_are_sent_or_named(recorder, tracker, pairs):
    """Any further parameters of the protocol give an event of the protocol, or an error that names them."""
    del recorder.requests[:]
    sent, error = attempt(lambda: tracker.track(PageView("https://a.example/", parameters=pairs)))
    if sent is None:
        # A parameter without a name has none that could be said.
        assert (
            "parameters" in error
            or "" in pairs
            or any(str(name) in error for name in pairs if isinstance(name, str))
        )
    elif recorder.requests:
        assert is_text_on_the_wire(recorder, pairs)


SETTERS = sorted(
    name
    for name in vars(Subject)
    if name.startswith("set_") and name not in ("set_from_id_cookie", "set_platform")
)


@FEW
@given(setter=st.sampled_from([*SETTERS, "set_platform"]), value=values, other=values)
def test_any_value_of_a_subject_is_sent_or_refused(recorder, tracker, setter, value, other):
    """Any value given to a setter of a subject is sent as text, or refused by an error that says what is wrong."""
    sizes = ("set_screen_resolution", "set_viewport", "set_document_size")
    arguments = (value, other) if setter in sizes else (value,)
    subject, error = attempt(lambda: getattr(Subject(), setter)(*arguments))
    if subject is None:
        assert any(each in error for each in ("width", "height", "platform")) or error, error
        return
    del recorder.requests[:]
    sent, error = attempt(
        lambda: tracker.track(PageView("https://a.example/", event_subject=subject))
    )
    if sent is None:
        assert error
    elif recorder.requests:
        assert is_text_on_the_wire(recorder)


# Cookies

cookies = st.lists(
    text
    | st.sampled_from(["", "1", "99999999999", "-1", "٣", "²", "no-uuid", "x" * 200, "%2E", "\n"])
    | st.integers().map(str)
    | st.uuids().map(str)
    | st.uuids().map(lambda each: str(each).upper()),
    max_size=9,
).map(".".join)


@settings(max_examples=repetitions(120))
@given(cookie=cookies | values)
@example(cookie=b"a.1.2.3.4.5")
def test_any_id_cookie_gives_what_the_pipeline_takes(cookie):
    """Of any `_sp_id` cookie comes a subject with ids that the pipeline takes, and nothing else."""
    pairs = Subject.from_id_cookie(cookie).standard_nv_pairs
    assert set(pairs) <= {"p", "duid", "vid", "sid"}
    for name, value in pairs.items():
        assert isinstance(value, str)
        assert value
        # Of UUIDs the pipeline takes capital letters too.
        assert protocol.RULES[name](value.lower() if name == "sid" else value)


@given(
    user=st.text("0123456789abcdef-", min_size=1, max_size=36),
    visits=st.integers(0, 10**9 - 1),
    session=st.uuids(),
    more=st.lists(st.text("abc0", max_size=3), max_size=4),
)
def test_a_whole_id_cookie_is_read_whole(user, visits, session, more):
    """Of a cookie as the JavaScript tracker writes it the user, the number of the visit and the session are read."""
    cookie = ".".join(
        [user, "1700000000", str(visits), "1700000001", "1700000002", str(session), *more]
    )
    pairs = Subject.from_id_cookie(cookie).standard_nv_pairs
    assert (pairs["duid"], pairs["vid"], pairs["sid"]) == (user, str(visits), str(session))
