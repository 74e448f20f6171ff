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
        self._is_first = False

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def go_first(self) -> None:
        """Have forks wait for imports before they take the lock of `logging`.

        Other modules, requests among them, need that lock while they are imported: a fork that held it would wait for
        an import that waits for the fork. What was registered last is called first, so this has to come after
        `logging`, and before the threads that send.
        """
        if self._is_first:
            return
        with self:
            import logging  # noqa: F401

        self._is_first = True
        self.register()

    def register(self) -> None:
        """Have forks wait for imports."""
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=self._after_fork_in_parent,
                after_in_child=self._after_fork_in_child,
            )

    # All three are called once for each time that they were registered.

    def _before_fork(self) -> None:
        if self._lock.acquire(timeout=_LONGEST_WAIT):
            self._held.times = getattr(self._held, "times", 0) + 1

    def _after_fork_in_parent(self) -> None:
        if getattr(self._held, "times", 0):
            self._held.times -= 1
            self._lock.release()

    def _after_fork_in_child(self) -> None:
        # Nobody is left who could release what was held.
        self._lock = threading.RLock()
        self._held = threading.local()


guard = _Guard()
guard.register()
