"""Locks that an interrupt cannot leave locked, and signals between threads.

No lock is held over a request, a call of a store, a callback or an import. A thread that has one takes only those that
come later in `LockOrder`; the tests run with locks that check it.
"""

from __future__ import annotations

import _thread
import enum
import sys
import threading
import time

# The reentrant lock of C, also under gevent: greenlets of one thread do not switch while it is held.
from _thread import RLock
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any, Callable, Collection, ContextManager, Iterator, List, Optional, Type

from snowplow_tracker._process.clock import monotonic

WITH_IS_SAFE = (3, 11) <= sys.version_info < (3, 14)
"""Whether an interrupt cannot occur between `with` and its body, nor between the body and the release, for a lock of C."""


class LockOrder(enum.IntEnum):
    """The order in which one thread may take locks."""

    WORKERS = 1
    """The threads of an engine: a failed start wakes the threads that wait for the core."""
    CORE = 2
    """The state of an engine."""
    STORE = 3
    """The queue in memory."""
    TIMER = 4
    """A timer."""


class Lock(RLock):  # type: ignore[misc]
    """A reentrant lock for state. It must not be held during I/O."""

    order: LockOrder


_LOCKS_OF_C = (Lock, RLock)

lock_class: Type[Lock] = Lock
"""Tests use another class, which checks the order."""


def new_lock(order: LockOrder) -> Lock:
    """Return a lock.

    Args:
        order: Its place in the order of locks.
    """
    lock = lock_class()
    lock.order = order
    return lock


def is_held_here(lock: Any) -> bool:
    """Return whether this thread already holds a lock: the caller is a signal handler or a finalizer."""
    # Not a method of `Lock`: eventlet puts locks of its own in the place of those that were made before it patched.
    return bool(lock._is_owned())


def release_if_leaked(lock: Lock, *, file: str, entered: int = 1) -> None:
    """Release a lock that an interrupt left locked by this thread.

    This can happen before Python 3.11 at the end of a `with`, and from 3.14 on at its beginning.
    If a signal handler interrupted an outer caller that holds the lock, the lock is not released.

    Args:
        lock: The lock.
        file: The only module that takes this lock, apart from `Signal`.
        entered: The number of calling functions that do not hold the lock yet.
    """
    if WITH_IS_SAFE or not is_held_here(lock):
        return
    frame: Optional[FrameType] = sys._getframe(1 + entered)
    while frame is not None:
        if frame.f_code.co_filename in (file, __file__):
            return
        frame = frame.f_back
    while is_held_here(lock):
        lock.release()


def hold(lock: Any) -> ContextManager[object]:
    """Return what holds a reentrant lock in a `with`, so that no interrupt can leave it locked, on any Python.

    It is for locks that other threads wait for. Where `with lock` is not safe, it is slower.
    """
    return lock if WITH_IS_SAFE and type(lock) in _LOCKS_OF_C else _hold(lock)


@contextmanager
def _hold(lock: Any) -> Iterator[None]:
    was_inside = is_held_here(lock)
    try:
        with lock:
            yield
    finally:
        while not was_inside and is_held_here(lock):
            lock.release()


def is_running(codes: Collection[CodeType], owner: object) -> bool:
    """Return whether this thread is in a method of an object, so that the caller is a signal handler or a finalizer.

    Args:
        codes: The code of the methods.
        owner: The object.
    """
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None:
        if frame.f_code in codes and frame.f_locals.get("self") is owner:
            return True
        frame = frame.f_back
    return False


class Signal:
    """Wakes the threads that wait for a change of state. The state has its own lock.

    It is not a `threading.Condition`, which takes its lock again after waiting, in Python code that an interrupt may
    leave half done. Here a thread waits without the lock, and may end at any moment.
    """

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self.waiting: List[Any] = []
        """The conditions of the waiting threads. Hot code notifies only if there are any (fast path)."""

    def wait(self, ready: Callable[[], bool], timeout: Optional[float]) -> bool:
        """Wait until the state may have changed; do not wait if it is ready.

        Args:
            ready: Checks the state, with the lock held.
            timeout: Maximum seconds; None for no limit.

        Returns:
            False after the timeout, and immediately in a signal handler that interrupted the holder of the lock: the
            threads that it would wait for may need the lock.
        """
        if is_held_here(self._lock):
            return False
        gate = _new_gate()
        gate.acquire()
        try:
            with self._lock:
                # Before the state is checked: `Engine.stop` changes it without the lock, and then looks for the waiting.
                self.waiting.append(gate)
                if ready():
                    return True
            return _pass(gate, timeout)
        finally:
            with self._lock:
                if gate in self.waiting:
                    self.waiting.remove(gate)

    def notify(self) -> None:
        """Wake all waiting threads."""
        if self.waiting:
            with hold(self._lock):
                for gate in self.waiting:
                    if gate.locked():
                        gate.release()


# Greenlets. gevent and eventlet may patch `threading` before this module is imported, later, or never. A thread that was
# started before is a real one, and stays it; a greenlet must not wait by a real lock, which would stop all others. Where
# both have to wake each other, greenlets wait by sleeping, since their own locks cannot be released by another thread.

_real_lock = _thread.allocate_lock
_POLL_SECONDS = 0.005

runs_in_real_thread: ContextVar[bool] = ContextVar("snowplow_tracker_real_thread", default=False)
"""Whether this is a thread of ours that was started before `threading` was patched."""
_real_threads_were_started = False


def is_patched() -> bool:
    """Return whether threads that are started now are greenlets."""
    return str(getattr(threading.Lock, "__module__", "")).startswith(("gevent", "eventlet"))


def note_thread_start() -> None:
    """Record, in a thread that starts, whether it is a real one."""
    global _real_threads_were_started
    if not is_patched():
        runs_in_real_thread.set(True)
        _real_threads_were_started = True


def _new_gate() -> Any:
    if not is_patched() or _real_threads_were_started:
        return _real_lock()
    return threading.Lock()


def _pass(gate: Any, timeout: Optional[float]) -> bool:
    if is_patched() and _real_threads_were_started and not runs_in_real_thread.get():
        deadline = None if timeout is None else monotonic() + timeout
        while not gate.acquire(False):
            if deadline is not None and monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True
    if timeout is None:
        return bool(gate.acquire())
    return bool(gate.acquire(True, min(max(timeout, 0.0), threading.TIMEOUT_MAX)))
