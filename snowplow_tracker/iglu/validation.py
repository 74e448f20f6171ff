r"""Validates self-describing data against its schema, and whole events.

Iglu uses JSON Schema draft 4. Where the validator of the pipeline differs from the library `jsonschema`, this module
follows the pipeline:

- the formats that draft 4 and the pipeline define are checked; unknown ones are not;
- `pattern` is a Java expression that may match anywhere in the string, and whose classes (`\d`, `\w`) are ASCII;
- `multipleOf` is decimal: 19.99 is a multiple of 0.01;
- `$ref` refers to a part of the schema, to the schema of draft 4, or to one in a registry. Nothing else is fetched.
"""

from __future__ import annotations

import json
import logging
import re
import warnings
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from importlib import import_module
from ipaddress import IPv4Address, IPv6Address
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
    Tuple,
)

from snowplow_tracker._delivery import unreported
from snowplow_tracker.iglu.resolver import Resolver, SchemaNotFoundError
from snowplow_tracker.iglu.schema_key import SchemaKey

__all__ = ["Problem", "SchemaExtraMissingError", "validate_event", "validate_self_describing"]

logger: logging.Logger = logging.getLogger("snowplow_tracker.iglu")

_SHOWN = 60
"""Maximum number of characters of a value in a message."""
_MAX_PROBLEMS = 50
"""Maximum number of problems of one self-describing JSON: hostile data could cause millions."""


class SchemaExtraMissingError(ImportError):
    """The library `jsonschema`, which validation needs, is not installed."""


class Problem(NamedTuple):
    """One problem that the pipeline would find."""

    path: str
    """The JSON path in the data, such as `$.items[2].sku`, or the name of a parameter."""
    message: str
    """The description, without the path."""
    found: Any = None
    """The invalid value, if there is one."""
    expected: Any = None
    """The value of the violated keyword in the schema."""
    schema: str = ""
    """The URI of the schema."""
    where: str = ""
    """The invalid part of an event: `event`, `context[1]` or `parameters`."""
    is_missing: bool = False
    """Whether the problem is that the schema was not found."""

    def __str__(self) -> str:
        place = f"{self.where} at {self.path}" if self.where else self.path
        return f"{place}: {self.message}" + (f" ({self.schema})" if self.schema else "")


def validate_self_describing(value: Any, resolver: Resolver) -> List[Problem]:
    """Return the problems of self-describing JSON; an empty list if it is valid.

    Args:
        value: A dictionary of `schema` and `data` in the form of JSON, or a `SelfDescribingJson`.
        resolver: Finds the schemas.

    Raises:
        SchemaExtraMissingError: The extra `schemas` is not installed.
    """
    to_json = getattr(value, "to_json", None)
    if callable(to_json):
        value = to_json()
    if not isinstance(value, dict):
        return [Problem("$", f"must be an object of schema and data, not {_shown(value)}", value)]
    problems = [
        Problem(f"$.{name}", f"{name} is missing", expected=name)
        for name in ("schema", "data")
        if name not in value
    ]
    problems += [
        Problem(_step("$", str(name)), "only schema and data belong here", value[name])
        for name in value
        if name not in {"schema", "data"}
    ]
    if problems:
        return problems
    uri = value["schema"]
    try:
        key = SchemaKey.parse(uri)
    except ValueError as error:
        return [Problem("$.schema", str(error), uri, "iglu:vendor/name/jsonschema/1-0-0")]
    try:
        validator = _validator_for(key, resolver)
    except SchemaNotFoundError as error:
        return [Problem("$", str(error), schema=uri, is_missing=True)]
    except _UnusableSchemaError as error:
        return [Problem("$", f"the schema itself is not valid: {error}", schema=uri)]
    return _problems(validator, value["data"], uri)


def validate_event(parameters: Mapping[str, Any], resolver: Optional[Resolver]) -> List[Problem]:
    """Return the problems of an event; an empty list if the pipeline would accept it.

    Args:
        parameters: The parameters of the tracker protocol, in the form in which they are sent.
        resolver: Finds the schemas, or `None` to check only the rules of the protocol.

    Raises:
        SchemaExtraMissingError: A resolver is given, the event has self-describing data, and the
            extra `schemas` is not installed.
    """
    from snowplow_tracker.testing._decoding import decode_parts
    from snowplow_tracker.testing._rules import field_problems, payload_problems

    problems = [
        Problem(sentence.split(" ", 1)[0].strip("'"), sentence, where="parameters")
        for sentence in (*payload_problems(parameters), *field_problems(parameters))
    ]
    if resolver is None:
        return problems
    # What cannot be decoded has been reported by the rules above.
    return problems + validate_parts(*decode_parts(parameters), resolver)


def validate_parts(event: Any, entities: Sequence[Any], resolver: Resolver) -> List[Problem]:
    """Return the problems of the self-describing JSON of an event, if it has one, and of its entities."""
    parts = [] if event is None else [("event", event)]
    parts += [(f"context[{number}]", entity) for number, entity in enumerate(entities)]
    return [
        problem._replace(where=where)
        for where, part in parts
        for problem in validate_self_describing(part, resolver)
    ]


def load_extra() -> Tuple[Any, Any]:
    """Return the modules `jsonschema` and `referencing`.

    Raises:
        SchemaExtraMissingError: They are not installed.
    """
    try:
        # By name, since the package is type-checked with and without them.
        import_module("referencing.jsonschema")
        return import_module("jsonschema"), import_module("referencing")
    except ImportError as error:
        raise SchemaExtraMissingError(
            'Validating against schemas needs jsonschema: pip install "snowplow-tracker[schemas]"'
        ) from error


class _UnusableSchemaError(Exception):
    """A schema is itself invalid."""


def _validator_for(key: SchemaKey, resolver: Resolver) -> Any:
    validator = resolver.compiled.get(key)
    if validator is None:
        schema = resolver.resolve(key)
        validator = resolver.compiled[key] = _compiled(schema, resolver)
    if isinstance(validator, _UnusableSchemaError):
        raise validator
    return validator


def _compiled(schema: Dict[str, Any], resolver: Resolver) -> Any:
    jsonschema, referencing = load_extra()

    def referred(uri: str) -> Any:
        match = re.fullmatch(r"(?:https?://iglucentral\.com/schemas/|iglu:)(.+?)/?#?", uri)
        try:
            found = resolver.resolve(f"iglu:{match[1]}" if match else uri)
        except (ValueError, SchemaNotFoundError) as error:
            raise referencing.exceptions.NoSuchResource(ref=uri) from error
        return referencing.jsonschema.DRAFT4.create_resource(found)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Without formats, since a pattern of Java may be invalid in Python.
            no_formats = jsonschema.FormatChecker(formats=())
            jsonschema.Draft4Validator.check_schema(schema, format_checker=no_formats)
    except (jsonschema.SchemaError, RecursionError) as error:
        path = _json_path(getattr(error, "absolute_path", ()))
        return _UnusableSchemaError(f"{path}: {getattr(error, 'message', error)}"[:300])
    known = referencing.jsonschema.DRAFT4.create_resource(jsonschema.Draft4Validator.META_SCHEMA)
    registry = referencing.Registry(retrieve=referred).with_resource(
        "http://json-schema.org/draft-04/schema", known
    )
    draft4_of_iglu = jsonschema.validators.extend(
        jsonschema.Draft4Validator,
        {
            "format": _check_format,
            "pattern": _check_pattern,
            "patternProperties": _check_pattern_properties,
            "additionalProperties": _check_additional_properties,
            "multipleOf": _check_multiple,
            "required": _check_required,
        },
    )
    # Without `id` and `$schema` a schema cannot change how its `$ref` is resolved.
    own = {name: value for name, value in schema.items() if name not in {"id", "$schema"}}
    return draft4_of_iglu(own, registry=registry)


def _problems(validator: Any, data: Any, uri: str) -> List[Problem]:
    _, referencing = load_extra()
    problems: List[Problem] = []
    try:
        for error in validator.iter_errors(data):
            problems.append(_problem(error, uri))
            if len(problems) == _MAX_PROBLEMS:
                break
    except ValueError:
        # The library formats the value, which Python refuses for thousands of digits.
        problems.append(
            Problem("$", "it has a number of too many digits to be checked", schema=uri)
        )
    except RecursionError:
        problems.append(Problem("$", "the data is nested too deeply to be checked", schema=uri))
    except referencing.exceptions.Unresolvable as error:
        ref = getattr(error, "ref", error)
        problems.append(
            Problem("$", f"the schema refers to {ref!r}, which was not found", schema=uri)
        )
    return sorted(problems, key=lambda problem: (problem.path, problem.message))


def _problem(error: Any, uri: str) -> Problem:
    keyword, wanted, found = error.validator, error.validator_value, error.instance
    path = _json_path(error.absolute_path)
    if keyword == "required":
        missing = error.message
        return Problem(_step(path, missing), f"{missing} is missing", None, wanted, uri)
    if keyword == "additionalProperties" and error.cause is None and wanted is False:
        extra = error.message
        allowed = sorted(error.schema.get("properties") or ())
        hint = f"; the schema knows {', '.join(allowed[:20])}" if allowed else ""
        return Problem(
            _step(path, extra), f"the schema has no such property{hint}", found[extra], allowed, uri
        )
    if keyword in {"anyOf", "oneOf"} and error.context:
        closest = _closest(error.context)
        inner = _problem(closest, uri)
        return inner._replace(
            message=f"{inner.message} (the closest of {len(wanted)} alternatives)"
        )
    words = _words(str(keyword), wanted, found)
    message = f"{words}, not {_shown(found)}" if words else str(error.message)[:300]
    return Problem(path, message, found, wanted, uri)


def _closest(errors: List[Any]) -> Any:
    """Return the error of the alternative that the data most likely was meant for."""
    by_alternative: Dict[Any, List[Any]] = {}
    for error in errors:
        by_alternative.setdefault(error.schema_path[0], []).append(error)

    def distance(errors: List[Any]) -> Any:
        # A wrong type, or a wrong value that distinguishes the alternatives, is a large difference, most at the top.
        other = [len(each.path) for each in errors if each.validator in {"type", "enum"}]
        return (bool(other), -min(other, default=0), len(errors))

    return min(by_alternative.values(), key=distance)[0]


_WORDS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "multipleOf": "must be a multiple of {}",
    "uniqueItems": "must not have an item twice",
    "pattern": "must match {}",
    "format": "must be of the format {}",
    "not": "must not match what the schema excludes",
    "anyOf": "must match one of the alternatives",
    "oneOf": "must match exactly one of the alternatives",
}
_UNITS = {
    "Length": ("character", "characters"),
    "Items": ("item", "items"),
    "Properties": ("property", "properties"),
}


def _words(keyword: str, wanted: Any, found: Any) -> str:
    """Return what a keyword of a schema wants, or nothing for an unknown keyword."""
    if keyword == "type":
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        return f"must be {' or '.join(_with_article(str(name)) for name in names)}"
    if keyword == "enum":
        more = f" and {len(wanted) - 10} more" if len(wanted) > 10 else ""
        return f"must be one of {', '.join(map(_shown, wanted[:10]))}{more}"
    one, many = _UNITS.get(keyword[3:], ("", ""))
    if one:
        limit = "at most" if keyword[:3] == "max" else "at least"
        return f"must have {limit} {wanted} {one if wanted == 1 else many} (it has {len(found)})"
    return _WORDS.get(keyword, "").format(wanted)


def _with_article(name: str) -> str:
    return name if name == "null" else f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=True, default=str)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _json_path(steps: Any) -> str:
    path = "$"
    for step in steps:
        path = f"{path}[{step}]" if isinstance(step, int) else _step(path, str(step))
    return path


def _step(path: str, name: str) -> str:
    return f"{path}.{name}" if name.isidentifier() else f"{path}[{json.dumps(name)}]"


# What the keywords mean.


def _check_format(_validator: Any, wanted: Any, value: Any, _schema: Any) -> Iterator[Any]:
    check = _FORMATS.get(wanted) if isinstance(wanted, str) else None
    if check is not None and isinstance(value, str) and not check(value):
        yield _error("format")


def _check_pattern(validator: Any, pattern: Any, value: Any, _schema: Any) -> Iterator[Any]:
    if validator.is_type(value, "string"):
        expression = _expression(pattern)
        if expression is not None and not expression.search(value):
            yield _error("pattern")


def _check_pattern_properties(
    validator: Any, patterns: Any, value: Any, _schema: Any
) -> Iterator[Any]:
    if validator.is_type(value, "object"):
        for pattern, schema in patterns.items():
            expression = _expression(pattern)
            for name, each in value.items():
                if expression is not None and expression.search(name):
                    yield from validator.descend(each, schema, path=name, schema_path=pattern)


def _check_additional_properties(
    validator: Any, allowed: Any, value: Any, schema: Any
) -> Iterator[Any]:
    if not validator.is_type(value, "object"):
        return
    expressions = [_expression(pattern) for pattern in schema.get("patternProperties", ())]
    known = schema.get("properties", {})
    for name, each in value.items():
        # A pattern that Python cannot read might match.
        if name in known or any(it is None or it.search(name) for it in expressions):
            continue
        if isinstance(allowed, dict):
            yield from validator.descend(each, allowed, path=name)
        elif allowed is False:
            yield _error(name)


def _check_required(validator: Any, wanted: Any, value: Any, _schema: Any) -> Iterator[Any]:
    if validator.is_type(value, "object"):
        for name in wanted:
            if name not in value:
                yield _error(name)  # only the name: `_problem` creates the message


def _check_multiple(validator: Any, divisor: Any, value: Any, _schema: Any) -> Iterator[Any]:
    if validator.is_type(value, "number"):
        try:
            # The written digits, since 0.01 has no exact binary form.
            if isinstance(value, int) and isinstance(divisor, int):
                exact = value % divisor == 0
            else:
                exact = _decimal(value) % _decimal(divisor) == 0
        except (ValueError, OverflowError, ZeroDivisionError, InvalidOperation):
            exact = False
        if not exact:
            yield _error("multipleOf")


def _decimal(number: Any) -> Fraction:
    return Fraction(number if isinstance(number, int) else Decimal(repr(number)))


def _error(message: str) -> Any:
    jsonschema, _ = load_extra()
    return jsonschema.ValidationError(message)


_JAVA_CLASSES = {
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Upper": "A-Z",
    "Lower": "a-z",
    "XDigit": "0-9a-fA-F",
    "Space": r" \t\n\x0b\f\r",
    "Punct": r"!-/:-@\[-`{-~",
}


@lru_cache(maxsize=10_000)
def _expression(pattern: str) -> Optional[re.Pattern[str]]:
    """Return a Java expression in Python's syntax, or `None`, with a warning, if there is none."""
    try:
        with warnings.catch_warnings():
            # "Possible nested set": classes that differ in Java are reported below.
            warnings.simplefilter("error", FutureWarning)
            return re.compile(_as_python(pattern), re.ASCII)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        unreported.warn(
            "The pattern %r is not checked: Python cannot read it (%s)", pattern, error, to=logger
        )
        return None


def _as_python(pattern: str) -> str:
    in_class = False
    parts = []
    for piece in re.findall(r"\\[pP]\{\w+\}|\\.|\(\?<(?![=!])|.", pattern, re.DOTALL):
        part = piece
        if piece == "[":
            if in_class:
                part = r"[["  # a union of classes in Java: `re.compile` warns of it
            in_class = True
        elif piece == "]":
            in_class = False
        elif piece[:2] in {r"\p", r"\P"} and len(piece) > 2:
            members = _JAVA_CLASSES.get(piece[3:-1])
            if members is None or (in_class and piece[1] == "P"):
                raise re.error(f"unknown class {piece}")
            part = members if in_class else f"[{'^' if piece[1] == 'P' else ''}{members}]"
        elif piece == r"\z":
            part = r"\Z"
        elif piece == r"\Z":
            part = r"(?=\n?\Z)"
        elif piece == r"\/":
            part = "/"
        elif piece == "(?<":
            part = "(?P<"
        parts.append(part)
    return "".join(parts)


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}")
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-]([0-9]{2}):?([0-9]{2}))"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?")
_EMAIL = re.compile(r"[^\s@\"(),:;<>\[\\\]]+@[^\s@]+", re.ASCII)
_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:[^\s]*|//[^\s]*", re.ASCII)


def _is_date_time(text: str) -> bool:
    match = _DATE_TIME.fullmatch(text)
    if match is None or int(match[3] or 0) > 23 or int(match[4] or 0) > 59:
        return False
    # A leap second is a time.
    text = f"{match[1]} {re.sub(':60$', ':59', match[2])}"
    return _parses(datetime.strptime, text, "%Y-%m-%d %H:%M:%S")


def _parses(parser: Callable[..., object], *arguments: str) -> bool:
    try:
        parser(*arguments)
    except ValueError:
        return False
    return True


_FORMATS: Dict[str, Callable[[str], bool]] = {
    "date-time": _is_date_time,
    "date": lambda text: (
        bool(_DATE.fullmatch(text)) and _parses(datetime.strptime, text, "%Y-%m-%d")
    ),
    "time": lambda text: bool(_TIME.fullmatch(text)),
    "email": lambda text: bool(_EMAIL.fullmatch(text)),
    "hostname": lambda text: bool(_HOSTNAME.fullmatch(text)),
    "ipv4": lambda text: _parses(IPv4Address, text),
    "ipv6": lambda text: "%" not in text and _parses(IPv6Address, text),
    "uri": lambda text: bool(_URI.fullmatch(text)),
    "uuid": lambda text: bool(_UUID.fullmatch(text)),
}
