"""Deferred values: self-describing data as JSON, whose envelope and base64 are added when the value is read.

The envelope of the protocol and base64 take time, and more memory than the JSON. So a payload has only the JSON, as
`bytes` that begin with a mark, and completes it when it is read. Between a tracker and the memory of an emitter it is
not read, so the thread that sends does the work. All other code that can see a payload (overrides, emitters and stores
of users, callbacks) gets complete values.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from json import loads
from types import MethodType
from typing import Any, Callable, List, Sequence, TypeVar

from snowplow_tracker._protocol.json import dumps
from snowplow_tracker.constants import CONTEXT_SCHEMA, UNSTRUCT_EVENT_SCHEMA
from snowplow_tracker.typing import PayloadDict

_Function = TypeVar("_Function", bound=Callable[..., Any])

_MARK = b"\0"
"""The mark: neither JSON nor base64 begins with it. The garbage collector would track objects of a new type."""

_takers: List[Any] = []


class Envelope:
    """The envelope of the protocol around self-describing data, in one of two parameters: as base64 or as plain JSON.

    It is always the same, so it is added to the JSON as a string, without encoding it.
    """

    def __init__(self, schema: str, encoded_name: str, plain_name: str) -> None:
        self.encoded_name = encoded_name
        self.plain_name = plain_name
        self._before = f'{{"schema": "{schema}", "data": '
        self._before_bytes = self._before.encode()

    def put(self, pairs: PayloadDict, json: str, *, encode_base64: bool, defer: bool) -> None:
        """Add the parameter for data that is JSON already.

        Args:
            pairs: The parameters. They are changed.
            json: The data.
            encode_base64: Whether to encode it as base64.
            defer: Whether envelope and base64 are deferred until the value is read.
        """
        if encode_base64:
            value = _MARK + json.encode()
            pairs[self.encoded_name] = value if defer else self.complete(value)
        else:
            pairs[self.plain_name] = f"{self._before}{json}}}"

    def extend(self, pairs: PayloadDict, items: str, *, encode_base64: bool, defer: bool) -> None:
        """Add items, as JSON separated by commas, to the list in the envelope, or `put` a list of them.

        Raises:
            ValueError: The existing value is not such an envelope.
        """
        for name in (self.encoded_name, self.plain_name):
            value = pairs.get(name)
            if type(value) is bytes and value.startswith(_MARK):
                pairs[name] = b"%b, %b]" % (value[:-1], items.encode())
                return
            if value:
                is_encoded = name == self.encoded_name
                envelope = loads(from_base64(value) if is_encoded else str(value))
                envelope["data"] += loads(f"[{items}]")
                text = dumps(envelope)
                pairs[name] = to_base64(text.encode()) if is_encoded else text
                return
        self.put(pairs, f"[{items}]", encode_base64=encode_base64, defer=defer)

    def change(self, pairs: PayloadDict, function: Callable[[str], str]) -> None:
        """Replace the data in the envelope, if there is one, by what the function makes of it, both as JSON."""
        for name in (self.encoded_name, self.plain_name):
            value = pairs.get(name)
            if type(value) is bytes and value.startswith(_MARK):
                pairs[name] = _MARK + function(value[1:].decode()).encode()
            elif value:
                is_encoded = name == self.encoded_name
                envelope = loads(from_base64(value) if is_encoded else str(value))
                data = function(dumps(envelope["data"]))
                self.put(pairs, data, encode_base64=is_encoded, defer=False)

    def complete(self, value: Any) -> Any:
        """Return the complete value of a deferred one, and any other value unchanged."""
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
    """Mark the `input` of an emitter as one that accepts deferred values. An override of it gets complete ones."""
    _takers.append(input_)
    return input_


def takes_deferred_values(input_: object) -> bool:
    """Return whether this `input` of an emitter accepts deferred values."""
    # A mock or a wrapper of a marked function may have the same attributes, but has another type.
    return type(input_) is MethodType and input_.__func__ in _takers


def to_base64(data: bytes) -> str:
    """Encode as URL-safe base64 with padding."""
    # The result seldom contains "+" or "/": searching for them is faster than always translating.
    encoded = b2a_base64(data, newline=False).replace(b"+", b"-").replace(b"/", b"_")
    return encoded.decode("ascii")


def from_base64(value: Any) -> bytes:
    """Decode URL-safe base64, a string or bytes."""
    # Not `base64`: its import takes as long as a tenth of this package's own modules.
    data = value.encode("ascii") if isinstance(value, str) else bytes(value)
    return a2b_base64(data.replace(b"-", b"+").replace(b"_", b"/"))
