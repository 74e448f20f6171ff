"""Entities that are added to many events: copied when they are given, and encoded once."""

from __future__ import annotations

from copy import copy, deepcopy
from types import MappingProxyType
from typing import Any, Dict, Optional, Tuple

from snowplow_tracker._protocol.json import dumps
from snowplow_tracker.typing import JsonEncoderFunction, PayloadDict


class KeptEntity:
    """A copy of an entity: later changes of its data have no effect on events."""

    __slots__ = ("_texts", "data", "schema")

    def __init__(self, entity: Any) -> None:
        """Keep a copy of a `SelfDescribingJson`, or of another object with a method `to_json`.

        Raises:
            ValueError: The object has no such method.
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
    """Return a deep copy of dictionaries, lists, tuples and objects of generated classes. Other objects are shared.

    Only their types are looked at: to look into a lazy object would evaluate it.

    Raises:
        ValueError: The data contains itself, or is nested too deeply.
    """
    try:
        return _copy(data)
    except RecursionError:
        raise ValueError("The entity's data is nested too deeply, or contains itself.") from None


def _copy(data: Any) -> Any:
    kind = type(data)
    if kind is dict or kind is MappingProxyType:
        copied: Dict[Any, Any] = {name: _copy(value) for name, value in data.items()}
        return copied
    if kind is list or kind is tuple:
        return [_copy(value) for value in data]
    if issubclass(kind, (dict, list)):
        return _copy_of_subclass(data)
    if issubclass(kind, tuple):
        make: Any = getattr(kind, "_make", None)  # of a namedtuple
        return data if make is None else make([_copy(value) for value in data])
    # A class that `generate` wrote. Objects of users may have such a method, too, and hold what cannot be copied.
    return deepcopy(data) if getattr(kind, "_is_generated", False) else data


def _copy_of_subclass(data: Any) -> Any:
    """Return a copy of the same type: hooks may use what it has beside its items."""
    twin = copy(data)
    for place in list(twin) if isinstance(twin, dict) else range(len(twin)):
        value = twin[place]
        copied = _copy(value)
        if copied is not value:
            twin[place] = copied
    return twin
