"""Imports that wait until they are needed, and forks, which must not come in the middle of one.

A child that is forked while another thread imports a module waits for ever when it needs that module too: the lock of
the import is held by a thread that does not exist in the child.
"""

from __future__ import annotations

import os
import threading
from typing import List

__all__ = ["guard"]

_LONGEST_WAIT = 2.0
"""Seconds that a fork waits for an import, which takes a tenth of one, and an import for a fork.

After that each goes on without the other: a thread may import while it holds something that the fork waits for.
"""


class _Held(threading.local):
    """What the current thread got, each time that it asked for the lock."""

    def __init__(self) -> None:
        self.got: List[bool] = []


class _Guard:
    """Held while modules are imported late; a fork waits for it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held = _Held()
        self._is_first = False

    def __enter__(self) -> None:
        self._held.got.append(self._lock.acquire(timeout=_LONGEST_WAIT))

    def __exit__(self, *_: object) -> None:
        # Nothing is left to be given back in a child that was forked inside.
        if self._held.got and self._held.got.pop():
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
                after_in_parent=self.__exit__,
                after_in_child=self._start_again,
            )

    def _before_fork(self) -> None:
        if self._held.got and not self._held.got[-1]:
            self._held.got.append(False)  # it was called before, and has waited long enough
        else:
            self.__enter__()

    def _start_again(self) -> None:
        self._lock = threading.RLock()
        self._held = _Held()


guard = _Guard()
guard.register()
