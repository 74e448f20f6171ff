"""Inspects the parameters of users' functions."""

from __future__ import annotations

from typing import Any, Callable


def names_parameter(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function has a parameter of that name; False if that is unknown."""
    return _takes(function, name, any_keyword=False)


def takes_keyword(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function has a parameter of that name, or accepts any keyword; False if that is unknown."""
    return _takes(function, name, any_keyword=True)


def _takes(function: Callable[..., Any], name: str, *, any_keyword: bool) -> bool:
    import inspect  # slow to import, and seldom needed

    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    if name in parameters:
        return parameters[name].kind is not inspect.Parameter.POSITIONAL_ONLY
    return any_keyword and any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()
    )
