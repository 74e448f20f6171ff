"""A searchable list of events, whose assertions have detailed messages."""

from __future__ import annotations

from typing import (
    Any,
    Callable,
    List,
    Mapping,
    Optional,
    Sequence,
    SupportsIndex,
    Union,
    overload,
)

from snowplow_tracker._messages import events_text
from snowplow_tracker.testing._matching import Criteria, nearest
from snowplow_tracker.testing._table import off_hint, table_lines
from snowplow_tracker.testing.records import CollectedEvent

__all__ = ["EventList", "EventsDifferError"]

# Maximum number of events in a message; the list itself has all of them.
_MAX_SHOWN = 40
_MAX_DIFFERENCES = 12


class EventsDifferError(AssertionError):
    """The events differ from the expectation. The message shows them, and the nearest one."""


class EventList(List[CollectedEvent]):
    """Events in the order of arrival.

    All methods have the same criteria:

    - ``type``: ``"pv"``, ``"pp"``, ``"se"``, ``"ue"``, ``"tr"``, ``"ti"``, or its name
      (``"page view"``);
    - ``name``: the value of `CollectedEvent.event_name`: for a self-describing event, the name in its
      schema;
    - ``schema``: the schema of the self-describing event; ``*`` stands for anything
      (``"iglu:com.acme/order/jsonschema/1-*"``);
    - ``data``: a part of its data. Dictionaries may have more members, at any depth; lists have
      the same length;
    - ``entity``: an entity, or a list of them: a schema, a part of the data, or both in
      ``{"schema": ..., "data": ...}``. A `SelfDescribingJson` is possible, too;
    - ``where``: a function that is called with the event and returns whether it matches;
    - any parameter of the protocol by its name there (``se_ac="add"``); a number may be written as
      a number, and None means that the event must not have it. Use ``where`` for anything that is
      not a parameter of the protocol.

    A compiled regular expression matches if it is found in the value. Objects with their own ``==``
    (``pytest.approx``, ``unittest.mock.ANY``) are compared with it.
    """

    @overload
    def __getitem__(self, index: SupportsIndex) -> CollectedEvent: ...

    @overload
    def __getitem__(self, index: slice) -> EventList: ...

    def __getitem__(self, index: Union[SupportsIndex, slice]) -> Union[CollectedEvent, EventList]:
        if isinstance(index, slice):
            return EventList(super().__getitem__(index))
        return super().__getitem__(index)

    def find(
        self,
        *,
        type: Optional[str] = None,  # noqa: A002 (the protocol's name)
        name: Any = None,
        schema: Any = None,
        data: Any = None,
        entity: Any = None,
        where: Optional[Callable[[CollectedEvent], bool]] = None,
        **parameters: Any,
    ) -> EventList:
        """Return the events that match, in order; an empty list if there are none.

        Args:
            type: the event type.
            name: the name of the event.
            schema: the schema of the self-describing event.
            data: a part of its data.
            entity: an entity, or a list of them.
            where: any condition.
            **parameters: values of parameters of the protocol.

        Raises:
            ValueError: a type or parameter does not exist.
        """
        __tracebackhide__ = True
        criteria = Criteria(type, name, schema, data, entity, where, **parameters)
        return EventList(event for event in self if not criteria.differences(event))

    def assert_one(
        self,
        *,
        type: Optional[str] = None,  # noqa: A002 (the protocol's name)
        name: Any = None,
        schema: Any = None,
        data: Any = None,
        entity: Any = None,
        where: Optional[Callable[[CollectedEvent], bool]] = None,
        **parameters: Any,
    ) -> CollectedEvent:
        """Fail unless exactly one event matches. The arguments are those of `find`.

        Returns:
            The event.

        Raises:
            EventsDifferError: none matches, or several do.
            ValueError: a type or parameter does not exist.
        """
        __tracebackhide__ = True
        criteria = Criteria(type, name, schema, data, entity, where, **parameters)
        found = self._matching(criteria)
        if len(found) != 1:
            count = "none is" if not found else f"{len(found)} are"
            raise EventsDifferError(
                self._failure("exactly one event", criteria, f"but {count} like that", found)
            )
        return self[found[0]]

    def assert_none(
        self,
        *,
        type: Optional[str] = None,  # noqa: A002 (the protocol's name)
        name: Any = None,
        schema: Any = None,
        data: Any = None,
        entity: Any = None,
        where: Optional[Callable[[CollectedEvent], bool]] = None,
        **parameters: Any,
    ) -> None:
        """Fail if any event matches; without arguments, if there is any event.

        The arguments are those of `find`.

        Raises:
            EventsDifferError: an event matches.
            ValueError: a type or parameter does not exist.
        """
        __tracebackhide__ = True
        criteria = Criteria(type, name, schema, data, entity, where, **parameters)
        found = self._matching(criteria)
        if found:
            count = "1 is" if len(found) == 1 else f"{len(found)} are"
            raise EventsDifferError(
                self._failure("no event", criteria, f"but {count} like that", found)
            )

    def assert_in_order(self, *wanted: Mapping[str, Any]) -> EventList:
        """Fail unless events like these are in the list, in this order. Other events may be between them.

        Args:
            *wanted: for each event, the arguments of `find` as a dictionary.

        Returns:
            The events that were found, one for each dictionary.

        Raises:
            EventsDifferError: there are no such events in this order.
            TypeError: an argument is not a dictionary.
            ValueError: a type or parameter does not exist.
        """
        __tracebackhide__ = True
        found: List[int] = []
        for number, each in enumerate(wanted):
            if not isinstance(each, Mapping):
                raise TypeError(
                    f"each event is wanted as a dictionary, for example dict(type='pv'), not {each!r}"
                )
            criteria = Criteria(**each)
            start = found[-1] + 1 if found else 0
            index = next(
                (i for i in range(start, len(self)) if not criteria.differences(self[i])), None
            )
            if index is None:
                earlier = [i for i in range(start) if not criteria.differences(self[i])]
                what = f"event {number + 1} of {len(wanted)} in this order"
                so_far = f"but after row {found[-1]} none is" if found else "but none is"
                outcome = f"{so_far} like that"
                if earlier:
                    outcome += f"; it is row {earlier[0]}, which comes too early"
                raise EventsDifferError(
                    self._failure(what, criteria, outcome, earlier, start=start)
                )
            found.append(index)
        return EventList(self[index] for index in found)

    def assert_valid(self) -> None:
        """Fail if the pipeline would refuse any of the events.

        Raises:
            EventsDifferError: an event has problems; the message lists them.
        """
        __tracebackhide__ = True
        problems = [(index, event.problems) for index, event in enumerate(self)]
        bad = [(index, each) for index, each in problems if each]
        if bad:
            lines = [f"the pipeline would refuse {len(bad)} of {events_text(len(self))}:"]
            for index, each in bad[:_MAX_SHOWN]:
                lines.extend(f"    row {index}: {problem}" for problem in each[:_MAX_DIFFERENCES])
            lines.extend(self._shown([index for index, _ in bad]))
            raise EventsDifferError("\n".join(lines))

    def _matching(self, criteria: Criteria) -> List[int]:
        return [i for i, event in enumerate(self) if not criteria.differences(event)]

    def _failure(
        self,
        what: str,
        criteria: Criteria,
        outcome: str,
        found: Sequence[int],
        start: int = 0,
    ) -> str:
        wanted = criteria.describe()
        lines = [f"expected {what}" + (" with" if wanted else "")]
        lines.extend(f"    {line}" for line in wanted)
        if not self:
            return "\n".join([*lines, "but there are no events at all"]) + off_hint()
        lines.append(outcome)
        marked = list(found)
        near = nearest(self[start:], criteria) if not found else None
        if near is not None:
            index, differences = near[0] + start, near[1]
            marked = [index]
            lines.append(f"the nearest one is row {index}, where")
            lines.extend(f"    {each.path} {each.text}" for each in differences[:_MAX_DIFFERENCES])
            if len(differences) > _MAX_DIFFERENCES:
                lines.append(f"    and {len(differences) - _MAX_DIFFERENCES} more differences")
        return "\n".join([*lines, *self._shown(marked)])

    def _shown(self, marked: Sequence[int]) -> List[str]:
        """Return the table of the events, with a mark at those that the message is about."""
        rows = list(range(len(self)))
        if len(rows) > _MAX_SHOWN:
            # The marked events, with the events around them.
            around = marked[0] if marked else 0
            first = max(0, min(around - _MAX_SHOWN // 2, len(rows) - _MAX_SHOWN))
            rows = rows[first : first + _MAX_SHOWN]
        labels = [f"{'>' if row in set(marked) else ' '} {row}" for row in rows]
        lines = ["", *table_lines([self[row] for row in rows], labels=labels)]
        left_out = len(self) - len(rows)
        shown = f" ({left_out} of them are not shown)" if left_out else ""
        return [*lines, "", f"{events_text(len(self))} in all{shown}"]
