"""A queue in a file: events outlive the process, and several processes share them."""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import time
import weakref
from _thread import RLock
from collections import deque
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Deque,
    List,
    Literal,
    Optional,
    TypeVar,
    Union,
)

from snowplow_tracker._process.identity import own_identity
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._process.locking import hold, is_running
from snowplow_tracker._stores.bodies import decode_all, encode
from snowplow_tracker._stores.lease_keeper import LeaseKeeper
from snowplow_tracker._stores.sqlite_file import (
    MAX_WAL_BYTES,
    PAGE_BYTES,
    SQLiteFile,
    SQLiteStoreError,
    is_full,
    is_locked,
    rollback,
)
from snowplow_tracker._stores.sqlite_leases import (
    WAITING,
    Row,
    SQLiteLeases,
    oldest_waiting,
    remove,
)
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

# One statement, and so one commit (fast path).
_ADD = f"INSERT INTO event (body) SELECT ? WHERE {WAITING} < ?"
_SIZE = f"SELECT {WAITING}"
_REMAINING = "SELECT events FROM total"

_MAX_EVENTS = 1_000
"""How many events a batch holds at most when nobody says: memory does not grow with the backlog."""
_LOCK_TIMEOUT_WHILE_FAILING = 0.05
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.025
"""Seconds between two attempts to use a locked file."""
_SPARE_PAGES = 256
"""Free pages that the file keeps for the next events; giving back and taking again would cost more."""
_ROUNDS_TO_MAKE_ROOM = 100
_EVICTED_AT_ONCE = 16
"""Events dropped when the file, not the capacity, is the limit: about what a page or two hold."""
_LOOK_AT_HOLDERS_INTERVAL = 1.0
_LOOK_FOR_ROOM_INTERVAL = 0.02
_LOOK_FOR_EVENTS_INTERVAL = 0.25
"""Seconds. Nothing wakes this process when another one adds events or makes room."""
_LOOK_AT_LOG_EVERY = 64
_SETTLED_AT_ONCE_ON_A_FULL_DISK = 50

_Result = TypeVar("_Result")


class _ReenteredError(Exception):
    """A signal handler or a finalizer came while its own thread was using the file."""


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
    - Events that are handed out are leased, and a living process renews its leases, however long a request takes.
      Another process takes them over at once when their holder is gone, and after `lease_seconds` when that cannot be
      told (a container with its own process numbers, a system without ``/proc``) or the holder was stopped.
    - A full disk, or a file that somebody else keeps locked, never raises out of `add_event`: it answers False, and
      the log says so once. A full disk does not stop delivery, which frees the space that the queue takes.
    - A file that is deleted, replaced, truncated or overwritten while it is open is noticed, within a second or so, and
      opened again; a damaged one is kept beside it, as ``.damaged-`` and a number. The log says so, and `lost_listener`
      is told how many events went with it.

    The file must be on a local disk, since SQLite's write-ahead log needs memory that all its users share. It is made
    readable for its owner only; make an empty file with other permissions to have them otherwise. Three more files are
    beside it, of the same name with ``-wal``, ``-shm`` and ``-reserve`` (1 MB for delivery from a full disk): they are
    part of it.

    Args:
        path: Where the file is, or is to be made. Its directory must exist. No ``:memory:`` and no URI.
        buffer_capacity: How many events may wait, those of all processes counted. Events that were handed out do not
            count.
        overflow: What happens when it is full: `"drop_newest"` refuses the new event, `"drop_oldest"` drops the one
            that waited longest, `"block"` waits up to `overflow_timeout` for room and then refuses.
        overflow_timeout: Seconds.
        max_bytes: How large the file may become; then the overflow policy decides as well. The write-ahead log beside
            it takes some 4 MB more, and at most 16 MB while somebody reads the file and does not stop: then no event
            is added. Space is given back as events are delivered.
        lease_seconds: How long a batch stays with a holder that gives no sign of life.
        lock_timeout: Seconds to wait for other processes that write to the file. If they take longer, no later call
            waits for more than 0.05 seconds until it works again.
        durability: `"process"` or `"machine"`, see above.

    Raises:
        ValueError: An argument is out of range.
        SQLiteStoreError: The file is not a queue of ours, is damaged or cannot be opened. It is left as it is.

    New in version 1.2.0.
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
        name = os.fspath(path)
        if (
            not isinstance(name, str)
            or not name
            or "\0" in name
            or name.startswith((":memory:", "file:"))
        ):
            raise ValueError(
                f"path must be the path of a file on a disk, got {name!r}: a queue in memory does not"
                " outlive the process (that is InMemoryEventStore), and URIs are not taken."
            )
        if not buffer_capacity >= 1:
            raise ValueError("buffer_capacity must be greater than 0.")
        one_of(overflow, OVERFLOW_POLICIES, name="overflow")
        one_of(durability, _SYNCHRONOUS, name="durability")
        if not 0 <= overflow_timeout < float("inf"):
            raise ValueError("overflow_timeout must not be negative or infinite.")
        if not max_bytes >= 16 * PAGE_BYTES:
            raise ValueError(f"max_bytes must be at least {16 * PAGE_BYTES}.")
        if not 0 < lease_seconds < float("inf"):
            raise ValueError("lease_seconds must be greater than 0, and finite.")
        if not 0 <= lock_timeout < float("inf"):
            raise ValueError("lock_timeout must not be negative or infinite.")
        # Absolute, since it is opened again after a fork, and the program may have changed its directory by then.
        self.path = str(Path(name).absolute())
        self.buffer_capacity = buffer_capacity
        self.overflow: Overflow = overflow
        self.overflow_timeout = overflow_timeout
        self.overflow_listener: Optional[Callable[[PayloadDictList], None]] = None
        self.lost_listener: Optional[Callable[[int, str], None]] = None
        self.max_bytes = max_bytes
        self.lease_seconds = lease_seconds
        self.lock_timeout = lock_timeout
        self.durability = durability
        self._start()
        self._perform(lambda _: None)
        _stores.add(self)

    def _start(self) -> None:
        """Set up what belongs to one process."""
        self._pid = os.getpid()
        self._lock: Any = RLock()
        self._leases = SQLiteLeases(f"{own_identity()}/{secrets.token_hex(8)}", self.lease_seconds)
        self._file = SQLiteFile(
            self.path,
            self.max_bytes,
            _SYNCHRONOUS[self.durability],
            self._leases.accounted_for,
            self._note_lost,
        )
        self._keeper = LeaseKeeper(self._keep_leases, self.lease_seconds / 3)
        # What a signal handler added while its thread was in a transaction.
        self._deferred: Deque[str] = deque()
        self._lost: Deque[Any] = deque()
        self._next_look_at_holders = 0.0
        self._renew_at = 0.0
        self._until_look_at_log = _LOOK_AT_LOG_EVERY
        self._last_size = 0
        self._refused = 0
        self._uncountable = False
        self._disk_is_full = False
        self.failing = False

    def __repr__(self) -> str:
        return f"SQLiteEventStore({self.path!r})"

    # The protocol

    def add_event(self, payload: PayloadDict) -> bool:
        """Write an event to the file, or return False: there is no room for it, or the file does not take it."""
        body = encode(payload)
        try:
            added = self._perform(lambda connection: self._insert(connection, body))
            if not added:
                added = self._add_when_full(body)
        except _ReenteredError:
            return self._add_reentered(body)
        except (sqlite3.Error, SQLiteStoreError) as error:
            if is_interrupt(error):
                raise
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
        wanted = _MAX_EVENTS if max_events is None else max_events
        try:
            # To look takes no lock from those who add.
            if not self._perform(lambda connection: self._count_in(connection, _SIZE)):
                return []
            lease, rows = self._grant(wanted)
        except _ReenteredError:
            return []
        except (sqlite3.Error, SQLiteStoreError) as error:
            if is_interrupt(error):
                raise
            self._failed("No events could be read from", error)
            return []
        events, unreadable = self._leases.hand_out(lease, rows)
        if unreadable:
            logger.error(
                "%d events in the event queue %s cannot be read: they are lost.",
                unreadable,
                self.path,
            )
            self._tell_lost(unreadable, "cannot be read")
            if not events:
                self.cleanup([], need_retry=False)
                return self.get_events_batch(max_events=max_events)
        if events:
            self._keeper.ensure_running()
        return [*events]

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Forget events that were handed out, or let them wait again, in their old place."""
        self._check_process()
        homeless: PayloadDictList = []
        for event in batch:
            generation = self._leases.settle(event, forget=not need_retry)
            if need_retry and generation not in (None, self._file.generation):
                homeless.append(event)  # its file is gone
        try:
            self._write_settled()
        except _ReenteredError:
            pass  # the thread that is interrupted here writes it, or the next transaction does
        except (sqlite3.Error, SQLiteStoreError) as error:
            if is_interrupt(error):
                raise
            # It stays noted for the next transaction.
            self._failed("What became of events could not be noted in", error)
        for event in homeless:
            self.add_event(event)

    def renew(self, events: PayloadDictList) -> None:
        """Renew the leases of events that are still being sent; the store does so by itself as well.

        Args:
            events: The events.
        """
        now = time.monotonic()
        if not events or now < self._renew_at:
            return
        self._renew_at = now + self.lease_seconds / 6
        try:
            self._perform(self._leases.renew)
        except _ReenteredError:
            pass
        except (sqlite3.Error, SQLiteStoreError) as error:
            if is_interrupt(error):
                raise
            logger.debug("Leases in %s could not be renewed: %s", self.path, error)

    def size(self) -> int:
        """Return the number of events that wait, those of all processes counted."""
        size = self._count(_SIZE)
        if size is not None:
            self._last_size = size
        return (size or 0) + len(self._deferred)

    def remaining(self) -> Optional[int]:
        """Return the number of events that are not delivered, those included that are being sent now.

        None while the file cannot be read.
        """
        return self._count(_REMAINING)

    def wait_for_events(self, timeout: float) -> bool:
        """Wait until there are events that can be handed out.

        Args:
            timeout: Seconds. It may come back earlier.

        Returns:
            Whether there are some.
        """
        deadline = time.monotonic() + timeout
        while not self.size():
            rest = deadline - time.monotonic()
            if rest <= 0:
                return False
            time.sleep(min(rest, _LOOK_FOR_EVENTS_INTERVAL))
        return True

    def reset_after_fork(self) -> None:
        """Start again in a forked child: what the parent is sending is the parent's to settle."""
        self._check_process()

    def close(self) -> None:
        """Give back space that is not needed, and close the file. To use the store again opens it again."""
        self._check_process()
        if self._lock._is_owned() and self._is_inside():
            return
        with hold(self._lock):
            connection = self._file.current
            if connection is None:
                return
            try:
                rollback(connection)
                self._write_deferred(connection)
                self._file.give_back_pages(connection, keep=0)
            except sqlite3.Error as error:
                logger.debug("%s could not be made smaller: %s", self.path, error)
            self._file.disconnect()
            self._file.use_reserve()

    # Using the file

    def _perform(self, operation: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Do something with the file, and wait for other processes that have it locked.

        Raises:
            _ReenteredError: This thread is doing something with it already.
            SQLiteStoreError, sqlite3.Error: It cannot be done.
        """
        deadline: Optional[float] = None
        pause = _FIRST_PAUSE
        generation = self._file.generation
        while True:
            try:
                result = self._enter(operation)
            except sqlite3.DatabaseError as error:
                if is_interrupt(error):
                    raise
                if generation != self._file.generation:
                    generation = (
                        self._file.generation
                    )  # the file was damaged, and there is a new one
                    continue
                if not is_locked(error):
                    raise
                now = time.monotonic()
                if deadline is None:
                    most = _LOCK_TIMEOUT_WHILE_FAILING if self.failing else self.lock_timeout
                    deadline = now + min(most, self.lock_timeout)
                if now >= deadline:
                    raise
                # Without the lock: other threads wait for themselves, and a signal handler comes in time.
                time.sleep(min(pause, deadline - now))
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                if self._lost:
                    self._tell_of_lost_files()
                return result

    def _enter(self, operation: Callable[[sqlite3.Connection], _Result]) -> _Result:
        if self._pid != os.getpid():
            self._check_process()
        lock = self._lock
        if lock._is_owned() and self._is_inside():
            raise _ReenteredError
        with hold(lock):
            connection = self._file.connection()
            if connection.in_transaction:
                rollback(connection)  # an interrupt left it
            try:
                return operation(connection)
            except sqlite3.Error as error:
                rollback(connection)
                self._file.check_after(error)
                raise
            finally:
                if self._deferred:
                    self._write_deferred(connection)

    def _transaction(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Write several things or none. What is noted as settled goes first: what follows builds on it."""
        return self._perform(lambda connection: self._write(connection, work))

    def _write(
        self,
        connection: sqlite3.Connection,
        work: Callable[[sqlite3.Connection], _Result],
        limit: Optional[int] = None,
    ) -> _Result:
        try:
            connection.execute("BEGIN IMMEDIATE")
            noted = self._leases.write_settled(connection, limit)
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            rollback(connection)
            raise
        self._leases.written(noted)
        return result

    def _is_inside(self) -> bool:
        """Whether a function further out, which a signal handler or a finalizer interrupted, is using the file.

        Otherwise the lock was left with this thread by an interrupt, which Python before 3.10 allows.
        """
        return is_running(_USING_THE_FILE, self)

    # Adding

    def _insert(self, connection: sqlite3.Connection, body: str) -> bool:
        """Add an event unless the capacity or the size of the file is reached."""
        self._until_look_at_log -= 1
        if self._until_look_at_log < 0:
            self._look_at_log(connection)
        if self._disk_is_full:
            if not self._file.has_reserve():
                self._file.checkpoint(connection)
                if not self._file.make_reserve():
                    # What it freed is for delivery alone.
                    raise SQLiteStoreError("the disk is full")
            self._disk_is_full = False
        try:
            added = connection.execute(_ADD, (body, self.buffer_capacity)).rowcount > 0
        except sqlite3.OperationalError as error:
            if not is_full(error) and "disk I/O" not in str(error):  # a limit on the size of files
                raise
            if self._file.is_at_max_size(connection):
                return False
            added = self._insert_into_full_disk(connection, body)
        if added and self._file.last_count is not None:
            self._file.last_count += 1
        return added

    def _insert_into_full_disk(self, connection: sqlite3.Connection, body: str) -> bool:
        # The write-ahead log takes several times the space that its events take in the file, and to move them there
        # takes some first.
        self._disk_is_full = True
        self._file.use_reserve()
        self._file.checkpoint(connection)
        if not self._file.make_reserve():
            raise SQLiteStoreError("the disk is full")
        added = connection.execute(_ADD, (body, self.buffer_capacity)).rowcount > 0
        self._disk_is_full = False
        return added

    def _look_at_log(self, connection: sqlite3.Connection) -> None:
        if self._file.wal_bytes() > MAX_WAL_BYTES / 2:
            self._file.checkpoint(connection, wait=_LOCK_TIMEOUT_WHILE_FAILING)
            size = self._file.wal_bytes()
            if size > MAX_WAL_BYTES:
                raise sqlite3.OperationalError(
                    f"its write-ahead log of {size // 1_000_000} MB is locked by somebody who reads"
                    " the file and does not stop"
                )
        self._until_look_at_log = _LOOK_AT_LOG_EVERY

    def _add_reentered(self, body: str) -> bool:
        """Add an event from a signal handler that interrupted its own thread here."""
        connection = self._file.current
        try:
            if connection is not None and not connection.in_transaction:
                return self._insert(connection, body)
        except (sqlite3.Error, SQLiteStoreError) as error:
            if is_interrupt(error):
                raise
        # The interrupted function writes it before it returns.
        self._deferred.append(body)
        return True

    def _write_deferred(self, connection: sqlite3.Connection) -> None:
        try:
            while self._deferred and not connection.in_transaction:
                connection.execute("INSERT INTO event (body) VALUES (?)", (self._deferred[0],))
                self._deferred.popleft()
        except sqlite3.Error as error:
            if is_interrupt(error):
                raise
            logger.debug("What a signal handler added is written later: %s", error)

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
            time.sleep(min(rest, _LOOK_FOR_ROOM_INTERVAL))
            if self._perform(lambda connection: self._insert(connection, body)):
                return True

    def _replace_oldest(self, body: str) -> bool:
        evicted: List[Row] = []
        added = False

        def evict(connection: sqlite3.Connection) -> List[Row]:
            waiting: int = connection.execute(_SIZE).fetchone()[0]
            excess = waiting - self.buffer_capacity + 1
            count = min(excess, _MAX_EVENTS) if excess > 0 else _EVICTED_AT_ONCE
            rows, runs = oldest_waiting(connection, count)
            remove(connection, runs)
            return rows

        try:
            # Another process may be faster to use the room; and to empty a page can take more than one round.
            for _ in range(_ROUNDS_TO_MAKE_ROOM):
                rows = self._transaction(evict)
                evicted += rows
                added = self._perform(lambda connection: self._insert(connection, body))
                if added or not rows:
                    break
        finally:
            if evicted:
                self._report_evicted(evicted)
        return added

    def _report_evicted(self, rows: List[Row]) -> None:
        if self.overflow_listener is None:
            logger.error(
                "The event queue %s is full: %d events were dropped.", self.path, len(rows)
            )
            return
        events = decode_all([body for _, body in rows])
        readable: PayloadDictList = [event for event in events if event is not None]
        self.overflow_listener(readable)
        if len(readable) < len(rows):
            self._tell_lost(len(rows) - len(readable), "cannot be read")

    # Handing out and settling

    def _grant(self, max_events: int) -> Any:
        def grant(connection: sqlite3.Connection) -> Any:
            return self._leases.grant(connection, max_events, self._file.generation)

        try:
            return self._transaction(grant)
        except sqlite3.OperationalError as error:
            if is_locked(error) or is_interrupt(error):
                raise
            first = error
        # The disk is full, or takes nothing for another reason.
        try:
            self._make_space()
            return self._transaction(grant)
        except sqlite3.OperationalError as error:
            if is_locked(error) or is_interrupt(error):
                raise
        self._failed("No lease could be written, and events are sent all the same, from", first)
        return self._perform(
            lambda connection: self._leases.grant_unwritten(
                connection, max_events, self._file.generation
            )
        )

    def _write_settled(self) -> None:
        if not self._leases.has_settled:
            return
        try:
            self._perform(self._settle_and_shrink)
        except sqlite3.OperationalError as error:
            if is_locked(error) or is_interrupt(error):
                raise
            self._make_space()
            while self._leases.has_settled:
                self._perform(
                    lambda connection: self._write(
                        connection, lambda _: None, _SETTLED_AT_ONCE_ON_A_FULL_DISK
                    )
                )
            self._perform(self._shrink_on_a_full_disk)
        if self.failing and not self._disk_is_full:
            self._recovered()

    def _settle_and_shrink(self, connection: sqlite3.Connection) -> None:
        self._write(connection, lambda _: None)
        self._file.give_back_pages(connection, keep=_SPARE_PAGES)

    def _make_space(self) -> None:
        """Let delivery use what was set aside for it."""
        self._disk_is_full = True
        self._file.use_reserve()
        self._perform(self._file.checkpoint)

    def _shrink_on_a_full_disk(self, connection: sqlite3.Connection) -> None:
        self._file.checkpoint(connection)
        self._file.give_back_pages(connection, keep=0)
        self._file.checkpoint(connection)
        self._file.make_reserve()

    def _keep_leases(self) -> bool:
        """Renew leases; return whether there are some. Called from a thread."""
        if self._pid != os.getpid() or self._file.current is None:
            return False
        self._leases.take_back_abandoned()
        try:
            if self._leases.has_settled:
                self._transaction(self._leases.renew)
            else:
                self._perform(self._leases.renew)
        except (sqlite3.Error, SQLiteStoreError, _ReenteredError) as error:
            logger.debug("Leases in %s could not be renewed: %s", self.path, error)
        return len(self._leases) > 0

    def _count(self, query: str) -> Optional[int]:
        try:
            number = self._perform(lambda connection: self._count_in(connection, query))
        except _ReenteredError:
            return self._last_size
        except (sqlite3.Error, SQLiteStoreError) as error:
            if is_interrupt(error):
                raise
            self._uncountable = True
            self._failed("The events could not be counted in", error)
            return None
        if self._uncountable:  # to be able to read says nothing about writing, if that failed
            self._uncountable = False
            self._recovered()
        return number

    def _count_in(self, connection: sqlite3.Connection, query: str) -> int:
        if time.monotonic() >= self._next_look_at_holders:
            self._next_look_at_holders = time.monotonic() + _LOOK_AT_HOLDERS_INTERVAL
            self._leases.take_back_abandoned()
            try:
                if self._leases.has_settled:
                    self._write(connection, self._leases.release_lost)
                else:
                    self._leases.release_lost(connection)
            except sqlite3.OperationalError as error:
                if is_interrupt(error):
                    raise
                logger.debug("Lost leases in %s are released later: %s", self.path, error)
        number: int = connection.execute(query).fetchone()[0]
        if query is _REMAINING:
            self._file.last_count = number
        return number

    # Trouble

    def _failed(self, what: str, error: Exception) -> None:
        """Say once that the file makes trouble; from here on nobody waits long for it."""
        if not self.failing:
            self.failing = True
            logger.error("%s the event queue %s: %s", what, self.path, error)

    def _recovered(self) -> None:
        self.failing = False
        refused, self._refused = self._refused, 0
        logger.warning(
            "The event queue %s works again; %d events were not taken meanwhile.",
            self.path,
            refused,
        )

    def _note_lost(self, count: int, what: str) -> None:
        # The lock is held here, and a listener may do anything.
        self._lost.append((count, what))

    def _tell_of_lost_files(self) -> None:
        self._leases.forget_file()
        while self._lost:
            count, what = self._lost.popleft()
            self._tell_lost(count, what)

    def _tell_lost(self, count: int, what: str) -> None:
        if self.lost_listener is not None:
            self.lost_listener(count, what)

    # Forks

    def _check_process(self) -> None:
        """Start again in a child, also in one that C code forked without Python's hooks."""
        if self._pid == os.getpid():
            return
        lock, file = self._lock, self._file
        inside = lock._is_owned()
        close = file.forget_inherited()
        self._start()
        if not inside and lock.acquire(blocking=False):
            # Nobody was in the middle of something. Otherwise it stays open: to close it could wait for ever. SQLite
            # remembers locks by file and process, and closing is how it learns that this process has none.
            close()

    def _before_fork(self) -> bool:
        """Close the file; return whether the lock is held."""
        if self._lock._is_owned():
            return False  # a signal handler forks in the middle of something
        if not self._lock.acquire(timeout=self.lock_timeout + 1):
            return False
        self._file.disconnect()
        return True

    def _after_fork_in_parent(self) -> None:
        self._lock.release()


_USING_THE_FILE = frozenset({SQLiteEventStore._enter.__code__, SQLiteEventStore.close.__code__})

_stores: weakref.WeakSet[SQLiteEventStore] = weakref.WeakSet()
_forking: List[SQLiteEventStore] = []


def _before_fork() -> None:
    """Close the files: a connection that a child inherits shares locks with its parent that the system does not know.

    They are opened again when they are needed. Holding the lock during the fork also means that nobody is in the
    middle of something.
    """
    for store in list(_stores):
        if store._before_fork():
            _forking.append(store)  # noqa: PERF401 - each as soon as its lock is held


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop()._after_fork_in_parent()


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
