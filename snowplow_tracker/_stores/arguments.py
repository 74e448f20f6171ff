"""Checks of what stores are passed, with the name of the parameter in each message."""

from __future__ import annotations

import inspect
import os
from typing import Any, Union

__all__ = ["check_client", "check_numbers", "check_strings", "path_name"]


def check_numbers(**values: Any) -> None:
    """Check that values are numbers.

    Raises:
        TypeError: One of them is not.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name} must be a number, got {type(value).__name__}.")


def check_strings(**values: Any) -> None:
    """Check that values are strings.

    Raises:
        TypeError: One of them is not.
    """
    for name, value in values.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a string, got {type(value).__name__}.")


def check_client(value: Any) -> None:
    """Check that a value is a URL or a client of redis-py, which is used only when the first event is added.

    Raises:
        TypeError: It is neither, or a client for asyncio.
    """
    if isinstance(value, str):
        return
    command = getattr(value, "execute_command", None)
    if isinstance(value, type) or not callable(command):
        given = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
        raise TypeError(
            f"client_or_url must be a URL or a client such as redis.Redis, got {given}."
        )
    if inspect.iscoroutinefunction(command):
        raise TypeError(
            "client_or_url must be a client such as redis.Redis, got one of redis.asyncio: pass its URL instead."
        )


def path_name(value: Any) -> Union[str, bytes]:
    """Return the name that stands for a path.

    Raises:
        TypeError: It is no path.
    """
    try:
        return os.fspath(value)  # type: ignore[no-any-return]
    except TypeError:
        raise TypeError(f"path must be a string or a path, got {type(value).__name__}.") from None
