"""Objects that belong to one process: an attempt to pickle or deep-copy them raises a clear error."""

from __future__ import annotations

from typing import Any, NoReturn, Tuple, TypeVar, Union


class Unpicklable:
    """An object whose queue, connections and threads a pickle or a deep copy would not have.

    A subclass may define its own pickling. `copy.copy` shares the parts of the object, as usual.
    """

    def __reduce_ex__(self, protocol: Any) -> Union[str, Tuple[Any, ...]]:
        if not _pickles_itself(type(self)):
            _refuse(self)
        return super().__reduce_ex__(protocol)

    def __copy__(self: _Self) -> _Self:
        twin: _Self = object.__new__(type(self))
        twin.__dict__.update(vars(self))
        return twin


_Self = TypeVar("_Self", bound=Unpicklable)


def _pickles_itself(kind: Any) -> bool:
    return kind.__reduce__ is not object.__reduce__ or getattr(
        kind, "__getstate__", None
    ) is not getattr(object, "__getstate__", None)


def _refuse(thing: object) -> NoReturn:
    name = type(thing).__name__
    raise TypeError(
        f"{name} cannot be pickled or deep-copied, and neither can a tracker that has one: its queue, connections and "
        "threads belong to this process. Pickle the events, and create a tracker in each process, for example with "
        "Snowplow.create_tracker() where a worker starts."
    )
