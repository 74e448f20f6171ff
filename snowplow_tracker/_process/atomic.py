"""Operations that rely on one call being atomic: the interpreter does not interrupt functions written in C.

Between two bytecodes another thread may run, or a signal handler may raise. Inside a C function that calls only C
functions, neither can happen. So operations that must happen together, or not at all, are in one such call. This is
true for every version of CPython with its global interpreter lock. In a free-threaded build it is true for signal
handlers, the main purpose of this module, but not for threads.
"""

from __future__ import annotations

from collections import deque
from operator import methodcaller
from typing import Any, Callable, Deque, Dict, Generic, Iterable, Tuple, TypeVar

_extend = deque.extend
_call = methodcaller("__call__")


def all_at_once(*calls: Callable[[], object]) -> None:
    """Call C functions one after the other, without a bytecode between them.

    Args:
        calls: A `functools.partial` of a built-in function or method, or a built-in method without arguments, each.
    """
    deque(map(_call, calls), maxlen=0)


def extend_together(
    queues: Tuple[Deque[Any], Deque[Any]], first: Iterable[Any], second: Iterable[Any]
) -> None:
    """Extend two queues, each by its own items: as `all_at_once`, and faster (fast path)."""
    # The iterators exist before: to create one in between could run the garbage collector, and so finalizers.
    any(map(_extend, queues, (iter(first), iter(second))))


_Value = TypeVar("_Value")


class Versioned(Generic[_Value]):
    """A value that is changed by what is computed from it, also if a signal handler or a finalizer changes it meanwhile.

    Each version has at most one successor: `dict.setdefault`, which is one call of C, accepts the first. Whoever comes
    second computes again. Threads share it under a lock.

    Args:
        value: The first value.
    """

    __slots__ = ("_version",)

    def __init__(self, value: _Value) -> None:
        self._version: Dict[str, Any] = {"value": value}

    def _last(self) -> Dict[str, Any]:
        version = self._version
        while "next" in version:  # an interrupt came before the assignment in `change`
            version = version["next"]
        return version

    def read(self) -> _Value:
        """Return the value."""
        value: _Value = self._last()["value"]
        return value

    def change(self, change: Callable[[_Value], _Value]) -> None:
        """Replace the value.

        Args:
            change: Computes the new value from the present one; it may be called again.
        """
        while True:
            last = self._last()
            new = {"value": change(last["value"])}
            if last.setdefault("next", new) is new:
                self._version = new
                return
