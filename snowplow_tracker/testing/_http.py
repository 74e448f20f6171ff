"""A small HTTP/1.1 server over sockets.

The server of the standard library looks twice a second whether it is to stop, leaves open
connections open when it does, and sends an answer where a test wants a reset. This one stops at
once and cuts every connection. It reads what trackers send, and nothing more.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BufferedReader
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Set

_MAX_LINE = 65_536
_MAX_HEADERS = 200
_HANDSHAKE_TIMEOUT = 10.0


@dataclass(frozen=True)
class Response:
    """An answer to a request, and what goes wrong with it.

    Attributes:
        status: the HTTP status.
        headers: further headers.
        body: the body.
        delay: seconds before the answer goes out; ``math.inf`` to never answer.
        drop: reset the connection in place of the answer. The collector still does what the status
            stands for: with 200 it keeps the events, and the tracker does not get to know.
        close: close the connection after the answer.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    delay: float = 0.0
    drop: bool = False
    close: bool = False


class HttpRequest(NamedTuple):
    """A request as it was read.

    Attributes:
        method: the HTTP method.
        target: the path with the query string.
        headers: the values by name in lower case.
        body: the body.
        line_size: the number of bytes in the request line.
        keep_alive: whether the client wants to go on with the connection.
    """

    method: str
    target: str
    headers: Dict[str, str]
    body: bytes
    line_size: int
    keep_alive: bool


class _UnreadableError(Exception):
    """A request that cannot be read, so that the connection is of no more use."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.response = Response(status, body=reason.encode("ascii"), close=True)


class HttpServer:
    """Listens on the loopback interface and answers each connection in a thread of its own."""

    def __init__(
        self,
        handle: Callable[[HttpRequest], Response],
        port: int = 0,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> None:
        """Bind the port and start to listen.

        Args:
            handle: called with each request, in the thread of its connection.
            port: the port; 0 for a free one.
            ssl_context: to speak https.

        Raises:
            OSError: the port is taken.
        """
        self._handle = handle
        self._ssl_context = ssl_context
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: Set[socket.socket] = set()
        self._workers: Set[threading.Thread] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._waker, self._wake_reader = socket.socketpair()
        self._acceptor = threading.Thread(
            target=self._accept, name="snowplow-collector", daemon=True
        )
        self._acceptor.start()

    def stop(self, timeout: float) -> None:
        """Stop to listen, cut all connections, and wait for the threads.

        Args:
            timeout: seconds to wait at most for each thread.
        """
        self._stopping.set()
        # A child that was forked meanwhile holds a copy of each socket: cut, they go too.
        _cut(self._listener)
        self._waker.send(b"x")
        self._acceptor.join(timeout)
        for each in (self._listener, self._waker, self._wake_reader):
            each.close()
        with self._lock:
            for connection in self._connections:
                _cut(connection)
            workers = list(self._workers)
        for worker in workers:
            # A request handler may be what stops the server.
            if worker is not threading.current_thread():
                worker.join(timeout)

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake_reader, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                try:
                    connection, _ = self._listener.accept()
                except OSError:
                    continue
                connection.setblocking(True)
                worker = threading.Thread(
                    target=self._serve,
                    args=(connection,),
                    name="snowplow-collector-connection",
                    daemon=True,
                )
                with self._lock:
                    self._connections.add(connection)
                    self._workers.add(worker)
                worker.start()

    def _serve(self, connection: socket.socket) -> None:
        current = connection
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._ssl_context is not None:
                connection.settimeout(_HANDSHAKE_TIMEOUT)
                current = self._ssl_context.wrap_socket(connection, server_side=True)
                current.settimeout(None)
                self._replace(connection, current)
            with current.makefile("rb") as reader:
                while not self._stopping.is_set() and self._serve_one(current, reader):
                    pass
        except OSError:
            # The client went away, or the server was stopped.
            pass
        finally:
            current.close()
            with self._lock:
                self._connections.discard(current)
                self._workers.discard(threading.current_thread())

    def _replace(self, plain: socket.socket, secured: socket.socket) -> None:
        with self._lock:
            self._connections.discard(plain)
            self._connections.add(secured)
        if self._stopping.is_set():
            _cut(secured)

    def _serve_one(self, connection: socket.socket, reader: BufferedReader) -> bool:
        try:
            request = _read_request(connection, reader)
        except _UnreadableError as error:
            connection.sendall(_encode(error.response, body_wanted=True, close=True))
            return False
        if request is None:
            return False
        response = self._handle(request)
        # An Event does not take infinity for an answer.
        if response.delay > 0 and self._stopping.wait(min(response.delay, threading.TIMEOUT_MAX)):
            return False
        if response.drop:
            _reset(connection)
            return False
        close = response.close or not request.keep_alive
        connection.sendall(_encode(response, body_wanted=request.method != "HEAD", close=close))
        return not close


def _read_request(connection: socket.socket, reader: BufferedReader) -> Optional[HttpRequest]:
    line = reader.readline(_MAX_LINE)
    if not line.strip():
        return None
    if not line.endswith(b"\n"):
        raise _UnreadableError(414, "the request line is too long")
    try:
        method, target, version = line.decode("ascii").split()
    except ValueError:
        raise _UnreadableError(400, "the request line cannot be read") from None
    headers = _read_headers(reader)
    if "transfer-encoding" in headers:
        raise _UnreadableError(411, "a request needs a Content-Length")
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise _UnreadableError(400, "the Content-Length is not a number")
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = reader.read(int(length))
    if len(body) < int(length):
        return None
    wish = headers.get("connection", "").lower()
    keep_alive = wish == "keep-alive" if version == "HTTP/1.0" else wish != "close"
    return HttpRequest(method, target, headers, body, len(line.rstrip(b"\r\n")), keep_alive)


def _read_headers(reader: BufferedReader) -> Dict[str, str]:
    headers: Dict[str, str] = {}
    for _ in range(_MAX_HEADERS):
        line = reader.readline(_MAX_LINE)
        if line in (b"\r\n", b"\n"):
            return headers
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise _UnreadableError(400, "a header cannot be read")
        headers[name.lower()] = value.strip()
    raise _UnreadableError(431, "too many headers")


def _encode(response: Response, body_wanted: bool, close: bool) -> bytes:
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {response.status} {phrase}"]
    lines.extend(f"{name}: {value}" for name, value in response.headers.items())
    # No body belongs to 204 and 304, and clients do not look for one.
    bodyless = response.status in (204, 304)
    if not bodyless:
        lines.append(f"Content-Length: {len(response.body)}")
    if close:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head + response.body if body_wanted and not bodyless else head


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Not the method of an SSLSocket: it takes the encryption away from a thread that reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _reset(connection: socket.socket) -> None:
    # Closing with no time to linger sends a reset in place of an orderly end.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
