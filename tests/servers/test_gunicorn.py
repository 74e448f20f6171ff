"""gunicorn, with each of its workers, and with the application loaded before and after the fork."""

from __future__ import annotations

import signal
from typing import Callable, Dict, List, Optional

import pytest

from support.collector_with_faults import CollectorWithFaults
from support.servers import Server, need_library

WORKERS: Dict[str, List[str]] = {
    "sync": ["wsgi:application", "--workers", "2"],
    "gthread": ["wsgi:application", "--workers", "2", "--threads", "4"],
    "gevent": ["wsgi:application", "--workers", "2", "--worker-class", "gevent"],
    "uvicorn": [
        "asgi:application",
        "--workers",
        "2",
        "--worker-class",
        "uvicorn_worker.UvicornWorker",
    ],
}


def stop(server: Server) -> Optional[int]:
    """Stop gunicorn once all its workers run: a signal is lost for one that is starting, and gunicorn waits for it."""
    server.wait_for(lambda log: log.count("can be stopped") >= log.count("Booting worker"))
    return server.stop(signal.SIGTERM)


@pytest.mark.parametrize("preload", ["", "--preload"])
@pytest.mark.parametrize("emitter", ["Emitter", "AsyncEmitter"])
@pytest.mark.parametrize("worker", WORKERS)
def test_all_events_arrive_once(
    serve: Callable[..., Server],
    collector: CollectorWithFaults,
    emitter: str,
    worker: str,
    preload: str,
) -> None:
    """60 of 60 events arrive, the last ones when the server is told to stop."""
    need_library("gunicorn", "gevent", "uvicorn_worker")
    options = [preload] if preload else []
    variables = {"lifespan": "middleware"} if worker == "uvicorn" else {}
    server = serve(
        *["gunicorn", "--config", "python:gunicorn_conf"],
        *WORKERS[worker],
        *options,
        "--bind",
        "127.0.0.1:{port}",
        emitter=emitter,
        # with greenlets patched after the import, where the first event was tracked before
        tracks_at_import="1" if preload else "",
        **variables,
    )
    ids = server.get(60)
    assert stop(server) is not None, server.output
    assert len(set(ids)) == 60
    assert set(ids) <= set(collector.arrived), server.output
    assert not collector.repeated
    assert "Traceback" not in server.output


@pytest.mark.parametrize("worker", ["sync", "gevent"])
def test_a_worker_that_is_replaced_delivers_first(
    serve: Callable[..., Server], collector: CollectorWithFaults, worker: str
) -> None:
    """Workers that end after some requests, and are replaced, lose nothing."""
    need_library("gunicorn", "gevent")
    server = serve(
        *["gunicorn", "--config", "python:gunicorn_conf"],
        *WORKERS[worker],
        "--max-requests",
        "7",
        "--bind",
        "127.0.0.1:{port}",
        batch=100,
        flush_interval=60,
    )
    ids = server.get(30)
    assert stop(server) is not None, server.output
    assert set(ids) <= set(collector.arrived), server.output
    assert not collector.repeated
