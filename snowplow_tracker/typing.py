"""Type aliases and protocols, and the values of each `Literal` for checks at run time."""

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Literal, Protocol, Tuple, Union

__all__ = [
    "FORM_NODE_NAMES",
    "FORM_TYPES",
    "SUPPORTED_PLATFORMS",
    "ElementClasses",
    "EmitterProtocol",
    "FailureCallback",
    "FormClasses",
    "FormNodeName",
    "HttpProtocol",
    "JsonEncoderFunction",
    "Method",
    "PayloadDict",
    "PayloadDictList",
    "SuccessCallback",
    "SupportedPlatform",
]

PayloadDict = Dict[str, Any]
PayloadDictList = List[PayloadDict]
JsonEncoderFunction = Callable[[Any], Any]

FORM_NODE_NAMES = {"INPUT", "SELECT", "TEXTAREA"}
FORM_TYPES = {
    "button",
    "checkbox",
    "color",
    "date",
    "datetime",
    "datetime-local",
    "email",
    "file",
    "hidden",
    "image",
    "month",
    "number",
    "password",
    "radio",
    "range",
    "reset",
    "search",
    "submit",
    "tel",
    "text",
    "time",
    "url",
    "week",
}
FormNodeName = Literal["INPUT", "TEXTAREA", "SELECT"]
ElementClasses = Union[List[str], Tuple[str, Any]]
FormClasses = Union[List[str], Tuple[str, Any]]

if TYPE_CHECKING:
    from datetime import date
    from logging import Logger as Logger

    from requests import Session as Session
    from typing_extensions import Unpack as Unpack

    Timestamp = Union[float, date, str, None]
    """Milliseconds since 1970, a `datetime`, a `date`, or an ISO 8601 string. Without a time zone it is in local time."""
else:
    # So that `typing.get_type_hints` works at run time without importing typing_extensions.
    Logger = Session = Any
    Timestamp = Union[float, Any, None]

    class Unpack:
        def __class_getitem__(cls, options: Any) -> Any:
            return options


SUPPORTED_PLATFORMS = {"app", "cnsl", "headset", "iot", "mob", "pc", "srv", "tv", "web"}
SupportedPlatform = Literal["pc", "tv", "mob", "cnsl", "iot", "web", "srv", "app", "headset"]

HttpProtocol = Literal["http", "https"]
Method = Literal["get", "post"]
SuccessCallback = Callable[[PayloadDictList], None]
FailureCallback = Callable[[int, PayloadDictList], None]


class EmitterProtocol(Protocol):
    """The methods of an emitter.

    A tracker requires `input` alone: it calls `sync_flush` of the emitters that have it, and `flush` of the others. The methods
    return `object` so that an emitter may return any value.
    """

    def input(self, payload: PayloadDict) -> object:
        """Accept one event, which is complete."""

    def flush(self) -> object:
        """Send the queued events. The emitter need not wait until they are sent."""

    def async_flush(self) -> object:
        """Do nothing: no tracker calls it, and the emitters of this package do nothing, as in 1.1.0."""

    def sync_flush(self) -> object:
        """Send the queued events and wait for the result."""
