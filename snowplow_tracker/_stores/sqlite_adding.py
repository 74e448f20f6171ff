"""Adding events to the file of a SQLite queue: its capacity, the disk, and what has to go for a new event."""

from __future__ import annotations

import sqlite3
from typing import List

from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._stores.sqlite_access import LOCK_TIMEOUT_WHILE_FAILING, SQLiteAccess
from snowplow_tracker._stores.sqlite_file import MAX_WAL_BYTES, SQLiteStoreError, is_full
from snowplow_tracker._stores.sqlite_leases import WAITING, Row, oldest_waiting, remove

__all__ = ["SQLiteAdding"]

# One statement, and so one commit (fast path).
_ADD = f"INSERT INTO event (body) SELECT ? WHERE {WAITING} < ?"

_EVICTED_AT_ONCE = 16
"""Events dropped when the file, not the capacity, is the limit: about what a page or two hold."""
_MOST_EVICTED_AT_ONCE = 1_000
_LOOK_AT_LOG_EVERY = 64


class SQLiteAdding:
    """Adds events, as long as there is room.

    Args:
        access: The way to the file.
        capacity: How many events may wait.
    """

    def __init__(self, access: SQLiteAccess, capacity: int) -> None:
        self._access = access
        self._capacity = capacity
        self._until_look_at_log = _LOOK_AT_LOG_EVERY
        self.disk_is_full = False
        """Only delivery may use the space that is left."""

    def add(self, body: str) -> bool:
        """Add an event; return False where the capacity or the size of the file is reached."""
        return self._access.perform(lambda connection: self._insert(connection, body))

    def _insert(self, connection: sqlite3.Connection, body: str) -> bool:
        self._until_look_at_log -= 1
        if self._until_look_at_log < 0:
            self._look_at_log(connection)
        if self.disk_is_full:
            if not self._access.file.has_reserve():
                self._access.file.checkpoint(connection)
                if not self._access.file.make_reserve():
                    # What it freed is for delivery alone.
                    raise SQLiteStoreError("the disk is full")
            self.disk_is_full = False
        try:
            added = connection.execute(_ADD, (body, self._capacity)).rowcount > 0
        except sqlite3.OperationalError as error:
            if not is_full(error) and "disk I/O" not in str(error):  # a limit on the size of files
                raise
            if self._access.file.is_at_max_size(connection):
                return False
            added = self._insert_into_full_disk(connection, body)
        if added and self._access.file.last_count is not None:
            self._access.file.last_count += 1
        return added

    def _insert_into_full_disk(self, connection: sqlite3.Connection, body: str) -> bool:
        # The write-ahead log takes several times the space that its events take in the file, and to move them there
        # takes some first.
        self.disk_is_full = True
        self._access.file.use_reserve()
        self._access.file.checkpoint(connection)
        if not self._access.file.make_reserve():
            raise SQLiteStoreError("the disk is full")
        added = connection.execute(_ADD, (body, self._capacity)).rowcount > 0
        self.disk_is_full = False
        return added

    def _look_at_log(self, connection: sqlite3.Connection) -> None:
        if self._access.file.wal_bytes() > MAX_WAL_BYTES / 2:
            self._access.file.checkpoint(connection, wait=LOCK_TIMEOUT_WHILE_FAILING)
            size = self._access.file.wal_bytes()
            if size > MAX_WAL_BYTES:
                raise sqlite3.OperationalError(
                    f"its write-ahead log of {size // 1_000_000} MB is locked by somebody who reads"
                    " the file and does not stop"
                )
        self._until_look_at_log = _LOOK_AT_LOG_EVERY

    def add_reentered(self, body: str) -> bool:
        """Add an event from a signal handler that interrupted its own thread in the file."""
        connection = self._access.file.current
        try:
            if connection is not None and not connection.in_transaction:
                return self._insert(connection, body)
        except (sqlite3.Error, SQLiteStoreError) as error:
            if is_interrupt(error):
                raise
        # The interrupted function writes it before it returns.
        self._access.deferred.append(body)
        return True

    def evict(self) -> List[Row]:
        """Remove the events that waited longest, so that there is room for one; return them."""
        return self._access.transaction(self._evict)

    def _evict(self, connection: sqlite3.Connection) -> List[Row]:
        waiting: int = connection.execute(f"SELECT {WAITING}").fetchone()[0]
        excess = waiting - self._capacity + 1
        count = min(excess, _MOST_EVICTED_AT_ONCE) if excess > 0 else _EVICTED_AT_ONCE
        rows, runs = oldest_waiting(connection, count)
        remove(connection, runs)
        return rows
