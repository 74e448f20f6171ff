"""Equality, copies and hashes of the objects that users build: they are what they hold."""

from copy import copy
from typing import Any, Dict, Mapping, TypeVar

__all__ = ["ByValue"]

_Self = TypeVar("_Self", bound="ByValue")


class ByValue:
    """An object that equals another of its type that holds the same."""

    # What 1.1.0 held under other names: its pickles may wait in a queue of tasks.
    _names_in_1_1_0: Mapping[str, str] = {}

    def _what_it_holds(self) -> Dict[str, object]:
        return vars(self)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._what_it_holds() == other._what_it_holds()

    def __hash__(self) -> int:
        # These objects could always be put into a set, and change while they are in it. A hash of
        # the type alone is the only one that agrees with equality and never changes.
        return hash(type(self))

    def __copy__(self: _Self) -> _Self:
        """Copy one level deeper than usual, so that a change of the copy stays in the copy."""
        twin: _Self = object.__new__(type(self))  # one of a user's may take arguments
        for name, value in vars(self).items():
            twin.__dict__[name] = copy(value) if isinstance(value, (ByValue, dict, list)) else value
        for declared in type(self).__mro__:
            slots = vars(declared).get("__slots__", ())
            for slot in (slots,) if isinstance(slots, str) else slots:
                if slot not in {"__dict__", "__weakref__"} and hasattr(self, slot):
                    setattr(twin, slot, getattr(self, slot))
        return twin

    def __setstate__(self, state: Any) -> None:
        """Take the state of a copy or a pickle."""
        held, in_slots = state if isinstance(state, tuple) else (state, None)
        for name, value in (held or {}).items():
            vars(self)[self._names_in_1_1_0.get(name, name)] = value
        for name, value in (in_slots or {}).items():
            setattr(self, name, value)
