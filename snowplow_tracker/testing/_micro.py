"""Events in the JSON of Snowplow Micro, so that test suites for Micro run here too.

The field names are those that Micro publishes for ``/micro/all``, ``/micro/good`` and
``/micro/bad``.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any, Dict, Optional, Sequence, Tuple

from snowplow_tracker.testing._decoding import CONTEXTS, UNSTRUCT, decode_json, decode_query
from snowplow_tracker.testing._rules import PARAMETERS, decimal, int32, milliseconds, size
from snowplow_tracker.testing.records import CollectedEvent, CollectedRequest

# The type of the enriched event, and its schema unless it has its own.
_TYPES = {
    "pv": ("page_view", "iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0"),
    "pp": ("page_ping", "iglu:com.snowplowanalytics.snowplow/page_ping/jsonschema/1-0-0"),
    "se": ("struct", "iglu:com.google.analytics/event/jsonschema/1-0-0"),
    "ue": ("unstruct", ""),
    "tr": ("transaction", "iglu:com.snowplowanalytics.snowplow/transaction/jsonschema/1-0-0"),
    "ti": (
        "transaction_item",
        "iglu:com.snowplowanalytics.snowplow/transaction_item/jsonschema/1-0-0",
    ),
}
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (all times are UTC)
_DECODED = {"ue_px", "ue_pr", "cx", "co", "e"}
_FILTERS: Dict[str, Tuple[type, str]] = {
    **dict.fromkeys(("event_type", "schema", "vendor", "version"), (str, "a string")),
    "contexts": (list, "a list of schemas"),
    "limit": (int, "a whole number"),
}
_SOURCE = {"name": "snowplow_tracker.testing", "encoding": "UTF-8", "hostname": "localhost"}
_DEFAULT_VENDOR = ("com.snowplowanalytics.snowplow", "tp1")


class FilterError(ValueError):
    """The filters of a client are invalid. The message is sent as the answer."""


def good_event(request: CollectedRequest, event: CollectedEvent) -> Dict[str, Any]:
    """Return an event without problems in the format of Micro."""
    event_type, schema = _type_and_schema(event)
    return {
        "rawEvent": _raw_event(request, event),
        "eventType": event_type,
        "schema": schema,
        "contexts": [entity["schema"] for entity in event.contexts],
        "event": _enriched(request, event),
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
            "source": _SOURCE,
            "context": _context(request),
        },
        "rawEvent": None if event is None else _raw_event(request, event),
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
        for name, (kind, words) in _FILTERS.items():
            if filters.get(name) is not None and not isinstance(filters[name], kind):
                raise FilterError(f"{name} must be {words}")
        if not all(isinstance(each, str) for each in filters.get("contexts") or ()):
            raise FilterError("contexts must be a list of schemas")
        self.limit: Optional[int] = filters.get("limit")
        if self.limit is not None and self.limit < 0:
            raise FilterError("limit must be at least 0")
        self._wanted = filters

    def take_good(self, event: CollectedEvent) -> bool:
        """Return whether a good event passes the filters."""
        event_type, schema = _type_and_schema(event)
        has = [entity["schema"] for entity in event.contexts]
        return (
            self._wanted.get("event_type") in (None, event_type, event.event_type)
            and self._wanted.get("schema") in (None, schema)
            and all(each in has for each in self._wanted.get("contexts") or ())
        )

    def take_bad(self, request: CollectedRequest) -> bool:
        """Return whether the bad events of a request pass the filters."""
        return all(self._wanted.get(name) in (None, own) for name, own in _api(request).items())


def _type_and_schema(event: CollectedEvent) -> Tuple[str, str]:
    event_type, schema = _TYPES[str(event.event_type)]
    return event_type, event.schema or schema


def _api(request: CollectedRequest) -> Dict[str, str]:
    vendor, _, version = request.path.strip("/").partition("/")
    if not version:
        vendor, version = _DEFAULT_VENDOR
    return {"vendor": vendor, "version": version}


def _context(request: CollectedRequest) -> Dict[str, Any]:
    return {
        "timestamp": iso_time(request.received_at * 1_000),
        "ipAddress": request.client or None,
        "useragent": request.headers.get("user-agent"),
        "refererUri": request.headers.get("referer"),
        "headers": [f"{name}: {value}" for name, value in request.headers.items()],
        "userId": None,
    }


def _raw_event(request: CollectedRequest, event: CollectedEvent) -> Dict[str, Any]:
    return {
        "api": _api(request),
        "parameters": event.parameters,
        "contentType": request.headers.get("content-type"),
        "source": _SOURCE,
        "context": _context(request),
    }


def _enriched(request: CollectedRequest, event: CollectedEvent) -> Dict[str, Any]:
    """Return the columns of a valid event by their names."""
    fields: Dict[str, Any] = {
        "user_ipaddress": request.client,
        "useragent": request.headers.get("user-agent"),
    }
    for name, value in event.parameters.items():
        column, check = PARAMETERS.get(name, ("", None))
        if not column or name in _DECODED:
            continue
        if check is size:
            fields.update(zip(column.split(", "), map(int, value.split("x"))))
        elif check is milliseconds:
            fields[column] = iso_time(int(value))
        elif check is int32:
            fields[column] = int(value)
        elif check is decimal:
            number = float(value)
            # JSON has no infinity, and a decimal number may be larger than any float.
            fields[column] = value if math.isinf(number) else number
        else:
            fields[column] = value
    fields["event"], schema = _type_and_schema(event)
    vendor, name, schema_format, version = schema[len("iglu:") :].split("/")
    fields.update(
        event_vendor=vendor, event_name=name, event_format=schema_format, event_version=version
    )
    fields["collector_tstamp"] = fields["etl_tstamp"] = iso_time(event.received_at * 1_000)
    fields["v_collector"] = fields["v_etl"] = "snowplow_tracker.testing"
    if event.unstruct is not None:
        fields["unstruct_event"] = {"schema": UNSTRUCT, "data": event.unstruct}
    fields["contexts"] = {"schema": CONTEXTS, "data": event.contexts}
    return fields


def iso_time(since_epoch: float) -> str:
    """Return a time in milliseconds since the epoch, in ISO 8601 format."""
    # The calendar repeats after 400 years, which are 146,097 days; a datetime cannot have the year 0.
    later = 400 if since_epoch < 0 else 0
    moment = _EPOCH + timedelta(days=146_097 * later // 400, milliseconds=int(since_epoch))
    return f"{moment.year - later:04}-{moment:%m-%dT%H:%M:%S}.{moment.microsecond // 1_000:03}Z"
