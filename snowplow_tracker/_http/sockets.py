"""Sockets with one time limit for name lookup and all addresses, and one for all of an answer.

The timeout of a socket starts again with each address and each byte. A name server that does not answer, a host with
several dead addresses, or a collector that drips its answer could hold a thread for minutes or for ever.
"""

from __future__ import annotations

import _thread
import http.client
import io
import os
import socket
import threading
from contextvars import ContextVar
from typing import Any, Dict, List, Optional, Tuple

from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.interrupts import is_interrupt

_MIN_SECONDS = 0.001
_INFORMATIONAL = range(100, 200)
_SWITCHING_PROTOCOLS = 101


class _Lookup:
    """A name lookup in its own thread, because a lookup cannot be interrupted."""

    def __init__(self, host: str, port: int) -> None:
        self.pid = os.getpid()
        self._host = host
        self._port = port
        self._done = threading.Event()
        self.addresses: List[Any] = []
        self.error: Optional[BaseException] = None

    def run(self) -> None:
        """Look the name up; runs in its own thread."""
        try:
            self.addresses = _ask(self._host, self._port)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
            self.error = error
        finally:
            _lookups.pop((self._host, self._port), None)
            self._done.set()

    def wait(self, seconds: float) -> List[Any]:
        """Return the addresses; raise what the lookup raised, or TimeoutError."""
        if not self._done.wait(max(0.0, seconds)):
            raise TimeoutError(f"the address of {self._host} was not found in time")
        if self.error is not None:
            raise self.error
        return self.addresses


_lookups: Dict[Tuple[str, int], _Lookup] = {}


def _ask(host: str, port: int) -> List[Any]:
    return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)


def _addresses(host: str, port: int, by: Optional[float]) -> List[Any]:
    if by is None or _is_numeric(host):
        return _ask(host, port)
    key = (host, port)
    lookup = _lookups.get(key)
    if lookup is None or lookup.pid != os.getpid():
        lookup = _Lookup(host, port)
        _lookups[key] = lookup
        try:
            _thread.start_new_thread(lookup.run, ())
        except RuntimeError:  # no thread can be had, as while the interpreter ends
            _lookups.pop(key, None)
            return _ask(host, port)
    return lookup.wait(by - monotonic())


def _is_numeric(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError) as error:
            if is_interrupt(error):
                raise
            continue
        return True
    return host == "localhost"


def connect(host: str, port: int, by: Optional[float]) -> socket.socket:
    """Connect to the first address of a host that accepts a connection.

    Args:
        host: A name or an address.
        port: The port.
        by: When the connection has to be open, in monotonic seconds; None for no limit. Each address gets its share of
            the time that is left.

    Raises:
        OSError: No address could be reached in time.
    """
    addresses = _addresses(host, port, by)
    error: Optional[OSError] = None
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            if by is not None:
                share = (by - monotonic()) / (len(addresses) - number)
                sock.settimeout(max(_MIN_SECONDS, share))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as failed:
            error = failed
            if sock is not None:
                sock.close()
            if is_interrupt(failed):
                raise
        except BaseException:
            if sock is not None:
                sock.close()
            raise
        else:
            return sock
    raise error or OSError(f"{host} has no address")


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a fixed deadline."""

    def __init__(self, sock: Any, by: Optional[float]) -> None:
        self._sock = sock
        # Keeps the socket open after its connection closed it: an answer may end later.
        self._file = sock.makefile("rb", buffering=0)
        # What is there already is read in any case.
        self._by = None if by is None else max(by, monotonic() + _MIN_SECONDS)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._by is not None:
            left = self._by - monotonic()
            if left <= 0:
                # A server that sends without a pause never makes the socket wait, so its timeout does not apply.
                raise TimeoutError("the answer was not there in time")
            self._sock.settimeout(left)
        return int(self._file.readinto(buffer) or 0)


class _TimedSocket:
    """The part of a socket that `http.client` uses to read an answer."""

    def __init__(self, sock: Any, by: Optional[float]) -> None:
        self._sock = sock
        self._by = by

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._by))


_read_by: ContextVar[Optional[float]] = ContextVar("snowplow_tracker_read_by", default=None)


def set_read_by(by: Optional[float]) -> None:
    """Set the deadline of the answers that this thread reads from now on, in monotonic seconds."""
    _read_by.set(by)


class Response(http.client.HTTPResponse):
    """An answer with a deadline. Informational answers (such as 103) before it are skipped."""

    def __init__(self, sock: Any, *arguments: Any, **named: Any) -> None:
        super().__init__(_TimedSocket(sock, _read_by.get()), *arguments, **named)  # type: ignore[arg-type]

    def _read_status(self) -> Any:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status not in _INFORMATIONAL or status == _SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)

    def _read_next_chunk_size(self) -> int:
        size = int(super()._read_next_chunk_size())  # type: ignore[misc]
        if size < 0:
            # Python would read to the end of the stream.
            raise ValueError("a chunk of negative size")
        return size
