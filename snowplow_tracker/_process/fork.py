"""The restart of the package in a forked child process.

A child of `os.fork` runs Python's fork hooks, and so everything that is registered here. A child that C code forks
(uWSGI after it has loaded the application, an embedding server, `ctypes`) runs no hooks: `check` detects it by its
process id. Everything that has state calls `check` before it uses the state.

In the child everything is restarted once, in this order:

1. the functions, in the order of their registration: state of modules, such as the emitters that have events;
2. the objects, in the order of their registration. An emitter is registered after its store and its connections, and
   restarts them in its own `_after_fork`.

Other threads of the child wait until the restart is finished. An exception of a signal handler is raised, and the next
call continues the interrupted restart.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from typing import Any, Callable, Dict, List, Optional

from snowplow_tracker._process.interrupts import is_interrupt

logger = logging.getLogger("snowplow_tracker.emitters")

process_id = os.getpid()
"""The process that the state belongs to. Hot code compares it with `os.getpid()` itself, and calls `check` if they
differ (fast path)."""
is_raw = False
"""Whether C code forked this process, so that the interpreter does not know that it is a child.

If the parent had threads then, no thread may be started here: the interpreter's lock still counts them as waiting, and
may wait for them for ever.
"""

_forking_thread: Optional[threading.Thread] = None
"""The thread in which the parent forked this process, if that was not its main thread."""

_is_forked_in_thread = False

_functions: List[Callable[[], None]] = []
_objects: Dict[int, weakref.ref[Any]] = {}
_restarts: Dict[int, _Restart] = {}


class _Restart:
    """The restart of one child, with the remaining steps.

    Args:
        todo: Functions to call, and references to objects whose `_after_fork()` is to be called.
    """

    def __init__(self, todo: List[Any]) -> None:
        self._lock = threading.RLock()
        self._todo = todo

    def run(self) -> None:
        """Do the remaining steps in this thread, or wait for the thread that does them."""
        with self._lock:
            while self._todo:
                # It is removed from the list afterwards, so that it is repeated if a signal handler interrupts it, or
                # the next call continues.
                self._restart(self._todo[0])
                del self._todo[:1]

    @staticmethod
    def _restart(part: Any) -> None:
        if isinstance(part, weakref.ref):
            part = getattr(part(), "_after_fork", None)  # None: the object no longer exists
            if part is None:
                return
        try:
            part()
        except Exception as error:
            if is_interrupt(error):
                raise
            logger.exception("A part of the tracker could not start again after a fork.")


def register(instance: Any) -> None:
    """Register `instance._after_fork()` for each forked child. Only a weak reference to the object is kept.

    Args:
        instance: An emitter, a store, a transport.
    """
    key = id(instance)

    def forget(_: object, pop: Callable[..., Any] = _objects.pop) -> None:
        pop(key, None)

    _objects[key] = weakref.ref(instance, forget)


def register_function(function: Callable[[], None]) -> None:
    """Register a function for each forked child, which is called before all objects.

    Args:
        function: Resets the state of a module.
    """
    _functions.append(function)


def check() -> None:
    """Restart if C code has forked this process from the one that the state belongs to."""
    if os.getpid() != process_id:
        _start_again(raw=True)


def ends_with_its_threads() -> bool:
    """Return whether this process ends, without exit hooks, as soon as its last thread ends.

    So ends a child that was forked in a thread, when the function of that thread returns, or raises `SystemExit`. Daemon
    threads keep it alive like others.
    """
    return _forking_thread is not None


def may_end() -> bool:
    """Return whether only daemon threads are left, in a process that ends with its threads."""
    return (
        _forking_thread is not None
        and not _forking_thread.is_alive()
        and all(thread.daemon for thread in threading.enumerate())
    )


def _start_again(*, raw: bool = False) -> None:
    global process_id, is_raw
    current = os.getpid()
    restart = _restarts.get(current)
    if restart is None:
        for other in [key for key in _restarts if key != current]:
            _restarts.pop(other, None)  # of an ancestor, whose process id may be used again
        # One per process, so that no lock is inherited: a thread of the parent, missing here, may hold it.
        restart = _restarts.setdefault(current, _Restart([*_functions, *_objects.copy().values()]))
        is_raw = raw
    restart.run()
    process_id = current


def _before_fork() -> None:
    global _is_forked_in_thread
    _is_forked_in_thread = threading.current_thread() is not threading.main_thread()
    if os.getpid() == process_id:
        _restarts.clear()


def _after_fork_in_child() -> None:
    global _forking_thread
    if _is_forked_in_thread or _forking_thread is not None:
        _forking_thread = threading.current_thread()
    _start_again()


# The hooks of logging and threading, which were imported before, run earlier in the child. A child may already have a
# restart if another program's hook tracked, and may have its parent's process id in a new PID namespace.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
