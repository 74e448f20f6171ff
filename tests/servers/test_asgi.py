"""ASGI servers: they end by the lifespan protocol, and some by the signal itself, without Python's exit hooks."""

from __future__ import annotations

import signal
from typing import Callable, Dict, List

import pytest

from support.collector_with_faults import CollectorWithFaults
from support.servers import Server, need_library

SERVERS: Dict[str, List[str]] = {
    "uvicorn": ["uvicorn", "asgi:application", "--host", "127.0.0.1", "--port", "{port}"],
    "uvicorn with workers": [
        *["uvicorn", "asgi:application", "--host", "127.0.0.1", "--port", "{port}"],
        *["--workers", "2"],
    ],
    "hypercorn": ["hypercorn", "asgi:application", "--bind", "127.0.0.1:{port}"],
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("lifespan", ["middleware", "starlette"])
@pytest.mark.parametrize("server_name", SERVERS)
def test_all_events_arrive_once_with_one_line(
    serve: Callable[..., Server],
    collector: CollectorWithFaults,
    server_name: str,
    lifespan: str,
    number: int,
) -> None:
    """With the one line that an ASGI application needs, 25 of 25 events arrive, however the server is told to stop."""
    need_library("uvicorn", "hypercorn", "starlette")
    server = serve(*SERVERS[server_name], lifespan=lifespan, flush_interval=60)
    ids = server.get(25)
    assert server.stop(number) is not None, server.output
    assert set(ids) <= set(collector.arrived), server.output
    assert not collector.repeated


@pytest.mark.parametrize("lifespan", ["middleware", "starlette"])
def test_workers_of_hypercorn(
    serve: Callable[..., Server], collector: CollectorWithFaults, lifespan: str
) -> None:
    """Hypercorn kills the other workers once the first has shut down: what was sent after `flush_interval` arrives once."""
    need_library("hypercorn", "starlette")
    command = [*SERVERS["hypercorn"], "--workers", "2"]
    server = serve(*command, lifespan=lifespan, flush_interval=0.3)
    ids = server.get(25)
    assert collector.wait_for_events(25), server.output
    assert server.stop(signal.SIGTERM) is not None, server.output
    assert set(ids) == set(collector.arrived)
    assert not collector.repeated


def test_without_the_line_one_flush_interval_can_be_lost(
    serve: Callable[..., Server], collector: CollectorWithFaults
) -> None:
    """Without our line uvicorn ends by the signal itself: what was sent after each `flush_interval` is all that arrives."""
    need_library("uvicorn")
    server = serve(*SERVERS["uvicorn"], batch=100, flush_interval=0.3)
    ids = server.get(25)
    assert collector.wait_for_events(25), server.output
    assert server.stop(signal.SIGTERM) is not None
    assert set(ids) == set(collector.arrived)
