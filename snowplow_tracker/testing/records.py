"""The requests that a collector keeps, and the events in them."""

from __future__ import annotations

import time
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
)

from snowplow_tracker.testing._decoding import decode_body, decode_parts, decode_query
from snowplow_tracker.testing._rules import (
    CONTENT_TYPES,
    EVENT_TYPES,
    MAX_PAYLOAD_BYTES,
    MAX_USERAGENT,
    PAYLOAD_DATA_SCHEMA,
    field_problems,
    missing_problems,
    payload_problems,
    shortened,
)

if TYPE_CHECKING:
    from snowplow_tracker.iglu.resolver import Resolver

__all__ = [
    "CollectedEvent",
    "CollectedRequest",
    "Headers",
    "ParameterMissingError",
]


class ParameterMissingError(KeyError):
    """An event does not have the requested parameter. The message lists those that it has."""

    def __str__(self) -> str:
        """Return the message itself, not its repr as KeyError does."""
        return str(self.args[0])


class Headers(Mapping[str, str]):
    """The headers of a request, with case-insensitive names."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Mapping[str, str]) -> None:
        """Create headers.

        Args:
            pairs: the values by name.
        """
        self._values = {name.lower(): value for name, value in pairs.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({self._values!r})"


_NO_HEADERS = Headers({})
_TP2_PATHS = frozenset({"/com.snowplowanalytics.snowplow/tp2", "/i", "/ice.png"})


class CollectedEvent:
    """One event in the form in which it arrived.

    Attributes:
        parameters: the names and values of the tracker protocol (``e``, ``eid``, ``url``, ...).
        request: the request that contained it, or None without a request.
        received_at: when it arrived, in seconds since the epoch.
    """

    __slots__ = ("_decoded", "_schemas", "parameters", "received_at", "request")

    def __init__(
        self,
        parameters: Dict[str, Any],
        request: Optional[CollectedRequest] = None,
        received_at: Optional[float] = None,
        schemas: Optional[Resolver] = None,
    ) -> None:
        """Create an event.

        Args:
            parameters: the names and values of the tracker protocol.
            request: the request that contained it.
            received_at: when it arrived; by default the time of the request, or now.
            schemas: finds the schemas of its self-describing data; by default none are checked.
        """
        self.parameters: Dict[str, Any] = parameters
        self.request: Optional[CollectedRequest] = request
        if received_at is None:
            received_at = time.time() if request is None else request.received_at
        self.received_at: float = received_at
        self._schemas = schemas
        self._decoded: Optional[_Decoded] = None

    def __getitem__(self, name: str) -> Any:
        """Return the value of a parameter.

        Raises:
            ParameterMissingError: the event does not have it. It is a KeyError.
        """
        __tracebackhide__ = True
        try:
            return self.parameters[name]
        except KeyError:
            raise ParameterMissingError(
                f"this {self.event_name} event has no {shortened(name)}; it has"
                f" {', '.join(sorted(map(str, self.parameters))) or 'no parameters at all'}"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self.parameters

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a parameter, or the default if the event does not have it."""
        return self.parameters.get(name, default)

    @property
    def event_type(self) -> Optional[str]:
        """The type in the protocol: ``pv``, ``pp``, ``se``, ``ue``, ``tr`` or ``ti``."""
        return self.parameters.get("e")

    @property
    def event_name(self) -> str:
        """The name of the type; for a self-describing event, the name in its schema."""
        schema = self.schema
        if schema is not None:
            return schema_name(schema)
        event_type = self.parameters.get("e")
        known = EVENT_TYPES.get(event_type) if isinstance(event_type, str) else None
        return known or ("untyped" if event_type is None else shortened(event_type).strip("'"))

    @property
    def event_id(self) -> Optional[str]:
        """The event's id (``eid``), which ``Tracker.track`` returned."""
        return self.parameters.get("eid")

    @property
    def unstruct(self) -> Optional[Dict[str, Any]]:
        """The decoded self-describing event: its ``schema`` and ``data``, without the envelope.

        None for the other event types, and if it cannot be decoded (see `problems`).
        """
        return self._decode().unstruct

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
        """The decoded entities: the ``schema`` and ``data`` of each, without the envelope.

        Empty if there are none, and if they cannot be decoded (see `problems`).
        """
        return self._decode().contexts

    @property
    def entities(self) -> List[Dict[str, Any]]:
        """The entities: another name for `contexts`."""
        return self.contexts

    @property
    def problems(self) -> List[str]:
        """The problems of this event in the pipeline, one sentence each."""
        if self.request is not None and self.request.method != "POST":
            # The schema of the payload is for bodies only: a GET may have other parameters.
            problems = missing_problems(self.parameters)
        else:
            problems = payload_problems(self.parameters)
        problems += field_problems(self.parameters)
        if self.request is not None and "ua" not in self.parameters:
            length = len(self.request.headers.get("user-agent", ""))
            if length > MAX_USERAGENT:
                problems.append(
                    f"the User-Agent has {length:,} characters, but must have"
                    f" at most {MAX_USERAGENT:,}"
                )
        return problems + self.schema_problems

    @property
    def schema_problems(self) -> List[str]:
        """The violations of the schemas, one sentence each; empty if there are no schemas."""
        if self._schemas is None:
            return []
        decoded = self._decode()
        if decoded.schema_problems is None:
            from snowplow_tracker.iglu.validation import validate_parts

            problems = validate_parts(decoded.unstruct, decoded.contexts, self._schemas)
            decoded = self._decoded = decoded._replace(schema_problems=list(map(str, problems)))
        return list(decoded.schema_problems or ())

    def _decode(self) -> _Decoded:
        # Decoded once as long as it does not change, since tests read it repeatedly.
        key = tuple(self.parameters.get(name) for name in ("ue_px", "ue_pr", "cx", "co"))
        if self._decoded is None or self._decoded.key != key:
            self._decoded = _Decoded(key, *decode_parts(self.parameters))
        return self._decoded

    @property
    def method(self) -> Optional[str]:
        """The HTTP method of its request, or None without a request."""
        return None if self.request is None else self.request.method

    @property
    def path(self) -> Optional[str]:
        """The path of its request, or None without a request."""
        return None if self.request is None else self.request.path

    @property
    def headers(self) -> Headers:
        """The headers of its request."""
        return _NO_HEADERS if self.request is None else self.request.headers

    def __repr__(self) -> str:
        return f"<CollectedEvent {self.event_name}: {shortened(self.parameters, 2_000)}>"


class _Decoded(NamedTuple):
    """The self-describing parts of an event, and the strings that they were decoded from."""

    key: Tuple[Any, ...]
    unstruct: Optional[Dict[str, Any]]
    contexts: List[Dict[str, Any]]
    schema_problems: Optional[List[str]] = None


class CollectedRequest:
    """One HTTP request in the form in which it arrived. Its events are decoded on demand.

    Attributes:
        method: the HTTP method.
        path: the path, without the query string.
        query: the query string, without the question mark.
        headers: the headers, with case-insensitive names.
        body: the body, as bytes.
        received_at: when it arrived, in seconds since the epoch.
        status: the status of the answer, or 0 before the answer.
        client: the address of the client.
        tp2_paths: the paths that the pipeline supports.
    """

    __slots__ = (
        "_contents",
        "_schemas",
        "body",
        "client",
        "headers",
        "method",
        "path",
        "query",
        "received_at",
        "status",
        "tp2_paths",
    )

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
        *,
        tp2_paths: Iterable[str] = (),
        schemas: Optional[Resolver] = None,
    ) -> None:
        """Create a request.

        Args:
            method: the HTTP method.
            target: the path with the query string.
            headers: the headers.
            body: the body.
            tp2_paths: additional paths on which the collector accepts events.
            schemas: finds the schemas of self-describing data; by default none are checked.
        """
        self.method: str = method
        self.path: str
        self.query: str
        self.path, _, self.query = target.partition("?")
        self.headers: Headers = headers
        self.body: bytes = body
        self.received_at: float = time.time()
        self.status: int = 0
        self.client: str = ""
        self.tp2_paths: FrozenSet[str] = frozenset(tp2_paths) | _TP2_PATHS
        self._schemas = schemas
        self._contents: Optional[Tuple[Dict[int, CollectedEvent], List[str]]] = None

    @property
    def size(self) -> int:
        """The number of bytes in the body."""
        return len(self.body)

    @property
    def accepted(self) -> bool:
        """Whether the collector keeps the events: the answer was 2xx, and they are not too large.

        A collector answers 200 to a payload of more than 1,048,576 bytes, and discards it.
        """
        return 200 <= self.status < 300 and self.size <= MAX_PAYLOAD_BYTES

    @property
    def events(self) -> List[CollectedEvent]:
        """The events in the request, whether or not they were accepted."""
        return list(self._decoded()[0].values())

    @property
    def own_problems(self) -> List[str]:
        """The problems of the request as a whole in the pipeline, one sentence each."""
        return list(self._decoded()[1])

    @property
    def problems(self) -> List[str]:
        """The problems of the request and its events in the pipeline, one sentence each."""
        events, problems = self._decoded()
        return problems + [
            f"event {number}: {problem}"
            for number, event in events.items()
            for problem in event.problems
        ]

    @property
    def spoiled(self) -> bool:
        """Whether the pipeline would refuse the request as a whole, including its good events.

        If one event violates the schema of the payload, every event of its POST is refused.
        """
        events, problems = self._decoded()
        return bool(problems) or (
            self.method == "POST"
            and any(payload_problems(each.parameters) for each in events.values())
        )

    def _decoded(self) -> Tuple[Dict[int, CollectedEvent], List[str]]:
        """Return the events by their number in the request, and the problems of the request itself."""
        if self._contents is None:
            self._contents = self._decode()
        return self._contents

    def _decode(self) -> Tuple[Dict[int, CollectedEvent], List[str]]:
        problems = []
        if self.path not in self.tp2_paths:
            problems.append(
                f"the pipeline has no adapter for {shortened(self.path)}: it reads events of"
                " trackers from /com.snowplowanalytics.snowplow/tp2 and /i"
            )
        if self.method != "POST":
            parameters: Dict[str, Any] = dict(decode_query(self.query))
            if not parameters:
                return {}, [*problems, "the query string has no event"]
            return {0: self._event(parameters)}, problems
        if self.size > MAX_PAYLOAD_BYTES:
            problems.append(
                f"a payload of {self.size:,} bytes may be thrown away: behind most collectors"
                f" {MAX_PAYLOAD_BYTES:,} is the limit"
            )
        content_type = self.headers.get("content-type", "")
        if content_type.lower() not in CONTENT_TYPES:
            problems.append(f"the content type is {shortened(content_type)}")
        try:
            envelope = decode_body(self.body)
        except ValueError as error:
            return {}, [*problems, str(error)]
        schema = envelope.get("schema")
        if not isinstance(schema, str) or not PAYLOAD_DATA_SCHEMA.fullmatch(schema):
            problems.append(f"the schema of the payload is {shortened(schema)}")
        data = envelope.get("data")
        if not isinstance(data, list) or not data:
            return {}, [*problems, "the payload has no events"]
        events = {}
        for number, each in enumerate(data):
            if isinstance(each, dict):
                events[number] = self._event(each)
            else:
                problems.append(f"event {number}: not an object")
        return events, problems

    def _event(self, parameters: Dict[str, Any]) -> CollectedEvent:
        return CollectedEvent(parameters, self, schemas=self._schemas)

    def __repr__(self) -> str:
        return (
            f"<CollectedRequest {self.method} {self.path:.200}, {self.size} bytes,"
            f" answered {self.status}>"
        )


def schema_name(schema: str) -> str:
    """Return the name in the URI of a schema: ``order`` for ``iglu:com.acme/order/jsonschema/1-0-0``."""
    parts = schema.split("/")
    return parts[1] if len(parts) > 1 else schema
