"""The code of the module.

All text of a schema goes through `_quoted` or `_prose`, and all its names through `names`: a schema cannot inject code.
"""

from __future__ import annotations

import re
import textwrap
from typing import Iterable, Iterator, List, Mapping, Optional, Sequence, Set

from snowplow_tracker.iglu._generator.model import (
    ANY,
    NULL,
    ClassModel,
    DictOf,
    Hint,
    ListOf,
    LiteralOf,
    Object,
    Plain,
    Property,
    UnionOf,
)
from snowplow_tracker.iglu._generator.names import unique

_WIDTH = 88
_INDENT = "    "
# These characters are written as escapes: they do not print, or change how the text around them is shown. They are
# listed here, since `str.isprintable` depends on the version of Python.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\xa0\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164"
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
)
_HEAD = '''\
"""Events and entities, generated from their schemas: change those, not this.

Written by `python -m snowplow_tracker generate`.
"""

# fmt: off
from __future__ import annotations

'''

Specification = Mapping[str, object]
"""The arguments of `event_specification`, as they are written."""


def module_text(
    classes: Sequence[ClassModel],
    bases: Mapping[str, str],
    specifications: Mapping[str, Specification],
) -> str:
    """Return the module. The names of the base classes, and event specifications, are found by the names of classes."""
    writer = _Writer()
    blocks: List[str] = []
    for model in classes:
        blocks.extend(map(writer.nested, model.nested))
        blocks.append(writer.top_level(model, bases[model.name], specifications.get(model.name)))
    names = [each.name for model in classes for each in (*model.nested, model)]
    return _HEAD + writer.imports() + _all(names) + "".join(f"\n\n{block}" for block in blocks)


def _all(names: Sequence[str]) -> str:
    # The order that linters want: what looks like a constant first, and 10 after 9.
    ordered = sorted(
        names,
        key=lambda name: (
            not name.isupper(),
            [int(part) if re.match("[0-9]", part) else part for part in re.split("([0-9]+)", name)],
        ),
    )
    return (
        "\n__all__ = [\n" + "".join(f'    "{name}",\n' for name in ordered) + "]\n" if names else ""
    )


class _Writer:
    def __init__(self) -> None:
        self._typing: Set[str] = set()
        self._typed: Set[str] = set()
        self._aliases: Set[str] = set()
        self._events = False
        self._contexts = False

    def imports(self) -> str:
        lines = []
        if self._typing:
            lines.append(f"from typing import {', '.join(sorted(self._typing))}\n\n")
        lines.append(_import("snowplow_tracker.iglu.typed", self._typed))
        if self._events or self._contexts:
            lines.append("from snowplow_tracker.self_describing_json import SelfDescribingJson\n")
        if self._events:
            lines.append("from snowplow_tracker.subject import Subject\n")
            lines.append("from snowplow_tracker.typing import Timestamp\n")
        return "".join(lines) if self._typed else ""

    def nested(self, model: ClassModel) -> str:
        return self._class(model, "TypedData", [])

    def top_level(
        self, model: ClassModel, base: str, specification: Optional[Specification]
    ) -> str:
        assert model.key is not None  # noqa: S101 - only nested classes have none
        self._typing.add("ClassVar")
        lines = [f"SCHEMA: ClassVar[str] = {_quoted(model.key.uri)}"]
        if specification is not None:
            base = "SpecifiedEvent"
            self._typed.add("event_specification")
            self._contexts = True
            lines.append("SPECIFICATION: ClassVar[SelfDescribingJson] = event_specification(")
            lines += [
                f"{_INDENT}{name}={_literal(value)}," for name, value in specification.items()
            ]
            lines.append(")")
        return self._class(model, base, lines)

    def _class(self, model: ClassModel, base: str, constants: List[str]) -> str:
        self._typed.add(base)
        is_event = base not in {"TypedData", "TypedEntity"}
        before: List[str] = []
        parameters = list(self._parameters(model, before))
        body = [
            *_docstring(model, is_event=is_event),
            *(["", *constants] if constants else []),
            "",
            *self._constructor(model, parameters, is_event=is_event),
            "",
            *self._to_data(model),
        ]
        lines = [f"class {model.name}({base}):", *_indented(body)]
        aliases = "".join(f"{line}\n" for line in before)
        return (f"{aliases}\n\n" if aliases else "") + "\n".join(lines) + "\n"

    def _parameters(self, model: ClassModel, before: List[str]) -> Iterator[str]:
        for each in _ordered(model):
            hint, default = each.hint, ""
            if not each.required:
                hint, default = _optional(hint), " = None"
            line = f"{each.name}: {self._written(hint)}{default},"
            if len(line) + 2 * len(_INDENT) > _WIDTH:
                hint = self._named(model, each, hint, before)
                line = f"{each.name}: {self._written(hint)}{default},"
            yield line
        if model.additional is not None:
            hint = _optional(DictOf(model.additional))
            yield f"additional: {self._written(hint)} = None,"

    def _constructor(
        self, model: ClassModel, parameters: List[str], *, is_event: bool
    ) -> List[str]:
        body = [f"self.{each.name} = {each.name}" for each in model.properties]
        if model.additional is not None:
            body.append("self.additional = additional")
        if is_event:
            self._events = True
            parameters = [
                *parameters,
                "event_subject: Subject | None = None,",
                "context: list[SelfDescribingJson] | None = None,",
                "true_timestamp: Timestamp = None,",
            ]
            body.insert(0, "super().__init__(event_subject, context, true_timestamp)")
        signature = ["def __init__(self) -> None:"]
        if parameters:
            signature = ["def __init__(", *_indented(["self,", "*,", *parameters]), ") -> None:"]
        return [*signature, *_indented(body or ["pass"])]

    def _to_data(self, model: ClassModel) -> List[str]:
        if model.is_value:
            (only,) = model.properties
            result = self._written(ANY if _holds_objects(only.hint) else only.hint)
            value = self._converted(only.hint, f"self.{only.name}")
            return [f"def to_data(self) -> {result}:", f"{_INDENT}return {value}"]
        self._typing.add("Any")
        always, sometimes = [], []
        if model.additional is not None:
            always.append(f"**({self._converted(model.additional, 'self.additional or {}')}),")
        for each in model.properties:
            value = self._converted(each.hint, f"self.{each.name}")
            if each.required:
                always.append(f"{_quoted(each.key)}: {value},")
            else:
                sometimes.append(f"if self.{each.name} is not None:")
                sometimes.append(f"{_INDENT}data[{_quoted(each.key)}] = {value}")
        if always:
            body = ["data: dict[str, Any] = {", *_indented(always), "}", *sometimes, "return data"]
        elif sometimes:
            body = ["data: dict[str, Any] = {}", *sometimes, "return data"]
        else:
            body = ["return {}"]
        return ["def to_data(self) -> dict[str, Any]:", *_indented(body)]

    def _converted(self, hint: Hint, value: str) -> str:
        if not _holds_objects(hint):
            return value
        self._typed.add("plain")
        return f"plain({value})"

    def _written(self, hint: Hint) -> str:
        """Return an annotation."""
        if isinstance(hint, Plain):
            if hint == ANY:
                self._typing.add("Any")
            return hint.name
        if isinstance(hint, LiteralOf):
            self._typing.add("Literal")
            return f"Literal[{', '.join(map(_literal, hint.values))}]"
        if isinstance(hint, ListOf):
            return f"list[{self._written(hint.item)}]"
        if isinstance(hint, DictOf):
            return f"dict[str, {self._written(hint.value)}]"
        if isinstance(hint, Object):
            return hint.model.name
        return " | ".join(map(self._written, hint.members))

    def _named(self, model: ClassModel, each: Property, hint: Hint, before: List[str]) -> Hint:
        """Return a type whose long `Literal` has a name of its own, which is defined before the class."""
        if isinstance(hint, ListOf):
            return ListOf(self._named(model, each, hint.item, before))
        if isinstance(hint, UnionOf):
            return UnionOf(tuple(self._named(model, each, it, before) for it in hint.members))
        if not isinstance(hint, LiteralOf):
            return hint
        words = "".join(word[:1].upper() + word[1:] for word in each.name.split("_"))
        # The underscore keeps it apart from the names of all classes.
        name = unique(f"_{model.name}_{words}", self._aliases, join="_")
        self._typing.add("Literal")
        before.append(f"{name} = Literal[")
        before.extend(f"{_INDENT}{_literal(value)}," for value in hint.values)
        before.append("]")
        return Plain(name)


def _ordered(model: ClassModel) -> List[Property]:
    """Return the properties, the required ones first."""
    return sorted(model.properties, key=lambda each: not each.required)


def _docstring(model: ClassModel, *, is_event: bool) -> List[str]:
    summary = model.description or f"Data of {model.key.name if model.key else model.name}"
    if summary[-1] not in ".!?:":
        summary += "."
    lines = _filled(summary, '"""', indent="")
    if model.key is not None:
        lines += ["", f"Schema: `{model.key.uri}`"]
    arguments: List[str] = []
    if is_event or model.additional is not None or any(it.description for it in model.properties):
        arguments += [
            f"{it.name}: {it.description or f'`{it.key}` of the schema.'}" for it in _ordered(model)
        ]
        if model.additional is not None:
            arguments.append("additional: Properties that the schema does not name, by their keys.")
        lines += ["", "Args:"]
    for each in arguments:
        lines += _filled(each, _INDENT, indent=_INDENT * 2)
    if is_event:
        lines += _indented(
            [
                "event_subject: Its subject, which takes precedence over the tracker's.",
                "context: The entities of the event.",
                "true_timestamp: When it happened, if not now.",
            ]
        )
    return [f'{lines[0]}"""'] if len(lines) == 1 else [*lines, '"""']


def _filled(text: str, first: str, indent: str) -> List[str]:
    """Return text in lines for the body of a class: the first begins with `first`, the others with `indent`."""
    # Wrapped before it is escaped, so that no escape is cut in two.
    wrapped = textwrap.wrap(
        text,
        _WIDTH - len(_INDENT),
        initial_indent=first.replace('"', "#"),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first]
    return [f"{first}{_prose(wrapped[0][len(first) :])}", *(_prose(line) for line in wrapped[1:])]


def _indented(lines: Iterable[str]) -> List[str]:
    return [f"{_INDENT}{line}" if line else "" for line in lines]


def _prose(text: str) -> str:
    """Return text as it can stand in a docstring; what is hidden is shown there as its escape."""
    return _HIDDEN.sub(_escape, text).replace("\\", "\\\\").replace('"', "'")


def _quoted(text: str) -> str:
    """Return a string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_HIDDEN.sub(_escape, escaped)}"'


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _literal(value: object) -> str:
    return _quoted(value) if isinstance(value, str) else repr(value)


def _optional(hint: Hint) -> Hint:
    if hint in {ANY, NULL}:
        return hint
    members = hint.members if isinstance(hint, UnionOf) else (hint,)
    return hint if NULL in members else UnionOf((*members, NULL))


def _holds_objects(hint: Hint) -> bool:
    if isinstance(hint, ListOf):
        return _holds_objects(hint.item)
    if isinstance(hint, DictOf):
        return _holds_objects(hint.value)
    if isinstance(hint, UnionOf):
        return any(map(_holds_objects, hint.members))
    return isinstance(hint, Object)


def _import(module: str, names: Set[str]) -> str:
    # Classes before functions, as isort has it.
    ordered = sorted(names, key=lambda name: (not name[0].isupper(), name))
    line = f"from {module} import {', '.join(ordered)}\n"
    if len(line) <= _WIDTH + 1:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in ordered) + ")\n"
