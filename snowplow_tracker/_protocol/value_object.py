"""Value objects: objects of one type with equal contents are equal, and can be copied and pickled."""

from __future__ import annotations

from copy import copy
from typing import Any, Dict, Mapping, TypeVar


class ValueObject:
    """An object that equals another one of its type with equal contents."""

    # 1.1.0 had other names for some attributes, and its pickles may be in a task queue.
    _names_in_1_1_0: Mapping[str, str] = {}

    def _state(self) -> Dict[str, object]:
        return vars(self)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._state() == other._state()

    def __hash__(self) -> int:
        # In 1.1.0 these objects were hashable, and they can change while they are in a set. Only a
        # hash of the type is consistent with equality and never changes.
        return hash(type(self))

    def __copy__(self: _Self) -> _Self:
        """Copy one level deeper than usual, so that changes of the copy do not affect the original."""
        twin: _Self = object.__new__(type(self))  # a user's constructor may need arguments
        for name, value in vars(self).items():
            twin.__dict__[name] = (
                copy(value) if isinstance(value, (ValueObject, dict, list)) else value
            )
        for declared in type(self).__mro__:
            slots = vars(declared).get("__slots__", ())
            for slot in (slots,) if isinstance(slots, str) else slots:
                if slot not in {"__dict__", "__weakref__"} and hasattr(self, slot):
                    setattr(twin, slot, getattr(self, slot))
        return twin

    def __setstate__(self, state: Any) -> None:
        """Restore the state of a copy or a pickle."""
        held, in_slots = state if isinstance(state, tuple) else (state, None)
        for name, value in (held or {}).items():
            vars(self)[self._names_in_1_1_0.get(name, name)] = value
        for name, value in (in_slots or {}).items():
            setattr(self, name, value)


_Self = TypeVar("_Self", bound=ValueObject)
