"""What relies on one call being atomic: the interpreter runs functions written in C without a break.

Between two bytecodes anything may happen: another thread goes on, a signal handler raises. Inside a function of C that
calls only functions of C, nothing does. So what has to happen together, or not at all, happens in one such call. This
holds for CPython with its global interpreter lock, of any version. A free-threaded build keeps it for signal handlers,
which is what most of this is for, but not for threads.
"""

from __future__ import annotations

from collections import deque
from itertools import islice, repeat, starmap
from operator import methodcaller
from typing import Any, Callable, Deque, List

__all__ = ["all_at_once", "move_back", "move_oldest"]

_call = methodcaller("__call__")


def all_at_once(*calls: Callable[[], object]) -> None:
    """Call functions of C one after the other, without a bytecode between them.

    Args:
        calls: Each a `functools.partial` of a built-in function or method, or a built-in method without arguments.
    """
    deque(map(_call, calls), maxlen=0)


def move_oldest(items: Deque[Any], count: int, into: List[Any]) -> None:
    """Move the first items of a queue to the end of a list: at any moment each is in one of the two."""
    into.extend(islice(starmap(items.popleft, repeat(())), count))


def move_back(items: List[Any], into: Deque[Any]) -> None:
    """Move all items of a list to the front of a queue, in their order."""
    into.extendleft(starmap(items.pop, repeat((), len(items))))
