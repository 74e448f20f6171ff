"""A queue in Redis: programs on many machines add events, any number of workers deliver them."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple, Type, TypeVar, Union

from snowplow_tracker._delivery import lifecycle
from snowplow_tracker._stores.redis_stream import Entries, RedisStream
from snowplow_tracker.contracts import one_of
from snowplow_tracker.event_store import OVERFLOW_POLICIES, EventStore, Overflow
from snowplow_tracker.typing import PayloadDict, PayloadDictList

__all__ = ["RedisEventStore", "StreamEvent"]

logger = logging.getLogger("snowplow_tracker.emitters")

DEFAULT_URL = "redis://localhost:6379/0"
DEFAULT_CAPACITY = 1_000_000
DEFAULT_SPILL_CAPACITY = 10_000

_MOST_EVENTS = 500
"""How many events a batch holds at most when nobody says, and how many are written at once."""
_LOOK_AT_LENGTH_EVERY = 100
_LOOK_AT_LENGTH_INTERVAL = 1.0
_NEARLY_FULL = 0.9
_LOOK_FOR_ROOM_INTERVAL = 0.05
"""Seconds. Nothing wakes this process when another one makes room."""
_CLAIM_INTERVAL = 1.0
_SIZE_IS_FRESH = 0.1
_FIRST_RETRY, _LONGEST_RETRY = 0.1, 1.0
_IDLE_THREAD_ENDS_AFTER = 5.0
_DEAD_CONSUMER_AFTER = 3_600.0

_Result = TypeVar("_Result")

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


class StreamEvent(Dict[str, Any]):
    """An event that was handed out: its parameters, and where it is in the stream."""

    __slots__ = ("entry_id",)

    entry_id: str
    """The id of its entry, by which `cleanup` knows it."""


class RedisEventStore(EventStore):
    """A bounded queue in a Redis stream, with a consumer group, that any number of machines share.

    It needs redis-py: ``pip install 'snowplow-tracker[redis]'``; and Redis 5.0 or later, or what speaks like it.

    What is promised:

    - When `add_event` returns True, Redis has the event. From there it is as safe as Redis is set up to be: with
      ``appendonly yes`` and ``appendfsync everysec`` a crash of its machine may take the last second, with ``always``
      nothing; without persistence, a restart of Redis takes all.
    - While Redis cannot be reached or refuses to write, up to `spill_capacity` events are kept in memory and True is
      returned for them too; they are written, in order, when Redis is back, and at the end of the program within
      `exit_timeout`. A kill of the program during the outage takes them. Set it to 0 to have False, and nothing in
      memory, instead.
    - With `write_behind` that is so at all times: `add_event` only puts the event into that memory, which takes
      microseconds, and a thread writes to Redis, usually within a millisecond.
    - `add_event` never raises. It waits for Redis for about `socket_timeout` (twice that to connect anew), and only
      once per outage; under `overflow="block"` for up to `overflow_timeout` more.
    - Events are delivered at least once. What a worker was sending when it died is handed to another one after
      `claim_after` seconds, under the same event id. A live worker keeps what it was handed, however long it takes.
    - An event that could not be sent keeps its place: everybody, from the next `get_events_batch` or within a second,
      is handed such events first, in their order. (They are pending entries of a consumer named ``returned``.)

    An entry of the stream has one field, ``event``, with the event as JSON. An entry without one is thrown out.

    Args:
        client_or_url: ``redis://[[user]:password@]host:port/db``, ``rediss://`` for TLS, ``unix://``, with the options
            of redis-py in its query; or a `redis.Redis`, whose timeouts and retries then decide how long calls take.
        stream: The key of the stream.
        group: The consumer group; workers of one group share the work.
        consumer: The name of this worker. It must be its own; default: made of host, process and chance.
        buffer_capacity: How many events the stream may hold, those that are being sent included. It is looked at
            often, not in the same step with each addition: many programs together may go a little beyond.
        overflow: Same as for `InMemoryEventStore`. `"drop_oldest"` spares what workers have been handed before.
        overflow_timeout: Same as for `InMemoryEventStore`.
        claim_after: Seconds after which events of a worker that gives no sign of life go to another one.
        write_behind: Write to Redis from a thread.
        spill_capacity: How many events may be in memory on their way to Redis; then the overflow policy decides.
        socket_timeout: Seconds to wait for Redis, for a connection and for each answer.
        exit_timeout: Seconds that `close` and the end of the program may take to write what is in memory.

    Raises:
        ImportError: redis-py is not installed.
        ValueError: An argument is out of range, or the URL is none.

    .. versionadded:: 1.2.0
    """

    durable = True
    thread_safe = True

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
        if buffer_capacity < 1:
            raise ValueError("buffer_capacity must be greater than 0.")
        one_of(overflow, OVERFLOW_POLICIES, name="overflow")
        if spill_capacity < 0 or (write_behind and not spill_capacity):
            raise ValueError("spill_capacity must not be negative, nor 0 with write_behind.")
        for name, value in (("overflow_timeout", overflow_timeout), ("exit_timeout", exit_timeout)):
            if value < 0:
                raise ValueError(f"{name} must not be negative.")
        for name, value in (("claim_after", claim_after), ("socket_timeout", socket_timeout)):
            if value <= 0:
                raise ValueError(f"{name} must be greater than 0.")
        if not stream or not group or consumer == "":
            raise ValueError("stream, group and consumer must not be empty.")
        self.stream = stream
        self.group = group
        self.buffer_capacity = buffer_capacity
        self.overflow: Overflow = overflow
        self.overflow_timeout = overflow_timeout
        self.overflow_listener: Optional[Callable[[PayloadDictList], None]] = None
        self.claim_after = claim_after
        self.write_behind = write_behind
        self.spill_capacity = spill_capacity
        self.socket_timeout = socket_timeout
        self.exit_timeout = exit_timeout
        self._target = client_or_url
        self._own_consumer = consumer
        self._errors = _redis().exceptions
        self._failures: Tuple[Type[Exception], ...] = (self._errors.RedisError, OSError)
        self._start()
        lifecycle.register(self)

    def _start(self) -> None:
        """Set up what belongs to one process."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._changed = threading.Condition(self._lock)
        self._thread: Optional[threading.Thread] = None
        # On their way to Redis: events to add; and those handed out whose fate is known, by entry, with the event
        # itself if it is to be tried again.
        self._spill: Deque[str] = deque()
        self._fates: Dict[str, Optional[PayloadDict]] = {}
        self._writing = 0
        self._settling = 0
        self._write_at = 0.0
        # With others to be sent, by entry, with the event's own id.
        self._handed: Dict[str, Optional[str]] = {}
        self._renew_at = 0.0
        self._claim_at = 0.0
        self._tidy_at = time.monotonic() + self.claim_after
        self._length, self._added, self._looked_at = 0, 0, float("-inf")
        # The last count, which is good for a moment unless something but an addition happens; what happened.
        self._size, self._counted_at, self._changes = 0, float("-inf"), 0
        self._retry_at = 0.0
        self._retry_delay = 0.0
        self._away_since: Optional[float] = None
        self.consumer = (
            self._own_consumer or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        )
        self._client = self._connect()
        self._stream = RedisStream(
            self._client, self._errors, self.stream, self.group, self.consumer, self.claim_after
        )

    def _connect(self) -> Any:
        if not isinstance(self._target, str):
            return self._target
        redis = _redis()
        timeouts = {"socket_timeout": self.socket_timeout}
        if not self._target.startswith("unix:"):  # redis-py 4 does not know it there
            timeouts["socket_connect_timeout"] = self.socket_timeout
        client = redis.Redis.from_url(
            self._target,
            **timeouts,
            # Trying again is for this class, which has a bound for it.
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        )
        pool = client.connection_pool
        try:
            pool.connection_class(**pool.connection_kwargs)  # it does not connect yet
        except TypeError as error:
            raise ValueError(
                f"The URL has an option that redis-py does not know: {error}"
            ) from None
        return client

    # The protocol --------------------------------------------------------------------------------------------------

    def add_event(self, payload: PayloadDict) -> bool:
        """Write an event to Redis, or keep it in memory while that is not possible.

        Returns:
            False if there is no room for it.
        """
        text = _encode(payload)
        if not self.write_behind and not self._spill and not self._writing and self._may_try():
            try:
                return self._add_now(text)
            except self._failures:
                pass  # said and counted by _call
        return self._add_to_spill(text)

    def get_events_batch(self, *, max_events: Optional[int] = None) -> PayloadDictList:
        """Be handed the oldest events that wait.

        Args:
            max_events: How many at most; 500 if None.

        Returns:
            `StreamEvent` objects; none while Redis cannot be reached.
        """
        if self._spill or self._writing:
            self._flush(self.socket_timeout)
        if not self._may_try():
            return []
        self._settle_fates()
        try:
            return self._hand_out(self._take(_MOST_EVENTS if max_events is None else max_events))
        except self._failures:
            return []

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Forget events that were handed out, or let everybody be handed them anew, in their old place.

        What Redis cannot be told now it is told later. Events are known by the `StreamEvent.entry_id`, or else by
        their event id. An event that was not handed out by this store is added to it if it needs a retry.
        """
        foreign: PayloadDictList = []
        with self._lock:
            by_event_id: Dict[Optional[str], str] = {}
            for event in batch:
                entry_id = getattr(event, "entry_id", None)
                if entry_id is None:
                    by_event_id = by_event_id or {eid: each for each, eid in self._handed.items()}
                    entry_id = by_event_id.get(event.get("eid"))
                    if entry_id is None:
                        foreign.append(event)
                        continue
                self._handed.pop(entry_id, None)
                self._fates[entry_id] = event if need_retry else None
            self._count_anew()
            if self._fates:
                self._wake()
        if self._may_try():
            self._settle_fates()
        if need_retry:
            for event in foreign:
                self.add_event(event)

    def size(self) -> int:
        """Return the number of events that wait: those in memory, and those in the stream that nobody is sending.

        While Redis cannot be reached, it is the number that was last known.
        """
        # In this order, an event that is being written meanwhile counts twice rather than not at all.
        local = len(self._spill) + self._writing
        now = time.monotonic()
        if now - self._counted_at <= _SIZE_IS_FRESH or not self._may_try():
            return self._size + local
        changes = self._changes
        try:
            waiting = self._call(self._stream.counts).waiting
        except self._failures:
            return self._size + local
        with self._lock:
            if changes == self._changes:
                self._size, self._counted_at = waiting, now
        return waiting + local

    def remaining(self) -> Optional[int]:
        """Return the number of events that are not delivered, those included that workers are sending now.

        None while Redis cannot be reached.
        """
        local = len(self._spill) + self._writing
        try:
            return self._call(self._stream.length) + local
        except self._failures:
            return None

    def wait_for_events(self, timeout: float) -> bool:
        """Wait until there are events that nobody was handed yet.

        Args:
            timeout: Seconds. It may come back earlier.

        Returns:
            Whether there are some. Events that other workers give back, or leave behind, do not end the wait.
        """
        if not self._may_try():
            with self._lock:
                self._changed.wait(min(timeout, max(0.01, self._retry_at - time.monotonic())))
            return False
        longest = min(timeout, self._longest_block())
        with self._lock:
            self._count_anew()
        try:
            return self._call(lambda: self._stream.wait(int(longest * 1000)))
        except self._failures:
            return False

    def reset_after_fork(self) -> None:
        """Start anew in a forked child: connections, and what is in memory, are the parent's."""
        if self._pid != os.getpid():
            self._start()

    def close(self) -> None:
        """Write what is in memory, for at most `exit_timeout`, and close the connections.

        Events that are handed out stay so until `claim_after` has passed. To use the store again connects again.
        """
        if not self._flush(self.exit_timeout):
            logger.warning("%d events are in memory still, since Redis is away.", self._unwritten())
        if self._away_since is None:
            try:
                if self._own_consumer is None:
                    self._stream.leave()
            except self._failures as error:
                logger.debug("The consumer could not leave its group: %s", error)
        if isinstance(self._target, str):
            self._client.connection_pool.disconnect()

    @property
    def failing(self) -> bool:
        """Whether the last that was heard of Redis was an error."""
        return self._away_since is not None

    # Adding --------------------------------------------------------------------------------------------------------

    def _add_now(self, text: str) -> bool:
        if not self._room(1) and not (self.overflow == "block" and self._wait_for_room()):
            self._report_full(1)
            return False
        self._call(lambda: self._stream.add((text,)))
        with self._lock:
            self._changes += 1
            self._size += 1
        return True

    def _room(self, wanted: int) -> int:
        """Say how many of some events there is room for; under `"drop_oldest"` room is made."""
        now = time.monotonic()
        known = self._length + self._added + wanted
        nearly_full = known > self.buffer_capacity * _NEARLY_FULL
        if (
            not nearly_full
            and self._added < _LOOK_AT_LENGTH_EVERY
            and now - self._looked_at < _LOOK_AT_LENGTH_INTERVAL
        ):
            self._added += wanted
            return wanted
        self._length = self._call(self._stream.length)
        self._looked_at, self._added = now, wanted
        excess = self._length + wanted - self.buffer_capacity
        if excess <= 0:
            return wanted
        if self.overflow == "drop_oldest":
            # A few at once: to throw out takes two calls, and one for each event would be slow.
            self._evict(max(excess, self.buffer_capacity // 1_000))
            return wanted
        self._added = max(0, wanted - excess)
        return self._added

    def _wait_for_room(self) -> bool:
        deadline = time.monotonic() + self.overflow_timeout
        while True:
            rest = deadline - time.monotonic()
            if rest <= 0:
                return False
            with self._lock:
                self._changed.wait(min(rest, _LOOK_FOR_ROOM_INTERVAL))
            if self._room(1):
                return True

    def _evict(self, count: int) -> None:
        oldest = self._call(lambda: self._stream.oldest_waiting(count))
        if not oldest.ids:
            return
        # Another program may be making room as well: each event is reported by one.
        deleted = self._call(lambda: self._stream.delete(oldest.ids))
        self._looked_at = float("-inf")
        texts = [text for text, gone in zip(oldest.texts, deleted) if gone and text is not None]
        self._report_evicted(texts)

    def _count_anew(self) -> None:
        """Have `size` ask Redis the next time. The lock is held."""
        self._changes += 1
        self._counted_at = float("-inf")

    def _add_to_spill(self, text: str) -> bool:
        evicted: List[str] = []
        with self._lock:
            if len(self._spill) >= self.spill_capacity:
                if self.overflow == "block":
                    self._wake()
                    self._changed.wait_for(
                        lambda: len(self._spill) < self.spill_capacity, self.overflow_timeout
                    )
                elif self.overflow == "drop_oldest" and self._spill:
                    evicted.append(self._spill.popleft())
            taken = len(self._spill) < self.spill_capacity
            if taken:
                self._spill.append(text)
                self._wake()
        if not taken:
            self._report_full(1)
        if evicted:
            self._report_evicted(evicted)
        if lifecycle.is_exiting:
            self._finish_at_exit(self.exit_timeout)  # nobody else will come for it
        return taken

    def _report_full(self, count: int) -> None:
        if self.overflow_listener is None:
            logger.error("The event queue in Redis is full: %d events were dropped.", count)

    def _report_evicted(self, texts: List[Any]) -> None:
        if self.overflow_listener is None:
            self._report_full(len(texts))
        else:
            self.overflow_listener([event for event in map(_decode, texts) if event is not None])

    # Handing out ---------------------------------------------------------------------------------------------------

    def _take(self, most: int) -> Entries:
        claimed = time.monotonic() >= self._claim_at
        entries = Entries([], [])
        if claimed:
            entries = self._claim(most)
        if len(entries.ids) < most:
            try:
                new = self._call(lambda: self._stream.read(most - len(entries.ids)))
            except self._failures:
                if not entries.ids:
                    raise
            else:
                entries = Entries(entries.ids + new.ids, entries.texts + new.texts)
        if not entries.ids and not claimed:
            entries = self._claim(most)
        return entries

    def _claim(self, most: int) -> Entries:
        entries = self._call(lambda: self._stream.claim(most))
        now = time.monotonic()
        # What came back goes out before anything new.
        self._claim_at = now if len(entries.ids) >= most else now + _CLAIM_INTERVAL
        if now >= self._tidy_at:
            self._tidy_at = now + self.claim_after
            try:
                self._stream.forget_dead_consumers(max(_DEAD_CONSUMER_AFTER, 2 * self.claim_after))
            except self._failures as error:
                logger.debug("Dead consumers could not be forgotten: %s", error)
        return entries

    def _hand_out(self, entries: Entries) -> PayloadDictList:
        decoded = _decode_all(entries.texts)
        events: List[StreamEvent] = []
        broken: List[str] = []
        with self._lock:
            self._count_anew()
            for entry_id, parameters in zip(entries.ids, decoded):
                if parameters is None:
                    broken.append(entry_id)
                    self._fates[entry_id] = None
                elif entry_id not in self._fates:  # sent already, only Redis does not know it yet
                    event = StreamEvent(parameters)
                    event.entry_id = entry_id
                    events.append(event)
            if events:
                if not self._handed:
                    self._renew_at = time.monotonic() + self.claim_after / 3
                for event in events:
                    self._handed[event.entry_id] = event.get("eid")
                self._wake()
        if broken:
            logger.error(
                "%d entries of %s hold no event and were thrown out.", len(broken), self.stream
            )
            self._settle_fates()
        return [*events]

    # Telling Redis what is to be told ------------------------------------------------------------------------------

    def _settle_fates(self) -> bool:
        """Tell Redis what became of events; whether there was anything to tell, and it was told."""
        with self._lock:
            if not self._fates:
                return False
            fates, self._fates = self._fates, {}
            self._settling += 1
        try:
            self._settle(fates)
        except self._failures:
            return False
        finally:
            with self._lock:
                self._settling -= 1
                self._count_anew()
                if fates:
                    self._fates = {**fates, **self._fates}
                    self._wake()
                self._changed.notify_all()
                self._hold_or_release()
        return True

    def _settle(self, fates: Dict[str, Optional[PayloadDict]]) -> None:
        """Tell what became of events, and take off what is told."""
        while True:
            done = [each for each, event in fates.items() if event is None][:_MOST_EVENTS]
            if not done:
                break
            self._call(lambda ids=done: self._stream.settle(ids))  # type: ignore[misc]
            for each in done:
                del fates[each]
        if not fates:
            return
        known = self._call(lambda: self._stream.give_back(list(fates)))
        # Redis may have lost its data since it handed them out; we still have them.
        lost = [_encode(event) for each, event in fates.items() if each not in known]
        self._call(lambda: self._stream.add(lost))
        fates.clear()
        self._claim_at = 0.0

    def _write_some(self) -> bool:
        """Write events that are in memory to Redis; whether any were written."""
        with self._lock:
            if self._writing or not self._spill:
                return False
            chunk = [self._spill.popleft() for _ in range(min(_MOST_EVENTS, len(self._spill)))]
            self._writing = len(chunk)
        written = 0
        dropped: List[str] = []
        try:
            room = self._room(len(chunk))
            self._call(lambda: self._stream.add(chunk[:room]))
            written = room
            if room < len(chunk) and self.overflow != "block":
                dropped = chunk[room:]
        except self._failures:
            pass  # said and counted by _call
        finally:
            with self._lock:
                self._spill.extendleft(reversed(chunk[written + len(dropped) :]))
                self._writing = 0
                self._count_anew()
                if not written:
                    self._write_at = time.monotonic() + _LOOK_FOR_ROOM_INTERVAL
                self._changed.notify_all()
                self._hold_or_release()
        if dropped:
            self._report_evicted(dropped)
        return written > 0 or bool(dropped)

    def _unwritten(self) -> int:
        return len(self._spill) + self._writing

    def _flush(self, timeout: float) -> bool:
        """Write what is in memory; whether all of it is written."""
        deadline = time.monotonic() + timeout
        while True:
            with self._lock:
                if not (self._spill or self._writing or self._fates or self._settling):
                    return True
            if self._may_try() and (self._settle_fates() or self._write_some()):
                continue
            with self._lock:
                rest = deadline - time.monotonic()
                if rest <= 0:
                    return False
                self._changed.wait(min(rest, _LOOK_FOR_ROOM_INTERVAL))

    # The thread ----------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """See to it that the thread runs and looks what there is to do. The lock is held."""
        self._hold_or_release()
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="snowplow-redis-store", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # the interpreter is shutting down: the exit hook writes
            self._thread = thread
        self._work.notify()

    def _hold_or_release(self) -> None:
        """Have the exit hook come for what is in memory. The lock is held."""
        busy = bool(self._spill or self._writing or self._fates or self._settling)
        this: Any = self
        if busy:
            lifecycle.hold(this)
        else:
            lifecycle.release(this)

    def _run(self) -> None:
        ends_at: Optional[float] = None
        while True:
            with self._lock:
                now = time.monotonic()
                due = self._next_due(now)
                if due is None:
                    ends_at = ends_at or now + _IDLE_THREAD_ENDS_AFTER
                    if now >= ends_at:
                        self._thread = None
                        return
                    self._work.wait(ends_at - now)
                    continue
                ends_at = None
                if due > now:
                    self._work.wait(due - now)
                    continue
            try:
                self._work_off()
            except Exception:
                logger.exception("The thread that writes to Redis stumbled; it goes on.")
                self._write_at = time.monotonic() + _LONGEST_RETRY

    def _next_due(self, now: float) -> Optional[float]:
        due = []
        if (self._spill and not self._writing) or self._fates:
            due.append(max(now, self._write_at, self._retry_at if self.failing else now))
        if self._handed:
            due.append(max(self._renew_at, self._retry_at if self.failing else now))
        return min(due) if due else None

    def _work_off(self) -> None:
        if not self._may_try():
            return
        self._settle_fates()
        self._write_some()
        with self._lock:
            handed = set(self._handed) if time.monotonic() >= self._renew_at else None
        if handed:
            try:
                self._call(lambda: self._stream.renew(handed))
            except self._failures:
                return
            self._renew_at = time.monotonic() + self.claim_after / 3

    # Outages -------------------------------------------------------------------------------------------------------

    def _may_try(self) -> bool:
        """Whether Redis is well, or it is our turn to find out whether it is again."""
        if self._away_since is None:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._retry_at:
                return False
            self._retry_at = now + self._retry_delay
            return True

    def _call(self, operation: Callable[[], _Result]) -> _Result:
        """Do something with Redis, and note whether it is there.

        A connection that was kept may turn out to be dead: then it is tried once more at once, with a new one.
        """
        try:
            try:
                result = operation()
            except self._errors.ConnectionError:
                result = operation()
        except self._failures as error:
            self._went_away(error)
            raise
        if self._away_since is not None:
            self._came_back()
        return result

    def _went_away(self, error: Exception) -> None:
        with self._lock:
            now = time.monotonic()
            first = self._away_since is None
            if first:
                self._away_since = now
                self._retry_delay = _FIRST_RETRY
            else:
                self._retry_delay = min(_LONGEST_RETRY, self._retry_delay * 2)
            self._retry_at = now + self._retry_delay
        if isinstance(self._target, str):
            # After a failover, kept connections lead to what is a replica now.
            self._client.connection_pool.disconnect(inuse_connections=False)
        if first:
            logger.warning(
                "Redis cannot be used (%s: %s); up to %d events are kept in memory meanwhile.",
                type(error).__name__,
                error,
                self.spill_capacity,
            )

    def _came_back(self) -> None:
        with self._lock:
            since, self._away_since = self._away_since, None
            self._changed.notify_all()
            if self._spill or self._fates:
                self._wake()
        if since is not None:
            logger.warning(
                "Redis is back after %.1f seconds; %d events are in memory for it.",
                time.monotonic() - since,
                self._unwritten(),
            )

    def _longest_block(self) -> float:
        """How long a call may block without running into the client's own timeout."""
        pool = getattr(self._client, "connection_pool", None)
        timeout = getattr(pool, "connection_kwargs", {}).get("socket_timeout")
        return float("inf") if timeout is None else float(timeout) / 2

    # Exit and fork -------------------------------------------------------------------------------------------------

    def _flush_at_exit(self) -> bool:
        with self._lock:
            self._wake()
        return True

    def _finish_at_exit(self, timeout: float) -> None:
        if not self._flush(timeout):
            lifecycle.say(
                "The program ends with %d events that Redis did not take.", self._unwritten()
            )

    def _after_fork(self) -> None:
        self.reset_after_fork()


def _redis() -> Any:
    try:
        import redis
        import redis.backoff
        import redis.exceptions
        import redis.retry
    except ImportError as error:
        raise ImportError(
            "RedisEventStore needs redis-py: install it with pip install 'snowplow-tracker[redis]'."
        ) from error
    return redis


def _decode(text: Union[str, bytes, None]) -> Optional[PayloadDict]:
    try:
        event = json.loads(text or "")
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _decode_all(texts: List[Any]) -> List[Optional[PayloadDict]]:
    """Read many events; None for what is none."""
    try:
        # One long text is read in two thirds of the time that many short ones take.
        joined = b",".join(texts) if texts and isinstance(texts[0], bytes) else ",".join(texts)
        events = json.loads(b"[%b]" % joined if isinstance(joined, bytes) else f"[{joined}]")
        if len(events) == len(texts) and all(isinstance(event, dict) for event in events):
            return list(events)
    except (TypeError, ValueError):
        pass
    return [_decode(text) for text in texts]
