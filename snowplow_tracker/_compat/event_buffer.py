"""The list `InMemoryEventStore.event_buffer`, which was the queue itself in 1.1.0, and that subclasses of the store change."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Iterable, List, Tuple

from snowplow_tracker.typing import PayloadDict

_CHANGES = (
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "remove",
    "reverse",
    "sort",
    "__delitem__",
    "__iadd__",
    "__imul__",
    "__setitem__",
)


class EventBuffer(List[PayloadDict]):
    """The events that wait, oldest first. Changing the list changes the queue; copies and slices are plain lists.

    What it shows is as of the time it was asked for or last changed. The events are those in the queue, not copies.

    Args:
        events: The events that wait.
        apply: Called with the list and a change of it: brings the list up to date, makes the change, and has the queue
            hold what the list holds then. Returns what the change returns.
    """

    def __init__(
        self,
        events: Iterable[PayloadDict],
        apply: Callable[[EventBuffer, Callable[[], Any]], Any],
    ) -> None:
        super().__init__(events)
        self._apply = apply

    def __reduce_ex__(self, _: Any) -> Tuple[Any, ...]:
        return list, ([*self],)

    def refresh(self, events: Iterable[PayloadDict]) -> None:
        """Show other events, without changing the queue."""
        super().__setitem__(slice(None), events)


def _applied(name: str) -> Callable[..., Any]:
    change = getattr(list, name)

    def method(self: EventBuffer, *arguments: Any, **named: Any) -> Any:
        return self._apply(self, partial(change, self, *arguments, **named))

    method.__name__ = name
    method.__doc__ = change.__doc__
    return method


for _name in _CHANGES:
    setattr(EventBuffer, _name, _applied(_name))
