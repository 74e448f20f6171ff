"""The criteria of a test for an event, and the differences of an event from them."""

from __future__ import annotations

import re
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from snowplow_tracker.testing._rules import EVENT_TYPES, PARAMETERS, shortened
from snowplow_tracker.testing.records import CollectedEvent

_TYPES = {name: name for name in EVENT_TYPES}
_TYPES.update({words.replace("-", " "): name for name, words in EVENT_TYPES.items()})
_TYPES.update({"struct": "se", "unstruct": "ue"})
# What users who do not know the protocol by heart may call a parameter, such as its column after enrichment.
_MEANT = {
    **{column: name for name, (column, _) in PARAMETERS.items()},
    **{column[3:]: name for name, (column, _) in PARAMETERS.items() if name.startswith("se_")},
    "property_": "se_pr",
    "referrer": "refr",
    "network_userid": "tnuid",
    "namespace": "tna",
    "true_timestamp": "ttm",
    "event": "type",
    "event_type": "type",
    "event_name": "name",
    "unstruct_event": "data",
    **dict.fromkeys(("context", "contexts", "entities"), "entity"),
}
_ABSENT = object()


class Difference(NamedTuple):
    """One difference between an event and the criteria.

    Attributes:
        path: its place, for example ``data.items[0].price``.
        text: the end of the sentence, for example ``is 3, not 4``.
        weight: the size of the difference; 0 is a slightly different value.
    """

    path: str
    text: str
    weight: float


class Criteria:
    """The criteria for an event; `EventList` describes them. A criterion that is None is not checked."""

    def __init__(
        self,
        type: Optional[str] = None,  # noqa: A002 (what users call it)
        name: Any = None,
        schema: Any = None,
        data: Any = None,
        entity: Any = None,
        where: Optional[Callable[[CollectedEvent], bool]] = None,
        **parameters: Any,
    ) -> None:
        """Check the criteria, so that a misspelled one raises instead of matching nothing.

        Raises:
            ValueError: no event can match.
        """
        __tracebackhide__ = True
        self.type: Optional[str] = None
        if type is not None:
            words = re.sub("[-_ ]+", " ", type).lower() if isinstance(type, str) else ""
            if words not in _TYPES:
                known = ", ".join(f"{key} ({value})" for key, value in EVENT_TYPES.items())
                raise ValueError(f"type is {type!r}, but must be one of {known}")
            self.type = _TYPES[words]
        for each in parameters:
            if each not in PARAMETERS:
                hint = f"; {_MEANT[each]} is what you mean" if each in _MEANT else ""
                raise ValueError(f"{each!r} is not a parameter of the protocol{hint}")
        if where is not None and not callable(where):
            raise ValueError(f"where is {where!r}, but must be a function of an event")
        if entity is None:
            entity = ()
        elif not isinstance(entity, (list, tuple)):
            entity = (entity,)
        self.name = name
        self.schema = schema
        self.data = _plain(data)
        self.entities = [_plain_entity(each) for each in entity]
        self.where = where
        self.parameters = parameters

    def describe(self) -> List[str]:
        """Return one line for each criterion."""
        wanted = [
            (name, value)
            for name, value in (
                ("type", self.type),
                ("name", self.name),
                ("schema", self.schema),
                ("data", self.data),
            )
            if value is not None
        ]
        wanted.extend(("entity", entity) for entity in self.entities)
        wanted.extend(self.parameters.items())
        lines = [f"{name} = {_shown(value)}" for name, value in wanted]
        if self.where is not None:
            lines.append(f"where {getattr(self.where, '__name__', 'a condition')} is true")
        return lines

    def differences(self, event: CollectedEvent) -> List[Difference]:
        """Return the differences of an event from the criteria; none if it matches."""
        found = list(self._differences(event))
        # Checked last, so that a condition may rely on the rest, such as a parameter of the type.
        if not found and self.where is not None and not self.where(event):
            found.append(Difference("where", "is not true", 1.0))
        return found

    def _differences(self, event: CollectedEvent) -> Iterator[Difference]:
        if self.type is not None and event.event_type != self.type:
            yield Difference("type", _unlike(event.event_type, self.type), 3.0)
        if self.name is not None and not _equal(event.event_name, self.name):
            yield Difference("name", _unlike(event.event_name, self.name), 2.0)
        if self.schema is not None and not _schema_matches(event.schema, self.schema):
            yield Difference("schema", _unlike(event.schema, self.schema), 2.0)
        if self.data is not None:
            yield from _compare(event.data, self.data, "data")
        yield from self._entity_differences(event)
        for name, wanted in self.parameters.items():
            yield from _compare_parameter(event, name, wanted)

    def _entity_differences(self, event: CollectedEvent) -> Iterator[Difference]:
        compared = [
            [
                list(_compare_entity(entity, wanted, f"entity[{number}]"))
                for number, entity in enumerate(event.contexts)
            ]
            for wanted in self.entities
        ]
        # An entity of the event is for one of the wanted ones only.
        taken: Dict[int, int] = {}

        def found(wanted: int, tried: Set[int]) -> bool:
            """Take an entity that matches. If another wanted one has it, that one may take another."""
            for number, differences in enumerate(compared[wanted]):
                if not differences and number not in tried:
                    tried.add(number)
                    if number not in taken or found(taken[number], tried):
                        taken[number] = wanted
                        return True
            return False

        missing = [wanted for wanted in range(len(compared)) if not found(wanted, set())]
        for wanted in missing:
            left = [each for number, each in enumerate(compared[wanted]) if number not in taken]
            if left:
                yield from min(left, key=_weight)
            else:
                known = ", ".join(each["schema"] for each in event.contexts) or "no entities"
                shown = _shown(self.entities[wanted])
                yield Difference("entity", f"{shown} is missing; it has {known}", 2.0)


def nearest(
    events: Sequence[CollectedEvent], criteria: Criteria
) -> Optional[Tuple[int, List[Difference]]]:
    """Return the index of the event that differs least, and what differs; None if there are no events."""
    compared = [(criteria.differences(event), number) for number, event in enumerate(events)]
    if not compared:
        return None
    differences, number = min(compared, key=lambda each: _weight(each[0]))
    return number, differences


def _weight(differences: Sequence[Difference]) -> float:
    return sum(each.weight for each in differences)


def _plain(value: Any) -> Any:
    to_json = getattr(value, "to_json", None)
    if not callable(to_json):
        return value
    described = to_json()
    return described.get("data", described) if isinstance(described, dict) else described


def _plain_entity(value: Any) -> Any:
    to_json = getattr(value, "to_json", None)
    return to_json() if callable(to_json) else value


def _compare_entity(entity: Mapping[str, Any], wanted: Any, path: str) -> Iterator[Difference]:
    if isinstance(wanted, (str, re.Pattern)):
        wanted = {"schema": wanted}
    if isinstance(wanted, Mapping) and wanted and set(wanted) <= {"schema", "data"}:
        schema = wanted.get("schema")
        if schema is not None and not _schema_matches(entity["schema"], schema):
            yield Difference(f"{path}.schema", _unlike(entity["schema"], schema), 2.0)
        if "data" in wanted:
            yield from _compare(entity["data"], wanted["data"], f"{path}.data")
    else:
        yield from _compare(entity["data"], wanted, f"{path}.data")


def _compare_parameter(event: CollectedEvent, name: str, wanted: Any) -> Iterator[Difference]:
    actual = event.get(name, _ABSENT)
    if wanted is None:
        # None means that the event must not have the parameter: on the wire no value is None.
        if actual is not _ABSENT:
            yield Difference(name, f"is {_shown(actual)}, but must not be there", 1.0)
    elif actual is _ABSENT:
        yield Difference(name, f"is missing, and must be {_shown(wanted)}", 1.5)
    elif not _equal(actual, wanted) and not _same_number(actual, wanted):
        yield Difference(name, _unlike(actual, wanted), 1.0)


def _same_number(actual: Any, wanted: Any) -> bool:
    # On the wire numbers are strings, but a test may use se_va=2.
    if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
        return False
    try:
        return bool(float(actual) == wanted)
    except (TypeError, ValueError):
        return False


def _compare(actual: Any, wanted: Any, path: str) -> Iterator[Difference]:
    if isinstance(wanted, Mapping):
        if not isinstance(actual, Mapping):
            yield Difference(path, _unlike(actual, wanted), 2.0)
            return
        for name, each in wanted.items():
            inner = f"{path}.{name}"
            if name in actual:
                yield from _compare(actual[name], each, inner)
            else:
                has = ", ".join(map(str, actual)) or "nothing"
                yield Difference(inner, f"is missing; there is {has[:200]}", 1.5)
    elif isinstance(wanted, (list, tuple)):
        if not isinstance(actual, (list, tuple)):
            yield Difference(path, _unlike(actual, wanted), 2.0)
            return
        if len(actual) != len(wanted):
            yield Difference(path, f"has {len(actual)} items, not {len(wanted)}", 1.5)
        for number, (one, other) in enumerate(zip(actual, wanted)):
            yield from _compare(one, other, f"{path}[{number}]")
    elif not _equal(actual, wanted):
        yield Difference(path, _unlike(actual, wanted), 1.0)


def _equal(actual: Any, wanted: Any) -> bool:
    if isinstance(wanted, re.Pattern):
        return isinstance(actual, str) and wanted.search(actual) is not None
    # True equals 1 in Python, but not in JSON.
    if isinstance(actual, bool) != isinstance(wanted, bool) and isinstance(wanted, (int, float)):
        return False
    return bool(wanted == actual)


def _schema_matches(actual: Optional[str], wanted: Any) -> bool:
    if not isinstance(wanted, str):
        return _equal(actual, wanted)
    if actual is None:
        return False
    if not wanted.startswith("iglu:"):
        wanted = f"iglu:{wanted}"
    if "*" not in wanted:
        return bool(actual == wanted)
    return re.fullmatch(".*".join(map(re.escape, wanted.split("*"))), actual) is not None


def _unlike(actual: Any, wanted: Any) -> str:
    return f"is {_shown(actual)}, not {_shown(wanted)}"


def _shown(value: Any) -> str:
    if isinstance(value, re.Pattern):
        return f"matching {value.pattern!r}"
    return shortened(value, 200)
