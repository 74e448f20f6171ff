"""Copies of a value, in each of the ways that Python has."""

import copy
import pickle
from typing import Any, List

__all__ = ["copies"]


def copies(value: Any) -> List[Any]:
    """Give a shallow copy, a deep one, and one that went through pickle."""
    pickled = pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes
    return [copy.copy(value), copy.deepcopy(value), pickled]
