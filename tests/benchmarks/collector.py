"""A collector that swallows requests in bulk, in a process of its own so that its work is not counted.

It answers 200 to every request and keeps the bodies; what they hold is looked at when somebody asks. As the real
collector does, it throws away bodies over 1,048,576 bytes while it answers 200.

On a second port it takes commands, one per line, and answers each with a line of JSON: `open` and `shut` the port that
collects, `delay SECONDS` before each answer, `count` what came.

Run as a program: ``collector.py [CERTIFICATE_AND_KEY]``. The first line that it prints holds its two ports. It ends with
its standard input.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import unquote_to_bytes

LARGEST_BODY = 1_048_576
MARK = re.compile(rb"bench-(\d{7})")
"""Each tracked event holds a text of its own that looks like this, whichever library sends it."""

# Peers read different things out of an answer; Snowplow trackers read nothing.
_ANSWER_BODY = b'{"status":1,"code":200,"success":true}'
ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b") % (
    len(_ANSWER_BODY),
    _ANSWER_BODY,
)

Body = Tuple[bytes, bytes]


class BulkCollector:
    """Takes connections on a free loopback port, which it keeps while it is shut.

    Args:
        certificate: A file with a certificate and its key: it speaks TLS.
    """

    def __init__(self, certificate: Optional[str] = None) -> None:
        self._context: Optional[ssl.SSLContext] = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._listener = _bound(0)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._delay = 0.0
        self._bodies: List[Body] = []
        self._marks: Dict[bytes, None] = {}
        self._events = self._requests = self._connections = self._oversized = 0
        self._last_request = 0.0

    def open(self) -> None:
        """Take connections from now on."""
        self._listener.listen(1024)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Refuse connections from now on."""
        # A thread that waits in accept() is woken by shutdown only.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._listener = _bound(self.port)

    def count(self) -> Dict[str, Any]:
        """Tell what came, and look into the bodies that nobody looked into yet."""
        with self._lock:
            bodies, self._bodies = self._bodies, []
            for body in bodies:
                found = MARK.findall(_plain(body))
                self._events += len(found)
                self._marks.update(dict.fromkeys(found))
            return {
                "events": self._events,
                "distinct": len(self._marks),
                "requests": self._requests,
                "connections": self._connections,
                "oversized": self._oversized,
                "last_request": self._last_request,
            }

    def command(self, line: str) -> Dict[str, Any]:
        """Do what a line of the control connection asks for."""
        name, _, argument = line.strip().partition(" ")
        if name == "open":
            self.open()
        elif name == "shut":
            self.shut()
        elif name == "delay":
            self._delay = float(argument)
        elif name != "count":
            return {"error": f"unknown command {name!r}"}
        return self.count()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with self._lock:
                self._connections += 1
            self._answer_all(connection)
        with contextlib.suppress(OSError):
            connection.close()

    def _answer_all(self, connection: socket.socket) -> None:
        with connection.makefile("rb", 65_536) as stream:
            while True:
                request_line = stream.readline()
                if not request_line:
                    return
                headers = _headers(stream)
                if b"100-continue" in headers.get(b"expect", b""):
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = _body(stream, headers)
                self._keep(body or request_line, headers.get(b"content-encoding", b""))
                if self._delay:
                    time.sleep(self._delay)
                connection.sendall(ANSWER)
                if b"close" in headers.get(b"connection", b"").lower():
                    return

    def _keep(self, body: bytes, encoding: bytes) -> None:
        with self._lock:
            self._requests += 1
            self._last_request = time.monotonic()
            if len(body) > LARGEST_BODY:
                self._oversized += 1
            else:
                self._bodies.append((body, encoding))


def _bound(port: int) -> socket.socket:
    """Bind a port without listening: connections to it are refused, and nobody else gets it."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def _headers(stream: Any) -> Dict[bytes, bytes]:
    headers = {}
    while True:
        line = stream.readline()
        if line in (b"\r\n", b"\n", b""):
            return headers
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()


def _body(stream: Any, headers: Dict[bytes, bytes]) -> bytes:
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        pieces = []
        while True:
            size = int(stream.readline().split(b";")[0], 16)
            pieces.append(stream.read(size))
            stream.readline()
            if not size:
                return b"".join(pieces)
    body: bytes = stream.read(int(headers.get(b"content-length", b"0")))
    return body


def _plain(body: Body) -> bytes:
    content, encoding = body
    if encoding == b"gzip":
        content = gzip.decompress(content)
    return unquote_to_bytes(content) if content.startswith(b"data=") else content


def _control(collector: BulkCollector, listener: socket.socket) -> None:
    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("r", encoding="ascii") as lines:
            for line in lines:
                answer = json.dumps(collector.command(line)) + "\n"
                connection.sendall(answer.encode("ascii"))

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def main() -> None:
    """Run until the standard input ends."""
    collector = BulkCollector(*sys.argv[1:2])
    control = _bound(0)
    control.listen(16)
    threading.Thread(target=_control, args=(collector, control), daemon=True).start()
    print(json.dumps({"port": collector.port, "control": control.getsockname()[1]}), flush=True)
    sys.stdin.read()
    os._exit(0)  # its threads wait for connections, and nothing is left to do


if __name__ == "__main__":
    main()
