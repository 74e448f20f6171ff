"""What has to start again in a copy of the process, and when.

A child of `os.fork` runs Python's fork hooks, and so what is registered here. A child that C code forks (uWSGI after it
has loaded the application, an embedding server, `ctypes`) runs none: it is found out by its process id, which `check`
compares. Everything that keeps state calls `check` before it uses that state.

In the child everything starts again once, in this order:

1. the functions, in the order of their registration: state of modules, such as which emitters hold events;
2. the objects, in the order of theirs. An emitter is registered after the store and the connections that it was given,
   and takes them along in its own `_after_fork`.

Threads of the child that come while this goes on wait for it. What a signal handler raises comes out, and the next call
goes on where this one was interrupted.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from typing import Any, Callable, Dict, List

from snowplow_tracker._process.interrupts import is_interrupt

__all__ = ["check", "register", "register_function"]

logger = logging.getLogger("snowplow_tracker.emitters")

process_id = os.getpid()
"""The process that the state belongs to. Hot code compares it with `os.getpid()` itself, and calls `check` if they
differ (fast path)."""
is_raw = False
"""Whether C code forked this process, so that the interpreter does not know that it is a child.

Where the parent had threads at that moment, no thread may be started here: the interpreter's lock still has them among
those that wait for it, and can come to wait for them for ever.
"""

_functions: List[Callable[[], None]] = []
_objects: Dict[int, weakref.ref[Any]] = {}
_restarts: Dict[int, _Restart] = {}


class _Restart:
    """The restart of one child: what is still to be done.

    Args:
        todo: Return functions to call; None for an object that is gone.
    """

    def __init__(self, todo: List[Callable[[], Any]]) -> None:
        self._lock = threading.RLock()
        self._todo = todo

    def run(self) -> None:
        """Do what is left, in this thread, or wait for the thread that does it."""
        with self._lock:
            while self._todo:
                # It leaves the list afterwards: a signal handler that comes in between, or the next call if this one
                # is interrupted, must not find it half done.
                self._restart(self._todo[0])
                del self._todo[:1]

    @staticmethod
    def _restart(look_up: Callable[[], Any]) -> None:
        restart = look_up()
        if restart is None:
            return
        try:
            restart()
        except Exception as error:
            if is_interrupt(error):
                raise
            logger.exception("A part of the tracker could not start again after a fork.")


def register(instance: Any) -> None:
    """Have `instance._after_fork()` called in each forked child. The object is not kept alive.

    Args:
        instance: An emitter, a store, a transport.
    """
    key = id(instance)

    def forget(_: object, pop: Callable[..., Any] = _objects.pop) -> None:
        pop(key, None)

    _objects[key] = weakref.ref(instance, forget)


def register_function(function: Callable[[], None]) -> None:
    """Have a function called in each forked child, before all objects.

    Args:
        function: Resets state of a module.
    """
    _functions.append(function)


def check() -> None:
    """Start again if this process is a copy that C code made of the process that the state belongs to."""
    if os.getpid() != process_id:
        _start_again(raw=True)


def _start_again(*, raw: bool = False) -> None:
    global process_id, is_raw
    current = os.getpid()
    restart = _restarts.get(current)
    if restart is None:
        for other in [key for key in _restarts if key != current]:
            _restarts.pop(other, None)  # of an ancestor, whose number may come again
        # One per process, so that no lock comes from the parent, where a thread may hold it that the child lacks.
        restart = _restarts.setdefault(current, _Restart(_todo()))
        is_raw = raw
    restart.run()
    process_id = current


def _todo() -> List[Callable[[], Any]]:
    return [*map(_always, _functions), *map(_method_of, _objects.copy().values())]


def _always(function: Callable[[], None]) -> Callable[[], Any]:
    return lambda: function


def _method_of(reference: weakref.ref[Any]) -> Callable[[], Any]:
    return lambda: getattr(reference(), "_after_fork", None)


def _before_fork() -> None:
    if os.getpid() == process_id:
        _restarts.clear()


# Locks of logging and threading, which were imported before, start again earlier in the child. That it has a restart
# already means that a hook of somebody else tracked; that it has the number of its parent, a namespace of its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_start_again)
