"""Open a web shop on this machine, let visitors shop at the same time, and track what they do."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from socketserver import ThreadingMixIn
from typing import List, Optional
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from _runner import run

from snowplow_tracker import AsyncEmitter, Subject, Tracker
from web_shop.shop import PRODUCTS, WebShop
from web_shop.visitors import Visitor

VISITORS = [
    ("Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0", None),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Safari/604.1", "customer-42"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0", "customer-7"),
]


class ThreadingWSGIServer(ThreadingMixIn, WSGIServer):
    """Answers each connection in a thread of its own."""

    daemon_threads = True


class QuietHandler(WSGIRequestHandler):
    """Leaves out the line per request, so that the table can be seen."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (not ours to name)
        """Say nothing."""


def track(endpoint: str) -> List[Optional[str]]:
    """Run the shop for one visit of each visitor."""
    # Requests must not wait for the collector: this emitter sends in a thread of its own.
    emitter = AsyncEmitter(endpoint)
    shop = WebShop(Tracker("web-shop", emitter, Subject().set_platform("srv"), app_id="example"))
    server = make_server("127.0.0.1", 0, shop, ThreadingWSGIServer, QuietHandler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        with ThreadPoolExecutor(len(VISITORS)) as pool:
            visits = [
                pool.submit(Visitor(server.server_port, user_agent, customer).visit, sku)
                for (user_agent, customer), sku in zip(VISITORS, PRODUCTS)
            ]
        for visit in visits:
            visit.result()
    finally:
        server.shutdown()
        server.server_close()
    emitter.sync_flush()
    return shop.tracked


if __name__ == "__main__":
    sys.exit(run(track, __doc__))
