"""waitress and Django's own server, which end by the default action of SIGTERM unless our handler is there."""

from __future__ import annotations

import signal
import sys
from typing import Callable

import pytest

from support.collector_with_faults import CollectorWithFaults
from support.servers import APPLICATIONS, Server, need_library

WAITRESS = ["waitress-serve", "--listen", "127.0.0.1:{port}", "wsgi:application"]
DJANGO = [sys.executable, str(APPLICATIONS / "django_site.py"), "runserver", "127.0.0.1:{port}"]


@pytest.mark.parametrize("emitter", ["Emitter", "AsyncEmitter"])
@pytest.mark.parametrize(
    ("command", "library", "number"),
    [
        (WAITRESS, "waitress", signal.SIGTERM),
        (WAITRESS, "waitress", signal.SIGINT),
        ([*DJANGO, "--noreload"], "django", signal.SIGTERM),
        ([*DJANGO, "--noreload"], "django", signal.SIGINT),
        (DJANGO, "django", signal.SIGINT),
    ],
    ids=["waitress", "waitress ^C", "django", "django ^C", "django with reloader ^C"],
)
def test_all_events_arrive_once_with_one_line(
    serve: Callable[..., Server],
    collector: CollectorWithFaults,
    command: list,
    library: str,
    number: int,
    emitter: str,
) -> None:
    """With `flush_on_sigterm()` a server that SIGTERM ends at once delivers 25 of 25 events."""
    need_library(library)
    server = serve(*command, emitter=emitter, flush_interval=60, flush_on_sigterm="1")
    ids = server.get(25)
    if command is DJANGO:
        server.interrupt_all()
        assert server.wait() is not None, server.output
    else:
        assert server.stop(number) is not None, server.output
    assert set(ids) <= set(collector.arrived), server.output
    assert not collector.repeated


def test_django_under_gunicorn(
    serve: Callable[..., Server], collector: CollectorWithFaults
) -> None:
    """Django as it is deployed: behind gunicorn, without any line of ours."""
    need_library("django", "gunicorn")
    server = serve(
        *["gunicorn", "django_site:application", "--workers", "2", "--bind", "127.0.0.1:{port}"],
        *["--config", "python:gunicorn_conf"],
        flush_interval=60,
    )
    ids = server.get(25)
    server.wait_for_output("can be stopped", times=2)
    assert server.stop(signal.SIGTERM) is not None, server.output
    assert set(ids) <= set(collector.arrived), server.output
    assert not collector.repeated
