"""The leased events of an SQLite queue, their holders, and their results."""

from __future__ import annotations

import sqlite3
from itertools import count
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.identity import is_gone
from snowplow_tracker._stores.leasing import LeasedEvents
from snowplow_tracker.typing import PayloadDict, PayloadDictList

WAITING = "(SELECT events FROM total) - (SELECT coalesce(sum(events), 0) FROM lease)"
"""SQL for the number of queued events."""
_BEYOND_ALL_IDS = 1 << 62

Row = Tuple[int, bytes]
Run = Tuple[int, int, int]
"""The first and last id of a range, and the number of events in it."""


class Lease:
    """Events that were leased together.

    Attributes:
        number: A number that is unique among the leases of a store in this process.
        open: The ids of the events that are not settled in the file.
        granted_at: The time of the lease, in monotonic seconds.
        bodies: The bodies by id if the lease could not be written to the file; None for a lease that is in the file.
    """

    __slots__ = ("bodies", "granted_at", "number", "open")

    def __init__(self, number: int) -> None:
        self.number = number
        self.open: Set[int] = set()
        self.granted_at = monotonic()
        self.bodies: Optional[Dict[int, bytes]] = None


class Settled(NamedTuple):
    """The result of an event."""

    lease: int
    row: int
    forget: bool


class SQLiteLeases:
    """The leases of one store in one process. Methods that change the file must be called in a transaction.

    Invariant: an event of a lease is being sent, or recorded as settled, or abandoned; `take_back_abandoned` records
    abandoned ones as settled. Writing a result twice has no effect: only events of a lease in the file are removed.

    Args:
        holder: The name of this store in the file.
        lease_seconds: Seconds after which a lease expires if it is not renewed.
    """

    def __init__(self, holder: str, lease_seconds: float) -> None:
        self.leased = LeasedEvents()
        self._name = self._holder = holder
        self._files = count(1)
        self._seconds = lease_seconds
        self._numbers = count(1)
        self._leases: Dict[int, Lease] = {}
        self._settled: List[Settled] = []

    def __len__(self) -> int:
        return len(self._leases)

    # Leasing

    def grant(
        self, connection: sqlite3.Connection, max_events: int, *, written: bool = True
    ) -> Tuple[Lease, List[Row]]:
        """Lease the oldest queued events. Other processes may send them as well if this is not written to the file."""
        if written:
            self.release_lost(connection)
        rows, runs = oldest_waiting(connection, max_events, self._unwritten())
        lease = Lease(next(self._numbers))
        lease.open = {row for row, _ in rows}
        lease.bodies = None if written else dict(rows)
        if rows:
            # Before the commit, so that events of an interrupted call are abandoned, and requeued.
            self._leases[lease.number] = lease
            if written:
                self._write(connection, lease, runs)
        return lease, rows

    def events_of(self, lease: Lease, rows: Sequence[Row]) -> Tuple[PayloadDictList, int]:
        """Return the events of a lease, and the number of those that cannot be read, which are removed."""
        events, unreadable = self.leased.add([((lease.number, row), body) for row, body in rows])
        self._settled += [Settled(number, row, forget=True) for number, row in unreadable]
        return [*events], len(unreadable)

    def _unwritten(self) -> List[int]:
        return [
            row
            for lease in [*self._leases.values()]
            if lease.bodies is not None
            for row in [*lease.open]
        ]

    def forget_file(self) -> int:
        """Remove the leases in a file that is lost, and return how many of its events are not lost with it.

        They are being sent, or are settled and not removed yet.
        """
        requeued = {(each.lease, each.row) for each in self._settled[:] if not each.forget}
        kept = sum(
            (lease.number, row) not in requeued
            for lease in [*self._leases.values()]
            for row in [*lease.open]
        )
        self._leases.clear()
        self._settled.clear()
        # A copy of the file has leases of this store, which only those of another holder let expire.
        self._holder = f"{self._name}/{next(self._files)}"
        return kept

    # Settling

    def settle(self, event: PayloadDict, *, forget: bool) -> bool:
        """Record the result of an event; return False if it is leased from a file that is lost."""
        entry_id = self.leased.find(event)
        if entry_id is None:
            return True
        number, row = entry_id
        is_in_file = number in self._leases
        # Recorded first: after an interrupt here it is settled twice, which has no effect.
        self._settled.append(Settled(number, row, forget))
        self.leased.remove(entry_id)
        return is_in_file

    @property
    def has_settled(self) -> bool:
        """Whether there are results that are not in the file yet."""
        return bool(self._settled)

    def take_back_abandoned(self) -> None:
        """Requeue abandoned events."""
        noted = {(each.lease, each.row) for each in self._settled[:]}
        now = monotonic()
        for lease in [*self._leases.values()]:
            if now - lease.granted_at < 1.0:
                continue
            for row in [*lease.open]:
                key = (lease.number, row)
                if key not in noted and self.leased.is_abandoned(key):
                    self._settled.append(Settled(*key, forget=False))
                    self.leased.remove(key)

    def write_settled(
        self, connection: sqlite3.Connection, limit: Optional[int] = None
    ) -> List[Settled]:
        """Write recorded results; return them, to be passed to `written` after the commit."""
        noted = self._settled[:limit]
        by_lease: Dict[int, List[Settled]] = {}
        for each in noted:
            by_lease.setdefault(each.lease, []).append(each)
        for number, settled in by_lease.items():
            lease = self._leases.get(number)
            if lease is None:
                continue
            forgotten = [each.row for each in settled if each.forget]
            if lease.bodies is not None:
                bodies = lease.bodies
                # Its id may belong to another event by now.
                connection.executemany(
                    "DELETE FROM event WHERE id = ? AND CAST(body AS BLOB) = ?",
                    [(row, bodies[row]) for row in forgotten if row in bodies],
                )
                continue
            held = connection.execute(
                "SELECT first_id, last_id FROM lease WHERE holder = ? AND batch = ?",
                (self._holder, number),
            ).fetchall()
            if not held:
                continue  # it expired while this process was stopped: another process has the events
            connection.execute(
                "DELETE FROM lease WHERE holder = ? AND batch = ?", (self._holder, number)
            )
            remove(connection, _runs(row for row in forgotten if _is_in(row, held)))
            still_open = lease.open.difference([each.row for each in settled])
            self._write(connection, lease, _runs(row for row in still_open if _is_in(row, held)))
        return noted

    def written(self, noted: List[Settled]) -> None:
        """Remove the results that are in the file now."""
        for each in noted:
            lease = self._leases.get(each.lease)
            if lease is not None:
                lease.open.discard(each.row)
                if not lease.open:
                    self._leases.pop(each.lease, None)
        del self._settled[: len(noted)]

    # The time that leases last

    def renew(self, connection: sqlite3.Connection) -> None:
        """Renew all leases of this store that are in the file."""
        connection.execute(
            "UPDATE lease SET until = ? WHERE holder = ?",
            (monotonic() + self._seconds, self._holder),
        )

    def release_lost(self, connection: sqlite3.Connection) -> None:
        """Requeue events whose holder is dead, or whose lease has expired."""
        now = monotonic()
        holders = connection.execute(
            "SELECT DISTINCT holder FROM lease WHERE holder != ?", (self._holder,)
        ).fetchall()
        for (holder,) in holders:
            # In a damaged file it may have any type.
            if isinstance(holder, str) and is_gone(holder.partition("/")[0]):
                connection.execute("DELETE FROM lease WHERE holder = ?", (holder,))
        if holders:
            connection.execute(
                # The clock restarts with the machine.
                "DELETE FROM lease WHERE holder != ? AND (until < ? OR granted > ?)",
                (self._holder, now, now),
            )

    def _write(self, connection: sqlite3.Connection, lease: Lease, runs: Iterable[Run]) -> None:
        now = monotonic()
        connection.executemany(
            "INSERT INTO lease VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*run, self._holder, lease.number, now, now + self._seconds) for run in runs],
        )


def oldest_waiting(
    connection: sqlite3.Connection, max_events: int, without: Iterable[int] = ()
) -> Tuple[List[Row], List[Run]]:
    """Return the oldest events without a lease in the file, and not in `without`, and the ranges of exactly these."""
    rows: List[Row] = []
    runs: List[Run] = []
    above = 0
    leased = connection.execute("SELECT first_id, last_id FROM lease ORDER BY first_id").fetchall()
    out = sorted([*leased, *((first, last) for first, last, _ in _runs(without))])
    for first, last in [*out, (_BEYOND_ALL_IDS, _BEYOND_ALL_IDS)]:
        found = connection.execute(
            # As bytes, so that a body that is not UTF-8 does not prevent reading the others.
            "SELECT id, CAST(body AS BLOB) FROM event WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
            (above, first, max_events - len(rows)),
        ).fetchall()
        if found:
            rows += found
            runs.append((found[0][0], found[-1][0], len(found)))
        if len(rows) >= max_events:
            break
        above = max(above, last)
    return rows, runs


def remove(connection: sqlite3.Connection, runs: Iterable[Run]) -> None:
    """Delete ranges of events."""
    connection.executemany(
        "DELETE FROM event WHERE id BETWEEN ? AND ?", [(first, last) for first, last, _ in runs]
    )


def _runs(ids: Iterable[int]) -> List[Run]:
    """Gather ids into ranges without holes."""
    runs: List[Run] = []
    for each in sorted(ids):
        if runs and runs[-1][1] == each - 1:
            first, _, events = runs[-1]
            runs[-1] = (first, each, events + 1)
        else:
            runs.append((each, each, 1))
    return runs


def _is_in(row: int, ranges: Sequence[Tuple[int, int]]) -> bool:
    return any(first <= row <= last for first, last in ranges)
