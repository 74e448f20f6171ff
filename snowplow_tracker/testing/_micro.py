"""Events in the JSON of Snowplow Micro, so that test suites for Micro run here too.

The field names are those that Micro publishes for ``/micro/all``, ``/micro/good`` and
``/micro/bad``.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from snowplow_tracker.testing._decoding import CONTEXTS, UNSTRUCT, decode_json, decode_query
from snowplow_tracker.testing._rules import PARAMETERS, decimal, int32, milliseconds, size
from snowplow_tracker.testing.records import CollectedEvent, CollectedRequest

# The type and the schema of the enriched event.
_TYPES: Dict[str, Tuple[str, Optional[str]]] = {
    "pv": ("page_view", "iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0"),
    "pp": ("page_ping", "iglu:com.snowplowanalytics.snowplow/page_ping/jsonschema/1-0-0"),
    "se": ("struct", "iglu:com.google.analytics/event/jsonschema/1-0-0"),
    "ue": ("unstruct", None),
    "tr": ("transaction", "iglu:com.snowplowanalytics.snowplow/transaction/jsonschema/1-0-0"),
    "ti": (
        "transaction_item",
        "iglu:com.snowplowanalytics.snowplow/transaction_item/jsonschema/1-0-0",
    ),
}
_EPOCH = date(1970, 1, 1).toordinal()
_DECODED = {"ue_px", "ue_pr", "cx", "co", "e"}
_DEFAULT_VENDOR = ("com.snowplowanalytics.snowplow", "tp1")


class FilterError(ValueError):
    """The filters of a client are invalid. The message is sent as the answer."""


def good_event(event: CollectedEvent) -> Dict[str, Any]:
    """Return an event without problems in the format of Micro."""
    event_type, schema = _TYPES[str(event.event_type)]
    return {
        "rawEvent": _raw_event(event),
        "eventType": event_type,
        "schema": event.schema or schema,
        "contexts": [entity["schema"] for entity in event.contexts],
        "event": _enriched(event, event_type, event.schema or schema),
    }


def bad_event(
    request: CollectedRequest,
    event: Optional[CollectedEvent],
    problems: Sequence[str],
    *,
    with_body: bool = True,
) -> Dict[str, Any]:
    """Return a bad event in the format of Micro, or a request from which no event could be read.

    The body may be left out, since it is the same for all events of a request.
    """
    return {
        "collectorPayload": {
            "api": _api(request),
            "querystring": [
                {"name": name, "value": value}
                for name, value in decode_query(request.query).items()
            ],
            "contentType": request.headers.get("content-type"),
            "body": request.body.decode("utf-8", "replace") if with_body and request.body else None,
            "source": _source(),
            "context": _context(request),
        },
        "rawEvent": None if event is None else _raw_event(event),
        "errors": list(problems),
    }


class Filters:
    """The filters in the body of a POST to ``/micro/good`` or ``/micro/bad``."""

    def __init__(self, body: bytes) -> None:
        """Read the filters: a JSON object, or nothing for no filter.

        Raises:
            FilterError: the body is invalid.
        """
        try:
            filters = decode_json(body.decode("utf-8")) if body.strip() else {}
        except ValueError as error:
            raise FilterError(f"the filters are not JSON: {error}") from None
        if not isinstance(filters, dict):
            raise FilterError("the filters are not a JSON object")
        self.event_type = _text(filters, "event_type")
        self.schema = _text(filters, "schema")
        self.vendor = _text(filters, "vendor")
        self.version = _text(filters, "version")
        self.limit = filters.get("limit")
        if self.limit is not None and (not isinstance(self.limit, int) or self.limit < 0):
            raise FilterError("limit must be a whole number of at least 0")
        contexts = filters.get("contexts")
        if contexts is not None and not (
            isinstance(contexts, list) and all(isinstance(each, str) for each in contexts)
        ):
            raise FilterError("contexts must be a list of schemas")
        self.contexts: List[str] = contexts or []

    def take_good(self, event: CollectedEvent) -> bool:
        """Return whether a good event passes the filters."""
        event_type, schema = _TYPES[str(event.event_type)]
        if self.event_type not in (None, event_type, event.event_type):
            return False
        if self.schema not in (None, event.schema or schema):
            return False
        has = [entity["schema"] for entity in event.contexts]
        return all(each in has for each in self.contexts)

    def take_bad(self, request: CollectedRequest) -> bool:
        """Return whether the bad events of a request pass the filters."""
        api = _api(request)
        return self.vendor in (None, api["vendor"]) and self.version in (None, api["version"])


def _text(filters: Mapping[str, Any], name: str) -> Optional[str]:
    value = filters.get(name)
    if value is not None and not isinstance(value, str):
        raise FilterError(f"{name} must be a string")
    return value


def _api(request: CollectedRequest) -> Dict[str, str]:
    vendor, _, version = request.path.strip("/").partition("/")
    if not version:
        vendor, version = _DEFAULT_VENDOR
    return {"vendor": vendor, "version": version}


def _source() -> Dict[str, Any]:
    return {"name": "snowplow_tracker.testing", "encoding": "UTF-8", "hostname": "localhost"}


def _context(request: CollectedRequest) -> Dict[str, Any]:
    return {
        "timestamp": iso_time(request.received_at),
        "ipAddress": request.client or None,
        "useragent": request.headers.get("user-agent"),
        "refererUri": request.headers.get("referer"),
        "headers": [f"{name}: {value}" for name, value in request.headers.items()],
        "userId": None,
    }


def _raw_event(event: CollectedEvent) -> Dict[str, Any]:
    request = event.request
    return {
        "api": None if request is None else _api(request),
        "parameters": event.parameters,
        "contentType": None if request is None else request.headers.get("content-type"),
        "source": _source(),
        "context": None if request is None else _context(request),
    }


def _enriched(event: CollectedEvent, event_type: str, schema: Optional[str]) -> Dict[str, Any]:
    fields = _enriched_fields(event.parameters)
    fields["event"] = event_type
    fields["collector_tstamp"] = iso_time(event.received_at)
    fields["etl_tstamp"] = fields["collector_tstamp"]
    fields["v_collector"] = fields["v_etl"] = "snowplow_tracker.testing"
    if schema is not None:
        vendor, name, schema_format, version = schema[len("iglu:") :].split("/")
        fields.update(
            event_vendor=vendor,
            event_name=name,
            event_format=schema_format,
            event_version=version,
        )
    if event.request is not None:
        fields.setdefault("user_ipaddress", event.request.client)
        fields.setdefault("useragent", event.headers.get("user-agent"))
    if event.unstruct is not None:
        fields["unstruct_event"] = {"schema": UNSTRUCT, "data": event.unstruct}
    fields["contexts"] = {"schema": CONTEXTS, "data": event.contexts}
    return fields


def _enriched_fields(parameters: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the columns of a valid event by their names, without its self-describing parts."""
    fields: Dict[str, Any] = {}
    for name, value in parameters.items():
        column, check = PARAMETERS.get(name, ("", None))
        if not column or name in _DECODED:
            continue
        if check is size:
            fields.update(zip(column.split(", "), map(int, value.split("x"))))
        elif check is milliseconds:
            fields[column] = _iso_time(int(value))
        elif check is int32:
            fields[column] = int(value)
        elif check is decimal:
            number = float(value)
            # JSON has no infinity, and a decimal number may be larger than any float.
            fields[column] = value if number in (math.inf, -math.inf) else number
        else:
            fields[column] = value
    return fields


def iso_time(seconds: float) -> str:
    """Return a time, in seconds since the epoch, in ISO 8601 format."""
    return _iso_time(int(seconds * 1_000))


def _iso_time(since_epoch: int) -> str:
    seconds, thousandths = divmod(since_epoch, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    # The calendar repeats after 400 years, which are 146,097 days; a date cannot have the year 0.
    later = 400 if days < 0 else 0
    day = date.fromordinal(_EPOCH + days + 146_097 * later // 400)
    return (
        f"{day.year - later:04}-{day.month:02}-{day.day:02}"
        f"T{hours:02}:{minutes:02}:{seconds:02}.{thousandths:03}Z"
    )
