"""The rules of the tracker protocol: what a collector and the pipeline behind it accept.

This table is independent of the code that builds payloads, so that each can reveal mistakes of the
other. It describes what the pipeline does, not what would be tidy: whatever the pipeline accepts is
valid here.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from snowplow_tracker.testing._decoding import decode_contexts, decode_unstruct
from snowplow_tracker.testing._uris import uri_problem

PAYLOAD_DATA_SCHEMA = re.compile(
    r"iglu:com\.snowplowanalytics\.snowplow/payload_data/jsonschema/1-0-[0-4]"
)
CONTENT_TYPES = frozenset({"application/json", "application/json; charset=utf-8"})

# Whether a larger payload is lost depends on what is behind the collector, so it counts as an error.
MAX_PAYLOAD_BYTES = 1_048_576
MAX_BODY_BYTES = 2_097_152
MAX_REQUEST_LINE_BYTES = 20_480
MAX_USERAGENT = 1_000

EVENT_TYPES = {
    "pv": "page view",
    "pp": "page ping",
    "se": "structured",
    "ue": "self-describing",
    "tr": "transaction",
    "ti": "transaction item",
}
PLATFORMS = frozenset({"web", "iot", "app", "mob", "pc", "cnsl", "tv", "srv", "headset"})

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
# The syntax of java.math.BigDecimal.
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE]([+-]?[0-9]{1,10}))?", re.ASCII)
_SIZE = re.compile(r"([0-9]+)x([0-9]+)", re.ASCII)
_CURRENCY = re.compile(r"[A-Za-z]{3}", re.ASCII)

_MAX_INT32 = 2**31 - 1
# The years 0 to 9999: other times cannot be stored.
_FIRST_MILLISECOND = -62_167_219_200_000
_LAST_MILLISECOND = 253_402_300_799_999
# No valid number is longer, apart from leading zeros.
_MAX_DIGITS = 20

# A check returns None for a valid value, or else the end of the sentence "eid ... must be".
_Check = Callable[[str], Optional[str]]


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units, as the pipeline counts: an emoji is two.

    Args:
        text: any string.
    """
    return len(text) if text.isascii() else len(text) + sum(each > "\uffff" for each in text)


def _matches(pattern: re.Pattern[str], wanted: str) -> _Check:
    def check(value: str) -> Optional[str]:
        return None if pattern.fullmatch(value) else wanted

    return check


def _at_most(length: int) -> _Check:
    def check(value: str) -> Optional[str]:
        actual = utf16_length(value)
        if actual <= length:
            return None
        unit = "characters" if actual == len(value) else "UTF-16 units"
        return f"at most {length:,} {unit} long; it has {actual:,}"

    return check


def _integer(value: str) -> Optional[int]:
    if not _INTEGER.fullmatch(value):
        return None
    digits = value.lstrip("+-").lstrip("0")
    # Python takes quadratic time for long numbers, which are outside every range anyway.
    if len(digits) > _MAX_DIGITS:
        digits = "9" * _MAX_DIGITS
    return -int(digits or "0") if value[0] == "-" else int(digits or "0")


def _int32(value: str) -> Optional[str]:
    number = _integer(value)
    if number is not None and -_MAX_INT32 - 1 <= number <= _MAX_INT32:
        return None
    return "a 32-bit integer"


def _milliseconds(value: str) -> Optional[str]:
    number = _integer(value)
    if number is None:
        return "whole milliseconds since the epoch"
    if _FIRST_MILLISECOND <= number <= _LAST_MILLISECOND:
        return None
    return "milliseconds since the epoch, from year 0 to year 9999"


def _decimal(value: str) -> Optional[str]:
    match = _DECIMAL.fullmatch(value)
    if match is not None and abs(int(match.group(3) or "0")) <= _MAX_INT32:
        return None
    return "a decimal number"


def _size(value: str) -> Optional[str]:
    match = _SIZE.fullmatch(value)
    if match is not None and all(_int32(each) is None for each in match.groups()):
        return None
    return "WIDTHxHEIGHT in whole numbers"


def _uri(value: str) -> Optional[str]:
    problem = uri_problem(value)
    if problem is not None:
        return f"a URL; {problem}"
    return _at_most(10_000)(value)


def _event_type(value: str) -> Optional[str]:
    return None if value in EVENT_TYPES else "one of " + ", ".join(sorted(EVENT_TYPES))


def _platform(value: str) -> Optional[str]:
    return None if value in PLATFORMS else "one of " + ", ".join(sorted(PLATFORMS))


def _anything(_value: str) -> Optional[str]:
    return None


_uuid = _matches(_UUID, "a UUID in hyphenated form")
_currency = _matches(_CURRENCY, "a currency code of three letters")

_CHECKS: Dict[str, _Check] = {
    "e": _event_type,
    "eid": _uuid,
    "tv": _at_most(100),
    "tna": _at_most(128),
    "aid": _at_most(255),
    "p": _platform,
    "dtm": _milliseconds,
    "stm": _milliseconds,
    "ttm": _milliseconds,
    "tz": _at_most(255),
    "lang": _at_most(255),
    "uid": _at_most(255),
    "duid": _at_most(128),
    "tnuid": _at_most(128),
    "sid": _uuid,
    "vid": _int32,
    "ip": _at_most(128),
    "ua": _at_most(MAX_USERAGENT),
    "res": _size,
    "vp": _size,
    "ds": _size,
    "cd": _at_most(12),
    "cs": _at_most(128),
    "url": _uri,
    "refr": _uri,
    "page": _at_most(2_000),
    "pp_mix": _int32,
    "pp_max": _int32,
    "pp_miy": _int32,
    "pp_may": _int32,
    "se_ca": _at_most(1_000),
    "se_ac": _at_most(1_000),
    "se_la": _at_most(4_096),
    "se_pr": _at_most(1_000),
    "se_va": _decimal,
    "tr_id": _at_most(255),
    "tr_af": _at_most(255),
    "tr_ci": _at_most(255),
    "tr_st": _at_most(255),
    "tr_co": _at_most(255),
    "tr_tt": _decimal,
    "tr_tx": _decimal,
    "tr_sh": _decimal,
    "tr_cu": _currency,
    "ti_id": _at_most(255),
    "ti_sk": _at_most(255),
    "ti_nm": _at_most(255),
    "ti_ca": _at_most(255),
    "ti_pr": _decimal,
    "ti_qu": _int32,
    "ti_cu": _currency,
}
_CHECKS.update(
    dict.fromkeys(
        # The self-describing ones are decoded below; the others have no column in enriched events.
        "ue_px ue_pr cx co ctype cookie fp tid nuid mac sa sn st sp ue_na ti_na "  # noqa: SIM905
        "f_pdf f_qt f_realp f_wma f_dir f_fla f_java f_gears f_ag "
        "ad_ba ad_ca ad_ad ad_uid".split(),
        _anything,
    )
)

KNOWN_PARAMETERS = frozenset(_CHECKS)
REQUIRED_PARAMETERS = ("tv", "p", "e")


def payload_problems(parameters: Mapping[str, Any]) -> List[str]:
    """Return the problems of an event that make the pipeline refuse every event of its POST.

    Args:
        parameters: the event as it arrived.

    Returns:
        One sentence for each problem.
    """
    problems = missing_problems(parameters)
    for name, value in parameters.items():
        if name not in KNOWN_PARAMETERS:
            problems.append(f"{shortened(name)} is not a parameter of the protocol")
        elif not isinstance(value, str):
            problems.append(f"{name} is {shortened(value)}, which is not a string")
    return problems


def missing_problems(parameters: Mapping[str, Any]) -> List[str]:
    """Return the required parameters that are missing, for any method of sending.

    Args:
        parameters: the event as it arrived.

    Returns:
        One sentence for each problem.
    """
    return [f"{name} is missing" for name in REQUIRED_PARAMETERS if name not in parameters]


def field_problems(parameters: Mapping[str, Any]) -> List[str]:
    """Return the problems that make only this event fail.

    Args:
        parameters: the event as it arrived.

    Returns:
        One sentence for each problem.
    """
    return list(_field_problems(parameters))


def _field_problems(parameters: Mapping[str, Any]) -> Iterator[str]:
    for name, value in parameters.items():
        check = _CHECKS.get(name)
        if check is not None and isinstance(value, str):
            wanted = check(value)
            if wanted is not None:
                yield f"{name} is {shortened(value)}, but must be {wanted}"
    if "eid" not in parameters:
        yield "eid is missing"
    try:
        unstruct = decode_unstruct(parameters)
    except ValueError as error:
        yield str(error)
    else:
        if unstruct is None and parameters.get("e") == "ue":
            yield "a self-describing event has neither ue_px nor ue_pr"
    try:
        decode_contexts(parameters)
    except ValueError as error:
        yield str(error)


def shortened(value: Any, limit: int = 60) -> str:
    """Return the repr of a value, cut if it is long.

    Args:
        value: any value from the wire.
        limit: maximum number of characters of a string.
    """
    if isinstance(value, str):
        return repr(value if len(value) <= limit else value[: limit - 3] + "...")
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return f"a {type(value).__name__}"
    return text if len(text) <= limit else text[: limit - 3] + "..."
