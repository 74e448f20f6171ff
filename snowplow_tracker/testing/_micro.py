"""Events in the JSON of Snowplow Micro, so that test suites for Micro run here too.

The field names are those that Micro publishes for ``/micro/all``, ``/micro/good`` and
``/micro/bad``.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from snowplow_tracker.testing._decoding import decode_json, decode_query
from snowplow_tracker.testing._fields import ENRICHED_TYPES, enriched_fields, iso_time
from snowplow_tracker.testing.records import CollectedEvent, CollectedRequest

_UNSTRUCT = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
_CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1"
_DEFAULT_VENDOR = ("com.snowplowanalytics.snowplow", "tp1")


class FilterError(ValueError):
    """The filters of a client are invalid. The message is sent as the answer."""


def good_event(event: CollectedEvent) -> Dict[str, Any]:
    """Return a good event in the format of Micro.

    Args:
        event: an event without problems.
    """
    event_type, schema = ENRICHED_TYPES[str(event.event_type)]
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
    """Return a bad event or request in the format of Micro.

    Args:
        request: the request.
        event: the event, or None if the request could not be read.
        problems: why the pipeline would refuse it.
        with_body: whether to include the body, which all events of a request share.
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
        """Read the filters.

        Args:
            body: a JSON object; an empty body filters nothing.

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
        """Return whether a good event passes the filters.

        Args:
            event: the event.
        """
        event_type, schema = ENRICHED_TYPES[str(event.event_type)]
        if self.event_type not in (None, event_type, event.event_type):
            return False
        if self.schema not in (None, event.schema or schema):
            return False
        has = [entity["schema"] for entity in event.contexts]
        return all(each in has for each in self.contexts)

    def take_bad(self, request: CollectedRequest) -> bool:
        """Return whether the bad events of a request pass the filters.

        Args:
            request: the request.
        """
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
    fields = enriched_fields(event.parameters)
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
        fields["unstruct_event"] = {"schema": _UNSTRUCT, "data": event.unstruct}
    fields["contexts"] = {"schema": _CONTEXTS, "data": event.contexts}
    return fields
