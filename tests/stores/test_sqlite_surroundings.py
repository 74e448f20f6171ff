"""What is done to the file of a queue, and around it, while it is open."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from snowplow_tracker.sqlite_event_store import SQLiteEventStore
from support.inside import sqlite_file
from support.processes import run_program
from support.tracking import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def lost() -> List[Tuple[int, str]]:
    return []


@pytest.fixture
def store(path: Path, lost: List[Tuple[int, str]]) -> Iterator[SQLiteEventStore]:
    store = SQLiteEventStore(path, lock_timeout=0.3)
    store.lost_listener = lambda *told: lost.append(told)
    yield store
    store.close()


def add(store: SQLiteEventStore, *numbers: int, **pairs: Any) -> List[bool]:
    return [store.add_event({"eid": f"id-{number}", **pairs}) for number in numbers]


def numbers(events: List[Dict[str, Any]]) -> List[int]:
    return [int(each["eid"][3:]) for each in events]


def drain(store: SQLiteEventStore) -> List[int]:
    found: List[int] = []
    while True:
        batch = store.get_events_batch()
        if not batch:
            return found
        found += numbers(batch)
        store.cleanup(batch, need_retry=False)


def _delete(path: Path) -> None:
    path.unlink()


def _delete_all(path: Path) -> None:
    for each in path.parent.glob("events.db*"):
        each.unlink()


def _move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def _replace(path: Path) -> None:
    other = path.with_name("other.db")
    SQLiteEventStore(other).close()
    other.replace(path)


def _replace_with_nothing(path: Path) -> None:
    path.with_name("empty").touch()
    path.with_name("empty").replace(path)


@pytest.mark.parametrize("harm", [_delete, _delete_all, _move, _replace, _replace_with_nothing])
def test_a_file_that_went_away_is_noticed_by_the_next_event(
    path: Path,
    store: SQLiteEventStore,
    lost: List[Any],
    caplog: pytest.LogCaptureFixture,
    harm: Any,
) -> None:
    """The next event is in the file that is there now, and what went with the old one is counted and logged once."""
    add(store, 1, 2, 3)
    harm(path)
    assert add(store, 4, 5) == [True, True]
    assert store.size() == 2
    other = SQLiteEventStore(path)
    assert drain(other) == [4, 5]
    other.close()
    assert [count for count, _ in lost] == [3]
    told = [each.getMessage() for each in caplog.records if "lost" in each.getMessage()]
    assert len(told) == 1
    assert "3 events in it are lost" in told[0]
    assert str(path) in told[0]


def test_the_log_of_a_new_file_is_not_taken_for_that_of_the_one_that_is_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file system gives the number of the old log to the new one, what another process added there stays."""
    monkeypatch.setattr(
        sqlite_file, "_identity", lambda name: (1, 1) if Path(name).exists() else None
    )
    store = SQLiteEventStore(path)
    add(store, 1)
    drain(store)
    _delete_all(path)
    disconnect = sqlite_file.SQLiteFile.disconnect

    def disconnect_slowly(file: Any) -> None:
        disconnect(file)
        monkeypatch.setattr(sqlite_file.SQLiteFile, "disconnect", disconnect)
        source = (
            "import os, sys; from snowplow_tracker.sqlite_event_store import SQLiteEventStore as Store;"
            "store = Store(sys.argv[1]);"
            "os._exit(not all(store.add_event({'eid': f'id-{number}'}) for number in (2, 3)))"
        )
        subprocess.run([sys.executable, "-c", source, path], check=True)

    monkeypatch.setattr(sqlite_file.SQLiteFile, "disconnect", disconnect_slowly)
    assert drain(store) == [2, 3]
    store.close()


def test_events_that_are_out_when_the_file_goes_are_kept(
    path: Path, store: SQLiteEventStore, lost: List[Any]
) -> None:
    """What a process was sending from a file that is gone is neither lost nor counted as lost: it is known here."""
    add(store, 1, 2, 3, 4)
    batch = store.get_events_batch(max_events=3)
    store.cleanup(batch[:1], need_retry=False)
    path.unlink()
    add(store, 5)
    assert [count for count, _ in lost] == [1]
    store.cleanup(batch[1:2], need_retry=False)
    store.cleanup(batch[2:], need_retry=True)
    assert drain(store) == [5, 3]


def test_a_file_that_goes_while_it_is_looked_at(
    path: Path, store: SQLiteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is deleted between two looks at it does not raise, and the next events are in a new one."""
    add(store, 1, 2, 3)
    look = os.stat

    def look_and_delete(name: Any, **options: Any) -> os.stat_result:
        status = look(name, **options)
        if str(name) == str(path):
            monkeypatch.setattr(os, "stat", look)
            path.unlink()
        return status

    os.truncate(path, 600)
    monkeypatch.setattr(os, "stat", look_and_delete)
    add(store, 4)
    assert os.stat is look
    assert add(store, 5, 6) == [True, True]
    assert drain(store)[-2:] == [5, 6]


def test_a_folder_that_went_away_refuses_events_until_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing raises, the log says it once, and the queue works again by itself."""
    folder = tmp_path / "folder"
    folder.mkdir()
    store = SQLiteEventStore(folder / "events.db")
    add(store, 1)
    shutil.rmtree(folder)
    assert add(store, 2, 3) == [False, False]
    assert store.get_events_batch() == []
    assert store.failing
    folder.mkdir()
    assert add(store, 4) == [True]
    assert not store.failing
    assert drain(store) == [4]
    store.close()
    assert sum("could not be added" in each.getMessage() for each in caplog.records) == 1


def _truncate(path: Path) -> None:
    os.truncate(path, 0)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def _overwrite(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(os.urandom(size))


def _scribble(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4_096 * 3)
        file.write(b"\xff" * 4_096 * 3)


@pytest.mark.long
@pytest.mark.parametrize("harm", [_truncate, _cut, _overwrite, _scribble])
def test_a_file_that_was_damaged_is_set_aside(
    path: Path,
    store: SQLiteEventStore,
    lost: List[Any],
    caplog: pytest.LogCaptureFixture,
    harm: Any,
) -> None:
    """Within a second or so a sound file takes its place; the damaged one is kept, and events are never refused."""
    add(store, *range(2_000), x="y" * 100)
    connection = sqlite3.connect(str(path))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    assert drain(store) == [*range(2_000)]
    add(store, *range(2_000), x="y" * 100)
    connection = sqlite3.connect(str(path))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    harm(path)

    def is_set_aside() -> bool:
        assert add(store, 7) == [True]
        time.sleep(0.02)  # events come now and then
        return bool([*path.parent.glob("events.db.damaged-*")])

    assert until(is_set_aside)
    last = store.add_event({"eid": "id-9000"})
    assert last
    other = SQLiteEventStore(path)
    assert 9000 in drain(other)
    other.close()
    assert lost
    assert "damaged" in caplog.text


@pytest.mark.long
def test_files_beside_it_that_were_deleted_cost_nothing(
    path: Path, store: SQLiteEventStore
) -> None:
    """Without its write-ahead log, all that was accepted is in the file all the same."""
    add(store, 1, 2)
    for name in ("events.db-wal", "events.db-shm", "events.db-reserve"):
        path.with_name(name).unlink()

    def log_is_back() -> bool:
        add(store, 3)
        time.sleep(0.02)  # events come now and then
        return path.with_name("events.db-wal").exists()

    assert until(log_is_back)
    store.close()
    other = SQLiteEventStore(path)
    assert set(drain(other)) >= {1, 2, 3}
    other.close()


def test_a_file_whose_permissions_were_taken_goes_on(path: Path, store: SQLiteEventStore) -> None:
    """What is open stays open: nothing is refused, nothing lost."""
    add(store, 1)
    path.chmod(0)
    assert add(store, 2) == [True]
    path.chmod(0o600)
    assert drain(store) == [1, 2]


@pytest.mark.parametrize("name", [":memory:", "", "file::memory:", "file:events.db?mode=ro"])
def test_a_queue_that_would_not_last_is_refused(name: str) -> None:
    """A path that names no file on a disk is an error at once that names the argument."""
    with pytest.raises(ValueError, match="path"):
        SQLiteEventStore(name)


# Disks


FULL_DISK = """
    import os, sys, time
    from snowplow_tracker.sqlite_event_store import SQLiteEventStore

    store = SQLiteEventStore(sys.argv[1])
    folder = os.path.dirname(sys.argv[1])
    accepted = 0
    while store.add_event({"eid": str(accepted), "x": "y" * 800}):
        accepted += 1
    assert not store.add_event({"eid": "more", "x": "y" * 5000})
    assert accepted > 500, accepted
    delivered = []
    deadline = time.monotonic() + 60
    while store.remaining() and time.monotonic() < deadline:
        batch = store.get_events_batch(max_events=200)
        delivered += [int(event["eid"]) for event in batch]
        store.cleanup(batch, need_retry=False)
    assert delivered == list(range(accepted)), (len(delivered), accepted)
    assert store.add_event({"eid": "after"})
    assert store.size() == 1
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    print(accepted, free)
    store.close()
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.long
def test_a_full_disk_is_freed_by_delivery(small_disk: Path) -> None:
    """Where nothing can be written any more, events are refused, those in the queue go out, and the space comes back."""
    finished = run_program(FULL_DISK, small_disk / "events.db", deadline=120)
    assert finished.status == 0, finished.errors
    assert int(finished.output.split()[1]) > 1_000_000


def test_a_disk_that_others_filled_does_not_stop_delivery(small_disk: Path) -> None:
    """Events go out, each once, although not a byte is left for the queue's own notes."""
    store = SQLiteEventStore(small_disk / "events.db")
    add(store, *range(300), x="y" * 500)
    with (small_disk / "other").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"x" * 1_024)
            except OSError:
                break
    (small_disk / "events.db-reserve").unlink()
    with (small_disk / "more").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"x" * 1_024)
            except OSError:
                break
    found: List[int] = []
    for _ in range(10):
        batch = store.get_events_batch(max_events=100)
        found += numbers(batch)
        store.cleanup(batch, need_retry=False)
    assert found == list(range(300))
    (small_disk / "other").unlink()
    (small_disk / "more").unlink()
    assert until(lambda: store.add_event({"eid": "id-1000"}))
    assert drain(store) == [1_000]
    store.close()


@pytest.mark.long
def test_a_file_that_may_not_grow_does_not_stop_delivery(path: Path) -> None:
    """Where a limit on the size of files lets nothing be written, events go out, each once, and are forgotten later."""
    program = """
        import resource, signal, sys
        from snowplow_tracker.sqlite_event_store import SQLiteEventStore

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_200_000, most))
        store = SQLiteEventStore(sys.argv[1])
        accepted = 0
        while store.add_event({"eid": str(accepted), "x": "y" * 800}):
            accepted += 1
        assert accepted > 500, accepted
        delivered = []
        for _ in range(accepted // 200 + 2):
            batch = store.get_events_batch(max_events=200)
            delivered += [int(event["eid"]) for event in batch]
            store.cleanup(batch, need_retry=False)
        assert delivered == list(range(accepted)), (len(delivered), accepted)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        store.cleanup([], need_retry=False)
        assert store.remaining() == 0, store.remaining()
        assert store.add_event({"eid": "after"})
        assert store.size() == 1
        store.close()
    """
    finished = run_program(program, path, deadline=120)
    assert finished.status == 0, finished.errors


@pytest.mark.long
def test_the_log_is_bounded_while_somebody_reads(
    path: Path, store: SQLiteEventStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A reader that does not stop costs new events in the end, said once, not the disk; and delivery goes on."""
    add(store, 1)
    reader = sqlite3.connect(str(path), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM event").fetchall()
    refused = 0
    for number in range(2, 12_000):
        if not store.add_event({"eid": f"id-{number}", "x": "y" * 3_000}):
            refused += 1
            if refused == 3:
                break
    assert refused == 3
    assert path.with_name("events.db-wal").stat().st_size < 20_000_000
    batch = store.get_events_batch(max_events=10)
    assert numbers(batch) == list(range(1, 11))
    store.cleanup(batch, need_retry=False)
    reader.execute("COMMIT")
    reader.close()
    assert add(store, 20_000) == [True]
    assert path.with_name("events.db-wal").stat().st_size < 5_000_000
    told = [each.getMessage() for each in caplog.records if "write-ahead log" in each.getMessage()]
    assert len(told) == 1


# Entries and waits


def test_an_entry_that_cannot_be_read_is_lost_alone(
    path: Path, store: SQLiteEventStore, lost: List[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Deeply nested, cut off, of another type or not text: each is dropped, counted and logged, and nothing else is."""
    poison = [
        "[" * 100_000,
        '{"eid": "id-2',
        "[1]",
        '{"a": 1}, {"b": 2}',
        b"\xff\xfe\x00",
        "null",
        5,
    ]
    connection = sqlite3.connect(str(path), isolation_level=None)
    for number, body in enumerate(poison):
        add(store, number)
        connection.execute("INSERT INTO event (body) VALUES (?)", (body,))
    connection.close()
    add(store, 100)
    assert drain(store) == [*range(len(poison)), 100]
    assert (store.size(), store.remaining()) == (0, 0)
    assert sum(count for count, _ in lost) == len(poison)
    assert f"{len(poison)} events" in caplog.text


def test_a_batch_of_nothing_but_poison_does_not_look_like_an_empty_queue(
    path: Path, store: SQLiteEventStore
) -> None:
    """What comes behind it is handed out by the same call."""
    connection = sqlite3.connect(str(path), isolation_level=None)
    for _ in range(30):
        connection.execute("INSERT INTO event (body) VALUES ('x')")
    connection.close()
    add(store, 1)
    assert numbers(store.get_events_batch(max_events=10)) == [1]


@pytest.mark.long
def test_threads_wait_no_longer_than_is_documented(path: Path) -> None:
    """With 16 threads and a file that somebody else has locked, each call ends in its own time."""
    store = SQLiteEventStore(path, lock_timeout=0.5)
    other = sqlite3.connect(str(path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits: List[float] = []

    def work() -> None:
        for number in range(3):
            started = time.monotonic()
            assert not store.add_event({"eid": str(number)})
            waits.append(time.monotonic() - started)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    other.execute("ROLLBACK")
    other.close()
    assert max(waits) < 1.2
    assert sorted(waits)[len(waits) // 2] < 0.4
    store.close()


@pytest.mark.long
def test_leases_in_a_copy_that_replaces_the_file_expire(path: Path) -> None:
    """The events that the store was sending when the file was copied are leased from the copy after `lease_seconds`."""
    store = SQLiteEventStore(path, lease_seconds=1)
    add(store, 1, 2)
    batch = store.get_events_batch(max_events=1)
    copy = path.with_name("copy")
    source, target = sqlite3.connect(path), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()
    copy.replace(path)
    store.cleanup(batch, need_retry=False)
    found: List[int] = []

    def nothing_remains() -> bool:
        found.extend(drain(store))
        return store.remaining() == 0

    until(nothing_remains)
    assert found == [2, 1]
    store.close()
