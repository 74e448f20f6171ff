"""Decodes the bytes of requests into events, and the self-describing data of events."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Dict, List, Mapping, Optional, Tuple
from urllib.parse import parse_qsl

UNSTRUCT = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1"
# The first version of the envelope of entities is still in use.
_FIRST_CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0"

_SCHEMA_URI = re.compile(
    r"iglu:[a-zA-Z0-9_.-]+/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/[1-9][0-9]*(-(0|[1-9][0-9]*)){2}", re.ASCII
)

# Deeper data makes the functions that process it run out of stack. Real data is never so deep.
MAX_DEPTH = 200
# Python takes quadratic time to read longer numbers, and newer versions refuse them.
_MAX_DIGITS = 4_000
# Strings are skipped. If a string does not end, the rest is skipped as well.
_NESTING = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|[\[{\]}]', re.DOTALL)


def decode_query(query: str) -> Dict[str, str]:
    """Return the parameters of the one event that a GET request carries."""
    return dict(parse_qsl(query, keep_blank_values=True))


def decode_json(text: str) -> Any:
    """Return JSON as the pipeline reads it: without NaN, and in bounded time and depth.

    Raises:
        ValueError: it is not JSON, or is nested too deeply; the message says what is wrong.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(text):
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def decode_body(body: bytes) -> Dict[str, Any]:
    """Return the self-describing JSON around the events of a POST request.

    Raises:
        ValueError: the body is not a JSON object.
    """
    try:
        envelope = decode_json(body.decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    if not isinstance(envelope, dict):
        raise ValueError("the body is not a JSON object")
    return envelope


def decode_unstruct(parameters: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """Return the schema and data of a self-describing event, or None if the payload has none.

    Raises:
        ValueError: it cannot be decoded, or is not in its envelope.
    """
    inner = _open_envelope(parameters, "ue_px", "ue_pr", UNSTRUCT)
    return None if inner is None else _self_describing(inner, "the self-describing event")


def decode_contexts(parameters: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Return the schema and data of each entity of a payload.

    Raises:
        ValueError: they cannot be decoded, or are not in their envelope.
    """
    inner = _open_envelope(parameters, "cx", "co", CONTEXTS, _FIRST_CONTEXTS)
    if inner is None:
        return []
    if not isinstance(inner, list):
        raise ValueError("the entities are not a list")
    return [_self_describing(entity, f"entity {number}") for number, entity in enumerate(inner)]


def decode_parts(
    parameters: Mapping[str, Any],
) -> Tuple[Optional[Dict[str, Any]], List[Dict[str, Any]]]:
    """Return the self-describing event, if there is one, and the entities. What cannot be decoded is left out."""
    try:
        unstruct = decode_unstruct(parameters)
    except ValueError:
        unstruct = None
    try:
        return unstruct, decode_contexts(parameters)
    except ValueError:
        return unstruct, []


def _open_envelope(
    parameters: Mapping[str, Any], encoded_name: str, plain_name: str, *schemas: str
) -> Any:
    name = encoded_name if encoded_name in parameters else plain_name
    if name not in parameters:
        return None
    text = parameters[name]
    if not isinstance(text, str):
        raise ValueError(f"{name} is not a string")
    try:
        envelope = decode_json(_from_base64url(text) if name == encoded_name else text)
    except ValueError as error:
        raise ValueError(f"{name} cannot be decoded: {error}") from None
    if not isinstance(envelope, dict) or envelope.get("schema") not in schemas:
        raise ValueError(f"{name} is not inside {schemas[0]}")
    if "data" not in envelope:
        raise ValueError(f"{name} has no data")
    return envelope["data"]


def _from_base64url(text: str) -> str:
    try:
        # Trackers send it with and without padding; too much of it does no harm.
        raw = base64.b64decode(text.encode("ascii") + b"==", altchars=b"-_", validate=False)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(f"not base64: {error}") from None
    return raw.decode("utf-8")


def _self_describing(value: Any, what: str) -> Dict[str, Any]:
    if not isinstance(value, dict) or set(value) != {"schema", "data"}:
        raise ValueError(f"{what} does not consist of a schema and data")
    if not isinstance(value["schema"], str) or not _SCHEMA_URI.fullmatch(value["schema"]):
        raise ValueError("{} has no valid schema: {:.100}".format(what, repr(value["schema"])))
    return value


def _is_deep(text: str) -> bool:
    depth = 0
    for each in _NESTING.finditer(text):
        mark = each.group()
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif mark in "]}":
            depth -= 1
    return False


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number has {len(digits):,} digits")
    return int(digits)


def _refuse_constant(name: str) -> None:
    # Python reads NaN and Infinity; nothing downstream does.
    raise ValueError(f"{name} is not JSON")
