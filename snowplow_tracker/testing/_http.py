"""A small HTTP/1.1 server over sockets.

The server of the standard library checks only twice a second whether it must stop, does not close
open connections, and cannot reset a connection instead of an answer. This one stops at once and
cuts every connection. It supports only what trackers and browsers send: each request has a deadline
and a maximum size, and the number of connections is limited.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import selectors
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Callable, Dict, Generator, Mapping, NamedTuple, Optional, Tuple, Union

from snowplow_tracker._process.clock import monotonic

_MAX_LINE = 65_536
_MAX_HEAD = 131_072
_MAX_HEADERS = 200
_MAX_BODY = 32 * 1024 * 1024
# A client that sends more gets 413. It can read this only after the server has read what it sent.
_MAX_DISCARDED = 64 * 1024 * 1024
_MAX_CONNECTIONS = 1_000
_BACKLOG = 1_024
_LINE_ENDS = re.compile(r"[\r\n]+")
# Collectors close a connection that is idle for this time.
_IDLE_TIMEOUT = 60.0
_REQUEST_TIMEOUT = 60.0
_ANSWER_TIMEOUT = 60.0


@dataclass(frozen=True)
class Response:
    """An answer to a request, and its faults.

    Attributes:
        status: the HTTP status.
        headers: further headers.
        body: the body.
        delay: seconds before the answer is sent; ``math.inf`` to never answer.
        drop: reset the connection instead of the answer. The collector still acts according to the
            status: with 200 it keeps the events, but the tracker gets no answer.
        close: close the connection after the answer.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    delay: float = 0.0
    drop: bool = False
    close: bool = False


@dataclass(frozen=True)
class Stream:
    """An answer of chunks, which lasts until the client disconnects or the server stops. Then they are closed."""

    headers: Mapping[str, str]
    chunks: Generator[bytes, None, None]


class HttpRequest(NamedTuple):
    """A request as it was read. The names of headers are in lower case."""

    method: str
    target: str
    headers: Dict[str, str]
    body: bytes
    line_size: int
    """The number of bytes in the request line."""
    keep_alive: bool
    """Whether the client wants to go on with the connection."""
    client: str = ""
    too_large: bool = False
    """Whether the body exceeded the limit and was discarded."""


class _UnreadableError(Exception):
    """A request that cannot be read, so that the connection must be closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.response = Response(status, body=reason.encode("ascii"), close=True)


class _Incoming(io.RawIOBase):
    """What a client sends, up to a deadline."""

    deadline = 0.0

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.deadline - monotonic()
        if left <= 0:
            raise socket.timeout
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)


class _Connection:
    """One connection, read with a deadline for each request.

    Reading raises an EOFError when the client has ended it.
    """

    def __init__(self, sock: socket.socket, client: str) -> None:
        self.sock = sock
        self.client = client
        # Infinity while a request is handled.
        self.reading_since = monotonic()
        self._incoming = _Incoming(sock)
        self._reader = io.BufferedReader(self._incoming, 65_536)

    def wait_for_request(self) -> None:
        """Wait for the first bytes of a request, which may take a long time."""
        self.reading_since = monotonic()
        self._incoming.deadline = self.reading_since + _IDLE_TIMEOUT
        # Some clients end a body with an empty line.
        while self._reader.peek(1)[:1] in (b"\r", b"\n"):
            self._reader.read(1)
        if not self._reader.peek(1):
            raise EOFError
        self._incoming.deadline = monotonic() + _REQUEST_TIMEOUT

    def read_request(self) -> HttpRequest:
        """Read one request to its end, or raise an `_UnreadableError`."""
        try:
            return self._read_request()
        except socket.timeout:
            raise _UnreadableError(408, "the request did not arrive in time") from None
        finally:
            self.reading_since = math.inf

    def send(self, data: bytes) -> None:
        """Send all bytes, or raise an OSError."""
        self.sock.settimeout(_ANSWER_TIMEOUT)
        self.sock.sendall(data)

    def _read_request(self) -> HttpRequest:
        line = self._read_line(_MAX_LINE, 414, "the request line is too long")
        try:
            method, target, version = line.decode("ascii").split()
        except ValueError:
            raise _UnreadableError(400, "the request line cannot be read") from None
        headers = self._read_headers()
        if "transfer-encoding" in headers:
            raise _UnreadableError(411, "a request needs a Content-Length")
        length = _content_length(headers)
        too_large = length > _MAX_BODY
        if headers.get("expect", "").lower() == "100-continue":
            if too_large:
                raise _UnreadableError(413, "the body is too large")
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        if too_large:
            self._discard(min(length, _MAX_DISCARDED))
        else:
            body = self._reader.read(length)
            if len(body) < length:
                raise EOFError
        wish = headers.get("connection", "").lower()
        keep_alive = wish == "keep-alive" if version == "HTTP/1.0" else wish != "close"
        return HttpRequest(
            method,
            target,
            headers,
            body,
            len(method) + len(target) + len(version) + 2,
            keep_alive and not too_large,
            self.client,
            too_large,
        )

    def _read_line(self, limit: int, status: int, reason: str) -> bytes:
        line = self._reader.readline(limit + 1)
        if len(line) > limit:
            raise _UnreadableError(status, reason)
        if not line.endswith(b"\n"):
            raise EOFError
        return line

    def _read_headers(self) -> Dict[str, str]:
        headers: Dict[str, str] = {}
        room = _MAX_HEAD
        for _ in range(_MAX_HEADERS + 1):
            line = self._read_line(room, 431, "the headers are too large")
            if line in (b"\r\n", b"\n"):
                return headers
            room -= len(line)
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                raise _UnreadableError(400, "a header cannot be read")
            headers[name.strip().lower()] = value.strip()
        raise _UnreadableError(431, "too many headers")

    def _discard(self, left: int) -> None:
        while left > 0:
            data = self._reader.read(min(left, 65_536))
            if not data:
                raise EOFError
            left -= len(data)


class HttpServer:
    """Listens on the loopback interface and handles each connection in its own thread."""

    def __init__(
        self,
        handle: Callable[[HttpRequest], Union[Response, Stream, None]],
        host: str,
        port: int,
        ssl_context: Optional[ssl.SSLContext],
        *,
        before_reading: Callable[[], bool],
    ) -> None:
        """Bind the port and start to listen.

        Args:
            handle: called with each request, in the thread of its connection. Returns a `Response`,
                a `Stream`, or None to end the connection without an answer.
            host: the address to listen on.
            port: the port; 0 for a free one.
            ssl_context: to speak https.
            before_reading: called when a request begins; returns whether to reset the connection.

        Raises:
            OSError: the port is taken.
        """
        self._handle = handle
        self._ssl_context = ssl_context
        self._before_reading = before_reading
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: Dict[threading.Thread, _Connection] = {}
        self._host = host
        self._listener = _open(host, port)
        self.port: int = self._listener.getsockname()[1]
        self._is_down = False
        self._waker, self._wake_reader = socket.socketpair()
        self._acceptor = threading.Thread(
            target=self._accept, name="snowplow-collector", daemon=True
        )
        self._acceptor.start()

    def stop(self, timeout: float) -> None:
        """Stop listening, cut all connections, and wait some seconds for each of the threads."""
        self._stopping.set()
        # Shut down, since a forked child may hold a copy of each socket.
        _cut(self._listener)
        self._waker.send(b"x")
        self._acceptor.join(timeout)
        for each in (self._listener, self._waker, self._wake_reader):
            each.close()
        for worker in self._cut_connections():
            # A request handler may stop the server itself.
            if worker is not threading.current_thread():
                worker.join(timeout)

    def go_down(self) -> None:
        """Refuse connections and cut the open ones, until `come_up`. The port stays reserved."""
        with self._lock:
            if self._is_down or self._stopping.is_set():
                return
            self._is_down = True
            _cut(self._listener)
            self._listener.close()
            # Bound, but not listening: connections are refused, and no other program can take the port.
            self._listener = _open(self._host, self.port, listen=False)
        self._waker.send(b"x")
        self._cut_connections()

    def come_up(self) -> None:
        """Listen again after `go_down`."""
        with self._lock:
            if not self._is_down or self._stopping.is_set():
                return
            self._is_down = False
            self._listener.listen(_BACKLOG)
        self._waker.send(b"x")

    def _cut_connections(self) -> Tuple[threading.Thread, ...]:
        with self._lock:
            for connection in self._connections.values():
                _cut(connection.sock)
            return tuple(self._connections)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with selectors.DefaultSelector() as selector:
                with self._lock:
                    listener = self._listener
                    selector.register(self._wake_reader, selectors.EVENT_READ)
                    if not self._is_down:
                        selector.register(listener, selectors.EVENT_READ)
                ready = [key.fileobj for key, _ in selector.select()]
            if self._wake_reader in ready:
                self._wake_reader.recv(1)
            else:
                self._accept_from(listener)

    def _accept_from(self, listener: socket.socket) -> None:
        try:
            sock, address = listener.accept()
            sock.setblocking(True)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._ssl_context is not None:
                # The handshake is part of the first read, in the thread of the connection.
                sock = self._ssl_context.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=False
                )
        except OSError:
            # The client has already disconnected, or there are no more file descriptors.
            self._stopping.wait(0.01)
            return
        self._make_room()
        connection = _Connection(sock, str(address[0]))
        worker = threading.Thread(
            target=self._serve,
            args=(connection,),
            name="snowplow-collector-connection",
            daemon=True,
        )
        with self._lock:
            self._connections[worker] = connection
        try:
            worker.start()
        except RuntimeError:
            # No more threads can be started: one refused connection is better than no server.
            with self._lock:
                del self._connections[worker]
            sock.close()

    def _make_room(self) -> None:
        """If there are too many connections, cut the one that has been idle longest."""
        with self._lock:
            if len(self._connections) < _MAX_CONNECTIONS:
                return
            _cut(min(self._connections.values(), key=lambda each: each.reading_since).sock)

    def _serve(self, connection: _Connection) -> None:
        try:
            # Any error of the client ends only its own connection.
            with contextlib.suppress(EOFError, OSError):
                while not self._stopping.is_set() and self._serve_one(connection):
                    pass
        finally:
            connection.sock.close()
            with self._lock:
                self._connections.pop(threading.current_thread(), None)

    def _serve_one(self, connection: _Connection) -> bool:
        """Answer a request; return whether the connection goes on."""
        connection.wait_for_request()
        if self._before_reading():
            _reset(connection.sock)
            return False
        try:
            request = connection.read_request()
        except _UnreadableError as error:
            connection.send(_encode(error.response, close=True))
            _linger(connection.sock)
            return False
        response = self._handle(request)
        if response is None:
            return False
        if isinstance(response, Stream):
            connection.send(_head(200, response.headers, close=True))
            with contextlib.closing(response.chunks):
                for chunk in response.chunks:
                    connection.send(chunk)
            return False
        if response.drop:
            _reset(connection.sock)
            return False
        close = response.close or not request.keep_alive
        connection.send(_encode(response, body_wanted=request.method != "HEAD", close=close))
        if request.too_large:
            _linger(connection.sock)
        return not close


def _content_length(headers: Mapping[str, str]) -> int:
    length = headers.get("content-length", "0")
    # Not str.isdigit alone: it accepts digits that int() does not.
    if not (length.isascii() and length.isdigit()):
        raise _UnreadableError(400, "the Content-Length is not a number")
    if len(length) > 18:
        raise _UnreadableError(413, "the body is too large")
    return int(length)


def _encode(response: Response, *, body_wanted: bool = True, close: bool) -> bytes:
    # Responses with status 204 and 304 have no body.
    if response.status in (204, 304):
        return _head(response.status, response.headers, close=close)
    length = {"Content-Length": str(len(response.body))}
    head = _head(response.status, {**response.headers, **length}, close=close)
    return head + response.body if body_wanted else head


def _head(status: int, headers: Mapping[str, str], *, close: bool) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}"]
    # Some values repeat what a client sent, which must not be able to inject headers.
    lines.extend(f"{name}: {_LINE_ENDS.sub(' ', value)}" for name, value in headers.items())
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _open(host: str, port: int, *, listen: bool = True) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # So that the port can be used again while old connections are in TIME_WAIT. On Windows
            # the option would allow two programs to use the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        if listen:
            listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{error.strerror} ({host} port {port})") from None
    return listener


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Not the method of an SSLSocket: it would remove the encryption from a thread that reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _linger(connection: socket.socket) -> None:
    """Let the client read the answer: closing a socket that has unread data sends a reset."""
    deadline = monotonic() + 1.0
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(0.2)
        while monotonic() < deadline and connection.recv(65_536):
            pass


def _reset(connection: socket.socket) -> None:
    # Closing with a linger time of 0 sends a reset.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
