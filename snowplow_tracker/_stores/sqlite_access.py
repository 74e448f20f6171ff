"""Access to the file of an SQLite queue by one user at a time, despite locks, signals, forks and damage."""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import time
import weakref
from _thread import RLock
from collections import deque
from contextlib import contextmanager
from typing import Any, Callable, Deque, Iterator, List, Optional, TypeVar

from snowplow_tracker._messages import events_text
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.identity import own_identity
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._process.locking import hold, is_running
from snowplow_tracker._stores.sqlite_file import SQLiteFile, SQLiteStoreError, is_locked, rollback
from snowplow_tracker._stores.sqlite_leases import SQLiteLeases

logger = logging.getLogger("snowplow_tracker.emitters")

FAILURES = (sqlite3.Error, SQLiteStoreError)
LOCK_TIMEOUT_WHILE_FAILING = 0.05
"""Seconds."""
_FIRST_PAUSE, _MAX_PAUSE = 0.001, 0.025
"""Seconds between two attempts to use a locked file."""

_Result = TypeVar("_Result")


class ReenteredError(Exception):
    """A signal handler or a finalizer was called while its own thread was using the file."""


class SQLiteAccess:
    """Uses the file, and starts again in a forked child.

    Invariant: a user of the file holds the lock. Events that a signal handler added while its thread used the file
    are in `deferred`, until that thread leaves the file or the next one does.

    Args:
        path: The path of the file.
        max_bytes: Maximum size of the file.
        synchronous: The value of SQLite's setting `synchronous`.
        lease_seconds: Seconds after which a lease expires if it is not renewed.
        lock_timeout: Seconds to wait for other processes.
        on_lost: Called with the number of events that were lost with a file, and the reason. No lock is held.
        on_start: Called in each process that begins to use the file.
    """

    def __init__(
        self,
        path: str,
        *,
        max_bytes: int,
        synchronous: str,
        lease_seconds: float,
        lock_timeout: float,
        on_lost: Callable[[int, str], None],
        on_start: Callable[[SQLiteAccess], None],
    ) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._synchronous = synchronous
        self._lease_seconds = lease_seconds
        self._lock_timeout = lock_timeout
        self._on_lost = on_lost
        self._on_start = on_start
        self._start()
        _known.add(self)

    def _start(self) -> None:
        """Initialize the state that belongs to one process."""
        self._pid = os.getpid()
        self._lock: Any = RLock()
        self.leases = SQLiteLeases(f"{own_identity()}/{secrets.token_hex(8)}", self._lease_seconds)
        self.file = SQLiteFile(self.path, self._max_bytes, self._synchronous, self.leases)
        self.deferred: Deque[str] = deque()
        self._refused = 0
        self.failing = False
        self._on_start(self)

    # Using the file

    def perform(self, operation: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Call an operation with the file, and wait while other processes have it locked.

        Raises:
            ReenteredError: This thread is already using the file.
            SQLiteStoreError, sqlite3.Error: The operation failed.
        """
        deadline: Optional[float] = None
        pause = _FIRST_PAUSE
        generation = self.file.generation
        while True:
            try:
                result = self._enter(operation)
            except sqlite3.DatabaseError as error:
                if is_interrupt(error):
                    raise
                if generation != self.file.generation:
                    generation = self.file.generation  # it was damaged, and there is a new one
                    continue
                if not is_locked(error):
                    raise
                now = monotonic()
                if deadline is None:
                    most = LOCK_TIMEOUT_WHILE_FAILING if self.failing else self._lock_timeout
                    deadline = now + min(most, self._lock_timeout)
                if now >= deadline:
                    raise
                # Without the lock, so that other threads and signal handlers need not wait for it.
                time.sleep(min(pause, deadline - now))
                pause = min(pause * 2, _MAX_PAUSE)
            else:
                while self.file.lost:
                    self._on_lost(*self.file.lost.popleft())
                return result

    def _enter(self, operation: Callable[[sqlite3.Connection], _Result]) -> _Result:
        self.check_process()
        lock = self._lock
        if self.is_entered():
            raise ReenteredError
        with hold(lock):
            connection = self.file.connection()
            if connection.in_transaction:
                rollback(connection)  # an interrupt left it open
            try:
                return operation(connection)
            except sqlite3.Error as error:
                rollback(connection)
                self.file.check_after(error)
                raise
            finally:
                if self.deferred:
                    self._write_deferred(connection)

    def is_entered(self) -> bool:
        """Whether a calling function, which a signal handler or a finalizer interrupted, is using the file.

        If not, and this thread has the lock, an interrupt left it locked, which Python before 3.10 allows.
        """
        return self._lock._is_owned() and is_running(_USING_THE_FILE, self)

    def transaction(
        self, work: Callable[[sqlite3.Connection], _Result], limit: Optional[int] = None
    ) -> _Result:
        """Write everything or nothing. Settled events are written first, since the rest depends on it."""
        return self.perform(lambda connection: self.write(connection, work, limit))

    def write(
        self,
        connection: sqlite3.Connection,
        work: Callable[[sqlite3.Connection], _Result],
        limit: Optional[int] = None,
    ) -> _Result:
        """Do the work in a transaction, after writing settled events, at most `limit` of them."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            noted = self.leases.write_settled(connection, limit)
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            rollback(connection)
            raise
        self.leases.written(noted)
        return result

    def _write_deferred(self, connection: sqlite3.Connection) -> None:
        try:
            while self.deferred and not connection.in_transaction:
                connection.execute("INSERT INTO event (body) VALUES (?)", (self.deferred[0],))
                self.deferred.popleft()
        except sqlite3.Error as error:
            if is_interrupt(error):
                raise
            logger.debug("Events from a signal handler are written later: %s", error)

    def close(self) -> None:
        """Release free space, and close the file."""
        self.check_process()
        if self.is_entered():
            return
        with hold(self._lock):
            connection = self.file.current
            if connection is None:
                return
            try:
                rollback(connection)
                self._write_deferred(connection)
                self.file.give_back_pages(connection, keep=0)
            except sqlite3.Error as error:
                logger.debug("%s could not be shrunk: %s", self.path, error)
            self.file.disconnect()
            self.file.use_reserve()

    # Failures

    def failed(self, what: str, error: Exception, *, refused: int = 0) -> None:
        """Log once that the file fails: what could not be done, and why. From now on, calls do not wait long for it."""
        self._refused += refused
        if not self.failing:
            self.failing = True
            logger.error("%s the event queue %s: %s", what, self.path, error)

    @contextmanager
    def failures_logged(self, what: str) -> Iterator[None]:
        """Log once that the file fails in a block, which also ends if this thread is already using the file."""
        try:
            yield
        except ReenteredError:
            pass
        except FAILURES as error:
            if is_interrupt(error):
                raise
            self.failed(what, error)

    def recovered(self) -> None:
        """Log that the file works again."""
        self.failing = False
        refused, self._refused = self._refused, 0
        logger.warning(
            "The event queue %s works again; it refused %s meanwhile.",
            self.path,
            events_text(refused),
        )

    # Forks

    def check_process(self) -> None:
        """Start again in a forked child, even if C code forked it without Python's hooks."""
        if self._pid == os.getpid():
            return
        lock, file = self._lock, self.file
        inside = lock._is_owned()
        close = file.forget_inherited()
        self._start()
        if not inside and lock.acquire(blocking=False):
            # No operation was in progress. Otherwise it stays open, since closing it could wait for ever. SQLite
            # remembers locks by file and process, and learns by the closing that this process has none.
            close()

    def before_fork(self) -> bool:
        """Close the file; return whether the lock is held."""
        if self._lock._is_owned():
            return False  # a signal handler forks during an operation
        if not self._lock.acquire(timeout=self._lock_timeout + 1):
            return False
        self.file.disconnect()
        return True

    def after_fork_in_parent(self) -> None:
        """Release the file to other threads."""
        self._lock.release()


_USING_THE_FILE = frozenset({SQLiteAccess._enter.__code__, SQLiteAccess.close.__code__})

_known: weakref.WeakSet[SQLiteAccess] = weakref.WeakSet()
_forking: List[SQLiteAccess] = []


def _before_fork() -> None:
    """Close the files: a connection in a child would share locks with its parent, without the system knowing.

    They are opened again when they are needed. Holding the lock during the fork also ensures that no operation is in
    progress.
    """
    for access in list(_known):
        if access.before_fork():
            _forking.append(access)  # noqa: PERF401 - each as soon as its lock is held


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop().after_fork_in_parent()


def _after_fork_in_child() -> None:
    del _forking[:]
    for access in list(_known):
        access.check_process()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
