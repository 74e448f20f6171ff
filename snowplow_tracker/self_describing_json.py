"""Data together with the address of the schema that describes it."""

from typing import Union

from snowplow_tracker._protocol.json import dumps
from snowplow_tracker._protocol.parameters import check_schema, known_schemas
from snowplow_tracker._protocol.text import plain
from snowplow_tracker._protocol.value_object import ValueObject
from snowplow_tracker.contracts import non_empty_string as non_empty_string
from snowplow_tracker.typing import PayloadDict as PayloadDict
from snowplow_tracker.typing import PayloadDictList as PayloadDictList

__all__ = ["PayloadDict", "PayloadDictList", "SelfDescribingJson", "non_empty_string"]


class SelfDescribingJson(ValueObject):
    """Data and its schema: the body of a custom event, or an entity in its context.

    Attributes:
        data: The data, which has to be valid for the schema. It may be changed until the event is
            tracked.
    """

    def __init__(self, schema: str, data: Union[PayloadDict, PayloadDictList]) -> None:
        """Put data and schema together.

        Args:
            schema: The Iglu address of the schema, `iglu:vendor/name/jsonschema/1-0-0`. Another
                form is sent as it is, and logged once: the pipeline refuses it.
            data: The data.

        Raises:
            ValueError: The schema is empty.
        """
        self.schema = schema
        self.data = data

    @property
    def schema(self) -> str:
        """The Iglu address of the schema."""
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
        """Return schema and data as one dictionary, which shares the data."""
        return {"schema": self.schema, "data": self.data}

    def to_string(self) -> str:
        """Return schema and data as JSON, in ASCII.

        Raises:
            TypeError: The data holds something that JSON cannot.
            ValueError: The data refers to itself.
        """
        return dumps(self.to_json(), ensure_ascii=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(schema={self.schema!r}, data={self.data!r})"
