"""Helpers for the wording of messages."""

from contextlib import contextmanager
from itertools import islice
from typing import Any, Iterable, Iterator

ADD_PUBLIC = "if it is public, add its registry, such as https://iglucentral.com"
"""The advice about a schema of a vendor of which no other schema is known."""

_MAX_CHOICES = 30
_MAX_SHOWN = 60


def choice_text(choices: Iterable[Any], value: object) -> str:
    """Return the end of a message about a wrong choice: "must be one of 'http', 'https', got 'ftp'.".

    Args:
        choices: The allowed values.
        value: The value that was given. Of a string with "@", only the end is shown: a password may stand before it.
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


def escaped(text: str) -> str:
    """Return a text without characters that control a terminal or a log: they are escaped."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def events_text(count: int) -> str:
    """Return "1 event" or "2 events"."""
    return f"{count} event" if count == 1 else f"{count} events"


@contextmanager
def naming(variable: str) -> Iterator[None]:
    """Put the name of an environment variable before the message of an error about its value."""
    try:
        yield
    except Exception as error:
        kind = type(error)
        is_ours = kind is ValueError or kind.__module__.startswith("snowplow_tracker.")
        if is_ours and len(error.args) == 1:
            error.args = (f"{variable}: {error}",)
        raise
