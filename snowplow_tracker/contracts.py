"""Checks of arguments. `disable_contracts` disables all of them.

A failed check raises `ValueError` with the name of the parameter. The package passes the name; for
other callers it is read from the source line of the call, and only after a check has failed.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Sized

from snowplow_tracker._messages import choice_text
from snowplow_tracker._protocol.text import has_string_form, plain, type_name
from snowplow_tracker.typing import FORM_NODE_NAMES, FORM_TYPES

__all__ = [
    "FORM_NODE_NAMES",
    "FORM_TYPES",
    "contracts_enabled",
    "disable_contracts",
    "enable_contracts",
    "form_element",
    "greater_than",
    "non_empty",
    "non_empty_string",
    "one_of",
    "satisfies",
]

_CONTRACTS_ENABLED = True


def disable_contracts() -> None:
    """Disable all checks of arguments."""
    global _CONTRACTS_ENABLED
    _CONTRACTS_ENABLED = False


def enable_contracts() -> None:
    """Enable all checks of arguments, as is the default."""
    global _CONTRACTS_ENABLED
    _CONTRACTS_ENABLED = True


def contracts_enabled() -> bool:
    """Return whether arguments are checked."""
    return _CONTRACTS_ENABLED


def greater_than(value: float, compared_to: float, *, name: Optional[str] = None) -> None:
    """Check that a number is greater than another.

    Args:
        value: The number to check.
        compared_to: The number that the value must exceed.
        name: The name of the value in the message.

    Raises:
        ValueError: The value is not greater.
    """
    if contracts_enabled() and value <= compared_to:
        raise ValueError(
            f"{name or _first_argument_of_caller()} must be greater than {compared_to}."
        )


def non_empty(seq: Sized, *, name: Optional[str] = None) -> None:
    """Check that a collection is not empty.

    Args:
        seq: The collection to check.
        name: The name of the collection in the message.

    Raises:
        ValueError: The collection is empty.
    """
    if contracts_enabled() and len(seq) == 0:
        raise ValueError(f"{name or _first_argument_of_caller()} is empty.")


def non_empty_string(s: Any, *, name: Optional[str] = None) -> None:
    """Check that a value is a non-empty string.

    Args:
        s: The value to check. Bytes, paths, URL objects and lazy translations count as strings;
            lazy ones count as not empty.
        name: The name of the value in the message.

    Raises:
        ValueError: The value is empty, or not a string.
    """
    if (type(s) is str and s) or not contracts_enabled():
        return
    problem = _string_problem(s)
    if problem is not None:
        raise ValueError(f"{name or _first_argument_of_caller()} {problem}")


def _string_problem(value: Any) -> Optional[str]:
    if value is None or (issubclass(type(value), (str, bytes, bytearray)) and not value):
        return "is empty."
    return None if has_string_form(value) else f"must be a string, not {type_name(value)}."


def one_of(
    value: Any,
    supported: Iterable[Any],
    *,
    name: Optional[str] = None,
) -> None:
    """Check that a value is one of the supported values.

    Args:
        value: The value to check. A member of a string enum counts as its value.
        supported: The supported values.
        name: The name of the value in the message.

    Raises:
        ValueError: The value is not supported.
    """
    if contracts_enabled() and not _is_among(value, supported):
        # The message of 1.1.0 comes first, unchanged: tests of users may search for it.
        message = f"{name or _first_argument_of_caller()} is not supported."
        # An iterator is exhausted by now, and an object with only `__contains__` cannot be listed.
        if isinstance(supported, Iterable) and not isinstance(supported, Iterator):
            message += f" It {choice_text(supported, value)}"
        raise ValueError(message)


def satisfies(
    value: Any,
    check: Callable[[Any], bool],
    *,
    name: Optional[str] = None,
) -> None:
    """Check a value with a function.

    Args:
        value: The value to check.
        check: The function, which returns whether the value is allowed.
        name: The name of the value in the message.

    Raises:
        ValueError: The function returned a false value.
    """
    if contracts_enabled() and not check(value):
        raise ValueError(f"{name or _first_argument_of_caller()} is not allowed.")


def form_element(element: Dict[str, Any], *, name: Optional[str] = None) -> None:
    """Check that a dictionary describes an element of a form.

    Args:
        element: The dictionary, with `name`, `value`, `nodeName` and optionally `type`.
        name: The name of the dictionary in the message.

    Raises:
        ValueError: A key is missing, or HTML has no such node name or type.
    """
    satisfies(element, _is_form_element, name=name or "element")


def _is_among(value: object, supported: Iterable[Any]) -> bool:
    try:
        # A member of a string enum has the hash of its name, so a set would not find it.
        return plain(value) in supported
    except TypeError:
        # It is not hashable, so it cannot be in a set.
        return False


def _is_form_element(element: object) -> bool:
    return (
        isinstance(element, dict)
        and "name" in element
        and "value" in element
        and _is_among(element.get("nodeName"), FORM_NODE_NAMES)
        and ("type" not in element or _is_among(element["type"], FORM_TYPES))
    )


def _first_argument_of_caller() -> str:
    # Imported here, since only messages for other callers need it.
    import linecache
    import re

    caller = sys._getframe(2)  # noqa: SLF001 - as inspect does, without its import
    line = linecache.getline(caller.f_code.co_filename, caller.f_lineno)
    match = re.search(r"\(\s*([\w.]+)\s*[,)]", line)
    return match.group(1) if match else "Unnamed parameter"
