"""The types of events."""

import copy
import datetime as dt
import json
import logging
import math
import types
import uuid
from collections import deque

import pytest

from snowplow_tracker.events import (
    Event,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    StructuredEvent,
)
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from support.copies import copies

ENTITY = SelfDescribingJson("iglu:entity", {"a": 1})
BODY = SelfDescribingJson("iglu:body", {"b": 2})

# type, the arguments it needs, and each other property: its name, its key, a value
TYPES = [
    (
        PageView,
        {"page_url": ("url", "https://u")},
        {"page_title": ("page", "t"), "referrer": ("refr", "r")},
    ),
    (
        PagePing,
        {"page_url": ("url", "https://u")},
        {
            "page_title": ("page", "t"),
            "referrer": ("refr", "r"),
            "min_x": ("pp_mix", 0),
            "max_x": ("pp_max", 10),
            "min_y": ("pp_miy", 0),
            "max_y": ("pp_may", -1),
        },
    ),
    (
        StructuredEvent,
        {"category": ("se_ca", "c"), "action": ("se_ac", "a")},
        {"label": ("se_la", "l"), "property_": ("se_pr", "p"), "value": ("se_va", 0.0)},
    ),
    (
        ScreenView,
        {"id_": ("id", "i")},
        {
            "name": ("name", "n"),
            "type": ("type", "t"),
            "previous_name": ("previousName", "pn"),
            "previous_id": ("previousId", "pi"),
            "previous_type": ("previousType", "pt"),
            "transition_type": ("transitionType", "tt"),
        },
    ),
]
PROPERTIES = [
    (kind, needed, name, key, value)
    for kind, needed, others in TYPES
    for name, (key, value) in {**needed, **others}.items()
]
EVENTS = [
    Event({"e": "xx"}),
    PageView("u", context=[ENTITY], true_timestamp=1, event_subject=Subject()),
    PagePing("u", min_x=3),
    StructuredEvent("c", "a"),
    SelfDescribing(BODY),
    ScreenView("i", "n"),
]


def built(event, subject=None, json_encoder=None):
    return event.build_payload(
        encode_base64=False, json_encoder=json_encoder, subject=subject
    ).nv_pairs


def data_of(event):
    pairs = built(event)
    if "ue_pr" in pairs:
        return json.loads(pairs["ue_pr"])["data"]["data"]
    return pairs


def of(arguments):
    return {name: value for name, (_, value) in arguments.items()}


@pytest.mark.parametrize(("kind", "needed", "others"), TYPES)
def test_properties_become_parameters(kind, needed, others):
    """Each property is readable, and is sent under its key."""
    arguments = {**needed, **others}
    event = kind(**of(arguments))
    for name, (key, value) in arguments.items():
        assert getattr(event, name) == value
        assert data_of(event)[key] == value
    assert kind(*of(arguments).values()) == event


@pytest.mark.parametrize(("kind", "needed", "name", "key", "value"), PROPERTIES)
def test_properties_may_change(kind, needed, name, key, value):
    """Setting a property is as good as constructing with it."""
    event = kind(**of(needed))
    setattr(event, name, value)
    assert event == kind(**{**of(needed), name: value})
    assert data_of(event)[key] == value


@pytest.mark.parametrize(
    ("kind", "needed", "name", "key"),
    [(kind, needed, name, key) for kind, needed, name, key, _ in PROPERTIES if name not in needed],
)
def test_properties_that_are_not_needed(kind, needed, name, key):
    """A property may be left out, and cleared with `None`; then it reads as that."""
    event = kind(**of(needed))
    assert getattr(event, name) is None
    setattr(event, name, "x")
    setattr(event, name, None)
    assert getattr(event, name) is None
    assert key not in data_of(event)
    assert event == kind(**of(needed), **{name: None})


@pytest.mark.parametrize("name", ["page_title", "label", "value"])
def test_an_empty_text_is_left_out(name):
    """The empty text says nothing in a payload."""
    kind = PageView if name == "page_title" else StructuredEvent
    needed = ("u",) if kind is PageView else ("c", "a")
    assert built(kind(*needed, **{name: ""})) == built(kind(*needed))


def test_page_view():
    """A page view has the event type of one."""
    event = PageView("u", "t", "r", true_timestamp=1)
    assert built(event) == {"e": "pv", "url": "u", "page": "t", "refr": "r", "ttm": 1}


def test_page_ping():
    """A page ping has the event type of one, and sends offsets of 0."""
    assert built(PagePing("u", min_x=0)) == {"e": "pp", "url": "u", "pp_mix": 0}


def test_structured_event():
    """A structured event has the event type of one, and sends a value of 0."""
    assert built(StructuredEvent("c", "a", value=0)) == {
        "e": "se",
        "se_ca": "c",
        "se_ac": "a",
        "se_va": 0,
    }


@pytest.mark.parametrize("base64", [True, False])
def test_self_describing(base64):
    """The body and the context are enveloped, and encoded as asked."""
    event = SelfDescribing(BODY, context=[ENTITY])
    assert event.event_json is BODY
    pairs = event.build_payload(base64, None).nv_pairs
    if base64:
        assert set(pairs) == {"e", "ue_px", "cx"}
        return
    assert json.loads(pairs["ue_pr"]) == {
        "schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
        "data": BODY.to_json(),
    }
    assert json.loads(pairs["co"]) == {
        "schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1",
        "data": [ENTITY.to_json()],
    }


def test_self_describing_reads_its_body_late():
    """The data of a body may change until the event is tracked."""
    body = SelfDescribingJson("iglu:body", {})
    event = SelfDescribing(body)
    body.data["late"] = True
    assert data_of(event) == {"late": True}
    event.event_json = BODY
    assert data_of(event) == {"b": 2}


def test_screen_view():
    """A screen view is sent under the schema of one."""
    pairs = built(ScreenView("i", "n", context=[ENTITY], true_timestamp=5))
    assert pairs["e"] == "ue"
    assert pairs["ttm"] == 5
    assert "co" in pairs
    assert json.loads(pairs["ue_pr"])["data"] == {
        "schema": "iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0",
        "data": {"id": "i", "name": "n"},
    }


def test_a_screen_without_id_gets_one():
    """A missing id becomes a new UUID that stays, also when an id was taken away."""
    event = ScreenView(name="n")
    assert uuid.UUID(event.id_)
    assert data_of(event) == data_of(event) == {"id": event.id_, "name": "n"}
    event.id_ = None
    assert uuid.UUID(data_of(event)["id"])
    assert event.id_ is None


def test_a_missing_name_is_said_once(caplog, monkeypatch):
    """A screen without a name is sent, and logged once per process."""
    with caplog.at_level(logging.WARNING):
        assert set(data_of(ScreenView())) == {"id"}
        built(ScreenView())
        built(ScreenView(name="n"))
    assert len(caplog.records) == 1
    assert "name" in caplog.text


def test_pairs_without_a_value_are_left_out():
    """What is `None` or empty in the pairs of an event is not sent."""
    assert built(Event({"e": "xx", "url": None, "page": "", "vid": 0})) == {"e": "xx", "vid": 0}


@pytest.mark.parametrize("event", EVENTS)
def test_building_changes_nothing(event):
    """However often an event is built, and for whom, it stays what it was."""
    before = copy.deepcopy(vars(event))
    first = built(event, Subject().set_user_id("a").set_platform("srv"))
    second = built(event, Subject().set_lang("en"))
    assert first["uid"] == "a"
    assert "uid" not in second
    assert vars(event) == before


@pytest.mark.parametrize("event", EVENTS)
def test_events_are_values(event):
    """Events that hold the same are equal; copies are independent."""
    for twin in copies(event):
        assert twin == event
        assert repr(twin) == repr(event)
        assert hash(twin) == hash(event)
        twin.payload.add("x", "y")
        assert twin != event
    assert event != 1


@pytest.mark.parametrize("event", EVENTS)
def test_a_copy_has_a_context_of_its_own(event):
    """An entity that is added to a copy is not in the context of the original."""
    twin = copy.copy(event)
    twin.context.append(ENTITY)
    assert twin != event


def test_types_are_part_of_the_value():
    """An event equals none of another type."""
    assert PagePing("u") != PageView("u")


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (PageView("u"), "PageView(page_url='u')"),
        (PagePing("u", min_x=0), "PagePing(page_url='u', min_x=0)"),
        (StructuredEvent("c", "a"), "StructuredEvent(category='c', action='a')"),
        (ScreenView("i", type="t"), "ScreenView(id_='i', type='t')"),
        (SelfDescribing(BODY), f"SelfDescribing(event_json={BODY!r})"),
        (
            PageView("u", event_subject=Subject(), context=[ENTITY], true_timestamp=1),
            f"PageView(page_url='u', event_subject={Subject()!r}, context=[{ENTITY!r}], true_timestamp=1)",
        ),
        (Event({"e": "ti", "ti_id": 1}), "Event(dict_={'e': 'ti', 'ti_id': 1})"),
        (Event(), "Event()"),
    ],
)
def test_repr_shows_what_an_event_holds(event, shown):
    """The `repr` reads like the call that makes the event."""
    assert repr(event) == shown


class TestContext:
    """The entities of an event."""

    def test_none_is_an_empty_list(self):
        """An event without entities has a list to append to, and not that of another event."""
        event, other = PageView("u"), PageView("u", context=None)
        event.context.append(ENTITY)
        assert "co" in built(event)
        assert other.context == []
        event.context = None
        assert event.context == []
        assert "co" not in built(event)

    def test_the_callers_list_is_live(self):
        """Entities may be added until the event is tracked."""
        context = []
        event = PageView("u", context=context)
        context.append(ENTITY)
        assert json.loads(built(event)["co"])["data"] == [ENTITY.to_json()]

    @pytest.mark.parametrize("make", [tuple, deque, lambda entities: {"a": entities[0]}.values()])
    def test_any_collection_will_do(self, make):
        """A context need not be a list."""
        assert "co" in built(PageView("u", context=make([ENTITY])))

    def test_an_entity_is_what_has_to_json(self):
        """Subclasses say themselves what they send, and so does whatever looks like one."""

        class Late(SelfDescribingJson):
            def to_json(self):
                return {"schema": "late", "data": {}}

        lookalike = types.SimpleNamespace(to_json=lambda: {"schema": "like", "data": {}})
        event = PageView("u", context=[Late("early", {}), lookalike])
        schemas = [entity["schema"] for entity in json.loads(built(event)["co"])["data"]]
        assert schemas == ["late", "like"]

    def test_what_comes_in_late_is_checked_too(self):
        """Something else in the list by the time of tracking is refused by name."""
        event = PageView("u")
        event.context.append({"schema": "s"})
        with pytest.raises(ValueError, match=r"context must be .* an object of type dict"):
            built(event)

    def test_an_error_inside_an_entity_is_its_own(self):
        """An `AttributeError` of a user's entity is not taken for a bad context."""

        class Broken(SelfDescribingJson):
            def to_json(self):
                return self.missing

        with pytest.raises(AttributeError, match="missing"):
            built(PageView("u", context=[Broken("s", {})]))


UTC = dt.timezone.utc
NAIVE = dt.datetime(2013, 5, 16)  # noqa: DTZ001 - local time is what is tested


@pytest.mark.parametrize(
    ("timestamp", "ttm"),
    [
        (1368725287000, 1368725287000),
        (1368725287000.9, 1368725287000),
        (0, 0),
        (0.0, 0),
        (-1, -1),
        (True, 1),
        (dt.datetime(1970, 1, 1, 0, 0, 1, 999999, UTC), 1999),
        (dt.datetime(2013, 5, 16, 17, 28, 7, 123456, UTC), 1368725287123),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 500000, UTC), -500),
        (
            dt.datetime(2013, 5, 16, 19, 28, 7, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            1368725287000,
        ),
        (NAIVE, int(NAIVE.timestamp()) * 1000),
    ],
)
def test_true_timestamp(timestamp, ttm, caplog):
    """Numbers are whole milliseconds; a `datetime` is turned into them, naive in local time."""
    event = PageView("u", true_timestamp=timestamp)
    assert event.true_timestamp is timestamp
    assert built(event)["ttm"] == ttm
    assert not caplog.records


@pytest.mark.parametrize(
    ("timestamp", "named"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (NAIVE, "datetime"),
        ("yesterday", "yesterday"),
        (object(), "object"),
        (10**30, "outside the years 1 to 9999"),
    ],
)
def test_what_is_no_timestamp_is_left_out(timestamp, named, caplog, monkeypatch):
    """Anything else is not sent, and a warning says so."""
    if isinstance(timestamp, dt.datetime):
        timestamp = timestamp.replace(tzinfo=Unknowable())
    assert "ttm" not in built(PageView("u", true_timestamp=timestamp))
    assert [record.name for record in caplog.records] == ["snowplow_tracker.events"]
    assert named in caplog.text


class Unknowable(dt.tzinfo):
    def utcoffset(self, moment):
        raise OverflowError


def test_an_event_whose_constructor_never_ran_builds():
    """A stub of the constructor leaves an event with the defaults."""
    event = PageView.__new__(PageView)
    event.payload = Event({"e": "pv"}).payload
    assert built(event) == {"e": "pv"}


def test_properties_are_documented():
    """A property on the class says what it is."""
    assert PageView.page_title.name == "page_title"
    assert "title" in PageView.page_title.__doc__
