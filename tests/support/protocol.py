"""The rules of the pipeline: what a request has to meet so that its events are not lost.

This is the test suite's own copy of the tracker protocol (payload_data 1-0-4 and the limits of
the collector). It is written down apart from the package, so that a mistake there is found here.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Callable, Dict, List, Mapping

PAYLOAD_DATA = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
UNSTRUCT_EVENT = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1"
POST_PATH = "/com.snowplowanalytics.snowplow/tp2"
GET_PATH = "/i"
CONTENT_TYPE = "application/json; charset=utf-8"

# The collector answers 200 to more than 1,048,576 bytes and throws them away; some room is left.
MAX_BODY_BYTES = 1_000_000
MAX_GET_LINE_BYTES = 20_480

EVENT_TYPES = {"ue", "pv", "pp", "se", "tr", "ti"}
PLATFORMS = {"web", "iot", "app", "mob", "pc", "cnsl", "tv", "srv", "headset"}
REQUIRED = ("tv", "p", "e")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BASE64 = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_SIZE = re.compile(r"[0-9]+x[0-9]+")
_INTEGER = re.compile(r"-?[0-9]+")
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")

Rule = Callable[[str], bool]


def _matches(pattern: re.Pattern[str]) -> Rule:
    return lambda value: pattern.fullmatch(value) is not None


def _at_most(length: int) -> Rule:
    return lambda value: len(value) <= length


def _is_anything(_value: str) -> bool:
    return True


def _is_int32(value: str) -> bool:
    return _INTEGER.fullmatch(value) is not None and -(2**31) <= int(value) < 2**31


def _is_currency(value: str) -> bool:
    return re.fullmatch(r"[A-Z]{3}", value) is not None


def _wraps(schema: str, *, encoded: bool) -> Rule:
    def rule(value: str) -> bool:
        try:
            document = decode(value) if encoded else json.loads(value)
        except ValueError:
            return False
        return set(document) == {"schema", "data"} and document["schema"] == schema

    return rule


def _reject_constant(text: str) -> Any:
    msg = f"{text} is not JSON"
    raise ValueError(msg)


def decode(value: str) -> Any:
    """Decode a base64url parameter and the JSON text inside.

    Raises:
        ValueError: It is not padded base64url, or not JSON.
    """
    if not _BASE64.fullmatch(value) or len(value) % 4:
        msg = f"not padded base64url: {value!r}"
        raise ValueError(msg)
    text = base64.urlsafe_b64decode(value).decode("utf-8")
    return json.loads(text, parse_constant=_reject_constant)


_MILLISECONDS = _matches(re.compile(r"[0-9]{1,15}"))
# `true_timestamp` is the user's, and may lie before the epoch.
_USERS_MILLISECONDS = _matches(re.compile(r"-?[0-9]{1,15}"))

RULES: Dict[str, Rule] = {
    "e": EVENT_TYPES.__contains__,
    "eid": _matches(_UUID),
    "tv": _at_most(100),
    "tna": _at_most(128),
    "aid": _at_most(255),
    "p": PLATFORMS.__contains__,
    "dtm": _MILLISECONDS,
    "stm": _MILLISECONDS,
    "ttm": _USERS_MILLISECONDS,
    "tz": _at_most(255),
    "lang": _at_most(255),
    "uid": _at_most(255),
    "duid": _at_most(128),
    "tnuid": _at_most(128),
    "sid": _matches(_UUID),
    "vid": _is_int32,
    "ip": _at_most(128),
    "ua": _at_most(1000),
    "res": _matches(_SIZE),
    "vp": _matches(_SIZE),
    "ds": _matches(_SIZE),
    "cd": _at_most(12),
    "cs": _at_most(128),
    "url": _at_most(10_000),
    "refr": _at_most(10_000),
    "page": _at_most(2_000),
    "pp_mix": _is_int32,
    "pp_max": _is_int32,
    "pp_miy": _is_int32,
    "pp_may": _is_int32,
    "se_ca": _at_most(1_000),
    "se_ac": _at_most(1_000),
    "se_la": _at_most(4_096),
    "se_pr": _at_most(1_000),
    "se_va": _matches(_DECIMAL),
    "ue_px": _wraps(UNSTRUCT_EVENT, encoded=True),
    "ue_pr": _wraps(UNSTRUCT_EVENT, encoded=False),
    "cx": _wraps(CONTEXTS, encoded=True),
    "co": _wraps(CONTEXTS, encoded=False),
    "tr_tt": _matches(_DECIMAL),
    "tr_tx": _matches(_DECIMAL),
    "tr_sh": _matches(_DECIMAL),
    "tr_cu": _is_currency,
    "ti_pr": _matches(_DECIMAL),
    "ti_qu": _is_int32,
    "ti_cu": _is_currency,
}
RULES.update(
    dict.fromkeys(
        (
            *("tr_id", "tr_af", "tr_ci", "tr_st", "tr_co", "ti_id", "ti_sk", "ti_nm", "ti_ca"),
            # Accepted by the schema; nothing downstream has a field for them.
            *("ctype", "cookie", "fp", "tid", "nuid", "mac", "sa", "sn", "st", "sp"),
            *("f_pdf", "f_qt", "f_realp", "f_wma", "f_dir", "f_fla", "f_java", "f_gears", "f_ag"),
            *("ad_ba", "ad_ca", "ad_ad", "ad_uid"),
            *("ue_na", "ti_na"),
        ),
        _is_anything,
    )
)


def faults_of_event(event: Mapping[str, Any]) -> List[str]:
    """Every way in which an event breaks the rules; none if it is valid."""
    faults = [f"{key} is missing" for key in (*REQUIRED, "eid", "dtm", "stm") if key not in event]
    for key, value in event.items():
        if key not in RULES:
            faults.append(f"{key} is no parameter of the protocol")
        elif not isinstance(value, str):
            faults.append(f"{key} is {value!r}, not a text")
        elif not value:
            faults.append(f"{key} is empty")
        elif not RULES[key](value):
            faults.append(f"{key} is {value[:200]!r}")
    if not faults and int(event["stm"]) < int(event["dtm"]):
        faults.append(f"stm {event['stm']} is before dtm {event['dtm']}")
    return faults


def faults_of_post(path: str, content_type: str, body: bytes) -> List[str]:
    """Every way in which a POST request breaks the rules; none if it is valid."""
    faults = []
    if path != POST_PATH:
        faults.append(f"path is {path}")
    if content_type != CONTENT_TYPE:
        faults.append(f"content type is {content_type!r}")
    if len(body) >= MAX_BODY_BYTES:
        faults.append(f"the body has {len(body)} bytes")
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_reject_constant)
    except ValueError as error:
        return [*faults, f"the body is not JSON: {error}"]
    if set(document) != {"schema", "data"} or document["schema"] != PAYLOAD_DATA:
        faults.append(f"the envelope is {document.get('schema')}")
    if not document.get("data"):
        faults.append("there is no event in it")
    for number, event in enumerate(document.get("data", ())):
        faults += [f"event {number}: {fault}" for fault in faults_of_event(event)]
    return faults
