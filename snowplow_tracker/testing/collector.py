"""A local collector, for tests and for development."""

from __future__ import annotations

import base64
import re
import ssl
import sys
import threading
import uuid
from typing import Any, Callable, Dict, Iterable, List, Optional, TextIO, TypeVar, Union

from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._protocol.cookies import parse_cookies
from snowplow_tracker.testing._http import HttpRequest, HttpServer, Response, Stream
from snowplow_tracker.testing._options import check_whole_number, resolver_of
from snowplow_tracker.testing._rules import MAX_BODY_BYTES, MAX_REQUEST_LINE_BYTES
from snowplow_tracker.testing._table import format_table, off_hint, printable
from snowplow_tracker.testing.event_list import EventList
from snowplow_tracker.testing.faults import Faults
from snowplow_tracker.testing.records import CollectedEvent, CollectedRequest, Headers

__all__ = ["Collector", "EventsMissingError"]

_POST_PATH = re.compile(r"/[^/]+/[^/]+")
_GET_PATHS = frozenset({"/i", "/ice.png"})
_ROBOTS = b"User-agent: *\nDisallow: /\n"
_PIXEL = base64.b64decode("R0lGODlhAQABAPAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
_STOP_TIMEOUT = 5.0
# In the text of an error.
_MAX_SHOWN = 40

Respond = Callable[[CollectedRequest], Optional[Response]]
_Item = TypeVar("_Item")
_Collector = TypeVar("_Collector", bound="Collector")


class EventsMissingError(AssertionError):
    """The expected events or requests did not arrive in time. The message shows what arrived."""


class Collector:
    """An HTTP server on the loopback interface that accepts and keeps the events of trackers.

    It answers like a Snowplow collector: ``POST`` and ``GET`` to any path of a vendor and a version
    (``/com.snowplowanalytics.snowplow/tp2``), ``GET /i``, ``HEAD`` wherever ``GET`` is possible,
    ``OPTIONS`` everywhere, ``/health`` and ``/robots.txt``. Like a real collector, it also accepts
    what the pipeline behind it would refuse; `problems`, `good` and `bad` report that.

    Example:
        >>> with Collector() as collector:
        ...     tracker = Tracker("shop", Emitter(collector.endpoint))
        ...     tracker.track(PageView("https://example.com"))
        ...     tracker.flush()
        ...     collector.wait_for(1).assert_one(type="page view")

    Attributes:
        respond: called with each request; see the constructor. May be replaced at any time.
        faults: begins faults of the collector: ``collector.faults.status(503, requests=2)``.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        respond: Optional[Respond] = None,
        cookie: bool = False,
        ssl_context: Optional[ssl.SSLContext] = None,
        paths: Iterable[str] = (),
        schemas: Any = None,
        max_requests: Optional[int] = None,
    ) -> None:
        """Create a collector. It listens after `start`, or inside a ``with`` statement.

        Args:
            port: the port to listen on; 0 for a free one.
            respond: called with each request in the thread of its connection. Its `Response` is the
                answer; None means the usual answer. May be replaced at any time.
            cookie: set the cookie ``sp`` with a network user id, as collectors do.
            ssl_context: use https, with the certificate of this context.
            paths: additional paths that the pipeline supports, as a collector can be configured to
                accept events on custom paths: ``["/com.acme/track"]``.
            schemas: the schemas for self-describing data: a folder, an archive or a registry,
                several in a list, or a `snowplow_tracker.iglu.Resolver`. By default none.
            max_requests: maximum number of requests to keep; the oldest are removed. By default all.

        Raises:
            ImportError: schemas are given, and the extra ``schemas`` is not installed.
            ValueError: `max_requests` is not a whole number of at least 1.
        """
        if max_requests is not None:
            check_whole_number("max_requests", max_requests)
        self.respond = respond
        self.faults: Faults = Faults(self._go_down, self._come_up)
        self._port = port
        self._cookie = cookie
        self._ssl_context = ssl_context
        self._paths = tuple(paths)
        self._schemas = resolver_of(schemas)
        self._max_requests = max_requests
        self._host = "127.0.0.1"
        self._server: Optional[HttpServer] = None
        self._changed = threading.Condition()
        self._requests: List[CollectedRequest] = []
        # How many requests were removed because of the limit since the last clear.
        self._forgotten = 0

    def start(self: _Collector) -> _Collector:
        """Start to listen. After a `stop`, the port is the same, and the events are still kept.

        Returns:
            The collector itself.

        Raises:
            OSError: the port is taken.
        """
        if self._server is None:
            self._server = HttpServer(
                self._handle,
                self._host,
                self._port,
                self._ssl_context,
                before_reading=self.faults._meet_before_reading,  # noqa: SLF001 - of this package
            )
            self._port = self._server.port
            self.faults._start()  # noqa: SLF001 - of this package
        return self

    def stop(self) -> None:
        """Cut all connections and stop listening: from now on, connections are refused."""
        server, self._server = self._server, None
        if server is not None:
            self.faults._stop()  # noqa: SLF001 - of this package
            server.stop(_STOP_TIMEOUT)

    def __enter__(self: _Collector) -> _Collector:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port; 0 until a free one is chosen."""
        return self._port

    @property
    def endpoint(self) -> str:
        """The URL to give to an emitter or to ``Snowplow.create_tracker``."""
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://127.0.0.1:{self._port}"

    @property
    def requests(self) -> List[CollectedRequest]:
        """The requests so far in the order of arrival, without health checks."""
        with self._changed:
            return list(self._requests)

    @property
    def events(self) -> EventList:
        """The events of the requests that were accepted, in the order of arrival."""
        return _accepted_events(self.requests)

    @property
    def good(self) -> EventList:
        """The `events` that the pipeline would accept."""
        return EventList(event for event in self.events if not _is_bad(event))

    @property
    def bad(self) -> EventList:
        """The `events` that the pipeline would refuse, for their own problems or those of their request."""
        return EventList(event for event in self.events if _is_bad(event))

    @property
    def problems(self) -> List[str]:
        """The problems of the accepted requests and events in the pipeline, one sentence each."""
        return [
            f"request {number}: {problem}"
            for number, request in enumerate(self.requests)
            if 200 <= request.status < 300
            for problem in request.problems
        ]

    def clear(self) -> None:
        """Remove everything that arrived so far."""
        self.take()

    def take(self) -> List[CollectedRequest]:
        """Return the requests that arrived so far, and remove them."""
        with self._changed:
            taken, self._requests = self._requests, []
            self._forgotten = 0
        return taken

    def wait_for(
        self,
        count: int,
        timeout: Optional[float] = 10.0,
        where: Optional[Callable[[CollectedEvent], bool]] = None,
    ) -> EventList:
        """Wait until a number of events were accepted.

        Args:
            count: the number of events, including those that arrived before the call.
            timeout: maximum seconds to wait; None for no limit.
            where: count only the events for which this is true.

        Returns:
            All such events, in the order of arrival; there may be more than `count`.

        Raises:
            EventsMissingError: they did not arrive in time.
        """

        def matching(request: CollectedRequest) -> List[CollectedEvent]:
            events = _accepted_events([request])
            return events if where is None else list(filter(where, events))

        return EventList(self._collect(count, timeout, matching, "event"))

    def wait_for_requests(
        self,
        count: int,
        timeout: Optional[float] = 10.0,
        where: Optional[Callable[[CollectedRequest], bool]] = None,
    ) -> List[CollectedRequest]:
        """Wait until a number of requests arrived, accepted or not.

        Args:
            count: the number of requests, including those that arrived before the call.
            timeout: maximum seconds to wait; None for no limit.
            where: count only the requests for which this is true.

        Returns:
            All such requests, in the order of arrival; there may be more than `count`.

        Raises:
            EventsMissingError: they did not arrive in time.
        """

        def matching(request: CollectedRequest) -> List[CollectedRequest]:
            return [request] if where is None or where(request) else []

        return self._collect(count, timeout, matching, "request")

    def format_table(self, width: Optional[int] = None) -> str:
        """Return the accepted events as a table.

        Args:
            width: the number of columns; by default that of the terminal.
        """
        return format_table(self.events, width)

    def print_events(self, file: Optional[TextIO] = None, width: Optional[int] = None) -> None:
        """Print the accepted events as a table, and the `problems` under it.

        Args:
            file: where to; by default the standard output.
            width: maximum number of columns; by default that of the terminal.
        """
        stream = sys.stdout if file is None else file
        if stream is None:
            # A process can be started without an output.
            return
        text = "\n".join([self.format_table(width), *map(printable, self.problems)])
        encoding = getattr(stream, "encoding", None) or "utf-8"
        print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)

    def _collect(
        self,
        count: int,
        timeout: Optional[float],
        matching: Callable[[CollectedRequest], List[_Item]],
        noun: str,
    ) -> List[_Item]:
        __tracebackhide__ = True
        deadline = None if timeout is None else monotonic() + timeout
        found: List[_Item] = []
        seen: List[CollectedRequest] = []
        kept: Optional[List[CollectedRequest]] = None
        position = 0
        while True:
            with self._changed:
                if self._requests is not kept:
                    # Cleared in the meantime: what was counted before does not count any more.
                    kept, position, seen, found = self._requests, 0, [], []
                new = kept[max(0, position - self._forgotten) :]
                position = self._forgotten + len(kept)
                if not new and len(found) < count:
                    left = None if deadline is None else deadline - monotonic()
                    if left is not None and left <= 0:
                        break
                    self._changed.wait(left)
                    continue
            # Decoding happens outside the lock, so that it does not delay answers.
            seen.extend(new)
            for request in new:
                found.extend(matching(request))
            if len(found) >= count:
                return found
        answers = "".join(
            f"\n{each.method} {each.path} with {each.size} bytes: answered {each.status}"
            for each in seen
            if not each.accepted
        )
        raise EventsMissingError(
            f"waited {timeout} s for {count} {noun}{'' if count == 1 else 's'}, but {len(found)} arrived,"
            f" in {len(seen)} requests\n{_latest(_accepted_events(seen))}{answers}{'' if seen else off_hint()}"
        )

    def _handle(self, incoming: HttpRequest) -> Union[Response, Stream, None]:
        request = CollectedRequest(
            incoming.method,
            incoming.target,
            Headers(incoming.headers),
            incoming.body,
            tp2_paths=self._paths,
            schemas=self._schemas,
        )
        request.client = incoming.client
        readable = incoming.method in ("GET", "HEAD")
        if readable and request.path in ("/health", "/robots.txt"):
            return Response(body=b"OK" if request.path == "/health" else _ROBOTS)
        if incoming.method == "OPTIONS":
            return _preflight(request)
        response = None if self.respond is None else self.respond(request)
        fault = None if response is not None else self.faults._meet(request)  # noqa: SLF001 - of this package
        if fault is not None:
            response = fault.response
        if response is None:
            response = self._usual_response(request, incoming)
        request.status = response.status
        self._keep(request)
        delay = response.delay if fault is None else fault.delay
        if delay > 0 and not self.faults._wait(delay, fault):  # noqa: SLF001 - of this package
            return None
        return response

    def _keep(self, request: CollectedRequest) -> None:
        with self._changed:
            self._requests.append(request)
            if self._max_requests is not None and len(self._requests) > self._max_requests:
                del self._requests[0]
                self._forgotten += 1
            self._changed.notify_all()

    def _go_down(self) -> None:
        server = self._server  # which may be stopped at the same time
        if server is not None:
            server.go_down()

    def _come_up(self) -> None:
        server = self._server
        if server is not None:
            server.come_up()

    def _usual_response(self, request: CollectedRequest, incoming: HttpRequest) -> Response:
        headers: Dict[str, str] = {}
        path_of_events = _POST_PATH.fullmatch(request.path) or request.path in self._paths
        if request.method == "POST" and path_of_events:
            if request.size > MAX_BODY_BYTES or incoming.too_large:
                return Response(413, body=b"the body is too large")
            body = b"ok"
            headers["Content-Type"] = "text/plain; charset=UTF-8"
        elif request.method in ("GET", "HEAD") and (request.path in _GET_PATHS or path_of_events):
            if incoming.line_size > MAX_REQUEST_LINE_BYTES:
                return Response(400, body=b"the request line is too long")
            body = _PIXEL
            headers["Content-Type"] = "image/gif"
        else:
            return Response(404, body=b"not found")
        if "origin" in request.headers:
            headers["Access-Control-Allow-Origin"] = request.headers["origin"]
            headers["Access-Control-Allow-Credentials"] = "true"
        if self._cookie and "sp-anonymous" not in request.headers:
            headers["Set-Cookie"] = f"sp={_network_user_id(request)}; Path=/"
        return Response(headers=headers, body=body)


def _accepted_events(requests: Iterable[CollectedRequest]) -> EventList:
    return EventList(event for request in requests if request.accepted for event in request.events)


def _latest(events: EventList) -> str:
    """Return the table of the events; if there are very many, only the latest."""
    left_out = len(events) - _MAX_SHOWN
    table = format_table(events[-_MAX_SHOWN:])
    return table if left_out <= 0 else f"{table}, after {left_out} that are not shown"


def _preflight(request: CollectedRequest) -> Response:
    """Return the answer to a CORS preflight request of a browser."""
    return Response(
        headers={
            "Access-Control-Allow-Origin": request.headers.get("origin", "*"),
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Allow-Headers": "Content-Type, SP-Anonymous",
            "Access-Control-Max-Age": "5",
        },
        body=b"",
    )


def _is_bad(event: CollectedEvent) -> bool:
    """Return whether the pipeline would refuse an accepted event, for its own problems or those of its request."""
    return bool(event.problems) or (event.request is not None and event.request.spoiled)


def _network_user_id(request: CollectedRequest) -> str:
    known = dict(parse_cookies(request.headers.get("cookie", ""))).get("sp")
    return str(uuid.uuid4()) if known is None else known
