"""Payloads, and the self-describing JSON in them."""

import base64
import copy
import json

import pytest

from snowplow_tracker.payload import Payload
from snowplow_tracker.self_describing_json import SelfDescribingJson
from support.copies import copies


def test_a_payload_takes_a_copy():
    """The dictionary that a payload starts with stays its owner's."""
    pairs = {"a": 1}
    payload = Payload(pairs)
    payload.add("b", 2)
    assert pairs == {"a": 1}
    assert payload.get() is payload.nv_pairs == {"a": 1, "b": 2}


@pytest.mark.parametrize("value", [0, 0.0, False, "x", 2.5, 1e-07])
def test_what_says_something_is_added(value):
    """Zero and `False` are values."""
    one, many = Payload(), Payload()
    one.add("a", value)
    many.add_dict({"a": value, "b": None})
    assert one.nv_pairs == many.nv_pairs == {"a": value}


@pytest.mark.parametrize("value", [None, ""])
def test_what_says_nothing_is_left_out(value):
    """`None` and the empty text are not added, and leave an older value alone."""
    payload = Payload({"a": 1})
    payload.add("a", value)
    payload.add_dict({"a": value, "b": value})
    assert payload.nv_pairs == {"a": 1}


@pytest.mark.parametrize("data", [{"a": "ü?>~", "b": [1, None, True]}, {"ÿÿ": "ûûû???>>>"}])
def test_json_is_added_as_text_or_base64(data):
    """The text is that of `json.dumps` without escapes; base64 is URL-safe and padded."""
    payload = Payload()
    payload.add_json(data, False, "x", "r")
    payload.add_json(data, True, "x", "r")
    text = json.dumps(data, ensure_ascii=False)
    assert payload.nv_pairs == {
        "r": text,
        "x": base64.urlsafe_b64encode(text.encode()).decode(),
    }


@pytest.mark.parametrize("data", [None, {}])
def test_empty_json_is_left_out(data):
    """Nothing to encode adds nothing."""
    payload = Payload()
    payload.add_json(data, True, "x", "r")
    assert payload.nv_pairs == {}


def test_json_asks_the_users_encoder():
    """The encoder given is asked about objects that JSON does not know."""
    payload = Payload()
    payload.add_json({"a": object()}, False, "x", "r", json_encoder=lambda _: "asked")
    assert payload.nv_pairs == {"r": '{"a": "asked"}'}


def test_payloads_are_values():
    """Payloads that hold the same are equal; copies are independent."""
    payload = Payload({"a": 1})
    for twin in copies(payload):
        assert twin == payload
        twin.add("b", 2)
        assert twin != payload
    assert repr(payload) == "Payload({'a': 1})"
    assert payload != {"a": 1}


def test_self_describing_json():
    """Schema and data are readable, writable, and what the JSON is made of."""
    described = SelfDescribingJson("iglu:a", {"ü": 1})
    assert described.to_json() == {"schema": "iglu:a", "data": {"ü": 1}}
    assert described.to_string() == '{"schema": "iglu:a", "data": {"\\u00fc": 1}}'
    assert repr(described) == "SelfDescribingJson(schema='iglu:a', data={'ü': 1})"
    assert copies(described) == [described] * 3
    twin = copy.copy(described)
    twin.schema, twin.data["more"] = "iglu:b", 2
    assert (described.schema, described.data) == ("iglu:a", {"ü": 1})
    assert len({described, SelfDescribingJson("iglu:a", {"ü": 1})}) == 1
