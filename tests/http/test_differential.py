"""Each case goes both ways, past requests and through them, and the outcome has to be the same."""

from __future__ import annotations

import datetime as dt
import inspect
import os
import socket
import ssl
import threading
import time
import urllib.request
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple
from unittest import mock

import pytest
import requests
import trustme
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from support.inside import bypass, deadline, interrupts, sockets, transport
from support.processes import run_program

# With a urllib3 that is not known there (the newest for Python 3.8 is not) all goes through requests.
WAYS = ("past requests", "through requests") if bypass.knows_requests() else ("through requests",)
BODY = '{"a": 1}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Behaviour = Callable[[socket.socket, bytes], None]


class Server:
    """Answers every connection with what a test says, byte for byte, and keeps what came."""

    def __init__(self, behaviour: Behaviour, context: Optional[ssl.SSLContext] = None) -> None:
        self.requests: List[bytes] = []
        self.connections = 0
        self._behaviour = behaviour
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._is_open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self._is_open:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(20)
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                while self._is_open:
                    request = read_request(connection)
                    if not request:
                        return
                    self.requests.append(request)
                    self._behaviour(connection, request)
        except OSError:
            connection.close()

    def close(self) -> None:
        """Stop."""
        self._is_open = False
        self._listener.close()


def read_request(connection: socket.socket) -> bytes:
    """Read one request, to the end of its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def answer(*pieces: bytes, pause: float = 0.0, close: bool = False) -> Behaviour:
    """Send these bytes, with pauses in between."""

    def behave(connection: socket.socket, _: bytes) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        if close:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    return behave


def drip(start: bytes, byte: bytes = b"x") -> Behaviour:
    """Send these bytes, and then one byte now and then, for ever."""

    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(start)
        for _ in range(100):
            connection.sendall(byte)
            time.sleep(0.1)

    return behave


def silent(connection: socket.socket, _: bytes) -> None:
    """Never answer."""
    time.sleep(15)


def reset(connection: socket.socket, _: bytes) -> None:
    """Hang up in the hard way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


@contextmanager
def served(behaviour: Behaviour, context: Optional[ssl.SSLContext] = None) -> Iterator[Server]:
    """Run a server."""
    server = Server(behaviour, context)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No proxy, netrc or bundle of the machine has a say."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in (
            "NETRC",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def kind_of(error: BaseException) -> str:
    """Return what sort of trouble an error is, whoever raised it."""
    chain: List[BaseException] = []
    todo: List[Any] = [error]
    while todo:
        each = todo.pop()
        if isinstance(each, BaseException) and each not in chain:
            chain.append(each)
            todo += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in chain):
        return "certificate"
    if any(isinstance(each, (ssl.SSLError, requests.exceptions.SSLError)) for each in chain):
        return "tls"
    if any("CA certificate bundle" in str(each) for each in chain):
        return "bundle"
    timeouts = (TimeoutError, socket.timeout, requests.Timeout, urllib3.exceptions.TimeoutError)
    if any(isinstance(each, timeouts) for each in chain):
        return "timeout"
    return "no answer"


def outcome(
    way: str,
    url: str,
    *,
    method: str = "post",
    timeout: Any = 5.0,
    count: int = 1,
    pause: float = 0.0,
    **options: Any,
) -> List[Any]:
    """Make requests one of the two ways; return the statuses, or the kinds of errors."""
    client = transport.Transport()
    results: List[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        if way == "through requests":
            patch.setattr(transport, "plan", lambda *_: None)
        if method == "post":
            options = {"data": BODY, "headers": {"Content-Type": "application/json"}, **options}
        for _ in range(count):
            time.sleep(pause)
            try:
                response = getattr(client, method)(
                    url, timeout=timeout, allow_redirects=False, **options
                )
                results.append((response.status_code, response.headers.get("Retry-After")))
            except Exception as error:
                assert not interrupts.is_interrupt(error)  # noqa: PT017 - no error is expected
                results.append(kind_of(error))
    client.close()
    return results


def both(url: str, **options: Any) -> List[Any]:
    """Return the outcome, which has to be the same both ways."""
    if bypass.knows_requests():
        planned = bypass.plan(url, options.get("headers", {}), options.get("params"))
        assert planned is not None, "not tested"
    first, *others = (outcome(way, url, **options) for way in WAYS)
    assert others in ([], [first])
    return first


# What is sent


@pytest.mark.skipif(not bypass.knows_requests(), reason="this urllib3 is not known: one way")
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("post", {}),
        ("post", {"headers": {"Content-Type": "application/json", "X-Team": "data"}}),
        ("post", {"headers": {"user-agent": "shop/1.0"}}),
        ("get", {"params": {"e": "pv", "url": "https://example.com/?a=b c&d=ü", "n": 1}}),
        ("get", {"params": {"page": "100 % ~!*'() +/", "empty": ""}, "headers": {"X-A": "b"}}),
    ],
)
def test_the_bytes_on_the_wire(method: str, options: Dict[str, Any]) -> None:
    """The collector gets the same bytes; only the order of the headers may differ."""
    with served(answer(OK)) as server:
        both(f"http://127.0.0.1:{server.port}/a/b", method=method, **options)
        first, second = server.requests
    assert first.partition(b"\r\n")[0] == second.partition(b"\r\n")[0]
    assert first.partition(b"\r\n\r\n")[2] == second.partition(b"\r\n\r\n")[2]
    assert sorted(first.partition(b"\r\n\r\n")[0].split(b"\r\n")) == sorted(
        second.partition(b"\r\n\r\n")[0].split(b"\r\n")
    )


# What comes back


class HastyServer(Server):
    """Answers as soon as it has the head of a request, and hangs up without reading the body."""

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(1)
            self._behaviour(connection, head)


def test_an_answer_before_the_body_was_read() -> None:
    """A server that refuses a large body by its head alone and hangs up is understood, and its connection not used again."""
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    server = HastyServer(answer(refusal, pause=0.1))
    try:
        url = f"http://127.0.0.1:{server.port}/a"
        assert both(url, data="x" * 10_000_000, count=2) == [(413, None)] * 2
        assert server.connections == 2 * len(WAYS)
    finally:
        server.close()


ANSWERS: Dict[str, Tuple[Behaviour, Any]] = {
    "200": (answer(OK), (200, None)),
    "204": (answer(b"HTTP/1.1 204 No Content\r\n\r\n"), (204, None)),
    "redirect": (
        answer(b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
        (301, None),
    ),
    "retry after": (
        answer(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"),
        (503, "7"),
    ),
    "chunked": (
        answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        (200, None),
    ),
    "until the end": (answer(b"HTTP/1.0 200 OK\r\n\r\nok", close=True), (200, None)),
    "closes": (
        answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", close=True),
        (200, None),
    ),
    "100": (answer(b"HTTP/1.1 100 Continue\r\n\r\n", OK), (200, None)),
    "103": (answer(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", OK), (200, None)),
    "several 1xx": (answer(*[b"HTTP/1.1 102 Processing\r\n\r\n"] * 5, OK), (200, None)),
    "no http": (answer(b"SSH-2.0-OpenSSH\r\n\r\n", close=True), "no answer"),
    "nothing": (answer(close=True), "no answer"),
    "cut off in the status": (answer(b"HTTP/1.1 20", close=True), "no answer"),
    "reset": (reset, "no answer"),
    "silent": (silent, "timeout"),
    "drips headers": (drip(b"HTTP/1.1 200 OK\r\nX: "), "timeout"),
    "drips 1xx": (drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), "timeout"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("method", ["post", "get"])
def test_answers(name: str, method: str) -> None:
    """Whole, odd, cut-off and endless answers come to the same, and to what they should."""
    behaviour, expected = ANSWERS[name]
    with served(behaviour) as server:
        started = time.monotonic()
        assert both(f"http://127.0.0.1:{server.port}/", method=method, timeout=1.0) == [expected]
        assert time.monotonic() - started < 8


@pytest.mark.parametrize("way", WAYS)
def test_an_endless_body(way: str) -> None:
    """A body that drips ends with the time of the request: the status was there."""
    with served(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")) as server:
        started = time.monotonic()
        result = outcome(way, f"http://127.0.0.1:{server.port}/", timeout=0.5)
        assert time.monotonic() - started < 4
    assert result in ([(200, None)], ["timeout"])


@pytest.mark.long
def test_connections_are_kept() -> None:
    """Several requests use one connection; one that the server closed meanwhile costs nothing."""
    with served(answer(OK)) as server:
        assert both(f"http://127.0.0.1:{server.port}/", count=3) == [(200, None)] * 3
        assert server.connections == len(WAYS)
    with served(answer(OK, close=True)) as server:
        url = f"http://127.0.0.1:{server.port}/"
        # The news that the server closed its end takes its time to arrive.
        results = [outcome(way, url, count=3, pause=0.3) for way in WAYS]
    assert results == [[(200, None)] * 3] * len(WAYS)


# Time

FORMS = [
    0.4,
    (5, 0.4),
    (None, 0.4),
    urllib3.Timeout(0.4),
    urllib3.Timeout(connect=5, read=0.4),
    urllib3.Timeout(total=0.4),
]


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_forms_of_timeouts(form: Any) -> None:
    """Each form that requests takes ends a request to a silent collector."""
    with served(silent) as server:
        for way in WAYS:
            started = time.monotonic()
            assert outcome(way, f"http://127.0.0.1:{server.port}/", timeout=form) == ["timeout"]
            assert time.monotonic() - started < 3
    with served(answer(OK)) as server:
        assert both(f"http://127.0.0.1:{server.port}/", timeout=form) == [(200, None)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("timeout", [30, (None, None), None])
def test_a_deadline_ends_any_request(way: str, timeout: Any) -> None:
    """The deadline of a flush holds whatever the timeout of the request is."""
    token = deadline.DEADLINE.set(time.monotonic() + 0.5)
    try:
        with served(drip(b"HTTP/1.1 200 OK\r\nX: ")) as server:
            started = time.monotonic()
            url = f"http://127.0.0.1:{server.port}/"
            assert outcome(way, url, timeout=timeout) == ["timeout"]
            assert time.monotonic() - started < 3
    finally:
        deadline.DEADLINE.reset(token)


@pytest.mark.parametrize("way", WAYS)
def test_a_name_server_that_does_not_answer(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name lookup that hangs ends with the time for connecting."""
    asked = threading.Event()
    over = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        asked.set()
        over.wait(20)
        raise OSError("nobody knows")

    hang.__globals__  # noqa: B018 - it is not from socket: the request goes where it is seen
    monkeypatch.setattr(sockets, "_ask", hang)
    started = time.monotonic()
    result = outcome(way, "http://collector.example/", timeout=(0.4, 5))
    over.set()
    assert asked.is_set()
    assert result == ["timeout"]
    assert time.monotonic() - started < 3


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_several_dead_addresses(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All addresses of a host share the time for connecting, and one that answers is found behind a dead one."""
    with socket.socket() as full, served(answer(OK)) as server:
        # A listener whose queue is full lets nobody in, and says nothing.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", full.getsockname())
        good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
        monkeypatch.setattr(sockets, "_ask", lambda *_: [dead] * 4)
        started = time.monotonic()
        assert outcome(way, "http://collector.example/", timeout=(1, 5)) == ["timeout"]
        assert time.monotonic() - started < 3
        monkeypatch.setattr(sockets, "_ask", lambda *_: [dead, good])
        assert outcome(way, "http://collector.example/", timeout=(2, 5)) == [(200, None)]
        for each in waiting:
            each.close()


# TLS


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


NOW = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)

CERTIFICATES: Dict[str, Tuple[Callable[[trustme.CA], trustme.LeafCert], str, Any]] = {
    "for the name": (lambda ca: ca.issue_cert("localhost"), "localhost", (200, None)),
    "for the address": (lambda ca: ca.issue_cert("127.0.0.1"), "127.0.0.1", (200, None)),
    "for several": (lambda ca: ca.issue_cert("a.example", "localhost"), "localhost", (200, None)),
    "for another name": (lambda ca: ca.issue_cert("a.example"), "localhost", "certificate"),
    "for the name, asked by address": (
        lambda ca: ca.issue_cert("localhost"),
        "127.0.0.1",
        "certificate",
    ),
    "for the address, asked by name": (
        lambda ca: ca.issue_cert("127.0.0.1"),
        "localhost",
        "certificate",
    ),
    "the address as a name": (
        lambda ca: ca.issue_cert("a.example", common_name="127.0.0.1"),
        "127.0.0.1",
        "certificate",
    ),
    "a common name alone": (
        lambda ca: ca.issue_cert(common_name="localhost"),
        "localhost",
        "certificate",
    ),
    "a wildcard that does not match": (
        lambda ca: ca.issue_cert("*.example"),
        "localhost",
        "certificate",
    ),
    "of another authority": (
        lambda _: trustme.CA().issue_cert("localhost"),
        "localhost",
        "certificate",
    ),
    "expired": (
        lambda ca: ca.issue_cert("localhost", not_after=NOW - dt.timedelta(days=1)),
        "localhost",
        "certificate",
    ),
    "of an authority below": (
        lambda ca: ca.create_child_ca().issue_cert("localhost"),
        "localhost",
        (200, None),
    ),
}
if (
    "not_before" in inspect.signature(trustme.CA.issue_cert).parameters
):  # not in the last trustme for 3.8
    CERTIFICATES["not valid yet"] = (
        lambda ca: ca.issue_cert(
            "localhost", not_before=NOW + dt.timedelta(days=2), not_after=NOW + dt.timedelta(days=9)
        ),
        "localhost",
        "certificate",
    )


@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates(
    name: str, authority: trustme.CA, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificates are accepted and refused alike."""
    issue, host, expected = CERTIFICATES[name]
    bundle = tmp_path / "bundle.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with served(answer(OK), server_context(issue(authority))) as server:
        assert both(f"https://{host}:{server.port}/") == [expected]


@pytest.mark.parametrize(
    "variables",
    [{}, {"CURL_CA_BUNDLE": "good"}, {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "good"}],
)
def test_where_the_bundle_comes_from(
    variables: Dict[str, str],
    authority: trustme.CA,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The variables that requests knows name the bundle, in its order; without one, no private authority is trusted."""
    bundle = tmp_path / "bundle.pem"
    authority.cert_pem.write_to_path(str(bundle))
    for name, value in variables.items():
        monkeypatch.setenv(name, str(bundle) if value else "")
    with served(answer(OK), server_context(authority.issue_cert("localhost"))) as server:
        expected = (200, None) if variables else "certificate"
        assert both(f"https://localhost:{server.port}/") == [expected]


def test_a_bundle_of_the_issuing_authority_alone(
    authority: trustme.CA, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether an authority in between is enough depends on the Python, and on nothing else."""
    child = authority.create_child_ca()
    bundle = tmp_path / "bundle.pem"
    child.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with served(answer(OK), server_context(child.issue_cert("localhost"))) as server:
        both(f"https://localhost:{server.port}/")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_wrong_bundle(
    content: Optional[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle that is not there, or holds nothing, is an error that names it, or of TLS."""
    bundle = tmp_path / "bundle.pem"
    if content:
        bundle.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with served(answer(OK)) as server:
        (result,) = both(f"https://localhost:{server.port}/", timeout=2.0)
    assert result in ("bundle", "tls", "no answer")


@pytest.mark.parametrize("way", WAYS)
def test_a_renewed_bundle_is_read_again(
    way: str, authority: trustme.CA, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the bundle holds when a connection is made counts, not what it held when the emitter was."""
    bundle = tmp_path / "bundle.pem"
    trustme.CA().cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with served(answer(OK), server_context(authority.issue_cert("localhost"))) as server:
        url = f"https://localhost:{server.port}/"
        assert outcome(way, url) == ["certificate"]
        authority.cert_pem.write_to_path(str(bundle))
        assert outcome(way, url) == [(200, None)]


def test_keys_are_logged_where_the_environment_says(
    authority: trustme.CA, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`SSLKEYLOGFILE` works, as for every other program."""
    bundle, log = tmp_path / "bundle.pem", tmp_path / "keys"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    with served(answer(OK), server_context(authority.issue_cert("localhost"))) as server:
        assert outcome(WAYS[0], f"https://localhost:{server.port}/") == [(200, None)]
    assert log.read_text()


@pytest.mark.long
def test_tls_to_a_server_without_and_the_other_way_round(authority: trustme.CA) -> None:
    """A server that does not speak TLS, or only TLS, is an error of the same kind."""
    with served(answer(OK, close=True)) as server:
        assert both(f"https://localhost:{server.port}/", timeout=2.0)[0] in ("tls", "timeout")
    with served(answer(OK), server_context(authority.issue_cert("localhost"))) as server:
        assert both(f"http://localhost:{server.port}/", timeout=2.0) == ["no answer"]


# Who is asked for leave


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("http_proxy", "http://127.0.0.1:1"),
        ("HTTPS_PROXY", "http://user:secret@127.0.0.1:1"),
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
        ("NETRC", "/nowhere"),
    ],
)
def test_the_environment_has_a_say(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a proxy or a netrc file in the environment, at the moment of the request, requests decides."""
    assert (bypass.plan("http://collector.example/", {}) is not None) == bypass.knows_requests()
    monkeypatch.setenv(variable, value)
    assert bypass.plan("http://collector.example/", {}) is None


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["http_proxy", "No_Proxy", "Https_Proxy", "NETRC", "proxy", "OTHER"]),
        st.sampled_from(["", "http://127.0.0.1:1", None]),
        st.booleans(),
    ),
    max_size=8,
)


@given(changes=CHANGES)
def test_changes_of_the_environment_are_noticed(
    changes: List[Tuple[str, Optional[str], bool]],
) -> None:
    """After each change, in `os.environ` or by a mapping in its place, the answer is that of a search of all variables."""
    url = "http://collector.example/"
    real = os.environ
    with mock.patch.dict(os.environ):
        try:
            for name, value, replace in changes:
                variables = {**os.environ}
                variables.pop(name, None)
                if value is not None:
                    variables[name] = value
                if replace:
                    os.environ = variables  # type: ignore[assignment]  # noqa: B003 - as some programs do
                elif value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
                searched = {*urllib.request.getproxies_environment()} - {"no"}
                through = bool(searched) or "NETRC" in os.environ
                assert (bypass.plan(url, {}) is None) == (through or not bypass.knows_requests())
        finally:
            os.environ = real  # noqa: B003


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@collector.example/",
        "http://collector.example./",
        "http://bücher.example/",
        "http://[::1]:8080/",
        "http://collector.example/a b",
        "http://collector.example/a%2Fb",
        "http://collector.example/a?b=c",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://-a.example/",
        "http://a_b.example/",
        "http://collector.example:/",
        "HTTP://collector.example/",
    ],
)
def test_in_doubt_requests_decides(url: str) -> None:
    """A URL that requests might read in another way goes through requests."""
    assert bypass.plan(url, {}) is None


def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy with credentials a request arrives, within its time."""
    with served(answer(OK)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://user:secret@127.0.0.1:{proxy.port}")
        assert outcome("by itself", "http://collector.example/") == [(200, None)]
        (request,) = proxy.requests
    assert request.startswith(b"POST http://collector.example/ HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" in request


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_drips(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that never ends its answer holds nobody for longer than a request may take."""
    with served(drip(b"HTTP/1.1 200 OK\r\nX: ")) as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{proxy.port}")
        started = time.monotonic()
        outcome("by itself", f"{scheme}://collector.example/", timeout=0.5)
        assert time.monotonic() - started < 4


# Forks


FORK = """
    import ctypes, os, sys
    from snowplow_tracker import Emitter

    way, endpoint = sys.argv[1:]
    if way == "through requests":
        os.environ["NETRC"] = "/nowhere"  # a netrc file is for requests to read
    emitter = Emitter(endpoint, batch_size=1, request_timeout=5)

    def has_sent(total):
        emitter.input({"e": "pv"})
        stats = emitter.stats()
        return (stats.sent, stats.failed_attempts) == (total, 0)

    assert has_sent(1)
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        os._exit(0 if has_sent(1) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert has_sent(2)
    emitter.close()
"""


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_uses_connections_of_its_own(way: str) -> None:
    """Also a child that runs no fork hooks leaves the parent's connection alone."""
    with served(answer(OK)) as server:
        # A program of one thread: what a raw fork does to the others is no matter of connections.
        done = run_program(FORK, way, f"http://127.0.0.1:{server.port}")
        assert done.status == 0, done
        assert server.connections == 2
