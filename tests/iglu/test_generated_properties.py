"""Whatever a schema is, its class takes the data that is valid and names the property of data that is not."""

from __future__ import annotations

import itertools
import json
from typing import Any, Dict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snowplow_tracker import Tracker
from snowplow_tracker.iglu import Resolver
from snowplow_tracker.iglu.generation import generate
from snowplow_tracker.testing import RecordingEmitter
from support.iglu import built, imported
from support.repetitions import repetitions

jsonschema = pytest.importorskip("jsonschema")

_SOME = settings(
    max_examples=repetitions(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_NUMBERS = itertools.count()
_keys = st.sampled_from(
    [
        *("size", "aB", "aB2", "a_b", "a-b", "list", "dict", "str", "None", "Any", "self", "data"),
        *("", "class", "plain", "größe", "\ufb01", "fi", "名前", "new\nline", 'quo"te', "to_data"),
    ]
)
_strings = st.sampled_from(
    ["auto", "None", "a | None", "a]", "b, c", "Any", "", "back\\", 'quo"te', "\u202e", "x" * 50]
)
_scalars = st.none() | st.booleans() | st.integers(-2, 2) | _strings
_types = st.sampled_from(["string", "integer", "number", "boolean", "null"])
_plain_schemas = (
    _types.map(lambda kind: {"type": kind})
    | st.lists(_types, min_size=1, max_size=3, unique=True).map(lambda kinds: {"type": kinds})
    | st.lists(_scalars, min_size=1, max_size=3, unique_by=json.dumps).map(lambda v: {"enum": v})
    | st.just({})
)


def _object(properties: Dict[str, Any], are_required: bool, is_open: Any) -> Dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        **({"required": sorted(properties)} if are_required and properties else {}),
        "additionalProperties": is_open,
    }


_schemas = st.recursive(
    _plain_schemas,
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda items: {"type": ["array", "null"], "items": items}, inner)
        | st.builds(
            lambda name, several: {name: several},
            st.sampled_from(["anyOf", "oneOf"]),
            st.lists(inner, min_size=1, max_size=3),
        )
        | st.builds(_object, st.dictionaries(_keys, inner, max_size=3), st.booleans(), inner)
    ),
    max_leaves=5,
)
_events = st.builds(
    _object, st.dictionaries(_keys, _schemas, max_size=4), st.booleans(), st.booleans()
)
_instances = st.recursive(
    _scalars | st.just(1.5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_keys, inner, max_size=2),
    max_leaves=4,
)


def _valid(schema: Dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values for a schema, most of them valid."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    for name in ("anyOf", "oneOf"):
        if name in schema:
            return st.one_of([_valid(each) for each in schema[name]])
    kinds = schema.get("type", "string")
    return st.one_of(
        [_of_type(each, schema) for each in (kinds if isinstance(kinds, list) else [kinds])]
    )


def _of_type(kind: str, schema: Dict[str, Any]) -> st.SearchStrategy[Any]:
    if kind == "array":
        return st.lists(_valid(schema["items"]), max_size=2)
    if kind == "object":
        each = {key: _valid(value) for key, value in schema["properties"].items()}
        if schema.get("required"):
            return st.fixed_dictionaries(each)
        return st.fixed_dictionaries({}, optional=each)
    return {
        "string": _strings,
        "integer": st.integers(-2, 2),
        "number": st.sampled_from([1, 1.5]),
        "boolean": st.booleans(),
        "null": st.none(),
    }[kind]


def _has_null(data: Any) -> bool:
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return data is None or any(map(_has_null, inner))


@_SOME
@given(schema=_events, draw=st.data())
def test_classes_send_valid_data_and_name_what_is_invalid(tmp_path, schema, draw):
    """Valid data is sent unchanged, any other exception names the property, and null is sent only where it is allowed."""
    number = next(_NUMBERS)
    path = tmp_path / f"{number}/com.acme/thing/jsonschema/1-0-0"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(schema))
    resolver = Resolver(tmp_path / str(number))
    generated = generate(resolver, resolver.keys())
    module = imported(generated.text, tmp_path / f"generated_{number}.py")
    (model,) = generated.classes
    data = draw.draw(_valid(schema).filter(jsonschema.Draft4Validator(schema).is_valid))
    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter)
    thing = built(module, model, data)
    tracker.track(thing)
    if not any(_has_null(each) for key, each in data.items()):
        assert emitter.events[-1].data == data
    for each in model.properties:
        wrong = draw.draw(_instances)
        before = getattr(thing, each.name)
        setattr(thing, each.name, wrong)
        of_property = jsonschema.Draft4Validator(schema["properties"][each.key])
        error, sent = "", {}
        try:
            sent = thing.to_data()
        except (TypeError, ValueError) as raised:
            error = str(raised)
        described = json.dumps(schema["properties"][each.key])
        if error:
            assert f"{each.name} of " in error
            if wrong is not None or each.required:
                assert not of_property.is_valid(wrong) or isinstance(wrong, (dict, list))
        # A type cannot say that a value is in only one of several alternatives.
        elif "oneOf" not in described and (wrong is None or described.startswith('{"enum"')):
            assert each.key not in sent or of_property.is_valid(sent[each.key])
        setattr(thing, each.name, before)
