"""Type aliases and protocols, and the values that a `Literal` alone cannot check at run time."""

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
else:
    # At run time the hints can be read, without the imports that they name.
    Logger = Session = Any
    Timestamp = Union[float, Any, None]

    class Unpack:
        def __class_getitem__(cls, options: Any) -> Any:
            return options


"""Milliseconds since 1970, a `datetime` or `date`, or an ISO 8601 string; without a time zone in local time."""

SUPPORTED_PLATFORMS = {"app", "cnsl", "headset", "iot", "mob", "pc", "srv", "tv", "web"}
SupportedPlatform = Literal["pc", "tv", "mob", "cnsl", "iot", "web", "srv", "app", "headset"]

HttpProtocol = Literal["http", "https"]
Method = Literal["get", "post"]
SuccessCallback = Callable[[PayloadDictList], None]
FailureCallback = Callable[[int, PayloadDictList], None]


class EmitterProtocol(Protocol):
    """What a tracker calls on an emitter.

    Only `input` has to exist: a tracker leaves out of `flush` what an emitter does not have. The
    methods return `object` so that an emitter may return something, as ours do.
    """

    def input(self, payload: PayloadDict) -> object:
        """Take one event, ready to be sent."""

    def flush(self) -> object:
        """Send what is queued, without waiting for it where the emitter can."""

    def async_flush(self) -> object:
        """Send what is queued, as `flush` does: another name for it."""

    def sync_flush(self) -> object:
        """Send what is queued and wait for the outcome."""
