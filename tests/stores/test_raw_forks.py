"""Stores in processes that C code forks without Python's fork hooks, as uWSGI does, and in sub-interpreters."""

import sqlite3
import sys

import pytest

from support.processes import run_program
from support.redis_server import redis_server

PROGRAM = """
    import ctypes, os, signal, sys, time
    from snowplow_tracker import redis_event_store, sqlite_event_store

    if sys.argv[1] == "sqlite":
        store = sqlite_event_store.SQLiteEventStore(sys.argv[2])
    else:
        store = redis_event_store.RedisEventStore(sys.argv[2])
    for number in range(10):
        assert store.add_event({"eid": f"master-{number}"})
    held = store.get_events_batch(max_events=3)
    # CPython itself does not survive such a fork while another thread is just about to run.
    time.sleep(0.3)
    children = []
    for child in range(3):
        pid = ctypes.PyDLL(None).fork()
        if pid == 0:
            signal.alarm(20)
            store.cleanup(held, need_retry=False)  # not the child's to settle
            added = all(store.add_event({"eid": f"{child}-{number}"}) for number in range(20))
            batch = store.get_events_batch(max_events=1)
            store.cleanup(batch, need_retry=True)
            store.close()
            os._exit(0 if added and len(batch) == 1 else 1)
        children.append(pid)
    for number in range(10, 20):
        assert store.add_event({"eid": f"master-{number}"})
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
    store.cleanup(held, need_retry=True)
    found = []
    while store.remaining():
        batch = store.get_events_batch()
        found += [event["eid"] for event in batch]
        store.cleanup(batch, need_retry=False)
    expected = [f"master-{n}" for n in range(20)] + [f"{c}-{n}" for c in range(3) for n in range(20)]
    assert sorted(found) == sorted(expected), (len(found), len(expected))
    store.close()
"""


@pytest.mark.long
def test_sqlite_in_a_raw_fork(tmp_path):
    """Parent and children each have a connection of their own: nothing is lost, twice or damaged."""
    path = tmp_path / "events.db"
    for _ in range(3):
        finished = run_program(PROGRAM, "sqlite", path, deadline=60)
        assert finished.status == 0, finished.errors
    connection = sqlite3.connect(str(path))
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.long
def test_redis_in_a_raw_fork(tmp_path):
    """Parent and children each have connections of their own, and read their own answers."""
    with redis_server(tmp_path) as server:
        finished = run_program(PROGRAM, "redis", server.url, deadline=60)
        assert finished.status == 0, finished.errors


@pytest.mark.skipif(sys.version_info < (3, 12), reason="isolated sub-interpreters came with 3.12")
def test_sqlite_in_an_isolated_sub_interpreter(tmp_path):
    """Where no daemon thread can be started, events go in and come out all the same."""
    pytest.importorskip("concurrent.interpreters")
    program = """
        import sys
        from concurrent import interpreters

        interpreter = interpreters.create()
        interpreter.exec(f'''if True:
            from snowplow_tracker.sqlite_event_store import SQLiteEventStore
            store = SQLiteEventStore({sys.argv[1]!r})
            assert store.add_event({{"eid": "1"}})
            batch = store.get_events_batch()
            assert len(batch) == 1
            store.cleanup(batch, need_retry=False)
            assert store.remaining() == 0
            store.close()
        ''')
    """
    finished = run_program(program, tmp_path / "events.db", deadline=60)
    assert finished.status == 0, finished.errors
