"""Encodes data of users as JSON: fast for plain JSON data, tolerant for other data.

For plain data the result is that of `json.dumps(data, ensure_ascii=False, default=json_encoder)`.
Other common data, such as dates, models or NaN, is converted. If this is impossible, the error names the value and its
place.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import lru_cache
from json import JSONEncoder
from json import encoder as _stdlib
from sys import getrecursionlimit
from typing import Any, Callable, Dict, Generator, Iterable, List, Optional, Tuple

from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._protocol.text import (
    described,
    has_string_form,
    plain,
    type_name,
    well_formed,
)
from snowplow_tracker.typing import JsonEncoderFunction

MAX_DEPTH = 500
"""Maximum depth of data that is converted, or if the recursion limit is too high to stop the encoder in time."""

_Encode = Callable[[Any], str]


def dumps(
    data: object,
    json_encoder: Optional[JsonEncoderFunction] = None,
    *,
    ensure_ascii: bool = False,
    name: str = "data",
) -> str:
    """Encode data as JSON that is valid UTF-8.

    Args:
        data: The data.
        json_encoder: Converts objects that JSON cannot represent, as `default` of `json.dumps`. If
            it returns the object itself, or raises `TypeError`, the default conversion is used.
        ensure_ascii: Escape characters that are not ASCII.
        name: The name of the data in messages, where paths begin with it.

    Raises:
        TypeError: An object in the data, or a key, has no JSON form.
        ValueError: The data contains itself, or is nested too deeply.
    """
    if getrecursionlimit() > _SAFE_RECURSION_LIMIT:
        # The encoder in C could exhaust the stack before a limit stops it, and crash the process.
        data = _Mending(json_encoder, name).mended(data)
    if json_encoder is None:
        encode = _encode_to_ascii if ensure_ascii else _encode
    else:
        encode = _new_encode(_asking(json_encoder), ensure_ascii)
    try:
        json = encode(data)
    except (TypeError, ValueError, RecursionError) as error:
        if is_interrupt(error):
            raise
        mended = _Mending(json_encoder, name).mended(data)
        try:
            json = encode(mended)
        except RecursionError as still_too_deep:
            if is_interrupt(still_too_deep):
                raise
            raise ValueError(f"{name}: nested too deeply for JSON.") from None
    return json if json.isascii() else well_formed(json)


def check_json_encoder(json_encoder: Any) -> None:
    """Check the `json_encoder` of a user.

    Raises:
        TypeError: It cannot be called with one argument.
    """
    if json_encoder is None:
        return
    if not callable(json_encoder):
        raise TypeError(f"json_encoder must be a function, not {described(json_encoder)}.")
    if isinstance(json_encoder, type) and issubclass(json_encoder, JSONEncoder):
        name = json_encoder.__name__
        raise TypeError(
            f"json_encoder must be a function, not the class {name}: its method {name}().default is one."
        )


_SAFE_RECURSION_LIMIT = 2_000
"""Maximum depth that fits into the stack of a thread. Python's own limit is 1,000."""


def _new_encode(default: Callable[[Any], Any], ensure_ascii: bool) -> _Encode:
    """Return a function that encodes. Keep it, if possible (fast path).

    `json.dumps` creates an encoder in Python and one in C for every call whose options are not the
    defaults. The one in C is enough. It must have no `markers`: they are not thread-safe, nor correct after an error.
    The recursion limit stops a circular reference, and `_Mending` reports it.
    """
    make_encoder = getattr(_stdlib, "c_make_encoder", None)
    if make_encoder is None:
        return JSONEncoder(
            ensure_ascii=ensure_ascii, check_circular=False, allow_nan=False, default=default
        ).encode
    string_encoder = _stdlib.encode_basestring_ascii if ensure_ascii else _stdlib.encode_basestring
    # markers, default, encoder, indent, key and item separator, sort_keys, skipkeys, allow_nan
    chunks = make_encoder(None, default, string_encoder, None, ": ", ", ", False, False, False)
    join = "".join
    return lambda data: join(chunks(data, 0))


def _asking(json_encoder: JsonEncoderFunction) -> Callable[[Any], Any]:
    def default(value: object) -> object:
        try:
            encoded = json_encoder(value)
        except TypeError as error:
            if is_interrupt(error):
                raise
            return _json_form(value)
        return _json_form(value) if encoded is value else encoded

    return default


@lru_cache(maxsize=None)
def _known_types() -> Tuple[Any, ...]:
    # Imported here, since most programs do not need these modules.
    from datetime import date, time, timedelta
    from decimal import Decimal
    from fractions import Fraction

    return date, time, timedelta, Decimal, Fraction


class _NoJsonFormError(TypeError):
    pass


def _json_form(value: Any) -> object:
    """Return the closest JSON form of an object that JSON cannot represent.

    Objects of libraries are recognised by the attributes of their class, without importing the library.
    """
    kind = type(value)
    simple = plain(value)
    if simple is not value or kind is str:
        return _bytes_form(value) if issubclass(kind, (bytes, bytearray, memoryview)) else simple
    date, time, timedelta, decimal, fraction = _known_types()
    if issubclass(kind, (date, time)):  # a datetime is a date
        return value.isoformat() if value == value else None  # noqa: PLR0124 - NaT of pandas
    if issubclass(kind, decimal):
        return _number_form(value)
    if issubclass(kind, fraction):
        return value.numerator if value.denominator == 1 else float(value)
    if issubclass(kind, timedelta):
        return _duration_form(value) if value == value else None  # noqa: PLR0124 - as above
    if issubclass(kind, (set, frozenset)):
        return _list_form(value)
    return _form_by_class(value, kind)


def _form_by_class(value: Any, kind: Any) -> object:
    if hasattr(kind, "_get_current_object"):  # a proxy of werkzeug
        return _asked(value, value._get_current_object)  # noqa: SLF001 - public there, whatever its name
    if callable(getattr(kind, "model_dump", None)):  # pydantic 2
        is_model = hasattr(kind, "__pydantic_serializer__")
        return value.model_dump(warnings=False) if is_model else value.model_dump()
    if callable(getattr(kind, "dict", None)) and hasattr(kind, "__fields__"):  # pydantic 1
        return value.dict()
    fields = _fields(value, kind)
    if fields is not None:
        return {name: getattr(value, name) for name in fields if hasattr(value, name)}
    if kind.__name__ in ("datetime64", "timedelta64"):
        return _numpy_time_form(value)
    if callable(getattr(kind, "tolist", None)):  # numpy, pandas, torch, array
        return value.tolist()
    if callable(getattr(kind, "to_dict", None)) and hasattr(kind, "itertuples"):  # pandas
        return value.to_dict("records")
    if kind.__name__ == "NAType":
        return None
    if issubclass(kind, Mapping):
        return dict(value)
    if has_string_form(value):
        return plain(_asked(value, lambda: str(value)))
    if issubclass(kind, Collection):
        return list(value)
    raise _NoJsonFormError(f"{type_name(value)} has no JSON form.")


def _asked(value: object, question: Callable[[], object]) -> object:
    """Return the object's own conversion, or raise an error that names the object."""
    try:
        return question()
    except Exception as error:
        if is_interrupt(error):
            raise
        raise _NoJsonFormError(f"{type_name(value)} has no JSON form: {error}") from error


def _fields(value: Any, kind: Any) -> Optional[Iterable[str]]:
    """Return the names of the fields of a dataclass, an attrs class or a struct of msgspec."""
    if hasattr(kind, "__dataclass_fields__"):
        from dataclasses import fields

        return [field.name for field in fields(value)]
    if hasattr(kind, "__attrs_attrs__"):
        return [field.name for field in kind.__attrs_attrs__]
    names: Optional[Iterable[str]] = getattr(kind, "__struct_fields__", None)
    return names


def _bytes_form(value: Any) -> str:
    """Return bytes decoded as UTF-8, or else as base64."""
    data = bytes(value)
    try:
        return data.decode()
    except UnicodeDecodeError:
        from base64 import b64encode

        return b64encode(data).decode("ascii")


def _number_form(value: Any) -> object:
    """Return a decimal as a number, as its schema will require.

    Whole numbers stay exact; others are rounded to a double, as most readers of JSON do.
    """
    if not value.is_finite():
        return None
    if value == value.to_integral_value() and value.as_tuple().exponent >= 0:
        # An exponent can mean a number of a billion digits.
        return int(value) if value.adjusted() < 400 else str(value)
    number = float(value)
    return number if math.isfinite(number) else str(value)


def _duration_form(value: Any) -> str:
    """Return a duration in ISO 8601 format: `P1DT2H3M4.5S`."""
    sign, value = ("-", -value) if value.days < 0 else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{value.days}D" if value.days else ""
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    parts = [
        f"{hours}H" if hours else "",
        f"{minutes}M" if minutes else "",
        f"{seconds}{fraction}S" if seconds or fraction else "",
    ]
    clock = "".join(parts)
    if not days and not clock:
        clock = "0S"
    return f"{sign}P{days}" + (f"T{clock}" if clock else "")


def _numpy_time_form(value: Any) -> Any:
    if value != value:  # noqa: PLR0124 - NaT
        return None
    # `timedelta` has microseconds, but no nanoseconds.
    unit = "datetime64[us]" if type(value).__name__ == "datetime64" else "timedelta64[us]"
    return value.astype(unit).item()


def _list_form(values: Any) -> List[object]:
    try:
        return sorted(values)
    except TypeError as error:
        if is_interrupt(error):
            raise
        return list(values)


class _Mending:
    """Copies data to a form that JSON can represent, or raises an error with the problem and its place.

    A container is copied by a generator that asks for the copies of its items. So there is no recursion, and the maximum
    depth does not depend on the free stack.
    """

    def __init__(self, json_encoder: Optional[JsonEncoderFunction], name: str) -> None:
        self._default = _json_form if json_encoder is None else _asking(json_encoder)
        self._path = [name]
        # The containers, and the objects they were converted from, by id: held, so that no id is reused.
        self._inside: Dict[int, object] = {}

    def mended(self, data: object) -> object:
        running = [self._copying(data)]
        copy: object = None
        try:
            while running:
                try:
                    item = running[-1].send(copy)
                except StopIteration as end:
                    running.pop()
                    copy = end.value
                else:
                    running.append(self._copying(item))
                    copy = None
        except RecursionError as error:
            if is_interrupt(error):
                raise
        else:
            return copy
        raise self._too_deep()

    def _copying(self, value: Any) -> Generator[object, object, object]:
        """Return the JSON form of a value. It yields the items of a container, and is sent their copies."""
        entered = []
        copy: Any = None
        while value is not None and not isinstance(value, (str, int, float)):
            self._enter(value)
            entered.append(value)
            if isinstance(value, (dict, list, tuple)):
                break
            value = self._form(value)
        if isinstance(value, dict):
            copy = {}
            for key, item in value.items():
                self._path.append(f".{key}" if isinstance(key, str) else f"[{key!r:.50}]")
                mended_key = self._key(key)
                copy[mended_key] = yield item
                self._path.pop()
        elif isinstance(value, (list, tuple)):
            copy = []
            for index, item in enumerate(value):
                self._path.append(f"[{index}]")
                copy.append((yield item))
                self._path.pop()
        else:
            copy = self._scalar(value)
        for each in entered:
            del self._inside[id(each)]
        return copy

    def _scalar(self, value: Any) -> object:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            raise ValueError(f"{self._where()}: an integer of more than 4,000 digits.")
        return value

    def _enter(self, value: Any) -> None:
        if id(value) in self._inside:
            raise ValueError(
                f"{self._where()}: circular reference: {_a(type_name(value))} contains itself."
            )
        if len(self._inside) >= MAX_DEPTH:
            raise self._too_deep()
        self._inside[id(value)] = value

    def _form(self, value: Any) -> object:
        try:
            return self._default(value)
        except _NoJsonFormError as error:
            raise TypeError(f"{self._where()}: {error}") from None

    def _key(self, key: Any) -> object:
        if key is None or isinstance(key, (str, int)):
            return plain(key)
        if isinstance(key, float):
            # Keys are always strings; this is the form that JSON encoders use.
            return key if math.isfinite(key) else _NOT_FINITE[str(float(key))]
        simple = plain(key)
        if simple is not key:
            return self._key(simple)
        date, time, timedelta, *_ = _known_types()
        if isinstance(key, (date, time)):
            return key.isoformat()
        if isinstance(key, timedelta):
            return _duration_form(key)
        if callable(getattr(type(key), "item", None)) and not hasattr(type(key), "keys"):  # numpy
            return self._key(key.item())
        if has_string_form(key):
            return plain(str(key))
        raise TypeError(f"{self._where()}: a key of type {type_name(key)} has no JSON form.")

    def _too_deep(self) -> ValueError:
        return ValueError(f"{self._where()}: nested too deeply for JSON.")

    def _where(self) -> str:
        path = "".join(self._path)
        return path if len(path) <= 200 else f"{path[:120]}…{path[-60:]}"


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


_MAX_BITS = 13_000
_NOT_FINITE: Dict[str, str] = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_encode = _new_encode(_json_form, ensure_ascii=False)
_encode_to_ascii = _new_encode(_json_form, ensure_ascii=True)
