"""JSON text of users' data: quick for data that is JSON already, patient with the rest.

For ordinary data the text is that of `json.dumps(data, ensure_ascii=False, default=json_encoder)`.
Data that a JSON user would expect to work, such as dates or NaN, is mended; what cannot be mended
raises an error that says what it was.
"""

import math
from functools import lru_cache
from json import JSONEncoder
from json import encoder as _stdlib
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from snowplow_tracker._late_imports import guard
from snowplow_tracker.typing import JsonEncoderFunction

__all__ = ["dumps"]

_Encode = Callable[[Any], str]


def dumps(
    data: object,
    json_encoder: Optional[JsonEncoderFunction] = None,
    *,
    ensure_ascii: bool = False,
) -> str:
    """Encode data as JSON text that UTF-8 can hold.

    Args:
        data: The data.
        json_encoder: Asked first about an object that JSON does not know, as `default` of
            `json.dumps`. It may return the object, or raise `TypeError`, to leave it to us.
        ensure_ascii: Escape what is not ASCII.

    Raises:
        TypeError: An object in the data, or a key, has no JSON form.
        ValueError: The data refers to itself, or is nested too deeply.
    """
    if json_encoder is None:
        encode = _encode_to_ascii if ensure_ascii else _encode
    else:
        encode = _new_encode(_asking(json_encoder), ensure_ascii)
    try:
        text = encode(data)
    except (TypeError, ValueError, RecursionError):
        text = encode(_mended(data, json_encoder))
    # The look at `isascii` is free; it spares most texts the trial, and the trial mends the rest.
    return text if text.isascii() else _without_lone_surrogates(text)


def _without_lone_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def _new_encode(default: Callable[[Any], Any], ensure_ascii: bool) -> _Encode:
    """Make a function that encodes; to be kept, where it can be.

    `json.dumps` builds an encoder in Python and one in C for every call whose options are not the
    defaults: 1.4 us of the 3.3 us that a small event takes. Kept, the one in C needs the other 1.9.
    It must not remember what it is inside of (`markers`): that is not safe between threads, nor
    after an error. A circle is found by the limit of recursion, and told apart by `_mended`.
    """
    make_encoder = getattr(_stdlib, "c_make_encoder", None)
    if make_encoder is None:
        return JSONEncoder(
            ensure_ascii=ensure_ascii, check_circular=False, allow_nan=False, default=default
        ).encode
    text_encoder = _stdlib.encode_basestring_ascii if ensure_ascii else _stdlib.encode_basestring
    # markers, default, encoder, indent, key and item separator, sort_keys, skipkeys, allow_nan
    chunks = make_encoder(None, default, text_encoder, None, ": ", ", ", False, False, False)
    join = "".join
    return lambda data: join(chunks(data, 0))


def _asking(json_encoder: JsonEncoderFunction) -> Callable[[Any], Any]:
    def default(value: object) -> object:
        try:
            encoded = json_encoder(value)
        except TypeError:
            return _json_form(value)
        return _json_form(value) if encoded is value else encoded

    return default


@lru_cache(maxsize=None)
def _known_types() -> Tuple[Any, ...]:
    # Imports that most programs never need here, worth 2 ms at the start of every one.
    with guard:
        from datetime import date, time
        from decimal import Decimal
        from enum import Enum
        from uuid import UUID

    return date, time, Decimal, Enum, UUID


def _json_form(value: Any) -> object:
    """Give the closest thing that JSON has to an object it does not know."""
    date, time, decimal, enum, uuid = _known_types()
    if isinstance(value, (date, time)):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, uuid):
        return str(value)
    if isinstance(value, enum):
        return value.value
    if isinstance(value, decimal):
        return _number_form(value)
    if isinstance(value, (set, frozenset)):
        return _list_form(value)
    raise TypeError(
        f"An object of type {type(value).__name__} in the event's data has no JSON form."
    )


def _number_form(value: Any) -> object:
    """Give a decimal as a number, since that is what its schema will ask for.

    Whole numbers stay exact; others are rounded to a double, as most readers of JSON do.
    """
    if not value.is_finite():
        return None
    if value == value.to_integral_value() and value.as_tuple().exponent >= 0:
        # An exponent can ask for a number of a billion digits.
        return int(value) if value.adjusted() < 400 else str(value)
    number = float(value)
    return number if math.isfinite(number) else str(value)


def _list_form(values: Any) -> List[object]:
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _mended(data: object, json_encoder: Optional[JsonEncoderFunction]) -> object:
    """Copy data into what JSON can hold, or say what is wrong with it."""
    default = _json_form if json_encoder is None else _asking(json_encoder)
    try:
        return _mended_value(data, default, set())
    except RecursionError:
        raise ValueError("The event's data is nested too deeply for JSON.") from None


def _mended_value(value: Any, default: Callable[[Any], Any], inside: Set[int]) -> object:
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if id(value) in inside:
        raise ValueError(
            f"The event's data is a circular reference: a {type(value).__name__} holds itself."
        )
    inside.add(id(value))
    mended: object
    if isinstance(value, dict):
        mended = {
            _mended_key(key): _mended_value(item, default, inside) for key, item in value.items()
        }
    elif isinstance(value, (list, tuple)):
        mended = [_mended_value(item, default, inside) for item in value]
    else:
        mended = _mended_value(default(value), default, inside)
    inside.discard(id(value))
    return mended


def _mended_key(key: Any) -> object:
    if key is None or isinstance(key, (str, int)):
        return key
    if isinstance(key, float):
        # A key is a text in any case, and this is the text that JSON encoders choose.
        return key if math.isfinite(key) else _NOT_FINITE[str(float(key))]
    date, time, decimal, enum, uuid = _known_types()
    if isinstance(key, enum):
        return _mended_key(key.value)
    if isinstance(key, (date, time)):
        return key.isoformat()
    if isinstance(key, (decimal, uuid)):
        return str(key)
    raise TypeError(f"A key of type {type(key).__name__} in the event's data has no JSON form.")


_NOT_FINITE: Dict[str, str] = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_encode = _new_encode(_json_form, ensure_ascii=False)
_encode_to_ascii = _new_encode(_json_form, ensure_ascii=True)
