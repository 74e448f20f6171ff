"""Prometheus text over HTTP, for the worker."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable, Tuple


def serve(address: Tuple[str, int], text: Callable[[], str]) -> ThreadingHTTPServer:
    """Serve metrics at `/metrics` from a daemon thread, until `shutdown()` and `server_close()`.

    Raises:
        OSError: The port is not available.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            found = self.path.split("?")[0] == "/metrics"
            body = (text() if found else "See /metrics.\n").encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing, since requests come every few seconds."""

    server = ThreadingHTTPServer(address, Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="snowplow-metrics", daemon=True).start()
    return server
