"""The specification of event tracking: each example, each row of each table, each statement."""

from __future__ import annotations

import inspect
import json
import time
import uuid
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple, Type

import pytest

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

URL = "https://www.snowplow.io"
SCREEN_VIEW = "iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0"


class Setup(NamedTuple):
    """A tracker, and the way to what the collector got from it."""

    tracker: Tracker
    recorder: Recorder

    def arrived(self) -> List[Dict[str, str]]:
        """Flush, and give every event that arrived, each checked against the protocol."""
        self.tracker.flush()
        events = self.recorder.events
        for event in events:
            assert not protocol.faults_of_event(event)
        return events

    def only(self) -> Dict[str, str]:
        """Flush, and give the one event that arrived."""
        (event,) = self.arrived()
        return event


@pytest.fixture
def setup() -> Iterator[Setup]:
    """A tracker in front of a collector on loopback."""
    with Recorder() as recorder:
        emitter = Emitter(recorder.host, protocol="http")
        yield Setup(Tracker(namespace="spec", emitters=emitter, app_id="shop"), recorder)


def data_of(event: Dict[str, str]) -> Dict[str, Any]:
    """The self-describing JSON inside an event."""
    found: Dict[str, Any] = protocol.decode(event["ue_px"])["data"]
    return found


def entities_of(event: Dict[str, str]) -> List[Dict[str, Any]]:
    """The entities attached to an event."""
    found: List[Dict[str, Any]] = protocol.decode(event["cx"])["data"]
    return found


def subset(event: Dict[str, str], *keys: str) -> Dict[str, str]:
    """The named parameters of an event, where it has them."""
    return {key: event[key] for key in keys if key in event}


# --- the examples, as the document has them ----------------------------------------------------


def test_example_of_tracking_an_event(setup: Setup) -> None:
    """An event object passed to `tracker.track()` arrives."""
    tracker = setup.tracker
    page_view = PageView(
        page_url="https://www.snowplow.io",
        page_title="Homepage",
    )
    tracker.track(page_view)
    assert subset(setup.only(), "e", "url", "page") == {"e": "pv", "url": URL, "page": "Homepage"}


def test_example_of_a_self_describing_event(setup: Setup) -> None:
    """The link click arrives with its schema and data, wrapped as the protocol asks."""
    tracker = setup.tracker
    link_click = SelfDescribing(
        SelfDescribingJson(
            "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1",
            {"targetUrl": "https://www.snowplow.io"},
        ),
    )
    tracker.track(link_click)
    event = setup.only()
    assert event["e"] == "ue"
    assert data_of(event) == {
        "schema": "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1",
        "data": {"targetUrl": "https://www.snowplow.io"},
    }


def test_example_of_a_page_view(setup: Setup) -> None:
    """The page view arrives with url, title and referrer."""
    tracker = setup.tracker
    page_view = PageView(
        page_url="https://www.snowplow.io",
        page_title="Homepage",
        referrer="https://docs.snowplow.io/docs",
    )
    tracker.track(page_view)
    assert subset(setup.only(), "e", "url", "page", "refr") == {
        "e": "pv",
        "url": URL,
        "page": "Homepage",
        "refr": "https://docs.snowplow.io/docs",
    }


def test_example_of_a_page_ping(setup: Setup) -> None:
    """The page ping arrives as one heartbeat, without the offsets that were not given."""
    tracker = setup.tracker
    page_ping = PagePing(
        page_url="https://www.snowplow.io",
        page_title="Homepage",
        referrer="https://docs.snowplow.io/docs",
    )
    tracker.track(page_ping)
    event = setup.only()
    assert subset(event, "e", "url", "page", "refr") == {
        "e": "pp",
        "url": URL,
        "page": "Homepage",
        "refr": "https://docs.snowplow.io/docs",
    }
    assert not [key for key in event if key.startswith("pp_")]


def test_example_of_a_screen_view(setup: Setup) -> None:
    """The screen view arrives under the schema of mobile screen views."""
    tracker = setup.tracker
    id = tracker.get_uuid()  # noqa: A001 (as the document writes it)
    screen_view = ScreenView(
        id_=id,
        name="name",
        type="feed",
        previous_name="Home Page",
        previous_id="1368725287000",
        previous_type="feed",
    )
    tracker.track(screen_view)
    event = setup.only()
    assert event["e"] == "ue"
    assert data_of(event) == {
        "schema": SCREEN_VIEW,
        "data": {
            "id": id,
            "name": "name",
            "type": "feed",
            "previousName": "Home Page",
            "previousId": "1368725287000",
            "previousType": "feed",
        },
    }


def test_example_of_a_structured_event(setup: Setup) -> None:
    """The structured event arrives with its five fields."""
    tracker = setup.tracker
    struct_event = StructuredEvent(
        category="shop",
        action="add-to-basket",
        label="web-shop",
        property_="pcs",
        value=2,
    )
    tracker.track(struct_event)
    event = setup.only()
    assert {key: value for key, value in event.items() if key == "e" or key.startswith("se_")} == {
        "e": "se",
        "se_ca": "shop",
        "se_ac": "add-to-basket",
        "se_la": "web-shop",
        "se_pr": "pcs",
        "se_va": "2",
    }


def test_example_of_an_event_subject(setup: Setup) -> None:
    """The subject of one event says whose event it is, and changes nothing on the tracker."""
    tracker = setup.tracker
    event_subject = Subject().set_user_id("1234")
    page_view = PageView(
        page_url="https://www.snowplow.io", page_title="Homepage", event_subject=event_subject
    )

    tracker.track(page_view)
    tracker.track(PageView(page_url="https://www.snowplow.io"))
    first, second = setup.arrived()
    assert first["uid"] == "1234"
    assert "uid" not in second


def geo_context() -> SelfDescribingJson:
    """The document's first entity."""
    return SelfDescribingJson(
        "iglu:com.snowplowanalytics.snowplow/geolocation_context/jsonschema/1-0-0",
        {"latitude": -23.2, "longitude": 43.0},
    )


def poster_context() -> SelfDescribingJson:
    """The document's second entity."""
    return SelfDescribingJson(
        "iglu:com.acme_company/movie_poster/jsonschema/2-1-1",
        {"movie_name": "Solaris", "poster_country": "JP", "poster_year": "1978-01-01"},
    )


def test_examples_of_custom_context(setup: Setup) -> None:
    """Both entities arrive attached to the page view, in the order given."""
    tracker = setup.tracker
    page_view = PageView(
        page_url="https://www.snowplow.io",
        page_title="Homepage",
        context=[poster_context(), geo_context()],
    )

    tracker.track(page_view)
    event = setup.only()
    assert entities_of(event) == [poster_context().to_json(), geo_context().to_json()]
    assert protocol.decode(event["cx"])["schema"] == protocol.CONTEXTS


def test_example_of_a_true_timestamp(setup: Setup) -> None:
    """The given time arrives as the true time; the time of creation stays what the clock says."""
    tracker = setup.tracker
    before = int(time.time() * 1000)
    struct_event = StructuredEvent(
        category="shop",
        action="add-to-basket",
        label="web-shop",
        property_="pcs",
        value=2,
        true_timestamp=1368725287000,
    )
    tracker.track(struct_event)
    event = setup.only()
    assert event["ttm"] == "1368725287000"
    assert before <= int(event["dtm"]) <= int(event["stm"])


# --- the tables ------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One row of a table: a property, a value of its type, and the parameter it travels in."""

    name: str
    value: Any
    sent_as: str
    required: bool = False


COMMON = (
    Row("event_subject", Subject().set_user_id("of the event"), "uid"),
    Row("context", [SelfDescribingJson("iglu:com.acme/a/jsonschema/1-0-0", {"a": 1})], "cx"),
    Row("true_timestamp", 1368725287000, "ttm"),
)

LINK = SelfDescribingJson("iglu:com.acme/link/jsonschema/1-0-0", {"a": 1})

PAGE = (
    Row("page_url", URL, "url", required=True),
    Row("page_title", "Homepage", "page"),
    Row("referrer", "https://docs.snowplow.io/docs", "refr"),
)

TABLES: Dict[Type[Event], Tuple[Row, ...]] = {
    PageView: (*PAGE, *COMMON),
    PagePing: (
        *PAGE,
        Row("min_x", 0, "pp_mix"),
        Row("max_x", 100, "pp_max"),
        Row("min_y", 3, "pp_miy"),
        Row("max_y", 400, "pp_may"),
        *COMMON,
    ),
    ScreenView: (
        Row("id_", "5c4b2c4e-2a4b-4a37-8d0a-3f2c1c1e0b11", "id"),
        Row("name", "Home", "name"),
        Row("type", "carousel", "type"),
        Row("previous_name", "Before", "previousName"),
        Row("previous_id", "5c4b2c4e-2a4b-4a37-8d0a-3f2c1c1e0b12", "previousId"),
        Row("previous_type", "feed", "previousType"),
        Row("transition_type", "swipe", "transitionType"),
        *COMMON,
    ),
    StructuredEvent: (
        Row("category", "shop", "se_ca", required=True),
        Row("action", "add", "se_ac", required=True),
        Row("label", "web-shop", "se_la"),
        Row("property_", "pcs", "se_pr"),
        Row("value", 2.5, "se_va"),
        *COMMON,
    ),
    SelfDescribing: (Row("event_json", LINK, "ue_px", required=True), *COMMON),
}

ROWS = [
    pytest.param(cls, row, id=f"{cls.__name__}.{row.name}")
    for cls, rows in TABLES.items()
    for row in rows
]


def full(cls: Type[Event]) -> Dict[str, Any]:
    """A value for each property of an event class."""
    return {row.name: row.value for row in TABLES[cls]}


def parameters_of(event: Dict[str, str]) -> Dict[str, str]:
    """What an event carries; for a screen view, what its data carries as well."""
    carried = dict(event)
    if "ue_px" in event:
        carried.update(data_of(event)["data"])
    return carried


@pytest.mark.parametrize(("cls", "row"), ROWS)
def test_each_property_arrives(setup: Setup, cls: Type[Event], row: Row) -> None:
    """A property that is given reaches the collector in its parameter, and can be read back."""
    event = cls(**full(cls))
    assert getattr(event, row.name) == row.value
    setup.tracker.track(event)
    arrived = parameters_of(setup.only())
    if row.name == "event_subject":
        assert arrived["uid"] == "of the event"
    elif row.name == "context":
        assert protocol.decode(arrived["cx"])["data"] == [row.value[0].to_json()]
    elif row.name == "event_json":
        assert protocol.decode(arrived["ue_px"])["data"] == LINK.to_json()
    else:
        assert arrived[row.sent_as] == str(row.value)


@pytest.mark.parametrize(("cls", "row"), ROWS)
@pytest.mark.parametrize("absent", ["left out", "None"])
def test_only_what_is_required_is_required(
    setup: Setup, cls: Type[Event], row: Row, absent: str
) -> None:
    """What the table calls not required can be left out or `None`; what it requires cannot."""
    given = {**full(cls), row.name: None}
    if absent == "left out":
        del given[row.name]
    if row.required:
        with pytest.raises((TypeError, ValueError)):
            cls(**given)
        return
    setup.tracker.track(cls(**given))
    arrived = parameters_of(setup.only())
    if row.name == "id_":
        # The schema asks for an id, so that one is made.
        assert uuid.UUID(arrived["id"]).version == uuid.uuid4().version
    else:
        assert row.sent_as not in arrived


@pytest.mark.parametrize("cls", TABLES)
def test_the_required_properties_are_enough(setup: Setup, cls: Type[Event]) -> None:
    """An event with nothing but its required properties is valid."""
    setup.tracker.track(cls(**{row.name: row.value for row in TABLES[cls] if row.required}))
    assert setup.only()["e"] in protocol.EVENT_TYPES


@pytest.mark.parametrize("cls", TABLES)
def test_the_constructor_takes_the_properties_of_the_table(cls: Type[Event]) -> None:
    """The properties of the table are the parameters of the constructor, in this order."""
    names = list(inspect.signature(cls).parameters)
    assert names[: len(TABLES[cls])] == [row.name for row in TABLES[cls]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: PageView(page_url=""),
        lambda: PagePing(page_url=""),
        lambda: StructuredEvent(category="", action="a"),
        lambda: StructuredEvent(category="c", action=""),
        lambda: ScreenView(name=""),
        lambda: SelfDescribingJson("", {}),
    ],
)
def test_what_must_not_be_empty_is_refused(make: Callable[[], object]) -> None:
    """A required text, or a "Non-empty string", that is empty gives an error at the call."""
    with pytest.raises(ValueError, match="is empty"):
        make()


@pytest.mark.parametrize("value", [2, 2.5, 0, 0.0, -1])
def test_a_value_is_an_int_or_a_float(setup: Setup, value: float) -> None:
    """The value of a structured event arrives as Python writes the number, zero included."""
    setup.tracker.track(StructuredEvent("c", "a", value=value))
    assert setup.only()["se_va"] == str(value)


@pytest.mark.parametrize(
    ("given", "sent"), [(1368725287000, "1368725287000"), (1368725287000.9, "1368725287000")]
)
@pytest.mark.parametrize("cls", TABLES)
def test_a_true_timestamp_is_an_int_or_a_float(
    setup: Setup, cls: Type[Event], given: float, sent: str
) -> None:
    """Each event takes a time stamp in milliseconds, as `time.time() * 1000` gives it."""
    required = {row.name: row.value for row in TABLES[cls] if row.required}
    setup.tracker.track(cls(**required, true_timestamp=given))
    assert setup.only()["ttm"] == sent


# --- the sentences -----------------------------------------------------------------------------------


def test_every_event_has_a_unique_id_which_track_returns(setup: Setup) -> None:
    """Every payload has an `eid` of its own, a UUID as text, and `track()` returns it."""
    returned = [setup.tracker.track(cls(**full(cls))) for cls in TABLES for _ in range(3)]
    arrived = [event["eid"] for event in setup.arrived()]
    assert returned == arrived
    assert len(set(arrived)) == len(arrived)
    assert all(str(uuid.UUID(eid)) == eid for eid in arrived)


def test_tracking_one_event_twice_gives_two_ids(setup: Setup) -> None:
    """The id belongs to what was tracked, not to the event object."""
    page_view = PageView(page_url=URL)
    assert setup.tracker.track(page_view) != setup.tracker.track(page_view)
    assert len({event["eid"] for event in setup.arrived()}) == 2


def test_events_carry_namespace_and_app_id(setup: Setup) -> None:
    """Every event has the namespace and the app id of its tracker."""
    setup.tracker.track(PageView(page_url=URL))
    assert subset(setup.only(), "tna", "aid") == {"tna": "spec", "aid": "shop"}


def test_a_screen_view_is_a_self_describing_event_of_its_schema(setup: Setup) -> None:
    """A screen view without anything has a made id, and no field that its schema does not know."""
    setup.tracker.track(ScreenView(name="Home"))
    sent = data_of(setup.only())
    assert sent["schema"] == SCREEN_VIEW
    assert set(sent["data"]) == {"name", "id"}


def test_subject_of_the_event_is_combined_with_the_tracker_s(setup: Setup) -> None:
    """The subject of the event comes first; what it leaves open comes from the tracker's."""
    setup.tracker.set_subject(
        Subject().set_platform("srv").set_user_id("tracker").set_lang("cs").set_viewport(1, 2)
    )
    event_subject = Subject().set_user_id("event").set_timezone("Europe/Prague")
    setup.tracker.track(PageView(page_url=URL, event_subject=event_subject))
    assert subset(setup.only(), "p", "uid", "lang", "tz", "vp") == {
        "p": "srv",
        "uid": "event",
        "lang": "cs",
        "tz": "Europe/Prague",
        "vp": "1x2",
    }


def test_subjects_of_events_keep_users_apart(setup: Setup) -> None:
    """Subjects of several users on one tracker do not mix, and are not changed."""
    subjects = [Subject().set_user_id(f"user {number}") for number in range(5)]
    for each in subjects:
        setup.tracker.track(PageView(page_url=URL, event_subject=each))
    assert [event["uid"] for event in setup.arrived()] == [f"user {n}" for n in range(5)]
    assert [each.standard_nv_pairs["uid"] for each in subjects] == [f"user {n}" for n in range(5)]


@pytest.mark.parametrize("cls", TABLES)
def test_context_can_be_added_to_every_event(setup: Setup, cls: Type[Event]) -> None:
    """Custom context augments any event type, self-describing events included."""
    setup.tracker.track(cls(**{**full(cls), "context": [geo_context()]}))
    assert entities_of(setup.only()) == [geo_context().to_json()]


def test_one_entity_without_a_list_is_refused(setup: Setup) -> None:
    """Context has to be a list even if there is one entity; the error says so, and names it."""
    with pytest.raises((TypeError, ValueError), match="context"):
        setup.tracker.track(PageView(page_url=URL, context=geo_context()))  # type: ignore[arg-type]
    setup.tracker.track(PageView(page_url=URL, context=[geo_context()]))
    assert len(setup.arrived()) == 1


def test_events_have_the_times_of_creation_and_of_sending(setup: Setup) -> None:
    """Every event is recorded with both times in milliseconds, the creation first."""
    before = int(time.time() * 1000)
    setup.tracker.track(PageView(page_url=URL))
    event = setup.only()
    after = int(time.time() * 1000)
    assert before <= int(event["dtm"]) <= int(event["stm"]) <= after


@pytest.mark.parametrize("given", [{}, {"true_timestamp": None}])
def test_without_a_timestamp_the_current_time_counts(setup: Setup, given: Dict[str, None]) -> None:
    """Where the argument is not given or `None`, the time of creation is now, and nothing else."""
    before = int(time.time() * 1000)
    setup.tracker.track(PageView(page_url=URL, **given))
    event = setup.only()
    assert before <= int(event["dtm"]) <= int(time.time() * 1000)
    assert "ttm" not in event


def test_none_can_stand_for_empty_arguments_between(setup: Setup) -> None:
    """Positional calls may give `None` for what lies between."""
    setup.tracker.track(StructuredEvent("shop", "add", None, None, None, None, None, 1368725287000))
    event = setup.only()
    assert event["ttm"] == "1368725287000"
    assert not {"se_la", "se_pr", "se_va", "uid", "cx"} & set(event)


def test_self_describing_data_is_sent_as_it_is(setup: Setup) -> None:
    """A self-describing JSON has a schema and data, and both arrive unchanged."""
    data = {"text": "ž 🐎", "list": [1, 2.5, None, True], "nested": {"empty": {}}}
    setup.tracker.track(
        SelfDescribing(SelfDescribingJson("iglu:com.acme/x/jsonschema/1-0-0", data))
    )
    sent = data_of(setup.only())
    assert sent == {"schema": "iglu:com.acme/x/jsonschema/1-0-0", "data": data}
    assert json.loads(json.dumps(sent)) == sent
