"""Properties of events that are pairs in a dictionary which the event holds."""

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

__all__ = ["Parameter", "parameters_of", "required_string"]

_Value = TypeVar("_Value")
_OF_PAYLOAD: Callable[["Event"], Dict[str, Any]] = attrgetter("payload.nv_pairs")


class Parameter(Generic[_Value]):
    """A property that is one pair: `page_title = Parameter[Optional[str]]("page")`.

    It reads as `None` when there is no such pair, and setting it to `None` takes the pair away. So
    does the empty string where the pair is one of the payload, which holds no empty values.
    The constructor of an event does not go through it, but hands over all its pairs at once.
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
            doc: What the property says about the event.
            required: The value has to be a string, and not the empty one.
            non_empty: The same, but it may also be left out.
            pairs_of: Returns the dictionary of an event that has the pair. Default: that of its
                payload.
        """
        self.key = key
        self.pairs_of = pairs_of
        self.__doc__ = doc
        self._required = required
        self._checked = required or non_empty

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, event: None, owner: Type["Event"]) -> "Self": ...

    @overload
    def __get__(self, event: "Event", owner: Type["Event"]) -> _Value: ...

    def __get__(self, event: Optional["Event"], owner: Type["Event"]) -> Union["Self", _Value]:
        if event is None:
            return self
        return cast("_Value", self.pairs_of(event).get(self.key))

    def __set__(self, event: "Event", value: _Value) -> None:
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
    """Return the declared properties of a type of event, the oldest first."""
    for declared in reversed(event_type.__mro__):
        for name, value in vars(declared).items():
            if isinstance(value, Parameter):
                yield name, value


def required_string(value: str, name: str) -> str:
    """Check a string that an event cannot do without.

    Args:
        value: The string, or what is one by nature.
        name: What the message calls it.

    Raises:
        ValueError: The string is empty, or is none.
    """
    if type(value) is not str or not value:
        non_empty_string(value, name=name)
    return value
