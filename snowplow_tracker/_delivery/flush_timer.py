"""A thread that flushes an emitter later, once or again and again."""

from __future__ import annotations

import sys
import threading
import time
import weakref
from typing import Any, Optional

from snowplow_tracker._late_logging import late_logger

logger = late_logger("snowplow_tracker.emitters")


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
        self._thread: Optional[threading.Thread] = None
        self._changed = threading.Condition()

    @property
    def emitter(self) -> Any:
        """The emitter, or None if it does not exist any more."""
        return self._emitter()

    def start(self, timeout: float) -> bool:
        """Begin to wait. A timer that waits already takes the new time.

        Args:
            timeout: Seconds, until the first flush and between flushes.

        Returns:
            Whether it was not waiting before.
        """
        with self._changed:
            was_waiting = self._interval is not None
            self._interval = timeout
            self._due = time.monotonic() + timeout
            self._changed.notify()
        self.ensure_running()
        return not was_waiting

    def cancel(self) -> None:
        """Stop waiting."""
        with self._changed:
            self._interval = None
            self._changed.notify()

    def _emitter_gone(self, _: object) -> None:
        if (
            not sys.is_finalizing()
        ):  # a thread that the interpreter stopped may hold the lock for ever
            self.cancel()

    def is_active(self) -> bool:
        """Whether it waits."""
        return self._interval is not None

    def ensure_running(self) -> None:
        """Start the thread if there is something to wait for: after a fork, it is gone."""
        with self._changed:
            if self._interval is None or self._thread is not None:
                return
            reference = weakref.ref(self._emitter() or self, self._emitter_gone)
            thread = threading.Thread(
                target=self._run, args=(reference,), name="snowplow-flush-timer", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:
                logger.warning("The flush timer could not be started (%s).", error)
                return
            self._thread = thread

    def after_fork(self) -> None:
        """Forget the parent's thread."""
        self._changed = threading.Condition()
        self._thread = None
        if not self.repeating:
            self._interval = None

    def _run(self, _alive: object) -> None:
        while self._wait():
            emitter = self._emitter()
            if emitter is None:
                break
            try:
                getattr(emitter, "_flush_by_timer", emitter.flush)()
            except BaseException:
                logger.exception("A timed flush raised.")
            del emitter

    def _wait(self) -> bool:
        """Wait until the next flush is due; False when there will be none."""
        with self._changed:
            while self._interval is not None:
                rest = self._due - time.monotonic()
                if rest <= 0:
                    if self.repeating:
                        self._due += max(self._interval, 0.001)
                    else:
                        self._interval = None
                        # The flush may start the timer anew, and finds this thread still here.
                        self._due = 0.0
                    return True
                self._changed.wait(rest)
            self._thread = None
            return False
