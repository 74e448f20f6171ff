"""Self-describing data on its way to the queue: as JSON, whose envelope and base64 wait until somebody reads it.

As base64, with the envelope that the protocol puts around it, data takes twice the memory of its JSON, and 1 us to
make. So a payload holds the JSON alone, as `bytes` that begin with a mark, and completes it when it is read. On the way
from a tracker into the memory of an emitter nobody reads it: there the thread that sends does the work. Whoever else
could see a payload (overrides, emitters and stores of users, callbacks) sees it complete.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from binascii import b2a_base64
from types import MethodType
from typing import Any, Callable, List, Sequence, TypeVar

from snowplow_tracker import _json
from snowplow_tracker.constants import CONTEXT_SCHEMA, UNSTRUCT_EVENT_SCHEMA
from snowplow_tracker.typing import PayloadDict

__all__ = [
    "CONTEXTS",
    "LATE_NAMES",
    "UNSTRUCT_EVENT",
    "Envelope",
    "complete",
    "completed",
    "is_late_taker",
    "takes_late",
    "to_base64",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])

_MARK = b"\0"
"""Neither JSON nor base64 begins with it. A type of its own would be tracked by the garbage collector."""

_late_takers: List[Any] = []


class Envelope:
    """What the protocol puts around self-describing data.

    It is always the same, so it is put around the text: 0.2 us less than encoding it.

    Attributes:
        late_name: The name of the pair with base64.
    """

    def __init__(self, schema: str, late_name: str, name: str) -> None:
        """Describe an envelope.

        Args:
            schema: Its schema, which needs no escapes.
            late_name: The name of the pair with base64.
            name: The name of the pair with plain JSON.
        """
        self.late_name = late_name
        self._name = name
        self._before = f'{{"schema": "{schema}", "data": '
        self._before_bytes = self._before.encode()

    def put(self, pairs: PayloadDict, text: str, *, encode_base64: bool, late: bool) -> None:
        """Add the pair for data that is JSON already.

        Args:
            pairs: Where to.
            text: The data.
            encode_base64: Whether it is to be base64.
            late: Whether that can wait.
        """
        if encode_base64:
            value = _MARK + text.encode()
            pairs[self.late_name] = value if late else self.complete(value)
        else:
            pairs[self._name] = f"{self._before}{text}}}"

    def extend(self, pairs: PayloadDict, items: str, *, encode_base64: bool, late: bool) -> None:
        """Add items to the list that the envelope holds, or put a list of them into a new one.

        Args:
            pairs: Where the list is, or where it is put.
            items: The items as JSON, with commas between them.
            encode_base64: Whether a new list is to be base64.
            late: Whether that can wait.

        Raises:
            ValueError: What is there is no such envelope.
        """
        for name in (self.late_name, self._name):
            value = pairs.get(name)
            if type(value) is bytes and value.startswith(_MARK):
                pairs[name] = b"%b, %b]" % (value[:-1], items.encode())
                return
            if value:
                pairs[name] = self._extended(value, items, encoded=name == self.late_name)
                return
        self.put(pairs, f"[{items}]", encode_base64=encode_base64, late=late)

    def change(self, pairs: PayloadDict, function: Callable[[str], str]) -> None:
        """Replace the data in the envelope, if there is one.

        Args:
            pairs: Where it is.
            function: Called with the data as JSON; returns what replaces it.
        """
        for name in (self.late_name, self._name):
            value = pairs.get(name)
            if type(value) is bytes and value.startswith(_MARK):
                pairs[name] = _MARK + function(value[1:].decode()).encode()
            elif value:
                text = urlsafe_b64decode(value).decode() if name == self.late_name else str(value)
                data = function(_json.dumps(json.loads(text)["data"]))
                self.put(pairs, data, encode_base64=name == self.late_name, late=False)

    def _extended(self, value: Any, items: str, *, encoded: bool) -> str:
        text = urlsafe_b64decode(value).decode() if encoded else str(value)
        envelope = json.loads(text)
        envelope["data"] += json.loads(f"[{items}]")
        text = _json.dumps(envelope)
        return to_base64(text.encode()) if encoded else text

    def complete(self, value: Any) -> Any:
        """Give the value that a late one stands for, and any other as it is."""
        if type(value) is bytes and value.startswith(_MARK):
            return to_base64(b"%b%b}" % (self._before_bytes, value[1:]))
        return value


UNSTRUCT_EVENT = Envelope(UNSTRUCT_EVENT_SCHEMA, "ue_px", "ue_pr")
CONTEXTS = Envelope(CONTEXT_SCHEMA, "cx", "co")

_BY_NAME = {envelope.late_name: envelope for envelope in (UNSTRUCT_EVENT, CONTEXTS)}

LATE_NAMES = frozenset(_BY_NAME)
"""The names of the pairs that may have a late value."""


def complete(pairs: PayloadDict) -> None:
    """Complete the late values among these pairs, in place."""
    for name, envelope in _BY_NAME.items():
        if name in pairs:
            pairs[name] = envelope.complete(pairs[name])


def completed(names: Sequence[str], values: Sequence[Any]) -> List[Any]:
    """Give the values of an event with these names, the late ones completed."""
    return [
        _BY_NAME[name].complete(value) if name in _BY_NAME else value
        for name, value in zip(names, values)
    ]


def takes_late(input_: _Function) -> _Function:
    """Mark the `input` of an emitter as one that takes late values. An override of it gets complete ones."""
    _late_takers.append(input_)
    return input_


def is_late_taker(input_: object) -> bool:
    """Tell whether this `input` of an emitter takes late values."""
    # A stand-in for a marked function, or a wrapper around it, may look like it, and is another type.
    return type(input_) is MethodType and input_.__func__ in _late_takers


def to_base64(data: bytes) -> str:
    """Encode as base64 in the alphabet for URLs, with padding."""
    # JSON seldom holds what becomes "+" or "/", and looking for them is 0.2 us quicker than a
    # translation of the whole.
    encoded = b2a_base64(data, newline=False).replace(b"+", b"-").replace(b"/", b"_")
    return encoded.decode("ascii")
