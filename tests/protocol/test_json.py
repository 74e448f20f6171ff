"""JSON text of users' data."""

import array
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import json
import math
import pathlib
import subprocess
import sys
import types
import uuid
from collections import OrderedDict
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.inside import json as protocol_json


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = "red"
    PALE = Point(1, 2)


class Level(enum.IntEnum):
    HIGH = 3


class Name(str, enum.Enum):
    ANN = "ann"


class Unknown:
    pass


class Text(str):
    __slots__ = ()


class Real(float):
    __slots__ = ()


NAIVE = dt.datetime(2024, 2, 29, 12, 30, 1, 5)  # noqa: DTZ001 - encoded as it is
texts = st.text(st.characters(exclude_categories=["Cs"]))
atoms = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
ordinary = st.recursive(
    atoms | texts,
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(texts | st.integers(), inner)
    ),
)
anything = st.recursive(
    atoms
    | st.text()
    | st.floats()
    | st.datetimes(timezones=st.none() | st.just(dt.timezone.utc))
    | st.dates()
    | st.times()
    | st.uuids()
    | st.decimals()
    | st.sampled_from([*Colour, *Level, *Name])
    | st.frozensets(st.integers() | st.text()),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers() | st.floats() | st.uuids() | st.dates(), inner)
    ),
)


def refuse(constant):
    raise AssertionError(constant)


@pytest.mark.long
@given(ordinary)
def test_ordinary_data_is_encoded_as_ever(data):
    """Data that JSON can hold gives the bytes that `json.dumps` gives."""
    assert protocol_json.dumps(data) == json.dumps(data, ensure_ascii=False)
    assert protocol_json.dumps(data, ensure_ascii=True) == json.dumps(data)
    assert protocol_json.dumps(data, lambda value: value) == json.dumps(data, ensure_ascii=False)


@pytest.mark.long
@pytest.mark.slow
@given(anything)
def test_whatever_can_be_mended_becomes_valid_json(data):
    """The text is strict JSON that UTF-8 can hold, whatever is in the data."""
    text = protocol_json.dumps(data)
    json.loads(text, parse_constant=refuse)
    assert text.encode().decode() == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (NAIVE, '"2024-02-29T12:30:01.000005"'),
        (dt.datetime(2024, 2, 29, tzinfo=dt.timezone.utc), '"2024-02-29T00:00:00+00:00"'),
        (dt.date(2024, 2, 29), '"2024-02-29"'),
        (dt.time(12, 30), '"12:30:00"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (decimal.Decimal("19.95"), "19.95"),
        (decimal.Decimal("2.00"), "2.0"),
        (decimal.Decimal(12345678901234567890), "12345678901234567890"),
        (decimal.Decimal("1E+3"), "1000"),
        (decimal.Decimal("1E-400"), "0.0"),
        (decimal.Decimal("1E+1000000"), '"1E+1000000"'),
        (decimal.Decimal(1) / 3, repr(1 / 3)),
        (decimal.Decimal("NaN"), "null"),
        (decimal.Decimal("-Infinity"), "null"),
        (math.nan, "null"),
        (math.inf, "null"),
        (-math.inf, "null"),
        (Real("nan"), "null"),
        (Real(1.5), "1.5"),
        (Colour.RED, '"red"'),
        (Colour.PALE, "[1, 2]"),
        (Level.HIGH, "3"),
        (Name.ANN, '"ann"'),
        (Text("t"), '"t"'),
        ({3, 1, 2}, "[1, 2, 3]"),
        (frozenset([(1, "a")]), '[[1, "a"]]'),
        ({None}, "[null]"),
        (Point(1, 2), "[1, 2]"),
        (OrderedDict(b=1, a=2), '{"b": 1, "a": 2}'),
        ("\ud800x", '"?x"'),
        ("é\udcff", '"é?"'),
    ],
)
@pytest.mark.parametrize("beside", [1, math.nan])
def test_values(value, expected, beside):
    """Each value has the form that a JSON user expects, also where another has to be mended."""
    text = protocol_json.dumps({"v": [value], "b": beside})
    assert text == '{"v": [' + expected + '], "b": ' + ("1}" if beside == 1 else "null}")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (dt.date(2024, 2, 29), "2024-02-29"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.50"), "1.50"),
        (Colour.RED, "red"),
        (Level.HIGH, "3"),
        (Name.ANN, "ann"),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        ("\udcff", "?"),
    ],
)
def test_keys(key, expected):
    """Keys become texts."""
    assert protocol_json.dumps({key: 1}) == '{"' + expected + '": 1}'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": object()}, "data.a: object has no JSON form."),
        ({"a": [1, {"b": (2, 1j)}]}, "data.a[1].b[1]: complex has no JSON form."),
        ({"a": 1j, "b": math.nan}, "data.a: complex has no JSON form."),
        ({"a": {1: Unknown()}}, f"data.a[1]: {__name__}.Unknown has no JSON form."),
        ({(1, 2): 3}, "data[(1, 2)]: a key of type tuple has no JSON form."),
        ([{"b": {object: 3}}], "data[0].b[<class 'object'>]: a key of type type has no JSON form."),
        ({"a": iter(())}, "data.a: tuple_iterator has no JSON form."),
        ({"a": Unknown}, "data.a: type has no JSON form."),
        ({"a": 10**5000}, "data.a: an integer of more than 4,000 digits."),
    ],
)
def test_what_has_no_json_form_is_named(data, message):
    """The error says what was in the data, and where."""
    with pytest.raises((TypeError, ValueError)) as caught:
        protocol_json.dumps(data)
    assert str(caught.value) == message


@pytest.mark.parametrize("json_encoder", [None, lambda value: value])
def test_a_circle_is_named(json_encoder):
    """Data that holds itself is refused, and the next data is none the wiser."""
    circle = {"a": []}
    circle["a"].append(circle)
    with pytest.raises(
        ValueError, match=r"^data\.a\[0\]: circular reference: a dict contains itself"
    ):
        protocol_json.dumps(circle, json_encoder)
    twice = [1]
    assert protocol_json.dumps({"a": twice, "b": twice}, json_encoder) == '{"a": [1], "b": [1]}'


@pytest.mark.long
def test_data_without_a_floor_is_refused():
    """Data that is nested too deeply is refused as such."""
    deep = []
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        protocol_json.dumps({"a": deep})
    while deep:  # taken apart by hand, as some versions of Python cannot
        deep = deep.pop()


class TestUsersEncoder:
    """The encoder that a user gives."""

    def test_it_is_asked_first(self):
        """The user's form of a date goes before ours."""
        assert (
            protocol_json.dumps({"a": dt.date(2024, 1, 1)}, lambda day: day.year) == '{"a": 2024}'
        )

    @pytest.mark.parametrize("beside", [1, math.nan])
    def test_it_may_leave_an_object_to_us(self, beside):
        """An encoder that raises `TypeError`, or gives the object back, has not decided."""

        def refusing(value):
            raise TypeError(value)

        for json_encoder in (refusing, lambda value: value, json.JSONEncoder().default):
            text = protocol_json.dumps([dt.date(2024, 1, 1), beside], json_encoder)
            assert text.startswith('["2024-01-01", ')

    def test_its_answer_may_need_mending(self):
        """What an encoder answers is data like any other."""

        def answering(value):
            return value if isinstance(value, set) else [math.nan, {1}]

        assert protocol_json.dumps([object()], answering) == "[[null, [1]]]"

    def test_none_is_an_answer(self):
        """An encoder that answers `None` means null, as ever."""
        assert protocol_json.dumps([object()], lambda _: None) == "[null]"

    def test_its_errors_are_its_own(self):
        """What goes wrong in an encoder comes out as it is."""

        def failing(value):
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            protocol_json.dumps([object()], failing)

    def test_answers_without_end_are_refused(self):
        """An encoder that never comes to JSON is stopped."""
        with pytest.raises(ValueError, match="nested too deeply"):
            protocol_json.dumps([object()], lambda _: object())


@pytest.mark.long
@given(ordinary)
def test_without_the_c_encoder_the_text_is_the_same(data):
    """Pythons without the encoder in C encode the same text."""
    saved, protocol_json._stdlib.c_make_encoder = protocol_json._stdlib.c_make_encoder, None
    try:
        encode = protocol_json._new_encode(protocol_json._json_form, ensure_ascii=False)
        assert encode(data) == json.dumps(data, ensure_ascii=False)
    finally:
        protocol_json._stdlib.c_make_encoder = saved


DEPTHS = """
import sys
from snowplow_tracker import SelfDescribing, SelfDescribingJson, Tracker
from snowplow_tracker.testing import RecordingEmitter

sys.setrecursionlimit(int(sys.argv[1]))
emitter = RecordingEmitter()
circle = {}
circle["a"] = [circle]
deep = []
for _ in range(200_000):
    deep = [deep]
endless = lambda value: [object()]
for data, json_encoder in (circle, None), ({"a": deep}, None), ({"a": object()}, endless):
    tracker = Tracker("ns", emitter, json_encoder=json_encoder)
    tracker.track(SelfDescribing(SelfDescribingJson("s", {})))
    try:
        tracker.track(SelfDescribing(SelfDescribingJson("s", data)))
    except ValueError as error:
        print(str(error)[:21])
while deep:
    deep = deep.pop()
print(len(emitter.payloads))
"""


@pytest.mark.long
@pytest.mark.parametrize("limit", [200, 1_000, 1_000_000, 2**31 - 1])
def test_no_recursion_limit_ends_the_process(limit):
    """Circular, deep and endless data raise `ValueError` whatever the limit, and the other events go on."""
    ran = subprocess.run(
        [sys.executable, "-c", DEPTHS, str(limit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split("\n")[-2] == "3"
    assert ran.stdout.count("event_json.data.a") == 3


class Slotted:
    __slots__ = ("x",)


@dataclasses.dataclass
class Order:
    number: int
    day: dt.date
    parent: object = None
    note: str = dataclasses.field(init=False, repr=False)


class LikePydantic2:
    def model_dump(self):
        return {"a": {1}}


class LikePydantic1:
    __fields__ = ("a",)

    def dict(self):
        return {"a": dt.date(2024, 1, 1)}


class LikeStruct:
    __struct_fields__ = ("a",)
    a = b"x"


class LikeArray:
    def tolist(self):
        return [1, [math.nan]]


class LikeProxy:
    def _get_current_object(self):
        return {"a": 1}


class FailingProxy:
    def _get_current_object(self):
        raise RuntimeError("not bound")


class FailingString:
    def __str__(self):
        raise KeyError("lost")


@pytest.mark.parametrize(
    ("kind", "reason"), [(FailingProxy, "not bound"), (FailingString, "'lost'")]
)
def test_an_object_that_cannot_say_what_it_is_is_named(kind, reason):
    """The error of a proxy without an object says where in the data it is."""
    with pytest.raises(TypeError) as caught:
        protocol_json.dumps({"a": [kind()]})
    assert str(caught.value) == f"data.a[0]: {__name__}.{kind.__name__} has no JSON form: {reason}"


class WithString:
    def __str__(self):
        return "s"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Order(1, dt.date(2024, 1, 2), Order(2, dt.date(2024, 1, 3))),
         '{"number": 1, "day": "2024-01-02", "parent": {"number": 2, "day": "2024-01-03", "parent": null}}'),
        (LikePydantic2(), '{"a": [1]}'),
        (LikePydantic1(), '{"a": "2024-01-01"}'),
        (LikeStruct(), '{"a": "x"}'),
        (LikeArray(), "[1, [null]]"),
        (LikeProxy(), '{"a": 1}'),
        (WithString(), '"s"'),
        (b"caf\xc3\xa9", '"café"'),
        (b"\xff\x00", '"/wA="'),
        (bytearray(b"x"), '"x"'),
        (memoryview(b"x"), '"x"'),
        (array.array("i", [1, 2]), "[1, 2]"),
        (dt.timedelta(days=1, seconds=3661, microseconds=5000), '"P1DT1H1M1.005S"'),
        (dt.timedelta(seconds=-5), '"-PT5S"'),
        (dt.timedelta(0), '"PT0S"'),
        (dt.timedelta(days=2), '"P2D"'),
        (pathlib.PurePosixPath("/a/b"), '"/a/b"'),
        (fractions.Fraction(1, 4), "0.25"),
        (fractions.Fraction(4, 2), "2"),
        (types.MappingProxyType({"a": (1,)}), '{"a": [1]}'),
        (collections.deque([1]), "[1]"),
        (range(2), "[0, 1]"),
        ({"a": 1}.values(), "[1]"),
        (collections.UserDict(a=1), '{"a": 1}'),
        (collections.UserList([1]), "[1]"),
        (collections.UserString("u"), '"u"'),
        (ipaddress.ip_address("::1"), '"::1"'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("beside", [1, math.nan])
def test_objects_have_the_form_that_their_class_suggests(value, expected, beside):
    """Models, arrays, durations, bytes and other objects become JSON, alone and beside what has to be mended."""
    text = protocol_json.dumps({"v": value, "b": beside})
    assert text == '{"v": ' + expected + ', "b": ' + ("1}" if beside == 1 else "null}")


@pytest.mark.parametrize(
    ("module", "make", "expected"),
    [
        ("numpy", lambda np: np.int64(1), "1"),
        ("numpy", lambda np: np.bool_(True), "true"),
        ("numpy", lambda np: np.float32(0.5), "0.5"),
        ("numpy", lambda np: np.array([[1.5, math.nan]]), "[[1.5, null]]"),
        ("numpy", lambda np: {np.int64(1): np.str_("a")}, '{"1": "a"}'),
        ("numpy", lambda np: np.datetime64("2024-01-01T00:00:00.123456789"), '"2024-01-01T00:00:00.123456"'),
        ("numpy", lambda np: np.timedelta64(5, "s"), '"PT5S"'),
        ("numpy", lambda np: np.datetime64("NaT"), "null"),
        ("pandas", lambda pd: pd.Timestamp("2024-01-01"), '"2024-01-01T00:00:00"'),
        ("pandas", lambda pd: pd.NaT, "null"),
        ("pandas", lambda pd: pd.Series([1, 2]), "[1, 2]"),
        ("pandas", lambda pd: pd.DataFrame({"a": [1]}), '[{"a": 1}]'),
        ("attr", lambda attr: attr.make_class("C", ["a"], slots=True)({1}), '{"a": [1]}'),
        ("msgspec", lambda msgspec: msgspec.defstruct("S", [("a", int)])(1), '{"a": 1}'),
        ("pydantic", lambda pydantic: pydantic.create_model("M", a=(dt.timedelta, ...))(a=dt.timedelta(1)), '{"a": "P1D"}'),
        ("pydantic.v1", lambda v1: v1.create_model("M", a=(dt.date, ...))(a=dt.date(2024, 1, 1)), '{"a": "2024-01-01"}'),
    ],
)  # fmt: skip
def test_objects_of_libraries(module, make, expected):
    """What numpy, pandas, attrs, msgspec and pydantic make becomes JSON."""
    assert protocol_json.dumps(make(pytest.importorskip(module))) == expected


def test_nothing_is_imported_for_it():
    """Looking for models and arrays imports no library that the program has not imported."""
    probe = (
        "import sys; from snowplow_tracker import *; body = SelfDescribingJson('iglu:a', {'v': object});"
        "Tracker('n', Emitter('localhost', enabled=False), json_encoder=str).track(SelfDescribing(body));"
        "print(sorted({'numpy', 'pydantic', 'attr', 'pandas', 'dataclasses', 'inspect'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60
    )
    assert "numpy" not in ran.stdout
    assert "pydantic" not in ran.stdout
