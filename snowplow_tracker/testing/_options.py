"""What several classes do with their options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from snowplow_tracker.iglu.resolver import Resolver


def check_whole_number(name: str, value: Any, minimum: int = 1) -> None:
    """Raise a ValueError if the value of an option is not a whole number, or too small."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"{name} is {value!r}, but must be a whole number of at least {minimum}")


def check_positive(name: str, value: Any) -> None:
    """Raise a ValueError if the value of an option is not a number above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f"{name} is {value!r}, but must be a number above 0")


def resolver_of(schemas: Any) -> Optional[Resolver]:
    """Return the resolver for the option `schemas`: a source, several in a list, a resolver, or None.

    Raises:
        ImportError: schemas are given, and the extra ``schemas`` is not installed.
        ValueError: a source does not exist.
    """
    if schemas is None:
        return None
    from snowplow_tracker.iglu.resolver import Resolver
    from snowplow_tracker.iglu.validation import load_extra

    # Here, so that a missing extra is reported before the first event arrives.
    load_extra()
    if isinstance(schemas, Resolver):
        return schemas
    return Resolver(*(schemas if isinstance(schemas, (list, tuple)) else [schemas]))
