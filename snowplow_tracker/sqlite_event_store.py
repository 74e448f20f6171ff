"""A queue in an SQLite file: events outlive the process, and several processes share the queue."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, List, Literal, Optional, Tuple, Union

from snowplow_tracker._delivery.options import check_number, check_seconds
from snowplow_tracker._messages import events_text
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._stores.bodies import encode
from snowplow_tracker._stores.durable import DurableStore
from snowplow_tracker._stores.leasing import LeaseKeeper
from snowplow_tracker._stores.sqlite_access import FAILURES, ReenteredError, SQLiteAccess
from snowplow_tracker._stores.sqlite_adding import SQLiteAdding
from snowplow_tracker._stores.sqlite_file import PAGE_BYTES, SQLiteStoreError, is_locked
from snowplow_tracker._stores.sqlite_leases import WAITING, Lease, Row
from snowplow_tracker.contracts import one_of
from snowplow_tracker.event_store import Overflow
from snowplow_tracker.typing import PayloadDict, PayloadDictList

__all__ = ["SQLiteEventStore", "SQLiteStoreError"]

logger: logging.Logger = logging.getLogger("snowplow_tracker.emitters")

DEFAULT_CAPACITY = 1_000_000
DEFAULT_MAX_BYTES = 1_000_000_000
DEFAULT_LEASE_SECONDS = 60.0
DEFAULT_LOCK_TIMEOUT = 5.0

if TYPE_CHECKING:
    _StrPath = Union[str, os.PathLike[str]]
else:
    _StrPath = Union[str, os.PathLike]  # Python 3.8 cannot subscript PathLike at run time

Durability = Literal["process", "machine"]
# SQLite's `synchronous` setting for each durability: when it waits for the disk. In both cases the operating system has
# the data after a write, so it outlives the process.
_SYNCHRONOUS = {"process": "NORMAL", "machine": "FULL"}

_SIZE = f"SELECT {WAITING}"
_REMAINING = "SELECT events FROM total"

_NO_FILES = (":memory:", "file:")

_MAX_EVENTS = 1_000
"""Default maximum number of events in a batch, so that memory does not grow with the backlog."""
_SPARE_PAGES = 256
"""Free pages that the file keeps for the next events: to release and allocate them again would cost more."""
_ROUNDS_TO_MAKE_ROOM = 100
_LOOK_AT_HOLDERS_INTERVAL = 1.0
_LOOK_FOR_ROOM_INTERVAL = 0.02
_LOOK_FOR_EVENTS_INTERVAL = 0.25
"""Seconds between checks, since nothing wakes this process when another one adds events or makes room."""
_SETTLED_AT_ONCE_ON_A_FULL_DISK = 50


class SQLiteEventStore(DurableStore):
    """A bounded first-in, first-out queue in an SQLite file that threads, processes and forks may share.

    Guarantees:

    - After `track()` has returned, the event survives any end of the process, including `kill -9`. Another process that
      uses the file sends it, or the next one that opens it.
    - With `durability="process"`, the default, a crash of the machine (power, kernel) may lose the events of the last
      seconds, but does not damage the file. With `durability="machine"`, each event is on the disk before `track()`
      returns, if the disk writes what it confirms; this takes as long as the disk needs.
    - Events are delivered at least once. If a process dies while it sends events, they are sent again, with the same
      event ids. So are events that were delivered just before a crash of the machine.
    - A process leases the events that it sends, and renews its leases, however long a request takes. If the process
      dies, another one takes them over at once. It waits for `lease_seconds` if it cannot detect this (a container with
      its own process numbers, a system without ``/proc``), or if the process was only stopped.
    - If the disk is full, or another process keeps the file locked, `add_event` does not raise: it returns False, and
      logs this once. A full disk does not stop delivery, which frees the space of the queue.
    - If the file is deleted, replaced, truncated or overwritten while it is open, this is detected within about a
      second, and the file is opened again. A damaged file is kept beside it, with the suffix ``.damaged-`` and a
      number. This is logged, and `lost_listener` gets the number of lost events.

    The file must be on a local disk, since SQLite's write-ahead log needs memory that all its users share. The file is
    created with permissions for its owner only; to have other permissions, create an empty file with them. Three more
    files belong to it, with the suffixes ``-wal``, ``-shm`` and ``-reserve`` (1 MB for delivery from a full disk).

    Args:
        path: The path of the file, which is created if it does not exist. Its directory must exist. ``:memory:`` and
            URIs are not supported.
        buffer_capacity: Maximum number of queued events of all processes. Leased events do not count.
        overflow: What happens when the queue is full: `"drop_newest"` refuses the new event, `"drop_oldest"` drops the
            oldest one, `"block"` waits up to `overflow_timeout` for room and then refuses.
        overflow_timeout: Seconds.
        max_bytes: Maximum size of the file; then `overflow` applies as well. The write-ahead log beside it takes about
            4 MB more. While another program reads without a break, it can grow to 16 MB; then no event is added. Space
            is released as events are delivered.
        lease_seconds: Seconds after which the lease of a process that shows no sign of life expires.
        lock_timeout: Seconds to wait for other processes that write to the file. If they take longer, no later call
            waits for more than 0.05 seconds until it works again.
        durability: `"process"` or `"machine"`, see above.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range.
        SQLiteStoreError: The file is not a queue of this package, is damaged or cannot be opened. It is not changed.

    New in version 1.2.0.
    """

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
        self.path: str = _absolute_name(path)
        super().__init__(self.path, buffer_capacity, overflow, overflow_timeout)
        one_of(durability, _SYNCHRONOUS, name="durability")
        check_number("max_bytes", max_bytes, fraction=True)
        if max_bytes < 16 * PAGE_BYTES:
            raise ValueError(f"max_bytes must be at least {16 * PAGE_BYTES}.")
        check_seconds("lease_seconds", lease_seconds)
        check_seconds("lock_timeout", lock_timeout, zero=True)
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
            on_lost=self._report_lost,
            on_start=self._start,
        )
        access.perform(_nothing)

    def _start(self, access: SQLiteAccess) -> None:
        """Initialize the state that belongs to one process, except the access to the file itself."""
        self._access = access
        self._adding = SQLiteAdding(access, self.buffer_capacity)
        self._keeper = LeaseKeeper(self._keep_leases, self.lease_seconds / 3)
        self._next_look_at_holders = 0.0
        self._renew_at = 0.0
        self._last_size = 0
        self._uncountable = False

    @property
    def failing(self) -> bool:
        """Whether the last access to the file failed."""
        return self._access.failing

    def __repr__(self) -> str:
        return f"SQLiteEventStore({self.path!r})"

    # The protocol

    def add_event(self, payload: PayloadDict) -> bool:
        """Write an event to the file. Return False if there is no room for it, or if it cannot be written."""
        body = encode(payload)
        try:
            added = self._adding.add(body) or self._add_when_full(body)
        except ReenteredError:
            return self._adding.add_reentered(body)
        except FAILURES as error:
            if is_interrupt(error):
                raise
            self._access.failed("An event could not be added to", error, refused=1)
            return False
        if self.failing:
            self._access.recovered()
        return added

    def get_events_batch(self, *, max_events: Optional[int] = None) -> PayloadDictList:
        """Lease the oldest queued events.

        Args:
            max_events: Maximum number of events; 1,000 if None.

        Returns:
            The events; none if the file cannot be read now.
        """
        wanted = _MAX_EVENTS if max_events is None else max_events
        with self._access.failures_logged("No events could be read from"):
            # A read does not block processes that add events.
            if self._access.perform(lambda connection: self._count_in(connection, _SIZE)):
                events, unreadable = self._access.leases.events_of(*self._grant(wanted))
                if unreadable:
                    self._report_unreadable(unreadable)
                    if not events:
                        self.cleanup([], need_retry=False)
                        return self.get_events_batch(max_events=max_events)
                if events:
                    self._keeper.ensure_running()
                return events
        return []

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Acknowledge leased events, or requeue them in their old place."""
        self._access.check_process()
        homeless: PayloadDictList = []
        for event in batch:
            is_in_file = self._access.leases.settle(event, forget=not need_retry)
            if need_retry and not is_in_file:
                homeless.append(event)
        # What is not written stays recorded, for the thread that is interrupted here or the next transaction.
        with self._access.failures_logged("The results of deliveries could not be written to"):
            self._write_settled()
        for event in homeless:
            self.add_event(event)

    def renew(self, events: PayloadDictList) -> None:
        """Renew the leases of events that are still being sent. The store also does this by itself.

        Args:
            events: The events.
        """
        now = monotonic()
        if events and now >= self._renew_at:
            self._renew_at = now + self.lease_seconds / 6
            self._renew()

    def size(self) -> int:
        """Return the number of queued events of all processes."""
        size = self._count(_SIZE)
        if size is not None:
            self._last_size = size
        return (size or 0) + len(self._access.deferred)

    def remaining(self) -> Optional[int]:
        """Return the number of events that are not delivered yet, including those that are being sent now.

        It is None while the file cannot be read.
        """
        return self._count(_REMAINING)

    def wait_for_events(self, timeout: float) -> bool:
        """Wait until there are events that can be leased.

        Args:
            timeout: Maximum seconds. It may return earlier.

        Returns:
            Whether there are some.
        """
        deadline = monotonic() + timeout
        while not self.size():
            rest = deadline - monotonic()
            if rest <= 0:
                return False
            time.sleep(min(rest, _LOOK_FOR_EVENTS_INTERVAL))
        return True

    def reset_after_fork(self) -> None:
        """Start again in a forked child: the events that the parent is sending stay leased by the parent."""
        self._access.check_process()

    def close(self) -> None:
        """Release free space, and close the file. If the store is used again, it opens the file again."""
        self._access.close()

    # Adding

    def _add_when_full(self, body: str) -> bool:
        if self.overflow == "block":
            added = self._wait_for_room(lambda: self._adding.add(body), _LOOK_FOR_ROOM_INTERVAL)
        elif self.overflow == "drop_oldest":
            added = self._replace_oldest(body)
        else:
            added = False
        if not added:
            self._report_full()
        return added

    def _replace_oldest(self, body: str) -> bool:
        evicted: List[bytes] = []
        added = False
        try:
            # Another process may use the room first, and it may take more than one round to empty a page.
            for _ in range(_ROUNDS_TO_MAKE_ROOM):
                bodies = self._adding.evict()
                evicted += bodies
                added = self._adding.add(body)
                if added or not bodies:
                    break
        finally:
            if evicted:
                self._report_dropped(evicted)
        return added

    # Leasing and settling

    def _grant(self, max_events: int) -> Tuple[Lease, List[Row]]:
        grant = partial(self._access.leases.grant, max_events=max_events)
        try:
            return self._access.transaction(grant)
        except sqlite3.OperationalError as error:
            if is_locked(error) or is_interrupt(error):
                raise
            first = error
        # The disk is full, or cannot be written for another reason.
        try:
            self._make_space()
            return self._access.transaction(grant)
        except sqlite3.OperationalError as error:
            if is_locked(error) or is_interrupt(error):
                raise
        self._access.failed(
            "No lease could be written, and events are sent without one, from", first
        )
        return self._access.perform(partial(grant, written=False))

    def _report_unreadable(self, count: int) -> None:
        logger.error(
            "Lost %s in the event queue %s: the file cannot be read there.",
            events_text(count),
            self.path,
        )
        self._report_lost(count, "cannot be read")

    def _write_settled(self) -> None:
        if not self._access.leases.has_settled:
            return
        try:
            self._access.transaction(_nothing)
            self._access.perform(partial(self._access.file.give_back_pages, keep=_SPARE_PAGES))
        except sqlite3.OperationalError as error:
            if is_locked(error) or is_interrupt(error):
                raise
            self._make_space()
            while self._access.leases.has_settled:
                self._access.transaction(_nothing, _SETTLED_AT_ONCE_ON_A_FULL_DISK)
            self._access.perform(self._shrink_on_a_full_disk)
        if self.failing and not self._adding.disk_is_full:
            self._access.recovered()

    def _make_space(self) -> None:
        """Delete the reserve, so that delivery can use its space."""
        self._adding.disk_is_full = True
        self._access.file.use_reserve()
        self._access.perform(self._access.file.checkpoint)

    def _shrink_on_a_full_disk(self, connection: sqlite3.Connection) -> None:
        self._access.file.checkpoint(connection)
        self._access.file.give_back_pages(connection, keep=0)
        self._access.file.checkpoint(connection)
        self._access.file.make_reserve()

    def _keep_leases(self) -> bool:
        """Renew the leases, in a thread, and return whether there are any."""
        if self._access.file.current is None:
            return False
        self._access.leases.take_back_abandoned()
        self._renew()
        return len(self._access.leases) > 0

    def _renew(self) -> None:
        try:
            self._access.transaction(self._access.leases.renew)
        except (*FAILURES, ReenteredError) as error:
            if is_interrupt(error):
                raise
            logger.debug("Leases in %s could not be renewed: %s", self.path, error)

    def _count(self, query: str) -> Optional[int]:
        try:
            number = self._access.perform(lambda connection: self._count_in(connection, query))
        except ReenteredError:
            return self._last_size
        except FAILURES as error:
            if is_interrupt(error):
                raise
            self._uncountable = True
            self._access.failed("The events could not be counted in", error)
            return None
        if self._uncountable:  # only for a failure to read: a read does not prove that writes work
            self._uncountable = False
            self._access.recovered()
        return number

    def _count_in(self, connection: sqlite3.Connection, query: str) -> int:
        if monotonic() >= self._next_look_at_holders:
            self._next_look_at_holders = monotonic() + _LOOK_AT_HOLDERS_INTERVAL
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


def _nothing(_: sqlite3.Connection) -> None:
    """Do nothing more in a transaction than to write the settled events."""


def _absolute_name(path: _StrPath) -> str:
    """Return the absolute path, since the program may change its directory before a fork opens the file again."""
    try:
        name = os.fspath(path)
    except TypeError:
        raise TypeError(f"path must be a string or a path, got {type(path).__name__}.") from None
    if not isinstance(name, str) or not name or "\0" in name or name.startswith(_NO_FILES):
        raise ValueError(
            f"path must be the path of a file on a disk, got {name!r}: use InMemoryEventStore for a queue in"
            " memory; URIs are not supported."
        )
    return str(Path(name).absolute())
