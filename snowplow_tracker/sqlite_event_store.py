"""A queue in a file: events outlive the process, and several processes share them."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    List,
    Literal,
    Optional,
    Union,
)

from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._stores.bodies import decode_all, encode
from snowplow_tracker._stores.lease_keeper import LeaseKeeper
from snowplow_tracker._stores.sqlite_access import ReenteredError, SQLiteAccess
from snowplow_tracker._stores.sqlite_adding import SQLiteAdding
from snowplow_tracker._stores.sqlite_file import PAGE_BYTES, SQLiteStoreError, is_locked
from snowplow_tracker._stores.sqlite_leases import WAITING, Row
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

_SIZE = f"SELECT {WAITING}"
_REMAINING = "SELECT events FROM total"

_MAX_EVENTS = 1_000
"""How many events a batch holds at most when nobody says: memory does not grow with the backlog."""
_SPARE_PAGES = 256
"""Free pages that the file keeps for the next events; giving back and taking again would cost more."""
_ROUNDS_TO_MAKE_ROOM = 100
_LOOK_AT_HOLDERS_INTERVAL = 1.0
_LOOK_FOR_ROOM_INTERVAL = 0.02
_LOOK_FOR_EVENTS_INTERVAL = 0.25
"""Seconds. Nothing wakes this process when another one adds events or makes room."""
_SETTLED_AT_ONCE_ON_A_FULL_DISK = 50


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
        access = SQLiteAccess(
            self.path,
            max_bytes=max_bytes,
            synchronous=_SYNCHRONOUS[durability],
            lease_seconds=lease_seconds,
            lock_timeout=lock_timeout,
            on_lost=self._tell_lost,
            on_start=self._start,
        )
        access.perform(lambda _: None)

    def _start(self, access: SQLiteAccess) -> None:
        """Set up what belongs to one process, beside the access to the file itself."""
        self._access = access
        self._adding = SQLiteAdding(access, self.buffer_capacity)
        self._keeper = LeaseKeeper(self._keep_leases, self.lease_seconds / 3)
        self._next_look_at_holders = 0.0
        self._renew_at = 0.0
        self._last_size = 0
        self._uncountable = False

    @property
    def failing(self) -> bool:
        """Whether the file could not be used the last time."""
        return self._access.failing

    def __repr__(self) -> str:
        return f"SQLiteEventStore({self.path!r})"

    # The protocol

    def add_event(self, payload: PayloadDict) -> bool:
        """Write an event to the file, or return False: there is no room for it, or the file does not take it."""
        body = encode(payload)
        try:
            added = self._adding.add(body) or self._add_when_full(body)
        except ReenteredError:
            return self._adding.add_reentered(body)
        except (sqlite3.Error, SQLiteStoreError) as error:
            if is_interrupt(error):
                raise
            self._access.failed("An event could not be added to", error, refused=1)
            return False
        if self.failing:
            self._access.recovered()
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
            if not self._access.perform(lambda connection: self._count_in(connection, _SIZE)):
                return []
            lease, rows = self._grant(wanted)
        except ReenteredError:
            return []
        except (sqlite3.Error, SQLiteStoreError) as error:
            if is_interrupt(error):
                raise
            self._access.failed("No events could be read from", error)
            return []
        events, unreadable = self._access.leases.hand_out(lease, rows)
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
        self._access.check_process()
        homeless: PayloadDictList = []
        for event in batch:
            generation = self._access.leases.settle(event, forget=not need_retry)
            if need_retry and generation not in (None, self._access.file.generation):
                homeless.append(event)  # its file is gone
        try:
            self._write_settled()
        except ReenteredError:
            pass  # the thread that is interrupted here writes it, or the next transaction does
        except (sqlite3.Error, SQLiteStoreError) as error:
            if is_interrupt(error):
                raise
            # It stays noted for the next transaction.
            self._access.failed("What became of events could not be noted in", error)
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
            self._access.perform(self._access.leases.renew)
        except ReenteredError:
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
        return (size or 0) + len(self._access.deferred)

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
        self._access.check_process()

    def close(self) -> None:
        """Give back space that is not needed, and close the file. To use the store again opens it again."""
        self._access.close()

    # Adding

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
            if self._adding.add(body):
                return True

    def _replace_oldest(self, body: str) -> bool:
        evicted: List[Row] = []
        added = False
        try:
            # Another process may be faster to use the room; and to empty a page can take more than one round.
            for _ in range(_ROUNDS_TO_MAKE_ROOM):
                rows = self._adding.evict()
                evicted += rows
                added = self._adding.add(body)
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
            return self._access.leases.grant(connection, max_events, self._access.file.generation)

        try:
            return self._access.transaction(grant)
        except sqlite3.OperationalError as error:
            if is_locked(error) or is_interrupt(error):
                raise
            first = error
        # The disk is full, or takes nothing for another reason.
        try:
            self._make_space()
            return self._access.transaction(grant)
        except sqlite3.OperationalError as error:
            if is_locked(error) or is_interrupt(error):
                raise
        self._access.failed(
            "No lease could be written, and events are sent all the same, from", first
        )
        return self._access.perform(
            lambda connection: self._access.leases.grant_unwritten(
                connection, max_events, self._access.file.generation
            )
        )

    def _write_settled(self) -> None:
        if not self._access.leases.has_settled:
            return
        try:
            self._access.perform(self._settle_and_shrink)
        except sqlite3.OperationalError as error:
            if is_locked(error) or is_interrupt(error):
                raise
            self._make_space()
            while self._access.leases.has_settled:
                self._access.perform(
                    lambda connection: self._access.write(
                        connection, lambda _: None, _SETTLED_AT_ONCE_ON_A_FULL_DISK
                    )
                )
            self._access.perform(self._shrink_on_a_full_disk)
        if self.failing and not self._adding.disk_is_full:
            self._access.recovered()

    def _settle_and_shrink(self, connection: sqlite3.Connection) -> None:
        self._access.write(connection, lambda _: None)
        self._access.file.give_back_pages(connection, keep=_SPARE_PAGES)

    def _make_space(self) -> None:
        """Let delivery use what was set aside for it."""
        self._adding.disk_is_full = True
        self._access.file.use_reserve()
        self._access.perform(self._access.file.checkpoint)

    def _shrink_on_a_full_disk(self, connection: sqlite3.Connection) -> None:
        self._access.file.checkpoint(connection)
        self._access.file.give_back_pages(connection, keep=0)
        self._access.file.checkpoint(connection)
        self._access.file.make_reserve()

    def _keep_leases(self) -> bool:
        """Renew leases; return whether there are some. Called from a thread."""
        if not self._access.is_of_this_process or self._access.file.current is None:
            return False
        self._access.leases.take_back_abandoned()
        try:
            if self._access.leases.has_settled:
                self._access.transaction(self._access.leases.renew)
            else:
                self._access.perform(self._access.leases.renew)
        except (sqlite3.Error, SQLiteStoreError, ReenteredError) as error:
            logger.debug("Leases in %s could not be renewed: %s", self.path, error)
        return len(self._access.leases) > 0

    def _count(self, query: str) -> Optional[int]:
        try:
            number = self._access.perform(lambda connection: self._count_in(connection, query))
        except ReenteredError:
            return self._last_size
        except (sqlite3.Error, SQLiteStoreError) as error:
            if is_interrupt(error):
                raise
            self._uncountable = True
            self._access.failed("The events could not be counted in", error)
            return None
        if self._uncountable:  # to be able to read says nothing about writing, if that failed
            self._uncountable = False
            self._access.recovered()
        return number

    def _count_in(self, connection: sqlite3.Connection, query: str) -> int:
        if time.monotonic() >= self._next_look_at_holders:
            self._next_look_at_holders = time.monotonic() + _LOOK_AT_HOLDERS_INTERVAL
            self._access.leases.take_back_abandoned()
            try:
                if self._access.leases.has_settled:
                    self._access.write(connection, self._access.leases.release_lost)
                else:
                    self._access.leases.release_lost(connection)
            except sqlite3.OperationalError as error:
                if is_interrupt(error):
                    raise
                logger.debug("Lost leases in %s are released later: %s", self.path, error)
        number: int = connection.execute(query).fetchone()[0]
        if query is _REMAINING:
            self._access.file.last_count = number
        return number

    def _tell_lost(self, count: int, what: str) -> None:
        if self.lost_listener is not None:
            self.lost_listener(count, what)
