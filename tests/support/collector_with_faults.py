"""A collector on the loopback interface that misbehaves on demand.

It speaks HTTP over raw sockets, because the faults that matter (a reset after the request was read, a reply that
stops half way, a port that refuses) are below what an HTTP library lets a server do.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Union
from urllib.parse import parse_qsl, urlsplit

__all__ = [
    "OK",
    "Answer",
    "Behaviour",
    "CollectorWithFaults",
    "Request",
    "fail_at_random",
    "in_turn",
    "sizes",
    "too_large_above",
]

# What the pipeline behind a real collector throws away although it was answered with 200.
SIZE_VIOLATION = 1_048_576

REASONS = {
    200: "OK",
    301: "Moved Permanently",
    413: "Payload Too Large",
    503: "Service Unavailable",
}


@dataclass(frozen=True)
class Answer:
    """How one request is treated, once all of it has been read.

    Attributes:
        status: The status of the reply.
        headers: Headers of the reply, beside the ones every reply has.
        body: The body of the reply.
        wait: Seconds before the reply starts. Stopping the collector ends the wait.
        drip: Seconds between two bytes of the reply.
        fault: `reset` drops the connection with RST, `close` with FIN, before any reply; `cut` closes it after
            `cut_after` bytes of the reply; `silence` never replies and keeps the connection.
        cut_after: Bytes of the reply that are sent if the fault is `cut`.
        then_close: Close the connection after the reply without having said so.
        connection: The value of the `Connection` header of the reply, None for no such header.
        version: The protocol version of the reply.
        first: Raw bytes sent before the reply, such as an interim reply.
        keeps: Whether the events count as arrived. None: if the status is a good one.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    wait: float = 0.0
    drip: float = 0.0
    fault: Optional[str] = None
    cut_after: int = 7
    then_close: bool = False
    connection: Optional[str] = None
    version: str = "HTTP/1.1"
    first: bytes = b""
    keeps: Optional[bool] = None

    def is_kept(self, size: int) -> bool:
        """Tell whether the events of a request of this size reach the pipeline."""
        if self.keeps is not None:
            return self.keeps
        return self.fault is None and 200 <= self.status < 300 and size <= SIZE_VIOLATION

    def as_bytes(self) -> bytes:
        """Return the reply as it goes over the wire."""
        lines = [f"{self.version} {self.status} {REASONS.get(self.status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Content-Length: {len(self.body)}")
        if self.connection is not None:
            lines.append(f"Connection: {self.connection}")
        return self.first + "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


OK = Answer()


@dataclass
class Request:
    """One request, as it was read."""

    at: float
    connection: int
    method: str
    target: str
    headers: Dict[str, str]
    body: bytes
    answer: Answer = OK

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.target).path

    @property
    def events(self) -> List[Dict[str, Any]]:
        """The payloads of the request."""
        if self.method == "GET":
            query = urlsplit(self.target).query
            # without a query it carries nothing: what is left of a POST that followed a redirect
            return [dict(parse_qsl(query, keep_blank_values=True))] if query else []
        try:
            return list(json.loads(self.body)["data"])
        except (ValueError, KeyError, TypeError):
            return []


Behaviour = Callable[[Request], Answer]


def in_turn(*answers: Answer, then: Answer = OK) -> Behaviour:
    """Use each of the answers once, in this order, and `then` from there on."""
    left = list(answers)
    lock = threading.Lock()

    def behave(_: Request) -> Answer:
        with lock:
            return left.pop(0) if left else then

    return behave


def fail_at_random(share: float, seed: int, failure: Answer = Answer(status=503)) -> Behaviour:
    """Answer this share of the requests with a failure."""
    chance = random.Random(seed)
    lock = threading.Lock()

    def behave(_: Request) -> Answer:
        with lock:
            return failure if chance.random() < share else OK

    return behave


def too_large_above(size: int) -> Behaviour:
    """Answer 413 to every body of more than this many bytes."""

    def behave(request: Request) -> Answer:
        return Answer(status=413) if len(request.body) > size else OK

    return behave


class CollectorWithFaults:
    """A collector whose behaviour can be changed while it runs.

    The port stays the same, and stays ours, while the collector refuses connections.
    """

    def __init__(
        self,
        behaviour: Union[Behaviour, Answer] = OK,
        listening: bool = True,
        keep_bodies: bool = True,
        tls: Optional[ssl.SSLContext] = None,
    ) -> None:
        self.behaviour = behaviour
        self.keep_bodies = keep_bodies
        self.requests: List[Request] = []
        self.arrived: Dict[str, int] = {}
        self.seen: Dict[str, int] = {}
        self.connections = 0
        self.largest_body = 0
        self._tls = tls
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._open: Dict[int, socket.socket] = {}
        self._listener: Optional[socket.socket] = None
        self._holder = self._bound(0)
        self.port: int = self._holder.getsockname()[1]
        if listening:
            self.listen()

    def __enter__(self) -> CollectorWithFaults:  # noqa: PYI034 - nobody subclasses it
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """Host and port, as an emitter takes them."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base address of the collector."""
        return f"{'http' if self._tls is None else 'https'}://{self.endpoint}"

    def listen(self) -> None:
        """Accept connections (again)."""
        listener = self._holder
        listener.listen(1024)
        self._listener = listener
        threading.Thread(
            target=self._accept, args=(listener,), name="collector accept", daemon=True
        ).start()

    def refuse(self) -> None:
        """Reset every connection and refuse new ones, on the same port."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # close() alone would leave the accepting thread, and so the port, in its call
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self._holder = self._bound(self.port)
        self.reset_connections()

    def reset_connections(self) -> None:
        """Reset every open connection."""
        with self._changed:
            connections = list(self._open.values())
        for connection in connections:
            _reset(connection)

    def close_idle_connections(self) -> None:
        """End every open connection in the orderly way, as a server does with idle ones."""
        with self._changed:
            connections = list(self._open.values())
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """End the collector; waiting replies are given up."""
        self._stopping.set()
        self.refuse()
        self._holder.close()

    def wait_for(
        self, condition: Callable[[CollectorWithFaults], object], timeout: float = 10.0
    ) -> bool:
        """Wait until the condition holds; it is checked after every request and every end of a connection.

        Returns:
            Whether it held before the time was over.
        """
        with self._changed:
            return bool(self._changed.wait_for(lambda: condition(self), timeout))

    def wait_for_events(self, count: int, timeout: float = 10.0) -> bool:
        """Wait until this many distinct events have arrived."""
        return self.wait_for(lambda collector: len(collector.arrived) >= count, timeout)

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> bool:
        """Wait until this many requests have been read."""
        return self.wait_for(lambda collector: len(collector.requests) >= count, timeout)

    @property
    def repeated(self) -> Dict[str, int]:
        """The events that arrived more than once."""
        return {eid: times for eid, times in self.arrived.items() if times > 1}

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    def events(self) -> List[Dict[str, Any]]:
        """Return every event of the requests that were kept, repeats included."""
        with self._changed:
            kept = [r for r in self.requests if r.answer.is_kept(len(r.body))]
        return [event for request in kept for event in request.events]

    def _bound(self, port: int) -> socket.socket:
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deadline = time.monotonic() + 5
        while True:
            try:
                holder.bind(("127.0.0.1", port))
            except OSError:
                # the accepting thread may hold the old socket for a moment more
                if time.monotonic() > deadline:
                    raise
                self._stopping.wait(0.01)
            else:
                return holder

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._changed:
                self.connections += 1
                number = self.connections
                self._open[number] = connection
            threading.Thread(
                target=self._serve,
                args=(number, connection),
                name=f"collector connection {number}",
                daemon=True,
            ).start()

    def _serve(self, number: int, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._changed:
                    self._open[number] = connection
            with connection.makefile("rb") as stream:
                while self._serve_one(number, connection, stream):
                    pass
        except (OSError, ValueError):
            pass
        finally:
            with contextlib.suppress(OSError):
                connection.close()
            with self._changed:
                self._open.pop(number, None)
                self._changed.notify_all()

    def _serve_one(self, number: int, connection: socket.socket, stream: Any) -> bool:
        request = _read_request(number, connection, stream)
        if request is None:
            return False
        answer = self.behaviour if isinstance(self.behaviour, Answer) else self.behaviour(request)
        request.answer = answer
        self._record(request)
        if answer.wait:
            self._stopping.wait(answer.wait)
        if answer.fault == "silence":
            self._stopping.wait()
            return False
        if answer.fault == "reset":
            _reset(connection)
            return False
        if answer.fault == "close":
            return False
        reply = answer.as_bytes()
        if answer.fault == "cut":
            reply = reply[: answer.cut_after]
        if answer.drip:
            for position in range(len(reply)):
                connection.sendall(reply[position : position + 1])
                if self._stopping.wait(answer.drip):
                    return False
        else:
            connection.sendall(reply)
        return not (
            answer.fault
            or answer.then_close
            or answer.connection == "close"
            or answer.version == "HTTP/1.0"
            or request.headers.get("connection", "").lower() == "close"
        )

    def _record(self, request: Request) -> None:
        events = request.events
        size = len(request.body)
        kept = request.answer.is_kept(size)
        if not self.keep_bodies:
            request.body = b""
        with self._changed:
            self.requests.append(request)
            self.largest_body = max(self.largest_body, size)
            for event in events:
                eid = str(event.get("eid"))
                self.seen[eid] = self.seen.get(eid, 0) + 1
                if kept:
                    self.arrived[eid] = self.arrived.get(eid, 0) + 1
            self._changed.notify_all()


def sizes(requests: Iterable[Request]) -> List[int]:
    """Return the number of events in each of the requests."""
    return [len(request.events) for request in requests]


def _read_request(number: int, connection: socket.socket, stream: Any) -> Optional[Request]:
    first = stream.readline()
    if not first.strip():
        return None
    method, target, _ = first.decode("latin-1").split()
    headers: Dict[str, str] = {}
    while True:
        line = stream.readline()
        if not line:
            return None
        if line in {b"\r\n", b"\n"}:
            break
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    length = int(headers.get("content-length", "0"))
    body = stream.read(length)
    if len(body) < length:
        return None
    return Request(time.monotonic(), number, method, target, headers, body)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # an interval of zero makes close() send RST and forget what was not sent
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
    connection.close()
