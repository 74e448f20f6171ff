"""Adds events to the file of an SQLite queue, within its capacity and the disk, and drops old ones for new ones."""

from __future__ import annotations

import sqlite3
from typing import List

from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._stores.sqlite_access import LOCK_TIMEOUT_WHILE_FAILING, SQLiteAccess
from snowplow_tracker._stores.sqlite_file import MAX_WAL_BYTES, SQLiteStoreError, is_full
from snowplow_tracker._stores.sqlite_leases import WAITING, oldest_waiting, remove

# One statement, and so one commit (fast path).
_ADD = f"INSERT INTO event (body) SELECT ? WHERE {WAITING} < ?"

_EVICTED_AT_ONCE = 16
"""Events to drop if the file, not the capacity, is the limit: about as many as one or two pages contain."""
_MAX_EVICTED_AT_ONCE = 1_000
_LOOK_AT_LOG_EVERY = 64


class SQLiteAdding:
    """Adds events, as long as there is room.

    Args:
        access: The access to the file.
        capacity: Maximum number of queued events.
    """

    def __init__(self, access: SQLiteAccess, capacity: int) -> None:
        self._access = access
        self._capacity = capacity
        self._until_look_at_log = _LOOK_AT_LOG_EVERY
        self.disk_is_full = False
        """Whether the disk is full, so that only delivery may use the remaining space."""

    def add(self, body: str) -> bool:
        """Add an event; return False if the maximum number of events or size of the file is reached."""
        return self._access.perform(lambda connection: self._insert(connection, body))

    def _insert(self, connection: sqlite3.Connection, body: str) -> bool:
        self._until_look_at_log -= 1
        if self._until_look_at_log < 0:
            self._look_at_log(connection)
        if self.disk_is_full:
            if not self._access.file.has_reserve():
                self._access.file.checkpoint(connection)
                if not self._access.file.make_reserve():
                    # The freed space is for delivery only.
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
        # The write-ahead log takes several times the space of its events in the file, and to move them into the file
        # first takes more.
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
                    f"its write-ahead log of {size // 1_000_000} MB is locked by another program that reads"
                    " the file without a break"
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

    def evict(self) -> List[bytes]:
        """Remove the oldest events, so that there is room for one, and return their bodies."""
        return self._access.transaction(self._evict)

    def _evict(self, connection: sqlite3.Connection) -> List[bytes]:
        waiting: int = connection.execute(f"SELECT {WAITING}").fetchone()[0]
        excess = waiting - self._capacity + 1
        count = min(excess, _MAX_EVICTED_AT_ONCE) if excess > 0 else _EVICTED_AT_ONCE
        rows, runs = oldest_waiting(connection, count)
        remove(connection, runs)
        return [body for _, body in rows]
