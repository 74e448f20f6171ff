"""Typed classes from schemas."""

import ast
import copy
import json
import pickle
import shutil
import subprocess
import sys
import time

import pytest

from snowplow_tracker import PageView, SelfDescribing, SelfDescribingJson, Subject, Tracker
from snowplow_tracker.events import Event
from snowplow_tracker.iglu import Resolver, SchemaKey, validate_self_describing
from snowplow_tracker.iglu.generation import generate, specifications_from
from snowplow_tracker.iglu.typed import SpecifiedEvent, TypedEventOrEntity
from snowplow_tracker.testing import RecordingEmitter
from support.iglu import SCHEMAS, VALID, built, imported
from support.inside import names

SPECIFICATIONS = {
    "OrderPlaced": {
        "id": "fd2a",
        "name": 'Order "placed"',
        "version": 2,
        "tracking_plan": {"id": "5a1f", "name": "Shop", "domain": "Sales"},
    },
    "iglu:com.acme.shop/search/jsonschema/1-0-0": {"id": "77"},
}


class _Nowhere:
    def input(self, pairs):
        """Take an event and keep nothing."""


@pytest.fixture(scope="module")
def generated():
    """What is generated from all schemas of these tests."""
    resolver = Resolver(SCHEMAS)
    return generate(
        resolver,
        resolver.keys(),
        events=["payment"],
        entities=["com.acme.shop/product"],
        specifications=specifications_from(SPECIFICATIONS),
    )


@pytest.fixture(scope="module")
def module(generated, tmp_path_factory):
    """The generated module."""
    return imported(generated.text, tmp_path_factory.mktemp("generated") / "generated_events.py")


def made(tmp_path, *schemas):
    """Generate a module from schemas of these properties."""
    for number, schema in enumerate(schemas):
        path = tmp_path / f"com.acme/made{number or ''}/jsonschema/1-0-0"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(schema))
    resolver = Resolver(tmp_path)
    return generate(resolver, resolver.keys())


def order(module, **changes):
    arguments = {
        "order_id": "A-1",
        "total": 1.5,
        "currency": "EUR",
        "items": [module.OrderPlacedItem(sku="a", quantity=1)],
        "customer_email": None,
    }
    return module.OrderPlaced(**{**arguments, **changes})


@pytest.mark.parametrize(("path", "data"), VALID)
def test_data_goes_through_the_classes_unchanged(generated, module, path, data):
    """An object made from data gives this data back, under the keys of the schema, and is equal to its like."""
    model = next(each for each in generated.classes if each.key.path == path)
    typed = built(module, model, data)
    assert typed.to_data() == data
    assert typed == built(module, model, data)
    assert f"iglu:{path}" == typed.SCHEMA
    assert repr(typed).startswith(f"{model.name}(")


def test_data_in_place_of_a_generated_object_is_a_clear_error(module):
    """A dictionary where an object of a class belongs is refused by the name of the property, at each depth."""
    with pytest.raises(
        TypeError, match=r"^items of OrderPlaced must be list\[OrderPlacedItem\], got"
    ):
        order(module, items=[{"sku": "a", "quantity": 1}]).to_data()
    with pytest.raises(TypeError, match=r"^home of Person must be PersonA1b25, got {'street'"):
        module.Person(name="Ada", home={"street": "a"}).to_data()
    with pytest.raises(TypeError, match=r"^additional of Preferences must be dict"):
        module.Preferences(additional=["a"]).to_data()


def test_names_of_long_enumerations_do_not_clash(tmp_path):
    """Two properties whose names differ by a number alone have a type each, and every valid value is accepted."""
    values = {key: f"{key} {'x' * 90}" for key in ("a_b", "aB", "aB2", "a_b_2")}
    properties = {key: {"enum": [value]} for key, value in values.items()}
    text = made(tmp_path, {"type": "object", "properties": properties}).text
    module = imported(text, tmp_path / "aliases.py")
    names = {"a_b": "a_b", "a_b_2": "a_b_2", "a_b2": "aB2", "a_b_3": "aB"}
    assert module.Made(**{name: values[key] for name, key in names.items()}).to_data() == values


def test_numbers_in_names_are_in_the_order_of_linters(tmp_path):
    """Linters want 10 after 9, and would change a module that `--check` then finds out of date."""
    module = imported(made(tmp_path, *[{"type": "object"}] * 12).text, tmp_path / "numbered.py")
    assert module.__all__ == ["Made", *(f"Made{number}" for number in range(1, 12))]


def test_every_schema_has_a_class(generated):
    """No construct of the schemas stands in the way of a class, and the names are those that were decided."""
    assert generated.problems == []
    assert [each.name for each in generated.classes if each.key.vendor != "com.acme.org"] == [
        "Cart",
        "OrderPlacedV1_0_0",
        "OrderPlacedV1_0_1",
        "OrderPlaced",
        "Payment",
        "Preferences",
        "AcmeShopProduct",
        "Refund",
        "Search",
        "BetaProduct",
    ]


def test_types_say_what_the_schema_says(generated):
    """Literals, nested classes, lists, unions, null and recursion are in the annotations; required comes first."""
    for line in (
        'currency: Literal["EUR", "GBP", "USD"],',
        "items: list[OrderPlacedItem],",
        "customer_email: str | None,",
        "placed_at: str | None = None,",
        "rows: list[list[CartRowItem]],",
        "pair: list[str | int] | None = None,",
        "notes: list[str | None] | None = None,",
        'kind: Literal["card", "invoice"],',
        "means: RefundMeans | RefundMeans2 | None = None,",
        "terms: str | int | bool,",
        'order: Literal["price", 1, True] | None = None,',
        "sort: _Search_Sort | None = None,",
        "hidden: dict[str, bool] | None = None,",
        "additional: dict[str, str | int] | None = None,",
        "children: list[CategoryNode] | None = None,",
        "items: list[Reading],",
        "age: int | None = None,",
    ):
        assert f"        {line}\n" in generated.text, line


def test_descriptions_and_limits_are_in_the_docstrings(module):
    """The docstring has what the schema says about each property, and its limits."""
    text = module.OrderPlaced.__doc__
    assert text.startswith("A customer placed an order.\n")
    assert "Schema: `iglu:com.acme.shop/order_placed/jsonschema/2-0-0`" in text
    assert "order_id: The number that the customer sees. Pattern ^[A-Z]-[0-9]+$." in text
    assert "total: 0 to 9999999. A multiple of 0.01." in text


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"type": "string", "minLength": 1}, "At least 1 character."),
        ({"type": "string", "minLength": 2}, "At least 2 characters."),
        ({"type": "string", "minLength": 1, "maxLength": 9}, "1 to 9 characters."),
        ({"type": "array", "maxItems": 1}, "At most 1 item."),
        ({"type": "object", "minProperties": 1, "maxProperties": 1}, "Exactly 1 property."),
    ],
)
def test_limits_of_one_are_in_the_singular(limits, text, tmp_path):
    """A docstring counts in English."""
    path = tmp_path / "com.acme" / "thing" / "jsonschema" / "1-0-0"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"type": "object", "properties": {"a": limits}}))
    resolver = Resolver(tmp_path)
    assert f"a: {text}\n" in generate(resolver, resolver.keys()).text


def test_an_event_is_tracked_as_it_is(module):
    """A generated event goes into `track`, with entities, subject and time, as a hand-written one would."""
    emitter = RecordingEmitter()
    tracker = Tracker("t", emitter)
    entity = module.AcmeShopProduct(sku="lamp")
    common = {
        "event_subject": Subject().set_user_id("u"),
        "context": [entity],
        "true_timestamp": 1_000,
    }
    typed = order(module, **common)
    common["context"] = typed.context  # with the event specification
    tracker.track(typed)
    tracker.track(SelfDescribing(SelfDescribingJson(typed.SCHEMA, typed.to_data()), **common))
    first, second = ({**each.parameters, "eid": "", "dtm": ""} for each in emitter.events)
    assert first == second
    assert emitter.events[0].data["items"] == [{"sku": "a", "quantity": 1}]
    assert emitter.events[0].contexts[0] == {"schema": entity.SCHEMA, "data": {"sku": "lamp"}}


def test_attributes_can_be_changed_until_it_is_tracked(module):
    """What is tracked is what the attributes hold at that moment."""
    event = order(module)
    event.total = 2
    event.items.append(module.OrderPlacedItem(sku="b", quantity=2))
    emitter = RecordingEmitter()
    Tracker("t", emitter).track(event)
    assert emitter.events[0].data["total"] == 2
    assert len(emitter.events[0].data["items"]) == 2


def test_events_and_entities_are_what_they_were_said_to_be(module):
    """A class is an event, an entity or both, as the patterns say; the parameters of events are only on events."""
    assert issubclass(module.Payment, SelfDescribing)
    assert not issubclass(module.Payment, SelfDescribingJson)
    assert issubclass(module.AcmeShopProduct, SelfDescribingJson)
    assert not issubclass(module.AcmeShopProduct, Event)
    assert issubclass(module.BetaProduct, TypedEventOrEntity)
    with pytest.raises(TypeError, match="context"):
        module.AcmeShopProduct(sku="a", context=[])
    both = module.BetaProduct(id=1)
    emitter = RecordingEmitter()
    Tracker("t", emitter).track(PageView("https://a.example", context=[both]))
    assert emitter.events[0].contexts == [{"schema": both.SCHEMA, "data": {"id": 1}}]
    assert both.to_json() == {"schema": both.schema, "data": both.data}
    assert json.loads(both.to_string()) == both.to_json()


@pytest.mark.parametrize("name", ["schema", "data", "event_json"])
def test_what_a_class_is_made_of_is_not_replaced(module, name):
    """Schema and data follow from the class and its attributes."""
    with pytest.raises(AttributeError, match="generated class"):
        setattr(module.BetaProduct(id=1), name, {})


def test_objects_are_values(module):
    """Equality, copies, pickles and hashes follow what an object holds."""
    one, other = order(module), order(module)
    assert one == other
    assert hash(one) == hash(other)
    assert one != order(module, total=2)
    assert one != order(module, true_timestamp=1)
    same_id = order(module)
    same_id.event_id = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    assert one != same_id
    assert "3f2504e0" in repr(same_id)
    assert one != "something else"
    for twin in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):  # noqa: S301
        assert twin == one
        assert type(twin) is type(one)
    assert (
        repr(module.OrderPlacedItem(sku="a", quantity=1)) == "OrderPlacedItem(sku='a', quantity=1)"
    )
    assert "customer_email" not in repr(one)


def test_event_specifications_go_with_each_event(module):
    """The entity of the specification is there, whatever the context is set to, and once."""
    entity = {
        "id": "fd2a",
        "name": 'Order "placed"',
        "version": 2,
        "data_product_id": "5a1f",
        "data_product_name": "Shop",
        "data_product_domain": "Sales",
    }
    product = module.AcmeShopProduct(sku="a")
    event = order(module, context=[product])
    assert isinstance(event, SpecifiedEvent)
    emitter = RecordingEmitter()
    tracker = Tracker("t", emitter)
    tracker.track(event)
    event.context = event.context
    event.context.append(product)
    tracker.track(event)
    event.context = None
    tracker.track(event)
    specification = {
        "schema": "iglu:com.snowplowanalytics.snowplow/event_specification/jsonschema/1-0-4",
        "data": entity,
    }
    assert [each.contexts.count(specification) for each in emitter.events] == [1, 1, 1]
    assert [len(each.contexts) for each in emitter.events] == [2, 3, 1]
    assert module.Search.SPECIFICATION.data == {"id": "77"}


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ([], "not an object"),
        ({"A": 1}, "'A' is not an object"),
        ({"A": {}}, "'id' of the event specification of 'A'"),
        ({"A": {"id": ""}}, "'id'"),
        ({"A": {"id": "a", "version": True}}, "'version'"),
        ({"A": {"id": "a", "nmae": "b"}}, "unknown 'nmae'"),
        ({"A": {"id": "a", "tracking_plan": {"owner": "b"}}}, "'owner'"),
    ],
)
def test_wrong_specifications_are_named(value, word):
    """A file of specifications that is wrong is refused with the class and the key."""
    with pytest.raises(ValueError, match=word):
        specifications_from(value)


@pytest.mark.parametrize(("name", "entities"), [("Nobody", []), ("BetaProduct", ["product"])])
def test_a_specification_needs_an_event(resolver, name, entities):
    """A specification of a class that is not there, or is an entity, is refused."""
    with pytest.raises(ValueError, match=name):
        generate(resolver, resolver.keys(), entities=entities, specifications={name: {"id": "a"}})


@pytest.mark.long
def test_the_same_schemas_give_the_same_text(generated, tmp_path):
    """The text does not depend on the order of keys, the hash seed, or where the schemas lie."""
    again = (
        "import sys; from snowplow_tracker.iglu import Resolver; from snowplow_tracker.iglu.generation import *;"
        "r = Resolver(sys.argv[1]); sys.stdout.buffer.write(generate(r, r.keys()[::-1]).text.encode())"
    )
    moved = shutil.copytree(SCHEMAS, tmp_path / "elsewhere")
    texts = {
        subprocess.run(
            [sys.executable, "-c", again, str(folder)],
            check=True,
            capture_output=True,
            timeout=60,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
        ).stdout
        for folder, seed in ((SCHEMAS, "1"), (moved, "2"))
    }
    assert len(texts) == 1


def test_a_new_version_leaves_the_names_of_others_alone(tmp_path):
    """The latest version has the plain name; the version that had it before has its number now."""
    shutil.copytree(SCHEMAS / "com.acme.shop", tmp_path / "com.acme.shop")
    folder = tmp_path / "com.acme.shop" / "order_placed" / "jsonschema"
    shutil.copy(folder / "2-0-0", folder / "10-0-0")
    resolver = Resolver(tmp_path)
    versions = [
        each
        for each in generate(resolver, resolver.keys()).classes
        if each.key.name == "order_placed"
    ]
    assert [(each.name, each.key.schema_ver) for each in versions] == [
        ("OrderPlacedV1_0_0", "1-0-0"),
        ("OrderPlacedV1_0_1", "1-0-1"),
        ("OrderPlacedV2_0_0", "2-0-0"),
        ("OrderPlaced", "10-0-0"),
    ]


# As a hostile author of schemas would have it.

NASTY = [
    '"""', "'''", "\\", '\\"', '"""\nraise SystemExit(1)\n"""', "\n", "\r", "\x00", "\x0c", "\u2028", "\u202e", "\ud800",
    "{x}", "%s", "#", "\N{NO-BREAK SPACE}", "x" * 5_000, "\\N{DASH}", "\\u0041", "\\x", "'", '"', "`", "]", "class", "é",
]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_no_text_of_a_schema_becomes_code(tmp_path, text):
    """Whatever stands in descriptions, keys, values, formats and patterns, the module is classes and nothing else."""
    nested = {"type": "object", "description": text, "properties": {text: {"enum": [text, "b"]}}}
    generated = made(
        tmp_path,
        {
            "description": text,
            "properties": {
                text: {
                    "type": "string",
                    "description": text,
                    "format": text,
                    "pattern": text,
                    "default": text,
                },
                "nested": nested,
                f"a{text}": {
                    "enum": [
                        text,
                        f"{text}{text}",
                        "long enough that it takes a name of its own",
                        "c",
                    ]
                },
            },
            "required": [text],
            "additionalProperties": nested,
        },
    )
    assert generated.problems == []
    module = imported(generated.text, tmp_path / "nasty.py")
    (model,) = generated.classes
    (name,) = (each.name for each in model.properties if each.key == text)
    assert module.Made(**{name: "v"}).to_data() == {text: "v"}
    for statement in ast.parse(generated.text).body:
        assert isinstance(statement, (ast.ClassDef, ast.ImportFrom, ast.Expr, ast.Assign))
        assert not isinstance(statement, ast.Expr) or isinstance(statement.value, ast.Constant)
    calls = [
        each.func for each in ast.walk(ast.parse(generated.text)) if isinstance(each, ast.Call)
    ]
    assert all(ast.dump(each).count("'__init__'") or getattr(each, "attr", getattr(each, "id", "")) in {
        "super", "to_data", "plain"
    } for each in calls)  # fmt: skip
    assert all(each.isprintable() or each == "\n" for each in generated.text)


@pytest.mark.long
@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"properties": {"a": {"$ref": "#"}}},
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"properties": {"a": {"$ref": "#/properties/b"}, "b": {"$ref": "#/properties/a"}}},
        {"properties": {"a": {"$ref": "http://elsewhere.example/schema"}}},
        {"properties": {"a": {"$ref": "#/nowhere/9"}, "b": {"$ref": 5}, "c": {"$ref": "#/required/99999999999"}}},
        {"type": "nonsense", "properties": "nonsense", "required": "nonsense", "enum": "nonsense"},
        {"properties": {"a": True, "b": None, "c": [], "d": 5, "e": {"type": 5, "enum": [{}]}, "f": {"type": []}}},
        {"type": ["object", "array"], "items": [], "anyOf": {}, "oneOf": [None], "allOf": [5]},
        {"type": "string", "enum": ["a"]},
        {"properties": {"a": {"enum": [1.5, {"b": 1}]}, "b": {"enum": []}, "c": {"enum": [None]}}},
        {"properties": {f"k{number}": {"type": "integer"} for number in range(3_000)}},
        {"properties": {"a": {"type": "string", "enum": [f"v{number}" for number in range(100_000)]}}},
        {"definitions": {f"d{n}": {"anyOf": [{"items": {"$ref": f"#/definitions/d{n + 1}"}, "type": "array"}] * 9}
                         for n in range(25)}, "properties": {"a": {"$ref": "#/definitions/d0"}}},
        {"properties": {"a": {"anyOf": [{"type": "object", "properties": {"b": {"$ref": "#/properties/a"}}},
                                        {"type": "null"}], "required": ["b"], "type": ["object", "null"]}}},
    ],
)  # fmt: skip
def test_strange_schemas_are_bounded(tmp_path, schema):
    """References that go round, refer to nothing or multiply, and nonsense, give a class or a reason, in little time."""
    began = time.process_time()
    generated = made(tmp_path, schema)
    assert time.process_time() - began < 10
    assert len(generated.classes) + len(generated.problems) == 1
    imported(generated.text, tmp_path / "strange.py")
    assert len(generated.text) < 1_000_000


def test_a_schema_that_is_too_deep_says_so(tmp_path):
    """A schema nested thousands of levels deep ends neither the program nor the other classes."""
    deep = {"type": "string"}
    for _ in range(400):
        deep = {"type": "object", "properties": {"a": deep}}
    generated = made(tmp_path, deep, {"properties": {"b": {"type": "string"}}})
    assert "Made1" in [each.name for each in generated.classes]
    imported(generated.text, tmp_path / "deep.py")


def test_names_that_clash_are_told_apart(tmp_path):
    """Keys, schemas and nested objects whose names are one in Python get names that are stable."""
    assert names.property_names(["user-id", "userId", "user_id"], additional=False) == {
        "user-id": "user_id_2",
        "userId": "user_id_3",
        "user_id": "user_id",
    }
    assert names.property_names(["ﬁ", "fi", "FI"], additional=False) == {
        "ﬁ": "fi_2",
        "fi": "fi",
        "FI": "fi_3",
    }
    assert names.property_names(["additional"], additional=True) == {"additional": "additional_"}
    nested = {"type": "object", "properties": {"a": {"type": "string"}}}
    generated = made(
        tmp_path,
        {"properties": {"x-y": nested, "xY": nested}},
        {"properties": {"made": nested}},
    )
    found = [each.name for model in generated.classes for each in (model, *model.nested)]
    assert len(found) == len(set(found)) == 5
    imported(generated.text, tmp_path / "clash.py")


def test_no_property_hides_what_the_bases_have():
    """Every public name of the bases is kept from properties, and every name that the module imports from classes."""
    for base in (TypedEventOrEntity, SpecifiedEvent):
        public = {each for each in dir(base) if not each.startswith("_") and each.islower()}
        assert public == {
            each for each in public if names.property_names([each], additional=True)[each] != each
        }
    for name in (
        "Any",
        "ClassVar",
        "Literal",
        "SelfDescribingJson",
        "Subject",
        "Timestamp",
        "TypedEvent",
        "None",
    ):
        assert names.class_name(name) != name


def test_limits_are_left_to_validation(module, resolver):
    """A class takes what its types allow; the limits that types cannot say are for validation."""
    pytest.importorskip("jsonschema")
    event = order(module, order_id="wrong", total=1e9)
    found = validate_self_describing(event.event_json, resolver)
    assert [each.path for each in found] == ["$.orderId", "$.total"]


@pytest.mark.long
def test_tracking_costs_no_more_than_by_hand(module):
    """A generated event takes at most 1.3 times the processor time of a hand-written one."""
    tracker = Tracker("t", _Nowhere())
    schema = module.OrderPlacedV1_0_1.SCHEMA

    def by_hand():
        data = {"orderId": "A-1", "total": 1.5, "coupon": "X"}
        tracker.track(SelfDescribing(SelfDescribingJson(schema, data)))

    def typed():
        tracker.track(module.OrderPlacedV1_0_1(order_id="A-1", total=1.5, coupon="X"))

    def seconds(track):
        began = time.process_time()
        for _ in range(2_000):
            track()
        return time.process_time() - began

    seconds(by_hand), seconds(typed)
    ratios = sorted(seconds(typed) / seconds(by_hand) for _ in range(9))
    assert ratios[4] < 1.3, ratios


def test_keys_that_are_no_schemas_are_refused(resolver):
    """A schema that is not found ends the generation with its address."""
    with pytest.raises(LookupError, match=r"com\.acme\.org/missing"):
        generate(resolver, [SchemaKey.parse("iglu:com.acme.org/missing/jsonschema/1-0-0")])
