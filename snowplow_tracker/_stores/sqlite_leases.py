"""Which events of a SQLite queue are out, with whom, and what became of them."""

from __future__ import annotations

import sqlite3
import time
from itertools import count
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from snowplow_tracker._process.identity import is_gone
from snowplow_tracker._stores.bodies import decode_all
from snowplow_tracker._stores.handed_out import HandedOut, LeasedEvent
from snowplow_tracker.typing import PayloadDict

__all__ = ["WAITING", "Lease", "Row", "SQLiteLeases", "oldest_waiting", "remove"]

WAITING = "(SELECT events FROM total) - (SELECT coalesce(sum(events), 0) FROM lease)"
"""SQL for the number of events that wait."""
_BEYOND_ALL_IDS = 1 << 62

Row = Tuple[int, bytes]
Run = Tuple[int, int, int]
"""The first and last id of a range, and the number of events in it."""


class Lease:
    """Events that were handed out together.

    Attributes:
        number: Different for each lease of a store in this process.
        open: The ids of the events that are not settled in the file.
        granted_at: When, in monotonic seconds.
        generation: Of the file from which they are.
        bodies: What was handed out while the file took no lease, by id; None for a lease that is in the file.
    """

    __slots__ = ("bodies", "generation", "granted_at", "number", "open")

    def __init__(self, number: int, generation: int) -> None:
        self.number = number
        self.open: Set[int] = set()
        self.granted_at = time.monotonic()
        self.generation = generation
        self.bodies: Optional[Dict[int, bytes]] = None


class Settled(NamedTuple):
    """What became of an event."""

    lease: int
    row: int
    forget: bool


class SQLiteLeases:
    """The leases of one store in one process. What changes the file is called in a transaction.

    Invariant: an event of a lease is out, or noted as settled, or abandoned; and an abandoned one is noted as settled by
    `take_back_abandoned`. To write again what was settled has no effect: only what a lease in the file holds is removed.

    Args:
        holder: The name of this store in the file.
        lease_seconds: How long a lease lasts if it is not renewed.
    """

    def __init__(self, holder: str, lease_seconds: float) -> None:
        self.handed_out = HandedOut()
        self._holder = holder
        self._seconds = lease_seconds
        self._numbers = count(1)
        self._leases: Dict[int, Lease] = {}
        self._settled: List[Settled] = []

    def __len__(self) -> int:
        return len(self._leases)

    # Handing out

    def grant(
        self, connection: sqlite3.Connection, max_events: int, generation: int
    ) -> Tuple[Lease, List[Row]]:
        """Lease the events that waited longest."""
        self.release_lost(connection)
        rows, runs = oldest_waiting(connection, max_events, self._unwritten())
        lease = Lease(next(self._numbers), generation)
        lease.open = {row for row, _ in rows}
        if rows:
            # Before the commit: what an interrupt keeps from being handed out is abandoned then, and comes back.
            self._leases[lease.number] = lease
            self._write(connection, lease, runs)
        return lease, rows

    def grant_unwritten(
        self, connection: sqlite3.Connection, max_events: int, generation: int
    ) -> Tuple[Lease, List[Row]]:
        """Hand out the events that waited longest although the file takes nothing: other processes may do so too."""
        rows, _ = oldest_waiting(connection, max_events, self._unwritten())
        lease = Lease(next(self._numbers), generation)
        lease.bodies = dict(rows)
        lease.open = {row for row, _ in rows}
        if rows:
            self._leases[lease.number] = lease
        return lease, rows

    def hand_out(self, lease: Lease, rows: Sequence[Row]) -> Tuple[List[LeasedEvent], int]:
        """Return the events of a lease, and the number of those that cannot be read, which are removed."""
        events: List[LeasedEvent] = []
        unreadable: List[Settled] = []
        for (row, _), parameters in zip(rows, decode_all([body for _, body in rows])):
            if parameters is None:
                unreadable.append(Settled(lease.number, row, forget=True))
                continue
            event = LeasedEvent(parameters)
            event.entry_id = (lease.number, row)
            events.append(event)
        self.handed_out.add(events)
        self._settled += unreadable
        return events, len(unreadable)

    def _unwritten(self) -> List[int]:
        return [
            row
            for lease in [*self._leases.values()]
            if lease.bodies is not None
            for row in [*lease.open]
        ]

    def accounted_for(self, generation: int) -> int:
        """Return how many events in a file its end does not lose: they are out, or settled and only not removed yet."""
        waiting = {(each.lease, each.row) for each in self._settled[:] if not each.forget}
        return sum(
            (lease.number, row) not in waiting
            for lease in [*self._leases.values()]
            if lease.generation == generation
            for row in [*lease.open]
        )

    # Settling

    def settle(self, event: PayloadDict, *, forget: bool) -> Optional[int]:
        """Note what became of an event; return the generation of its file, or None for one that is not out."""
        entry_id = self.handed_out.find(event)
        if entry_id is None:
            return None
        number, row = entry_id
        lease = self._leases.get(number)
        # Noted first: an interrupt in between has it settled twice, to no effect.
        self._settled.append(Settled(number, row, forget))
        self.handed_out.remove(entry_id)
        return None if lease is None else lease.generation

    @property
    def has_settled(self) -> bool:
        """Whether something is noted that is not in the file yet."""
        return bool(self._settled)

    def take_back_abandoned(self) -> None:
        """Let events wait again that nobody holds any more."""
        noted = {(each.lease, each.row) for each in self._settled[:]}
        now = time.monotonic()
        for lease in [*self._leases.values()]:
            if now - lease.granted_at < 1.0:
                continue
            for row in [*lease.open]:
                key = (lease.number, row)
                if key not in noted and self.handed_out.is_abandoned(key):
                    self._settled.append(Settled(*key, forget=False))
                    self.handed_out.remove(key)

    def write_settled(
        self, connection: sqlite3.Connection, limit: Optional[int] = None
    ) -> List[Settled]:
        """Write what is noted; return what has to be handed to `written` after the commit."""
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
                # Its id may stand for another event by now.
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
                continue  # it ran out while this process was stopped: the events are somebody else's
            connection.execute(
                "DELETE FROM lease WHERE holder = ? AND batch = ?", (self._holder, number)
            )
            remove(connection, _runs(row for row in forgotten if _is_in(row, held)))
            still_open = lease.open.difference([each.row for each in settled])
            self._write(connection, lease, _runs(row for row in still_open if _is_in(row, held)))
        return noted

    def written(self, noted: List[Settled]) -> None:
        """Forget what is in the file now."""
        for each in noted:
            lease = self._leases.get(each.lease)
            if lease is not None:
                lease.open.discard(each.row)
                if not lease.open:
                    self._leases.pop(each.lease, None)
        del self._settled[: len(noted)]

    def forget_file(self) -> None:
        """Forget what is noted for a file that is gone."""
        del self._settled[:]

    # The time that leases last

    def renew(self, connection: sqlite3.Connection) -> None:
        """Renew all leases of this store that are in the file."""
        connection.execute(
            "UPDATE lease SET until = ? WHERE holder = ?",
            (time.monotonic() + self._seconds, self._holder),
        )

    def release_lost(self, connection: sqlite3.Connection) -> None:
        """Let events wait again whose holder is gone, or has given no sign of life for too long."""
        now = time.monotonic()
        holders = connection.execute(
            "SELECT DISTINCT holder FROM lease WHERE holder != ?", (self._holder,)
        ).fetchall()
        for (holder,) in holders:
            # In a damaged file it may be anything.
            if isinstance(holder, str) and is_gone(holder.partition("/")[0]):
                connection.execute("DELETE FROM lease WHERE holder = ?", (holder,))
        if holders:
            connection.execute(
                # The clock starts again with the machine.
                "DELETE FROM lease WHERE holder != ? AND (until < ? OR granted > ?)",
                (self._holder, now, now),
            )

    def _write(self, connection: sqlite3.Connection, lease: Lease, runs: Iterable[Run]) -> None:
        now = time.monotonic()
        connection.executemany(
            "INSERT INTO lease VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*run, self._holder, lease.number, now, now + self._seconds) for run in runs],
        )


def oldest_waiting(
    connection: sqlite3.Connection, max_events: int, without: Iterable[int] = ()
) -> Tuple[List[Row], List[Run]]:
    """Find the events that waited longest, with the ranges that hold them and nothing else.

    Args:
        connection: The file.
        max_events: How many at most.
        without: Ids of events that are out although no lease in the file says so.
    """
    rows: List[Row] = []
    runs: List[Run] = []
    above = 0
    leased = connection.execute("SELECT first_id, last_id FROM lease ORDER BY first_id").fetchall()
    out = sorted([*leased, *((first, last) for first, last, _ in _runs(without))])
    for first, last in [*out, (_BEYOND_ALL_IDS, _BEYOND_ALL_IDS)]:
        found = connection.execute(
            # As bytes: what is no text must not keep the others from being read.
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
