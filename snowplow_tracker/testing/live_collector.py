"""A collector with a page for the browser, and the JSON endpoints of Snowplow Micro."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import pkgutil
import re
from functools import lru_cache
from itertools import islice
from typing import Any, Callable, Dict, Generator, Iterable, List, Optional, Tuple, TypeVar, Union
from urllib.parse import urlsplit

from snowplow_tracker.testing._http import HttpRequest, Response, Stream
from snowplow_tracker.testing._journal import Entry, Journal
from snowplow_tracker.testing._micro import FilterError, Filters, bad_event, good_event, iso_time
from snowplow_tracker.testing._options import check_whole_number
from snowplow_tracker.testing._rules import PARAMETERS
from snowplow_tracker.testing._snippet import snippet
from snowplow_tracker.testing.collector import Collector
from snowplow_tracker.testing.records import CollectedRequest, Headers

__all__ = ["LiveCollector"]

_KEEP_ALIVE = 15.0
_CATCH_UP = 10.0
_MAX_NODES = 20_000
_MAX_BODY_SHOWN = 65_536
# A thousand bad events of one request would repeat its body a thousand times.
_MAX_BODIES = 32 * 1024 * 1024
_IGLU = re.compile(r"/micro/iglu/[^/]+/[^/]+/[^/]+/[0-9]+-[0-9]+-[0-9]+")
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

_READS = ("GET", "HEAD")
_ALL = ("GET", "HEAD", "POST")
_Answer = Union[Response, Stream]
# What answers, and the methods that it has.
_Route = Tuple[Callable[[CollectedRequest], _Answer], Tuple[str, ...]]
_Live = TypeVar("_Live", bound="LiveCollector")


class LiveCollector(Collector):
    """A collector with a page at ``/`` that shows events as they arrive.

    It also has the endpoints of Snowplow Micro for test suites: ``/micro/all``, ``/micro/good`` and
    ``/micro/bad`` (also ``POST`` with filters), ``/micro/reset``, and ``/micro/iglu/...`` for the
    given schemas. Of Micro's fields it fills those that come from the tracker.

    Requests whose ``Host`` or ``Origin`` is foreign are refused with 403, so that pages of other
    sites can neither read the events nor send any.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        max_events: int = 10_000,
        hosts: Iterable[str] = (),
        schemas: Any = None,
        paths: Iterable[str] = (),
    ) -> None:
        """Create a collector. It listens after `start`, or inside a ``with`` statement.

        Args:
            port: the port to listen on; 0 for a free one.
            host: the address to listen on. With an address other than loopback, everyone in the
                network can read the events.
            max_events: maximum number of events to keep; the oldest are removed.
            hosts: additional names that are accepted in ``Host`` and ``Origin``: names of this
                machine, and of sites whose pages send events.
            schemas: the schemas for self-describing data, as for `Collector`.
            paths: additional paths for events, as for `Collector`.

        Raises:
            ImportError: schemas are given, and the extra ``schemas`` is not installed.
            ValueError: `max_events` is not a whole number of at least 1.
        """
        check_whole_number("max_events", max_events)
        super().__init__(port, schemas=schemas, paths=paths, max_requests=1)
        self._host = host
        self._hosts = frozenset(each.lower() for each in hosts)
        self.journal: Journal = Journal(max_events)
        self._routes: Dict[str, _Route] = {
            "/": (self._show_page, _READS),
            "/page/stream": (self._stream, _READS),
            "/page/event": (self._show_event, _READS),
            "/page/clear": (self._reset, ("POST",)),
            "/page/export": (self._export, _READS),
            "/micro/all": (lambda _: _as_json(self.journal.counts), _ALL),
            "/micro/good": (self._show_good, _ALL),
            "/micro/bad": (self._show_bad, _ALL),
            "/micro/reset": (self._reset, _ALL),
        }

    @property
    def endpoint(self) -> str:
        """The URL for a tracker and for the browser."""
        host = self._host
        if host in ("", "0.0.0.0", "::"):  # noqa: S104 (compared, not listened on)
            host = "127.0.0.1"
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def start(self: _Live) -> _Live:
        """Start to listen. After a `stop`, the port is the same, and the events are still kept.

        Returns:
            The collector itself.

        Raises:
            OSError: the port is taken.
        """
        # First, so that no early request is lost.
        self.journal.open()
        try:
            return super().start()
        except OSError:
            self.journal.close()
            raise

    def stop(self) -> None:
        """Stop listening and cut all connections, including those of pages."""
        self.journal.release()
        super().stop()
        self.journal.close()

    def clear(self) -> None:
        """Remove everything that arrived so far."""
        super().clear()
        self.journal.clear()

    def _keep(self, request: CollectedRequest) -> None:
        super()._keep(request)
        self.journal.add(request)

    def _handle(self, incoming: HttpRequest) -> Optional[_Answer]:
        headers = Headers(incoming.headers)
        path = incoming.target.partition("?")[0]
        route = self._routes.get(path)
        if route is None and _IGLU.fullmatch(path):
            route = (self._show_schema, _READS)
        for_page = route is not None or path.startswith(("/page/", "/micro/"))
        refusal = self._refusal(headers, path, for_page=for_page)
        if refusal is not None:
            return Response(403, {"Content-Type": "text/plain"}, refusal.encode("ascii", "replace"))
        if route is None:
            return Response(404, body=b"not found") if for_page else super()._handle(incoming)
        answer_to, allowed = route
        if incoming.method not in allowed:
            return Response(405, {"Allow": ", ".join(allowed)}, b"not allowed")
        if path.startswith("/micro/"):
            # So that an event is in `events` before it is announced.
            self.journal.catch_up(_CATCH_UP)
        request = CollectedRequest(incoming.method, incoming.target, headers, incoming.body)
        try:
            answer = answer_to(request)
        except FilterError as error:
            return _as_json({"error": str(error)}, 400)
        if isinstance(answer, Stream) and incoming.method == "HEAD":
            answer.chunks.close()
            return Response(headers=answer.headers, body=b"", close=True)
        return answer

    def _refusal(self, headers: Headers, path: str, *, for_page: bool) -> Optional[str]:
        """Return why a request is refused; None if it is not."""
        host = headers.get("host", "")
        if host and not self._is_ours(f"//{host}"):
            return (
                f"the Host {host[:100]!r} is not this machine;"
                " --allow-host makes it one (see --help)"
            )
        origin = headers.get("origin")
        if not for_page:
            # A page of the user's own app may send events here from another port.
            if origin is not None and not self._is_ours(origin):
                return (
                    f"the Origin {origin[:100]!r} is foreign;"
                    " --allow-host makes it one of yours (see --help)"
                )
            return None
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            return f"the Origin {origin[:100]!r} is foreign"
        site = headers.get("sec-fetch-site", "none")
        if site in ("same-origin", "none"):
            return None
        # A link to this page is allowed; images and scripts from other sites are not.
        if path == "/" and headers.get("sec-fetch-mode") == "navigate":
            return None
        return "the request comes from the page of another site"

    def _is_ours(self, url: str) -> bool:
        try:
            name = (urlsplit(url).hostname or "").rstrip(".")
        except ValueError:
            return False
        if name == "localhost" or name.endswith(".localhost") or name in self._hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # A foreign name server can make a name point here, but not an address. If only loopback is
        # listened on, any address in Host must be loopback.
        return address.is_loopback or not _is_loopback(self._host)

    def _show_page(self, _request: CollectedRequest) -> Response:
        page, policy = _page()
        return Response(
            headers={
                **_HEADERS,
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": policy,
                "Referrer-Policy": "no-referrer",
            },
            body=page,
        )

    def _stream(self, request: CollectedRequest) -> Stream:
        known = request.headers.get("last-event-id", "")
        content_type = {"Content-Type": "text/event-stream; charset=utf-8"}
        return Stream({**_HEADERS, **content_type}, self._messages(known))

    def _messages(self, known: str) -> Generator[bytes, None, None]:
        journal = self.journal
        # When it reconnects, the browser sends the last id it has; one of another process is ignored.
        marker = f"{id(journal):x}"
        generation, last = journal.generation, 0
        again = re.fullmatch(rf"{marker}\.{generation}\.([0-9]{{1,15}})", known)
        if again:
            last = int(again[1])
        hello = {"max": journal.max_events, "fresh": last == 0, "endpoint": self.endpoint}
        yield _message("hello", hello)
        while not journal.closed:
            now, entries = journal.wait_for_more(generation, last, _KEEP_ALIVE)
            if now != generation:
                generation = now
                yield _message("cleared", {})
            elif not entries:
                yield b": nothing new\n\n"
            if entries:
                last = entries[-1].number
                batch = {"counts": journal.counts, "entries": [each.summary() for each in entries]}
                yield _message("entries", batch, f"{marker}.{generation}.{last}")

    def _show_event(self, request: CollectedRequest) -> Response:
        number = re.fullmatch("n=([0-9]{1,15})", request.query)
        entry = None if number is None else self.journal.find(int(number[1]))
        if entry is None:
            return _as_json({"error": "this event is not kept any more"}, 404)
        return _as_json(_detail(entry, self.endpoint))

    def _export(self, _request: CollectedRequest) -> Stream:
        def lines() -> Generator[bytes, None, None]:
            for entry in reversed(self.journal.latest_first()):
                yield _dump(_exported(entry)) + b"\n"

        return Stream(
            {
                **_HEADERS,
                "Content-Type": "application/x-ndjson; charset=utf-8",
                "Content-Disposition": 'attachment; filename="events.jsonl"',
            },
            lines(),
        )

    def _show_good(self, request: CollectedRequest) -> Response:
        filters = Filters(request.body if request.method == "POST" else b"")
        found = (
            good_event(entry.request, entry.event)
            for entry in self.journal.latest_first()
            if entry.event is not None and entry.good and filters.take_good(entry.event)
        )
        return _as_json(list(islice(found, filters.limit)))

    def _show_bad(self, request: CollectedRequest) -> Response:
        filters = Filters(request.body if request.method == "POST" else b"")
        found = (
            entry
            for entry in self.journal.latest_first()
            if not entry.good and filters.take_bad(entry.request)
        )
        room = _MAX_BODIES
        shown = []
        for each in islice(found, filters.limit):
            room -= each.request.size
            shown.append(bad_event(each.request, each.event, each.problems, with_body=room >= 0))
        return _as_json(shown)

    def _reset(self, _request: CollectedRequest) -> Response:
        self.clear()
        return _as_json(self.journal.counts)

    def _show_schema(self, request: CollectedRequest) -> Response:
        if self._schemas is None:
            return _as_json({"error": "there are no schemas here; start with --schemas"}, 404)
        uri = f"iglu:{request.path[len('/micro/iglu/') :]}"
        try:
            return _as_json(self._schemas.resolve(uri))
        except (LookupError, ValueError):
            return _as_json({"error": f"{uri} is not among the schemas"}, 404)


@lru_cache(maxsize=None)
def _page() -> Tuple[bytes, str]:
    """Return the page, and a content security policy that allows only its own script and style."""
    page = pkgutil.get_data(__package__ or "snowplow_tracker.testing", "page.html") or b""
    hashes = {}
    for tag in (b"script", b"style"):
        inner = page.split(b"<" + tag + b">", 1)[1].split(b"</" + tag + b">", 1)[0]
        hashes[tag] = base64.b64encode(hashlib.sha256(inner).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; script-src 'sha256-{hashes[b'script']}';"
        f" style-src 'sha256-{hashes[b'style']}'; connect-src 'self'; img-src data:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


def _detail(entry: Entry, endpoint: str) -> Dict[str, Any]:
    event, request = entry.event, entry.request
    detail: Dict[str, Any] = {
        "n": entry.number,
        "good": entry.good,
        "problems": entry.problems,
        "request": [
            ["request", f"{request.method} {request.path}"],
            ["answered", str(request.status or "never")],
            ["received", iso_time(request.received_at * 1_000)],
            ["from", request.client],
            ["size", f"{request.size:,} bytes"],
            *([] if event is None else [["events in it", f"{len(request.events):,}"]]),
            *[[name, value] for name, value in request.headers.items()],
        ],
    }
    if event is None:
        shown = request.body or request.query.encode("ascii", "replace")
        detail["body"] = shown[:_MAX_BODY_SHOWN].decode("utf-8", "replace")
        return detail
    detail.update(
        parameters=[
            [name, PARAMETERS.get(name, ("",))[0], _tree(value)]
            for name, value in event.parameters.items()
        ],
        data=None if event.unstruct is None else _tree(event.data),
        schema=event.schema,
        entities=[[each["schema"], _tree(each["data"])] for each in event.contexts],
        snippet=snippet(event, endpoint),
    )
    return detail


def _exported(entry: Entry) -> Dict[str, Any]:
    event, request = entry.event, entry.request
    return {
        "good": entry.good,
        "problems": entry.problems,
        "receivedAt": iso_time(request.received_at * 1_000),
        "method": request.method,
        "path": request.path,
        "status": request.status,
        "parameters": None if event is None else event.parameters,
        "event": None if event is None else event.unstruct,
        "entities": [] if event is None else event.contexts,
    }


def _tree(value: Any) -> Any:
    """Return JSON data as nodes, with numbers as strings, since JavaScript has only doubles."""
    budget = [_MAX_NODES]

    def node(value: Any) -> Any:
        budget[0] -= 1
        if budget[0] < 0:
            return ["more"]
        if isinstance(value, dict):
            return ["object", [[name, node(each)] for name, each in _first(value.items(), budget)]]
        if isinstance(value, list):
            return ["array", [node(each) for each in _first(value, budget)]]
        if isinstance(value, str):
            return ["string", value]
        return ["value", json.dumps(value)]

    return node(value)


def _first(items: Iterable[Any], budget: List[int]) -> Iterable[Any]:
    for each in items:
        yield each
        if budget[0] < 0:
            return


def _message(kind: str, data: Any, identifier: Optional[str] = None) -> bytes:
    lines = [b"event: " + kind.encode("ascii")]
    if identifier is not None:
        lines.append(b"id: " + identifier.encode("ascii"))
    lines.append(b"data: " + _dump(data))
    return b"\n".join(lines) + b"\n\n"


def _dump(data: Any) -> bytes:
    # Only ASCII: so unpaired surrogates can be encoded, and there are no line breaks in the data.
    return json.dumps(data, separators=(",", ":")).encode("ascii")


def _as_json(data: Any, status: int = 200) -> Response:
    headers = {**_HEADERS, "Content-Type": "application/json; charset=utf-8"}
    return Response(status, headers, _dump(data))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
