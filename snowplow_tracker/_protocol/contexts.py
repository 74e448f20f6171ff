"""Entities that are added to many events: copied when they are given, and encoded once."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict, Mapping, Optional, Tuple

from snowplow_tracker._protocol.json import dumps
from snowplow_tracker.typing import JsonEncoderFunction, PayloadDict


class KeptEntity:
    """A copy of an entity: later changes of its data have no effect on events.

    Attributes:
        schema: The Iglu URI of its schema.
        data: A copy of its data.
    """

    __slots__ = ("_texts", "data", "schema")

    def __init__(self, entity: Any) -> None:
        """Keep a copy of an entity.

        Args:
            entity: A `SelfDescribingJson`, or another object with a method `to_json`.

        Raises:
            ValueError: The object has no method `to_json`.
        """
        if not hasattr(entity, "to_json"):
            raise ValueError(
                f"an entity must be a SelfDescribingJson, not {type(entity).__name__}."
            )
        json = entity.to_json()
        self.schema: Any = json["schema"]
        self.data: Any = copy_of_data(json["data"])
        self._texts: Tuple[Tuple[Optional[JsonEncoderFunction], str], ...] = ()

    def to_json(self) -> PayloadDict:
        """Return schema and data as one dictionary."""
        return {"schema": self.schema, "data": self.data}

    def text(self, json_encoder: Optional[JsonEncoderFunction]) -> str:
        """Return the entity as JSON. It is encoded once per encoder.

        Args:
            json_encoder: Converts objects that JSON cannot represent.

        Raises:
            TypeError: The data contains a value that JSON cannot represent.
            ValueError: The data contains itself.
        """
        for encoder, text in self._texts:
            if encoder is json_encoder:
                return text
        text = dumps(self.to_json(), json_encoder)
        # There are few trackers, but an encoder may be created for each event.
        self._texts = ((json_encoder, text), *self._texts[:3])
        return text


def copy_of_data(data: Any) -> Any:
    """Return a deep copy of mappings, lists, tuples and objects of generated classes, as plain dictionaries and lists.

    Other objects in them are shared.

    Raises:
        ValueError: The data contains itself, or is nested too deeply.
    """
    try:
        return _copy(data)
    except RecursionError:
        raise ValueError("The entity's data is nested too deeply, or contains itself.") from None


def _copy(data: Any) -> Any:
    if isinstance(data, (str, int, float)):
        return data
    if isinstance(data, (dict, Mapping)):
        copied: Dict[Any, Any] = {name: _copy(value) for name, value in data.items()}
        return copied
    if isinstance(data, (list, tuple)):
        return [_copy(value) for value in data]
    return deepcopy(data) if hasattr(data, "to_data") else data
