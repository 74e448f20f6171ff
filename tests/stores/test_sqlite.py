"""The queue in an SQLite file: order, limits, leases, damage, and what other processes do to it."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, TypeVar

import pytest

from snowplow_tracker.emitters import AsyncEmitter, Emitter
from snowplow_tracker.sqlite_event_store import SQLiteEventStore, SQLiteStoreError
from snowplow_tracker.testing import Collector
from support.inside import identity
from support.processes import run_program
from support.tracking import payload, track_many, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteEventStore]:
    with opened(path) as one:
        yield one


@contextlib.contextmanager
def opened(path: Path, **options: Any) -> Iterator[SQLiteEventStore]:
    store = SQLiteEventStore(path, **options)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def plain_connection(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(str(path), isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def truncate_log(path: Path) -> None:
    with plain_connection(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def event(number: int, **pairs: Any) -> Dict[str, Any]:
    return {"e": "pv", "eid": f"id-{number}", **pairs}


def add(store: SQLiteEventStore, *numbers: int, **pairs: Any) -> List[bool]:
    return [store.add_event(event(number, **pairs)) for number in numbers]


def numbers(events: List[Dict[str, Any]]) -> List[int]:
    return [int(each["eid"][3:]) for each in events]


def drain(store: SQLiteEventStore, most: int = 500) -> List[int]:
    found: List[int] = []
    while True:
        batch = store.get_events_batch(max_events=most)
        if not batch:
            return found
        found += numbers(batch)
        store.cleanup(batch, need_retry=False)


# What goes in comes out ------------------------------------------------------------------------------------------


def test_events_come_out_as_they_went_in_and_in_order(store: SQLiteEventStore) -> None:
    """Values keep their types, text keeps every character, and the first in is the first out."""
    events = [
        {"eid": "1", "dtm": 1700000000000, "se_va": 2.5, "aid": "ünïcode \u2028 \U0001f600"},
        {"eid": "2", "tna": "", "nul": "a\x00b", "surrogate": "\ud800", "quote": "\"'\\"},
    ]
    assert [store.add_event(dict(each)) for each in events] == [True, True]
    assert store.get_events_batch() == events


def test_events_that_are_out_do_not_count_and_are_not_handed_out_again(
    store: SQLiteEventStore,
) -> None:
    """A batch belongs to who took it until its fate is known."""
    add(store, 1, 2, 3)
    first = store.get_events_batch(max_events=2)
    assert numbers(first) == [1, 2]
    assert store.size() == 1
    assert store.remaining() == 3
    assert numbers(store.get_events_batch()) == [3]
    assert store.get_events_batch() == []
    store.cleanup(first, need_retry=False)
    assert store.remaining() == 1


def test_failed_events_go_back_to_their_old_place(store: SQLiteEventStore) -> None:
    """After a failed attempt the oldest events are still the first."""
    add(store, 1, 2, 3, 4)
    batch = store.get_events_batch(max_events=2)
    store.cleanup(batch, need_retry=True)
    assert store.size() == 4
    assert drain(store, most=3) == [1, 2, 3, 4]


def test_a_batch_can_be_settled_in_parts(store: SQLiteEventStore) -> None:
    """Some events of a batch may be sent, some fail, and some be undecided still."""
    add(store, *range(10))
    batch = store.get_events_batch()
    store.cleanup(batch[0:3] + batch[7:8], need_retry=False)
    store.cleanup(batch[4:6], need_retry=True)
    assert store.size() == 2
    again = store.get_events_batch()
    assert numbers(again) == [4, 5]
    store.cleanup(batch[3:4] + batch[6:7] + batch[8:], need_retry=True)
    store.cleanup(again, need_retry=True)
    assert drain(store) == [3, 4, 5, 6, 8, 9]


def test_what_is_done_to_an_event_that_is_out_does_not_matter(store: SQLiteEventStore) -> None:
    """Events are recognised although callbacks change them, and copies by their id."""
    add(store, 1, 2)
    changed, copied = store.get_events_batch()
    changed.clear()
    store.cleanup([changed, copy.deepcopy(copied)], need_retry=False)
    store.cleanup([event(77), {}], need_retry=True)
    assert store.size() == 0
    assert drain(store) == []


def test_a_batch_is_bounded_also_when_nobody_says_so(store: SQLiteEventStore) -> None:
    """Memory does not grow with the backlog."""
    add(store, *range(1_200))
    assert len(store.get_events_batch()) == 1_000


def test_everything_is_there_after_closing(path: Path) -> None:
    """The queue is on the disk, and a store that was closed can be used again."""
    with opened(path) as store:
        add(store, 1, 2)
        store.close()
        store.close()
        add(store, 3)
        assert store.size() == 3
    with opened(path) as again:
        assert drain(again) == [1, 2, 3]


@pytest.mark.parametrize("durability", ["process", "machine"])
def test_durability_is_what_sqlite_is_told(
    path: Path, durability: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only for the sake of the machine is the disk waited for at each event."""
    made: List[sqlite3.Connection] = []
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *a, **k: made.append(connect(*a, **k)) or made[-1]
    )
    with opened(path, durability=durability) as store:
        add(store, 1)
        [connection] = made
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        synchronous = {"process": 1, "machine": 2}[durability]
        assert connection.execute("PRAGMA synchronous").fetchone() == (synchronous,)


# Limits ----------------------------------------------------------------------------------------------------------


def test_a_full_queue_refuses_the_newest(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The capacity counts what waits, whoever put it there, and not what is out."""
    with opened(path, buffer_capacity=3) as store, opened(path, buffer_capacity=3) as other:
        assert add(other, 1, 2) == [True, True]
        assert add(store, 3, 4) == [True, False]
        assert "is full" in caplog.text
        batch = store.get_events_batch(max_events=1)
        assert add(store, 5, 6) == [True, False]
        store.cleanup(batch, need_retry=True)
        assert drain(store) == [1, 2, 3, 5]


def test_a_full_queue_throws_out_the_oldest_that_waits(path: Path) -> None:
    """What is thrown out is reported; what is being sent stays."""
    with opened(path, buffer_capacity=3, overflow="drop_oldest") as store:
        evicted: List[Any] = []
        store.overflow_listener = evicted.append
        add(store, 1, 2)
        out = store.get_events_batch(max_events=1)
        assert add(store, 3, 4, 5, 6) == [True] * 4
        assert [numbers(each) for each in evicted] == [[2], [3]]
        store.cleanup(out, need_retry=True)
        assert drain(store) == [1, 4, 5, 6]


def test_events_thrown_out_are_logged_where_nobody_listens(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No drop goes without a trace."""
    with opened(path, buffer_capacity=1, overflow="drop_oldest") as store:
        add(store, 1, 2)
    assert "is full: dropped 1 event." in caplog.text


@pytest.mark.parametrize(("count", "what"), [(1, "it"), (2, "them")])
def test_it_keeps_one_event_or_many(
    path: Path, caplog: pytest.LogCaptureFixture, count: int, what: str
) -> None:
    """The message at the end of an emitter speaks of one event in the singular."""
    emitter = Emitter("http://127.0.0.1:9", event_store=SQLiteEventStore(path))
    for _ in range(count):
        emitter.input({"e": "pv"})
    emitter.close(timeout=0)
    assert f"The store keeps {what}." in caplog.text


def test_a_full_queue_may_wait_for_room(path: Path) -> None:
    """Adding goes on as soon as another process has made room, and gives up in time."""
    with opened(path, buffer_capacity=1, overflow="block", overflow_timeout=0.2) as store:
        add(store, 1)
        started = time.monotonic()
        assert add(store, 2) == [False]
        assert 0.2 <= time.monotonic() - started < 2
        store.overflow_timeout = 30
        with opened(path) as other:
            batch = other.get_events_batch()
            add(other, 3)

            def make_room() -> None:
                other.cleanup(other.get_events_batch(), need_retry=False)

            started = time.monotonic()
            threading.Timer(0.1, make_room).start()
            assert add(store, 4) == [True]
            assert time.monotonic() - started < 5
            other.cleanup(batch, need_retry=False)
        assert drain(store) == [4]


@pytest.mark.long
@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest"])
def test_the_file_does_not_grow_beyond_its_limit(path: Path, overflow: Any) -> None:
    """Bytes are limited as events are, under the same policy, and a full file still delivers."""
    with opened(path, max_bytes=2_000_000, overflow=overflow) as store:
        dropped: List[Any] = []
        store.overflow_listener = dropped.extend
        taken = add(store, *range(400), se_la="x" * 20_000)
        assert path.stat().st_size <= 2_000_000
        assert not store.failing
        delivered = drain(store)
        if overflow == "drop_newest":
            assert False in taken
            assert delivered == [number for number, was in enumerate(taken) if was]
        else:
            assert all(taken)
            assert numbers(dropped) + delivered == list(range(400))
        assert len(delivered) > 40


@pytest.mark.long
@pytest.mark.slow
def test_space_is_given_back(path: Path) -> None:
    """A queue that was long once does not keep the disk."""
    with opened(path) as store:
        add(store, *range(6_000), se_la="x" * 1_000)
        truncate_log(path)
        assert path.stat().st_size > 6_000_000
        assert drain(store) == list(range(6_000))
        truncate_log(path)
        assert path.stat().st_size < 3_000_000
        store.close()
        assert path.stat().st_size < 100_000
        assert not path.with_name("events.db-wal").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": None}, "path must be a string or a path, got NoneType"),
        ({"buffer_capacity": None}, "buffer_capacity must be a number, got NoneType"),
        ({"lease_seconds": "5"}, "lease_seconds must be a number, got str"),
    ],
)
def test_arguments_of_a_wrong_type_are_named(
    path: Path, options: Dict[str, Any], said: str
) -> None:
    """The error names the argument, and no file is made."""
    with pytest.raises(TypeError, match=said):
        SQLiteEventStore(**{"path": path, **options})
    assert not path.exists()


@pytest.mark.parametrize(
    "options",
    [
        {"buffer_capacity": 0},
        {"overflow": "wait"},
        {"overflow_timeout": -1},
        {"max_bytes": 1_000},
        {"lease_seconds": 0},
        {"lock_timeout": -1},
        {"durability": "eternal"},
    ],
)
def test_arguments_out_of_range_are_refused(path: Path, options: Dict[str, Any]) -> None:
    """The error names the argument, and no file is made."""
    with pytest.raises(ValueError, match=next(iter(options))):
        SQLiteEventStore(path, **options)
    assert not path.exists()


# The file --------------------------------------------------------------------------------------------------------


def test_the_file_says_what_it_is_and_keeps_to_itself(path: Path, store: SQLiteEventStore) -> None:
    """The schema has a version, and events are for their owner's eyes."""
    add(store, 1)
    with plain_connection(path) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (0x536E7071,)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_empty_file_is_taken_with_its_permissions(path: Path) -> None:
    """Who wants a group to share the queue makes an empty file for it."""
    path.touch()
    path.chmod(0o660)
    with opened(path) as store:
        add(store, 1)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert stat.S_IMODE(path.with_name("events.db-wal").stat().st_mode) == 0o660


def _make_text(path: Path) -> None:
    path.write_text("name,value\n" * 200)


def _make_short_text(path: Path) -> None:
    path.write_text("x")


def _make_other_database(path: Path) -> None:
    with plain_connection(path) as connection:
        connection.execute("CREATE TABLE customer (name TEXT)")


def _make_other_application(path: Path) -> None:
    with plain_connection(path) as connection:
        connection.execute("PRAGMA application_id = 7")
        connection.execute("PRAGMA user_version = 1")


def _make_later_version(path: Path) -> None:
    with opened(path):
        pass
    with plain_connection(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA user_version = 2")


def _make_truncated(path: Path) -> None:
    with opened(path) as store:
        add(store, *range(500))
    os.truncate(path, path.stat().st_size // 2)


def _make_scribbled_on(path: Path) -> None:
    with opened(path) as store:
        add(store, *range(500))
    with path.open("r+b") as file:
        file.seek(4_096 * 4)
        file.write(b"\xff" * 4_096 * 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_make_text, "not a database"),
        (_make_short_text, "not a database"),
        (_make_other_database, "another program"),
        (_make_other_application, "another program"),
        (_make_later_version, "another version"),
        (_make_truncated, "malformed|damaged"),
        (_make_scribbled_on, "malformed|damaged"),
    ],
)
def test_a_file_that_is_no_sound_queue_is_refused_and_left_alone(
    path: Path, make: Any, message: str
) -> None:
    """The error says what is wrong with which file, and not a byte of it changes."""
    make(path)
    before = path.read_bytes()
    with pytest.raises(SQLiteStoreError, match=message) as caught:
        SQLiteEventStore(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_path_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    """A wrong directory shows when the store is made, not when events are lost."""
    with pytest.raises(SQLiteStoreError, match="missing"):
        SQLiteEventStore(tmp_path / "missing" / "events.db")
    with pytest.raises(SQLiteStoreError, match=str(tmp_path)):
        SQLiteEventStore(tmp_path)


def test_a_locked_file_never_raises(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While somebody else keeps the file, events are refused in time; the log says so once, and how it ended."""
    with opened(path, lock_timeout=0.05) as store:
        add(store, 1)
        batch = store.get_events_batch()
        add(store, 2)
        with plain_connection(path) as other:
            other.execute("BEGIN IMMEDIATE")
            started = time.monotonic()
            assert add(store, 3, 4) == [False, False]
            assert store.get_events_batch() == []
            store.cleanup(batch, need_retry=False)
            assert store.size() == 1
            assert time.monotonic() - started < 3
            assert store.failing
            other.execute("ROLLBACK")
        assert add(store, 5) == [True]
        assert not store.failing
        # The fate of the batch was kept in mind.
        assert drain(store) == [2, 5]
    messages = [
        record.getMessage() for record in caplog.records if str(path) in record.getMessage()
    ]
    assert len(messages) == 2
    assert "locked" in messages[0]
    assert "works again; it refused 2 events meanwhile" in messages[1]


def test_a_file_that_cannot_be_read_has_no_size(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Counting never raises either, says that it does not know, and recovers by itself."""
    with opened(path, lock_timeout=0.05) as store:
        add(store, 1)
        store.close()
        with plain_connection(path) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN IMMEDIATE")
            assert store.size() == 0
            assert store.remaining() is None
            assert store.failing
        assert store.remaining() == 1
        assert store.size() == 1
        assert not store.failing
    messages = [
        record.getMessage() for record in caplog.records if str(path) in record.getMessage()
    ]
    assert len(messages) == 2
    assert "could not be counted" in messages[0]


@pytest.mark.long
def test_callers_do_not_all_wait_for_a_locked_file(path: Path) -> None:
    """The first to run into it waits as long as was asked for; nobody does again until it is over."""
    with opened(path, lock_timeout=1) as store:
        with plain_connection(path) as other:
            other.execute("BEGIN IMMEDIATE")
            started = time.monotonic()
            assert add(store, *range(10)) == [False] * 10
            assert 0.9 < time.monotonic() - started < 5
            other.execute("ROLLBACK")
        assert add(store, 11) == [True]


@pytest.mark.long
def test_a_full_disk_never_raises(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where no more can be written, events are refused, and delivery begins anew once there is room."""
    program = """
        import logging, resource, signal, sys
        from snowplow_tracker.sqlite_event_store import SQLiteEventStore

        logging.basicConfig(format="%(message)s")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = SQLiteEventStore(sys.argv[1])
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        # The kernel refuses to let files grow, as it does where the disk is full.
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
        answers = [store.add_event({"eid": str(n), "x": "y" * 900}) for n in range(400)]
        assert answers[0] is True and answers[-1] is False, answers
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert store.add_event({"eid": "last"}) is True
        assert store.size() == sum(answers) + 1
        store.close()
    """
    finished = run_program(program, path)
    assert finished.status == 0, finished.errors
    lines = finished.errors.splitlines()
    assert len(lines) == 2, lines
    assert "could not be added" in lines[0]
    assert "works again" in lines[1]


def test_an_event_that_became_unreadable_does_not_stop_the_others(
    path: Path, store: SQLiteEventStore, caplog: pytest.LogCaptureFixture
) -> None:
    """One damaged row costs that row only."""
    add(store, 1, 2, 3)
    with plain_connection(path) as connection:
        connection.execute('UPDATE event SET body = \'{"eid": "id-2\' WHERE id = 2')
    assert drain(store) == [1, 3]
    assert store.size() == 0
    assert "Lost 1 event in the event queue" in caplog.text


# Threads, processes, forks -----------------------------------------------------------------------------------------


def test_many_threads_share_a_store(store: SQLiteEventStore) -> None:
    """Nothing is lost or handed out twice when all add and take at once."""
    out: List[int] = []
    adding = threading.Barrier(8)

    def work(first: int) -> None:
        adding.wait()
        add(store, *range(first, first + 250))
        while True:
            batch = store.get_events_batch(max_events=20)
            if not batch:
                return
            out.extend(numbers(batch))
            store.cleanup(batch, need_retry=False)

    threads = [threading.Thread(target=work, args=(n * 250,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(out + drain(store)) == list(range(2_000))


@pytest.mark.long
def test_processes_may_make_the_file_at_the_same_time(path: Path) -> None:
    """Workers of a server start together, and all find one queue."""
    program = """
        import sys
        from snowplow_tracker.sqlite_event_store import SQLiteEventStore

        print("ready", flush=True)
        sys.stdin.readline()
        store = SQLiteEventStore(sys.argv[1])
        assert all(store.add_event({"eid": f"{sys.argv[2]}-{n}"}) for n in range(100))
        store.close()
    """
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(Child(program, path, name)) for name in range(6)]
        for child in children:
            child.wait_until_ready()
        for child in children:
            child.go()
        assert [child.process.wait(60) for child in children] == [0] * 6
    with opened(path) as store:
        assert store.size() == 600


@pytest.mark.long
def test_a_lease_ends_with_the_life_of_its_holder(path: Path, store: SQLiteEventStore) -> None:
    """What a killed process was sending goes out at once from another; what a living one sends does not."""
    add(store, 1, 2, 3)
    program = """
        import sys
        from snowplow_tracker.sqlite_event_store import SQLiteEventStore

        store = SQLiteEventStore(sys.argv[1])
        assert len(store.get_events_batch(max_events=2)) == 2
        print("ready", flush=True)
        sys.stdin.readline()
    """
    with Child(program, path) as child:
        child.wait_until_ready()
        assert numbers(store.get_events_batch()) == [3]
        child.process.kill()
        # It is a zombie until it is waited for, and gone all the same.
        assert until(lambda: store.size() == 2)
        assert numbers(store.get_events_batch()) == [1, 2]


@pytest.mark.long
def test_a_lease_runs_out(path: Path, store: SQLiteEventStore) -> None:
    """A holder that is stopped loses its events to others, and can do no harm when it comes back."""
    add(store, 1, 2)
    program = """
        import sys
        from snowplow_tracker.sqlite_event_store import SQLiteEventStore

        store = SQLiteEventStore(sys.argv[1], lease_seconds=0.3)
        batch = store.get_events_batch()
        print("ready", flush=True)
        sys.stdin.readline()
        store.cleanup(batch, need_retry=False)
        print("ready", flush=True)
        sys.stdin.readline()
    """
    with Child(program, path) as child:
        child.wait_until_ready()
        child.process.send_signal(signal.SIGSTOP)
        assert until(lambda: store.size() == 2)
        batch = store.get_events_batch()
        assert numbers(batch) == [1, 2]
        store.cleanup(batch, need_retry=False)
        add(store, 3, 4)
        child.process.send_signal(signal.SIGCONT)
        child.go()
        child.wait_until_ready()
        assert drain(store) == [3, 4]


@pytest.mark.long
def test_a_living_holder_keeps_its_lease(path: Path, store: SQLiteEventStore) -> None:
    """However long a request takes, nobody else is handed its events, and the holder itself is not either."""
    with opened(path, lease_seconds=0.3) as slow:
        add(store, 1, 2)
        batch = slow.get_events_batch()
        ends = time.monotonic() + 1.0
        while time.monotonic() < ends:
            assert store.get_events_batch() == []
            assert slow.get_events_batch() == []
            assert slow.size() == 0
        slow.cleanup(batch[:1], need_retry=False)
        slow.cleanup(batch[1:], need_retry=True)
        assert drain(store) == [2]


@pytest.mark.long
def test_events_that_nobody_holds_any_more_come_back(path: Path, store: SQLiteEventStore) -> None:
    """What an interrupt kept from the caller of `get_events_batch` is handed out again, soon and to anybody."""
    add(store, 1, 2, 3)
    kept = store.get_events_batch()[1]
    with opened(path) as other:
        assert until(lambda: store.size() == 2)
        assert numbers(other.get_events_batch()) == [1, 3]
    store.cleanup([kept], need_retry=False)
    assert store.remaining() == 2


def test_a_lease_from_before_a_restart_of_the_machine_is_void(
    path: Path, store: SQLiteEventStore
) -> None:
    """The clock of leases starts again with the machine, so a lease from its future is an old one."""
    add(store, 1)
    store.get_events_batch()
    with plain_connection(path) as connection:
        connection.execute("UPDATE lease SET holder = '- - 1 -', granted = 1e12, until = 2e12")
    with opened(path) as other:
        assert numbers(other.get_events_batch()) == [1]


def test_the_identity_of_a_process_outlives_its_number() -> None:
    """Another start time, boot or container under the same number is another process."""
    own = identity.own_identity()
    boot, namespace, pid, started = own.split(" ")
    assert not identity.is_gone(own)
    assert identity.is_gone(f"{boot} {namespace} {pid} {int(started) - 1}")
    assert identity.is_gone(f"another {namespace} {pid} {started}")
    assert not identity.is_gone(f"{boot} another {pid} {started}")
    assert not identity.is_gone(f"- - {pid} -")
    assert not identity.is_gone("something that a later version wrote")


@pytest.mark.long
def test_a_fork_takes_nothing_from_its_parent(path: Path) -> None:
    """Parent and child add and take on their own; a batch that the parent has out stays the parent's."""
    program = """
        import os, sys
        from snowplow_tracker.sqlite_event_store import SQLiteEventStore

        def number(events):
            return [int(event["eid"]) for event in events]

        store = SQLiteEventStore(sys.argv[1])
        for n in range(10):
            store.add_event({"eid": str(n)})
        mine = store.get_events_batch(max_events=4)
        for round in range(20):
            child = os.fork()
            if child == 0:
                store.cleanup(mine, need_retry=False)  # not the child's to settle
                store.add_event({"eid": str(100 + round)})
                batch = store.get_events_batch(max_events=1)
                store.cleanup(batch, need_retry=False)
                os._exit(0 if number(batch) == [4 + round if round < 6 else 94 + round] else 1)
            assert os.waitpid(child, 0)[1] == 0, round
            store.size()
        store.cleanup(mine, need_retry=True)
        assert number(store.get_events_batch()) == [0, 1, 2, 3, *range(114, 120)]
        store.close()
    """
    finished = run_program(program, path)
    assert finished.status == 0, finished.errors


@pytest.mark.long
def test_a_fork_waits_for_threads_that_are_in_the_file(path: Path) -> None:
    """Whatever other threads do at the moment of a fork, parent and child go on, and lose nothing."""
    program = """
        import os, sys, threading
        from snowplow_tracker.sqlite_event_store import SQLiteEventStore

        store = SQLiteEventStore(sys.argv[1])
        stop = threading.Event()
        added = [0, 0]

        def work(index):
            while not stop.is_set():
                added[index] += store.add_event({"eid": "thread"})

        threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
        for each in threads:
            each.start()
        for _ in range(50):
            child = os.fork()
            if child == 0:
                os._exit(0 if store.add_event({"eid": "child"}) and store.size() else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for each in threads:
            each.join()
        assert store.size() == 50 + sum(added), (store.size(), added)
        store.close()
    """
    finished = run_program(program, path, deadline=60)
    assert finished.status == 0, finished.errors


# With emitters -----------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("emitter_class", [Emitter, AsyncEmitter])
def test_what_one_emitter_queued_another_one_delivers(path: Path, emitter_class: Any) -> None:
    """An outage and an end of the program later, all events arrive, each once."""
    with opened(path) as store:
        emitter = Emitter("127.0.0.1:9", protocol="http", event_store=store, exit_timeout=0)
        emitter._schedule_retry = lambda: None  # nothing is on its way when it is closed
        eids = track_many(emitter, 1_200)
        assert emitter.close(timeout=0) == 1_200
    with Collector() as collector, opened(path) as store:
        with emitter_class(collector.endpoint, event_store=store) as emitter:
            assert emitter.sync_flush(timeout=30) == 0
        assert sorted(each.event_id for each in collector.good) == sorted(eids)
        assert store.size() == 0


@pytest.mark.long
@pytest.mark.slow
def test_the_backlog_of_an_outage_is_delivered_in_constant_memory(path: Path) -> None:
    """50,000 events left over go out from a fresh process that never holds more than a batch of them."""
    body = json.dumps(payload(tna="backlog", url="https://example.com/" + "x" * 200))
    with opened(path):
        pass
    with plain_connection(path) as connection:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO event (body) VALUES (?)",
            (
                (body.replace(json.loads(body)["eid"], f"00000000-0000-4000-8000-{n:012}"),)
                for n in range(50_000)
            ),
        )
        connection.execute("COMMIT")
    program = """
        import resource, sys
        from snowplow_tracker import AsyncEmitter
        from snowplow_tracker.sqlite_event_store import SQLiteEventStore

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        store = SQLiteEventStore(sys.argv[1])
        emitter = AsyncEmitter(sys.argv[2], event_store=store)
        while store.size() > 45_000:
            before = store.size()
            emitter.sync_flush(timeout=0.05)
        early = peak()
        assert emitter.sync_flush(timeout=120) == 0
        print((peak() - early) // 1024)
        emitter.close()
    """
    with Collector() as collector:
        seen: set = set()
        stop = threading.Event()

        def count() -> None:
            while not stop.wait(0.2):
                seen.update(each.event_id for each in collected(collector))

        counter = threading.Thread(target=count)
        counter.start()
        try:
            finished = run_program(program, path, collector.endpoint, deadline=150)
        finally:
            stop.set()
            counter.join()
        seen.update(each.event_id for each in collected(collector))
    assert finished.status == 0, finished.errors
    assert len(seen) == 50_000
    # All of these events would take more than 25 MB.
    assert int(finished.output) < 15, finished.output


PRODUCER = """
    import logging, os, sys
    logging.basicConfig()
    from snowplow_tracker import Emitter, PageView, Tracker
    from snowplow_tracker.sqlite_event_store import SQLiteEventStore

    path, record, first, end = sys.argv[1:]
    store = SQLiteEventStore(path, lock_timeout=30)
    emitter = Emitter("127.0.0.1:9", event_store=store, enqueue_only=True)
    tracker = Tracker("producer", emitter)
    file = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(int(first), int(end)):
        eid = tracker.track(PageView("https://example.com/", str(number)))
        assert emitter.stats().dropped == {}, emitter.stats()
        os.write(file, f"{number} {eid}\\n".encode())
"""

SENDER = """
    import sys, time
    from snowplow_tracker import Emitter
    from snowplow_tracker.sqlite_event_store import SQLiteEventStore

    path, endpoint = sys.argv[1:]
    emitter = Emitter(endpoint, event_store=SQLiteEventStore(path, lock_timeout=30), max_request_events=50)
    while True:
        if not emitter.sync_flush(timeout=5):
            time.sleep(0.01)
"""


@pytest.mark.long
@pytest.mark.slow
def test_kill_9_loses_no_event_whose_track_returned(path: Path, tmp_path: Path) -> None:
    """Four producers of 1,500 events each, and two senders, all killed at random again and again: every event arrives."""
    import random

    chance = random.Random(4)
    per_producer = 1_500
    ends = [(n + 1) * per_producer for n in range(4)]
    records = [tmp_path / f"tracked-{n}" for n in range(4)]

    def next_number(producer: int) -> int:
        lines = tracked(records[producer])
        return lines[-1][0] + 1 if lines else producer * per_producer

    def start_producer(n: int) -> Child:
        return Child(PRODUCER, path, records[n], next_number(n), ends[n])

    with Collector() as collector, contextlib.ExitStack() as stack:
        producers = {n: stack.enter_context(start_producer(n)) for n in range(4)}
        senders = [stack.enter_context(Child(SENDER, path, collector.endpoint)) for _ in range(2)]
        kills = 0
        deadline = time.monotonic() + 120
        while producers:
            assert time.monotonic() < deadline
            time.sleep(chance.uniform(0.01, 0.06))  # the moment of a kill is the test's own chance
            for n, child in list(producers.items()):
                if child.process.poll() == 0:
                    del producers[n]
            if producers and kills < 30:
                n = chance.choice(list(producers))
                producers[n].kill()
                producers[n] = stack.enter_context(start_producer(n))
                kills += 1
            if chance.random() < 0.4:
                n = chance.randrange(2)
                senders[n].kill()
                senders[n] = stack.enter_context(Child(SENDER, path, collector.endpoint))
                kills += 1
        assert kills >= 10
        for child in senders:
            child.kill()
        with opened(path) as store:
            assert Emitter(collector.endpoint, event_store=store).sync_flush(timeout=60) == 0
        arrived: Dict[str, List[str]] = {}
        for each in collected(collector):
            arrived.setdefault(each["page"], []).append(each["eid"])

    returned = [line for record in records for line in tracked(record)]
    assert len(returned) == 6_000
    missing = [number for number, eid in returned if eid not in arrived.get(str(number), ())]
    assert missing == []
    # A producer killed between track() and its record tracks that event again: that is a new event.
    kills_per_event = {page: len(set(eids)) for page, eids in arrived.items() if len(set(eids)) > 1}
    assert sum(kills_per_event.values()) - len(kills_per_event) <= kills


def tracked(record: Path) -> List[Any]:
    """Read which numbers were tracked under which id; a line that a kill cut off was not written."""
    if not record.exists():
        return []
    lines = record.read_text().split("\n")[:-1]
    return [(int(number), eid) for number, eid in (line.split() for line in lines)]


def collected(collector: Collector) -> List[Any]:
    """Take what arrived out of the collector."""
    return [each for request in collector.take() if request.accepted for each in request.events]


_Child = TypeVar("_Child", bound="Child")


class Child:
    """A program in a process of its own, which can be waited for, told to go on, and killed."""

    def __init__(self, source: str, *arguments: object) -> None:
        import textwrap

        import snowplow_tracker

        package = str(Path(snowplow_tracker.__file__).resolve().parent.parent)
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": package},
        )

    def __enter__(self: _Child) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
