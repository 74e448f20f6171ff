"""The rules of the tracker protocol: what a collector and the pipeline behind it accept.

This table is written apart from the code that builds payloads, so that each can show up a mistake
of the other.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from snowplow_tracker.testing._decoding import decode_contexts, decode_unstruct

PAYLOAD_DATA_SCHEMA = re.compile(
    r"iglu:com\.snowplowanalytics\.snowplow/payload_data/jsonschema/1-0-[0-4]"
)
CONTENT_TYPES = frozenset({"application/json", "application/json; charset=utf-8"})

# A larger payload is answered with 200 and thrown away: that is what collectors do.
MAX_PAYLOAD_BYTES = 1_048_576
MAX_BODY_BYTES = 2_097_152
MAX_REQUEST_LINE_BYTES = 20_480

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
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_SIZE = re.compile(r"[0-9]+x[0-9]+", re.ASCII)
_CURRENCY = re.compile(r"[A-Za-z]{3}", re.ASCII)

# A check gives None for a good value, or the end of the sentence "eid ... must be".
_Check = Callable[[str], Optional[str]]


def _matches(pattern: re.Pattern[str], wanted: str) -> _Check:
    def check(value: str) -> Optional[str]:
        return None if pattern.fullmatch(value) else wanted

    return check


def _at_most(length: int) -> _Check:
    def check(value: str) -> Optional[str]:
        return None if len(value) <= length else f"at most {length} characters"

    return check


def _int32(value: str) -> Optional[str]:
    if _INTEGER.fullmatch(value) and -(2**31) <= int(value) < 2**31:
        return None
    return "a 32-bit integer"


def _event_type(value: str) -> Optional[str]:
    return None if value in EVENT_TYPES else "one of " + ", ".join(sorted(EVENT_TYPES))


def _platform(value: str) -> Optional[str]:
    return None if value in PLATFORMS else "one of " + ", ".join(sorted(PLATFORMS))


def _anything(_value: str) -> Optional[str]:
    return None


_uuid = _matches(_UUID, "a UUID in hyphenated form")
_milliseconds = _matches(_DIGITS, "whole milliseconds since the epoch")
_decimal = _matches(_DECIMAL, "a decimal number")
_size = _matches(_SIZE, "WIDTHxHEIGHT in whole numbers")
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
    "ua": _at_most(1000),
    "res": _size,
    "vp": _size,
    "ds": _size,
    "cd": _at_most(12),
    "cs": _at_most(128),
    "url": _at_most(10_000),
    "refr": _at_most(10_000),
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
    "tr_tt": _decimal,
    "tr_tx": _decimal,
    "tr_sh": _decimal,
    "tr_cu": _currency,
    "ti_pr": _decimal,
    "ti_qu": _int32,
    "ti_cu": _currency,
}
_CHECKS.update(
    dict.fromkeys(
        # The self-describing ones are decoded below; the rest has no field of its own downstream.
        "ue_px ue_pr cx co tr_id tr_af tr_ci tr_st tr_co ti_id ti_sk ti_nm ti_ca "  # noqa: SIM905
        "ctype cookie fp tid nuid mac sa sn st sp ue_na ti_na "
        "f_pdf f_qt f_realp f_wma f_dir f_fla f_java f_gears f_ag "
        "ad_ba ad_ca ad_ad ad_uid".split(),
        _anything,
    )
)

KNOWN_PARAMETERS = frozenset(_CHECKS)
REQUIRED_PARAMETERS = ("tv", "p", "e")


def payload_problems(parameters: Mapping[str, Any]) -> List[str]:
    """What of one event breaks the schema of the whole POST, so that every event in it is lost.

    Args:
        parameters: the event as it arrived.

    Returns:
        One sentence for each problem.
    """
    problems = [f"{name} is missing" for name in REQUIRED_PARAMETERS if name not in parameters]
    for name, value in parameters.items():
        if name not in KNOWN_PARAMETERS:
            problems.append(f"{name!r} is not a parameter of the protocol")
        elif not isinstance(value, str):
            problems.append(f"{name} is {value!r}, which is not a string")
    return problems


def field_problems(parameters: Mapping[str, Any]) -> List[str]:
    """What makes this event fail by itself, whatever else is in the request.

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
                yield f"{name} is {_shortened(value)!r}, but must be {wanted}"
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


def _shortened(value: str) -> str:
    return value if len(value) <= 60 else value[:57] + "..."
