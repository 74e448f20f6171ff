"""Strings that can be sent, and objects that are strings by nature."""

import enum
import pathlib
import urllib.parse
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowplow_tracker import Event, PageView, SelfDescribing, SelfDescribingJson, Subject, Tracker
from snowplow_tracker.testing import RecordingEmitter
from support.inside import text


class Lazy:
    """A lazy translation, as Babel and Django make it: its string depends on when it is asked."""

    def __init__(self, strings):
        self._strings = iter(strings)

    def __str__(self):
        return next(self._strings)


class Place(enum.Enum):
    HOME = "home"


class Page(str, enum.Enum):
    FRONT = "front"


class Level(enum.IntEnum):
    HIGH = 3


class Path:
    def __fspath__(self):
        return "/srv/file"


class Own(str):
    __slots__ = ()

    def __str__(self):
        return "not this"


STRINGS = [
    (b"caf\xc3\xa9", "café"),
    (b"\xff", "\ufffd"),
    (bytearray(b"x"), "x"),
    (memoryview(b"x"), "x"),
    (Path(), "/srv/file"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (Place.HOME, "home"),
    (Page.FRONT, "front"),
    (Own("this"), "this"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (urllib.parse.urlsplit("https://acme.com/a?b"), "https://acme.com/a?b"),
    (urllib.parse.urlparse("https://acme.com/a?b"), "https://acme.com/a?b"),
    (Lazy(["now"]), "now"),
]


def make_pydantic_url(pydantic):
    """Return a URL of pydantic 2, where it is an object, or 1, where it is a string of a subclass."""
    if hasattr(pydantic, "TypeAdapter"):
        return pydantic.AnyUrl("https://acme.com/a")
    return pydantic.parse_obj_as(pydantic.AnyUrl, "https://acme.com/a")


# module, what makes the object, its string
OF_LIBRARIES = [
    ("yarl", lambda yarl: yarl.URL("https://acme.com/a"), "https://acme.com/a"),
    ("httpx", lambda httpx: httpx.URL("https://acme.com/a"), "https://acme.com/a"),
    (
        "starlette.datastructures",
        lambda module: module.URL("https://acme.com/a"),
        "https://acme.com/a",
    ),
    ("furl", lambda furl: furl.furl("https://acme.com/a"), "https://acme.com/a"),
    ("pydantic", make_pydantic_url, "https://acme.com/a"),
    ("werkzeug.local", lambda module: module.LocalProxy(lambda: "now"), "now"),
    ("babel.support", lambda module: module.LazyProxy(lambda: "now", enable_cache=False), "now"),
    ("django.utils.functional", lambda module: module.lazystr("now"), "now"),
    ("numpy", lambda numpy: numpy.str_("now"), "now"),
]


@pytest.fixture
def emitter():
    return RecordingEmitter()


@pytest.fixture
def tracker(emitter):
    return Tracker("ns", emitter, encode_base64=False)


def fields_of(tracker, emitter, value):
    """Track a value in each kind of field, and return what was sent."""
    subject = Subject().set_user_id(value).set_page_title(value)
    tracker.track(PageView(value, event_subject=subject, parameters={"se_la": value}))
    tracker.track(Event({"se_ca": value}))
    first, second = emitter.payloads[-2:]
    return [first["url"], first["uid"], first["page"], first["se_la"], second["se_ca"]]


@pytest.mark.parametrize(("value", "string"), STRINGS[:-1])
def test_what_is_a_string_by_nature_is_sent_as_one(tracker, emitter, value, string):
    """Bytes, paths, enums, ids and URLs are sent as strings from every field."""
    assert fields_of(tracker, emitter, value) == [string] * 5
    assert {type(each) for each in fields_of(tracker, emitter, value)} == {str}


@pytest.mark.parametrize(
    ("module", "make", "string"), OF_LIBRARIES, ids=[row[0] for row in OF_LIBRARIES]
)
def test_objects_of_libraries_are_sent_as_strings(tracker, emitter, module, make, string):
    """URL objects, proxies and lazy translations are strings in fields, in data and in keys."""
    value = make(pytest.importorskip(module))
    assert fields_of(tracker, emitter, value) == [string] * 5
    tracker.track(SelfDescribing(SelfDescribingJson("iglu:a", {"v": value})))
    assert f'{{"v": "{string}"}}' in emitter.payloads[-1]["ue_pr"]
    if module in {"yarl", "httpx", "pydantic", "django.utils.functional", "numpy"}:  # hashable
        tracker.track(SelfDescribing(SelfDescribingJson("iglu:a", {value: 1})))
        assert f'{{"{string}": 1}}' in emitter.payloads[-1]["ue_pr"]


def test_lazy_strings_are_resolved_when_tracked(tracker, emitter):
    """A lazy string is asked at each `track()`, in fields and in data, and by nobody else."""
    event = SelfDescribing(
        SelfDescribingJson("iglu:a", {"v": Lazy(["d1", "d2"])}),
        event_subject=Subject().set_lang(Lazy(["l1", "l2"])),
    )
    tracker.set_subject(Subject().set_user_id(Lazy(["u1", "u2"])))
    for number in "12":
        tracker.track(event)
        sent = emitter.payloads[-1]
        assert (sent["lang"], sent["uid"]) == (f"l{number}", f"u{number}")
        assert f'"v": "d{number}"' in sent["ue_pr"]


def test_an_object_whose_string_fails_is_named(tracker, emitter):
    """A proxy without an object raises at `track()`, with the parameter and what went wrong."""
    event = PageView("u", page_title=Lazy([]))
    with pytest.raises(TypeError, match=r"^page has no string form: .*Lazy"):
        tracker.track(event)
    assert emitter.payloads == []


def test_an_empty_lazy_string_is_left_out(tracker, emitter):
    """A lazy string that turns out to be empty is not sent."""
    tracker.track(PageView("u", page_title=Lazy([""])))
    assert "page" not in emitter.payloads[0]


@given(st.text(st.characters(), max_size=8))
def test_well_formed_strings_can_be_encoded(string):
    """The string can be encoded, has a question mark for half a pair, and good ones stay as they are."""
    result = text.well_formed(string)
    result.encode()
    joined = string.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert result == joined.replace("\ufffd", "?") or "\ufffd" in string


@pytest.mark.parametrize(
    ("string", "expected"),
    [
        ("\ud83d\ude00", "😀"),
        ("\ude00\ud83d", "??"),
        ("a\ud83d", "a?"),
        ("\ud83d😀\ude00", "?😀?"),
        ("\ud83d\ud83d\ude00", "?😀"),
        ("é", "é"),
        ("plain", "plain"),
    ],
    ids=ascii,
)
def test_halves_of_a_pair_are_joined(string, expected):
    """Two halves in order are one character; others are question marks."""
    assert text.well_formed(string) == expected
