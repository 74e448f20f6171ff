"""Checks of arguments, which `disable_contracts` switches off as one.

The checks raise `ValueError` naming the parameter. The package gives the name itself; for other
callers it is read from the line of source that made the call, and only once a check has failed.
"""

import sys
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Sized

from snowplow_tracker._messages import choice_text
from snowplow_tracker._protocol.text import has_string_form, plain, type_name
from snowplow_tracker.typing import FORM_NODE_NAMES as FORM_NODE_NAMES
from snowplow_tracker.typing import FORM_TYPES as FORM_TYPES

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
    """Switch all checks of arguments off."""
    global _CONTRACTS_ENABLED
    _CONTRACTS_ENABLED = False


def enable_contracts() -> None:
    """Switch all checks of arguments on, which is how the package starts."""
    global _CONTRACTS_ENABLED
    _CONTRACTS_ENABLED = True


def contracts_enabled() -> bool:
    """Return whether arguments are checked."""
    return _CONTRACTS_ENABLED


def greater_than(value: float, compared_to: float, *, name: Optional[str] = None) -> None:
    """Check that a number is greater than another.

    Args:
        value: The number to check.
        compared_to: The number that is too small.
        name: What the message calls the value.

    Raises:
        ValueError: The value is not greater.
    """
    if contracts_enabled() and value <= compared_to:
        raise ValueError(
            f"{name or _first_argument_of_caller()} must be greater than {compared_to}."
        )


def non_empty(seq: Sized, *, name: Optional[str] = None) -> None:
    """Check that a collection holds something.

    Args:
        seq: The collection to check.
        name: What the message calls the collection.

    Raises:
        ValueError: The collection is empty.
    """
    if contracts_enabled() and len(seq) == 0:
        raise ValueError(f"{name or _first_argument_of_caller()} is empty.")


def non_empty_string(s: Any, *, name: Optional[str] = None) -> None:
    """Check that a value is a string, and not the empty one.

    Args:
        s: The value to check. What is a string by nature, such as bytes, a path, a URL object or a
            lazy translation, counts as one, and a lazy one as not empty.
        name: What the message calls the value.

    Raises:
        ValueError: The value is empty, or no string.
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
    """Check that a value is one of those given.

    Args:
        value: The value to check. A member of a string enum counts as its value.
        supported: The values to choose from.
        name: What the message calls the value.

    Raises:
        ValueError: The value is another one.
    """
    if contracts_enabled() and not _is_among(value, supported):
        # What 1.1.0 said comes first, whole: tests of users may look for it.
        message = f"{name or _first_argument_of_caller()} is not supported."
        # An iterator has been used up, and what only knows what it contains cannot be listed.
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
        check: The function, true for a value that is allowed.
        name: What the message calls the value.

    Raises:
        ValueError: The function's answer was false.
    """
    if contracts_enabled() and not check(value):
        raise ValueError(f"{name or _first_argument_of_caller()} is not allowed.")


def form_element(element: Dict[str, Any], *, name: Optional[str] = None) -> None:
    """Check that a dictionary describes an element of a form.

    Args:
        element: The dictionary: `name`, `value` and `nodeName`, perhaps `type`.
        name: What the message calls the dictionary.

    Raises:
        ValueError: A key is missing, or the node name or the type is not one of HTML's.
    """
    satisfies(element, _is_form_element, name=name or "element")


def _is_among(value: object, supported: Iterable[Any]) -> bool:
    try:
        # A string enum hashes by the name of its member, so no set finds it.
        return plain(value) in supported
    except TypeError:
        # Not hashable, so no member of a set.
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
    # Needed only for messages to callers that are not ours.
    import linecache
    import re

    caller = sys._getframe(2)  # noqa: SLF001 - what inspect uses, without its import
    line = linecache.getline(caller.f_code.co_filename, caller.f_lineno)
    match = re.search(r"\(\s*([\w.]+)\s*[,)]", line)
    return match.group(1) if match else "Unnamed parameter"
