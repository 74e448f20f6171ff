"""Strings that can be sent: objects that count as strings are converted, and every string becomes valid UTF-8.

Users pass URLs of yarl, httpx or Starlette, paths, ids or translations instead of strings. Some of them are lazy: the
string of a proxy or a translation depends on the request that is being handled when it is read. They are resolved when
an event is tracked, only by `resolve`.
"""

from __future__ import annotations

from typing import Any

from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker.typing import PayloadDict

STEADY_TYPES = frozenset({str, bytes, bool, int, float, type(None)})
"""Types whose string form never changes."""

has_seen_others = False
"""Whether `note` got a lazy object, whose string may be different when its event is tracked."""


def well_formed(string: str) -> str:
    """Return a string that can be encoded as UTF-8.

    A surrogate pair becomes its character, and a surrogate without its other half becomes a question mark, as with
    `errors="replace"`.
    """
    if string.isascii():
        return string
    try:
        string.encode()
    except UnicodeEncodeError:
        joined = string.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return joined.encode(errors="replace").decode()
    return string


def plain(value: Any) -> Any:
    """Return an immutable object in the form for a payload, and any other object unchanged.

    Strings of subclasses become `str`, members of enums become their values, bytes are decoded as UTF-8, and paths and
    split URLs become strings.
    """
    kind = type(value)
    if kind is str:
        return value
    if issubclass(kind, str):
        # `str(member)` of a string enum is its name in some Pythons and its value in others.
        return str.__str__(value)
    if kind in STEADY_TYPES and kind is not bytes:
        return value
    if issubclass(kind, (bytes, bytearray, memoryview)):
        return bytes(value).decode(errors="replace")
    if hasattr(kind, "_member_map_"):  # an Enum
        return plain(value.value)
    if hasattr(kind, "__fspath__"):
        return plain(value.__fspath__())
    if issubclass(kind, tuple) and hasattr(kind, "geturl"):  # of urllib.parse
        return plain(value.geturl())
    return value


def note(value: Any) -> Any:
    """Return a value for a payload, and record if it must be resolved when it is tracked.

    The search for such values costs a few percent of `track()`, and most programs have none. So a tracker resolves only
    after the first one (fast path).
    """
    global has_seen_others
    value = plain(value)
    if type(value) not in STEADY_TYPES:
        has_seen_others = True
    return value


def resolve(pairs: PayloadDict) -> None:
    """Replace the objects among the values of an event by their current strings.

    Raises:
        TypeError: An object has no string form.
    """
    for name, value in list(pairs.items()):
        if type(value) not in STEADY_TYPES:
            string = _string_of(value, name)
            if string:
                pairs[name] = string
            else:
                del pairs[name]


def has_string_form(value: Any) -> bool:
    """Return whether an object counts as a string: a string, bytes, or an object whose class defines its string form.

    Only the class is inspected, since inspecting a proxy resolves it.
    """
    kind = type(value)
    return (
        issubclass(kind, (str, bytes, bytearray, memoryview))
        or hasattr(kind, "__fspath__")
        or hasattr(kind, "geturl")
        or (
            getattr(kind, "__str__", None) is not object.__str__
            and not issubclass(kind, _NOT_STRINGS)
        )
    )


# The strings of these types are like their `repr`, except for exceptions.
_NOT_STRINGS = (bool, int, float, complex, list, tuple, dict, set, frozenset, type)


def type_name(value: object) -> str:
    """Return the full name of an object's class for messages: `numpy.int64`, `str`."""
    kind = type(value)
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def described(value: object) -> str:
    """Return the description of an argument of the wrong type for messages: `int`, `None`, `the class Emitter`."""
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__qualname__


def _string_of(value: Any, name: str) -> str:
    try:
        string = str(plain(value))
    except Exception as error:
        if is_interrupt(error):
            raise
        raise TypeError(f"{name} has no string form: {type_name(value)}: {error}") from error
    return str.__str__(string)
