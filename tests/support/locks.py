"""Locks for tests that check what the package promises of its locks: their order, and what is never done under one."""

from __future__ import annotations

import sys
from threading import get_ident
from typing import Any, Dict, List

from support.inside import locking

_SLOW = ("import", "open", "socket.connect", "socket.getaddrinfo", "sqlite3.connect")
"""Audit events of what may take long, or need a lock of the interpreter."""

violations: List[str] = []
_held: Dict[int, List[CheckedLock]] = {}


class CheckedLock(locking.Lock):
    """Notes which thread holds it, and what was wrong with that. It raises nothing: delivery would catch it."""

    def __enter__(self) -> Any:
        held = _held.setdefault(get_ident(), [])
        if self not in held:
            violations.extend(
                f"{self.order.name} was taken under {other.order.name}{_from_where()}"
                for other in held
                if other.order >= self.order
            )
        taken = super().__enter__()
        held.append(self)
        return taken

    def __exit__(self, *error: object) -> None:
        _held[get_ident()].remove(self)
        super().__exit__(*error)

    def release(self) -> None:
        """Release a lock that an interrupt left."""
        held = _held.get(get_ident(), [])
        if self in held:
            held.remove(self)
        super().release()


def held() -> List[str]:
    """Return which locks this thread holds."""
    return [lock.order.name for lock in _held.get(get_ident(), [])]


def watch() -> None:
    """Watch what this process does from now on for what must not be done under a lock."""
    sys.addaudithook(_look)


def _look(event: str, _: object) -> None:
    # At the end of the process nothing is left of this module.
    if _SLOW and event in _SLOW and held():
        violations.append(f"{event} under {', '.join(held())}{_from_where()}")


def _from_where() -> str:
    frame = sys._getframe(2)
    while "snowplow_tracker" not in frame.f_code.co_filename and frame.f_back is not None:
        frame = frame.f_back
    return f" in {frame.f_code.co_filename}:{frame.f_lineno}"
