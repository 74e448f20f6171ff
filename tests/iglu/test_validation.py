"""Whether data is valid for its schema, and how that is said."""

import json

import pytest

from snowplow_tracker import PageView, SelfDescribing, SelfDescribingJson
from snowplow_tracker.iglu import Resolver, validate_event, validate_self_describing
from snowplow_tracker.testing import RecordingEmitter
from snowplow_tracker.tracker import Tracker
from support.iglu import SCHEMAS, VALID

pytest.importorskip("jsonschema")

ORDER = {
    "orderId": "A-1",
    "total": 1,
    "currency": "EUR",
    "items": [{"sku": "a", "quantity": 1}],
    "customerEmail": None,
}


def problems(path, data, resolver):
    return validate_self_describing({"schema": f"iglu:{path}", "data": data}, resolver)


def of_schema(tmp_path, schema, data):
    path = tmp_path / "com.acme/made/jsonschema/1-0-0"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema))
    return problems("com.acme/made/jsonschema/1-0-0", data, Resolver(tmp_path))


@pytest.mark.parametrize(("path", "data"), VALID)
def test_good_data_has_no_problems(resolver, path, data):
    """Each construct of schemas takes what it should."""
    assert problems(path, data, resolver) == []


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"total": "59.80"}, "$.total", 'must be a number, not "59.80"'),
        ({"total": True}, "$.total", "must be a number, not true"),
        ({"total": 59.805}, "$.total", "must be a multiple of 0.01, not 59.805"),
        ({"total": -1}, "$.total", "must be at least 0, not -1"),
        ({"total": 1e400}, "$.total", "must be at most 9999999, not Infinity"),
        ({"total": 10**400}, "$.total", "must be at most 9999999, not 1000"),
        ({"currency": "CHF"}, "$.currency", 'must be one of "EUR", "GBP", "USD", not "CHF"'),
        ({"orderId": "1"}, "$.orderId", "must match ^[A-Z]-[0-9]+$"),
        ({"orderId": "A-१"}, "$.orderId", "must match ^[A-Z]-[0-9]+$"),
        ({"items": []}, "$.items", "must have at least 1 item (it has 0)"),
        ({"items": [{"sku": "a"}]}, "$.items[0].quantity", "quantity is missing"),
        ({"items": [{"sku": "a", "quantity": 1.0}]}, "$.items[0].quantity", "must be an integer"),
        (
            {"items": [{"sku": "ä" * 33, "quantity": 1}]},
            "$.items[0].sku",
            "at most 32 characters (it has 33)",
        ),
        ({"customerEmail": "nobody"}, "$.customerEmail", "must be of the format email"),
        (
            {"customer email": 1},
            '$["customer email"]',
            "the schema has no such property; the schema knows",
        ),
    ],
)
def test_a_problem_says_where_and_what(resolver, change, path, message):
    """A problem has the JSON path, what was there, what was expected, and the schema."""
    schema = "com.acme.shop/order_placed/jsonschema/2-0-0"
    found = problems(schema, {**ORDER, **change}, resolver)
    assert [each.path for each in found if message in each.message] == [path], found
    assert all(each.schema == f"iglu:{schema}" for each in found)
    assert path in str(found[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("moment", "2026-11-27"),
        ("moment", "2026-11-27T17:30:00"),
        ("moment", "2026-13-27T17:30:00Z"),
        ("moment", "2026-11-27T25:30:00Z"),
        ("moment", "2026-11-27T17:30:00Z\n"),
        ("day", "2023-02-29"),
        ("time", "12:00"),
        ("mail", "a b@example.com"),
        ("host", "-shop.example"),
        ("host", "shop_example"),
        ("v4", "203.0.113.256"),
        ("v4", "203.0.113"),
        ("v6", "2001:db8:::1"),
        ("v6", "203.0.113.7"),
        ("address", "no address"),
        ("id", "3F2504E04F8911D39A0C0305E82C3301"),
    ],
)
def test_formats_are_checked(resolver, name, value):
    """The formats of draft 4 and `uuid` are checked; an unknown one is not."""
    (found,) = problems(
        "com.acme.org/formats/jsonschema/1-0-0", {name: value, "unknown": "x"}, resolver
    )
    assert (found.path, found.found) == (f"$.{name}", value)
    assert "must be of the format" in found.message


@pytest.mark.parametrize(
    ("path", "data", "where"),
    [
        ("com.acme.shop/payment/jsonschema/1-0-0", {"kind": "card"}, "$.lastDigits"),
        ("com.acme.shop/preferences/jsonschema/1-0-0", {"n": "3"}, "$.n"),
        ("com.acme.shop/preferences/jsonschema/1-0-0", {"x-a": 3}, '$["x-a"]'),
        ("com.acme.shop/preferences/jsonschema/1-0-0", {"sizes": {"weight": 3}}, "$.sizes.weight"),
        (
            "com.acme.org/category/jsonschema/1-0-0",
            {"root": {"name": "a", "children": [{}]}},
            "$.root.children[0].name",
        ),
        (
            "com.acme.org/category/jsonschema/1-0-0",
            {"root": {"name": "a"}, "path": [["a", [1]]]},
            "$.path[0][1][0]",
        ),
        (
            "com.acme.org/person/jsonschema/1-0-0",
            {"name": "a", "home": {"street": "b", "country": "AUT"}},
            "$.home.country",
        ),
        ("com.acme.org/nothing/jsonschema/1-0-0", {"a": 1}, "$.a"),
        ("com.acme.org/readings/jsonschema/1-0-0", [{"at": 1}], "$[0].value"),
        ("com.acme.org/rules/jsonschema/1-0-0", {"a": 13}, "$.a"),
        ("com.acme.org/rules/jsonschema/1-0-0", {"b": "x"}, "$"),
        ("com.acme.org/rules/jsonschema/1-0-0", {"a": 1, "big": 2**63}, "$.big"),
        ("com.acme.org/rules/jsonschema/1-0-0", {"a": 1, "short": "abc"}, "$.short"),
        ("com.acme.shop/product/jsonschema/1-0-0", {"sku": "a", "tags": ["a", "a"]}, "$.tags"),
        ("com.acme.shop/product/jsonschema/1-0-0", {"sku": "a", "weight": 0}, "$.weight"),
        ("com.acme.shop/cart/jsonschema/1-0-0", {"rows": [], "pair": ["a", 1, 2]}, "$.pair"),
    ],
)
def test_each_construct_refuses(resolver, path, data, where):
    """Alternatives, references, recursion, patterns, dependencies and all limits refuse what they should."""
    assert where in [each.path for each in problems(path, data, resolver)]


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        [],
        "iglu:a",
        {},
        {"schema": "iglu:com.acme.org/nothing/jsonschema/1-0-0"},
        {"schema": 1, "data": {}},
        {"schema": "iglu:com.acme.org/nothing/jsonschema/1-0-0", "data": {}, "more": 1},
        {"schema": "iglu:com.acme.org/unknown/jsonschema/1-0-0", "data": {}},
    ],
)
def test_what_is_not_self_describing_is_a_problem(resolver, value):
    """Whatever is given, the answer is a list of problems, not an exception."""
    assert validate_self_describing(value, resolver)


@pytest.mark.parametrize(
    ("schema", "data", "path"),
    [
        ({"required": ['it\'s "x"']}, {}, '$["it\'s \\"x\\""]'),
        pytest.param({"minimum": 1.5, "maximum": 2}, 10**5_000, "$", id="5,001 digits"),
        ({"multipleOf": 0.01}, 1e-3, "$"),
        ({"enum": [1]}, True, "$"),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, 1, "$"),
    ],
)
def test_odd_values_are_told_plainly(tmp_path, schema, data, path):
    """Names with quotes, numbers of thousands of digits, and booleans that equal numbers have one clear problem."""
    assert [each.path for each in of_schema(tmp_path, schema, data)] == [path]


def test_objects_of_the_tracker_are_taken(resolver):
    """A `SelfDescribingJson` is validated as what it sends."""
    entity = SelfDescribingJson("iglu:org.beta/product/jsonschema/1-0-0", {"id": "5"})
    assert [each.path for each in validate_self_describing(entity, resolver)] == ["$.id"]


@pytest.mark.parametrize(
    ("value", "good"), [(19.99, True), (0.07, True), (1e-7, False), (4.35, True), (4.355, False)]
)
def test_multiples_are_decimal(tmp_path, value, good):
    """19.99 is a multiple of 0.01, as people and the pipeline count."""
    assert (of_schema(tmp_path, {"multipleOf": 0.01}, value) == []) is good


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"\d", "1", "१"),
        (r"^\w+$", "abc", "äbc"),
        (r"b", "abc", "aac"),
        (r"^\p{Alpha}+$", "abc", "ab1"),
        (r"^[\p{Digit}x]+$", "1x", "1y"),
        (r"^(?<year>\d{4})\/\z", "2026/", "2026/\n"),
    ],
)
def test_patterns_are_read_as_the_pipeline_does(tmp_path, pattern, good, bad):
    """Patterns are Java's: found anywhere, with ASCII classes."""
    assert of_schema(tmp_path, {"pattern": pattern}, good) == []
    assert of_schema(tmp_path, {"pattern": pattern}, bad)


@pytest.mark.parametrize(
    "pattern", [r"\p{IsGreek}", "(", "[a-z&&[^b]]", r"a{99999999999999999999}"]
)
def test_a_pattern_that_python_cannot_read_is_not_checked(tmp_path, pattern, caplog):
    """Such a pattern refuses nothing, and the log says so once."""
    assert of_schema(tmp_path, {"pattern": pattern}, "x") == []
    assert of_schema(tmp_path, {"pattern": pattern}, "y") == []
    assert [pattern in each.getMessage() for each in caplog.records] in ([True], [])


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({"type": "strung"}, "the schema itself is not valid"),
        ({"properties": []}, "the schema itself is not valid"),
        ({"minimum": "1"}, "the schema itself is not valid"),
        (
            {"$ref": "http://127.0.0.1:9/other"},
            "refers to 'http://127.0.0.1:9/other', which was not found",
        ),
        ({"$ref": "file:///etc/passwd"}, "refers to"),
        ({"$ref": "#/definitions/none"}, "refers to"),
        ({"$ref": "#"}, "nested too deeply"),
        ({"id": "http://127.0.0.1:9/base", "properties": {"a": {"$ref": "other"}}}, "refers to"),
    ],
)
def test_a_schema_that_cannot_be_applied_is_a_problem(tmp_path, schema, word):
    """A broken schema is said to be broken; references out of it are never fetched."""
    (found,) = of_schema(tmp_path, schema, {"a": 1})
    assert word in found.message


def test_references_to_known_schemas_are_followed(tmp_path):
    """`$ref` may lead to the schema of draft 4, and to a schema that a registry has."""
    assert (
        of_schema(tmp_path, {"$ref": "http://json-schema.org/draft-04/schema#"}, {"type": "string"})
        == []
    )
    assert of_schema(tmp_path, {"$ref": "http://json-schema.org/draft-04/schema#"}, {"type": 1})
    other = tmp_path / "com.acme/other/jsonschema/1-0-0"
    other.parent.mkdir(parents=True)
    other.write_text('{"type": "string"}')
    for address in ("iglu:com.acme", "http://iglucentral.com/schemas/com.acme"):
        schema = {"$ref": f"{address}/other/jsonschema/1-0-0#"}
        assert of_schema(tmp_path, schema, "a") == []
        assert of_schema(tmp_path, schema, 1)


def test_hostile_data_costs_little(resolver):
    """Data that is wrong in very many places, or nested very deeply, has a bounded answer."""
    many = {f"k{number}": 1 for number in range(20_000)}
    assert len(problems("com.acme.org/nothing/jsonschema/1-0-0", many, resolver)) == 50
    deep = {"name": "a"}
    for _ in range(5_000):
        deep = {"name": "a", "children": [deep]}
    (found,) = problems("com.acme.org/category/jsonschema/1-0-0", {"root": deep}, resolver)
    assert "nested too deeply" in found.message


@pytest.mark.parametrize("encode_base64", [True, False])
def test_an_event_is_checked_in_all_its_parts(resolver, encode_base64):
    """The event, each entity, and the parameters of the protocol have problems of their own."""
    emitter = RecordingEmitter()
    tracker = Tracker("t", emitter, encode_base64=encode_base64)
    product = "iglu:com.acme.shop/product/jsonschema/1-0-0"
    good, bad = SelfDescribingJson(product, {"sku": "a"}), SelfDescribingJson(product, {"sku": ""})
    order = SelfDescribingJson("iglu:com.acme.shop/order_placed/jsonschema/1-0-0", {"total": 1})
    tracker.track(SelfDescribing(order, context=[good, bad]))
    tracker.track(PageView("https://shop.example", context=[good]))
    first, second = (dict(each.parameters) for each in emitter.events)
    found = validate_event(first, resolver)
    assert [(each.where, each.path) for each in found] == [
        ("event", "$.orderId"),
        ("context[1]", "$.sku"),
    ]
    assert str(found[1]).startswith("context[1] at $.sku: must have at least 1 character (")
    assert validate_event(first, None) == []
    assert validate_event(second, resolver) == []
    second["e"] = "px"
    assert [(each.where, each.path) for each in validate_event(second, resolver)] == [
        ("parameters", "e")
    ]
    second["cx" if encode_base64 else "co"] = "no JSON"
    assert len(validate_event(second, resolver)) == 2


def test_schemas_of_these_tests_are_found():
    """The tests have a schema for each construct."""
    assert len({path for path, _ in VALID}) == len(Resolver(SCHEMAS).keys()) == 20
