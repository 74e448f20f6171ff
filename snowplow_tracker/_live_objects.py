"""Whether objects were put into events whose text may be another one in the thread that sends.

A proxy or a lazy translation (werkzeug, gettext) gives its text by what the thread is doing that asks for it. Nearly no
program has one in an event, and looking for them takes 0.3 us of every event. So nobody looks for them until the first
one was seen, by `contracts.plain`, which sees each value that is no text.
"""

from __future__ import annotations

from typing import Any, List

__all__ = ["STEADY", "texts_of"]

STEADY = frozenset({str, bytes, bool, int, float, type(None)})
"""Types of which every thread makes the same text."""

seen = False
"""Whether an object of another type was put into an event."""


def texts_of(values: List[Any]) -> List[Any]:
    """Give values with the text of each that is not steady; one that has none stays, and is given up by who needs it."""
    return [value if type(value) in STEADY else _text_of(value) for value in values]


def _text_of(value: Any) -> Any:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - whatever its class raises
        return value
