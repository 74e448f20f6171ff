"""The base classes of classes that are generated from schemas.

`python -m snowplow_tracker generate` writes the classes. This module does not need the schemas.
"""

from __future__ import annotations

from typing import Any, ClassVar, Dict, List, Optional

from snowplow_tracker.events.event import Event
from snowplow_tracker.events.self_describing import SelfDescribing
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.typing import Timestamp

__all__ = [
    "SpecifiedEvent",
    "TypedData",
    "TypedEntity",
    "TypedEvent",
    "TypedEventOrEntity",
    "event_specification",
    "plain",
]

_EVENT_SPECIFICATION = "iglu:com.snowplowanalytics.snowplow/event_specification/jsonschema/1-0-4"
_OF_EVENTS = ("event_subject", "context", "true_timestamp", "event_id", "created_timestamp")


class TypedData:
    """Data that a schema describes: an object in an event or an entity, and the base class of both.

    Its attributes may be changed until the event is tracked. Two objects of one class with equal
    attributes are equal.
    """

    def to_data(self) -> Any:
        """Return the data in the form of JSON, with the names in the schema."""
        raise NotImplementedError

    def _held(self) -> Dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or not isinstance(other, TypedData):
            return NotImplemented
        return self._held() == other._held()

    def __hash__(self) -> int:
        # It may change while it is in a set, so only the type is constant.
        return hash(type(self))

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self._held().items() if v is not None)
        return f"{type(self).__name__}({shown})"


class TypedEntity(TypedData, SelfDescribingJson):
    """An entity of one schema, for the `context` of an event."""

    SCHEMA: ClassVar[str]
    """The address of the schema."""

    def __init__(self) -> None:
        # The data is in the attributes, so the constructor of SelfDescribingJson is not called.
        pass

    @property
    def schema(self) -> str:
        """The address of the schema."""
        return self.SCHEMA

    @schema.setter
    def schema(self, _value: str) -> None:
        raise AttributeError("the schema of a generated class cannot be changed")

    @property
    def data(self) -> Any:
        """The data in the form of JSON, created from the attributes each time."""
        return self.to_data()

    @data.setter
    def data(self, _value: Any) -> None:
        raise AttributeError("the data of a generated class is set by its attributes")

    def to_json(self) -> Dict[str, Any]:
        """Return schema and data as one dictionary."""
        return {"schema": self.SCHEMA, "data": self.to_data()}


class TypedEvent(TypedData, SelfDescribing):
    """A self-describing event of one schema.

    Its `event_id` and `created_timestamp`, which few events need, are set as attributes.

    Args:
        event_subject: The subject of this event; its values take precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now: milliseconds since 1970 or a `datetime`.

    Raises:
        ValueError: The context is not a list of entities.
    """

    SCHEMA: ClassVar[str]
    """The address of the schema."""

    def __init__(
        self,
        event_subject: Optional[Subject] = None,
        context: Optional[List[SelfDescribingJson]] = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        self._start({"e": "ue"}, event_subject, context, true_timestamp)

    @property
    def event_json(self) -> SelfDescribingJson:
        """Schema and data, created from the attributes each time."""
        return SelfDescribingJson(self.SCHEMA, self.to_data())

    @event_json.setter
    def event_json(self, _value: SelfDescribingJson) -> None:
        raise AttributeError("the data of a generated class is set by its attributes")

    def _held(self) -> Dict[str, Any]:
        held = super()._held()
        for name in _OF_EVENTS:  # last, since the data is more important
            held.pop(name, None)
            held[name] = getattr(self, name) or None
        return held


class TypedEventOrEntity(TypedEvent, TypedEntity):
    """A class that can be used as an event or as an entity, since a schema does not define which one it describes."""

    def __init__(
        self,
        event_subject: Optional[Subject] = None,
        context: Optional[List[SelfDescribingJson]] = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        self._start({"e": "ue"}, event_subject, context, true_timestamp)

    @property
    def event_json(self) -> SelfDescribingJson:
        """The event itself, as schema and data."""
        return self

    @event_json.setter
    def event_json(self, _value: SelfDescribingJson) -> None:
        raise AttributeError("the data of a generated class is set by its attributes")


class SpecifiedEvent(TypedEvent):
    """An event that follows an event specification, and has an entity for it."""

    SPECIFICATION: ClassVar[SelfDescribingJson]
    """The entity `event_specification`."""

    @property
    def context(self) -> List[SelfDescribingJson]:
        """The entities of the event, including that of its specification."""
        return super().context

    @context.setter
    def context(self, value: Optional[List[SelfDescribingJson]]) -> None:
        others = [each for each in value or () if each is not self.SPECIFICATION]
        vars(Event)["context"].__set__(self, [*others, self.SPECIFICATION])


def event_specification(
    id: str,  # noqa: A002 - as the schema calls it
    name: Optional[str] = None,
    version: Optional[int] = None,
    data_product_id: Optional[str] = None,
    data_product_name: Optional[str] = None,
    data_product_domain: Optional[str] = None,
) -> SelfDescribingJson:
    """Return the entity with the event specification that an event follows.

    Args:
        id: The id of the specification.
        name: Its name.
        version: Its version.
        data_product_id: The id of its tracking plan (data product).
        data_product_name: The name of that plan.
        data_product_domain: The domain of that plan.
    """
    data: Dict[str, Any] = {
        "id": id,
        "name": name,
        "version": version,
        "data_product_id": data_product_id,
        "data_product_name": data_product_name,
        "data_product_domain": data_product_domain,
    }
    return SelfDescribingJson(
        _EVENT_SPECIFICATION, {key: value for key, value in data.items() if value is not None}
    )


def plain(value: Any) -> Any:
    """Return a value in which objects of generated classes are replaced by their JSON."""
    if isinstance(value, TypedData):
        return value.to_data()
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value
