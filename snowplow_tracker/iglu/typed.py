"""The base classes of classes that are generated from schemas.

`python -m snowplow_tracker generate` writes the classes. This module does not need the schemas.
"""

from __future__ import annotations

import ast
import functools
import reprlib
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import (
    Any,
    Callable,
    ClassVar,
    Dict,
    Iterator,
    List,
    Literal,
    NamedTuple,
    Optional,
    Tuple,
)

from snowplow_tracker._messages import choice_text
from snowplow_tracker._protocol import text
from snowplow_tracker.contracts import contracts_enabled
from snowplow_tracker.events.event import Event
from snowplow_tracker.events.self_describing import SelfDescribing
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.typing import Timestamp

__all__ = [
    "SpecifiedEvent",
    "TypedData",
    "TypedEntity",
    "TypedEvent",
    "TypedEventOrEntity",
    "event_specification",
    "plain",
]

_EVENT_SPECIFICATION = "iglu:com.snowplowanalytics.snowplow/event_specification/jsonschema/1-0-4"
_OF_EVENTS = ("event_subject", "context", "true_timestamp", "event_id", "created_timestamp")


class TypedData:
    """Data that a schema describes: an object in an event or an entity, and the base class of both.

    Its attributes may be changed until the event is tracked. Two objects of one class with equal
    attributes are equal.

    When the data is used, in `track()` or in `to_data()`, an attribute is a `ValueError` if it is required and None, or not
    among the values of its schema, and a `TypeError` if it is a dictionary where an object of a class belongs, or no list or
    dictionary of such objects. Strings and numbers are not checked: type checkers and `validate` do that.
    """

    _is_generated = True
    """For code that copies data: its objects can be copied in depth."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Have the attributes checked before they become data."""
        super().__init_subclass__(**options)
        write = cls.__dict__.get("to_data")
        if write is not None:
            cls.to_data = _checking(cls, write)  # type: ignore[method-assign,assignment]

    def to_data(self) -> Any:
        """Return the data in the form of JSON, with the names in the schema."""
        raise NotImplementedError

    def _held(self) -> Dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or not isinstance(other, TypedData):
            return NotImplemented
        return self._held() == other._held()

    def __hash__(self) -> int:
        # It may change while it is in a set, so only the type is constant.
        return hash(type(self))

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self._held().items() if v is not None)
        return f"{type(self).__name__}({shown})"


_Test = Callable[[Any], bool]


class _Rule(NamedTuple):
    name: str
    annotation: str
    accepts: _Test
    choices: Tuple[Any, ...]


def _checking(cls: type, write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a `to_data` that checks the attributes of its class first."""
    # Read when they are needed: the constants of the module may be defined after the class.
    rules = functools.lru_cache(maxsize=None)(functools.partial(_rules, cls))

    @functools.wraps(write)
    def to_data(self: TypedData) -> Any:
        if contracts_enabled():
            for rule in rules():
                # A constructor of a subclass may keep an argument under another name.
                if hasattr(self, rule.name):
                    _check(cls, rule, getattr(self, rule.name))
        return write(self)

    return to_data


def _check(cls: type, rule: _Rule, value: object) -> None:
    if rule.accepts(value):
        return
    name = f"{rule.name} of {cls.__name__}"
    if value is None:
        raise ValueError(f"{name} must not be None: its schema requires it.")
    if rule.choices:
        raise ValueError(f"{name} {choice_text(rule.choices, value)}")
    raise TypeError(f"{name} must be {rule.annotation}, got {reprlib.repr(value)}.")


def _rules(cls: type) -> List[_Rule]:
    """Read from the annotations of a constructor which values the attributes may have."""
    write: Any = cls.__dict__.get("__init__")
    code = getattr(write, "__code__", None)
    if code is None:
        return []
    first = code.co_argcount
    module = sys.modules.get(cls.__module__)
    rules = []
    for name in code.co_varnames[first : first + code.co_kwonlyargcount]:
        annotation = str(write.__annotations__.get(name, "Any"))
        try:
            types = list(_alternatives(ast.parse(annotation, mode="eval").body))
        except SyntaxError:  # the representation of a class
            continue
        if name in (write.__kwdefaults__ or ()):
            types.append(ast.Constant(None))
        accepts = _test_of(types, module)
        if accepts is not _anything:
            others = [each for each in types if not _is_none(each)]
            choices = _choices(others[0], module) if len(others) == 1 else ()
            rules.append(_Rule(name, annotation, accepts, choices))
    return rules


def _test_of(types: List[ast.expr], module: object) -> _Test:
    """Return a function that finds out whether a value is of one of these types. Strings and numbers are not checked."""
    tests = [_test_of_type(each, module) for each in types]
    if _anything in tests or (_something in tests and _nothing in tests):
        return _anything
    if _something in tests:
        return _something
    return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


def _test_of_type(node: ast.expr, module: object) -> _Test:
    if _is_none(node):
        return _nothing
    if _name(node) == "Any":
        return _anything
    choices = _choices(node, module)
    if choices:
        return lambda value: _is_one_of(choices, value)
    found = getattr(module, _name(node), None)
    if isinstance(found, type) and issubclass(found, TypedData):
        return lambda value: hasattr(value, "to_data")
    if not isinstance(node, ast.Subscript):
        return _something
    *_, item = _arguments(node)
    test = _test_of(list(_alternatives(item)), module)
    if _name(node.value) in ("dict", "Dict"):
        return lambda value: isinstance(value, Mapping) and all(map(test, value.values()))
    if test in (_anything, _something):
        return _something
    return lambda value: _is_list_of(test, value)


def _is_list_of(test: _Test, value: Any) -> bool:
    """Return whether a value is sent as a list of such items. Those of a generator can be read only once."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return False
    return not isinstance(value, Collection) or all(map(test, value))


def _anything(_value: object) -> bool:
    return True


def _something(value: object) -> bool:
    return value is not None


def _nothing(value: object) -> bool:
    return value is None


def _is_one_of(choices: Tuple[Any, ...], value: object) -> bool:
    value = text.plain(value)  # an Enum is sent as its value
    # In Python 1 is True, in JSON it is not.
    return any(
        each == value and isinstance(each, bool) == isinstance(value, bool) for each in choices
    )


def _choices(node: ast.expr, module: object) -> Tuple[Any, ...]:
    """Return the values of a `Literal`, which may have a name in the module."""
    if isinstance(node, ast.Subscript) and _name(node.value) == "Literal":
        return tuple(map(ast.literal_eval, _arguments(node)))
    found: Any = getattr(module, _name(node), None)
    return found.__args__ if getattr(found, "__origin__", None) is Literal else ()


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    """Return the types of a union, in any of its forms."""
    if isinstance(node, ast.BinOp):
        yield from _alternatives(node.left)
        yield from _alternatives(node.right)
    elif isinstance(node, ast.Subscript) and _name(node.value) in ("Optional", "Union"):
        for each in _arguments(node):
            yield from _alternatives(each)
        if _name(node.value) == "Optional":
            yield ast.Constant(None)
    else:
        yield node


def _arguments(node: ast.Subscript) -> List[ast.expr]:
    """Return what stands between the brackets of a type."""
    # Python 3.8 has a node around it.
    index = getattr(node.slice, "value", node.slice) if sys.version_info < (3, 9) else node.slice
    return index.elts if isinstance(index, ast.Tuple) else [index]


def _name(node: ast.expr) -> str:
    return str(getattr(node, "id", getattr(node, "attr", "")))


def _is_none(node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and node.value is None) or _name(node) == "NoneType"


class TypedEntity(TypedData, SelfDescribingJson):
    """An entity of one schema, for the `context` of an event."""

    SCHEMA: ClassVar[str]
    """The address of the schema."""

    def __init__(self) -> None:
        # The data is in the attributes, so the constructor of SelfDescribingJson is not called.
        pass

    @property
    def schema(self) -> str:
        """The address of the schema."""
        return self.SCHEMA

    @schema.setter
    def schema(self, _value: str) -> None:
        raise AttributeError("the schema of a generated class cannot be changed")

    @property
    def data(self) -> Any:
        """The data in the form of JSON, created from the attributes each time."""
        return self.to_data()

    @data.setter
    def data(self, _value: Any) -> None:
        raise AttributeError("the data of a generated class is set by its attributes")

    def to_json(self) -> Dict[str, Any]:
        """Return schema and data as one dictionary."""
        return {"schema": self.SCHEMA, "data": self.to_data()}


class TypedEvent(TypedData, SelfDescribing):
    """A self-describing event of one schema.

    Its `event_id` and `created_timestamp`, which few events need, are set as attributes.

    Args:
        event_subject: The subject of this event; its values take precedence over the tracker's.
        context: The entities of the event.
        true_timestamp: When it happened, if not now: milliseconds since 1970 or a `datetime`.

    Raises:
        ValueError: The context is not a list of entities.
    """

    SCHEMA: ClassVar[str]
    """The address of the schema."""

    def __init__(
        self,
        event_subject: Optional[Subject] = None,
        context: Optional[List[SelfDescribingJson]] = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        self._start({"e": "ue"}, event_subject, context, true_timestamp)

    @property
    def event_json(self) -> SelfDescribingJson:
        """Schema and data, created from the attributes each time; the event itself if it is an entity as well."""
        if isinstance(self, SelfDescribingJson):
            return self
        return SelfDescribingJson(self.SCHEMA, self.to_data())

    @event_json.setter
    def event_json(self, _value: SelfDescribingJson) -> None:
        raise AttributeError("the data of a generated class is set by its attributes")

    def _held(self) -> Dict[str, Any]:
        held = super()._held()
        for name in _OF_EVENTS:  # last, since the data is more important
            held.pop(name, None)
            held[name] = getattr(self, name) or None
        return held


class TypedEventOrEntity(TypedEvent, TypedEntity):
    """A class that can be used as an event or as an entity, since a schema does not define which one it describes."""


class SpecifiedEvent(TypedEvent):
    """An event that follows an event specification, and has an entity for it."""

    SPECIFICATION: ClassVar[SelfDescribingJson]
    """The entity `event_specification`."""

    @property
    def context(self) -> List[SelfDescribingJson]:
        """The entities of the event, including that of its specification."""
        return super().context

    @context.setter
    def context(self, value: Optional[List[SelfDescribingJson]]) -> None:
        # By its schema: a hook gets copies.
        others = [
            each
            for each in value or ()
            if getattr(each, "schema", None) != self.SPECIFICATION.schema
        ]
        vars(Event)["context"].__set__(self, [*others, self.SPECIFICATION])


def event_specification(
    id: str,  # noqa: A002 - as the schema calls it
    name: Optional[str] = None,
    version: Optional[int] = None,
    data_product_id: Optional[str] = None,
    data_product_name: Optional[str] = None,
    data_product_domain: Optional[str] = None,
) -> SelfDescribingJson:
    """Return the entity with the event specification that an event follows.

    Args:
        id: The id of the specification.
        name: Its name.
        version: Its version.
        data_product_id: The id of its tracking plan (data product).
        data_product_name: The name of that plan.
        data_product_domain: The domain of that plan.
    """
    data: Dict[str, Any] = {
        "id": id,
        "name": name,
        "version": version,
        "data_product_id": data_product_id,
        "data_product_name": data_product_name,
        "data_product_domain": data_product_domain,
    }
    return SelfDescribingJson(
        _EVENT_SPECIFICATION, {key: value for key, value in data.items() if value is not None}
    )


def plain(value: Any) -> Any:
    """Return a value in which objects of generated classes are replaced by their JSON."""
    if isinstance(value, TypedData):
        return value.to_data()
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value
