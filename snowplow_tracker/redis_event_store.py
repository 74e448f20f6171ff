"""A queue in Redis. Programs on many machines add events, and any number of workers deliver them."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from typing import Any, Optional

from snowplow_tracker._delivery import unreported
from snowplow_tracker._delivery.options import check_number, check_seconds
from snowplow_tracker._messages import events_text
from snowplow_tracker._process import exit as process_exit
from snowplow_tracker._process import fork
from snowplow_tracker._process.interrupts import is_interrupt, suppress
from snowplow_tracker._stores.bodies import encode
from snowplow_tracker._stores.durable import DurableStore
from snowplow_tracker._stores.leasing import LeasedEvent
from snowplow_tracker._stores.redaction import redact
from snowplow_tracker._stores.redis_clients import check_client, connect
from snowplow_tracker._stores.redis_counts import RedisCounts
from snowplow_tracker._stores.redis_leases import RedisLeases
from snowplow_tracker._stores.redis_link import Kind, RedisLink
from snowplow_tracker._stores.redis_stream import RedisStream
from snowplow_tracker._stores.redis_writer import RedisWriter
from snowplow_tracker.event_store import Overflow
from snowplow_tracker.typing import PayloadDict, PayloadDictList

__all__ = ["RedisEventStore", "StreamEvent"]

logger: logging.Logger = logging.getLogger("snowplow_tracker.emitters")

DEFAULT_URL = "redis://localhost:6379/0"
DEFAULT_CAPACITY = 1_000_000
DEFAULT_SPILL_CAPACITY = 10_000

_MAX_EVENTS = 500
"""Default maximum number of events in a batch."""
_LOOK_FOR_ROOM_INTERVAL = 0.05
"""Seconds between checks for room, since nothing wakes this process when another one makes room."""
_LOOK_FOR_MEMORY_INTERVAL = 0.002
_MIN_PAUSE = 0.01


class StreamEvent(LeasedEvent):
    """A leased event: its parameters, and its place in the stream.

    Attributes:
        entry_id: The id of its entry in the stream, which `cleanup` uses.
    """

    __slots__ = ()


class RedisEventStore(DurableStore):
    """A bounded queue in a Redis stream, with a consumer group, that any number of machines share.

    It needs redis-py (``pip install 'snowplow-tracker[redis]'``) and Redis 5.0 or later, or a compatible server.

    Guarantees:

    - When `add_event` returns True, Redis has the event. It is then as safe as the persistence of Redis: with
      ``appendonly yes`` and ``appendfsync everysec`` a crash of its machine may lose the last second, with ``always``
      nothing; without persistence, a restart of Redis loses everything.
    - While Redis cannot be reached or accepts no events, up to `spill_capacity` events are kept in memory, and `add_event`
      returns True for them too. They are written, in order, when Redis is back, and at the end of the program within
      `exit_timeout`. They are lost if the program is killed during the outage. With `spill_capacity=0` nothing is kept
      in memory, and `add_event` returns False instead. An outage is logged once when it begins and once when it ends.
    - With `write_behind`, events are always kept in memory first: `add_event` takes microseconds, and a thread writes
      to Redis, usually within a millisecond.
    - `add_event` never raises. It waits for Redis for about `socket_timeout` (twice that to reconnect), and only once
      per outage; with `overflow="block"` for up to `overflow_timeout` more.
    - Events are delivered at least once. If a worker dies while it sends events, another one takes them over after
      `claim_after` seconds, with the same event ids. A live worker keeps its events, however long it takes.
    - An event that could not be sent keeps its place: all workers take such events first, in their order, from the next
      `get_events_batch` or within a second. (They are pending entries of a consumer named ``returned``.)

    - Events that vanish from Redis (``FLUSHALL``, ``XTRIM``, an eviction, a restart without persistence) are not counted
      as dropped: a missing entry may as well have been delivered by another worker, and Redis keeps no account of that.
      A worker logs once that its group is gone. Events that a worker is sending at that time are not lost. To detect
      losses, compare `DeliveryStats.tracked` of all programs with `DeliveryStats.sent` of all workers, and set
      ``maxmemory-policy noeviction``.

    An entry of the stream has one field, ``event``, with the event as JSON. An entry without it, or one that is not
    UTF-8, is dropped, counted and logged. This also works with a client that has ``decode_responses``, since the store
    reads bytes, except before redis-py 4.4 and where the class of the client has its own reading commands: there, an
    entry that is not UTF-8 stops delivery, which is logged. Pass a client without ``decode_responses`` in these cases.

    Redis on several machines:

    - Replication is asynchronous: when a master dies, events that it had not replicated yet are lost, although
      `add_event` returned True. ``min-replicas-to-write 1`` on the servers limits this loss, but does not exclude it.
      After a failover, events that were being sent are sent again, with the same event ids.
    - The only key of the store is that of the stream, so in a cluster (redis-py 5.0 or later) it is on one shard. To
      use several shards, use several streams with different names, each with its own workers.
    - If a connection fails, the client of a cluster is created again from the nodes in the URL, so name several there.

    The Redis user needs these rights, for the key of the stream only; in a cluster also ``+cluster|slots
    +cluster|shards +cluster|myid +command +readonly +info``::

        ACL SETUSER snowplow on >password resetkeys ~snowplow:events -@all
            +hello +auth +select +ping +xadd +xlen +xrange +xread +xdel +xreadgroup +xack +xclaim
            +xautoclaim +xpending +xinfo|consumers +xinfo|groups +xgroup|create +xgroup|delconsumer +eval

    Args:
        client_or_url: ``redis://[[user]:password@]host:port/db``, ``rediss://`` for TLS, ``unix://``, with the options
            of redis-py in its query; ``redis+sentinel://[[user]:password@]host:port,host:port/service/db`` and
            ``redis+cluster://[[user]:password@]host:port,host:port`` (the names that `limits` uses), with TLS
            ``rediss+sentinel://`` and ``rediss+cluster://``; or a `redis.Redis`, also one of `Sentinel.master_for`, or
            a `redis.RedisCluster`, whose timeouts and retries then decide how long calls take. The user and the
            password are those of Redis; those of the Sentinels are ``?sentinel_username=`` and ``sentinel_password=``.
        stream: The key of the stream.
        group: The consumer group; workers of one group share the work.
        consumer: The name of this worker, which must be unique. Default: made of host, process and a random part.
        buffer_capacity: Maximum number of events in the stream, including those that are being sent. It is checked
            often, but not atomically with each addition: many programs together may slightly exceed it.
        overflow: What happens when the queue is full: `"drop_newest"` refuses the new event, `"drop_oldest"` drops the
            oldest one that no worker has leased, `"block"` waits up to `overflow_timeout` for room and then refuses.
        overflow_timeout: Seconds.
        claim_after: Seconds after which the events of a worker that shows no sign of life go to another one.
        write_behind: Write to Redis from a thread.
        spill_capacity: Maximum number of events in memory that are not in Redis yet; then `overflow` applies.
        socket_timeout: Seconds to wait for Redis, for a connection and for each answer.
        exit_timeout: Maximum seconds for `close` and for the end of the program to write the events in memory.

    Raises:
        ImportError: redis-py is not installed.
        TypeError: An argument has the wrong type, such as a client for asyncio.
        ValueError: An argument is out of range, or the URL is invalid.

    New in version 1.2.0.
    """

    def __init__(
        self,
        client_or_url: Any = DEFAULT_URL,
        *,
        stream: str = "snowplow:events",
        group: str = "snowplow",
        consumer: Optional[str] = None,
        buffer_capacity: int = DEFAULT_CAPACITY,
        overflow: Overflow = "drop_newest",
        overflow_timeout: float = 1.0,
        claim_after: float = 60.0,
        write_behind: bool = False,
        spill_capacity: int = DEFAULT_SPILL_CAPACITY,
        socket_timeout: float = 1.0,
        exit_timeout: float = 2.0,
    ) -> None:
        check_client(client_or_url)
        for name, value in (("stream", stream), ("group", group), ("consumer", consumer)):
            if not isinstance(value, str) and not (name == "consumer" and value is None):
                raise TypeError(f"{name} must be a string, got {type(value).__name__}.")
        super().__init__("in Redis", buffer_capacity, overflow, overflow_timeout)
        check_number("spill_capacity", spill_capacity, fraction=True, zero=True)
        if write_behind and not spill_capacity:
            raise ValueError("spill_capacity must not be 0 with write_behind.")
        check_seconds("claim_after", claim_after)
        check_seconds("socket_timeout", socket_timeout)
        check_seconds("exit_timeout", exit_timeout, zero=True)
        if not stream or not group or consumer == "":
            raise ValueError("stream, group and consumer must not be empty.")
        self.stream = stream
        self.group = group
        self.claim_after = claim_after
        self.write_behind = write_behind
        self.spill_capacity = spill_capacity
        self.socket_timeout = socket_timeout
        self.exit_timeout = exit_timeout
        self._target = client_or_url
        self._own_consumer = consumer
        self._start()
        fork.register(self)

    def _start(self) -> None:
        """Initialize the state that belongs to one process."""
        self._pid = os.getpid()
        is_own = isinstance(self._target, str)
        client = connect(self._target, self.socket_timeout) if is_own else self._target
        self.consumer: str = (
            self._own_consumer or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        )
        self._link = RedisLink(
            client, is_own=is_own, on_return=self._on_return, kept_events=self.spill_capacity
        )
        self._stream = RedisStream(client, self.stream, self.group, self.consumer, self.claim_after)
        self._counts = RedisCounts(
            self._link,
            self._stream,
            self.buffer_capacity,
            self._report_dropped if self.overflow == "drop_oldest" else None,
        )
        self._writer = RedisWriter(
            self._link,
            self._stream,
            self.spill_capacity,
            self._counts.room,
            None if self.overflow == "block" else self._report_dropped,
            self._on_change,
        )
        self._leases = RedisLeases(
            self._link, self._stream, self._writer, self.claim_after, StreamEvent
        )

    def __repr__(self) -> str:
        target = redact(self._target) if isinstance(self._target, str) else "a client"
        return f"RedisEventStore({target!r}, stream={self.stream!r}, group={self.group!r})"

    # The protocol

    def add_event(self, payload: PayloadDict) -> bool:
        """Write an event to Redis, or keep it in memory while this is not possible.

        Returns:
            Whether the event was added; False if there is no room for it.
        """
        self._check_process()
        body = encode(payload)
        if self._may_add_now():
            # The link logs and counts a failure.
            with suppress(*self._link.failures):
                return self._add_now(body)
        return self._add_to_memory(body)

    def get_events_batch(self, *, max_events: Optional[int] = None) -> PayloadDictList:
        """Lease the oldest queued events.

        Args:
            max_events: Maximum number of events; 500 if None.

        Returns:
            `StreamEvent` objects; none while Redis cannot be reached.
        """
        self._check_process()
        if self._link.is_calling():
            return []
        if self._writer.unwritten and not self._link.failing:
            self._writer.flush(self.socket_timeout)
        self._writer.write_settled()
        if not self._link.may_try(Kind.LEASE):
            return []
        with suppress(*self._link.failures):
            events, broken = self._leases.lease(_MAX_EVENTS if max_events is None else max_events)
            self._counts.changed()
            if broken:
                logger.error(
                    "%d entries of %s hold no event and were dropped.", broken, self.stream
                )
                self._report_lost(broken, "hold no event")
                if not self._writer.write_settled():
                    self._writer.wake()
            return events
        return []

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Acknowledge leased events, or requeue them in their old place.

        What cannot be written to Redis now is written later. Events are identified by `StreamEvent.entry_id`, or else
        by their event id. If `need_retry`, an event that was not leased from this store is added to it.
        """
        self._check_process()
        settled, foreign = self._leases.settle(batch, need_retry=need_retry)
        self._counts.changed()
        if settled and not self._writer.write_settled():
            self._writer.wake()
        if need_retry:
            for event in foreign:
                self.add_event(event)

    def renew(self, events: PayloadDictList) -> None:
        """Renew the leases of events that are still being sent. The store also does this by itself.

        Args:
            events: The events.
        """
        if events:
            self._leases.renew()

    def size(self) -> int:
        """Return the number of queued events: those in memory, and those in the stream that are not being sent.

        While Redis cannot be reached, it is the last known number.
        """
        self._check_process()
        # In this order, an event that is just being written is counted twice rather than not at all.
        local = self._writer.unwritten
        return self._counts.waiting() + local

    def remaining(self) -> Optional[int]:
        """Return the number of events that are not delivered yet, including those that workers are sending now.

        It is None while Redis cannot be reached.
        """
        self._check_process()
        local = self._writer.unwritten
        if not self._link.is_calling():
            with suppress(*self._link.failures):
                return self._link.call(self._stream.length) + local
        return None

    def wait_for_events(self, timeout: float) -> bool:
        """Wait until there are new events.

        Args:
            timeout: Maximum seconds. It may return earlier.

        Returns:
            Whether there are some. Events that other workers requeue or abandon do not end the wait.
        """
        self._check_process()
        # Events that cannot be leased are not worth waking for.
        if self._link.wait(Kind.LEASE) > 0 or not self._link.may_try(Kind.READ):
            pause = max(self._link.wait(Kind.LEASE), self._link.wait(Kind.READ), _MIN_PAUSE)
            time.sleep(min(timeout, pause))
            return False
        seconds = min(timeout, self._link.max_block())
        self._counts.changed()
        with suppress(*self._link.failures):
            return self._link.call(lambda: self._stream.wait(int(seconds * 1000)))
        return False

    def reset_after_fork(self) -> None:
        """Start again in a forked child: connections and events in memory belong to the parent."""
        self._check_process()

    def close(self) -> None:
        """Write the events in memory, within `exit_timeout`, and close the connections.

        Leased events stay leased until `claim_after` has passed. If the store is used again, it reconnects.
        """
        self._check_process()
        if self._link.is_calling():
            return
        if not self._writer.flush(self.exit_timeout) and self._writer.unwritten:
            logger.warning("Redis is away: %s left in memory.", events_text(self._writer.unwritten))
        if not self.failing and self._own_consumer is None:
            try:
                self._stream.leave()
            except self._link.failures as error:
                if is_interrupt(error):
                    raise
                logger.debug("The consumer could not leave its group: %s", redact(str(error)))
        self._link.close()

    @property
    def failing(self) -> bool:
        """Whether Redis is away, or refuses to read, lease, settle or add events."""
        return self._link.failing

    # Adding

    def _may_add_now(self) -> bool:
        if self.write_behind or self._writer.unwritten or self._link.is_calling():
            return False
        if not self._link.is_failing(Kind.ADD):
            return True
        # Otherwise the thread of the writer checks whether Redis is back: callers wait only once.
        return not self.spill_capacity and self._link.may_try(Kind.ADD)

    def _add_now(self, body: str) -> bool:
        def has_room() -> bool:
            return self._counts.room(1) > 0

        if not has_room() and not (
            self.overflow == "block" and self._wait_for_room(has_room, _LOOK_FOR_ROOM_INTERVAL)
        ):
            self._report_full()
            return False
        self._link.call(lambda: self._stream.add(body), Kind.ADD)
        self._counts.added()
        return True

    def _add_to_memory(self, body: str) -> bool:
        writer = self._writer
        taken = writer.add(body)
        if not taken and self.overflow == "drop_oldest" and self.spill_capacity:
            oldest = writer.add_without_oldest(body)
            taken = oldest is not None
            if oldest is not None:
                self._report_dropped([oldest])
        elif not taken and self.overflow == "block" and self.spill_capacity:
            taken = not self._link.is_calling() and self._wait_for_room(
                lambda: writer.add(body), _LOOK_FOR_MEMORY_INTERVAL
            )
        if not taken:
            self._report_full()
        if process_exit.is_exiting:
            self._finish_at_exit(self.exit_timeout)  # no later hook will write them
        return taken

    # Writing, exit and fork

    def _on_return(self) -> None:
        if self._writer.is_busy:
            self._writer.wake()

    def _on_change(self, busy: bool) -> None:
        """Register the store for the exit hook while events are in memory."""
        self._counts.changed()
        if busy:
            process_exit.prepare()
            process_exit.hold(self)
        else:
            process_exit.release(self)

    def _flush_at_exit(self) -> bool:
        self._writer.wake()
        return True

    def _try_at_exit(self, timeout: float) -> None:
        self._writer.flush(timeout)

    def _finish_at_exit(self, timeout: float) -> None:
        if not self._writer.flush(timeout) and self._writer.unwritten:
            unreported.warn(
                "The program ends with %s that Redis did not accept.",
                events_text(self._writer.unwritten),
            )

    def _after_fork(self) -> None:
        self._check_process()

    def _check_process(self) -> None:
        """Start again in a forked child, even if C code forked it without Python's hooks."""
        if self._pid != os.getpid():
            self._start()
