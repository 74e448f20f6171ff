"""A collector, and servers that send to it."""

from __future__ import annotations

import sys
from typing import Iterator, List

import pytest

from snowplow_tracker.testing import Collector
from support.frameworks import Server
from support.servers import free_port


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def serve(collector) -> Iterator:
    servers: List[Server] = []

    def start(*command: str, **environment: str) -> Server:
        port = free_port()
        arguments = [part.replace("PORT", str(port)) for part in command]
        server = Server(
            [sys.executable, *arguments],
            port,
            {"COLLECTOR": collector.endpoint, "PORT": str(port), **environment},
        )
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.kill()
