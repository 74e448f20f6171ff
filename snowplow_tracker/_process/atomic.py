"""Operations that rely on one call being atomic: the interpreter does not interrupt functions written in C.

Between two bytecodes another thread may run, or a signal handler may raise. Inside a C function that calls only C
functions, neither can happen. So operations that must happen together, or not at all, are in one such call. This is
true for every version of CPython with its global interpreter lock. In a free-threaded build it is true for signal
handlers, the main purpose of this module, but not for threads.
"""

from __future__ import annotations

from collections import deque
from itertools import islice, repeat, starmap
from operator import methodcaller
from typing import Any, Callable, Deque, List

_call = methodcaller("__call__")


def all_at_once(*calls: Callable[[], object]) -> None:
    """Call C functions one after the other, without a bytecode between them.

    Args:
        calls: A `functools.partial` of a built-in function or method, or a built-in method without arguments, each.
    """
    deque(map(_call, calls), maxlen=0)


def move_oldest(items: Deque[Any], count: int, into: List[Any]) -> None:
    """Move the first items of a queue to the end of a list: at any moment each is in one of the two."""
    into.extend(islice(starmap(items.popleft, repeat(())), count))


def move_back(items: List[Any], into: Deque[Any]) -> None:
    """Move all items of a list to the front of a queue, in their order."""
    into.extendleft(starmap(items.pop, repeat((), len(items))))
