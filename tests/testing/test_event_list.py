"""Searching events, and what a failed assertion says."""

import re
from unittest.mock import ANY

import pytest

from snowplow_tracker import (
    Emitter,
    PageView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)
from snowplow_tracker.testing import (
    Collector,
    EventsDifferError,
    ParameterMissingError,
    RecordingEmitter,
    record,
)

ORDER = "iglu:com.acme/order/jsonschema/1-0-0"
USER = "iglu:com.acme/user/jsonschema/1-0-0"
PAGE = "iglu:com.acme/page/jsonschema/2-0-1"


@pytest.fixture
def events():
    emitter = RecordingEmitter()
    tracker = Tracker("ns", emitter, app_id="shop")
    tracker.track(PageView("https://shop.example/lamps", page_title="Lamps"))
    tracker.track(StructuredEvent("shop", "add", "lamp-3", value=2))
    tracker.track(
        SelfDescribing(
            SelfDescribingJson(
                ORDER,
                {"id": "A-1", "total": 2.5, "paid": True, "items": [{"sku": "lamp", "price": 3}]},
            ),
            context=[
                SelfDescribingJson(USER, {"tier": "gold"}),
                SelfDescribingJson(USER, {"tier": "silver"}),
                SelfDescribingJson(PAGE, {"id": 7}),
            ],
            event_subject=Subject().set_user_id("visitor-7"),
        )
    )
    tracker.track(StructuredEvent("shop", "remove", "lamp-3"))
    return emitter.events


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        ({}, [0, 1, 2, 3]),
        ({"type": "pv"}, [0]),
        ({"type": "page view"}, [0]),
        ({"type": "Page_View"}, [0]),
        ({"type": "self-describing"}, [2]),
        ({"type": "struct"}, [1, 3]),
        ({"name": "order"}, [2]),
        ({"name": "structured"}, [1, 3]),
        ({"schema": ORDER}, [2]),
        ({"schema": "com.acme/order/jsonschema/1-0-0"}, [2]),
        ({"schema": "iglu:com.acme/*"}, [2]),
        ({"schema": "iglu:com.acme/order/jsonschema/1-0-1"}, []),
        ({"schema": re.compile("order")}, [2]),
        ({"se_ac": "add"}, [1]),
        ({"se_ac": re.compile("^re")}, [3]),
        ({"se_va": 2}, [1]),
        ({"se_va": 2.0}, [1]),
        ({"se_va": "2"}, [1]),
        ({"se_va": True}, []),
        ({"se_va": ANY}, [1]),
        ({"type": "se", "se_va": None}, [3]),
        ({"aid": "shop", "uid": "visitor-7"}, [2]),
        ({"data": {"id": "A-1"}}, [2]),
        ({"data": {"total": pytest.approx(2.5)}}, [2]),
        ({"data": {"items": [{"sku": "lamp"}]}}, [2]),
        ({"data": {"items": []}}, []),
        ({"data": {"items": [{"sku": "lamp"}, ANY]}}, []),
        ({"data": {"paid": True}}, [2]),
        ({"data": {"paid": 1}}, []),
        ({"data": {"id": {"more": 1}}}, []),
        ({"data": SelfDescribingJson(ORDER, {"id": "A-1"})}, [2]),
        ({"entity": USER}, [2]),
        ({"entity": "com.acme/page/*"}, [2]),
        ({"entity": {"tier": "silver"}}, [2]),
        ({"entity": {"schema": PAGE, "data": {"id": 7}}}, [2]),
        ({"entity": SelfDescribingJson(USER, {"tier": "gold"})}, [2]),
        ({"entity": [{"tier": "silver"}, {"tier": "gold"}, PAGE]}, [2]),
        ({"entity": [USER, USER]}, [2]),
        ({"entity": [USER, USER, USER]}, []),
        ({"entity": [{"tier": "gold"}, {"tier": "gold"}]}, []),
        ({"entity": [USER, {"tier": "gold"}]}, [2]),
        ({"entity": [USER, {"tier": "silver"}]}, [2]),
        ({"entity": {"tier": "bronze"}}, []),
        ({"where": lambda event: "uid" in event}, [2]),
        ({"type": "se", "where": lambda event: event["se_ac"] == "add"}, [1]),
    ],
)
def test_find(events, wanted, rows):
    """What is found is all that matches, in order; each way to say it works in assertions, too."""
    assert events.find(**wanted) == [events[row] for row in rows]
    if len(rows) == 1:
        assert events.assert_one(**wanted) is events[rows[0]]
    else:
        with pytest.raises(EventsDifferError):
            events.assert_one(**wanted)
    if rows:
        with pytest.raises(EventsDifferError):
            events.assert_none(**wanted)
        assert events.assert_in_order(wanted) == [events[rows[0]]]
    else:
        events.assert_none(**wanted)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"type": "pageview"}, "type is 'pageview', but must be one of pv"),
        ({"page_title": "Lamps"}, "'page_title' is not a parameter of the protocol; page is what"),
        ({"action": "add"}, "'action' is not a parameter of the protocol; se_ac is what"),
        ({"contexts": []}, "'contexts' is not a parameter of the protocol; entity is what"),
        ({"colour": "red"}, "'colour' is not a parameter"),
        ({"where": True}, "where is True, but must be a function"),
    ],
)
def test_a_typing_error_does_not_pass_for_none(events, wanted, message):
    """What no event can be like is an error, and not an assertion that holds."""
    with pytest.raises(ValueError, match=re.escape(message)):
        events.assert_none(**wanted)


def failure(call):
    with pytest.raises(EventsDifferError) as caught:
        call()
    return str(caught.value)


def test_a_failure_shows_the_nearest_event_and_what_differs(events):
    """The text names what was wanted, the nearest event with each difference, and all events."""
    text = failure(
        lambda: events.assert_one(
            name="order",
            data={"items": [{"price": 4, "quantity": 1}]},
            entity={"schema": PAGE, "data": {"id": 8}},
        )
    )
    assert "expected exactly one event with" in text
    assert "name = 'order'" in text
    assert "the nearest one is row 2, where" in text
    assert "data.items[0].price is 3, not 4" in text
    assert "data.items[0].quantity is missing; there is sku, price" in text
    assert "entity[2].data.id is 7, not 8" in text
    assert "> 2  order" in text
    assert "  0  page view" in text
    assert "4 events in all" in text


def test_a_failure_for_too_many_marks_each(events):
    """Where several match, all of them are marked."""
    text = failure(lambda: events.assert_one(type="se"))
    assert "2 are like that" in text
    assert re.search("^> 1 .*add", text, re.MULTILINE)
    assert re.search("^> 3 .*remove", text, re.MULTILINE)
    assert "nearest" not in text


def test_a_failure_without_events_says_so():
    """Nothing tracked is the most common reason, and is said at once."""
    assert "there are no events at all" in failure(
        lambda: RecordingEmitter().events.assert_one(type="pv")
    )


def test_order_is_checked(events):
    """Others may be in between; what comes too early is said to."""
    found = events.assert_in_order({"type": "pv"}, {"se_ac": "add"}, {"se_ac": "remove"})
    assert [each.get("se_ac") for each in found] == [None, "add", "remove"]
    text = failure(lambda: events.assert_in_order({"se_ac": "remove"}, {"se_ac": "add"}))
    assert "event 2 of 2 in this order" in text
    assert "it is row 1, which comes too early" in text
    with pytest.raises(TypeError, match="dictionary"):
        events.assert_in_order("pv")


@pytest.mark.long
def test_a_failure_with_many_events_stays_readable(events):
    """Of 10,000 events those around the nearest one are shown."""
    emitter = RecordingEmitter()
    tracker = Tracker("ns", emitter)
    for number in range(10_000):
        tracker.track(StructuredEvent("shop", f"step-{number}", "x" * 500))
    text = failure(lambda: emitter.events.assert_one(se_ac="step-7000", se_la="y"))
    assert len(text.splitlines()) < 60
    assert "> 7000" in text
    assert "9960 of them are not shown" in text


def test_validity_is_asserted(events):
    """Each problem is named with the row that it belongs to."""
    events.assert_valid()
    events[1].parameters["se_va"] = "nan"
    text = failure(events.assert_valid)
    assert "refuse 1 of 4 events" in text
    assert "row 1: se_va is 'nan', but must be a decimal number" in text


def test_a_missing_parameter_says_what_there_is(events):
    """The error is a KeyError whose text lists what the event has."""
    with pytest.raises(KeyError) as caught:
        events[0]["se_ac"]
    assert isinstance(caught.value, ParameterMissingError)
    assert str(caught.value).startswith("this page view event has no 'se_ac'; it has aid, dtm, e,")


def test_a_tracker_can_be_recorded_for_a_while():
    """The app's own tracker records inside, and has its own emitters again outside."""
    outer = RecordingEmitter()
    tracker = Tracker("ns", outer)
    with record(tracker) as recorded:
        tracker.track(PageView("https://inside.example"))
    tracker.track(PageView("https://outside.example"))
    recorded.events.assert_one(url="https://inside.example")
    outer.events.assert_one(url="https://outside.example")


def test_a_bounded_recorder_keeps_the_latest():
    """With a bound the oldest events go, and the payloads with them."""
    emitter = RecordingEmitter(max_events=2)
    for number in range(5):
        emitter.input({"e": "pv", "p": "web", "tv": "t", "page": str(number)})
    assert [each["page"] for each in emitter.events] == ["3", "4"]
    assert [each["page"] for each in emitter.payloads] == ["3", "4"]
    with pytest.raises(ValueError, match="max_events is 0"):
        RecordingEmitter(max_events=0)


def test_a_failure_explains_that_tracking_is_switched_off(monkeypatch):
    """Where SNOWPLOW_DISABLED=1 is why nothing arrived, the failures of list and collector say so."""
    with Collector() as collector:
        for wanted in (False, True):
            if wanted:
                monkeypatch.setenv("SNOWPLOW_DISABLED", "1")
            Tracker("ns", Emitter(collector.endpoint, enabled=False)).track(PageView("https://a"))
            with pytest.raises(AssertionError) as missing:
                collector.wait_for(1, timeout=0.05)
            with pytest.raises(AssertionError) as different:
                collector.events.assert_one(type="page view")
            for caught in (missing, different):
                assert ("SNOWPLOW_DISABLED=1 is set" in str(caught.value)) is wanted
