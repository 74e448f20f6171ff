"""Properties of events whose values are in a dictionary of the event."""

from __future__ import annotations

from operator import attrgetter
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Generic,
    Iterator,
    Optional,
    Tuple,
    Type,
    TypeVar,
    Union,
    cast,
    overload,
)

from snowplow_tracker._protocol.parameters import sent_value
from snowplow_tracker._protocol.text import plain
from snowplow_tracker.contracts import non_empty_string

if TYPE_CHECKING:
    from typing_extensions import Self

    from snowplow_tracker.events.event import Event

_Value = TypeVar("_Value")
_OF_PAYLOAD: Callable[[Event], Dict[str, Any]] = attrgetter("payload.nv_pairs")


class Parameter(Generic[_Value]):
    """A property for one pair: `page_title = Parameter[Optional[str]]("page")`.

    It is `None` if there is no such pair. Setting it to `None` removes the pair; so does the empty
    string if the pair is one of the payload, which has no empty values.

    The constructors of events do not use it, but pass all their pairs at once.
    """

    def __init__(
        self,
        key: str,
        doc: str,
        *,
        required: bool = False,
        non_empty: bool = False,
        pairs_of: Callable[[Any], Dict[str, Any]] = _OF_PAYLOAD,
    ) -> None:
        """Declare a property.

        Args:
            key: The name of the pair.
            doc: The docstring of the property.
            required: Whether the value must be a non-empty string.
            non_empty: Whether the value must be a non-empty string or `None`.
            pairs_of: Returns the dictionary of an event that contains the pair. Default: its payload.
        """
        self.key = key
        self.pairs_of = pairs_of
        self.__doc__ = doc
        self._required = required
        self._checked = required or non_empty

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, event: None, owner: Type[Event]) -> Self: ...

    @overload
    def __get__(self, event: Event, owner: Type[Event]) -> _Value: ...

    def __get__(self, event: Optional[Event], owner: Type[Event]) -> Union[Self, _Value]:
        if event is None:
            return self
        return cast("_Value", self.pairs_of(event).get(self.key))

    def __set__(self, event: Event, value: _Value) -> None:
        pairs = self.pairs_of(event)
        if self._required or (self._checked and value is not None):
            non_empty_string(value, name=self.name)
        in_payload = self.pairs_of is _OF_PAYLOAD
        sent = sent_value(self.key, value) if in_payload else plain(value)
        if sent is None or (in_payload and type(sent) is str and not sent):
            pairs.pop(self.key, None)
        else:
            pairs[self.key] = sent


def parameters_of(event_type: type) -> Iterator[Tuple[str, Parameter[Any]]]:
    """Yield the declared properties of a type of event; those of base classes are first."""
    for declared in reversed(event_type.__mro__):
        for name, value in vars(declared).items():
            if isinstance(value, Parameter):
                yield name, value


def required_string(value: str, name: str) -> str:
    """Return a required string, or an object that counts as one, after a check.

    Raises:
        ValueError: The string is empty, or is not a string.
    """
    if type(value) is not str or not value:
        non_empty_string(value, name=name)
    return value
