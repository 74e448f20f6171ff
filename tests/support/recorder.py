"""An HTTP server on loopback that keeps every request as it came.

It knows nothing of the package under test, on purpose: what it recorded is evidence. It has no
needs beyond the standard library, so that it also serves a process that runs another version.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Tuple, Union
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from typing_extensions import Self

DEADLINE = 10.0

Answer = Union[int, Tuple[int, Dict[str, str]]]


@dataclass(frozen=True)
class Request:
    """One request as it was read off the wire."""

    method: str
    target: str
    headers: Dict[str, str]
    body: bytes
    client: int
    received: float = field(compare=False, default=0.0)

    @property
    def path(self) -> str:
        """The path of the request, without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> Dict[str, str]:
        """The parameters of the query string."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def document(self) -> Any:
        """The JSON document in the body."""
        return json.loads(self.body)

    @property
    def events(self) -> List[Dict[str, str]]:
        """The events that the request carries."""
        if self.method == "GET":
            return [self.query]
        events: List[Dict[str, str]] = self.document["data"]
        return events


def always_ok(_request: Request) -> Answer:
    """Answer 200 to everything."""
    return 200


class Recorder:
    """A server on a free loopback port; use it in a `with` statement.

    Attributes:
        requests: Everything that arrived, in order of arrival.
        answer: Called with each request; gives the status, or the status and headers.
    """

    def __init__(self, answer: Callable[[Request], Answer] = always_ok) -> None:
        """Take a port and start to serve it.

        Args:
            answer: See the attribute of this name.
        """
        self.requests: List[Request] = []
        self.answer = answer
        self._arrived = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.recorder = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        """Host and port, the shape of an endpoint without a scheme."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The endpoint as a full URL."""
        return f"http://{self.host}"

    @property
    def events(self) -> List[Dict[str, str]]:
        """Every event that arrived, whatever the answer was."""
        return [event for request in list(self.requests) for event in request.events]

    def keep(self, request: Request) -> Answer:
        """Record a request and say how to answer it."""
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
        return self.answer(request)

    def wait_for(self, count: int, deadline: float = DEADLINE) -> List[Request]:
        """Return what arrived once there are `count` requests.

        Raises:
            AssertionError: They did not come in time.
        """
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self.requests) >= count, deadline)
            assert arrived, f"{len(self.requests)} of {count} requests came in {deadline} s"
            return list(self.requests)

    def wait_for_events(self, count: int, deadline: float = DEADLINE) -> List[Dict[str, str]]:
        """Return the events that arrived once there are `count` of them.

        Raises:
            AssertionError: They did not come in time.
        """
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self.events) >= count, deadline)
            assert arrived, f"{len(self.events)} of {count} events came in {deadline} s"
            return self.events

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE)

    def __enter__(self) -> Self:
        """Give the running server."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the server."""
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    recorder: Recorder


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without this, the second small write of an answer waits for the client's delayed ACK.
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.recorder.keep(
            Request(
                method=self.command,
                target=self.path,
                headers=dict(self.headers.items()),
                body=body,
                client=self.client_address[1],
                received=time.time(),
            )
        )
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_HEAD = _serve  # noqa: N815 (names fixed by http.server)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as inherited)
        """Say nothing: the record is the log."""
