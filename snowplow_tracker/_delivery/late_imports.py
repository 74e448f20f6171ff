"""Imports that wait for the first request, and forks, which must not come in the middle of one.

A child that is forked while another thread imports a module waits for ever when it needs that module too: the lock of
the import is held by a thread that does not exist in the child.
"""

from __future__ import annotations

import os
import threading

LONGEST_WAIT = 2.0
"""Seconds that a fork waits for an import, which takes a tenth of one: a guard against waiting for each other."""

guard = threading.RLock()
"""Held while modules are imported late."""
_held = threading.local()


def _before_fork() -> None:
    _held.now = guard.acquire(timeout=LONGEST_WAIT)


def _after_fork_in_parent() -> None:
    if getattr(_held, "now", False):
        _held.now = False
        guard.release()


def _after_fork_in_child() -> None:
    global guard
    guard = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
