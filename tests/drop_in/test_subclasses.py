"""Subclasses that users of 1.1.0 wrote: what they override, add and replace takes effect."""

from __future__ import annotations

import base64
import json
import logging
import typing
from typing import Any, Callable, Dict, List, Optional
from unittest import mock

import pytest

import snowplow_tracker
from snowplow_tracker import (
    AsyncEmitter,
    Emitter,
    EmitterConfiguration,
    Event,
    InMemoryEventStore,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Tracker,
)
from snowplow_tracker.payload import Payload
from snowplow_tracker.sqlite_event_store import SQLiteEventStore
from snowplow_tracker.testing import RecordingEmitter

ENTITY = SelfDescribingJson("iglu:com.acme/user/jsonschema/1-0-0", {"id": 1})


def tracked(event: Event, **options: Any) -> Dict[str, Any]:
    """Track an event; give the payload that an emitter of a user's gets."""
    emitter = RecordingEmitter()
    Tracker("ns", emitter, **options).track(event)
    (payload,) = emitter.payloads
    return payload


@pytest.mark.parametrize("name", ["_payload", "_pairs", "_value", "_fields", "_late", "_renamed"])
def test_names_of_their_own(name: str) -> None:
    """An attribute of a user's, under a name that 1.1.0 had no use for, harms neither tracking nor comparing."""

    class Own(PageView):
        def __init__(self, url: str) -> None:
            super().__init__(url)
            setattr(self, name, ["mine"])

    event = Own("u")
    assert tracked(event)["url"] == "u"
    assert getattr(event, name) == ["mine"]
    assert event == Own("u")
    assert "u" in repr(event)


def test_names_of_their_own_in_emitters_and_stores() -> None:
    """Names that sound like the work of a store or an emitter are free for a user's subclass."""
    used: List[str] = []

    class OwnStore(InMemoryEventStore):
        hands_out_text = keeps_room = "mine"

        def requeue(self, event: str) -> None:
            used.append(event)

        acknowledge = hand_out = count_waiting = requeue

    class OwnEmitter(Emitter):
        max_batch_events = request_seconds = "mine"

    emitter = OwnEmitter(
        "127.0.0.1:1", "http", event_store=OwnStore(logging.getLogger(__name__)), batch_size=1
    )
    emitter.input({"e": "pv"})
    assert (emitter.stats().queued, emitter.stats().retried, used) == (1, 1, [])
    emitter.close(timeout=0)


def test_a_configuration_with_a_property_of_its_own() -> None:
    """An option that a subclass of the configuration computes reaches the emitter; other attributes do not."""

    class Config(EmitterConfiguration):
        @property  # type: ignore[override]
        def batch_size(self) -> int:
            return 50

        @batch_size.setter
        def batch_size(self, value: Optional[int]) -> None:
            self.asked_for = value

    config = Config(batch_size=3)
    assert (config.make_emitter("h", "post").batch_size, config.asked_for) == (50, 3)


def test_a_constructor_starts_afresh() -> None:
    """What was there before the constructor ran is replaced by what it is given."""

    class Early(PageView):
        def __init__(self, url: str) -> None:
            self.payload = Payload({"e": "early"})
            super().__init__(url)

    assert tracked(Early("u"))["e"] == "pv"
    event = PageView("first")
    assert event.page_url == "first"
    event.__init__("second")  # type: ignore[misc] # some pools of objects do
    assert tracked(event)["url"] == "second"


def test_an_event_without_the_constructor_of_its_base() -> None:
    """An event that only sets its payload is tracked, compared and shown."""

    class Bare(Event):
        def __init__(self, url: str) -> None:
            self.payload = Payload({"e": "pv", "url": url})

    assert tracked(Bare("u"))["url"] == "u"
    assert Bare("u") == Bare("u") != Bare("v")
    assert "'u'" in repr(Bare("u"))


def test_properties_that_are_overridden() -> None:
    """An overridden `context` or `schema` is set and asked as in 1.1.0."""

    class WithContext(PageView):
        @property
        def context(self) -> List[SelfDescribingJson]:
            return [*self._own, ENTITY]

        @context.setter
        def context(self, value: Optional[List[SelfDescribingJson]]) -> None:
            self._own = value or []

    assert "cx" in tracked(WithContext("u"))

    class Entity(SelfDescribingJson):
        schema = "iglu:com.acme/base/jsonschema/1-0-0"  # type: ignore[assignment]

        def __init__(self, data: Dict[str, Any], schema: Optional[str] = None) -> None:
            super().__init__(schema or self.schema, data)

    special = "iglu:com.acme/special/jsonschema/1-0-0"
    assert Entity({}, special).to_json()["schema"] == special


def test_a_build_payload_that_reads_the_pairs_first() -> None:
    """An override finds complete values in the pairs that it took hold of before it called its base."""

    class Own(PageView):
        def build_payload(
            self, encode_base64: bool, json_encoder: Any, subject: Any = None
        ) -> Payload:
            pairs = self.payload.nv_pairs
            super().build_payload(encode_base64, json_encoder, subject)
            json.dumps(pairs)
            return Payload(pairs)

    text = base64.urlsafe_b64decode(tracked(Own("u", context=[ENTITY]))["cx"])
    assert json.loads(text)["data"] == [ENTITY.to_json()]


def test_a_payload_with_an_add_of_its_own() -> None:
    """An `add` that a subclass of `Payload` overrides gets the pairs of `add_dict`, too."""

    class Own(Payload):
        def add(self, name: str, value: Any) -> None:
            super().add(f"x_{name}", value)

    payload = Own()
    payload.add_dict({"a": 1, "b": "", "c": None})
    assert payload.get() == {"x_a": 1}


def test_a_complete_payload_with_a_keyword() -> None:
    """An override may take the event by name only, since that is how it is called."""

    class Own(Tracker):
        def complete_payload(self, *, event: Event) -> Payload:  # type: ignore[override]
            payload = super().complete_payload(event)
            payload.add("ua", "mine")
            return payload

    emitter = RecordingEmitter()
    Own("ns", emitter).track(PageView("u"))
    assert emitter.payloads[0]["ua"] == "mine"


@pytest.mark.parametrize("module", ["emitters", "snowplow"])
def test_a_logger_that_is_replaced(module: str) -> None:
    """A stand-in for the logger of a module hears what is logged under its name."""
    with mock.patch(f"snowplow_tracker.{module}.logger") as logger:
        if module == "emitters":
            Emitter("localhost", protocol="http")
        else:
            snowplow_tracker.Snowplow.remove_tracker_by_namespace("nobody")
    assert logger.method_calls


@pytest.mark.parametrize(
    "function",
    [
        kind.__init__
        for kind in (
            *(Event, PageView, PagePing, ScreenView, SelfDescribing, StructuredEvent),
            *(AsyncEmitter, Emitter, EmitterConfiguration),
            *(InMemoryEventStore, SelfDescribingJson, SQLiteEventStore, Tracker),
        )
    ],
    ids=lambda function: function.__qualname__,
)
def test_hints_can_be_read_when_the_program_runs(function: Callable[..., Any]) -> None:
    """Annotations can be resolved, which containers and checkers of types do at run time."""
    assert typing.get_type_hints(function)


def test_events_that_are_made_in_their_own_way() -> None:
    """A type with a `__new__` that takes arguments, or one slot by its name alone, is tracked as any other."""

    class Own(PageView):
        __slots__ = "label"  # noqa: PLC0205 - as users wrote it

        def __new__(cls, url: str) -> Any:
            return super().__new__(cls)

        def __init__(self, url: str) -> None:
            super().__init__(url)
            self.label = "mine"

        def build_payload(self, encode_base64: bool, json_encoder: Any, subject: Any = None) -> Any:
            self.payload.add("page", self.label)
            return super().build_payload(encode_base64, json_encoder, subject)

    assert tracked(Own("u"))["page"] == "mine"
