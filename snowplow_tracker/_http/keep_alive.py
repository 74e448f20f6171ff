"""Kept connections of `http.client`. This module knows nothing of requests (fast path).

The standard library writes the requests, reads the answers and makes the TLS contexts; what is done here is to keep
connections, to detect those that were closed, and to apply time limits.
"""

from __future__ import annotations

import http.client
import os
import select
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Tuple

from snowplow_tracker._http.deadline import Limits
from snowplow_tracker._http.sockets import Response, connect, set_read_by
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.interrupts import is_interrupt

_MAX_READ = 65_536
"""Maximum bytes of an answer that are read so that its connection can be used again. They are not looked at."""
_MAX_IDLE_SECONDS = 60.0
"""A connection that was idle for longer may have been dropped by a proxy or firewall: a new one is opened."""


class Answer(NamedTuple):
    """The parts of a response that delivery uses."""

    status_code: int
    headers: Mapping[str, str]
    reason: str


class Origin(NamedTuple):
    """Where connections go."""

    scheme: str
    host: str
    port: Optional[int]


class _Connection(http.client.HTTPConnection):
    """A connection with a time limit for all of connecting."""

    response: Optional[Response] = None
    """The answer that is being read, from the moment that its file keeps the socket open."""
    connect_by: Optional[float] = None
    context_factory: Optional[Callable[[], Any]] = None

    def response_class(self, *arguments: Any, **named: Any) -> Response:  # type: ignore[override]
        """Make the object for an answer."""
        self.response = Response(*arguments, **named)
        return self.response

    def connect(self) -> None:
        """Connect within the time limit."""
        self.sock = connect(self.host, self.port, self.connect_by)
        if self.context_factory is not None:
            self._wrap(self.context_factory)

    def _wrap(self, context_factory: Callable[[], Any]) -> None:
        plain = self.sock
        try:
            context = context_factory()
            if self.connect_by is not None:
                plain.settimeout(max(0.001, self.connect_by - monotonic()))
            self.sock = context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            self.sock = None
            raise


class _Idle(NamedTuple):
    """A connection that is kept."""

    origin: Origin
    connection: _Connection
    since: float
    identity: Optional[Tuple[int, int]]
    """Of its file: a program that closes all descriptors may have opened another one by the same number."""

    def close(self) -> None:
        """Close the connection, but nothing that has its number now."""
        sock = self.connection.sock
        if sock is not None and self.identity != _identity(sock):
            sock.detach()
        self.connection.close()

    def is_usable(self, origin: Origin) -> bool:
        """Return whether it leads there, and neither side has closed it."""
        sock = self.connection.sock
        return (
            self.origin == origin
            and sock is not None
            and monotonic() - self.since <= _MAX_IDLE_SECONDS
            and self.identity == _identity(sock)
            and not _is_readable(sock)
        )


class KeepAliveClient:
    """Makes requests over connections that are kept open.

    Invariant: a connection is either in `_idle` or used by one thread. It goes back only after its answer was read to the
    end; whatever else happens, an interrupt too, closes it.

    Args:
        context_factory: Returns the function that makes the TLS context of a new connection; raises OSError if there
            are no certificates.
    """

    def __init__(self, context_factory: Callable[[], Callable[[], Any]]) -> None:
        self._context_factory = context_factory
        self._pid = os.getpid()
        self._idle: List[_Idle] = []

    def request(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, str],
        body: Optional[bytes],
        limits: Limits,
    ) -> Answer:
        """Make a request.

        Raises:
            OSError, http.client.HTTPException: There was no answer.
        """
        kept = self._take(origin)
        if kept is not None:
            try:
                return self._exchange(origin, kept, method, target, headers, body, limits)
            except (ConnectionError, http.client.BadStatusLine) as error:
                # The other side closed it while it was idle, which is no sign of a failing collector.
                if is_interrupt(error) or not _is_closed_by_peer(error):
                    raise
        connection = self._open(origin, limits)
        return self._exchange(origin, connection, method, target, headers, body, limits)

    def _open(self, origin: Origin, limits: Limits) -> _Connection:
        connection = _Connection(origin.host, origin.port)
        connection.connect_by = limits.connect_by()
        if origin.scheme == "https":
            connection.default_port = http.client.HTTPS_PORT
            if origin.port is None:
                connection.port = http.client.HTTPS_PORT
            connection.context_factory = self._context_factory()
        connection.connect()
        return connection

    def _exchange(
        self,
        origin: Origin,
        connection: _Connection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Optional[bytes],
        limits: Limits,
    ) -> Answer:
        connection.response = None
        is_done = False
        try:
            by = limits.read_by()
            set_read_by(by)
            connection.sock.settimeout(None if by is None else max(0.001, by - monotonic()))
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            is_sent = _send(connection, body)
            response: Any = connection.getresponse()
            response.read(_MAX_READ)
            answer = Answer(response.status, response.headers, response.reason)
            # A longer answer is not worth reading for its connection.
            is_done = is_sent and response.isclosed() and not response.will_close
            # Explicitly: an interrupt in the Python code of its finalizer would be lost.
            response.close()
            return answer
        finally:
            if is_done and connection.sock is not None:
                identity = _identity(connection.sock)
                self._idle.append(_Idle(origin, connection, monotonic(), identity))
            else:
                if connection.response is not None:
                    connection.response.close()
                connection.close()

    def _take(self, origin: Origin) -> Optional[_Connection]:
        """Take a connection that is idle, and not closed by the other side."""
        if self._pid != os.getpid():
            self.after_fork()
        while self._idle:
            # `pop` and `append` are atomic, so no lock is needed that a fork could find held.
            try:
                kept = self._idle.pop()
            except IndexError:
                break
            if kept.is_usable(origin):
                return kept.connection
            kept.close()
        return None

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            try:
                kept = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            kept.close()

    def after_fork(self) -> None:
        """Close the child's copies of the parent's sockets; those of the parent stay open."""
        self._pid = os.getpid()
        self.close()

    def __del__(self) -> None:
        if "_idle" in self.__dict__:
            self.close()


def _send(connection: _Connection, body: Optional[bytes]) -> bool:
    """Send a request; return False if the other side does not read it to the end.

    It may have answered before, such as with status 413: then the answer can be read.
    """
    try:
        connection.endheaders(body)
    except ConnectionError as error:
        if is_interrupt(error):
            raise
        return False
    return True


def _is_closed_by_peer(error: Exception) -> bool:
    return isinstance(
        error,
        (
            ConnectionResetError,
            ConnectionAbortedError,
            BrokenPipeError,
            http.client.RemoteDisconnected,
        ),
    )


def _identity(sock: Any) -> Optional[Tuple[int, int]]:
    """Return the device and the number of the file under a socket; None where the system does not tell."""
    try:
        status = os.fstat(sock.fileno())
    except OSError as error:
        if is_interrupt(error):
            raise
        return None
    return status.st_dev, status.st_ino


def _is_readable(sock: Any) -> bool:
    """Return whether there is something to read: between two answers, that the other side closed the connection."""
    try:
        if hasattr(select, "poll"):
            poller = select.poll()
            poller.register(sock, select.POLLIN)
            return bool(poller.poll(0))
        return bool(select.select([sock], [], [], 0)[0])
    except (OSError, ValueError) as error:
        if is_interrupt(error):
            raise
        return True
