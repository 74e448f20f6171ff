"""A collector on this machine, for tests and for development."""

from __future__ import annotations

import base64
import re
import ssl
import sys
import threading
import time
import uuid
from http.cookies import CookieError, SimpleCookie
from typing import Callable, Dict, List, Optional, TextIO, TypeVar

from snowplow_tracker.testing._http import HttpRequest, HttpServer, Response
from snowplow_tracker.testing._rules import MAX_BODY_BYTES, MAX_REQUEST_LINE_BYTES
from snowplow_tracker.testing._table import format_table
from snowplow_tracker.testing.records import CollectedEvent, CollectedRequest, Headers

__all__ = ["Collector", "EventsMissingError"]

_POST_PATH = re.compile(r"/[^/]+/[^/]+")
_GET_PATHS = frozenset({"/i", "/ice.png"})
_PIXEL = base64.b64decode("R0lGODlhAQABAPAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
_STOP_TIMEOUT = 5.0

Respond = Callable[[CollectedRequest], Optional[Response]]
_Item = TypeVar("_Item")
_Collector = TypeVar("_Collector", bound="Collector")


class EventsMissingError(AssertionError):
    """What was waited for did not arrive in time; the text says what did."""


class Collector:
    """An HTTP server on the loopback interface that takes what trackers send, and keeps it.

    It answers like a Snowplow collector: ``POST`` to any path of a vendor and a version
    (``/com.snowplowanalytics.snowplow/tp2``), ``GET /i`` and ``GET /health``. What the pipeline
    behind a collector would refuse is accepted here too, as it is there, and told by `problems`,
    `good` and `bad`.

    Example:
        >>> with Collector() as collector:
        ...     tracker = Tracker("shop", Emitter(collector.endpoint))
        ...     tracker.track(PageView("https://example.com"))
        ...     tracker.flush()
        ...     [event] = collector.wait_for(1)
    """

    def __init__(
        self,
        port: int = 0,
        *,
        respond: Optional[Respond] = None,
        cookie: bool = False,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> None:
        """Set up a collector; it listens from `start` on, or inside of a ``with`` statement.

        Args:
            port: the port to listen on; 0 for a free one.
            respond: called with each request in the thread of its connection. Its `Response` is the
                answer; None stands for the usual answer. May be replaced at any time.
            cookie: set the cookie ``sp`` with a network user id, as collectors do.
            ssl_context: speak https, with the certificate of this context.
        """
        self.respond = respond
        self._port = port
        self._cookie = cookie
        self._ssl_context = ssl_context
        self._server: Optional[HttpServer] = None
        self._changed = threading.Condition()
        self._requests: List[CollectedRequest] = []

    def start(self: _Collector) -> _Collector:
        """Listen. After a `stop`, on the same port as before; what was kept stays.

        Returns:
            The collector itself.

        Raises:
            OSError: the port is taken.
        """
        if self._server is None:
            self._server = HttpServer(self._handle, self._port, self._ssl_context)
            self._port = self._server.port
        return self

    def stop(self) -> None:
        """Cut all connections and stop to listen: from now on, connections are refused."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(_STOP_TIMEOUT)

    def __enter__(self: _Collector) -> _Collector:
        """Start."""
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        """Stop."""
        self.stop()

    @property
    def port(self) -> int:
        """The port; 0 as long as a free one was not chosen."""
        return self._port

    @property
    def endpoint(self) -> str:
        """The URL to give to an emitter or to ``Snowplow.create_tracker``."""
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://127.0.0.1:{self._port}"

    @property
    def requests(self) -> List[CollectedRequest]:
        """The requests so far in the order of arrival, health checks left out."""
        with self._changed:
            return list(self._requests)

    @property
    def events(self) -> List[CollectedEvent]:
        """The events of the requests that were accepted, in the order of arrival."""
        return _accepted_events(self.requests)

    @property
    def good(self) -> List[CollectedEvent]:
        """Those `events` that would come out at the other end of the pipeline."""
        return [event for event in self.events if not _is_bad(event)]

    @property
    def bad(self) -> List[CollectedEvent]:
        """Those `events` that the pipeline would refuse, for themselves or for their request."""
        return [event for event in self.events if _is_bad(event)]

    @property
    def problems(self) -> List[str]:
        """What the pipeline would find wrong with what was accepted, one sentence each."""
        return [
            f"request {number}: {problem}"
            for number, request in enumerate(self.requests)
            if 200 <= request.status < 300
            for problem in request.problems
        ]

    def clear(self) -> None:
        """Forget what arrived so far."""
        self.take()

    def take(self) -> List[CollectedRequest]:
        """Give out what arrived so far, and forget it.

        Returns:
            The requests.
        """
        with self._changed:
            taken, self._requests = self._requests, []
        return taken

    def wait_for(
        self,
        count: int,
        timeout: Optional[float] = 10.0,
        where: Optional[Callable[[CollectedEvent], bool]] = None,
    ) -> List[CollectedEvent]:
        """Wait until so many events were accepted.

        Args:
            count: the number of events, those included that arrived before.
            timeout: seconds to wait at most; None to wait for ever.
            where: count only the events for which this is true.

        Returns:
            All such events, in the order of arrival; there may be more than were asked for.

        Raises:
            EventsMissingError: they did not arrive in time.
        """

        def matching(requests: List[CollectedRequest]) -> List[CollectedEvent]:
            events = _accepted_events(requests)
            return events if where is None else [event for event in events if where(event)]

        return self._collect(count, timeout, matching, "event")

    def wait_for_requests(
        self,
        count: int,
        timeout: Optional[float] = 10.0,
        where: Optional[Callable[[CollectedRequest], bool]] = None,
    ) -> List[CollectedRequest]:
        """Wait until so many requests arrived, accepted or not.

        Args:
            count: the number of requests, those included that arrived before.
            timeout: seconds to wait at most; None to wait for ever.
            where: count only the requests for which this is true.

        Returns:
            All such requests, in the order of arrival; there may be more than were asked for.

        Raises:
            EventsMissingError: they did not arrive in time.
        """

        def matching(requests: List[CollectedRequest]) -> List[CollectedRequest]:
            return requests if where is None else [each for each in requests if where(each)]

        return self._collect(count, timeout, matching, "request")

    def format_table(self, width: Optional[int] = None) -> str:
        """Lay the accepted events out as a table.

        Args:
            width: the number of columns to fill; by default that of the terminal.

        Returns:
            The lines of the table.
        """
        return format_table(self.events, width)

    def print_events(self, file: Optional[TextIO] = None, width: Optional[int] = None) -> None:
        """Print the accepted events as a table, and the `problems` under it.

        Args:
            file: where to; by default the standard output.
            width: same as for `format_table`.
        """
        print_safely("\n".join([self.format_table(width), *self.problems]), file)

    def _collect(
        self,
        count: int,
        timeout: Optional[float],
        matching: Callable[[List[CollectedRequest]], List[_Item]],
        noun: str,
    ) -> List[_Item]:
        deadline = None if timeout is None else time.monotonic() + timeout
        found: List[_Item] = []
        seen: List[CollectedRequest] = []
        source: Optional[List[CollectedRequest]] = None
        while True:
            with self._changed:
                if self._requests is not source:
                    # Cleared meanwhile: what was counted before does not count any more.
                    source, seen, found = self._requests, [], []
                new = source[len(seen) :]
                if not new and len(found) < count:
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        break
                    self._changed.wait(left)
                    continue
            # Decoding is done outside of the lock, so that it does not hold up the answers.
            seen.extend(new)
            found.extend(matching(new))
            if len(found) >= count:
                return found
        answers = "".join(
            f"\n{each.method} {each.path} with {each.size} bytes: answered {each.status}"
            for each in seen
            if not each.accepted
        )
        raise EventsMissingError(
            "waited {} s for {} {}{}, but {} arrived, in {} requests\n{}{}".format(
                timeout,
                count,
                noun,
                "" if count == 1 else "s",
                len(found),
                len(seen),
                format_table(_accepted_events(seen)),
                answers,
            )
        )

    def _handle(self, incoming: HttpRequest) -> Response:
        request = CollectedRequest(
            incoming.method, incoming.target, Headers(incoming.headers), incoming.body
        )
        if request.path == "/health" and request.method in ("GET", "HEAD"):
            return Response(body=b"OK")
        response = None if self.respond is None else self.respond(request)
        if response is None:
            response = self._usual_response(request, incoming.line_size)
        request.status = response.status
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
        return response

    def _usual_response(self, request: CollectedRequest, line_size: int) -> Response:
        headers: Dict[str, str] = {}
        if request.method == "POST" and _POST_PATH.fullmatch(request.path):
            if request.size > MAX_BODY_BYTES:
                return Response(413, body=b"the body is too large")
            body = b"ok"
            headers["Content-Type"] = "text/plain; charset=UTF-8"
        elif request.method == "GET" and request.path in _GET_PATHS:
            if line_size > MAX_REQUEST_LINE_BYTES:
                return Response(400, body=b"the request line is too long")
            body = _PIXEL
            headers["Content-Type"] = "image/gif"
        else:
            return Response(404, body=b"not found")
        if self._cookie and "sp-anonymous" not in request.headers:
            headers["Set-Cookie"] = f"sp={_network_user_id(request)}; Path=/"
        return Response(headers=headers, body=body)


def print_safely(text: str, file: Optional[TextIO] = None) -> None:
    """Print what came over the network: what the output cannot show becomes a question mark.

    Args:
        text: the text.
        file: where to; by default the standard output.
    """
    stream = sys.stdout if file is None else file
    encoding = getattr(stream, "encoding", None) or "utf-8"
    shown = "".join(each if each.isprintable() or each == "\n" else "?" for each in text)
    print(shown.encode(encoding, "replace").decode(encoding), file=stream, flush=True)


def _accepted_events(requests: List[CollectedRequest]) -> List[CollectedEvent]:
    return [event for request in requests if request.accepted for event in request.events]


def _is_bad(event: CollectedEvent) -> bool:
    return bool(event.problems) or (event.request is not None and event.request.spoiled)


def _network_user_id(request: CollectedRequest) -> str:
    try:
        known = SimpleCookie(request.headers.get("cookie", "")).get("sp")
    except CookieError:
        known = None
    return str(uuid.uuid4()) if known is None else known.value
