"""What the tests of real servers share: a collector, a Redis, and applications that track."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from support.collector_with_faults import CollectorWithFaults
from support.redis_server import redis_server
from support.servers import Server, free_port


@pytest.fixture
def collector() -> Iterator[CollectorWithFaults]:
    """A collector that answers 200."""
    with CollectorWithFaults() as running:
        yield running


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis for brokers and queues."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def serve(tmp_path: Path, collector: CollectorWithFaults) -> Iterator[Callable[..., Server]]:
    """Start a server: `{port}` in its arguments becomes a free port, and `APPLICATION_...` what is given by name."""
    started: List[Server] = []

    def serve(*command: str, **variables: Any) -> Server:
        port = free_port() if any("{port}" in argument for argument in command) else 0
        environment = {
            "APPLICATION_COLLECTOR": collector.url,
            "APPLICATION_DATABASE": str(tmp_path / "events.db"),
            **{f"APPLICATION_{name.upper()}": str(value) for name, value in variables.items()},
        }
        filled = [argument.replace("{port}", str(port)) for argument in command]
        started.append(Server(tmp_path, *filled, environment=environment, port=port))
        return started[-1].start()

    yield serve
    for server in started:
        server.kill()
