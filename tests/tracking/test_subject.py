"""Subjects."""

import pytest

from snowplow_tracker.events import PageView, StructuredEvent
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


NEW_SETTERS = [
    ("set_document_size", (800, 3000.0), "ds", "800x3000"),
    ("set_document_charset", ("UTF-8",), "cs", "UTF-8"),
    ("set_cookies_allowed", (True,), "cookie", "1"),
    ("set_cookies_allowed", (False,), "cookie", "0"),
    ("set_cookies_allowed", (None,), "cookie", None),
    ("set_page_url", ("https://acme.com/",), "url", "https://acme.com/"),
    ("set_page_title", ("t",), "page", "t"),
    ("set_referrer", ("https://r",), "refr", "https://r"),
]


@pytest.mark.parametrize(("setter", "arguments", "name", "value"), NEW_SETTERS)
def test_more_setters_chain(setter, arguments, name, value):
    """The setters that 1.1.0 does not have set their pair and return the subject."""
    subject = Subject()
    assert getattr(subject, setter)(*arguments) is subject
    assert subject.standard_nv_pairs == {"p": "pc", name: value}


@pytest.mark.parametrize("own", [False, True], ids=["of the tracker", "of the event"])
def test_the_page_of_a_subject_is_for_events_that_say_none(own):
    """Page URL, title and referrer go out with any event, and what an event says itself goes first."""
    subject = Subject().set_page_url("https://s").set_page_title("s").set_referrer("https://r")
    arguments = (subject, None) if own else (None, subject)
    event = StructuredEvent("c", "a", event_subject=arguments[0])
    pairs = event.build_payload(True, None, arguments[1]).nv_pairs
    assert (pairs["url"], pairs["page"], pairs["refr"]) == ("https://s", "s", "https://r")
    view = PageView("https://e", event_subject=arguments[0])
    pairs = view.build_payload(True, None, arguments[1]).nv_pairs
    assert (pairs["url"], pairs["page"], pairs["refr"]) == ("https://e", "s", "https://r")


def test_a_repr_shows_no_personal_data():
    """The `repr` names what is set, and shows only what identifies nobody."""
    subject = Subject().set_user_id("ann").set_ip_address("1.2.3.4").set_lang("en")
    subject.set_useragent("secret agent").set_page_url("https://acme.com/?token=x")
    shown = repr(subject)
    assert (
        shown == "<Subject {'p': 'pc', 'uid': ..., 'ip': ..., 'lang': 'en', 'ua': ..., 'url': ...}>"
    )
    assert "ann" not in repr(PageView("u", event_subject=subject))


def test_an_anonymous_subject_has_no_identifiers():
    """`anonymise` drops ids and address, and keeps those of the tracker's subject from being sent, too."""
    person = (
        Subject().set_user_id("u").set_domain_user_id("d").set_network_user_id("n").set_lang("en")
    )
    person.set_ip_address("1.2.3.4").set_domain_session_id("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    twin = person.copy()
    assert twin.anonymise() is twin
    assert sent(twin, person) == sent(None, twin) == {"p": "pc", "lang": "en"}
    assert sent(None, person)["uid"] == "u"


def test_a_copy_is_independent():
    """A changed copy leaves the original alone."""
    subject = Subject().set_lang("en")
    assert subject.copy().set_lang("de") != subject == Subject().set_lang("en")


SESSION = "5a2b0c9e-1111-4222-8333-444455556666"


@pytest.mark.parametrize(
    ("cookie", "pairs"),
    [
        (
            f"c7aadf.1600000000.3.1600000001.1600000000.{SESSION}",
            {"duid": "c7aadf", "vid": "3", "sid": SESSION},
        ),
        (
            f" c7aadf.1.3.1.1.{SESSION}.{SESSION}.{SESSION}.2.7 ",
            {"duid": "c7aadf", "vid": "3", "sid": SESSION},
        ),
        (f"c7aadf.1.03.1.1.{SESSION.upper()}", {"duid": "c7aadf", "vid": "3", "sid": SESSION}),
        ("c7aadf%2E1%2E3", {"duid": "c7aadf", "vid": "3"}),
        ("c7aadf.1.x.1.1.none", {"duid": "c7aadf"}),
        ("c7aadf", {"duid": "c7aadf"}),
        (f".1.99999999999999.1.1.{SESSION}", {"sid": SESSION}),
        (f"{'x' * 129}.1.\uff12", {}),
        (b"c7aadf.1.3", {"duid": "c7aadf", "vid": "3"}),
        ("a\nb", {}),
        ("", {}),
        (None, {}),
        (5, {}),
    ],
)
def test_the_cookie_of_the_javascript_tracker(cookie, pairs, caplog):
    """What an `_sp_id` cookie says is taken over; what cannot be read leaves the subject as it is."""
    assert Subject.from_id_cookie(cookie).standard_nv_pairs == {"p": "pc", **pairs}
    subject = Subject().set_domain_user_id("old")
    assert subject.set_from_id_cookie(cookie) is subject
    assert subject.standard_nv_pairs == {"p": "pc", "duid": "old", **pairs}
    assert not caplog.records
