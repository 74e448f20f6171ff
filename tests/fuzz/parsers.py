"""Fuzzes what reads bytes from outside, guided by coverage. Run by hand; pytest does not collect it.

It needs a Python for which there is a wheel of atheris (3.11 is one), in an environment of its own::

    python3.11 -m venv /tmp/atheris-env
    /tmp/atheris-env/bin/pip install atheris typing_extensions
    PYTHONPATH=. /tmp/atheris-env/bin/python tests/fuzz/parsers.py answers -max_total_time=120

The first argument says what is fuzzed, and ``all`` takes everything in turn; those after it are options of libFuzzer.
It ends with status 0 when the time is over, and otherwise prints the exception and writes the input to ``crash-…``.
"""

from __future__ import annotations

import contextlib
import http.client
import math
import socket
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
with atheris.instrument_imports(include=["snowplow_tracker", "http", "email"]):
    import email.utils  # noqa: F401 - imported where it is needed, which is too late here

    from snowplow_tracker.subject import Subject
    from snowplow_tracker.testing.records import CollectedRequest, Headers
    from support import inside

LIMIT = 0.5
"""Seconds that an answer may take. Nothing here waits for anything: the other end of the socket is closed."""
TP2 = "/com.snowplowanalytics.snowplow/tp2"


@contextlib.contextmanager
def _sent(data: bytes) -> Iterator[socket.socket]:
    """Give the end of a connection through which bytes came, and after them nothing."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data[:32_768])
        theirs.shutdown(socket.SHUT_WR)
        yield ours


def answers(data: bytes) -> None:
    """Read an answer of a collector: a status, or an error that a request may raise."""
    with _sent(data) as connection:
        inside.sockets.set_read_by(time.monotonic() + LIMIT)
        response = inside.sockets.Response(connection, method="POST")
        try:
            response.begin()
            response.read(65_536)
            assert 100 <= response.status <= 999
            assert inside.endpoint.printable(response.reason).isprintable()
            inside.retry.parse_retry_after(response.headers.get("Retry-After"))
        except (OSError, http.client.HTTPException):
            pass
        finally:
            response.close()


def requests(data: bytes) -> None:
    """Read requests as the local collector does, and what is in them."""
    with _sent(data) as ours:
        connection = inside.collector_http._Connection(ours, "127.0.0.1")
        with contextlib.suppress(inside.collector_http._UnreadableError, EOFError, OSError):
            while True:
                connection.wait_for_request()
                _look_at(connection.read_request())


def _look_at(request: inside.collector_http.HttpRequest) -> None:
    collected = CollectedRequest(
        request.method, request.target, Headers(request.headers), request.body
    )
    assert all(isinstance(problem, str) for problem in collected.problems)
    for event in collected.events:
        repr(event)
        assert isinstance(event.contexts, list)


def bodies(data: bytes) -> None:
    """Read the body of a request to the local collector."""
    headers = {"content-type": "application/json"}
    _look_at(inside.collector_http.HttpRequest("POST", TP2, headers, data, 50, keep_alive=True))


def json_texts(data: bytes) -> None:
    """Read JSON that commands are given, and events of a store."""
    text = data.decode(errors="replace")
    with contextlib.suppress(ValueError):
        inside.json_input.json_from(text)
    event = inside.bodies.decode(data)
    assert event is None or isinstance(event, dict)


def cookies(data: bytes) -> None:
    """Read a header with cookies, and an id cookie."""
    header = data.decode("latin-1")
    pairs = dict(inside.request_cookies.parse_cookies(header))
    for suffix in (None, "1fff"):
        found = inside.request_cookies.id_cookie_values(pairs, "_sp_", suffix)
        assert set(found) <= {"duid", "vid", "sid"}
        assert int(found.get("vid", 0)) < 2**31
        assert len(found.get("duid", "")) <= 128
    subject = Subject.from_id_cookie(header)
    assert all(value and value.isprintable() for value in subject.standard_nv_pairs.values())


def retry_after(data: bytes) -> None:
    """Read a `Retry-After` header."""
    seconds = inside.retry.parse_retry_after(data.decode("latin-1"), lambda: 1.7e9)
    assert seconds is None or (seconds >= 0 and not math.isnan(seconds))


def endpoints(data: bytes) -> None:
    """Read an endpoint."""
    try:
        url = inside.endpoint.collector_uri(
            data.decode(errors="replace"), "https", None, "post", None
        )
    except ValueError as error:
        assert "endpoint" in str(error)  # noqa: PT017
    else:
        assert url.isprintable()


TARGETS: Dict[str, Callable[[bytes], None]] = {
    "answers": answers,
    "requests": requests,
    "bodies": bodies,
    "json": json_texts,
    "cookies": cookies,
    "retry-after": retry_after,
    "endpoints": endpoints,
}


def everything(data: bytes) -> None:
    """Give bytes to the target that the first of them chooses."""
    if data:
        list(TARGETS.values())[data[0] % len(TARGETS)](data[1:])


def main(arguments: Any) -> None:
    """Fuzz what the first argument names."""
    name = arguments[1] if len(arguments) > 1 else ""
    if name not in (*TARGETS, "all"):
        sys.exit(f"usage: {arguments[0]} {{{','.join((*TARGETS, 'all'))}}} [options of libFuzzer]")
    atheris.Setup([arguments[0], *arguments[2:]], TARGETS.get(name, everything))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
