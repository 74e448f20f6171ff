"""Subjects."""

import pytest

from snowplow_tracker.events import PageView
from snowplow_tracker.subject import SUPPORTED_PLATFORMS, Subject
from support.copies import copies

SETTERS = [
    ("set_user_id", ("1234",), "uid", "1234"),
    ("set_screen_resolution", (1920, 1080), "res", "1920x1080"),
    ("set_viewport", (300, 200), "vp", "300x200"),
    ("set_color_depth", (24,), "cd", 24),
    ("set_timezone", ("Europe/London",), "tz", "Europe/London"),
    ("set_lang", ("en",), "lang", "en"),
    ("set_domain_user_id", ("d",), "duid", "d"),
    ("set_domain_session_id", ("s",), "sid", "s"),
    ("set_domain_session_index", (0,), "vid", 0),
    ("set_ip_address", ("1.2.3.4",), "ip", "1.2.3.4"),
    ("set_useragent", ("ua",), "ua", "ua"),
    ("set_network_user_id", ("n",), "tnuid", "n"),
    *(("set_platform", (name,), "p", name) for name in sorted(SUPPORTED_PLATFORMS)),
]
TEXT_SETTERS = [row for row in SETTERS if row[2] not in {"p", "res", "vp"}]


def sent(event_subject, subject):
    event = PageView("u", event_subject=event_subject)
    pairs = event.build_payload(True, None, subject).nv_pairs
    return {name: value for name, value in pairs.items() if name not in {"e", "url"}}


@pytest.mark.parametrize(("setter", "arguments", "name", "value"), SETTERS)
def test_setters_chain(setter, arguments, name, value):
    """Every setter sets its pair and returns the subject."""
    subject = Subject()
    assert getattr(subject, setter)(*arguments) is subject
    assert subject.standard_nv_pairs == {"p": "pc", name: value}
    assert sent(subject, None) == sent(None, subject) == {"p": "pc", name: value}


@pytest.mark.parametrize(("setter", "arguments", "name", "value"), TEXT_SETTERS)
def test_none_is_not_sent(setter, arguments, name, value):
    """A value that is set to `None` is left out, also where the tracker's subject has one."""
    subject, other = Subject(), Subject()
    getattr(other, setter)(*arguments)
    getattr(subject, setter)(*arguments)
    getattr(subject, setter)(None)
    assert name not in sent(subject, None)
    assert name not in sent(subject, other)


def test_the_pairs_are_live():
    """What is put into the pairs themselves is sent."""
    subject = Subject()
    subject.standard_nv_pairs["uid"] = "x"
    assert sent(None, subject) == {"p": "pc", "uid": "x"}
    assert subject.combine_subject(None) is subject.standard_nv_pairs


def test_the_subject_of_an_event_goes_first():
    """The values of the two subjects are combined, and neither is changed."""
    of_event = Subject().set_user_id("e")
    of_tracker = Subject().set_user_id("t").set_lang("de")
    assert of_event.combine_subject(of_tracker) == {"p": "pc", "uid": "e", "lang": "de"}
    assert sent(of_event, of_tracker) == {"p": "pc", "uid": "e", "lang": "de"}
    assert of_event == Subject().set_user_id("e")
    assert of_tracker == Subject().set_user_id("t").set_lang("de")


def put_into_pairs(subject, platform):
    subject.standard_nv_pairs["p"] = platform
    return subject


@pytest.mark.parametrize(
    ("of_event", "of_tracker", "platform"),
    [
        (Subject(), Subject(), "pc"),
        (Subject(), Subject().set_platform("srv"), "srv"),
        (Subject().set_platform("web"), Subject().set_platform("srv"), "web"),
        (Subject().set_platform("pc"), Subject().set_platform("srv"), "pc"),
        (Subject().set_platform("web"), Subject(), "web"),
        (put_into_pairs(Subject(), "web"), Subject().set_platform("srv"), "web"),
        (Subject(), put_into_pairs(Subject(), "srv"), "srv"),
        (Subject(), put_into_pairs(Subject(), None), "pc"),
        (Subject(), None, "pc"),
    ],
)
def test_only_a_platform_that_was_chosen_overrides(of_event, of_tracker, platform):
    """The default platform of an event's subject gives way to that of the tracker's."""
    assert sent(of_event, of_tracker)["p"] == platform


def test_subjects_are_values():
    """Subjects that say the same are equal; copies are independent and keep the choice."""
    subject = Subject().set_platform("pc").set_lang("en")
    for twin in copies(subject):
        assert twin == subject
        assert sent(twin, Subject().set_platform("srv"))["p"] == "pc"
        twin.set_lang("de")
        assert twin != subject
    assert repr(subject) == "<Subject {'p': 'pc', 'lang': 'en'}>"
    assert len({subject, Subject().set_platform("pc").set_lang("en")}) == 1
