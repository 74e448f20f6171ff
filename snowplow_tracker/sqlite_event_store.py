"""A queue in a file: events outlive the process, and several processes share them."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sqlite3
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from itertools import count, repeat
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Literal,
    Optional,
    Set,
    Tuple,
    Union,
)

from snowplow_tracker._process_identity import is_gone, own_identity
from snowplow_tracker.contracts import one_of
from snowplow_tracker.event_store import OVERFLOW_POLICIES, EventStore, Overflow
from snowplow_tracker.typing import PayloadDict, PayloadDictList

__all__ = ["SQLiteEventStore", "SQLiteStoreError"]

logger = logging.getLogger("snowplow_tracker.emitters")

DEFAULT_CAPACITY = 1_000_000
DEFAULT_MAX_BYTES = 1_000_000_000
DEFAULT_LEASE_SECONDS = 60.0
DEFAULT_LOCK_TIMEOUT = 5.0

if TYPE_CHECKING:
    _StrPath = Union[str, os.PathLike[str]]
else:
    _StrPath = Union[str, os.PathLike]  # what 3.8 can read at run time

Durability = Literal["process", "machine"]
# What SQLite calls the two: when it waits for the disk. A write is with the system, and so outlives the process, in
# either case.
_SYNCHRONOUS = {"process": "NORMAL", "machine": "FULL"}

_APPLICATION_ID = 0x536E7071
"""Marks the file as ours ("Snpq") in the field that SQLite has for it."""
_SCHEMA_VERSION = 1
_SCHEMA = (
    # The queue: an event that is in here has not been delivered. It goes out in the order of ids.
    "CREATE TABLE event (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
    # Ranges of ids that are being sent, and by whom. They never overlap.
    """CREATE TABLE lease (
        first_id INTEGER PRIMARY KEY, last_id INTEGER NOT NULL, events INTEGER NOT NULL,
        holder TEXT NOT NULL, batch INTEGER NOT NULL, granted REAL NOT NULL, until REAL NOT NULL)""",
    # Counting a million rows takes 20 ms, reading this number a few microseconds.
    "CREATE TABLE total (events INTEGER NOT NULL)",
    "INSERT INTO total VALUES (0)",
    "CREATE TRIGGER added AFTER INSERT ON event BEGIN UPDATE total SET events = events + 1; END",
    "CREATE TRIGGER removed AFTER DELETE ON event BEGIN UPDATE total SET events = events - 1; END",
)

_WAITING = "(SELECT events FROM total) - (SELECT coalesce(sum(events), 0) FROM lease)"
# One statement, and so one commit: 20 us, where BEGIN, three statements and COMMIT would be 35.
_ADD = f"INSERT INTO event (body) SELECT ? WHERE {_WAITING} < ?"
_SIZE = f"SELECT {_WAITING}"

_MOST_EVENTS = 1_000
"""How many events a batch holds at most when nobody says: memory does not grow with the backlog."""
_PAGE_BYTES = 4_096
_SMALLEST_DATABASE = 512
_LARGEST_CHECKED_FILE = 32_000_000
"""Bytes. Up to here the whole file is looked through when it is opened, at about 1 GB/s."""
_LARGEST_WAL = 4_000_000
_LOCK_TIMEOUT_WHILE_FAILING = 0.05
_SPARE_PAGES = 256
"""Free pages that the file keeps for the next events; giving back and taking again would cost more."""
_PAGES_GIVEN_BACK_AT_ONCE = 2_000
"""Gives back 8 MB in about 10 ms: nobody waits longer for the file than that."""
_PAGES_OF_ONE_EVENT = 256
"""More than an event that a request can hold ever takes."""
_ROUNDS_TO_MAKE_ROOM = 100
_LOOK_AT_HOLDERS_INTERVAL = 1.0
_LOOK_FOR_ROOM_INTERVAL = 0.02
"""Seconds. Nothing wakes this process when another one makes room."""

_BEYOND_ALL_IDS = 1 << 62
_EVICTED_AT_ONCE = 16
"""Events thrown out when the file, not the capacity, is the limit: about what a page or two hold."""

_Row = Tuple[int, str]
_Run = Tuple[int, int, int]
"""The first and last id of a range, and the number of events in it."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


class SQLiteStoreError(Exception):
    """The file cannot be used as a queue: it is something else, damaged, or cannot be opened."""


class _Lease:
    """Events that this store handed out, until each has its fate."""

    __slots__ = ("batch", "open")

    def __init__(self, batch: int, rows: Iterable[int]) -> None:
        self.batch = batch
        self.open: Set[int] = set(rows)


class SQLiteEventStore(EventStore):
    """A bounded first-in, first-out queue in an SQLite file that threads, processes and forks may share.

    What is promised:

    - An event whose `track()` returned survives the end of the process in any form, `kill -9` included. It goes out
      from another process that uses the file, or from the next one.
    - With `durability="process"`, the default, a crash of the machine (power, kernel) may take with it what was added
      in the seconds before; the file stays sound. With `durability="machine"` each event is on the disk, as far as
      the disk keeps its word, before `track()` returns: that takes as long as the disk needs.
    - Events are delivered at least once. Those that a process was sending when it died are sent again, under the same
      event id; the same goes for what was delivered just before the machine crashed.
    - Events that are handed out are leased. Another process takes them over at once when their holder is gone, and
      after `lease_seconds` when that cannot be told (a container with its own process numbers, a system without
      ``/proc``) or the holder hangs.
    - A full disk, or a file that somebody else keeps locked, never raises out of `add_event`: it answers False, and
      the log says so once.

    The file must be on a local disk, since SQLite's write-ahead log needs memory that all its users share. It is made
    readable for its owner only; make an empty file with other permissions to have them otherwise. Two more files are
    beside it, of the same name with ``-wal`` and ``-shm``: they are part of it.

    Args:
        path: Where the file is, or is to be made. Its directory must exist.
        buffer_capacity: How many events may wait, those of all processes counted. Events that were handed out do not
            count.
        overflow: Same as for `InMemoryEventStore`.
        overflow_timeout: Same as for `InMemoryEventStore`.
        max_bytes: How large the file may become; then the overflow policy decides as well. The write-ahead log beside
            it takes some 4 MB more. Space is given back as events are delivered.
        lease_seconds: How long a batch stays with its holder if nothing tells that the holder is gone. Choose it
            longer than a request may take.
        lock_timeout: Seconds to wait for other processes that write to the file. If they take longer, no later call
            waits for more than 0.05 seconds until it works again.
        durability: `"process"` or `"machine"`, see above.

    Raises:
        ValueError: An argument is out of range.
        SQLiteStoreError: The file is not a queue of ours, is damaged or cannot be opened. It is left as it is.

    .. versionadded:: 1.2.0
    """

    durable = True
    thread_safe = True

    def __init__(
        self,
        path: _StrPath,
        *,
        buffer_capacity: int = DEFAULT_CAPACITY,
        overflow: Overflow = "drop_newest",
        overflow_timeout: float = 1.0,
        max_bytes: int = DEFAULT_MAX_BYTES,
        lease_seconds: float = DEFAULT_LEASE_SECONDS,
        lock_timeout: float = DEFAULT_LOCK_TIMEOUT,
        durability: Durability = "process",
    ) -> None:
        if buffer_capacity < 1:
            raise ValueError("buffer_capacity must be greater than 0.")
        one_of(overflow, OVERFLOW_POLICIES, name="overflow")
        one_of(durability, _SYNCHRONOUS, name="durability")
        if overflow_timeout < 0:
            raise ValueError("overflow_timeout must not be negative.")
        if max_bytes < 16 * _PAGE_BYTES:
            raise ValueError(f"max_bytes must be at least {16 * _PAGE_BYTES}.")
        if lease_seconds <= 0:
            raise ValueError("lease_seconds must be greater than 0.")
        if lock_timeout < 0:
            raise ValueError("lock_timeout must not be negative.")
        # Absolute, since it is opened again after a fork, and the program may have changed its directory by then.
        self.path = str(Path(path).absolute())
        self.buffer_capacity = buffer_capacity
        self.overflow: Overflow = overflow
        self.overflow_timeout = overflow_timeout
        self.overflow_listener: Optional[Callable[[PayloadDictList], None]] = None
        self.max_bytes = max_bytes
        self.lease_seconds = lease_seconds
        self.lock_timeout = lock_timeout
        self.durability = durability
        self._looked_through = False
        self._start()
        with self._lock:
            self._connected()
        _stores.add(self)

    def _start(self) -> None:
        """Set up what belongs to one process."""
        self._pid = os.getpid()
        self._holder = f"{own_identity()}/{secrets.token_hex(8)}"
        self._lock = threading.Lock()
        self._room = threading.Condition()
        self._connection: Optional[sqlite3.Connection] = None
        self._batches = count(1)
        # Events that are out, by identity: callbacks may change what is in them, and two may be equal.
        self._handed: Dict[int, Tuple[PayloadDict, int, _Lease]] = {}
        # What has its fate but is not yet noted in the file, by lease: the ids to be forgotten.
        self._fates: Dict[_Lease, List[int]] = {}
        self._next_look_at_holders = 0.0
        self._refused = 0
        self._uncountable = False
        self.failing = False

    # The protocol --------------------------------------------------------------------------------------------------

    def add_event(self, payload: PayloadDict) -> bool:
        """Write an event to the file, or answer False: there is no room for it, or the file does not take it."""
        body = _encode(payload)
        try:
            with self._lock:
                added = self._insert(body)
            added = added or self._add_when_full(body)
        except (sqlite3.Error, SQLiteStoreError) as error:
            self._refused += 1
            self._failed("An event could not be added to", error)
            return False
        if self.failing:
            self._recovered()
        return added

    def get_events_batch(self, *, max_events: Optional[int] = None) -> PayloadDictList:
        """Lease the events that waited longest.

        Args:
            max_events: How many to hand out at most; 1,000 if None.

        Returns:
            The events; none if the file cannot be read now.
        """
        most = _MOST_EVENTS if max_events is None else max_events
        try:
            with self._transaction() as connection:
                self._release_lost_leases(connection)
                rows, runs = _oldest_waiting(connection, most)
                lease = _Lease(next(self._batches), (row for row, _ in rows))
                self._write_lease(connection, lease, runs)
        except (sqlite3.Error, SQLiteStoreError) as error:
            self._failed("No events could be read from", error)
            return []
        return self._hand_out(rows, lease)

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Forget events that were handed out, or let them wait again, in their old place."""
        with self._lock:
            for event in batch:
                self._note_fate(event, forget=not need_retry)
        try:
            with self._transaction():
                pass  # every transaction writes down what is noted
            if not need_retry:
                with self._lock:
                    _give_back_pages(self._connected(), keep=_SPARE_PAGES)
        except (sqlite3.Error, SQLiteStoreError) as error:
            # It stays noted for the next transaction.
            self._failed("The fate of events could not be noted in", error)
        with self._room:
            self._room.notify_all()

    def size(self) -> int:
        """Return the number of events that wait, those of all processes counted."""
        return self._counted(_SIZE) or 0

    def remaining(self) -> Optional[int]:
        """Return the number of events that are not delivered, those included that are being sent now.

        None while the file cannot be read.
        """
        return self._counted("SELECT events FROM total")

    def _counted(self, query: str) -> Optional[int]:
        try:
            with self._lock:
                connection = self._connected()
                if time.monotonic() >= self._next_look_at_holders:
                    self._release_lost_leases(connection)
                number: int = connection.execute(query).fetchone()[0]
        except (sqlite3.Error, SQLiteStoreError) as error:
            self._uncountable = True
            self._failed("The events could not be counted in", error)
            return None
        if (
            self._uncountable
        ):  # to be able to read says nothing about writing, if that was the trouble
            self._uncountable = False
            self._recovered()
        return number

    def reset_after_fork(self) -> None:
        """Start anew in a forked child: what the parent is sending is the parent's to settle."""
        if self._pid != os.getpid():
            self._start()

    def close(self) -> None:
        """Give back space that is not needed, and close the file. To use the store again opens it again."""
        with self._lock:
            if self._connection is None:
                return
            try:
                _give_back_pages(self._connection, keep=0)
            except sqlite3.Error as error:
                logger.debug("%s could not be made smaller: %s", self.path, error)
            self._disconnect()

    # Adding --------------------------------------------------------------------------------------------------------

    def _insert(self, body: str) -> bool:
        """Add an event unless the capacity or the size of the file is reached."""
        connection = self._connected()
        try:
            return connection.execute(_ADD, (body, self.buffer_capacity)).rowcount > 0
        except sqlite3.OperationalError:
            if _at_largest_size(connection):
                return False
            raise

    def _add_when_full(self, body: str) -> bool:
        if self.overflow == "block":
            added = self._wait_for_room(body)
        elif self.overflow == "drop_oldest":
            added = self._replace_oldest(body)
        else:
            added = False
        if not added and self.overflow_listener is None:
            logger.error("The event queue %s is full: an event was dropped.", self.path)
        return added

    def _wait_for_room(self, body: str) -> bool:
        deadline = time.monotonic() + self.overflow_timeout
        while True:
            rest = deadline - time.monotonic()
            if rest <= 0:
                return False
            with self._room:
                self._room.wait(min(rest, _LOOK_FOR_ROOM_INTERVAL))
            with self._lock:
                if self._insert(body):
                    return True

    def _replace_oldest(self, body: str) -> bool:
        evicted: List[_Row] = []
        added = False
        try:
            # Another process may be quicker to use the room; and to empty a page can take more than one round.
            for _ in range(_ROUNDS_TO_MAKE_ROOM):
                with self._transaction() as connection:
                    excess = _waiting(connection) - self.buffer_capacity + 1
                    most = min(excess, _MOST_EVENTS) if excess > 0 else _EVICTED_AT_ONCE
                    rows, runs = _oldest_waiting(connection, most)
                    _remove(connection, runs)
                evicted += rows
                with self._lock:
                    added = self._insert(body)
                if added or not rows:
                    break
        finally:
            if evicted:
                self._report([event for _, event in _decoded(evicted)])
        return added

    def _report(self, evicted: PayloadDictList) -> None:
        if self.overflow_listener is not None:
            self.overflow_listener(evicted)
        else:
            logger.error(
                "The event queue %s is full: %d events were dropped.", self.path, len(evicted)
            )

    # Leasing -------------------------------------------------------------------------------------------------------

    def _write_lease(
        self, connection: sqlite3.Connection, lease: _Lease, runs: Iterable[_Run]
    ) -> None:
        now = time.monotonic()
        connection.executemany(
            "INSERT INTO lease VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*run, self._holder, lease.batch, now, now + self.lease_seconds) for run in runs],
        )

    def _hand_out(self, rows: List[_Row], lease: _Lease) -> PayloadDictList:
        decoded = _decoded(rows)
        events = [event for _, event in decoded]
        ids = [row for row, _ in decoded]
        with self._lock:
            self._handed.update(zip(map(id, events), zip(events, ids, repeat(lease))))
            if len(ids) < len(rows):
                damaged = lease.open.difference(ids)
                logger.error(
                    "%d events in %s cannot be read: they are lost.", len(damaged), self.path
                )
                lease.open.intersection_update(ids)
                self._fates.setdefault(lease, []).extend(damaged)
        return events

    def _note_fate(self, event: PayloadDict, *, forget: bool) -> None:
        entry = self._handed.pop(id(event), None)
        if entry is None:
            entry = self._handed_as_copy(event)
            if entry is None:
                return
        _, row, lease = entry
        lease.open.discard(row)
        rows = self._fates.setdefault(lease, [])
        if forget:
            rows.append(row)

    def _handed_as_copy(self, event: PayloadDict) -> Optional[Tuple[PayloadDict, int, _Lease]]:
        """Find the event of which somebody, such as an overridden `send_events`, gives back a copy."""
        eid = event.get("eid")
        for key, entry in self._handed.items():
            if eid is not None and entry[0].get("eid") == eid:
                return self._handed.pop(key)
        return None

    def _write_fates(self, connection: sqlite3.Connection) -> None:
        for lease, rows in self._fates.items():
            still_ours = connection.execute(
                "DELETE FROM lease WHERE holder = ? AND batch = ?", (self._holder, lease.batch)
            ).rowcount
            # A lease that ran out belongs to somebody else, and its ids may stand for other events by now.
            if still_ours:
                _remove(connection, _runs(rows))
                self._write_lease(connection, lease, _runs(lease.open))

    def _release_lost_leases(self, connection: sqlite3.Connection) -> None:
        """Let events wait again whose holder is gone, or has held them for too long."""
        now = time.monotonic()
        self._next_look_at_holders = now + _LOOK_AT_HOLDERS_INTERVAL
        holders = connection.execute(
            "SELECT holder, min(until), max(granted) FROM lease GROUP BY holder"
        ).fetchall()
        for holder, until, granted in holders:
            if holder != self._holder and is_gone(holder.partition("/")[0]):
                connection.execute("DELETE FROM lease WHERE holder = ?", (holder,))
            elif until < now or granted > now:  # the clock starts again with the machine
                connection.execute("DELETE FROM lease WHERE until < ? OR granted > ?", (now, now))

    # The file ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Write several things or none. Fates that are noted go first: what follows builds on them."""
        with self._lock:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._write_fates(connection)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._fates.clear()
        if self.failing:
            self._recovered()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
            self._finalizer = weakref.finalize(self, self._connection.close)
            # At exit, events may still be on their way into the file; the system closes it.
            self._finalizer.atexit = False
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection = None
            self._finalizer()

    def _open(self) -> sqlite3.Connection:
        connection = None
        try:
            _make_private_file(self.path)
            connection = sqlite3.connect(
                self.path,
                timeout=self.lock_timeout,
                isolation_level=None,  # every transaction is spelt out here
                check_same_thread=False,  # the lock sees to that
            )
            _check_or_create(connection, self.path, self.lock_timeout)
            if not self._looked_through:
                _look_through(connection, self.path)
                self._looked_through = True
            page_bytes = _pragma(connection, "page_size")
            _pragma(connection, f"max_page_count = {self.max_bytes // page_bytes}")
            _pragma(connection, f"journal_size_limit = {_LARGEST_WAL}")
            connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[self.durability]}")
        except (OSError, sqlite3.Error) as error:
            if connection is not None:
                connection.close()
            raise SQLiteStoreError(
                f"{self.path} cannot be used as an event queue: {error}"
            ) from error
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return connection

    def _failed(self, what: str, error: Exception) -> None:
        """Say once that the file makes trouble, and do not let every caller wait for it anew."""
        if not self.failing:
            self.failing = True
            self._set_lock_timeout(min(self.lock_timeout, _LOCK_TIMEOUT_WHILE_FAILING))
            logger.error("%s the event queue %s: %s", what, self.path, error)

    def _recovered(self) -> None:
        self.failing = False
        self._set_lock_timeout(self.lock_timeout)
        refused, self._refused = self._refused, 0
        logger.warning(
            "The event queue %s works again; %d events were not taken meanwhile.",
            self.path,
            refused,
        )

    def _set_lock_timeout(self, seconds: float) -> None:
        with self._lock:
            if self._connection is not None:
                _pragma(self._connection, f"busy_timeout = {int(seconds * 1000)}")


def _waiting(connection: sqlite3.Connection) -> int:
    waiting: int = connection.execute(_SIZE).fetchone()[0]
    return waiting


def _oldest_waiting(connection: sqlite3.Connection, most: int) -> Tuple[List[_Row], List[_Run]]:
    """Find the events that waited longest, with the ranges that hold them and nothing else."""
    rows: List[_Row] = []
    runs: List[_Run] = []
    above = 0
    leased = connection.execute("SELECT first_id, last_id FROM lease ORDER BY first_id").fetchall()
    for first, last in [*leased, (_BEYOND_ALL_IDS, _BEYOND_ALL_IDS)]:
        found = connection.execute(
            "SELECT id, body FROM event WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
            (above, first, most - len(rows)),
        ).fetchall()
        if found:
            rows += found
            runs.append((found[0][0], found[-1][0], len(found)))
        if len(rows) >= most:
            break
        above = last
    return rows, runs


def _runs(ids: Iterable[int]) -> List[_Run]:
    """Gather ids into ranges without holes."""
    runs: List[_Run] = []
    for each in sorted(ids):
        if runs and runs[-1][1] == each - 1:
            first, _, events = runs[-1]
            runs[-1] = (first, each, events + 1)
        else:
            runs.append((each, each, 1))
    return runs


def _remove(connection: sqlite3.Connection, runs: List[_Run]) -> None:
    connection.executemany(
        "DELETE FROM event WHERE id BETWEEN ? AND ?", [(first, last) for first, last, _ in runs]
    )


def _decoded(rows: List[_Row]) -> List[Tuple[int, PayloadDict]]:
    """Return the events with their ids, without those that cannot be read."""
    ids = [row for row, _ in rows]
    try:
        # One long text is read in two thirds of the time that many short ones take.
        return list(zip(ids, json.loads(f"[{','.join([body for _, body in rows])}]")))
    except ValueError:
        pass
    decoded = []
    for row, body in rows:
        try:
            decoded.append((row, json.loads(body)))
        except ValueError:
            logger.debug("Event %d cannot be read.", row)
    return decoded


# The file ----------------------------------------------------------------------------------------------------------


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _make_private_file(path: str) -> None:
    """Make an empty file that only its owner can read: there may be personal data in events.

    To open and close a file that is in use already would take away the locks that SQLite has on it in this process.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if 0 < Path(path).stat().st_size < _SMALLEST_DATABASE:
        # SQLite would take it for an empty file, and write over it.
        raise SQLiteStoreError(f"{path} is not a database, and so not an event queue.")


def _check_or_create(connection: sqlite3.Connection, path: str, timeout: float) -> None:
    """Make sure that the file is a queue of ours, and sound. Nothing is written to anything else."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            if _is_empty(connection):
                _create(connection)
            break
        except sqlite3.OperationalError:
            # Several processes may make the file at once, and SQLite does not wait in all cases.
            if time.monotonic() >= deadline:
                raise
            time.sleep(_LOOK_FOR_ROOM_INTERVAL)
    if _pragma(connection, "application_id") != _APPLICATION_ID:
        raise SQLiteStoreError(f"{path} is a database of something else, not an event queue.")
    version = _pragma(connection, "user_version")
    if version != _SCHEMA_VERSION:
        raise SQLiteStoreError(
            f"{path} was written by another version of this package"
            f" (schema {version}; this version knows {_SCHEMA_VERSION})."
        )


def _look_through(connection: sqlite3.Connection, path: str) -> None:
    """Look for damage, in all of the file unless that takes long."""
    size = _pragma(connection, "page_count") * _pragma(connection, "page_size")
    if size <= _LARGEST_CHECKED_FILE:
        damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise SQLiteStoreError(f"{path} is damaged: {damage}")
    if connection.execute(_SIZE).fetchone()[0] is None:
        raise SQLiteStoreError(f"{path} is damaged: it does not know how many events it holds.")


def _is_empty(connection: sqlite3.Connection) -> bool:
    return (
        _pragma(connection, "application_id") == 0
        and _pragma(connection, "user_version") == 0
        and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    )


def _create(connection: sqlite3.Connection) -> None:
    # Both have to come before the first table.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_empty(connection):
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _at_largest_size(connection: sqlite3.Connection) -> bool:
    """Whether the file has as many pages as it may, as opposed to a disk that is full."""
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return pages >= _pragma(connection, "max_page_count") - _PAGES_OF_ONE_EVENT


def _give_back_pages(connection: sqlite3.Connection, *, keep: int) -> None:
    """Make the file smaller if much of it is free, a bounded part at a time."""
    free = _pragma(connection, "freelist_count")
    if free > max(keep, _pragma(connection, "page_count") // 2 if keep else 0):
        # Each step gives back one page, and `execute` makes a single step of a statement without columns.
        connection.executescript(
            f"PRAGMA incremental_vacuum({min(free - keep, _PAGES_GIVEN_BACK_AT_ONCE)})"
        )


# Forks -------------------------------------------------------------------------------------------------------------

_stores: weakref.WeakSet[SQLiteEventStore] = weakref.WeakSet()
_forking: List[SQLiteEventStore] = []


def _before_fork() -> None:
    """Close the files: a connection that a child inherits shares locks with its parent that the system does not know.

    They are opened again when they are needed. Holding the lock during the fork also means that nobody is in the
    middle of something.
    """
    for store in list(_stores):
        if store._lock.acquire(timeout=store.lock_timeout + 1):
            _forking.append(store)
            store._disconnect()


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop()._lock.release()


def _after_fork_in_child() -> None:
    del _forking[:]
    for store in list(_stores):
        store.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
