"""Ids of events: random UUIDs, a block at a time.

`str(uuid.uuid4())` takes 2 us, most of it spent on one system call and one object per id, and
importing `uuid` takes 1.4 ms. A block of 256 costs one system call, and becomes the texts of its ids
by seven copies, one for each column that is not a random digit: 0.1 us per id, of which 15 us come
at once for the one call in 256 that makes a block.

A block is never used in a forked child. A copy of the process that runs no fork hook (a snapshot
of a whole machine, resumed many times) would repeat the rest of a block: there, track the first
event after the resumption.
"""

import os
from typing import List

__all__ = ["new_id"]

_BLOCK = 256
_LENGTH = 37  # with the space behind it
_DASHES = (8, 13, 18, 23)
_VERSION = 14
_VARIANT = 19
_SPACE = 36
# The variant keeps two random bits of a digit, and sets the others: 8, 9, a or b.
_TO_VARIANT = bytes.maketrans(b"0123456789abcdef", b"89ab" * 4)

_ids: List[str] = []


def new_id() -> str:
    """Give a new random UUID (version 4) as text."""
    try:
        # A pop takes an id for one thread only, and cannot be held up or left locked by a fork.
        return _ids.pop()
    except IndexError:
        block = _new_block()
        chosen = block.pop()
        _ids.extend(block)
        return chosen


def _new_block() -> List[str]:
    # A digit for each place, also for those that are written over.
    text = bytearray(os.urandom(_LENGTH * _BLOCK // 2).hex().encode("ascii"))
    for place in _DASHES:
        text[place::_LENGTH] = b"-" * _BLOCK
    text[_VERSION::_LENGTH] = b"4" * _BLOCK
    text[_VARIANT::_LENGTH] = text[_VARIANT::_LENGTH].translate(_TO_VARIANT)
    text[_SPACE::_LENGTH] = b" " * _BLOCK
    return text.decode("ascii").split()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.clear)
