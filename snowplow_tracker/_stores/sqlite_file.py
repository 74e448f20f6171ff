"""The file of an SQLite queue: opens and checks it, detects changes by others, and releases space."""

from __future__ import annotations

import logging
import os
import sqlite3
import weakref
from collections import deque
from pathlib import Path
from typing import Any, Callable, Deque, List, Optional, Tuple

from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.interrupts import is_interrupt, suppress
from snowplow_tracker._stores.sqlite_leases import SQLiteLeases

logger = logging.getLogger("snowplow_tracker.emitters")

PAGE_BYTES = 4_096
MAX_WAL_BYTES = 16_000_000
"""Maximum size of the write-ahead log while another program reads without a break; then no event is added."""
_USUAL_WAL_BYTES = 4_000_000
_RESERVE_BYTES = 1_000_000
"""Disk space that only delivery may use, since settling events needs space before it can release any."""
_SMALLEST_DATABASE = 512
_MAX_CHECKED_BYTES = 32_000_000
"""Maximum size up to which the whole file is checked when it is opened."""
_MAX_CHECKED_BYTES_IN_USE = 8_000_000
"""The same for a file that was changed while it is open, which is checked about once per second."""
_LOOK_INTERVAL = 1.0
_REOPEN_AFTER = 1.0
"""Seconds of errors (a file system that came back read-only, a file handle that a server forgot) after which the file
is opened again."""
_PAGES_GIVEN_BACK_AT_ONCE = 2_000
_PAGES_OF_ONE_EVENT = 256

_APPLICATION_ID = 0x536E7071
"""Marks the file as ours ("Snpq") in the field that SQLite has for it."""
_SCHEMA_VERSION = 1
_SCHEMA = (
    # The queue: the events that are not delivered yet. They are sent in the order of their ids.
    "CREATE TABLE event (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
    # Ranges of ids that are being sent, and their holders. They never overlap.
    """CREATE TABLE lease (
        first_id INTEGER PRIMARY KEY, last_id INTEGER NOT NULL, events INTEGER NOT NULL,
        holder TEXT NOT NULL, batch INTEGER NOT NULL, granted REAL NOT NULL, until REAL NOT NULL)""",
    # Counting a million rows takes long, reading this number does not.
    "CREATE TABLE total (events INTEGER NOT NULL)",
    "INSERT INTO total VALUES (0)",
    "CREATE TRIGGER added AFTER INSERT ON event BEGIN UPDATE total SET events = events + 1; END",
    "CREATE TRIGGER removed AFTER DELETE ON event BEGIN UPDATE total SET events = events - 1; END",
)
_COUNT = "SELECT events FROM total"


def _in_one_line(sql: object) -> str:
    return " ".join(str(sql).split())


_DEFINITIONS = frozenset(_in_one_line(each) for each in _SCHEMA if each.startswith("CREATE"))
"""The schema that SQLite must report for our tables and triggers. Users may add their own to the file."""


class SQLiteStoreError(Exception):
    """The file cannot be used as a queue: it has other content, is damaged, or cannot be opened."""


class _Connection(sqlite3.Connection):
    """A connection that reports damage only by the errors of `sqlite3`.

    SQLite's messages contain names from the file. If damage made them invalid UTF-8, Python raises another error.
    """

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        try:
            return super().execute(*arguments)
        except UnicodeDecodeError as error:
            raise _unreadable(error) from error

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        try:
            return super().executemany(*arguments)
        except UnicodeDecodeError as error:
            raise _unreadable(error) from error


def _unreadable(error: UnicodeDecodeError) -> sqlite3.DatabaseError:
    return sqlite3.DatabaseError(f"malformed: {error.object.decode(errors='replace')}")


def _decoded(text: bytes) -> str:
    return text.decode(errors="replace")


class SQLiteFile:
    """The connection to the file, which is opened again if another file is at the path.

    Not thread-safe: its owner holds a lock.

    Args:
        path: The path of the file.
        max_bytes: Maximum size of the file.
        synchronous: The value of SQLite's setting `synchronous`.
        leases: The leases of this process. Their events are not lost with the file.
    """

    def __init__(self, path: str, max_bytes: int, synchronous: str, leases: SQLiteLeases) -> None:
        self.path = path
        self._reserve = f"{path}-reserve"
        self.generation = 0
        """The number of files that were lost: the events of the current one have other ids."""
        self.current: Optional[sqlite3.Connection] = None
        """The current connection; None while the file is closed."""
        self._max_bytes = max_bytes
        self._synchronous = synchronous
        self._leases = leases
        self.lost: Deque[Tuple[int, str]] = deque()
        """Numbers of events that were lost with a file, and the reasons. Its owner reports them, without its lock."""
        self._finalizer: Optional[weakref.finalize] = None  # type: ignore[type-arg]
        self._opened: Optional[Tuple[int, int]] = None
        self._log: Optional[Tuple[int, int]] = None
        self.last_count: Optional[int] = None
        """The last known number of events in the file."""
        self._seen: Tuple[int, int] = (0, 0)
        self._next_look = 0.0
        self._was_checked = False
        self._last_error = self._erring_since = float("-inf")

    def connection(self) -> sqlite3.Connection:
        """Return a connection to the file that is at the path now.

        Raises:
            SQLiteStoreError, sqlite3.Error: There is no usable queue at the path.
        """
        connection = self.current
        if connection is None:
            return self._open()
        try:
            status = os.stat(self.path)  # noqa: PTH116 - called for each event; pathlib takes twice as long
        except OSError as error:
            if is_interrupt(error):
                raise
            return self._reopened("deleted")
        if (status.st_dev, status.st_ino) != self._opened:
            return self._reopened("replaced by another one")
        now = monotonic()
        if status.st_size < self._seen[0] or now >= self._next_look:
            self._next_look = now + _LOOK_INTERVAL
            has_changed = (status.st_size, status.st_mtime_ns) != self._seen
            self._seen = (status.st_size, status.st_mtime_ns)
            self._look(connection, has_changed=has_changed)
        return self.current or self._open()

    def disconnect(self) -> None:
        """Close the connection. The next use opens it again."""
        self.current = None
        finalizer, self._finalizer = self._finalizer, None
        if finalizer is not None:
            finalizer()

    def forget_inherited(self) -> Callable[[], None]:
        """Keep the connection of a parent process open, and return a function that closes it."""
        finalizer, self._finalizer, self.current = self._finalizer, None, None
        _inherited.append(finalizer)
        return finalizer if finalizer is not None else lambda: None

    # Opening

    def _open(self) -> sqlite3.Connection:
        try:
            _make_private_file(self.path)
            connection = self._connect()
            try:
                self._set_up(connection)
            except BaseException:
                connection.close()
                raise
        except (OSError, sqlite3.Error) as error:
            if is_interrupt(error) or is_locked(error):
                raise
            raise SQLiteStoreError(
                f"{self.path} cannot be used as an event queue: {error}"
            ) from error
        self.current = connection
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        if _is_empty(connection):
            _create(connection)
        _check(connection, self.path)
        if not self._was_checked:
            _look_through(connection, self.path, _MAX_CHECKED_BYTES)
            self._was_checked = True
        page_bytes = pragma(connection, "page_size")
        pragma(connection, f"max_page_count = {self._max_bytes // page_bytes}")
        pragma(connection, f"journal_size_limit = {_USUAL_WAL_BYTES}")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        status = os.stat(self.path)  # noqa: PTH116
        self._opened = (status.st_dev, status.st_ino)
        self._log = _identity(f"{self.path}-wal")
        self._seen = (status.st_size, status.st_mtime_ns)
        self._next_look = monotonic() + _LOOK_INTERVAL
        self.last_count = connection.execute(_COUNT).fetchone()[0]
        self.make_reserve()
        self._finalizer = weakref.finalize(self, connection.close)
        # At exit, events may still be written; the system closes the file.
        self._finalizer.atexit = False

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            factory=_Connection,
            # The caller waits, since it does so without a lock and can be interrupted.
            timeout=0,
            isolation_level=None,  # every transaction is explicit
            check_same_thread=False,  # the owner's lock ensures that
        )
        connection.text_factory = _decoded
        return connection

    # Changes of the file by others while it is open

    def _reopened(self, what: str) -> sqlite3.Connection:
        """Open the file again after it was deleted or replaced, and count the lost events."""
        # Before the connection is closed: as long as it is open, no other file can get the number of its log.
        if self._log is not None and _identity(f"{self.path}-wal") == self._log:
            # It belongs to the deleted file. SQLite would use it for the new one.
            for name in ("-wal", "-shm"):
                with suppress(OSError):
                    os.unlink(self.path + name)  # noqa: PTH108
        self._report_lost(self._abandon(), f"was {what} while it was open")
        return self._open()

    def _abandon(self) -> Optional[int]:
        """Close the file for ever; return how many events are lost with it, or None if this is unknown."""
        if self.current is not None:
            with suppress(sqlite3.Error, TypeError):  # then the last known number is used
                self.last_count = self.current.execute(_COUNT).fetchone()[0]
        count, self.last_count = self.last_count, None
        leased = self._leases.forget_file()
        self.disconnect()
        self.generation += 1
        self._was_checked = False
        return None if count is None else max(0, count - leased)

    def _report_lost(self, count: Optional[int], what: str) -> None:
        number = "an unknown number of" if count is None else count
        logger.error(
            "The event queue %s %s: %s events in it are lost. It is opened again.",
            self.path,
            what,
            number,
        )
        if count:
            self.lost.append((count, what))

    def _look(self, connection: sqlite3.Connection, *, has_changed: bool) -> None:
        """Check, with a new connection, whether the file is undamaged and its additional files exist."""
        if has_changed:
            with suppress(sqlite3.Error):
                # A checkpoint writes the pages of the log to their place, which repairs overwritten ones.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            if self._is_damaged():
                self._set_aside()
        if self.current is not None and _identity(f"{self.path}-wal") != self._log:
            # The write-ahead log was deleted. The content of the one that is open goes into the file.
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self.disconnect()
        if not self.has_reserve():
            self.make_reserve()

    def _is_damaged(self) -> bool:
        try:
            if os.stat(self.path).st_size < _SMALLEST_DATABASE:  # noqa: PTH116
                return True
            other = self._connect()
            try:
                _check(other, self.path)
                _look_through(other, self.path, _MAX_CHECKED_BYTES_IN_USE)
            finally:
                other.close()
        except SQLiteStoreError:
            return True
        except (OSError, sqlite3.Error) as error:
            if is_interrupt(error):
                raise
            return is_damage(error)
        return False

    def check_after(self, error: sqlite3.Error) -> None:
        """Open the file again after an error that others may have caused, and set it aside if it is damaged."""
        if is_locked(error) or is_full(error):
            return
        now = monotonic()
        if is_damage(error) and self.current is not None and self._is_damaged():
            self._set_aside()
        elif now - self._last_error > _REOPEN_AFTER:
            self._last_error = self._erring_since = now
        elif now - self._erring_since > _REOPEN_AFTER:
            self._erring_since = now
            self.disconnect()
        self._last_error = now

    def _set_aside(self) -> None:
        """Rename a damaged file, so that a new queue replaces it and the old one can be examined."""
        lost, opened = self._abandon(), self._opened
        if opened is None:
            return
        aside = f"{self.path}.damaged-{opened[1]}"
        try:
            # Only one of several processes can create this name; the others find the new file.
            os.link(self.path, aside)
            status = os.stat(aside)  # noqa: PTH116
            if (status.st_dev, status.st_ino) != opened:
                os.unlink(aside)  # noqa: PTH108
                return
            with suppress(OSError):
                os.rename(f"{self.path}-wal", f"{aside}-wal")  # noqa: PTH104
            with suppress(OSError):
                os.unlink(f"{self.path}-shm")  # noqa: PTH108
            os.unlink(self.path)  # noqa: PTH108
        except OSError as error:
            if is_interrupt(error):
                raise
            if _identity(aside) is None:
                logger.error("%s is damaged and cannot be set aside: %s", self.path, error)  # noqa: TRY400
                return
        self._report_lost(lost, f"is damaged, and was set aside as {aside}")

    # Space

    def is_at_max_size(self, connection: sqlite3.Connection) -> bool:
        """Whether the file has its maximum number of pages, as opposed to a full disk."""
        pages = pragma(connection, "page_count") - pragma(connection, "freelist_count")
        return pages >= pragma(connection, "max_page_count") - _PAGES_OF_ONE_EVENT

    def wal_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        with suppress(OSError):
            return os.stat(f"{self.path}-wal").st_size  # noqa: PTH116
        return 0

    def give_back_pages(self, connection: sqlite3.Connection, *, keep: int) -> None:
        """Shrink the file if much of it is free, a limited part at a time."""
        free = pragma(connection, "freelist_count")
        if free > max(keep, pragma(connection, "page_count") // 2 if keep else 0):
            # Each step releases one page, and `execute` makes only one step of a statement without columns.
            connection.executescript(
                f"PRAGMA incremental_vacuum({min(free - keep, _PAGES_GIVEN_BACK_AT_ONCE)})"
            )

    def checkpoint(self, connection: sqlite3.Connection, *, wait: float = 0.0) -> None:
        """Move the write-ahead log into the file, as far as readers allow it within `wait` seconds."""
        try:
            pragma(connection, f"busy_timeout = {int(wait * 1000)}")
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            if wait:
                pragma(connection, "busy_timeout = 0")

    def has_reserve(self) -> bool:
        """Whether the reserve of disk space for delivery exists."""
        return _identity(self._reserve) is not None

    def make_reserve(self) -> bool:
        """Create the reserve of disk space; return whether it exists."""
        return any(self._make_reserve(size) for size in (_RESERVE_BYTES, _RESERVE_BYTES // 4))

    def _make_reserve(self, size: int) -> bool:
        try:
            number = os.open(self._reserve, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except OSError as error:
            if is_interrupt(error):
                raise
            return isinstance(error, FileExistsError)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(number, 0, size)
            else:
                os.write(number, b"\0" * size)
        except OSError as error:
            self.use_reserve()
            if is_interrupt(error):
                raise
            return False
        finally:
            os.close(number)
        return True

    def use_reserve(self) -> None:
        """Delete the reserve, which makes its disk space available."""
        with suppress(OSError):
            os.unlink(self._reserve)  # noqa: PTH108


_inherited: List[object] = []


def is_locked(error: BaseException) -> bool:
    """Return whether the file is locked by another user, so that waiting may help."""
    text = str(error)
    return isinstance(error, sqlite3.OperationalError) and ("locked" in text or "busy" in text)


def is_full(error: BaseException) -> bool:
    """Return whether the disk or the file is full."""
    return isinstance(error, sqlite3.OperationalError) and "full" in str(error)


def is_damage(error: BaseException) -> bool:
    """Return whether the content of the file is damaged."""
    text = str(error)
    return isinstance(error, sqlite3.DatabaseError) and any(
        each in text for each in ("malformed", "not a database", "no such table", "no such column")
    )


def rollback(connection: sqlite3.Connection) -> None:
    """Roll back a transaction, if one is open."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def pragma(connection: sqlite3.Connection, name: str) -> int:
    """Return the value of a numeric setting."""
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _identity(path: str) -> Optional[Tuple[int, int]]:
    # Not `os.path.exists`: for it, any OSError means an absent file, even one that a signal handler raised.
    with suppress(OSError):
        status = os.stat(path)  # noqa: PTH116
        return status.st_dev, status.st_ino
    return None


def _make_private_file(path: str) -> None:
    """Create an empty file that only its owner can read, since events may contain personal data.

    It must not open an existing file: closing it would remove the locks that SQLite has on it in this process.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if 0 < Path(path).stat().st_size < _SMALLEST_DATABASE:
        # SQLite would treat it as an empty file, and overwrite it.
        raise SQLiteStoreError(f"{path} is not a database, and so not an event queue.")


def _check(connection: sqlite3.Connection, path: str) -> None:
    """Check that the file is a queue of this package. Other files are not changed."""
    if pragma(connection, "application_id") != _APPLICATION_ID:
        raise SQLiteStoreError(f"{path} is another program's database, not an event queue.")
    version = pragma(connection, "user_version")
    if version != _SCHEMA_VERSION:
        raise SQLiteStoreError(
            f"{path} was written by another version of this package"
            f" (schema {version}; this version knows {_SCHEMA_VERSION})."
        )


def _look_through(connection: sqlite3.Connection, path: str, max_bytes: int) -> None:
    """Search for damage, in the whole file unless that takes long."""
    size = pragma(connection, "page_count") * pragma(connection, "page_size")
    if size <= max_bytes:
        damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise SQLiteStoreError(f"{path} is damaged: {damage}")
    schema = {_in_one_line(sql) for (sql,) in connection.execute("SELECT sql FROM sqlite_master")}
    if not schema.issuperset(_DEFINITIONS):
        # SQLite does not detect a changed letter in a name.
        raise SQLiteStoreError(f"{path} is damaged: its tables are not those of an event queue.")
    count = connection.execute(_COUNT).fetchone()
    if count is None or count[0] is None:
        raise SQLiteStoreError(f"{path} is damaged: it has no number of events.")


def _is_empty(connection: sqlite3.Connection) -> bool:
    return (
        pragma(connection, "application_id") == 0
        and pragma(connection, "user_version") == 0
        and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    )


def _create(connection: sqlite3.Connection) -> None:
    # Both must come before the first table.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    try:
        connection.execute("BEGIN IMMEDIATE")
        if _is_empty(connection):
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        rollback(connection)
        raise
