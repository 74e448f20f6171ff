"""Imports that wait until they are needed, and forks, which must not come in the middle of one.

A child that is forked while another thread imports a module waits for ever when it needs that module too: the lock of
the import is held by a thread that does not exist in the child.
"""

from __future__ import annotations

import os
import threading

__all__ = ["guard"]

_LONGEST_WAIT = 2.0
"""Seconds that a fork waits for an import, which takes a tenth of one: a guard against waiting for each other."""


class _Guard:
    """Held while modules are imported late; a fork waits for it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held = threading.local()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        self._held.now = self._lock.acquire(timeout=_LONGEST_WAIT)

    def after_fork_in_parent(self) -> None:
        if getattr(self._held, "now", False):
            self._held.now = False
            self._lock.release()

    def after_fork_in_child(self) -> None:
        self.__init__()  # type: ignore[misc] # nothing of it can be used here


guard = _Guard()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=guard.before_fork,
        after_in_parent=guard.after_fork_in_parent,
        after_in_child=guard.after_fork_in_child,
    )
