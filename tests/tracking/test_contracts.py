"""Checks of arguments."""

import enum

import pytest

from snowplow_tracker import (
    AsyncEmitter,
    Emitter,
    EmitterConfiguration,
    InMemoryEventStore,
    contracts,
    logger,
)
from snowplow_tracker.events import PagePing, PageView, ScreenView, SelfDescribing, StructuredEvent
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.sqlite_event_store import SQLiteEventStore
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker

PLATFORMS = (
    "The platform must be one of 'app', 'cnsl', 'headset', 'iot', 'mob', 'pc', 'srv', 'tv', 'web'"
)


class Text(str, enum.Enum):
    """A string enum, whose members hash by their names."""

    WEB = "web"
    EMPTY = ""


@pytest.fixture
def _contracts_off():
    contracts.disable_contracts()
    yield
    contracts.enable_contracts()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PageView(""), "page_url is empty."),
        (lambda: PageView(None), "page_url is empty."),
        (lambda: PageView(7), "page_url must be a string, not int."),
        (lambda: PageView(b""), "page_url is empty."),
        (lambda: PageView(["u"]), "page_url must be a string, not list."),
        (lambda: PageView(PageView), "page_url must be a string, not type."),
        (lambda: StructuredEvent(object(), "a"), "category must be a string, not object."),
        (lambda: SelfDescribingJson(5, {}), "schema must be a string, not int."),
        (lambda: Subject().set_viewport("wide", 1), "width must be a number of pixels, not str."),
        (
            lambda: Subject().set_viewport(float("nan"), 1),
            "width must be a number of pixels, not nan.",
        ),
        (lambda: PagePing(""), "page_url is empty."),
        (lambda: StructuredEvent("", "a"), "category is empty."),
        (lambda: StructuredEvent("c", ""), "action is empty."),
        (lambda: ScreenView(id_=""), "id_ is empty."),
        (lambda: ScreenView(name=""), "name is empty."),
        (lambda: setattr(PageView("u"), "page_url", None), "page_url is empty."),
        (lambda: setattr(ScreenView(), "name", ""), "name is empty."),
        (lambda: SelfDescribingJson("", {}), "schema is empty."),
        (lambda: SelfDescribingJson(None, {}), "schema is empty."),
        (
            lambda: Subject().set_platform("desktop"),
            f"value is not supported. {PLATFORMS}, got 'desktop'.",
        ),
        (
            lambda: Subject().set_platform(["web"]),
            f"value is not supported. {PLATFORMS}, got ['web'].",
        ),
        (lambda: Subject().set_platform(None), f"value is not supported. {PLATFORMS}, got None."),
        (lambda: Subject().set_screen_resolution(0, 1), "width must be greater than 0."),
        (lambda: Subject().set_screen_resolution(1, -1), "height must be greater than 0."),
        (lambda: Subject().set_viewport(-1, 1), "width must be greater than 0."),
        (lambda: Subject().set_viewport(1, 0), "height must be greater than 0."),
        (lambda: Tracker("ns", []), "emitters is empty."),
        (lambda: Tracker("ns", ()), "emitters is empty."),
    ],
)
def test_what_is_refused_is_named(call, message):
    """A refused argument raises `ValueError` at the call, with the name of the parameter."""
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "context",
    [SelfDescribingJson("iglu:x", {}), "text", 5, {"a": 1}, [{"schema": "s"}], iter([1]), [None]],
)
@pytest.mark.parametrize("event", [PageView("u"), SelfDescribing(SelfDescribingJson("s", {}))])
def test_a_context_that_is_no_list_of_entities_is_refused(event, context):
    """A context that cannot be sent is refused where it is set, by name."""
    with pytest.raises(ValueError, match=r"^context must be a list of SelfDescribingJson"):
        event.context = context


def test_an_event_json_that_is_none_is_refused():
    """A body that cannot be sent is refused where it is set, by name."""
    with pytest.raises(ValueError, match=r"^event_json must be a SelfDescribingJson, not dict\.$"):
        SelfDescribing({"schema": "s", "data": {}})


@pytest.mark.usefixtures("_contracts_off")
@pytest.mark.parametrize(
    "call",
    [
        lambda: PageView(""),
        lambda: PageView(None),
        lambda: PageView(7),
        lambda: SelfDescribingJson("", {}),
        lambda: Subject().set_platform("desktop"),
        lambda: Subject().set_viewport(0, 0),
        lambda: PageView("u", context=5),
        lambda: SelfDescribing(None),
        lambda: contracts.non_empty_string(None),
        lambda: contracts.non_empty([]),
        lambda: contracts.greater_than(1, 2),
        lambda: contracts.one_of(1, {2}),
        lambda: contracts.satisfies(1, lambda _: False),
        lambda: contracts.form_element({}),
    ],
)
def test_off_means_off(call):
    """Without contracts no argument is checked."""
    assert not contracts.contracts_enabled()
    call()


def test_a_caller_of_its_own_is_read_for_the_name():
    """A check that is called without a name takes it from the line that calls it."""
    basket = ""
    with pytest.raises(ValueError, match=r"^basket is empty\.$"):
        contracts.non_empty_string(basket)
    with pytest.raises(ValueError, match=r"^basket must be greater than a\.$"):
        contracts.greater_than(basket, "a")
    with pytest.raises(
        ValueError, match=r"^basket is not supported\. It must be one of 'a', got ''\.$"
    ):
        contracts.one_of(basket, {"a"})
    with pytest.raises(ValueError, match=r"^basket is not allowed\.$"):
        contracts.satisfies(basket, lambda _: False)
    with pytest.raises(ValueError, match=r"^basket is empty\.$"):
        contracts.non_empty(basket)


TO_CHOOSE = "is not supported. It must be one of"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Emitter("localhost", protocol="ftp"),
            f"protocol {TO_CHOOSE} 'http', 'https', got 'ftp'.",
        ),
        (
            lambda: AsyncEmitter("localhost", method=5),
            f"method {TO_CHOOSE} 'get', 'post', got 5.",
        ),
        (
            lambda: EmitterConfiguration(protocol=["http"]),
            f"protocol {TO_CHOOSE} 'http', 'https', got ['http'].",
        ),
        (
            lambda: InMemoryEventStore(logger, overflow="explode"),
            f"overflow {TO_CHOOSE} 'drop_newest', 'drop_oldest', 'block', got 'explode'.",
        ),
        (
            lambda: SQLiteEventStore("e.db", durability="none"),
            f"durability {TO_CHOOSE} 'process', 'machine', got 'none'.",
        ),
        (
            lambda: Tracker.from_environment(
                {"SNOWPLOW_ENDPOINT": "localhost", "SNOWPLOW_METHOD": "put"}
            ),
            "SNOWPLOW_METHOD must be one of 'post', 'get', got 'put'.",
        ),
        (
            lambda: Tracker("ns", Emitter("localhost"), validate="yes"),
            "validate must be one of 'off', 'warn', 'raise', got 'yes'.",
        ),
    ],
)
def test_who_may_choose_is_told_among_what(call, message):
    """A value that is none of the choices is refused with the parameter, the choices and the value."""
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message


class Unshowable:
    def __repr__(self):
        raise RuntimeError


class Anything:
    def __contains__(self, value):
        return False


@pytest.mark.parametrize(
    ("value", "supported", "message"),
    [
        ("z" * 500, ["b", "a"], "'b', 'a', got 'zzz"),
        (Unshowable(), {2, "a"}, "'a', 2, got <Unshowable"),
        ("user:secret@host", ("a",), "'a', got '…@host'."),
        (5, range(1_000, 10**9), "1000, 1001, 1002"),
        (5, Anything(), ""),
        (5, iter("a"), ""),
    ],
)
def test_what_cannot_be_listed_is_no_other_error(value, supported, message):
    """The message is bounded, shows no password, and is 1.1.0's where there are no choices to show."""
    with pytest.raises(ValueError) as caught:
        contracts.one_of(value, supported, name="it")
    rest = str(caught.value)[len("it is not supported.") :]
    assert rest.startswith(f" It must be one of {message}" if message else "")
    assert bool(rest) is bool(message)
    assert len(rest) < 300


def test_without_a_source_the_parameter_has_no_name():
    """Code without source gets a message all the same."""
    with pytest.raises(ValueError, match=r"^Unnamed parameter is empty\.$"):
        exec("check('')", {"check": contracts.non_empty_string})  # noqa: S102 - code without source


@pytest.mark.parametrize(
    ("element", "allowed"),
    [
        ({"name": "n", "value": "v", "nodeName": "INPUT"}, True),
        ({"name": "n", "value": None, "nodeName": "INPUT", "type": "text"}, True),
        ({"name": "n", "value": "v", "nodeName": "DIV"}, False),
        ({"name": "n", "value": "v"}, False),
        ({"name": "n", "nodeName": "INPUT"}, False),
        ({"name": "n", "value": "v", "nodeName": "INPUT", "type": "TEXT"}, False),
        ({"name": "n", "value": "v", "nodeName": [], "type": {}}, False),
        (None, False),
    ],
)
def test_form_elements(element, allowed):
    """An element of a form needs its three keys, and values that HTML knows."""
    if allowed:
        contracts.form_element(element)
    else:
        with pytest.raises(ValueError, match=r"^element is not allowed\.$"):
            contracts.form_element(element)


def test_string_enums_are_texts():
    """A member of a string enum is accepted as the text it is, and held as that."""
    assert Subject().set_platform(Text.WEB).standard_nv_pairs == {"p": "web"}
    event = PageView(Text.WEB, page_title=Text.WEB)
    assert {type(value) for value in event.payload.nv_pairs.values()} == {str}
    assert SelfDescribingJson(Text.WEB, {}).to_string() == '{"schema": "web", "data": {}}'
    with pytest.raises(ValueError, match=r"^page_url is empty\.$"):
        PageView(Text.EMPTY)
