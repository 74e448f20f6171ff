"""The classes that schemas describe: their properties, and the types of these."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)
from urllib.parse import unquote

from snowplow_tracker.iglu._generator.names import class_name, property_names, singular, unique
from snowplow_tracker.iglu.schema_key import SchemaKey

_MAX_LITERALS = 500
"""A type of more values is slow in every type checker, and nobody reads it."""
_MAX_ALTERNATIVES = 30
_MAX_DEPTH = 30
_MAX_NODES = 50_000
"""Of one schema. References and alternatives can multiply without end."""
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


class UnusableSchemaError(ValueError):
    """No class can be made from a schema. The message gives the reason."""


@dataclass(frozen=True)
class Plain:
    """`str`, `int`, `float`, `bool`, `None` or `Any`."""

    name: str


@dataclass(frozen=True)
class LiteralOf:
    """One of several values: strings, integers, booleans."""

    values: Tuple[Union[str, int, bool], ...]


@dataclass(frozen=True)
class ListOf:
    """A list."""

    item: Hint


@dataclass(frozen=True)
class DictOf:
    """An object whose keys are not known."""

    value: Hint


@dataclass(frozen=True)
class Object:
    """An object of a generated class."""

    model: ClassModel


@dataclass(frozen=True)
class UnionOf:
    """One of several types, at least two."""

    members: Tuple[Hint, ...]


Hint = Union[Plain, LiteralOf, ListOf, DictOf, Object, UnionOf]

ANY = Plain("Any")
NULL = Plain("None")


@dataclass(frozen=True)
class Property:
    """A property of a class."""

    key: str
    name: str
    hint: Hint
    required: bool
    description: str


@dataclass(eq=False)
class ClassModel:
    """A class to write."""

    name: str
    description: str = ""
    properties: List[Property] = field(default_factory=list)
    additional: Optional[Hint] = None
    """The type of the properties that the schema does not name, where it allows for them."""
    key: Optional[SchemaKey] = None
    """The schema that the class is for; None for an object inside of one."""
    is_value: bool = False
    """Whether the data is not an object: then the only property is the data itself."""
    nested: List[ClassModel] = field(default_factory=list)
    """The classes of the objects inside of a schema, in the order in which they were found."""


def classes_of(
    keys: Iterable[SchemaKey], read: Callable[[SchemaKey], Dict[str, Any]]
) -> Tuple[List[ClassModel], Dict[SchemaKey, str]]:
    """Return a class for each schema, and the reason for each schema that has none.

    The class of the latest version is named like the schema; those of earlier versions have the version in the name.
    If several vendors use the same name, the vendor is in the name.

    Args:
        keys: The schemas.
        read: Returns a schema, or raises `UnusableSchemaError`.
    """
    ordered = sorted(set(keys))
    names = _names_of(ordered)
    taken: Set[str] = set(names.values())
    classes, problems = [], {}
    for key in ordered:
        try:
            classes.append(_Reader(read(key), key, names[key], taken).read())
        except UnusableSchemaError as error:
            problems[key] = str(error)
        except RecursionError:
            problems[key] = "it is nested too deeply"
    return classes, problems


def _names_of(keys: Sequence[SchemaKey]) -> Dict[SchemaKey, str]:
    latest = {each[:3]: each for each in keys}  # sorted: the last one wins
    by_name: Dict[str, Set[Tuple[str, str]]] = {}
    for key in keys:
        by_name.setdefault(class_name(key.name), set()).add((key.vendor, key.name))
    taken: Set[str] = set()
    names = {}
    for key in sorted(keys, key=lambda each: (latest[each[:3]] != each, each)):
        name = class_name(key.name)
        if len({vendor for vendor, _ in by_name[name]}) > 1:
            name = class_name(f"{_without_domain(key.vendor)}_{key.name}")
        if latest[key[:3]] != key:
            name += "V" + "_".join(map(str, key.version))
        names[key] = unique(name, taken)
    return names


def _without_domain(vendor: str) -> str:
    return vendor.split(".", 1)[1] if "." in vendor else vendor


class _Reader:
    """Reads one schema."""

    def __init__(self, schema: Dict[str, Any], key: SchemaKey, name: str, taken: Set[str]) -> None:
        self._schema = schema
        self._taken = taken
        self._model = ClassModel(name, key=key)
        self._by_node: Dict[int, Tuple[Any, ClassModel]] = {}
        """By the identity of a node: the node, which is held so that no other gets its identity, and its class."""
        self._by_ref: Dict[str, Hint] = {}
        self._open_refs: List[str] = []
        self._nodes = 0

    def read(self) -> ClassModel:
        node = self._flat(self._schema)
        self._model.description = _text(node.get("description"))
        node = self._one_object(node)
        kinds = _kinds(node)
        if "object" in kinds or not kinds:
            self._fill(self._model, node, 0)
        else:
            hint = self._hint(node, self._model.name, 0)
            name = "items" if kinds == ["array"] else "value"
            self._model.properties = [Property("", name, hint, True, _described(node))]
            self._model.is_value = True
        return self._model

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise UnusableSchemaError("it is too large, or its references multiply")

    def _fill(self, model: ClassModel, node: Dict[str, Any], depth: int) -> None:
        properties = _dict(node, "properties")
        required = _required(node)
        # A property that is required and not described may be anything.
        properties = {**properties, **{key: {} for key in required if key not in properties}}
        model.additional = self._additional(node, model.name, depth)
        names = property_names(properties, additional=model.additional is not None)
        model.properties = [
            Property(
                key,
                names[key],
                self._hint(each, f"{model.name}_{key}", depth + 1),
                key in required,
                _described(self._flat(each)),
            )
            for key, each in properties.items()
        ]

    def _additional(self, node: Dict[str, Any], name: str, depth: int) -> Optional[Hint]:
        # A schema that names properties seldom means that there may be others, where it does not say so.
        allowed = node.get("additionalProperties", not _dict(node, "properties"))
        hints = [
            self._hint(each, f"{name}_value", depth + 1)
            for each in _dict(node, "patternProperties").values()
        ]
        if isinstance(allowed, dict):
            hints.append(self._hint(allowed, f"{name}_value", depth + 1))
        elif allowed is True:
            hints.append(ANY)
        return _union(hints) if hints else None

    def _hint(self, node: Any, name: str, depth: int) -> Hint:
        self._count()
        if not isinstance(node, dict) or depth > _MAX_DEPTH:
            return ANY
        ref = node.get("$ref")
        if isinstance(ref, str):
            if ref in self._open_refs:
                # An object that holds itself is found by `_object`; a list that holds itself has no name.
                known = self._by_node.get(id(self._target(ref)))
                return ANY if known is None else Object(known[1])
            if ref not in self._by_ref:
                self._open_refs.append(ref)
                segment = ref.rsplit("/", 1)[-1].strip("#") or "object"
                named = f"{self._model.name}_{segment}"
                self._by_ref[ref] = self._hint(self._target(ref), named, depth + 1)
                self._open_refs.pop()
            return self._by_ref[ref]
        origin, node = node, self._flat(node)
        if "enum" in node:
            literal = _literals(node)
            if literal is not None:
                return literal
        alternatives = self._alternatives(node)
        if alternatives:
            return _union([self._hint(each, name, depth + 1) for each in alternatives])
        return _union([self._of_kind(kind, node, name, depth, origin) for kind in _kinds(node)])

    def _of_kind(self, kind: str, node: Dict[str, Any], name: str, depth: int, origin: Any) -> Hint:
        if kind in _SCALARS:
            return Plain(_SCALARS[kind])
        if kind == "array":
            items = node.get("items")
            one = singular(name)
            if isinstance(items, list):
                hints = [self._hint(each, one, depth + 1) for each in items]
                if node.get("additionalItems", True) is not False:
                    hints.append(ANY)
                return ListOf(_union(hints))
            return ListOf(self._hint(items, one, depth + 1))
        if kind == "object":
            if _dict(node, "properties"):
                return Object(self._object(node, name, depth, origin))
            return DictOf(self._additional(node, name, depth) or ANY)
        return ANY

    def _object(self, node: Dict[str, Any], name: str, depth: int, origin: Any) -> ClassModel:
        if id(origin) in self._by_node:
            return self._by_node[id(origin)][1]
        model = ClassModel(unique(class_name(name), self._taken))
        model.description = _text(node.get("description"))
        self._by_node[id(origin)] = (origin, model)
        self._model.nested.append(model)
        self._fill(model, node, depth + 1)
        return model

    def _flat(self, node: Any, seen: FrozenSet[int] = frozenset()) -> Dict[str, Any]:
        """Return a node in which its reference and `allOf` are resolved."""
        self._count()
        if not isinstance(node, dict) or id(node) in seen or len(seen) > _MAX_DEPTH:
            return {}
        seen |= {id(node)}
        if isinstance(node.get("$ref"), str):
            return self._flat(self._target(node["$ref"]), seen)
        if not isinstance(node.get("allOf"), list):
            return node
        flat = {name: value for name, value in node.items() if name != "allOf"}
        for each in node["allOf"]:
            flat = _both(flat, self._flat(each, seen))
        return flat

    def _alternatives(self, node: Dict[str, Any]) -> List[Dict[str, Any]]:
        """Return the alternatives of `anyOf` or `oneOf`, each with the rest of the node, if any of them has a type."""
        for name in ("anyOf", "oneOf"):
            branches = [self._flat(each) for each in _list(node, name)]
            if 0 < len(branches) <= _MAX_ALTERNATIVES and any(map(_says_a_type, branches)):
                rest = {each: value for each, value in node.items() if each != name}
                if not _says_a_type(rest):
                    # As they are, so that an object that is referred to stays one class.
                    return [each for each in node[name] if isinstance(each, dict)]
                return [_both(branch, rest) for branch in branches]
        return []

    def _one_object(
        self, node: Dict[str, Any], seen: FrozenSet[int] = frozenset()
    ) -> Dict[str, Any]:
        """Return a node whose alternatives, all of them objects, are one object with all their properties."""
        branches = self._alternatives(node)
        if not branches or id(node) in seen or len(seen) > _MAX_DEPTH:
            return node
        seen |= {id(node)}
        branches = [self._one_object(self._flat(each), seen) for each in branches]
        if any(_kinds(each) != ["object"] for each in branches):
            return node
        properties: Dict[str, List[Any]] = {}
        for branch in branches:
            for key, each in _dict(branch, "properties").items():
                known = properties.setdefault(key, [])
                if each not in known:
                    known.append(each)
        required = [
            key
            for key in _required(branches[0])
            if all(key in _required(branch) for branch in branches)
        ]
        merged: Dict[str, Any] = {
            **{name: value for name, value in node.items() if name not in {"anyOf", "oneOf"}},
            "type": "object",
            "properties": {
                key: each[0] if len(each) == 1 else {"anyOf": each}
                for key, each in properties.items()
            },
            "required": required,
        }
        if any(branch.get("additionalProperties") is not False for branch in branches):
            merged.setdefault("additionalProperties", not properties)
        return merged

    def _target(self, ref: str) -> Any:
        """Return the node that a reference within the schema points to, or an empty one."""
        if not ref.startswith("#"):
            return {}
        node: Any = self._schema
        for step in unquote(ref[1:]).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and name in node:
                node = node[name]
            elif isinstance(node, list) and name in map(str, range(len(node))):
                node = node[int(name)]
            else:
                return {}
        return node


def _both(one: Dict[str, Any], other: Dict[str, Any]) -> Dict[str, Any]:
    """Return a node that requires what two nodes require, as far as types are concerned."""
    both = {**other, **one}
    if "properties" in one and "properties" in other:
        properties = dict(_dict(other, "properties"))
        for key, each in _dict(one, "properties").items():
            known = properties.get(key)
            if not known or known == each:
                properties[key] = each
            elif each != {}:
                properties[key] = {"allOf": [each, known]}
        both["properties"] = properties
    both["required"] = list(dict.fromkeys([*_required(other), *_required(one)]))
    kinds, others = _kinds(one), _kinds(other)
    if kinds and others:
        shared = [
            kind for kind in kinds if kind in others or (kind == "integer" and "number" in others)
        ]
        shared += [kind for kind in others if kind == "integer" and "number" in kinds]
        both["type"] = list(dict.fromkeys(shared)) or kinds
    return both


def _union(hints: List[Hint]) -> Hint:
    members: List[Hint] = []
    for hint in hints:
        for each in hint.members if isinstance(hint, UnionOf) else (hint,):
            if each == ANY:
                return ANY
            if each not in members:
                members.append(each)
    if Plain("float") in members and Plain("int") in members:
        members.remove(Plain("int"))  # a type checker accepts an int for a float
    literals = [each for each in members if isinstance(each, LiteralOf)]
    if len(literals) > 1:
        values = [value for literal in literals for value in literal.values]
        at = members.index(literals[0])
        members = [each for each in members if not isinstance(each, LiteralOf)]
        members.insert(at, LiteralOf(_distinct(values)))
    if not members:
        return ANY
    # None last, as is usual.
    members.sort(key=lambda each: each == NULL)
    return members[0] if len(members) == 1 else UnionOf(tuple(members))


def _literals(node: Dict[str, Any]) -> Optional[Hint]:
    kinds = _kinds(node) if "type" in node else []
    values: List[Union[str, int, bool]] = []
    null = False
    for value in _list(node, "enum"):
        if kinds and not any(_is_kind(value, kind) for kind in kinds):
            continue
        if value is None:
            null = True
        elif isinstance(value, (str, int)):
            values.append(value)
        else:
            return None
    if len(values) > _MAX_LITERALS:
        return None
    hints: List[Hint] = [LiteralOf(_distinct(values))] if values else []
    if null:
        hints.append(NULL)
    return _union(hints) if hints else None


def _distinct(values: Sequence[Any]) -> Tuple[Any, ...]:
    # True equals 1, and is another literal.
    return tuple({(type(each), each): each for each in values}.values())


def _is_kind(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    known: Dict[str, Any] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "array": list,
        "object": dict,
        "null": type(None),
    }
    return isinstance(value, known.get(kind, ()))


def _kinds(node: Dict[str, Any]) -> List[str]:
    kinds = node.get("type")
    if isinstance(kinds, str):
        return [kinds]
    if isinstance(kinds, list):
        return [each for each in kinds if isinstance(each, str)]
    # Without a type any value would be valid, but a schema with properties is meant for objects.
    if _dict(node, "properties"):
        return ["object"]
    return []


def _says_a_type(node: Dict[str, Any]) -> bool:
    return bool(_kinds(node)) or any(name in node for name in ("enum", "$ref", "anyOf", "oneOf"))


def _dict(node: Dict[str, Any], name: str) -> Dict[str, Any]:
    value = node.get(name)
    return value if isinstance(value, dict) else {}


def _list(node: Dict[str, Any], name: str) -> List[Any]:
    value = node.get(name)
    return value if isinstance(value, list) else []


def _required(node: Dict[str, Any]) -> List[str]:
    return [each for each in _list(node, "required") if isinstance(each, str)]


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _described(node: Dict[str, Any]) -> str:
    sentences = [_text(node.get("description"))]
    if sentences[0] and sentences[0][-1] not in ".!?:":
        sentences[0] += "."
    sentences += [f"{each[:1].upper()}{each[1:]}." for each in _limits(node)]
    return " ".join(filter(None, sentences))


def _limits(node: Dict[str, Any]) -> Iterator[str]:
    if isinstance(node.get("format"), str):
        yield f"format {node['format']}"
    if isinstance(node.get("pattern"), str):
        yield f"pattern {node['pattern']}"
    for least, most, one, many in (
        ("minLength", "maxLength", " character", " characters"),
        ("minimum", "maximum", "", ""),
        ("minItems", "maxItems", " item", " items"),
        ("minProperties", "maxProperties", " property", " properties"),
    ):
        low, high = (_number(node.get(each)) for each in (least, most))
        if least == "minimum":
            low = f"above {low}" if low and node.get("exclusiveMinimum") is True else low
            high = f"below {high}" if high and node.get("exclusiveMaximum") is True else high
        units = one if (high or low) == "1" else many
        if low and low == high:
            yield f"exactly {low}{units}"
        elif low and high:
            yield f"{low} to {high}{units}"
        elif low:
            yield f"{low}" if low.startswith("above") else f"at least {low}{units}"
        elif high:
            yield f"{high}" if high.startswith("below") else f"at most {high}{units}"
    if _number(node.get("multipleOf")):
        yield f"a multiple of {_number(node['multipleOf'])}"
    if node.get("uniqueItems") is True:
        yield "all items are different"
    if len(_list(node, "enum")) > _MAX_LITERALS:
        yield f"one of {len(node['enum'])} values"
    if "default" in node:
        yield f"default: {json.dumps(node['default'])[:60]}"


def _number(value: Any) -> str:
    return "" if isinstance(value, bool) or not isinstance(value, (int, float)) else f"{value}"
