"""Writes to Redis from memory: events to add, and the results of leased events."""

from __future__ import annotations

import _thread
import logging
import queue
import time
import weakref
from _thread import RLock
from collections import deque
from functools import partial
from typing import Any, Callable, Deque, Dict, Iterator, List, Optional

from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.interrupts import is_interrupt, suppress
from snowplow_tracker._process.locking import hold, is_running
from snowplow_tracker._stores.bodies import encode
from snowplow_tracker._stores.redis_link import Kind, RedisLink
from snowplow_tracker._stores.redis_stream import RedisStream
from snowplow_tracker.typing import PayloadDict

logger = logging.getLogger("snowplow_tracker.emitters")

_WRITTEN_AT_ONCE = 500
_IDLE_THREAD_ENDS_AFTER = 5.0
_PAUSE = 0.005
_PAUSE_WITHOUT_ROOM = 0.05
_MAX_PAUSE = 1.0


class _Chunk(List[str]):
    """What is being written. Only the function that writes refers to it, so it ends with that, even after an interrupt."""

    __slots__ = ("__weakref__",)


class RedisWriter:
    """Keeps in memory what is not in Redis yet, and writes it, in a thread or in the calling one.

    Invariant: an event or a result leaves the memory after Redis has it, never before. After an interrupt in between, it
    is written twice: an event with the same event id, a result without an effect. One thread at a time writes events, and
    one results.

    Args:
        link: The link to Redis.
        stream: The stream.
        capacity: Maximum number of events in memory.
        room: Returns for how many of a number of events the stream has room.
        on_drop: Called with the bodies of events that do not fit into the stream; None if they wait for room.
        on_change: Called after a write, and when there is something to write.
    """

    def __init__(
        self,
        link: RedisLink,
        stream: RedisStream,
        capacity: int,
        room: Callable[[int], int],
        on_drop: Optional[Callable[[List[str]], None]],
        on_change: Callable[[bool], None],
    ) -> None:
        self._link = link
        self._stream = stream
        self._capacity = capacity
        self._room = room
        self._on_drop = on_drop
        self._on_change = on_change
        self._lock: Any = RLock()
        self._spill: Deque[str] = deque()
        self._writing: Optional[weakref.ref[_Chunk]] = None
        # By entry: the event to requeue, or None to acknowledge it.
        self._settled: Dict[str, Optional[PayloadDict]] = {}
        self._settling: Optional[weakref.ref[_Chunk]] = None
        self._wakes: Optional[weakref.ref[queue.SimpleQueue[None]]] = None
        self._write_at = 0.0

    @property
    def unwritten(self) -> int:
        """The number of events in memory."""
        return len(self._spill)

    @property
    def is_busy(self) -> bool:
        """Whether there is anything that is not in Redis yet."""
        return bool(self._spill or self._settled)

    # Events to be added

    def add(self, body: str) -> bool:
        """Keep an event; return whether there was room in memory."""
        with hold(self._lock):
            if len(self._spill) >= self._capacity:
                return False
            self._spill.append(body)
        self.wake()
        return True

    def add_without_oldest(self, body: str) -> Optional[str]:
        """Replace the oldest event by a new one, and return it; or return None if no event can be removed."""
        with hold(self._lock):
            first = _count(self._writing)  # these may be in Redis already
            if len(self._spill) <= first:
                return None
            oldest = self._spill[first]
            del self._spill[first]
            self._spill.append(body)
        self.wake()
        return oldest

    def write_some(self) -> bool:
        """Write events to Redis; return whether any left the memory."""
        chunk = _Chunk()
        try:
            with hold(self._lock):
                if _count(self._writing) or not self._spill:
                    return False
                # Copied by one bytecode: a signal handler that adds would end an iteration.
                chunk += [*self._spill][:_WRITTEN_AT_ONCE]
                self._writing = weakref.ref(chunk)
            return self._write(chunk)
        finally:
            chunk.clear()
            self._on_change(self.is_busy)

    def _write(self, chunk: List[str]) -> bool:
        errors: List[Optional[Exception]] = []
        try:
            room = self._room(len(chunk))
            if room:
                errors = self._link.call(
                    lambda: self._stream.add_all(chunk[:room]), Kind.ADD, is_proof=False
                )
        except self._link.failures as error:
            if is_interrupt(error):
                raise
            self._write_at = monotonic() + _PAUSE_WITHOUT_ROOM
            return False
        refused = [error for error in errors if error is not None]
        if refused:
            self._link.note_refused(Kind.ADD, refused[0])
        elif errors:
            self._link.note_accepted(Kind.ADD)
        # Only events that Redis has are removed; the others keep their order.
        gone = [body for body, error in zip(chunk, errors) if error is None]
        dropped = chunk[room:] if self._on_drop is not None else []
        with hold(self._lock):
            for body in (*gone, *dropped):
                with suppress(ValueError):
                    self._spill.remove(body)  # it is at the front, or behind refused ones
        if dropped and self._on_drop is not None:
            self._on_drop(dropped)
        if not gone and not dropped:
            self._write_at = monotonic() + _PAUSE_WITHOUT_ROOM
        return bool(gone or dropped)

    # Results of leased events

    def settle(self, entry_id: str, event: Optional[PayloadDict]) -> None:
        """Record the result of an entry: the event to requeue it, or None to acknowledge it."""
        self._settled[entry_id] = event

    def is_settled(self, entry_id: str) -> bool:
        """Return whether an event is settled, but Redis does not have the result yet."""
        return entry_id in self._settled

    def write_settled(self) -> bool:
        """Write results to Redis, unless it refuses them; return whether there were any, and these are written."""
        chunk = _Chunk()
        try:
            with hold(self._lock):
                if _count(self._settling):
                    return False
                settled = self._settled.copy()
                chunk += settled
                self._settling = weakref.ref(chunk)
            if not chunk or not self._link.may_try(Kind.SETTLE):
                return False
            with suppress(*self._link.failures):
                self._acknowledge([each for each in chunk if settled[each] is None])
                self._requeue([each for each in chunk if settled[each] is not None])
                return True
            return False
        finally:
            chunk.clear()
            self._on_change(self.is_busy)

    def _acknowledge(self, entry_ids: List[str]) -> None:
        for ids in _parts(entry_ids):
            self._link.call(partial(self._stream.acknowledge, ids), Kind.SETTLE)
            for each in ids:
                self._settled.pop(each, None)  # a signal handler may have written it, too

    def _requeue(self, entry_ids: List[str]) -> None:
        for ids in _parts(entry_ids):
            known = self._link.call(partial(self._stream.requeue, ids), Kind.SETTLE)
            for each in ids:
                event = self._settled.get(each)
                # Redis may have lost its data since they were leased; they are still here.
                if each not in known and event:
                    self._spill.append(encode(event))
                self._settled.pop(each, None)

    # The thread

    def wake(self) -> None:
        """Start the thread if necessary, and wake it."""
        self._on_change(True)
        wakes = self._thread()
        if wakes is not None:
            if wakes.empty():
                wakes.put(None)
            return
        # A queue in C, which signal handlers may use. Looked up each time, since gevent may have replaced it.
        # Only the thread refers to it, so it is gone if an interrupt came before the thread existed.
        wakes = queue.SimpleQueue()
        self._wakes = weakref.ref(wakes)
        with suppress(RuntimeError):  # the interpreter ends: the exit hook writes
            _thread.start_new_thread(_run, (weakref.ref(self), wakes))

    def _thread(self) -> Optional[queue.SimpleQueue[None]]:
        return None if self._wakes is None else self._wakes()

    def work(self, wakes: queue.SimpleQueue[None]) -> Optional[float]:
        """Write what is due; return the seconds until the next write, or None to end the thread."""
        if wakes is not self._thread():
            return None
        if not self.is_busy:
            return _IDLE_THREAD_ENDS_AFTER
        due = max(self._write_at - monotonic(), self._link.wait(Kind.ADD))
        may_add = self._spill and due <= 0 and self._link.may_try(Kind.ADD)
        if (may_add and self.write_some()) or self.write_settled():
            return 0.0
        pauses = [self._link.wait(Kind.SETTLE)] if self._settled else []
        if self._spill:
            pauses.append(max(self._write_at - monotonic(), self._link.wait(Kind.ADD)))
        return min(max(min(pauses, default=0.0), _PAUSE), _MAX_PAUSE)

    def end_thread(self, wakes: queue.SimpleQueue[None]) -> None:
        """End the idle thread, and start another one if there is something to do after all."""
        if self._thread() is wakes:
            self._wakes = None
            if self.is_busy:
                self.wake()

    def flush(self, timeout: float) -> bool:
        """Write everything in memory; return whether all of it is written."""
        deadline = monotonic() + timeout
        while True:
            if not self.is_busy:
                return True
            if self.write_settled():
                continue
            if self._spill and self._link.may_try(Kind.ADD) and self.write_some():
                continue
            rest = deadline - monotonic()
            # A signal handler would wait for the write that it interrupted.
            if rest <= 0 or is_running(_WRITING, self):
                return False
            time.sleep(min(rest, _PAUSE))


def _count(chunk: Optional[weakref.ref[_Chunk]]) -> int:
    return len((chunk and chunk()) or ())


def _parts(ids: List[str]) -> Iterator[List[str]]:
    return (ids[start : start + _WRITTEN_AT_ONCE] for start in range(0, len(ids), _WRITTEN_AT_ONCE))


_WRITING = (RedisWriter.write_some.__code__, RedisWriter.write_settled.__code__)


def _run(reference: weakref.ref[RedisWriter], wakes: queue.SimpleQueue[None]) -> None:
    idle_since: Optional[float] = None
    while True:
        writer = reference()
        if writer is None:
            return
        try:
            pause = writer.work(wakes)
        except Exception:
            logger.exception("The thread that writes to Redis failed; it continues.")
            pause = _MAX_PAUSE
        if pause is None:
            return
        if pause < _IDLE_THREAD_ENDS_AFTER:
            idle_since = None
        else:
            idle_since = idle_since or monotonic()
            if monotonic() - idle_since >= _IDLE_THREAD_ENDS_AFTER:
                writer.end_thread(wakes)
                return
        del writer
        if pause:
            try:
                wakes.get(timeout=pause)
            except queue.Empty:
                pass
            else:
                idle_since = None
