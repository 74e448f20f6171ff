"""What a collector keeps: requests, and the events in them."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from snowplow_tracker.testing._decoding import (
    decode_body,
    decode_contexts,
    decode_query,
    decode_unstruct,
)
from snowplow_tracker.testing._rules import (
    CONTENT_TYPES,
    EVENT_TYPES,
    MAX_PAYLOAD_BYTES,
    PAYLOAD_DATA_SCHEMA,
    field_problems,
    payload_problems,
)

__all__ = ["CollectedEvent", "CollectedRequest", "Headers"]


class Headers(Mapping[str, str]):
    """The headers of a request; names are looked up in any case."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Mapping[str, str]) -> None:
        """Keep the headers.

        Args:
            pairs: the values by name.
        """
        self._values = {name.lower(): value for name, value in pairs.items()}

    def __getitem__(self, name: str) -> str:
        """The value of a header."""
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        """Whether the request had the header."""
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        """The names, in lower case."""
        return iter(self._values)

    def __len__(self) -> int:
        """The number of headers."""
        return len(self._values)

    def __repr__(self) -> str:
        """The headers as a dictionary."""
        return f"Headers({self._values!r})"


_NO_HEADERS = Headers({})


class CollectedEvent:
    """One event as it arrived.

    Attributes:
        parameters: the names and values of the tracker protocol (``e``, ``eid``, ``url``, ...).
        request: the request that brought it, or None if no request was made.
        received_at: when it arrived, in seconds since the epoch.
    """

    __slots__ = ("parameters", "received_at", "request")

    def __init__(
        self,
        parameters: Dict[str, Any],
        request: Optional[CollectedRequest] = None,
        received_at: Optional[float] = None,
    ) -> None:
        """Keep an event.

        Args:
            parameters: the names and values of the tracker protocol.
            request: the request that brought it.
            received_at: when it arrived; by default when the request did, or now.
        """
        self.parameters = parameters
        self.request = request
        if received_at is None:
            received_at = time.time() if request is None else request.received_at
        self.received_at = received_at

    def __getitem__(self, name: str) -> Any:
        """The value of a parameter."""
        return self.parameters[name]

    def __contains__(self, name: object) -> bool:
        """Whether the event has the parameter."""
        return name in self.parameters

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a parameter, or the default if the event does not have it."""
        return self.parameters.get(name, default)

    @property
    def event_type(self) -> Optional[str]:
        """The type as the protocol writes it: ``pv``, ``pp``, ``se``, ``ue``, ``tr`` or ``ti``."""
        return self.parameters.get("e")

    @property
    def event_name(self) -> str:
        """The type in words; for a self-describing event, the name in its schema."""
        schema = self.schema
        if schema is not None:
            return schema_name(schema)
        return EVENT_TYPES.get(str(self.event_type), str(self.event_type))

    @property
    def event_id(self) -> Optional[str]:
        """The event's id (``eid``), which ``Tracker.track`` returned."""
        return self.parameters.get("eid")

    @property
    def unstruct(self) -> Optional[Dict[str, Any]]:
        """The self-describing event, decoded: its ``schema`` and ``data``, out of the envelope.

        None for the other event types, and for what cannot be decoded (see `problems`).
        """
        try:
            return decode_unstruct(self.parameters)
        except ValueError:
            return None

    @property
    def schema(self) -> Optional[str]:
        """The schema of the self-describing event, or None."""
        unstruct = self.unstruct
        return None if unstruct is None else unstruct["schema"]

    @property
    def data(self) -> Any:
        """The data of the self-describing event, or None."""
        unstruct = self.unstruct
        return None if unstruct is None else unstruct["data"]

    @property
    def contexts(self) -> List[Dict[str, Any]]:
        """The entities, decoded: the ``schema`` and ``data`` of each, out of the envelope.

        Empty if there are none, and if they cannot be decoded (see `problems`).
        """
        try:
            return decode_contexts(self.parameters)
        except ValueError:
            return []

    @property
    def problems(self) -> List[str]:
        """What the pipeline would find wrong with this event, one sentence each."""
        return payload_problems(self.parameters) + field_problems(self.parameters)

    @property
    def method(self) -> Optional[str]:
        """The HTTP method it came by, or None if no request was made."""
        return None if self.request is None else self.request.method

    @property
    def path(self) -> Optional[str]:
        """The path it was sent to, or None if no request was made."""
        return None if self.request is None else self.request.path

    @property
    def headers(self) -> Headers:
        """The headers of the request it came by."""
        return _NO_HEADERS if self.request is None else self.request.headers

    def __repr__(self) -> str:
        """The type and the parameters."""
        return f"<CollectedEvent {self.event_name}: {self.parameters!r}>"


class CollectedRequest:
    """One HTTP request as it arrived. Its events are decoded when somebody asks for them.

    Attributes:
        method: the HTTP method.
        path: the path, without the query string.
        query: the query string, without the question mark.
        headers: the headers; names are looked up in any case.
        body: the body, as bytes.
        received_at: when it arrived, in seconds since the epoch.
        status: the status that it was answered with, or 0 while it is not decided yet.
    """

    __slots__ = (
        "_contents",
        "body",
        "headers",
        "method",
        "path",
        "query",
        "received_at",
        "status",
    )

    def __init__(self, method: str, target: str, headers: Headers, body: bytes) -> None:
        """Keep a request.

        Args:
            method: the HTTP method.
            target: the path with the query string.
            headers: the headers.
            body: the body.
        """
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.body = body
        self.received_at = time.time()
        self.status = 0
        self._contents: Optional[Tuple[List[CollectedEvent], List[str]]] = None

    @property
    def size(self) -> int:
        """The number of bytes in the body."""
        return len(self.body)

    @property
    def accepted(self) -> bool:
        """Whether the collector keeps the events: it answered with 2xx, and they are not too large.

        A collector answers 200 to a payload of more than 1,048,576 bytes, and throws it away.
        """
        return 200 <= self.status < 300 and self.size <= MAX_PAYLOAD_BYTES

    @property
    def events(self) -> List[CollectedEvent]:
        """The events in the request, whether or not they were accepted."""
        return self._decoded()[0]

    @property
    def problems(self) -> List[str]:
        """What the pipeline would find wrong with the request and its events, one sentence each."""
        events, problems = self._decoded()
        return problems + [
            f"event {number}: {problem}"
            for number, event in enumerate(events)
            for problem in event.problems
        ]

    @property
    def spoiled(self) -> bool:
        """Whether the pipeline would refuse the request as a whole, with the good events in it.

        One event that breaks the schema of the payload takes every event of its POST with it.
        """
        events, problems = self._decoded()
        return bool(problems) or (
            self.method == "POST" and any(payload_problems(each.parameters) for each in events)
        )

    def _decoded(self) -> Tuple[List[CollectedEvent], List[str]]:
        if self._contents is None:
            self._contents = self._decode()
        return self._contents

    def _decode(self) -> Tuple[List[CollectedEvent], List[str]]:
        if self.method != "POST":
            parameters = decode_query(self.query)
            return ([CollectedEvent(parameters, self)] if parameters else []), []
        problems = []
        if self.size > MAX_PAYLOAD_BYTES:
            problems.append(f"a payload of {self.size:,} bytes is thrown away")
        content_type = self.headers.get("content-type", "")
        if content_type.lower() not in CONTENT_TYPES:
            problems.append(f"the content type is {content_type!r}")
        try:
            envelope = decode_body(self.body)
        except ValueError as error:
            return [], [*problems, str(error)]
        schema = envelope.get("schema")
        if not isinstance(schema, str) or not PAYLOAD_DATA_SCHEMA.fullmatch(schema):
            problems.append(f"the schema of the payload is {schema!r}")
        data = envelope.get("data")
        if not isinstance(data, list) or not data:
            return [], [*problems, "the payload has no events"]
        problems.extend(
            f"event {number}: not an object"
            for number, parameters in enumerate(data)
            if not isinstance(parameters, dict)
        )
        events = [CollectedEvent(each, self) for each in data if isinstance(each, dict)]
        return events, problems

    def __repr__(self) -> str:
        """The request line, the size and the answer."""
        return (
            f"<CollectedRequest {self.method} {self.path}, {self.size} bytes,"
            f" answered {self.status}>"
        )


def schema_name(schema: str) -> str:
    """The name in the URI of a schema.

    Args:
        schema: for example ``iglu:com.acme/order/jsonschema/1-0-0``.

    Returns:
        For example ``order``.
    """
    parts = schema.split("/")
    return parts[1] if len(parts) > 1 else schema
