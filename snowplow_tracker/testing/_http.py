"""A small HTTP/1.1 server over sockets.

The server of the standard library checks only twice a second whether it must stop, does not close
open connections, and cannot reset a connection instead of an answer. This one stops at once and
cuts every connection. It supports only what trackers and browsers send: each request has a deadline
and a maximum size, and the number of connections is limited.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Callable, Dict, Generator, Mapping, NamedTuple, Optional, Tuple

from snowplow_tracker.testing._clock import monotonic

_MAX_LINE = 65_536
_MAX_HEAD = 131_072
_MAX_HEADERS = 200
_MAX_BODY = 32 * 1024 * 1024
# A client that sends more gets 413. It can read this only after the server has read what it sent.
_MAX_DISCARDED = 64 * 1024 * 1024
_MAX_CONNECTIONS = 1_000
# Lines end with or without a carriage return, the head with an empty line.
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_LINE_ENDS = re.compile(r"[\r\n]+")
_HANDSHAKE_TIMEOUT = 10.0
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
    """An answer that lasts until the client disconnects or the server stops.

    Attributes:
        headers: further headers.
        chunks: what to send, piece by piece. It ends when it is closed.
    """

    headers: Mapping[str, str]
    chunks: Generator[bytes, None, None]


class HttpRequest(NamedTuple):
    """A request as it was read.

    Attributes:
        method: the HTTP method.
        target: the path with the query string.
        headers: the values by name in lower case.
        body: the body.
        line_size: the number of bytes in the request line.
        keep_alive: whether the client wants to go on with the connection.
        client: the address of the client.
        too_large: whether the body exceeded the limit and was discarded.
    """

    method: str
    target: str
    headers: Dict[str, str]
    body: bytes
    line_size: int
    keep_alive: bool
    client: str = ""
    too_large: bool = False


class _UnreadableError(Exception):
    """A request that cannot be read, so that the connection must be closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.response = Response(status, body=reason.encode("ascii"), close=True)


class _GoneError(Exception):
    """The client ended the connection."""


class _Connection:
    """One connection, read with a deadline for each request."""

    def __init__(self, sock: socket.socket, client: str) -> None:
        self.sock = sock
        self.client = client
        self.reading_since = monotonic()
        self.is_reading = True
        self._buffer = bytearray()
        self._deadline = 0.0

    def wait_for_request(self) -> None:
        """Wait for the first bytes of a request, which may take a long time."""
        self.reading_since = monotonic()
        self.is_reading = True
        self._deadline = self.reading_since + _IDLE_TIMEOUT
        while not self._buffer.lstrip(b"\r\n"):
            self._receive()
        self._deadline = monotonic() + _REQUEST_TIMEOUT

    def read_request(self) -> HttpRequest:
        """Read one request to its end, or raise an `_UnreadableError` or `_GoneError`."""
        try:
            return self._read_request()
        except socket.timeout:
            raise _UnreadableError(408, "the request did not arrive in time") from None
        finally:
            self.is_reading = False

    def send(self, data: bytes) -> None:
        """Send all bytes, or raise an OSError."""
        self.sock.settimeout(_ANSWER_TIMEOUT)
        self.sock.sendall(data)

    def _read_request(self) -> HttpRequest:
        (method, target, version), headers = _parse_head(self._read_head())
        if "transfer-encoding" in headers:
            raise _UnreadableError(411, "a request needs a Content-Length")
        length = _content_length(headers)
        if headers.get("expect", "").lower() == "100-continue":
            if length > _MAX_BODY:
                raise _UnreadableError(413, "the body is too large")
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        too_large = length > _MAX_BODY
        body = self._discard(length) if too_large else self._read_exactly(length)
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

    def _read_head(self) -> bytes:
        del self._buffer[: len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))]
        searched = 0
        while True:
            end = _END_OF_HEAD.search(self._buffer, max(0, searched - 2))
            if end is not None:
                if self._buffer.find(b"\n") > _MAX_LINE:
                    raise _UnreadableError(414, "the request line is too long")
                head = bytes(self._buffer[: end.start()])
                del self._buffer[: end.end()]
                return head
            searched = len(self._buffer)
            line_end = self._buffer.find(b"\n", 0, _MAX_LINE + 1)
            if line_end < 0 and searched > _MAX_LINE:
                raise _UnreadableError(414, "the request line is too long")
            if searched > _MAX_HEAD:
                raise _UnreadableError(431, "the headers are too large")
            if line_end >= 0:
                # A line that is already invalid cannot become a request line.
                _parse_request_line(bytes(self._buffer[:line_end]))
            if self._buffer.count(b"\n") > _MAX_HEADERS + 1:
                raise _UnreadableError(431, "too many headers")
            self._receive()

    def _read_exactly(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._receive()
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _discard(self, length: int) -> bytes:
        left = min(length, _MAX_DISCARDED) - len(self._buffer)
        self._buffer.clear()
        while left > 0:
            self._receive()
            left -= len(self._buffer)
            self._buffer.clear()
        return b""

    def _receive(self) -> None:
        left = self._deadline - monotonic()
        if left <= 0:
            raise socket.timeout
        self.sock.settimeout(left)
        data = self.sock.recv(65_536)
        if not data:
            raise _GoneError
        self._buffer += data


class HttpServer:
    """Listens on the loopback interface and handles each connection in its own thread."""

    def __init__(
        self,
        handle: Callable[[HttpRequest], Any],
        host: str,
        port: int,
        ssl_context: Optional[ssl.SSLContext],
        *,
        before_reading: Callable[[], bool],
        wait: Callable[[Response], bool],
    ) -> None:
        """Bind the port and start to listen.

        Args:
            handle: called with each request, in the thread of its connection. Returns a `Response`
                or a `Stream`.
            host: the address to listen on.
            port: the port; 0 for a free one.
            ssl_context: to speak https.
            before_reading: called when a request begins; returns whether to reset the connection.
            wait: waits before a delayed answer; returns whether it must not be sent any more.

        Raises:
            OSError: the port is taken.
        """
        self._handle = handle
        self._ssl_context = ssl_context
        self._before_reading = before_reading
        self._stopping = threading.Event()
        self._wait = wait
        self._lock = threading.Lock()
        self._connections: Dict[threading.Thread, _Connection] = {}
        self._host = host
        self._listener = _listen(host, port)
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
            self._listener = _bind(self._host, self.port)
        self._waker.send(b"x")
        self._cut_connections()

    def come_up(self) -> None:
        """Listen again after `go_down`."""
        with self._lock:
            if not self._is_down or self._stopping.is_set():
                return
            self._is_down = False
            self._listener.listen(1024)
        self._waker.send(b"x")

    def _cut_connections(self) -> Tuple[threading.Thread, ...]:
        with self._lock:
            for connection in self._connections.values():
                _cut(connection.sock)
            return tuple(self._connections)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                listener, is_down = self._listener, self._is_down
            with selectors.DefaultSelector() as selector:
                selector.register(self._wake_reader, selectors.EVENT_READ)
                with contextlib.suppress(ValueError, OSError):
                    if not is_down:
                        selector.register(listener, selectors.EVENT_READ)
                self._accept_from(listener, selector)

    def _accept_from(self, listener: socket.socket, selector: selectors.DefaultSelector) -> None:
        while not self._stopping.is_set():
            ready = [key.fileobj for key, _ in selector.select()]
            if self._wake_reader in ready:
                self._wake_reader.recv(1)
                return
            try:
                sock, address = listener.accept()
            except OSError:
                # The client has already disconnected, or there are no more file descriptors.
                self._stopping.wait(0.01)
                continue
            self._make_room()
            sock.setblocking(True)
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
            everyone = list(self._connections.values())
            waiting = [each for each in everyone if each.is_reading] or everyone
            _cut(min(waiting, key=lambda each: each.reading_since).sock)

    def _serve(self, connection: _Connection) -> None:
        try:
            with contextlib.suppress(_GoneError, OSError):
                # Any error of the client ends only its own connection.
                self._prepare(connection)
                while not self._stopping.is_set() and self._serve_one(connection):
                    pass
        finally:
            connection.sock.close()
            with self._lock:
                self._connections.pop(threading.current_thread(), None)

    def _prepare(self, connection: _Connection) -> None:
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._ssl_context is None:
            return
        connection.sock.settimeout(_HANDSHAKE_TIMEOUT)
        secured = self._ssl_context.wrap_socket(connection.sock, server_side=True)
        with self._lock:
            connection.sock = secured
        if self._stopping.is_set():
            _cut(secured)

    def _serve_one(self, connection: _Connection) -> bool:
        connection.wait_for_request()
        if self._before_reading():
            _reset(connection.sock)
            return False
        try:
            request = connection.read_request()
        except _UnreadableError as error:
            connection.send(_encode(error.response, body_wanted=True, close=True))
            _linger(connection.sock)
            return False
        response = self._handle(request)
        if isinstance(response, Stream):
            self._send_stream(connection, response)
            return False
        if response.delay > 0 and self._wait(response):
            return False
        if response.drop:
            _reset(connection.sock)
            return False
        close = response.close or not request.keep_alive
        connection.send(_encode(response, body_wanted=request.method != "HEAD", close=close))
        if request.too_large:
            _linger(connection.sock)
        return not close

    def _send_stream(self, connection: _Connection, stream: Stream) -> None:
        head = ["HTTP/1.1 200 OK", "Connection: close"]
        head.extend(f"{name}: {value}" for name, value in stream.headers.items())
        connection.send(("\r\n".join(head) + "\r\n\r\n").encode("latin-1"))
        with contextlib.closing(stream.chunks):
            for chunk in stream.chunks:
                connection.send(chunk)


def _parse_request_line(line: bytes) -> Tuple[str, str, str]:
    try:
        method, target, version = line.decode("ascii").split()
    except ValueError:
        raise _UnreadableError(400, "the request line cannot be read") from None
    return method, target, version


def _parse_head(head: bytes) -> Tuple[Tuple[str, str, str], Dict[str, str]]:
    first, *lines = head.split(b"\n")
    line = _parse_request_line(first)
    if len(lines) > _MAX_HEADERS:
        raise _UnreadableError(431, "too many headers")
    headers: Dict[str, str] = {}
    for each in lines:
        name, colon, value = each.decode("latin-1").partition(":")
        if not colon:
            raise _UnreadableError(400, "a header cannot be read")
        headers[name.strip().lower()] = value.strip()
    return line, headers


def _content_length(headers: Mapping[str, str]) -> int:
    length = headers.get("content-length", "0")
    # Not str.isdigit alone: it accepts digits that int() does not.
    if not (length.isascii() and length.isdigit()):
        raise _UnreadableError(400, "the Content-Length is not a number")
    if len(length) > 18:
        raise _UnreadableError(413, "the body is too large")
    return int(length)


def _encode(response: Response, body_wanted: bool, close: bool) -> bytes:
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {response.status} {phrase}"]
    # Some values repeat what a client sent, which must not be able to inject headers.
    lines.extend(
        f"{name}: {_LINE_ENDS.sub(' ', value)}" for name, value in response.headers.items()
    )
    # Responses with status 204 and 304 have no body.
    bodyless = response.status in (204, 304)
    if not bodyless:
        lines.append(f"Content-Length: {len(response.body)}")
    if close:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head + response.body if body_wanted and not bodyless else head


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # So that the port can be used again while old connections are in TIME_WAIT. On Windows
            # the option would allow two programs to use the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{error.strerror} ({host} port {port})") from None
    return listener


def _listen(host: str, port: int) -> socket.socket:
    listener = _bind(host, port)
    try:
        listener.listen(1024)
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
