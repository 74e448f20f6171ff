"""Names in Python for the names in schemas."""

from __future__ import annotations

import keyword
import re
import unicodedata
from typing import Dict, Iterable, List, Set

from snowplow_tracker.iglu import typed

# The attributes of the base classes, and the names that generated methods use.
_TAKEN_PROPERTIES = frozenset(
    {*dir(typed.TypedEventOrEntity), *dir(typed.SpecifiedEvent), "additional", "self", "super"}
)
_TAKEN_CLASSES = frozenset(
    {
        *typed.__all__,
        "Any",
        "ClassVar",
        "False",
        "Literal",
        "None",
        "SelfDescribingJson",
        "Subject",
        "Timestamp",
        "True",
    }
)
_MAX_LENGTH = 80


def property_names(keys: Iterable[str], *, additional: bool) -> Dict[str, str]:
    """Return a parameter name for each key of an object.

    A key that is such a name already keeps it, whatever the others are called; of keys whose names clash,
    the later ones get a number. The class may have a parameter `additional` of its own.
    """
    keys = list(keys)
    taken: Set[str] = set(_TAKEN_PROPERTIES if additional else _TAKEN_PROPERTIES - {"additional"})
    wanted = {key: _snake_case(key) for key in keys}
    names = {}
    for key in sorted(keys, key=lambda key: wanted[key] != key):
        names[key] = unique(wanted[key], taken, join="_")
    return {key: names[key] for key in keys}


def unique(name: str, taken: Set[str], join: str = "") -> str:
    """Return the name, or one that is not taken, and take it."""
    candidate, number = name, 1
    if candidate in _TAKEN_PROPERTIES and candidate in taken:
        candidate = f"{name}_"
    while candidate in taken:
        number += 1
        candidate = f"{name.rstrip('_')}{join}{number}"
    taken.add(candidate)
    return candidate


def class_name(text: str) -> str:
    """Return a class name: `order_placed` becomes `OrderPlaced`."""
    name = "".join(word[:1].upper() + word[1:] for word in _words(text))
    if not name or not name.isidentifier():
        name = f"Schema{name}"
    return f"{name}Schema" if name in _TAKEN_CLASSES else name


def singular(text: str) -> str:
    """Return the singular of a plural, guessed from its last letters."""
    if text.lower().endswith("ies") and len(text) > 4:
        return f"{text[:-3]}y"
    if text.lower().endswith("s") and not text.lower().endswith(("ss", "us", "is")):
        return text[:-1]
    return f"{text}_item"


def _snake_case(key: str) -> str:
    name = "_".join(word.lower() for word in _words(key))
    if not name or not name.isidentifier():
        name = f"field_{name}".rstrip("_")
    return f"{name}_" if keyword.iskeyword(name) else name


def _words(text: str) -> List[str]:
    # Python normalizes identifiers in this way, so that names which differ here differ there, too.
    text = unicodedata.normalize("NFKC", text)
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    text = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", text)
    letters = "".join(each if f"a{each}".isidentifier() and each != "_" else " " for each in text)
    return letters[:_MAX_LENGTH].split()
