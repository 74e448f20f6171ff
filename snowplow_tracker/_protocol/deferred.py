"""Self-describing data on its way to the queue: as JSON, whose envelope and base64 are deferred until it is read.

With the envelope that the protocol puts around it, and as base64, data takes more memory than its JSON, and time to
make. So a payload holds the JSON alone, as `bytes` that begin with a mark, and completes it when it is read. On the way
from a tracker into the memory of an emitter nobody reads it: there the thread that sends does the work. Whoever else
could see a payload (overrides, emitters and stores of users, callbacks) sees it complete.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import b2a_base64
from json import loads
from types import MethodType
from typing import Any, Callable, List, Sequence, TypeVar

from snowplow_tracker._protocol.json import dumps
from snowplow_tracker.constants import CONTEXT_SCHEMA, UNSTRUCT_EVENT_SCHEMA
from snowplow_tracker.typing import PayloadDict

__all__ = [
    "CONTEXTS",
    "DEFERRED_NAMES",
    "UNSTRUCT_EVENT",
    "Envelope",
    "complete",
    "completed",
    "takes_deferred",
    "takes_deferred_values",
    "to_base64",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])

_MARK = b"\0"
"""Neither JSON nor base64 begins with it. A type of its own would be tracked by the garbage collector."""

_takers: List[Any] = []


class Envelope:
    """What the protocol puts around self-describing data.

    It is always the same, so it is put around the JSON as a string, without encoding it.

    Attributes:
        encoded_name: The parameter that holds base64.
        plain_name: The parameter that holds plain JSON.
    """

    def __init__(self, schema: str, encoded_name: str, plain_name: str) -> None:
        """Describe an envelope.

        Args:
            schema: Its schema, which needs no escapes.
            encoded_name: The parameter that holds base64.
            plain_name: The parameter that holds plain JSON.
        """
        self.encoded_name = encoded_name
        self.plain_name = plain_name
        self._before = f'{{"schema": "{schema}", "data": '
        self._before_bytes = self._before.encode()

    def put(self, pairs: PayloadDict, json: str, *, encode_base64: bool, defer: bool) -> None:
        """Add the parameter for data that is JSON already.

        Args:
            pairs: The parameters to add it to.
            json: The data.
            encode_base64: Whether it is sent as base64.
            defer: Whether envelope and base64 are deferred until somebody reads the value.
        """
        if encode_base64:
            value = _MARK + json.encode()
            pairs[self.encoded_name] = value if defer else self.complete(value)
        else:
            pairs[self.plain_name] = f"{self._before}{json}}}"

    def extend(self, pairs: PayloadDict, items: str, *, encode_base64: bool, defer: bool) -> None:
        """Add items to the list that the envelope holds, or put a list of them into a new one.

        Args:
            pairs: The parameters that have the list, or get it.
            items: The items as JSON, with commas between them.
            encode_base64: Whether a new list is to be base64.
            defer: Whether envelope and base64 are deferred until somebody reads the value.

        Raises:
            ValueError: What is there is no such envelope.
        """
        for name in (self.encoded_name, self.plain_name):
            value = pairs.get(name)
            if type(value) is bytes and value.startswith(_MARK):
                pairs[name] = b"%b, %b]" % (value[:-1], items.encode())
                return
            if value:
                pairs[name] = self._extended(value, items, encoded=name == self.encoded_name)
                return
        self.put(pairs, f"[{items}]", encode_base64=encode_base64, defer=defer)

    def change(self, pairs: PayloadDict, function: Callable[[str], str]) -> None:
        """Replace the data in the envelope, if there is one.

        Args:
            pairs: The parameters that have it.
            function: Called with the data as JSON; returns what replaces it.
        """
        for name in (self.encoded_name, self.plain_name):
            value = pairs.get(name)
            if type(value) is bytes and value.startswith(_MARK):
                pairs[name] = _MARK + function(value[1:].decode()).encode()
            elif value:
                text = (
                    urlsafe_b64decode(value).decode() if name == self.encoded_name else str(value)
                )
                data = function(dumps(loads(text)["data"]))
                self.put(pairs, data, encode_base64=name == self.encoded_name, defer=False)

    def _extended(self, value: Any, items: str, *, encoded: bool) -> str:
        text = urlsafe_b64decode(value).decode() if encoded else str(value)
        envelope = loads(text)
        envelope["data"] += loads(f"[{items}]")
        text = dumps(envelope)
        return to_base64(text.encode()) if encoded else text

    def complete(self, value: Any) -> Any:
        """Return the value that a deferred one stands for, and any other as it is."""
        if type(value) is bytes and value.startswith(_MARK):
            return to_base64(b"%b%b}" % (self._before_bytes, value[1:]))
        return value


UNSTRUCT_EVENT = Envelope(UNSTRUCT_EVENT_SCHEMA, "ue_px", "ue_pr")
CONTEXTS = Envelope(CONTEXT_SCHEMA, "cx", "co")

_BY_NAME = {envelope.encoded_name: envelope for envelope in (UNSTRUCT_EVENT, CONTEXTS)}

DEFERRED_NAMES = frozenset(_BY_NAME)
"""The parameters whose value may be deferred."""


def complete(pairs: PayloadDict) -> None:
    """Complete the deferred values among these parameters, in place."""
    for name, envelope in _BY_NAME.items():
        if name in pairs:
            pairs[name] = envelope.complete(pairs[name])


def completed(names: Sequence[str], values: Sequence[Any]) -> List[Any]:
    """Return the values of an event with these names, the deferred ones completed."""
    return [
        _BY_NAME[name].complete(value) if name in _BY_NAME else value
        for name, value in zip(names, values)
    ]


def takes_deferred(input_: _Function) -> _Function:
    """Mark the `input` of an emitter as one that takes deferred values. An override of it gets complete ones."""
    _takers.append(input_)
    return input_


def takes_deferred_values(input_: object) -> bool:
    """Return whether this `input` of an emitter takes deferred values."""
    # A stand-in for a marked function, or a wrapper around it, may look like it, and is another type.
    return type(input_) is MethodType and input_.__func__ in _takers


def to_base64(data: bytes) -> str:
    """Encode as base64 in the alphabet for URLs, with padding."""
    # JSON seldom holds what becomes "+" or "/": looking for them is quicker than translating all of it.
    encoded = b2a_base64(data, newline=False).replace(b"+", b"-").replace(b"/", b"_")
    return encoded.decode("ascii")
