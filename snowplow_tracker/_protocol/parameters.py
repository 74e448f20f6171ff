"""The rules of the pipeline for the parameters of an event, and corrections of values that change no meaning.

If the pipeline refuses one value, the whole event fails. So a value with a clear meaning is converted to the form of
the pipeline (`3.0` pixels are `3`), NaN and infinity are left out, and all other values are sent unchanged, since a
failed event can still be seen and repaired downstream. Each kind of problem is logged once per process.

The rules are those of Enrich, as documented in the Snowplow tracker protocol.
"""

from __future__ import annotations

import logging
import math
import re
import sys
from typing import Any, Callable, Dict, FrozenSet, Optional, Set, Tuple

from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._protocol.text import note, plain, type_name
from snowplow_tracker.typing import PayloadDict

logger = logging.getLogger("snowplow_tracker.events")

MAX_LENGTHS: Dict[str, int] = {
    **dict.fromkeys(("aid", "lang", "tz", "uid"), 255),
    **dict.fromkeys(("tr_id", "tr_af", "tr_ci", "tr_st", "tr_co"), 255),
    **dict.fromkeys(("ti_id", "ti_sk", "ti_nm", "ti_ca"), 255),
    **dict.fromkeys(("cs", "duid", "ip", "tna", "tnuid"), 128),
    **dict.fromkeys(("se_ac", "se_ca", "se_pr", "ua"), 1_000),
    "cd": 12,
    "page": 2_000,
    "refr": 10_000,
    "se_la": 4_096,
    "tv": 100,
    "url": 10_000,
}
"""Maximum length of the value of a parameter, in UTF-16 code units, as the pipeline counts."""

LONG = 128
"""From this number of characters on, a string may be too long for a parameter, and is checked (fast path)."""

COLLECTIONS = (list, tuple, dict, set, frozenset)
"""Types that no parameter can have: their text is never what the caller meant."""

_DECIMALS = frozenset({"se_va", "ti_pr", "tr_sh", "tr_tt", "tr_tx"})
_PIXELS = frozenset({"pp_mix", "pp_max", "pp_miy", "pp_may"})
_INTEGERS = frozenset({*_PIXELS, "cd", "ti_qu", "vid"})
_TIMES = ("dtm", "stm", "ttm")
_UUIDS = ("eid", "sid")
_URLS = ("refr", "url")

_REFUSED = "the pipeline would refuse the whole event"

# Milliseconds. Today's time in seconds is below this range, and in micro- and nanoseconds above.
_MIN_TIME = -62_135_596_800_000
_MAX_TIME = 253_402_300_799_999
_SECONDS = (1_000_000_000, 10_000_000_000)
_MICROSECONDS = (_MAX_TIME, 10_000_000_000_000_000)
_NANOSECONDS = (100_000_000_000_000_000, 10_000_000_000_000_000_000)

_MAX_BITS = 13_000

_warned: Set[Tuple[str, ...]] = set()


def warn_once(
    kind: Tuple[str, ...], message: str, *arguments: object, to: logging.Logger = logger
) -> None:
    """Log a warning, unless one of the same kind, such as a parameter and its problem, was logged before."""
    if is_first(kind):
        to.warning("%s (logged once)", message % arguments)


def is_first(kind: Tuple[str, ...]) -> bool:
    """Return whether this is the first call in the process for a kind of warning."""
    if kind in _warned:
        return False
    _warned.add(kind)
    return True


def _warn_of_refusal(name: str, kind: str, problem: str, *arguments: object) -> None:
    warn_once((name, kind), f"%s {problem}: %s.", name, *arguments, _REFUSED)


def add(pairs: PayloadDict, name: str, value: Any) -> None:
    """Add a parameter in the form in which it is sent, unless it is `None` or an empty string."""
    value = sent_value(name, value)
    # Not `!=`: comparing a proxy resolves it.
    if value is not None and not (type(value) is str and not value):
        pairs[name] = value


def sent_value(name: str, value: Any) -> Any:
    """Return the value of a parameter in the form in which it is sent, or None to leave it out.

    A lazy one is kept until its event is tracked.
    """
    # fast path: plain numbers that fit anywhere.
    if type(value) is int and -(2**31) <= value < 2**31 and name not in _TIMES:
        return value
    if type(value) is float and name in _DECIMALS and value - value == 0:
        return value
    if value is None:
        return None
    check = _CHECKS.get(name)
    if check is not None:
        return check(name, plain(value))
    value = note(value)
    if type(value) is str:
        _check_length(name, value)
    elif issubclass(type(value), COLLECTIONS):  # not `isinstance`, which resolves a proxy
        warn_once(
            (name, "collection"),
            "%s is a %s, which is sent as the text that Python prints for it: pass a string.",
            name,
            type_name(value),
        )
    return value


def _check_length(name: str, value: str) -> None:
    limit = MAX_LENGTHS.get(name)
    if limit is None or len(value) * 2 <= limit:
        return
    length = len(value.encode("utf-16-le", "surrogatepass")) // 2
    if length > limit:
        problem = "has %d characters (UTF-16 code units), but the pipeline allows %d"
        _warn_of_refusal(name, "long", problem, length, limit)


def _number(name: str, value: Any) -> Any:
    if type(value) is str:
        if name == "cd":  # the only one that may be any string
            _check_length(name, value)
        elif value and not _is_number(value, whole=name in _INTEGERS):
            _warn_of_refusal(name, "string", "is %.50r, which is no number", value)
        return value
    number = _as_number(value)
    if number is None:
        kind = type_name(value)
        warn_once((name, kind), "%s is of type %s, which is no number.", name, kind)
        return note(value)
    if type(number) is int and number.bit_length() > _MAX_BITS:
        warn_once((name, "digits"), "%s is left out, since it has more than 4,000 digits.", name)
        return None
    if not _is_finite(number):
        warn_once(
            (name, str(number)),
            "%s is left out, since it is %s, for which %s.",
            name,
            number,
            _REFUSED,
        )
        return None
    if name in _DECIMALS:
        return number if type(number) in (int, float) else str(number)
    try:
        whole = _whole(name, number)
    except OverflowError:
        whole = str(number)
    if type(whole) is not int:
        _warn_of_refusal(name, "fraction", "is %s, which is no whole number", number)
    elif not -(2**31) <= whole < 2**31:
        _warn_of_refusal(name, "large", "is %s, which takes more than 32 bits", whole)
    return whole


def _as_number(value: Any) -> Any:
    """Return a number in a form that can be sent: an int, a float or a Decimal; None if it is not a number."""
    if isinstance(value, bool):
        return int(value)
    kind = type(value)
    if kind in (int, float):
        return value
    if issubclass(kind, float):
        return float(value)
    if issubclass(kind, int):
        return int(value)
    module = kind.__module__
    if module in ("decimal", "_decimal", "_pydecimal"):
        return value
    if module == "fractions":
        return value.numerator if value.denominator == 1 else float(value)
    if (
        module.partition(".")[0] == "numpy"
        and hasattr(value, "item")
        and not hasattr(value, "__len__")
    ):
        item = value.item()
        return _as_number(item) if type(item) in (bool, int, float) else None
    return None


def _is_finite(number: Any) -> bool:
    if type(number) is float:
        return math.isfinite(number)
    return type(number) is int or bool(number.is_finite())


def _is_number(value: str, *, whole: bool) -> bool:
    try:
        # Only Python accepts underscores, and spaces around a number.
        return (
            math.isfinite(int(value) if whole else float(value))
            and "_" not in value
            and value == value.strip()
        )
    except (ValueError, OverflowError):
        return False


def _whole(name: str, number: Any) -> Any:
    whole = _int(number)
    if number == whole:
        return whole
    if name in _PIXELS:
        return round(number)
    return number if type(number) is float else str(number)


def _int(number: Any) -> int:
    if type(number) not in (int, float) and number.adjusted() > 30:
        raise OverflowError("a decimal may have more digits than fit into memory")
    return int(number)


def pixels(value: Any, name: str) -> Any:
    """Return a length in pixels as a whole number. Fractions of pixels, as in zoomed browsers, are rounded.

    Raises:
        ValueError: The value is not a number.
    """
    if type(value) is int:
        return value
    number = _as_number(value)
    if number is None:
        raise ValueError(f"{name} must be a number of pixels, not {type_name(value)}.")
    if not _is_finite(number):
        raise ValueError(f"{name} must be a number of pixels, not {number}.")
    # At least one pixel, since zero would be refused.
    return _int(number) if number == _int(number) else max(1, round(number))


def canonical_uuid(value: Any) -> Optional[str]:
    """Return a UUID in the hyphenated form that the pipeline requires, or None if it is not a UUID."""
    string = str(value) if type_name(value) == "uuid.UUID" else plain(value)
    if type(string) is not str:
        return None
    if _is_canonical(string):
        return string
    digits = string.strip().lower()
    if digits.startswith("urn:uuid:"):
        digits = digits[len("urn:uuid:") :]
    digits = digits.strip("{}")
    if _is_canonical(digits):
        return digits
    if len(digits) != 32 or not _HEXADECIMAL.issuperset(digits):
        return None
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _is_canonical(string: str) -> bool:
    groups = string.split("-")
    return [len(group) for group in groups] == [8, 4, 4, 4, 12] and _HEXADECIMAL.issuperset(
        "".join(groups)
    )


_HEXADECIMAL: FrozenSet[str] = frozenset("0123456789abcdefABCDEF")


def _uuid(name: str, value: Any) -> Any:
    canonical = canonical_uuid(value)
    if canonical is None and value and type(value) is str:
        _warn_of_refusal(name, "uuid", "is %.50r, which is no UUID", value)
    return canonical or note(value)


def _moment(name: str, value: Any) -> Any:
    if type(value) is str and value.isascii() and value.lstrip("-").isdigit():
        return value
    return milliseconds(value, name) if value != "" else None


def _url(name: str, value: Any) -> Any:
    if type(value) is not str:
        return note(value)
    check_url(name, value)
    _check_length(name, value)
    return value


_CHECKS: Dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys((*_DECIMALS, *_INTEGERS), _number),
    **dict.fromkeys(_TIMES, _moment),
    **dict.fromkeys(_UUIDS, _uuid),
    **dict.fromkeys(_URLS, _url),
}


recent_origins: Tuple[str, ...] = ()
"""The beginnings of recent valid URLs, from the scheme to the slash after the host: no further check (fast path)."""

_MAX_ORIGINS = 4


def check_url(name: str, url: str) -> None:
    """Warn of a URL that the pipeline cannot parse."""
    global recent_origins
    if url.startswith(recent_origins):
        return
    problem = _url_problem(url)
    if problem is not None:
        _warn_of_refusal(name, problem, "is a URL with %s, which does not parse", problem)
        return
    end = url.find("/", 8) + 1
    if end:
        recent_origins = (url[:end], *recent_origins[: _MAX_ORIGINS - 1])


def _url_problem(url: str) -> Optional[str]:
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme.isalnum():
        return None
    authority = rest
    for end in "/?#":
        authority = authority.partition(end)[0]
    host = authority.rpartition("@")[2]
    if not host:
        return None if scheme.lower() == "file" else "no host"
    if host.count("[") != host.count("]") or host.find("]") < host.find("["):
        return "a bracket that is not closed"
    port = host.rpartition("]")[2].partition(":")[2]
    if port and not (port.isascii() and port.isdigit() and int(port) < 65_536):
        return "a port that is no number"
    return None


SCHEMA_URI = (
    r"iglu:(?P<vendor>[a-zA-Z0-9_.-]+)/(?P<name>[a-zA-Z0-9_-]+)/(?P<format>[a-zA-Z0-9_-]+)"
    r"/(?P<version>[1-9][0-9]*-(?:0|[1-9][0-9]*)-(?:0|[1-9][0-9]*))"
)
"""Enrich's pattern of Iglu URIs, compiled at its first use. The classes are written out, so that they are ASCII only."""

known_schemas: Set[str] = set()
"""Schemas that were already checked (fast path)."""

_MAX_SCHEMAS = 1_000


def check_schema(schema: Any) -> None:
    """Warn of a schema that the pipeline cannot look up, unless it was already checked."""
    if schema in known_schemas or type(schema) is not str or not schema:
        return
    if not re.fullmatch(SCHEMA_URI, schema):
        _warn_of_refusal(
            "schema",
            "form",
            "is %.100r, but must be iglu:vendor/name/format/version, such as iglu:com.acme/order/jsonschema/1-0-0",
            schema,
        )
    if len(known_schemas) >= _MAX_SCHEMAS:
        known_schemas.clear()
    known_schemas.add(schema)


def milliseconds(value: Any, name: str = "true_timestamp") -> Optional[int]:
    """Return a time in milliseconds since 1970, or None, with a warning, if the value is not a time.

    Numbers are milliseconds, unless they clearly are seconds (between the years 2001 and 2286), micro- or nanoseconds:
    as milliseconds these would be early in 1970, or after the year 9999, which the pipeline refuses. A date, time or
    string without a time zone is in local time.

    Args:
        value: A number, a `datetime`, a `date`, an ISO 8601 string, or an equivalent of numpy or pandas.
        name: The name of the value in the warning.
    """
    kind = type_name(value)
    try:
        found = _time(value)
    except _TIME_ERRORS as error:
        if is_interrupt(error):
            raise
        problem = str(value) if isinstance(value, float) else "no point in time"
        warn_once(
            (name, kind, problem),
            "%s is left out, since it is no point in time: %.50r.",
            name,
            value,
        )
        return None
    if found is None:
        warn_once((name, kind), "%s is left out, since it is of type %s.", name, kind)
    elif not _MIN_TIME <= found <= _MAX_TIME:
        warn_once(
            (name, "range"),
            "%s is left out, since it is outside the years 1 to 9999, for which %s: %.50r.",
            name,
            _REFUSED,
            value,
        )
        return None
    return found


def point_in_time(value: Any, name: str) -> int:
    """Return a time in milliseconds since 1970, as `milliseconds` does.

    Raises:
        ValueError: The value is not a time, or outside the years 1 to 9999.
    """
    try:
        found = _time(value)
    except _TIME_ERRORS as error:
        if is_interrupt(error):
            raise
        found = None
    if found is None or not _MIN_TIME <= found <= _MAX_TIME:
        raise ValueError(f"{name} must be a point in time, not {value!r:.50} ({type_name(value)}).")
    return found


_TIME_ERRORS = (ValueError, ArithmeticError, OSError)


def _time(value: Any) -> Optional[int]:
    value = plain(value)
    if type(value) is str:
        value = _parsed(value)
    number = _as_number(value)
    if number is not None:
        return _in_milliseconds(number)
    module = sys.modules.get("datetime")  # a program with a datetime has imported it
    if module is None:
        return None
    if hasattr(type(value), "astype") and type(value).__name__ == "datetime64":
        count = value.astype("datetime64[ms]").astype("int64").item()
        if count < -(2**62):  # NaT
            raise ValueError("no point in time")
        return int(count)
    if isinstance(value, module.date) and not isinstance(value, module.datetime):
        value = module.datetime(value.year, value.month, value.day)
    if isinstance(value, module.datetime):
        if value != value:  # noqa: PLR0124 - NaT of pandas
            raise ValueError("no point in time")
        # The microseconds separately, since a float rounds them.
        seconds = math.floor(value.replace(microsecond=0).timestamp())
        return int(seconds * 1000 + value.microsecond // 1000)
    if callable(getattr(type(value), "timestamp", None)):  # arrow
        return int(value.timestamp() * 1000)
    return None


def _in_milliseconds(number: Any) -> int:
    whole: int = _int(number)
    if _SECONDS[0] <= whole < _SECONDS[1]:
        rounded: int = round(number * 1000)
        return rounded
    if _MICROSECONDS[0] < whole < _MICROSECONDS[1]:
        return whole // 1000
    if _NANOSECONDS[0] <= whole < _NANOSECONDS[1]:
        return whole // 1_000_000
    return whole


def _parsed(string: str) -> Any:
    try:
        return float(string) if "." in string else int(string)
    except ValueError:
        from datetime import datetime, timezone

    string = string.strip()
    has_zone = string[-1:] in ("Z", "z")
    moment = datetime.fromisoformat(string[:-1] if has_zone else string)
    return moment.replace(tzinfo=timezone.utc) if has_zone else moment
