"""What generated classes check when their data is used, and the entity of an event specification."""

from __future__ import annotations

import copy
from collections import deque
from typing import Any, ClassVar, Literal

import pytest

from snowplow_tracker import SelfDescribingJson, Tracker
from snowplow_tracker.iglu.typed import SpecifiedEvent, TypedData, event_specification
from snowplow_tracker.testing import RecordingEmitter

_Mode = Literal["None", "all"]


def one_property(annotation: str) -> Any:
    """Return a class, as it is generated, of one required property with this annotation."""
    written = (
        "class Thing(TypedData):\n"
        f"    def __init__(self, *, mode: {annotation}) -> None:\n"
        "        self.mode = mode\n"
        "    def to_data(self) -> Any:\n"
        '        return {"mode": self.mode}\n'
    )
    # As in this module, where it looks for what an annotation names.
    names = {"__name__": __name__, "Any": Any, "TypedData": TypedData}
    exec(compile(written, "generated", "exec", flags=annotations.compiler_flag), names)  # noqa: S102
    return names["Thing"]


def outcome(annotation: str, value: Any) -> Any:
    """Return the data of a value, or the type of the exception."""
    try:
        return one_property(annotation)(mode=value).to_data()["mode"]
    except Exception as error:
        return type(error)


@pytest.mark.parametrize(
    ("annotation", "accepted", "refused"),
    [
        ("str", ["a", 3], [None]),
        ("str | None", ["a", None], []),
        ("Optional[str]", ["a", None], []),
        ("Any", ["a", None], []),
        ('Literal["auto"] | int', ["auto", 3], [None]),
        ('Literal["auto"] | int | None', ["auto", 3, None], []),
        ('Literal["auto"] | list[str]', ["auto", ["a"]], [None]),
        ('Union[Literal["auto"], int]', ["auto", 3], [None]),
        ('Literal["None", "all"]', ["None", "all"], [None, "other"]),
        ('Literal["a | None", "b"]', ["a | None", "b"], [None, "a"]),
        ('Literal["a]", "b, c"] | None', ["a]", "b, c", None], ["a"]),
        ("Literal[1, None]", [1, None], [2]),
        ('Optional[Literal["Any"]]', ["Any", None], ["other"]),
        ("_Mode", ["None", "all"], [None, "other"]),
        ("_Mode | None", ["all", None], ["other"]),
        ("_Mode | int", ["all", 3, "other"], [None]),
    ],
)
def test_annotations_in_any_form_are_understood(
    annotation: str, accepted: Any, refused: Any
) -> None:
    """Whatever types a property has, valid values are sent, and others are a `ValueError`, never another exception."""
    assert [outcome(annotation, value) for value in accepted] == accepted
    assert [outcome(annotation, value) for value in refused] == [ValueError] * len(refused)


def test_a_list_may_be_any_collection_of_its_items() -> None:
    """Sets, views, deques and generators are sent as lists; a string, a mapping and a wrong item are not."""
    annotation = 'list[Literal["a", "b"]]'
    for value in (["a"], ("b",), {"a"}, deque("ab"), {"a": 1}.keys(), iter(["a"])):
        assert outcome(annotation, value) is value
    for value in ("a", {"a": 1}, ["c"], {"c"}, 5):
        assert outcome(annotation, value) is TypeError


class Ordered(SpecifiedEvent):
    """An event of a specification, as it is generated."""

    SCHEMA: ClassVar[str] = "iglu:com.acme/ordered/jsonschema/1-0-0"
    SPECIFICATION: ClassVar[SelfDescribingJson] = event_specification("an id", version=1)

    def to_data(self) -> Any:
        return {}


@pytest.mark.parametrize("hooks", [0, 1, 3])
def test_an_event_has_the_entity_of_its_specification_once(hooks: int) -> None:
    """An event follows one specification, however often it is copied and its entities are set."""
    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter)
    for _ in range(hooks):
        tracker.before_track(lambda event: event)
    own = SelfDescribingJson("iglu:com.acme/own/jsonschema/1-0-0", {})
    event = copy.deepcopy(Ordered(context=[own]))
    event.context = event.context
    tracker.track(event)
    schemas = [entity["schema"] for entity in emitter.events[-1].entities]
    assert schemas == [own.schema, Ordered.SPECIFICATION.schema]
