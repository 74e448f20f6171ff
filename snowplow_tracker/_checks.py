"""Checks of arguments, with messages that name the parameter and what is wrong with its value."""

import math
import sys
import threading
from typing import Any


def check_number(name: str, value: Any, *, fraction: bool = False, zero: bool = False) -> None:
    """Check a number that must be above zero.

    Args:
        name: Of the parameter.
        value: The number.
        fraction: Whether it need not be an integer.
        zero: Whether 0 is allowed.

    Raises:
        TypeError: It is not a number, or not an integer.
        ValueError: It is out of range.
    """
    # By its methods, which numbers of other libraries have, too.
    kind = type(value)
    is_number = hasattr(kind, "__index__") or (fraction and hasattr(kind, "__float__"))
    if kind is bool or not is_number:
        what = "a number" if fraction else "an integer"
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
    check_number(name, value, fraction=True, zero=zero)
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
