"""One Redis stream with one consumer group: the commands, and what differs between versions."""

from __future__ import annotations

import logging
from functools import partial
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    Type,
    TypeVar,
)

from snowplow_tracker._process.interrupts import suppress
from snowplow_tracker._stores.redis_clients import (
    Undecoded,
    decodes,
    redis_module,
)

logger = logging.getLogger("snowplow_tracker.emitters")

RETURNED = "returned"
"""The consumer that owns requeued entries. No process uses this name, so every consumer may claim from it at once."""

_Result = TypeVar("_Result")

_FIELD = "event"
_LONG_AGO = 1
"""Milliseconds of Unix time. Entries with this delivery time are stale for every consumer."""
_PENDING_AT_ONCE = 1_000
_CLAIM_ROUNDS = 20

# A script, since between the check and the deletion a consumer could wake up and get events, which would be lost.
_FORGET_DEAD_CONSUMERS = """
local forgotten = 0
for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #info, 2 do consumer[info[i]] = info[i + 1] end
  if consumer.pending == 0 and consumer.idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    forgotten = forgotten + 1
  end
end
return forgotten
"""


class Entries(NamedTuple):
    """Entries of the stream, in its order. A body is `bytes` (`str` if the client cannot but decode), or None without an event."""

    ids: List[str]
    bodies: List[Any]


class RedisStream:
    """The commands for one stream. Errors of redis-py are not handled here.

    Args:
        client: A client of redis-py.
        stream: The key.
        group: The consumer group.
        consumer: The name of this consumer.
        claim_after: Seconds without a sign of life after which entries are taken from their consumer.
    """

    def __init__(
        self, client: Any, stream: str, group: str, consumer: str, claim_after: float
    ) -> None:
        self._client = client
        self._decodes = decodes(client)
        self._reading = self._undecoded(client)
        self._response_error: Type[Exception] = redis_module().exceptions.ResponseError
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._claim_after = max(1, int(claim_after * 1000))
        self._has_autoclaim = True
        self._may_lack_group = True
        self._had_group = False

    def add(self, body: str) -> None:
        """Add an event at the end."""
        self._ensure_group()
        self._client.execute_command("XADD", self._stream, "*", _FIELD, body)

    def add_all(self, bodies: Sequence[str]) -> List[Optional[Exception]]:
        """Add events at the end; return for each the error of Redis, or None if it was added."""
        if not bodies:
            return []
        self._ensure_group()
        with self._client.pipeline(transaction=False) as pipeline:
            for body in bodies:
                pipeline.execute_command("XADD", self._stream, "*", _FIELD, body)
            answers = pipeline.execute(raise_on_error=False)
        return [each if isinstance(each, Exception) else None for each in answers]

    def length(self) -> int:
        """Return the number of events, including leased ones."""
        return int(self._client.xlen(self._stream))

    def exists(self) -> bool:
        """Return whether the key is there: it stays when all events are delivered."""
        try:
            self._reading.xinfo_groups(self._stream)
        except self._response_error as error:
            if not _nothing_there(error):
                raise
            return False
        return True

    def oldest_waiting(self, count: int) -> Entries:
        """Return the oldest events that were never leased, without leasing them."""
        return _entries(
            self._reading.xrange(
                self._stream, min=_next_id(self._last_delivered()), max="+", count=count
            )
        )

    def delete(self, ids: Sequence[str]) -> List[bool]:
        """Delete entries; return for each whether it existed."""
        with self._client.pipeline(transaction=False) as pipeline:
            for each in ids:
                pipeline.xdel(self._stream, each)
            return [bool(deleted) for deleted in pipeline.execute()]

    def read(self, count: int) -> Entries:
        """Lease new events. It does not wait for any."""
        return _entries(
            self._with_group(
                lambda: self._reading.xreadgroup(
                    self._group, self._consumer, {self._stream: ">"}, count=count
                )
            )
        )

    def claim(self, count: int) -> Entries:
        """Lease events that were requeued, or whose consumer shows no sign of life, oldest first."""
        if self._has_autoclaim:
            try:
                return self._with_group(lambda: self._autoclaim(count))
            except self._response_error as error:
                if "unknown command" not in str(error).lower():
                    raise
                self._has_autoclaim = False  # Redis before 6.2
        return self._with_group(lambda: self._claim_by_hand(count))

    def _autoclaim(self, count: int) -> Entries:
        found = Entries([], [])
        cursor: Any = "0-0"
        deleted = False
        for _ in range(_CLAIM_ROUNDS):
            reply = self._reading.xautoclaim(
                self._stream,
                self._group,
                self._consumer,
                self._claim_after,
                start_id=cursor,
                count=count - len(found.ids),
            )
            raw = reply
            cursor = "0-0"
            if reply and not isinstance(reply[0], tuple):  # redis-py 4.1.0 returns only the entries
                cursor, raw = _text(reply[0]), reply[1]
            deleted = deleted or any(entry[0] is None for entry in raw)
            entries = _entries(raw)
            found.ids.extend(entries.ids)
            found.bodies.extend(entries.bodies)
            if cursor == "0-0" or len(found.ids) >= count:
                break
        if deleted:
            # Redis 6.2 claims entries that are no longer in the stream; 7.0 removes them by itself.
            self._forget_deleted(
                [_text(row["message_id"]) for row in self._pending("-", self._consumer)]
            )
        return found

    def _claim_by_hand(self, count: int) -> Entries:
        stale: List[str] = []
        start = "-"
        for _ in range(_CLAIM_ROUNDS):
            rows = self._pending(start)
            stale += [
                _text(row["message_id"])
                for row in rows
                if row["time_since_delivered"] >= self._claim_after
            ]
            if len(rows) < _PENDING_AT_ONCE or len(stale) >= count:
                break
            start = _next_id(_text(rows[-1]["message_id"]))
        stale = stale[:count]
        if not stale:
            return Entries([], [])
        entries = _entries(
            self._reading.xclaim(
                self._stream, self._group, self._consumer, self._claim_after, stale
            )
        )
        missing = set(stale).difference(entries.ids)
        if missing:
            self._forget_deleted(sorted(missing))
        return entries

    def _pending(self, start: str, consumer: Optional[str] = None) -> List[Dict[str, Any]]:
        rows: List[Dict[str, Any]] = self._reading.xpending_range(
            name=self._stream,
            groupname=self._group,
            min=start,
            max="+",
            count=_PENDING_AT_ONCE,
            consumername=consumer,
        )
        return rows

    def _forget_deleted(self, ids: Iterable[str]) -> None:
        """Remove entries that are no longer in the stream from the pending list."""
        gone = [each for each in ids if not self._reading.xrange(self._stream, each, each)]
        if gone:
            self._client.xack(self._stream, self._group, *gone)

    def acknowledge(self, ids: Sequence[str]) -> None:
        """Delete events, and acknowledge them."""
        # Not as a transaction, which a Redis without memory refuses, although this makes room. In this order nothing is
        # left over if only the first command is executed: pending entries that are no longer in the stream are removed,
        # see `claim`.
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.xdel(self._stream, *ids)
            pipeline.xack(self._stream, self._group, *ids)
            pipeline.execute()

    def requeue(self, ids: Sequence[str]) -> Set[str]:
        """Requeue events in their old place. Return those that Redis still has."""
        return {
            _text(each)
            for each in self._with_group(
                lambda: self._client.xclaim(
                    self._stream, self._group, RETURNED, 0, ids, time=_LONG_AGO, justid=True
                )
            )
        }

    def renew(self, ids: Set[str]) -> None:
        """Renew the leases of events that are still being sent."""
        ours = [each for each, _ in self._owned() if each in ids]
        for start in range(0, len(ours), _PENDING_AT_ONCE):
            self._client.xclaim(
                self._stream,
                self._group,
                self._consumer,
                0,
                ours[start : start + _PENDING_AT_ONCE],
                idle=0,
                justid=True,
            )

    def owned(self, idle: float) -> List[str]:
        """Return the ids of entries that were leased by us at least `idle` seconds ago, and are not settled."""
        return [each for each, since in self._owned() if since >= idle * 1000]

    def _owned(self) -> List[Tuple[str, int]]:
        owned: List[Tuple[str, int]] = []
        start = "-"
        while True:
            rows = self._with_group(partial(self._pending, start, self._consumer))
            owned += [(_text(row["message_id"]), row["time_since_delivered"]) for row in rows]
            if len(rows) < _PENDING_AT_ONCE:
                return owned
            start = _next_id(owned[-1][0])

    def waiting(self) -> int:
        """Return the number of events that can be leased now."""
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.xlen(self._stream)
            self._undecoded(pipeline).xinfo_consumers(self._stream, self._group)
            length, consumers = pipeline.execute(raise_on_error=False)
        if isinstance(length, Exception):
            raise length
        if isinstance(consumers, Exception):
            if not _nothing_there(consumers):
                raise consumers
            consumers = []
        leased = sum(each["pending"] for each in consumers)
        stale = sum(
            each["pending"]
            for each in consumers
            if _text(each["name"]) == RETURNED or each["idle"] >= self._claim_after
        )
        waiting = int(max(0, length - leased))
        if not waiting and length:
            # A leased entry that somebody trimmed or deleted is not in the length, and so hides a new one. What is known
            # without asking for every entry is whether there is any.
            waiting = len(self.oldest_waiting(1).ids)
        return waiting + int(stale)

    def wait(self, milliseconds: int) -> bool:
        """Block until there is a new event, without leasing it."""
        reply = self._reading.xread(
            {self._stream: self._last_delivered()}, count=1, block=max(1, milliseconds)
        )
        return bool(reply)

    def _last_delivered(self) -> str:
        try:
            groups = self._reading.xinfo_groups(self._stream)
        except self._response_error as error:
            if not _nothing_there(error):
                raise
            return "0-0"
        for each in groups:
            if _text(each["name"]) == self._group:
                return _text(each["last-delivered-id"])
        return "0-0"

    def leave(self) -> None:
        """Remove our consumer from the group, unless it owns events, which would be lost."""
        for each in self._reading.xinfo_consumers(self._stream, self._group):
            if _text(each["name"]) == self._consumer and not each["pending"]:
                self._client.xgroup_delconsumer(self._stream, self._group, self._consumer)

    def forget_dead_consumers(self, idle: float) -> None:
        """Remove consumers from the group that own nothing and have been idle for `idle` seconds."""
        self._client.eval(_FORGET_DEAD_CONSUMERS, 1, self._stream, self._group, int(idle * 1000))

    def _undecoded(self, client: Any) -> Any:
        return Undecoded(client) if self._decodes else client

    def _with_group(self, operation: Callable[[], _Result]) -> _Result:
        """Call an operation that needs the group; create the group first if it does not exist."""
        try:
            result = operation()
        except self._response_error as error:
            if not str(error).startswith("NOGROUP"):
                raise
            if self._had_group:
                self._had_group = False
                logger.warning(
                    "The group %s of the stream %s is gone from Redis and is created again; events that were in the "
                    "stream may be lost.",
                    self._group,
                    self._stream,
                )
            self._create_group()
            result = operation()
        self._had_group = True
        return result

    def _create_group(self) -> None:
        try:
            # From the beginning of the stream, since delivered events are no longer in it.
            self._client.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except self._response_error as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _ensure_group(self) -> None:
        """Create the group with the first event, because a Redis without memory creates none."""
        if self._may_lack_group:
            with suppress(self._response_error):  # a user who may only add, for example
                self._create_group()
            self._may_lack_group = False


def _nothing_there(error: Exception) -> bool:
    text = str(error)
    return text.startswith("NOGROUP") or "no such key" in text


def _text(value: Any) -> str:
    # The name of another program's consumer may not be UTF-8; ours always is.
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _next_id(entry_id: str) -> str:
    """Return the smallest id after this one."""
    milliseconds, _, number = entry_id.partition("-")
    return f"{milliseconds}-{int(number) + 1}"


def _entries(reply: Any) -> Entries:
    """Parse entries, whose form depends on the version of redis-py and on the protocol."""
    ids: List[str] = []
    bodies: List[Any] = []
    for entry_id, fields in _flat(reply):
        if entry_id is None:
            continue  # deleted from the stream in the meantime
        ids.append(_text(entry_id))
        known = fields or {}
        text = known.get(b"event")
        bodies.append(known.get(_FIELD) if text is None else text)
    return Entries(ids, bodies)


def _flat(reply: Any) -> Iterable[Tuple[Any, Any]]:
    if not reply:
        return
    if isinstance(reply, dict):
        for part in reply.values():
            yield from _flat(part)
        return
    for part in reply:
        if isinstance(part, tuple):
            yield part[0], part[1]
        elif len(part) == 2 and not isinstance(part[0], (tuple, list)):  # the key, and its entries
            yield from _flat(part[1])
        else:
            yield from _flat(part)
