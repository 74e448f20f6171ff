"""Serve requests behind the middleware: every event carries who makes the request, and none says too much."""

import sys
import threading
from typing import Any, Callable, Dict, Iterable, List, Optional
from urllib.request import Request, urlopen
from wsgiref.simple_server import WSGIRequestHandler, make_server

from _runner import run

from snowplow_tracker import (
    AsyncEmitter,
    Event,
    Scope,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
    current_scope,
)
from snowplow_tracker.entities import application_entity
from snowplow_tracker.integrations.wsgi import SnowplowMiddleware
from snowplow_tracker.redaction import cut_ip

BASKET = "iglu:com.example.shop/basket/jsonschema/1-0-0"


class QuietHandler(WSGIRequestHandler):
    """Leaves out the line per request, so that the table can be seen."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (not ours to name)
        """Say nothing."""


def track(endpoint: str) -> List[Optional[str]]:
    """Let three visitors add something to their baskets."""
    tracker = Tracker("shop", AsyncEmitter(endpoint), Subject().set_platform("srv"))
    tracker.add_global_contexts({"application": application_entity("2.4.1")})
    tracker.redact("ip", cut_ip)

    @tracker.before_track
    def without_robots(event: Event) -> Optional[Event]:
        # A hook sees the event with all that its scope and the tracker add to it.
        known = event.event_subject.standard_nv_pairs if event.event_subject else {}
        return None if "robot" in known.get("ua", "") else event

    tracked: List[Optional[str]] = []

    def log_in(user_id: str) -> None:
        """Know who it is, in a function that knows nothing of requests."""
        current_scope().set(user_id=user_id)

    def add_to_basket(sku: str) -> None:
        with Scope(entities=[SelfDescribingJson(BASKET, {"items": [sku]})]):
            event_id = tracker.track(StructuredEvent("shop", "add-to-basket", label=sku))
        if event_id is not None:
            tracked.append(event_id)

    def app(environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_AUTHORIZATION" in environ:
            log_in(environ["HTTP_AUTHORIZATION"])
        add_to_basket(environ["PATH_INFO"].strip("/"))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"added"]

    server = make_server("127.0.0.1", 0, SnowplowMiddleware(app), handler_class=QuietHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for path, headers in (
            ("lamp-3", {"Authorization": "customer-7", "User-Agent": "Mozilla/5.0"}),
            ("desk-1", {"Authorization": "customer-8", "User-Agent": "Mozilla/5.0", "DNT": "1"}),
            ("chair-7", {"User-Agent": "robot/1.0"}),
        ):
            request = Request(f"http://127.0.0.1:{server.server_port}/{path}", headers=headers)
            urlopen(request, timeout=10).close()  # noqa: S310 (the server above)
    finally:
        server.shutdown()
        server.server_close()
    tracker.close()
    return tracked


if __name__ == "__main__":
    sys.exit(run(track, __doc__))
