"""A list of events that can be searched, and that says well what it does not have."""

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

from snowplow_tracker.testing._matching import Criteria, make_criteria, nearest
from snowplow_tracker.testing._table import off_hint, table_lines
from snowplow_tracker.testing.records import CollectedEvent

__all__ = ["EventList", "EventsDifferError"]

# A failure shows so many events at most; who wants to read more has the list itself.
_MAX_SHOWN = 40
_MAX_DIFFERENCES = 12


class EventsDifferError(AssertionError):
    """The events are not as a test wants them; the text shows them, and the nearest one."""


class EventList(List[CollectedEvent]):
    """Events in the order of arrival.

    What is looked for is said in the same way everywhere:

    - ``type``: ``"pv"``, ``"pp"``, ``"se"``, ``"ue"``, ``"tr"``, ``"ti"``, or in words
      (``"page view"``);
    - ``name``: what `CollectedEvent.event_name` is, for a self-describing event the name in its
      schema;
    - ``schema``: the schema of the self-describing event; ``*`` stands for anything
      (``"iglu:com.acme/order/jsonschema/1-*"``);
    - ``data``: a part of its data. Dictionaries may have more members, at any depth; lists have
      the same length;
    - ``entity``: an entity, or a list of them: a schema, a part of the data, or both in
      ``{"schema": ..., "data": ...}``. A `SelfDescribingJson` does, too;
    - ``where``: a function of the event that returns true;
    - any parameter of the protocol by its name there (``se_ac="add"``); a number may be written as
      a number, and None means that the event must not have it. For what is no parameter of the
      protocol there is ``where``.

    A compiled regular expression matches where it is found, and anything with an ``==`` of its own
    (``pytest.approx``, ``unittest.mock.ANY``) compares in its own way.
    """

    @overload
    def __getitem__(self, index: SupportsIndex) -> CollectedEvent: ...

    @overload
    def __getitem__(self, index: slice) -> EventList: ...

    def __getitem__(self, index: Union[SupportsIndex, slice]) -> Union[CollectedEvent, EventList]:
        """An event, or a part of the list, which can be searched as well."""
        if isinstance(index, slice):
            return EventList(super().__getitem__(index))
        return super().__getitem__(index)

    def find(
        self,
        *,
        type: Optional[str] = None,  # noqa: A002 (the word of the protocol)
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
            ValueError: there is no such type or parameter.
        """
        __tracebackhide__ = True
        criteria = make_criteria(type, name, schema, data, entity, where, parameters)
        return EventList(event for event in self if not criteria.differences(event))

    def assert_one(
        self,
        *,
        type: Optional[str] = None,  # noqa: A002 (the word of the protocol)
        name: Any = None,
        schema: Any = None,
        data: Any = None,
        entity: Any = None,
        where: Optional[Callable[[CollectedEvent], bool]] = None,
        **parameters: Any,
    ) -> CollectedEvent:
        """Fail unless exactly one event matches.

        Args:
            type: the event type.
            name: the name of the event.
            schema: the schema of the self-describing event.
            data: a part of its data.
            entity: an entity, or a list of them.
            where: any condition.
            **parameters: values of parameters of the protocol.

        Returns:
            The event.

        Raises:
            EventsDifferError: none matches, or several do.
            ValueError: there is no such type or parameter.
        """
        __tracebackhide__ = True
        criteria = make_criteria(type, name, schema, data, entity, where, parameters)
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
        type: Optional[str] = None,  # noqa: A002 (the word of the protocol)
        name: Any = None,
        schema: Any = None,
        data: Any = None,
        entity: Any = None,
        where: Optional[Callable[[CollectedEvent], bool]] = None,
        **parameters: Any,
    ) -> None:
        """Fail if any event matches; without arguments, if there is any event.

        Args:
            type: the event type.
            name: the name of the event.
            schema: the schema of the self-describing event.
            data: a part of its data.
            entity: an entity, or a list of them.
            where: any condition.
            **parameters: values of parameters of the protocol.

        Raises:
            EventsDifferError: an event matches.
            ValueError: there is no such type or parameter.
        """
        __tracebackhide__ = True
        criteria = make_criteria(type, name, schema, data, entity, where, parameters)
        found = self._matching(criteria)
        if found:
            count = "1 is" if len(found) == 1 else f"{len(found)} are"
            raise EventsDifferError(
                self._failure("no event", criteria, f"but {count} like that", found)
            )

    def assert_in_order(self, *wanted: Mapping[str, Any]) -> EventList:
        """Fail unless there are events like these, one after the other; others may be in between.

        Args:
            *wanted: for each event, what `find` takes, as a dictionary.

        Returns:
            The events that were found, one for each that was wanted.

        Raises:
            EventsDifferError: there are no such events in this order.
            TypeError: something that was wanted is not a dictionary.
            ValueError: there is no such type or parameter.
        """
        __tracebackhide__ = True
        found: List[int] = []
        for number, each in enumerate(wanted):
            criteria = _criteria_of(each)
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
                    self._failure(what, criteria, outcome, earlier or [], start=start)
                )
            found.append(index)
        return EventList(self[index] for index in found)

    def assert_valid(self) -> None:
        """Fail if the pipeline would refuse any of the events.

        Raises:
            EventsDifferError: an event has problems; the text names each.
        """
        __tracebackhide__ = True
        problems = [(index, event.problems) for index, event in enumerate(self)]
        bad = [(index, each) for index, each in problems if each]
        if bad:
            lines = [f"the pipeline would refuse {len(bad)} of {_count(len(self))}:"]
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
            return "\n".join([*lines, "but there are no events at all", *off_hint()])
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
        """The table of the events there were, with a mark at those that the text is about."""
        rows = list(range(len(self)))
        if len(rows) > _MAX_SHOWN:
            # Those that matter, with what was around them.
            around = marked[0] if marked else 0
            first = max(0, min(around - _MAX_SHOWN // 2, len(rows) - _MAX_SHOWN))
            rows = rows[first : first + _MAX_SHOWN]
        labels = [f"{'>' if row in set(marked) else ' '} {row}" for row in rows]
        lines = ["", *table_lines([self[row] for row in rows], labels=labels)]
        left_out = len(self) - len(rows)
        shown = f" ({left_out} of them are not shown)" if left_out else ""
        return [*lines, "", f"{_count(len(self))} in all{shown}"]


def _criteria_of(wanted: Any) -> Criteria:
    __tracebackhide__ = True
    if not isinstance(wanted, Mapping):
        raise TypeError(
            f"each event is wanted as a dictionary, for example dict(type='pv'), not {wanted!r}"
        )
    rest = dict(wanted)
    return make_criteria(
        rest.pop("type", None),
        rest.pop("name", None),
        rest.pop("schema", None),
        rest.pop("data", None),
        rest.pop("entity", None),
        rest.pop("where", None),
        rest,
    )


def _count(number: int) -> str:
    return "1 event" if number == 1 else f"{number} events"
