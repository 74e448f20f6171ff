"""uWSGI, which forks in C after the application was loaded: Python's fork hooks do not run."""

from __future__ import annotations

import signal
from typing import Any, Callable, Dict, List

import pytest

from snowplow_tracker.sqlite_event_store import SQLiteEventStore
from support.collector_with_faults import CollectorWithFaults
from support.servers import APPLICATIONS, Server, need_library

PORT = ["--http-socket", "127.0.0.1:{port}", "--wsgi-file", "wsgi.py", "--need-app"]
WORKERS = ["--master", "--processes", "2"]
WAYS: Dict[str, List[str]] = {
    "loaded before the fork": [*WORKERS],
    "threads of Python": [*WORKERS, "--enable-threads"],
    "threads of uWSGI": [*WORKERS, "--enable-threads", "--threads", "4"],
    "loaded after the fork": [*WORKERS, "--lazy-apps"],
    "one process": [],
}


def ask(server: Server, times: int) -> List[str]:
    """Ask for pages until the workers are idle again: uWSGI runs no exit hooks in a worker that is busy."""
    ids = server.get(times)
    server.wait_for_output(" generated ", times=times)
    return ids


def start(serve: Callable[..., Server], *options: str, **variables: Any) -> Server:
    need_library("uwsgidecorators")
    arguments = [*PORT, *options, "--chdir", str(APPLICATIONS), "--die-on-term"]
    return serve("uwsgi", *arguments, **variables)


@pytest.mark.parametrize("at_import", ["", "1"], ids=["", "first event in the master"])
@pytest.mark.parametrize("emitter", ["Emitter", "AsyncEmitter"])
@pytest.mark.parametrize("way", WAYS)
def test_all_events_arrive_once(
    serve: Callable[..., Server],
    collector: CollectorWithFaults,
    emitter: str,
    way: str,
    at_import: str,
) -> None:
    """60 of 60 events arrive, each under an id of its own, however uWSGI was told to load the application."""
    server = start(serve, *WAYS[way], emitter=emitter, tracks_at_import=at_import)
    ids = ask(server, 60)
    assert server.stop(signal.SIGTERM) is not None, server.output
    assert len(set(ids)) == 60, "ids repeat"
    assert set(ids) <= set(collector.arrived), server.output
    # one more where it was loaded once, and one for each process that loaded it otherwise
    assert (len(collector.arrived) > 60) == bool(at_import)
    assert not collector.repeated


@pytest.mark.parametrize("way", ["loaded before the fork", "threads of uWSGI"])
def test_events_arrive_while_the_server_runs(
    serve: Callable[..., Server], collector: CollectorWithFaults, way: str
) -> None:
    """With Python's threads switched on, nothing waits for the end of a worker."""
    options = [*WAYS[way], "--enable-threads"]
    server = start(serve, *options, tracks_at_import="1", flush_interval=0.2)
    ask(server, 25)
    assert collector.wait_for_events(26), server.output


@pytest.mark.parametrize("at_import", ["", "1"], ids=["", "first event in the master"])
def test_events_of_a_queue_in_a_file_are_kept_once(
    serve: Callable[..., Server], tmp_path: Any, at_import: str
) -> None:
    """Workers that write to one SQLite file, opened before the fork, lose nothing and repeat no id."""
    server = start(
        serve, *WAYS["loaded before the fork"], emitter="SQLite", tracks_at_import=at_import
    )
    ids = ask(server, 60)
    assert server.stop(signal.SIGTERM) is not None, server.output
    store = SQLiteEventStore(str(tmp_path / "events.db"))
    assert len(set(ids)) == 60
    assert store.size() == (61 if at_import else 60), server.output
    store.close()


def test_workers_do_not_read_answers_of_each_other(
    serve: Callable[..., Server], collector: CollectorWithFaults
) -> None:
    """Workers that were copied with an open connection each make one of their own."""
    server = start(
        serve,
        *WAYS["loaded before the fork"],
        emitter="Emitter",
        batch=1,
        tracks_at_import="1",
    )
    ask(server, 40)
    assert server.stop(signal.SIGTERM) is not None, server.output
    by_connection: Dict[int, set] = {}
    for request in collector.requests:
        processes = {event["se_la"] for event in request.events}
        by_connection.setdefault(request.connection, set()).update(processes)
    assert all(len(processes) == 1 for processes in by_connection.values()), by_connection
    assert len(collector.arrived) == 41
