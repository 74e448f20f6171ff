"""The short way to the collector: kept `http.client` connections, for the case in which requests adds nothing.

One POST takes 97 µs of CPU here, which is what `http.client` alone takes, 540 in a `requests.Session`, and 700 by
`requests.post` (over TLS: more than 18,000, since that loads the authorities each time). What users see of requests
still works, because this way is taken only where it makes no difference: without a session of theirs, without a proxy or
a netrc entry to respect, for a plain URL and plain headers, and as long as nobody replaced a function of requests or of
`http.client`, as `responses`, `requests-mock`, `httmock`, `vcrpy` and tracing tools do. All else goes through requests.
"""

from __future__ import annotations

import io
import os
import re
import select
import sys
import time
from types import FunctionType
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from snowplow_tracker._late_imports import guard

if TYPE_CHECKING:
    import http.client
    import socket
    import ssl

_PLAIN_URL = re.compile(r"(https?)://([A-Za-z0-9.-]+)(?::([0-9]+))?(/[A-Za-z0-9._~/-]*)", re.ASCII)
_PLAIN_HEADER = re.compile(r"[A-Za-z0-9-]+: [\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", re.ASCII)
_ABOUT_THE_BODY = frozenset({"content-length", "transfer-encoding", "expect", "upgrade"})
_MOST_READ = 65_536

_GENUINE = (
    ("requests.api", "", ("post", "request")),
    ("requests.sessions", "Session", ("__init__", "post", "request", "send", "get_adapter")),
    ("requests.sessions", "Session", ("merge_environment_settings", "prepare_request")),
    ("requests.adapters", "HTTPAdapter", ("__init__", "init_poolmanager", "send", "cert_verify")),
    ("requests.adapters", "HTTPAdapter", ("add_headers", "build_response")),
    ("urllib3.connectionpool", "HTTPConnectionPool", ("urlopen", "_make_request")),
    ("urllib3.util.connection", "", ("create_connection", "allowed_gai_family")),
    ("http.client", "HTTPConnection", ("request", "putrequest", "putheader", "endheaders", "send")),
    ("http.client", "HTTPConnection", ("connect", "getresponse")),
    ("http.client", "HTTPSConnection", ("connect",)),
    ("http.client", "HTTPResponse", ("begin", "read")),
)
"""The functions that a POST by requests runs through, by module and class."""

_tls_contexts: Dict[str, ssl.SSLContext] = {}
"""By CA bundle: loading one takes 18 ms."""


class Answer(NamedTuple):
    """As much of a response as delivery looks at."""

    status_code: int
    headers: Mapping[str, str]


class DirectConnections:
    """Connections to collectors that are kept open from one request to the next."""

    def __init__(self) -> None:
        self._idle: List[Tuple[str, http.client.HTTPConnection]] = []
        self._last_head: Tuple[str, Mapping[str, str], bytes] = ("", {}, b"")

    def post(
        self,
        url: str,
        data: str,
        headers: Mapping[str, str],
        timeout: Union[float, Tuple[Optional[float], Optional[float]], None],
    ) -> Optional[Answer]:
        """Make a POST request; None where it has to go through requests.

        Raises:
            OSError, http.client.HTTPException: There was no answer.
        """
        match = _PLAIN_URL.fullmatch(url)
        if match is None or requests_is_replaced():
            return None
        head = self._head_of(match, headers)
        if head is None:
            return None
        origin = url[: match.start(4)]
        connect_timeout, read_timeout = (
            timeout if isinstance(timeout, tuple) else (timeout, timeout)
        )
        body = data.encode()
        request = b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
        kept = self._take(origin)
        while True:
            connection = kept or _open(match, connect_timeout)
            if connection is None:
                return None
            try:
                answer = _exchange(connection, request, read_timeout)
            except BaseException as error:
                connection.close()
                if kept is None or not isinstance(error, ConnectionError):
                    raise
                # The collector closed an idle connection while the request was on its way, which
                # says nothing about its health: once more, over a new one.
                kept = None
            else:
                if connection.sock is not None:
                    self._idle.append((origin, connection))
                return answer

    def close(self) -> None:
        """Close the idle connections.

        In a forked child this closes copies of the parent's sockets, and leaves the parent's open.
        """
        while self._idle:
            self._idle.pop()[1].close()

    def __del__(self) -> None:
        if "_idle" in self.__dict__:
            self.close()

    def _take(self, origin: str) -> Optional[http.client.HTTPConnection]:
        """Take a connection that is idle, and not closed by the other side."""
        while self._idle:
            # pop and append are one step each for the interpreter: no lock that a fork could find held.
            try:
                kept_origin, connection = self._idle.pop()
            except IndexError:
                break
            if (
                kept_origin == origin
                and connection.sock is not None
                and not _is_readable(connection.sock)
            ):
                return connection
            connection.close()
        return None

    def _head_of(self, match: re.Match[str], headers: Mapping[str, str]) -> Optional[bytes]:
        """Write what each request to a URL begins with; None if there is a header that needs more care."""
        url, last_headers, head = self._last_head
        if url != match.string or last_headers != headers:
            version = _requests_version()
            if version is None:
                return None
            scheme, host, port, path = match.groups()
            default_port = "80" if scheme == "http" else "443"
            own = {"Host": host if port in (None, default_port) else f"{host}:{port}"}
            lines = {
                name.lower(): f"{name}: {value}"
                for name, value in (
                    *own.items(),
                    *_usual_headers(version).items(),
                    *headers.items(),
                )
            }
            plain = all(map(_PLAIN_HEADER.fullmatch, lines.values()))
            if not plain or not _ABOUT_THE_BODY.isdisjoint(lines):
                return None
            text = "\r\n".join([f"POST {path} HTTP/1.1", *lines.values(), ""])
            head = text.encode("ascii")
            self._last_head = (match.string, dict(headers), head)
        return head


def _usual_headers(version: str) -> Dict[str, str]:
    """The headers that requests sends. Its name becomes the user agent of events that have none."""
    return {
        "User-Agent": f"python-requests/{version}",
        "Accept-Encoding": "gzip, deflate",
        "Accept": "*/*",
        "Connection": "keep-alive",
    }


def _requests_version() -> Optional[str]:
    """Find the version of requests without importing it, which would take 60 ms of a program that sends one event.

    Looking into its file takes 0.2 ms, asking `importlib.metadata` 15. None where neither knows.
    """
    with guard:
        from importlib.machinery import PathFinder

        try:
            spec = PathFinder.find_spec("requests")
            for folder in (spec and spec.submodule_search_locations) or ():
                with open(os.path.join(folder, "__version__.py"), encoding="utf-8") as file:  # noqa: PTH118, PTH123 - pathlib takes 2 ms to import
                    text = file.read()
                found = re.search(r"""^__version__ = ["']([\w.]+)["']""", text, re.MULTILINE)
                if found:
                    return found.group(1)
        except (OSError, ValueError):
            pass  # it is in an archive, for instance

        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("requests")
        except PackageNotFoundError:
            return None


def requests_is_replaced() -> bool:
    """Whether a function of requests is not its own any more: somebody wants to see the requests go by.

    What is not there yet nobody has replaced: another thread is importing it, or was when this process was forked off,
    and then to import requests would wait for ever.
    """
    for module_name, class_name, names in _GENUINE:
        module = sys.modules.get(module_name)
        if module is None:
            continue
        place = getattr(module, class_name, None) if class_name else module
        if place is None:
            continue
        if class_name and getattr(place, "__module__", None) != module_name:
            return True
        for name in names:
            function = getattr(place, name, None)
            if function is not None and (
                type(function) is not FunctionType or function.__globals__ is not vars(module)
            ):
                return True
    package, api = sys.modules.get("requests"), sys.modules.get("requests.api")
    post = getattr(package, "post", None)
    return post is not None and post is not getattr(api, "post", None)


def prepare(url: str) -> bool:
    """Import what POST requests to a URL need; False if they will have to go through requests."""
    if _PLAIN_URL.fullmatch(url) is None or _environment_has_a_say():
        return False
    with guard:
        import http.client  # noqa: F401

        if url.startswith("https"):
            try:
                import certifi  # noqa: F401
            except ImportError:
                return False
    return True


def _open(match: re.Match[str], timeout: Optional[float]) -> Optional[http.client.HTTPConnection]:
    if _environment_has_a_say():
        return None
    with guard:
        import encodings.idna  # noqa: F401 - looking a host name up would import it, unguarded
        import http.client

    scheme, host, port, _ = match.groups()
    number = int(port) if port else None
    if scheme == "http":
        return http.client.HTTPConnection(host, number, timeout=timeout)
    context = _tls_context()
    if context is None:
        return None
    return http.client.HTTPSConnection(host, number, timeout=timeout, context=context)


def _environment_has_a_say() -> bool:
    """Whether requests would take a proxy or credentials from the surroundings."""
    if any(
        name.lower().endswith("_proxy") and name.lower() != "no_proxy" and os.environ[name]
        for name in os.environ
    ):
        return True
    if "NETRC" in os.environ or any(
        os.path.exists(os.path.expanduser(name))  # noqa: PTH110, PTH111 - pathlib takes 2 ms to import
        for name in ("~/.netrc", "~/_netrc")
    ):
        return True
    if sys.platform not in ("darwin", "win32"):
        return False
    with guard:
        from urllib.request import getproxies

    return bool(getproxies())


def _tls_context() -> Optional[ssl.SSLContext]:
    """Make what verifies the collector's certificate, from the same bundle that requests would use."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if not bundle:
        try:
            with guard:
                import certifi
        except ImportError:  # a requests that was built without it knows where else to look
            return None
        bundle = certifi.where()
    context = _tls_contexts.get(bundle)
    if context is None:
        with guard:
            import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if os.path.isdir(bundle):  # noqa: PTH112 - same
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
        _tls_contexts[bundle] = context
    return context


def _exchange(
    connection: http.client.HTTPConnection, request: bytes, timeout: Optional[float]
) -> Answer:
    # It is imported, since there is a connection.
    from http.client import HTTPResponse

    if connection.sock is None:
        connection.connect()
    connection.sock.settimeout(timeout)
    deadline = None if timeout is None else time.monotonic() + timeout
    # In one piece: `connection.request` takes 22 µs more, and two system calls.
    connection.send(request)
    sock: Any = _TimedSocket(connection.sock, deadline)
    response: Any = HTTPResponse(sock, connection.debuglevel, "POST")
    response.begin()
    response.read(_MOST_READ)
    # It ends here, or goes on and nobody wants to read it, or (1xx) is not the last one yet.
    if response.will_close or not response.isclosed() or response.status < 200:
        connection.close()
    return Answer(response.status, response.headers)


class _TimedSocket:
    """What `http.client` asks of a socket to read an answer from it, with a deadline for the whole.

    The timeout of a socket begins anew with each byte: a collector that drips its answer could
    hold a thread for ever.
    """

    def __init__(self, sock: socket.socket, deadline: Optional[float]) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._deadline))


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Optional[float]) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._deadline is not None:
            self._sock.settimeout(max(0.001, self._deadline - time.monotonic()))
        return self._sock.recv_into(buffer)


def _is_readable(sock: Any) -> bool:
    """Whether something came from the other side, which between two answers can only be its farewell."""
    try:
        if hasattr(select, "poll"):
            poller = select.poll()
            poller.register(sock, select.POLLIN)
            return bool(poller.poll(0))
        return bool(select.select([sock], [], [], 0)[0])
    except (OSError, ValueError):
        return True
