"""Starting threads, and the threads of an emitter that sends in the background."""

from __future__ import annotations

import _thread
import logging
import sys
import threading
from typing import Callable, List, Optional

from snowplow_tracker._process import exit as process_exit
from snowplow_tracker._process import fork
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.locking import (
    LockOrder,
    hold,
    is_held_here,
    new_lock,
    note_thread_start,
    release_if_leaked,
)

logger = logging.getLogger("snowplow_tracker.emitters")

_START_AGAIN_SECONDS = 1.0
"""Seconds until the next attempt after a thread could not be started."""


_daemon_threads_allowed: Callable[[], bool] = getattr(
    _thread, "daemon_threads_allowed", lambda: True
)
"""Whether this interpreter allows them: isolated sub-interpreters, which came with Python 3.12, do not."""


class Starting:
    """A thread that is being started.

    Attributes:
        thread: The thread, once it runs.
        failed: Whether it could not be started.
    """

    __slots__ = ("failed", "thread")

    def __init__(self) -> None:
        self.thread: Optional[threading.Thread] = None
        self.failed = False

    def is_alive(self) -> bool:
        """Return whether it runs or is being started."""
        return not self.failed and (self.thread is None or self.thread.is_alive())


def start_daemon(
    target: Callable[[], object], name: str, on_failure: Callable[[], object]
) -> Starting:
    """Start a daemon thread without waiting for it.

    `Thread.start` waits until the thread runs, and holds a lock of the threading module meanwhile: a signal handler that
    tracks at that moment would wait for ever, and so would a finalizer during shutdown. So another thread calls it.

    Args:
        target: What the thread does.
        name: Its name.
        on_failure: Called when the thread cannot be started: during shutdown, or at a limit of the system.
    """
    starting = Starting()

    def failed(error: BaseException) -> None:
        starting.failed = True
        logger.warning("A thread could not be started (%s); flush and exit still send.", error)
        on_failure()

    def run() -> None:
        note_thread_start()
        target()

    def start() -> None:
        try:
            thread = threading.Thread(target=run, name=name, daemon=True)
            thread.start()
            starting.thread = thread  # from now on `is_alive` asks the thread
        except RuntimeError as error:  # a limit of the system, or an interpreter that allows none
            failed(error)

    if not _daemon_threads_allowed():
        # Not left to `Thread`: the interpreter aborts the process if the thread that would call it is still ending.
        failed(RuntimeError("this interpreter allows no daemon threads"))
        return starting
    try:
        # Looked up each time: gevent may have replaced it.
        _thread.start_new_thread(start, ())
    except RuntimeError as error:
        failed(error)
    return starting


class Workers:
    """Daemon threads that start with the first event and end with their emitter.

    Invariant: at most `count` threads are alive or being started. A waiting thread holds no reference to the emitter, so
    that an unused emitter is collected, and its threads end.

    Args:
        count: How many threads.
        run: What each does.
        on_failure: Called when a thread could not be started.
    """

    def __init__(
        self, count: int, run: Callable[[], object], on_failure: Callable[[], object]
    ) -> None:
        self._count = count
        self._run = run
        self._on_failure = on_failure
        self._threads: List[Starting] = []
        self._not_before = 0.0
        self._banned = False
        self._lock = new_lock(LockOrder.WORKERS)

    def ensure_started(self) -> None:
        """Start the threads that are not running: at the first event, after a fork, and after a failure."""
        threads = self._threads
        if len(threads) == self._count and all(thread.is_alive() for thread in threads):
            return
        if (
            self._banned
            or process_exit.is_exiting
            or sys.is_finalizing()
            or monotonic() < self._not_before
        ):
            return
        if is_held_here(self._lock):
            release_if_leaked(self._lock, file=__file__)
            if is_held_here(self._lock):
                return  # a signal handler or a finalizer, while this thread starts them
        with hold(self._lock):
            self._start_missing()

    def _start_missing(self) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for number in range(len(self._threads), self._count):
            thread = start_daemon(self._run, f"snowplow-emitter-{number + 1}", self._failed)
            if not thread.failed:
                self._threads.append(thread)

    def _failed(self) -> None:
        self._not_before = monotonic() + _START_AGAIN_SECONDS
        self._on_failure()

    def alive(self) -> bool:
        """Return whether at least one thread runs or is being started."""
        # During exit, a thread that has not begun may never begin: some interpreters start none then.
        may_begin = not process_exit.is_exiting
        return any(
            each.is_alive() and (may_begin or each.thread is not None) for each in self._threads
        )

    def forget(self) -> None:
        """Forget the threads of the parent process."""
        # The interpreter does not know that this is a child, and could wait for the parent's threads.
        self._banned = fork.is_raw and self.alive()
        self._lock = new_lock(LockOrder.WORKERS)
        self._threads = []
        self._not_before = 0.0
