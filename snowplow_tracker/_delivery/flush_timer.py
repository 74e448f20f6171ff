"""Threads that flush an emitter later, once or again and again."""

from __future__ import annotations

import logging
import sys
import weakref
from typing import Any, Callable, Optional

from snowplow_tracker._delivery.threads import Starting, start_daemon
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.locking import LockOrder, Signal, new_lock

logger = logging.getLogger("snowplow_tracker.emitters")


class FlushTimer:
    """Flushes an emitter after a time.

    Its thread starts with `start`, is a daemon, keeps no emitter alive and ends when there is nothing to wait for.

    Args:
        emitter: Anything with `flush()`.
        repeating: Whether it goes on after the first time.
    """

    def __init__(self, emitter: Any, repeating: bool) -> None:
        self._emitter = weakref.ref(emitter)
        self.repeating = repeating
        self._interval: Optional[float] = None
        self._due = 0.0
        self._thread: Optional[Starting] = None
        self._generation = 0
        self._changed = Signal(new_lock(LockOrder.TIMER))

    @property
    def emitter(self) -> Any:
        """The emitter; None if it was collected."""
        return self._emitter()

    def start(self, timeout: float) -> bool:
        """Begin to wait. A timer that is waiting already gets the new time.

        Args:
            timeout: Seconds, until the first flush and between flushes.

        Returns:
            Whether it was not waiting before.
        """
        was_waiting = self._interval is not None
        self._due = monotonic() + timeout
        self._interval = timeout
        self._changed.notify()
        self.ensure_running()
        return not was_waiting

    def cancel(self) -> None:
        """Stop waiting."""
        self._interval = None
        self._changed.notify()

    def _emitter_gone(self, _: object) -> None:
        # During shutdown, a stopped thread may hold the lock for ever.
        if not sys.is_finalizing():
            self.cancel()

    def is_active(self) -> bool:
        """Return whether it is waiting."""
        return self._interval is not None

    def ensure_running(self) -> None:
        """Start the thread if the timer is waiting and has none, as after a fork."""
        if self._interval is None or (self._thread is not None and self._thread.is_alive()):
            return
        emitter = self._emitter()
        self._alive = weakref.ref(emitter if emitter is not None else self, self._emitter_gone)
        self._generation += 1
        generation = self._generation
        self._thread = start_daemon(
            lambda: self._run(generation), "snowplow-flush-timer", lambda: None
        )

    def after_fork(self) -> None:
        """Forget the parent's thread."""
        self._changed = Signal(new_lock(LockOrder.TIMER))
        self._thread = None
        self._generation += 1
        if not self.repeating:
            self._interval = None

    def _run(self, generation: int) -> None:
        while self._wait(generation):
            emitter = self._emitter()
            if emitter is None:
                break
            try:
                getattr(emitter, "_flush_by_timer", emitter.flush)()
            except BaseException:
                logger.exception("A timed flush raised.")
            del emitter

    def _wait(self, generation: int) -> bool:
        """Wait until the next flush is due; return False if there will be none."""
        while generation == self._generation:
            interval = self._interval
            if interval is None:
                self._thread = None
                if self._interval is None:
                    return False
                # It was started again meanwhile, and took this thread for its own.
                self.ensure_running()
                return False
            rest = self._due - monotonic()
            if rest <= 0:
                if self.repeating:
                    self._due += max(interval, 0.001)
                else:
                    self._interval = None
                    self._due = 0.0
                return True
            due = self._due
            self._changed.wait(lambda: self._interval is None or self._due != due, rest)  # noqa: B023
        return False


class RetryTimer(FlushTimer):
    """The timer of the next attempt. It is active while an attempt is pending, whichever thread will make it.

    Args:
        emitter: As for `FlushTimer`.
        is_pending: Returns whether an attempt is pending. It must not keep the emitter alive.
    """

    def __init__(self, emitter: Any, is_pending: Callable[[], bool]) -> None:
        super().__init__(emitter, repeating=False)
        self._is_pending = is_pending

    def is_active(self) -> bool:
        """Return whether an attempt is pending."""
        return super().is_active() or self._is_pending()

    def start(self, timeout: float) -> bool:
        """Begin to wait for the next attempt, unless it is waiting already."""
        if super().is_active():
            self.ensure_running()  # after an interrupt in `start`, there may be no thread yet
            return False
        return super().start(timeout)
