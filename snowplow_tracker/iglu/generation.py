"""Generates a module of typed classes from schemas."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from snowplow_tracker.iglu._generator.model import ClassModel, UnusableSchemaError, classes_of
from snowplow_tracker.iglu._generator.render import module_text
from snowplow_tracker.iglu.resolver import Resolver, SchemaNotFoundError
from snowplow_tracker.iglu.schema_key import SchemaKey

__all__ = ["Generated", "generate", "specifications_from"]

_OF_SPECIFICATIONS = {"id": str, "name": str, "version": int, "tracking_plan": dict}
_OF_PLANS = ("id", "name", "domain")


class Generated(NamedTuple):
    """A generated module, and the schemas without a class."""

    text: str
    classes: List[ClassModel]
    problems: List[Tuple[SchemaKey, str]]
    """The schemas without a class, with the reason."""


def generate(
    resolver: Resolver,
    keys: Sequence[SchemaKey],
    *,
    events: Sequence[str] = (),
    entities: Sequence[str] = (),
    specifications: Mapping[str, Any] = {},
) -> Generated:
    """Return a module with a class for each schema. The same schemas always give the same code.

    Args:
        resolver: Finds the schemas.
        keys: The schemas.
        events: Patterns of `vendor/name`, or of `name`: these schemas are for events only.
        entities: The same for entities only. All other schemas are for both.
        specifications: Event specifications as `specifications_from` returns them.

    Raises:
        SchemaNotFoundError: A schema was not found. One that is there and cannot be read is among the problems.
        ValueError: A specification is of a class that there is not, or that is an entity; or a pattern matches none of
            the schemas.
    """
    for kind, patterns in (("events", events), ("entities", entities)):
        for pattern in patterns:
            if not any(_is_like(key, pattern) for key in keys):
                raise ValueError(f"no schema is like {pattern!r}, which names {kind}")
    listed = set(resolver.keys())

    def read(key: SchemaKey) -> Dict[str, Any]:
        try:
            return resolver.resolve(key)
        except SchemaNotFoundError as error:
            # A registry that cannot be reached must not remove classes from the module; a broken file is one schema.
            if key not in listed:
                raise
            raise UnusableSchemaError(str(error).replace(str(key), "it", 1)) from error

    classes, problems = classes_of(keys, read)
    bases = {model.name: _base(model.key, events, entities) for model in classes if model.key}
    by_name: Dict[str, Dict[str, object]] = {}
    for name, specification in specifications.items():
        model = next(
            (each for each in classes if name == each.name or (each.key and name == each.key.uri)),
            None,
        )
        if model is None:
            reasons = [f"{key} has no class, since {reason}" for key, reason in problems.items()]
            raise ValueError(
                "; ".join([f"there is no class {name!r} for its event specification", *reasons])
            )
        if bases[model.name] == "TypedEntity":
            raise ValueError(f"{name!r} is an entity, which has no event specification")
        by_name[model.name] = specification
    return Generated(module_text(classes, bases, by_name), classes, sorted(problems.items()))


def specifications_from(value: Any) -> Dict[str, Dict[str, object]]:
    """Return the event specifications of a file, as arguments of `event_specification`.

    Args:
        value: The file: an object whose keys are class names or URIs of schemas, and whose values have
            `id`, and optionally `name`, `version` and `tracking_plan` (with `id`, `name` and `domain`).

    Raises:
        ValueError: The file has another form.
    """
    if not isinstance(value, dict):
        raise ValueError("the event specifications are not an object")
    found = {}
    for name, each in value.items():
        if not isinstance(each, dict):
            raise ValueError(f"the event specification of {name!r} is not an object")
        unknown = sorted(set(each) - set(_OF_SPECIFICATIONS))
        if unknown:
            raise ValueError(f"the event specification of {name!r} has an unknown {unknown[0]!r}")
        for key, kind in _OF_SPECIFICATIONS.items():
            given = each.get(key)
            if given is None and key != "id":
                continue
            if not isinstance(given, kind) or isinstance(given, bool) or given == "":
                raise ValueError(
                    f"{key!r} of the event specification of {name!r} is {given!r}, not {kind.__name__}"
                )
        plan = each.get("tracking_plan") or {}
        for key, given in plan.items():
            if key not in _OF_PLANS or not isinstance(given, str):
                raise ValueError(
                    f"the tracking plan of {name!r} has {key!r}: {given!r};"
                    f" it can have {', '.join(_OF_PLANS)}, all strings"
                )
        arguments = {
            key: each[key] for key in ("id", "name", "version") if each.get(key) is not None
        }
        arguments.update({f"data_product_{key}": plan[key] for key in _OF_PLANS if plan.get(key)})
        found[name] = arguments
    return found


def _is_like(key: SchemaKey, pattern: str) -> bool:
    return fnmatchcase(f"{key.vendor}/{key.name}", pattern) or fnmatchcase(key.name, pattern)


def _base(key: SchemaKey, events: Sequence[str], entities: Sequence[str]) -> str:
    is_event, is_entity = (
        any(_is_like(key, each) for each in patterns) for patterns in (events, entities)
    )
    if is_event == is_entity:
        return "TypedEventOrEntity"
    return "TypedEvent" if is_event else "TypedEntity"
