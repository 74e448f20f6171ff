"""Checks of arguments, with messages that name the parameter and what is wrong with its value."""

import math
import sys
import threading
from typing import Any


def check_number(name: str, value: Any, *, kind: Any = int, zero: bool = False) -> None:
    """Check a number that must be above zero, or may be zero.

    Raises:
        TypeError: It is not a number of this kind.
        ValueError: It is out of range.
    """
    # By their methods, which numbers of other libraries have, too.
    converters = ("__index__",) if kind is int else ("__index__", "__float__")
    if isinstance(value, bool) or not any(hasattr(type(value), name) for name in converters):
        what = "an integer" if kind is int else "a number"
        raise TypeError(f"{name} must be {what}, got {shown(value)}.")
    if not (value > 0 or (value == 0 and zero)):
        raise ValueError(
            f"{name} must {'not be negative' if zero else 'be greater than 0'}, got {value!r}."
        )


def check_seconds(name: str, value: Any, *, zero: bool = False, forever: bool = False) -> None:
    """Check a time.

    Args:
        name: Of the parameter.
        value: Seconds.
        zero: Whether 0 is allowed.
        forever: Whether infinity is.

    Raises:
        TypeError: It is not a number.
        ValueError: It is negative, NaN, or too long for a thread to wait.
    """
    if isinstance(value, float) and math.isnan(value):
        raise ValueError(f"{name} must be a number of seconds, got nan.")
    check_number(name, value, kind=(int, float), zero=zero)
    if value > threading.TIMEOUT_MAX and not (forever and math.isinf(value)):
        raise ValueError(f"{name} must be a finite number of seconds, got {value!r}.")


def whole_number(size: float) -> int:
    """Return the number of events from which on a size that may be a float is reached: 1.1.0 compared with it."""
    return sys.maxsize if math.isinf(size) else math.ceil(size)


def check_callable(name: str, value: Any) -> None:
    """Check a callback.

    Raises:
        TypeError: It cannot be called.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be callable, got {shown(value)}.")


def shown(value: Any) -> str:
    """Return a value as a message shows it: its type, and itself if it is short."""
    text = repr(value)
    return f"{type(value).__name__} {text}" if len(text) <= 60 else type(value).__name__
