"""Whatever an endpoint looks like and whatever bytes a collector answers."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import socket
import string
import threading
import time
from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snowplow_tracker import Emitter
from support.inside import deadline, keep_alive, retry
from support.inside import endpoint as endpoints
from support.repetitions import repetitions

LIMIT = 0.1
"""Seconds that a request may take where the other side does not end its answer."""
SLACK = 1.0
"""Seconds more, for a machine that is busy with other tests."""

# Endpoints

marks = ["http", "https", "ftp", "://", ":", "/", "//", "@", "[", "]", "::1", "?", "#", "%", "\\"]
spaces = [" ", "\t", "\n", "\0"]
hosts = [
    "localhost",
    "127.0.0.1",
    "a.example",
    "80",
    "99999",
    "ü",
    "user",
    ".",
    "..",
    "x" * 70,
    "٣",
]
pieces = st.lists(
    st.sampled_from([*marks, *spaces, *hosts, "\ud800"]) | st.text(st.characters(), max_size=12),
    max_size=8,
).map("".join)
anything = (
    pieces | st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=4)
) | st.lists(st.integers(), max_size=2)


def attempt(make: Callable[[], Any]) -> Tuple[Any, str]:
    """Return what a function makes, or None and what its error says."""
    try:
        return make(), ""
    except (TypeError, ValueError) as error:
        return None, str(error)


@settings(max_examples=repetitions(300))
@given(
    endpoint=anything,
    protocol=st.sampled_from(["http", "https"]),
    port=st.none() | st.integers(-2, 70_000),
    method=st.sampled_from(["post", "get"]),
    path=st.none() | st.sampled_from(["own/path", "/own/"]),
)
def test_an_endpoint_is_a_url_or_a_clear_error(endpoint, protocol, port, method, path):
    """Of any endpoint comes a URL of a host that can be read again, or an error that names the parameter."""
    url, error = attempt(lambda: endpoints.collector_uri(endpoint, protocol, port, method, path))
    if url is None:
        assert "endpoint" in error or "port" in error
        return
    parts = urlsplit(url)
    assert parts.scheme in ("http", "https")
    assert parts.hostname
    assert parts.port is None or 0 <= parts.port <= 65_535
    assert not parts.query
    assert not parts.fragment
    assert url.isprintable()


@settings(max_examples=repetitions(100))
@given(
    place=st.sampled_from(
        ["{}@localhost", "http://{}@localhost:1/a", "https://{}@[::1]", "{}@h?q", "http://{}@ x"]
    ),
    user=st.text(string.ascii_letters, max_size=4),
    port=st.sampled_from([None, 2, 70_000]),
)
def test_no_error_shows_a_password(place, user, port):
    """Whatever is wrong with an endpoint, the error does not show the password in it."""
    endpoint = place.format(f"{user}:hidden42")
    _, error = attempt(lambda: endpoints.collector_uri(endpoint, "http", port, "post", None))
    assert "hidden42" not in error


@settings(max_examples=repetitions(60))
@given(endpoint=anything)
def test_an_emitter_takes_an_endpoint_or_says_why_not(endpoint):
    """An emitter is made with any endpoint, or raises an error that names it."""
    emitter, error = attempt(lambda: Emitter(endpoint, enabled=False))
    if emitter is None:
        assert "endpoint" in error
    else:
        emitter.close(timeout=0)


# Answers


class Peer:
    """Listens on loopback and answers each request with bytes that a test chooses."""

    def __init__(self) -> None:
        self.answer: Iterable[bytes] = ()
        self.closes = True
        self._held: List[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.origin = keep_alive.Origin("http", "127.0.0.1", self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            head = b""
            while not head.endswith(b"\r\n\r\nbody"):
                received = connection.recv(65_536)
                if not received:
                    return
                head += received
            for piece in self.answer:
                connection.sendall(piece)
        finally:
            if self.closes:
                connection.close()
            else:
                self._held.append(connection)

    def release(self) -> None:
        """Close the connections that were left open."""
        while self._held:
            self._held.pop().close()

    def close(self) -> None:
        """Stop."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        self.release()


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    running = Peer()
    yield running
    running.close()


def ask(client: keep_alive.KeepAliveClient, peer: Peer) -> Optional[keep_alive.Answer]:
    """Make a request; None where it failed in one of the ways in which a request may fail."""
    start = time.monotonic()
    try:
        return client.request(
            "POST", peer.origin, "/", {}, b"body", deadline.Limits(5, LIMIT, None)
        )
    except (OSError, http.client.HTTPException):
        return None
    finally:
        assert time.monotonic() - start < LIMIT + SLACK


def client_without_tls() -> keep_alive.KeepAliveClient:
    return keep_alive.KeepAliveClient(lambda: pytest.fail("there is no TLS here"))


line_ends = st.sampled_from([b"\r\n", b"\n", b"\r", b""])
numbers = st.integers(-2, 2**70).map(lambda number: b"%d" % number)
status_lines = st.one_of(
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 503 Busy", b"HTTP/1.1 204 ", b"HTTP/1.1 103 x"])
    | st.sampled_from(
        [b"HTTP/1.1 101 Switch", b"HTTP/1.1 304", b"HTTP/1.1 99999 x", b"ICY 200 OK"]
    ),
    st.builds(b"HTTP/%b %b %b".__mod__, st.tuples(st.binary(max_size=4), numbers, st.binary())),
    st.binary(max_size=20),
)
names = st.sampled_from(
    [b"Content-Length", b"Transfer-Encoding", b"Connection", b"Retry-After", b"Content-Encoding"]
) | st.binary(max_size=8)
values = (
    st.sampled_from([b"chunked", b"close", b"keep-alive", b"gzip", b"identity, chunked"])
    | st.integers(-3, 20).map(lambda number: b"%d" % number)
    | numbers
    | st.binary(max_size=12)
)
headers = st.builds(b"%b: %b%b".__mod__, st.tuples(names, values, line_ends))
sizes = st.sampled_from(
    [b"0", b"1", b"5", b"-1", b"-5", b"1_0", b"0x5", b" 3", b"ffffffffffffffffff"]
)
chunks = st.builds(
    b"%b%b%b%b".__mod__, st.tuples(sizes | numbers, line_ends, st.binary(max_size=9), line_ends)
)
answers = st.one_of(
    st.binary(max_size=120),
    st.builds(
        lambda *parts: b"".join(itertools.chain.from_iterable(parts)),
        st.tuples(status_lines, line_ends),
        st.lists(headers, max_size=5),
        st.tuples(st.sampled_from([b"\r\n", b""])),
        st.lists(chunks | st.binary(max_size=20), max_size=4),
    ),
    st.builds(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b".__mod__,
        st.lists(chunks, max_size=4).map(b"".join),
    ),
)


@settings(max_examples=repetitions(250))
@given(answer=answers, more=answers)
def test_whatever_a_collector_answers_is_a_status_or_an_error(peer, answer, more):
    """Any bytes in place of an answer give a status, or one of the errors that a request may raise."""
    peer.closes = True
    client = client_without_tls()
    try:
        for each in (answer, more):
            peer.answer = (each,)
            found = ask(client, peer)
            if found is not None:
                assert 100 <= found.status_code <= 999
                assert endpoints.printable(found.reason).isprintable()
                retry.parse_retry_after(found.headers.get("Retry-After"))
    finally:
        client.close()


@settings(max_examples=repetitions(15))
@given(answer=answers)
def test_an_answer_without_end_is_given_up_in_time(peer, answer):
    """Any bytes after which nothing comes give a status or an error within the time limit."""
    peer.closes = False
    peer.answer = (answer,)
    client = client_without_tls()
    try:
        ask(client, peer)
    finally:
        client.close()
        peer.release()


@pytest.mark.parametrize(
    ("start", "again"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1;" + b"x" * 60_000 + b"\r\n.\r\n",
        ),
    ],
    ids=["informational", "trailers", "chunks"],
)
def test_an_answer_that_never_stops_is_given_up_in_time(peer, start, again):
    """A collector that goes on to send without a pause holds no thread for longer than the time limit."""
    peer.closes = True
    peer.answer = itertools.chain([start], itertools.repeat(again * (1 + 20_000 // len(again))))
    client = client_without_tls()
    try:
        assert ask(client, peer) is None
    finally:
        client.close()


@pytest.mark.parametrize("size", [b"-1", b"-5"])
def test_a_chunk_of_negative_size_is_an_error_of_the_answer(peer, size):
    """A chunk that says to be smaller than nothing is an unreadable answer, and is not read to the end of the stream."""
    peer.closes = True
    peer.answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nabc\r\n0\r\n\r\n",
    )
    client = client_without_tls()
    try:
        assert ask(client, peer) is None
    finally:
        client.close()
