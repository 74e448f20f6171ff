"""The wire comparison itself: it finds what differs, and what no longer does."""

from __future__ import annotations

import base64
import importlib
import json
from typing import Any, Dict, List

import pytest
from wire_comparison.comparison import Observation, compare, normalise_event

from support.recorder import Request

EVENT = {
    "e": "pv",
    "eid": "5c4b2c4e-2a4b-4a37-8d0a-3f2c1c1e0b11",
    "dtm": "1700000000000",
    "tv": "py-1.1.0",
}

# The comparison is a program, and its verdict is a function of it.
program = importlib.import_module("wire_comparison.__main__")


def observed(**changes: Any) -> Observation:
    """One request with one event, from which some pairs may differ."""
    event = {key: value for key, value in {**EVENT, **changes}.items() if value is not None}
    body = json.dumps({"schema": "iglu:x", "data": [event]}).encode()
    return Observation([Request("POST", "/tp2", {"Host": "a"}, body, client=1)])


def found(new: Observation, new_version: str = "1.1.0") -> List[str]:
    """The differences between the plain request and another."""
    versions = ("1.1.0", new_version)
    return compare(["one"], {"one": observed()}, {"one": new}, versions)["one"]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"e": "pp"}, 'requests[0].events[0].e: "pv" -> "pp"'),
        ({"uid": "a"}, 'requests[0].events[0].uid: (nothing) -> "a"'),
        ({"e": None}, 'requests[0].events[0].e: "pv" -> (nothing)'),
        ({"e": 5}, 'requests[0].events[0].e: "pv" -> "not a text: 5"'),
        ({"eid": "x"}, 'requests[0].events[0].eid: "<uuid 4>" -> "x"'),
        ({"dtm": "17.5"}, 'requests[0].events[0].dtm: "<milliseconds>" -> "17.5"'),
        ({"tv": "py-9"}, 'requests[0].events[0].tv: "<py-version>" -> "py-9"'),
    ],
)
def test_a_difference_is_one_readable_line(changes: Dict[str, Any], difference: str) -> None:
    """Each pair that differs, is new or is gone gives a line that says where."""
    assert found(observed(**changes)) == [difference]


def test_what_is_new_in_each_run_is_compared_by_form() -> None:
    """Another id, time or version of the package is no difference."""
    changes = {
        "eid": "9d0a2c4e-2a4b-4a37-8d0a-3f2c1c1e0b11",
        "dtm": "1700000000999",
        "tv": "py-1.2.0",
    }
    assert found(observed(**changes), "1.2.0") == []


def test_base64_is_compared_by_what_it_holds() -> None:
    """A parameter in base64 is shown decoded, and told apart from one that is not padded."""
    text = base64.urlsafe_b64encode(b'{"a": 1}').decode()
    assert normalise_event({"cx": text}, "1")["cx"] == 'base64url of {"a": 1}'
    assert normalise_event({"cx": text.rstrip("=")}, "1")["cx"].startswith("not base64url")


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [([], "no longer occurs"), (["a: 1 -> 2"], None), (["a: 1 -> 2", "b: 1 -> 2"], "not allowed")],
)
def test_the_list_has_to_be_true(
    monkeypatch: pytest.MonkeyPatch, lines: List[str], complaint: Any
) -> None:
    """A difference that is not listed fails, and so does a listed one that does not occur."""
    monkeypatch.setattr(program, "ALLOWED", {"one": [(4, "a: 1 -> 2")]})
    complaints, counts = program.judge({"one": lines}, precise=False)
    assert len(complaints) == (complaint is not None)
    assert all(complaint in each for each in complaints)
    assert counts[4] == min(len(lines), 1)
