"""What is on its way to Redis: events to be added, and what became of those that were handed out."""

from __future__ import annotations

import _thread
import logging
import queue
import time
import weakref
from _thread import RLock
from collections import deque
from itertools import islice
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Tuple

from snowplow_tracker._process.interrupts import is_interrupt, suppress
from snowplow_tracker._process.locking import hold
from snowplow_tracker._stores.bodies import encode
from snowplow_tracker._stores.redis_link import RedisLink
from snowplow_tracker._stores.redis_stream import RedisStream
from snowplow_tracker.typing import PayloadDict

__all__ = ["RedisWriter"]

logger = logging.getLogger("snowplow_tracker.emitters")

_Settled = Dict[str, Optional[PayloadDict]]
_InProgress = Tuple["weakref.ref[_Turn]", _Settled]

_WRITTEN_AT_ONCE = 500
_IDLE_THREAD_ENDS_AFTER = 5.0
_PAUSE = 0.005
_PAUSE_WITHOUT_ROOM = 0.05
_LONGEST_PAUSE = 1.0


class _Turn:
    """Held by who is writing alone: it is gone with them, also where an interrupt came before they could say so."""

    __slots__ = ("__weakref__",)


class _Chunk(List[Tuple[str]]):
    """Events that somebody is writing; held by them alone, as `_Turn` is."""

    __slots__ = ("__weakref__",)


class RedisWriter:
    """Keeps in memory what Redis does not have yet, and writes it, in a thread of its own or where it is asked to.

    Invariant: an event leaves the memory after Redis has it, never before. An interrupt in between has it written twice,
    under the same event id.

    Args:
        link: To Redis.
        stream: The stream.
        capacity: How many events may wait here.
        room: Returns for how many of so many events the stream has room.
        on_drop: Called with the bodies of events that do not fit into the stream; None as long as they wait for room.
        on_change: Called when something was written or there is something to write.
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
        self._spill: Deque[Tuple[str]] = deque()
        self._writing: Optional[weakref.ref[_Chunk]] = None
        # By entry: the event itself if it is to be sent again, None if it is to be forgotten.
        self._settled: _Settled = {}
        self._in_progress: Dict[int, _InProgress] = {}
        self._wakes: Optional[weakref.ref[queue.SimpleQueue[None]]] = None
        self._write_at = 0.0

    @property
    def unwritten(self) -> int:
        """How many events are in memory."""
        return len(self._spill)

    @property
    def is_busy(self) -> bool:
        """Whether there is anything that Redis does not know yet."""
        return bool(self._spill or self._settled or self._in_progress)

    # Events to be added

    def add(self, body: str) -> bool:
        """Keep an event; return False where the memory is full."""
        with hold(self._lock):
            if len(self._spill) >= self._capacity:
                return False
            self._spill.append((body,))
        self.wake()
        return True

    def add_without_oldest(self, body: str) -> Optional[str]:
        """Keep an event in the place of the oldest one; return that, or None where there is none to go."""
        with hold(self._lock):
            first = len(self._being_written())  # those may be in Redis already
            if len(self._spill) <= first:
                return None
            (oldest,) = self._spill[first]
            del self._spill[first]
            self._spill.append((body,))
        self.wake()
        return oldest

    def write_some(self) -> bool:
        """Write events to Redis; return whether any left the memory."""
        chunk = _Chunk()
        try:
            with hold(self._lock):
                if self._being_written() or not self._spill:
                    return False
                chunk += islice(self._spill, _WRITTEN_AT_ONCE)
                self._writing = weakref.ref(chunk)
            return self._write(chunk)
        finally:
            chunk.clear()
            self._on_change(self.is_busy)

    def _being_written(self) -> Sequence[Tuple[str]]:
        return (self._writing and self._writing()) or ()

    def _write(self, chunk: _Chunk) -> bool:
        try:
            room = self._link.call(lambda: self._room(len(chunk)))
            errors = self._link.call(
                lambda: self._stream.add_all([body for (body,) in chunk[:room]]), adds=True
            )
        except self._link.failures as error:
            if is_interrupt(error):
                raise
            self._write_at = time.monotonic() + _PAUSE_WITHOUT_ROOM
            return False
        failed = [error for error in errors if error is not None]
        if failed:
            self._link.note_failure(failed[0], adds=True)
        # Only what Redis has leaves; what is left keeps its order.
        gone = [item for item, error in zip(chunk, errors) if error is None]
        dropped = chunk[room:] if self._on_drop is not None else []
        self._remove([*gone, *dropped])
        if dropped and self._on_drop is not None:
            self._on_drop([body for (body,) in dropped])
        if not gone and not dropped:
            self._write_at = time.monotonic() + _PAUSE_WITHOUT_ROOM
        return bool(gone or dropped)

    def _remove(self, items: List[Tuple[str]]) -> None:
        with hold(self._lock):
            for item in items:
                with suppress(ValueError):
                    self._spill.remove(item)  # it is at the front, or behind those that failed

    # What became of events

    def settle(self, entry_id: str, event: Optional[PayloadDict]) -> None:
        """Note what became of an event.

        Args:
            entry_id: Its entry.
            event: The event if it is to be sent again, None if it is to be forgotten.
        """
        self._settled[entry_id] = event

    def is_settled(self, entry_id: str) -> bool:
        """Return whether an event is settled, and only Redis does not know it yet."""
        return entry_id in self._settled or any(
            entry_id in settled for _, settled in [*self._in_progress.values()]
        )

    def write_settled(self) -> bool:
        """Tell Redis what became of events; return whether there was anything to tell, and it was told."""
        settled: _Settled = {}
        turn = _Turn()
        self._take_back_lost()
        try:
            self._in_progress[id(settled)] = (weakref.ref(turn), settled)
            with suppress(KeyError):  # another thread was faster
                while self._settled:
                    settled.update((self._settled.popitem(),))
            if not settled:
                return False
            self._write_settled(settled)
        except self._link.failures as error:
            if is_interrupt(error):
                raise
            return False
        finally:
            self._take_back(settled)
            self._on_change(self.is_busy)
        return True

    def _take_back(self, settled: _Settled) -> None:
        for entry_id, event in settled.items():
            self._settled.setdefault(entry_id, event)
        self._in_progress.pop(id(settled), None)

    def _take_back_lost(self) -> None:
        """Take back what an interrupt kept from coming back."""
        for turn, settled in [*self._in_progress.values()]:
            if turn() is None:
                self._take_back(settled)

    def _write_settled(self, settled: _Settled) -> None:
        while True:
            forget = [each for each, event in settled.items() if event is None][:_WRITTEN_AT_ONCE]
            if not forget:
                break
            self._link.call(lambda ids=forget: self._stream.settle(ids))  # type: ignore[misc]
            for each in forget:
                del settled[each]
        while settled:
            again = [*islice(settled, _WRITTEN_AT_ONCE)]
            known = self._link.call(lambda ids=again: self._stream.give_back(ids))  # type: ignore[misc]
            for each in again:
                event = settled.pop(each)
                # Redis may have lost its data since it handed them out; we still have them.
                if each not in known and event:
                    self._spill.append((encode(event),))

    # The thread

    def wake(self) -> None:
        """See to it that the thread runs and looks what there is to do."""
        self._on_change(True)
        wakes = self._thread()
        if wakes is not None:
            if wakes.empty():
                wakes.put(None)
            return
        # A queue of C: signal handlers may use it. Looked up each time: gevent may have put its own in its place since.
        # Held by the thread alone: it is gone where an interrupt came before there was one.
        wakes = queue.SimpleQueue()
        self._wakes = weakref.ref(wakes)
        with suppress(RuntimeError):  # the interpreter ends: the exit hook writes
            _thread.start_new_thread(_run, (weakref.ref(self), wakes))

    def _thread(self) -> Optional[queue.SimpleQueue[None]]:
        return None if self._wakes is None else self._wakes()

    def work(self, wakes: queue.SimpleQueue[None]) -> Optional[float]:
        """Write what is due; return the seconds until there is more to do, None for the end of the thread."""
        if wakes is not self._thread():
            return None
        if not self.is_busy:
            return _IDLE_THREAD_ENDS_AFTER
        pause = self._link.whole.wait()
        if self._spill:
            due = max(self._write_at - time.monotonic(), self._link.adding.wait())
            if due <= 0 and self._link.may_add() and self.write_some():
                return 0.0
            pause = max(pause, due, _PAUSE)
        if (self._settled or self._in_progress) and self._link.may_try() and self.write_settled():
            return 0.0
        return min(max(pause, _PAUSE), _LONGEST_PAUSE)

    def end_thread(self, wakes: queue.SimpleQueue[None]) -> bool:
        """Let the idle thread end; return False where there is something to do after all."""
        if self._thread() is wakes:
            self._wakes = None
            if self.is_busy:
                self.wake()
        return True

    def flush(self, timeout: float) -> bool:
        """Write what is in memory; return whether all of it is written."""
        deadline = time.monotonic() + timeout
        while True:
            if not self.is_busy:
                return True
            if self._link.may_try() and (
                self.write_settled() or (self._link.adding.may_try() and self.write_some())
            ):
                continue
            rest = deadline - time.monotonic()
            if rest <= 0:
                return False
            time.sleep(min(rest, _PAUSE))


def _run(reference: weakref.ref[RedisWriter], wakes: queue.SimpleQueue[None]) -> None:
    idle_since: Optional[float] = None
    while True:
        writer = reference()
        if writer is None:
            return
        try:
            pause = writer.work(wakes)
        except Exception:
            logger.exception("The thread that writes to Redis stumbled; it goes on.")
            pause = _LONGEST_PAUSE
        if pause is None:
            return
        if pause < _IDLE_THREAD_ENDS_AFTER:
            idle_since = None
        else:
            idle_since = idle_since or time.monotonic()
            if time.monotonic() - idle_since >= _IDLE_THREAD_ENDS_AFTER:
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
