"""How messages put things."""

from itertools import islice
from typing import Any, Iterable

__all__ = ["choice_text", "events_text"]

_MAX_CHOICES = 30
_MAX_SHOWN = 60


def choice_text(choices: Iterable[Any], value: object) -> str:
    """Write what may be chosen, and what was: "must be one of 'http', 'https', got 'ftp'.".

    Args:
        choices: What may be chosen.
        value: What was given. Of a string with a password in it, only what follows the password is shown.
    """
    import reprlib  # needed for messages only

    shown = reprlib.Repr()
    shown.maxstring = shown.maxother = _MAX_SHOWN
    if isinstance(value, str) and "@" in value:
        value = "…" + value[value.rindex("@") :]
    if isinstance(choices, (set, frozenset)):
        choices = sorted(choices, key=repr)
    known = ", ".join(map(shown.repr, islice(choices, _MAX_CHOICES)))
    return f"must be one of {known}, got {shown.repr(value)}."


def events_text(count: int) -> str:
    """Write "1 event", "2 events"."""
    return f"{count} event" if count == 1 else f"{count} events"
