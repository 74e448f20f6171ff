"""Data together with the URI of its schema."""

from __future__ import annotations

from typing import Union

from snowplow_tracker._protocol.json import dumps
from snowplow_tracker._protocol.parameters import check_schema, known_schemas
from snowplow_tracker._protocol.text import plain
from snowplow_tracker._protocol.value_object import ValueObject
from snowplow_tracker.contracts import non_empty_string
from snowplow_tracker.typing import PayloadDict, PayloadDictList

__all__ = ["PayloadDict", "PayloadDictList", "SelfDescribingJson", "non_empty_string"]


class SelfDescribingJson(ValueObject):
    """Data and its schema: the body of a self-describing event, or an entity.

    Attributes:
        data: The data, which must be valid for the schema. Changes count until the event is tracked.
    """

    def __init__(self, schema: str, data: Union[PayloadDict, PayloadDictList]) -> None:
        """Combine data and schema.

        Args:
            schema: The Iglu URI of the schema, such as `iglu:vendor/name/jsonschema/1-0-0`. The
                pipeline refuses other forms: they are sent unchanged, and a warning is logged once.
            data: The data.

        Raises:
            ValueError: The schema is empty.
        """
        self.schema = schema
        self.data = data

    @property
    def schema(self) -> str:
        """The Iglu URI of the schema."""
        return self._schema

    @schema.setter
    def schema(self, value: str) -> None:
        if type(value) is not str or not value:
            non_empty_string(value, name="schema")
            value = plain(value)
            value = value if value is None or type(value) is str else str(value)
        if value not in known_schemas:
            check_schema(value)
        self._schema = value

    def to_json(self) -> PayloadDict:
        """Return schema and data as one dictionary. The data is not copied."""
        return {"schema": self.schema, "data": self.data}

    def to_string(self) -> str:
        """Return schema and data as JSON, with only ASCII characters.

        Raises:
            TypeError: The data contains a value that JSON cannot represent.
            ValueError: The data contains itself.
        """
        return dumps(self.to_json(), ensure_ascii=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(schema={self.schema!r}, data={self.data!r})"
