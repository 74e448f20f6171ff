"""The deprecated methods of trackers."""

import copy
import datetime as dt
import inspect
import json
import uuid
import warnings

import pytest

from snowplow_tracker.contracts import FORM_TYPES
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker

BODY = SelfDescribingJson("iglu:body", {"b": 2})
ENTITY = SelfDescribingJson("iglu:entity", {"a": 1})
SNOWPLOW = "iglu:com.snowplowanalytics.snowplow"

# method, the arguments it needs, others, what they become; and the schema, if there is one
CALLS = [
    ("track_page_view", {"page_url": "u"}, {"page_title": "t"}, {"url": "u", "page": "t"}, None),
    ("track_page_ping", {"page_url": "u"}, {"min_x": 0}, {"url": "u", "pp_mix": 0}, None),
    (
        "track_struct_event",
        {"category": "c", "action": "a"},
        {"value": 2.5},
        {"se_ca": "c", "se_ac": "a", "se_va": 2.5},
        None,
    ),
    ("track_self_describing_event", {"event_json": BODY}, {}, {"b": 2}, "iglu:body"),
    ("track_unstruct_event", {"event_json": BODY}, {}, {"b": 2}, "iglu:body"),
    (
        "track_link_click",
        {"target_url": "u"},
        {"element_id": "i", "element_classes": ["c"], "element_content": ""},
        {"targetUrl": "u", "elementId": "i", "elementClasses": ["c"], "elementContent": ""},
        f"{SNOWPLOW}/link_click/jsonschema/1-0-1",
    ),
    (
        "track_add_to_cart",
        {"sku": "s", "quantity": 2},
        {"unit_price": 1.5, "currency": "EUR"},
        {"sku": "s", "quantity": 2, "unitPrice": 1.5, "currency": "EUR"},
        f"{SNOWPLOW}/add_to_cart/jsonschema/1-0-0",
    ),
    (
        "track_remove_from_cart",
        {"sku": "s", "quantity": 2},
        {"name": "n", "category": "c"},
        {"sku": "s", "quantity": 2, "name": "n", "category": "c"},
        f"{SNOWPLOW}/remove_from_cart/jsonschema/1-0-0",
    ),
    (
        "track_form_change",
        {"form_id": "f", "element_id": "e", "node_name": "INPUT", "value": None},
        {"type_": "TEXT", "element_classes": ["c"]},
        {
            "formId": "f",
            "elementId": "e",
            "nodeName": "INPUT",
            "value": None,
            "type": "text",
            "elementClasses": ["c"],
        },
        f"{SNOWPLOW}/change_form/jsonschema/1-0-0",
    ),
    (
        "track_form_change",
        {"form_id": "f", "element_id": None, "node_name": "SELECT", "value": "v"},
        {},
        {"formId": "f", "nodeName": "SELECT", "value": "v"},
        f"{SNOWPLOW}/change_form/jsonschema/1-0-0",
    ),
    (
        "track_form_submit",
        {"form_id": "f"},
        {
            "form_classes": ["c"],
            "elements": [{"name": "n", "value": "v", "nodeName": "INPUT"}, None],
        },
        {
            "formId": "f",
            "formClasses": ["c"],
            "elements": [{"name": "n", "value": "v", "nodeName": "INPUT"}],
        },
        f"{SNOWPLOW}/submit_form/jsonschema/1-0-0",
    ),
    (
        "track_form_submit",
        {"form_id": "f"},
        {"elements": []},
        {"formId": "f"},
        f"{SNOWPLOW}/submit_form/jsonschema/1-0-0",
    ),
    (
        "track_site_search",
        {"terms": ("a", "b")},
        {"filters": {"c": True}, "total_results": 0, "page_results": 1},
        {"terms": ["a", "b"], "filters": {"c": True}, "totalResults": 0, "pageResults": 1},
        f"{SNOWPLOW}/site_search/jsonschema/1-0-0",
    ),
    (
        "track_screen_view",
        {},
        {"name": "n", "id_": "i"},
        {"name": "n", "id": "i"},
        f"{SNOWPLOW}/screen_view/jsonschema/1-0-0",
    ),
    (
        "track_mobile_screen_view",
        {"name": "n", "id_": "i"},
        {"previous_type": "p", "transition_type": "t"},
        {"id": "i", "name": "n", "previousType": "p", "transitionType": "t"},
        "iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0",
    ),
    (
        "track_ecommerce_transaction_item",
        {"order_id": "o", "sku": "s", "price": 0, "quantity": 1},
        {"name": "n", "currency": "EUR"},
        {"ti_id": "o", "ti_sk": "s", "ti_pr": 0, "ti_qu": 1, "ti_nm": "n", "ti_cu": "EUR"},
        None,
    ),
    (
        "track_ecommerce_transaction",
        {"order_id": "o", "total_value": 9.5},
        {"tax_value": 0, "country": "UK", "affiliation": "a", "city": "c", "state": "s"},
        {
            "tr_id": "o",
            "tr_tt": 9.5,
            "tr_tx": 0,
            "tr_co": "UK",
            "tr_af": "a",
            "tr_ci": "c",
            "tr_st": "s",
        },
        None,
    ),
]


class Kept:
    def __init__(self):
        self.events = []

    def input(self, payload):
        self.events.append(payload)


@pytest.fixture
def emitter():
    return Kept()


@pytest.fixture
def tracker(emitter):
    return Tracker("ns", emitter, encode_base64=False)


def own(pairs):
    tracker_says = {"e", "p", "eid", "dtm", "tv", "tna"}
    return {name: value for name, value in pairs.items() if name not in tracker_says}


@pytest.mark.parametrize(("method", "needed", "others", "becomes", "schema"), CALLS)
def test_what_is_sent(tracker, emitter, method, needed, others, becomes, schema):
    """Each method sends its arguments in its form, warns its caller once, and chains."""
    with pytest.warns(DeprecationWarning, match=method) as caught:
        answer = getattr(tracker, method)(**needed, **others)
    assert answer is tracker
    assert [(warning.filename, str(warning.message).split("(")[0]) for warning in caught] == [
        (__file__, method)
    ]
    (pairs,) = emitter.events
    if schema:
        body = json.loads(own(pairs)["ue_pr"])["data"]
        assert body == {"schema": schema, "data": becomes}
    else:
        assert own(pairs) == becomes


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("method", "needed", "others", "becomes", "schema"), CALLS)
def test_what_all_of_them_take(tracker, emitter, method, needed, others, becomes, schema):
    """Each method takes entities, a timestamp and a subject."""
    getattr(tracker, method)(
        **needed,
        context=[ENTITY],
        tstamp=dt.datetime(1970, 1, 1, 0, 0, 7, tzinfo=dt.timezone.utc),
        event_subject=Subject().set_user_id("x"),
    )
    (pairs,) = emitter.events
    assert json.loads(pairs["co"])["data"] == [ENTITY.to_json()]
    assert (pairs["ttm"], pairs["uid"]) == (7000, "x")


def test_all_of_them_are_tried():
    """No deprecated method is missing above."""
    methods = dict(inspect.getmembers(Tracker, inspect.isfunction))
    assert {name for name in methods if name.startswith("track_")} == {row[0] for row in CALLS}


TO_CHOOSE = "is not supported. It must be one of"
NODE_NAMES = f"{TO_CHOOSE} 'INPUT', 'SELECT', 'TEXTAREA'"
TYPES = f"{TO_CHOOSE} {', '.join(map(repr, sorted(FORM_TYPES)))}"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.track_link_click(""), "target_url is empty."),
        (lambda t: t.track_add_to_cart("", 1), "sku is empty."),
        (lambda t: t.track_remove_from_cart("", 1), "sku is empty."),
        (lambda t: t.track_form_change("", "e", "INPUT", "v"), "form_id is empty."),
        (
            lambda t: t.track_form_change("f", "e", "DIV", "v"),
            f"node_name {NODE_NAMES}, got 'DIV'.",
        ),
        (lambda t: t.track_form_change("f", "e", "INPUT", "v", "x"), f"type_ {TYPES}, got 'x'."),
        (lambda t: t.track_form_change("f", "e", "INPUT", "v", 5), f"type_ {TYPES}, got 5."),
        (lambda t: t.track_form_submit(""), "form_id is empty."),
        (lambda t: t.track_form_submit("f", elements=[{}]), "element is not allowed."),
        (lambda t: t.track_site_search([]), "terms is empty."),
        (lambda t: t.track_ecommerce_transaction("", 1), "order_id is empty."),
        (lambda t: t.track_ecommerce_transaction_item("", "s", 1, 1), "order_id is empty."),
        (lambda t: t.track_ecommerce_transaction_item("o", "", 1, 1), "sku is empty."),
        (lambda t: t.track_mobile_screen_view(""), "name is empty."),
    ],
)
def test_what_is_refused_is_named(tracker, emitter, call, message):
    """A refused argument raises `ValueError` with its name, and nothing is sent."""
    with pytest.raises(ValueError) as caught:
        call(tracker)
    assert str(caught.value) == message
    assert emitter.events == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_mobile_screen_gets_an_id(tracker, emitter):
    """A screen without an id gets the tracker's next."""
    tracker.track_mobile_screen_view("n")
    assert uuid.UUID(json.loads(emitter.events[0]["ue_pr"])["data"]["data"]["id"])


@pytest.mark.parametrize("tstamp", [None, 5])
def test_items_of_a_transaction(tracker, emitter, tstamp):
    """Items share what the transaction says, also its time or none; the caller's stay as given."""
    items = [{"sku": "a", "price": 1, "quantity": 2}, {"sku": "b", "price": 3, "quantity": 4}]
    before = copy.deepcopy(items)
    with pytest.warns(DeprecationWarning, match="track_ecommerce_transaction") as caught:
        tracker.track_ecommerce_transaction(
            "o",
            9,
            currency="EUR",
            items=items,
            context=[ENTITY],
            tstamp=tstamp,
            event_subject=Subject().set_user_id("x"),
        )
    assert len(caught) == 1
    assert items == before
    transaction, *of_items = emitter.events
    assert [pairs["e"] for pairs in emitter.events] == ["tr", "ti", "ti"]
    for pairs in of_items:
        assert (pairs["ti_id"], pairs["ti_cu"], pairs["uid"]) == ("o", "EUR", "x")
        assert pairs["co"] == transaction["co"]
        assert pairs.get("ttm") == transaction.get("ttm") == tstamp


def test_the_inner_call_is_a_seam(emitter):
    """An override of `track_self_describing_event` gets what the others send."""
    seen = []

    class Own(Tracker):
        def track_self_describing_event(self, event_json, **arguments):
            seen.append((event_json.schema, sorted(arguments)))
            return super().track_self_describing_event(event_json, **arguments)

    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        Own("ns", emitter).track_screen_view("n")
    assert seen == [
        (f"{SNOWPLOW}/screen_view/jsonschema/1-0-0", ["context", "event_subject", "tstamp"])
    ]
    assert len(emitter.events) == 1
