"""Which of several values of one parameter is sent: that of the event, its subject, a scope or the tracker's subject."""

from __future__ import annotations

import contextlib
import random

import pytest

from snowplow_tracker import (
    Event,
    PageView,
    Scope,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)
from snowplow_tracker.payload import Payload
from snowplow_tracker.testing import RecordingEmitter

SCHEMA = "iglu:com.acme/thing/jsonschema/1-0-0"
ID = "c3af7b8a-b2c2-492e-b762-a4eaa05bba4b"
PAGE = ("url", "page", "refr")
IDENTIFIERS = ("uid", "duid", "tnuid", "sid", "vid", "ip")
NAMES = ("p", "uid", "ip", "lang", "res", *PAGE, "se_ca")


class Click(Event):
    """A type of a user, written as for 1.1.0."""

    def build_payload(self, encode_base64, json_encoder, subject=None):
        self.payload.add("se_ac", "click")
        return super().build_payload(encode_base64, json_encoder, subject)


class OwnWay:
    """An event of a class of its own."""

    event_subject = None

    def build_payload(self, encode_base64, json_encoder, subject=None):
        payload = Payload({"e": "pv", "url": "own"})
        payload.add_dict(subject.standard_nv_pairs)
        return payload


def values(chance, who):
    """Some parameters with a value that names who has it, or None."""
    return {
        name: None if chance.random() < 0.15 else "web" if name == "p" else who
        for name in NAMES
        if chance.random() < 0.3
    }


def a_subject(chance, who):
    if chance.random() < 0.3:
        return None
    subject = Subject()
    if chance.random() < 0.3:
        subject.set_platform("mob")
    found = values(chance, who)
    found.pop("p", None)
    subject.standard_nv_pairs.update(found)
    return subject


def an_event(chance):
    """An event of some type, and the parameters that it has itself."""
    own = {name: value for name, value in values(chance, "event").items() if value}
    subject = a_subject(chance, "event subject")
    options = {"event_subject": subject}
    if chance.random() < 0.3:
        options["context"] = [SelfDescribingJson(SCHEMA, {"event": 1})]
    if chance.random() < 0.3:
        options.update(true_timestamp=1_700_000_000_000)
    more = {**options, "parameters": own}
    if chance.random() < 0.3:
        more.update(event_id=ID, created_timestamp=1_600_000_000_000)
    kind = chance.randrange(6)
    if kind == 0:
        return PageView("own", **more), {"url": "own", **own}
    if kind == 1:
        return StructuredEvent("own", "a", **more), {"se_ca": "own", **own}
    if kind == 2:
        return SelfDescribing(SelfDescribingJson(SCHEMA, {"y": 2}), **more), own
    if kind == 3:
        return ScreenView(id_=ID, name="n", **more), own
    if kind == 4:
        return Click(dict(own), **options), own
    return Event({"e": "pp", **own}, **options), own


def tracked(event, subject, scopes, *, hook=False, entity=False):
    """The parameters of an event that is tracked inside of scopes, without those that differ each time."""
    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter, encode_base64=False)
    tracker.set_subject(subject)
    if hook:
        tracker.before_track(lambda event: event)
    if entity:
        tracker.add_global_contexts([SelfDescribingJson(SCHEMA, {"everywhere": 1})])
    with contextlib.ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(scope)
        event_id = tracker.track(event)
    sent = dict(emitter.events[0].parameters)
    if event_id != ID:
        del sent["eid"], sent["dtm"]
    return sent


def expected(name, own, event_subject, scope, subject):
    """The value to send, by the rule in the documentation."""
    around = own.get(name) or scope[name] if name in scope else subject.get(name)
    if event_subject is not None and name == "p" and not event_subject._platform_chosen:
        return around or "pc"
    said = {} if event_subject is None else event_subject.standard_nv_pairs
    from_subject = said.get(name, around)
    if name in PAGE:
        return own.get(name) or from_subject
    return from_subject or own.get(name) or ("pc" if name == "p" else None)


def test_each_parameter_has_the_value_of_the_first_that_says_it():
    """Whatever says a parameter, and whatever hides it, the value that is sent is that of one written rule."""
    for seed in range(1_500):
        chance = random.Random(seed)
        subject = a_subject(chance, "tracker")
        event, own = an_event(chance)
        outer, inner = values(chance, "outer"), values(chance, "inner")
        anonymous = chance.random() < 0.2
        scopes = [Scope(parameters=outer, anonymous=anonymous), Scope(parameters=inner)]
        sent = tracked(event, subject, scopes if seed % 3 else [])
        of_scope = {**outer, **inner} if seed % 3 else {}
        of_tracker = {} if subject is None else subject.standard_nv_pairs
        for name in NAMES:
            value = expected(name, own, event.event_subject, of_scope, of_tracker)
            if anonymous and seed % 3 and name in IDENTIFIERS:
                value = None
            assert sent.get(name) == value, (seed, name)


def test_a_hook_that_changes_nothing_changes_no_event():
    """An event that went through a hook has the parameters and entities that it has without one, in any scope."""
    for seed in range(1_500):
        results = []
        for hook in (False, True):
            chance = random.Random(seed)
            event, _ = an_event(chance)
            subject = a_subject(chance, "tracker")
            scopes = [
                Scope(
                    parameters=values(chance, "scope"),
                    anonymous=chance.choice([None, None, True, False]),
                    entities=[SelfDescribingJson(SCHEMA, {"scope": 1})][: chance.randrange(2)],
                )
                for _ in range(chance.randrange(3))
            ]
            results.append(tracked(event, subject, scopes, hook=hook, entity=seed % 2 == 0))
        assert results[0] == results[1], seed


@pytest.mark.parametrize("hook", [False, True])
def test_a_scope_adds_what_it_has_and_changes_nothing_else(hook):
    """An empty scope changes no event, and one with another parameter adds this parameter to it and no more."""
    for seed in range(1_000):
        chance = random.Random(seed)
        event, _ = an_event(chance)
        subject = a_subject(chance, "tracker")
        outside = tracked(event, subject, [])
        assert tracked(event, subject, [Scope()], hook=hook) == outside, seed
        scope = Scope(parameters={"fp": "5", "tz": "Europe/London"})
        inside = tracked(event, subject, [scope], hook=hook)
        assert inside == {**outside, "fp": "5", "tz": "Europe/London"}, seed


@pytest.mark.parametrize("hook", [False, True])
def test_parameters_of_an_event_come_before_scopes_and_after_subjects(hook):
    """A subject overrides the user id among the parameters of an event, as in 1.1.0, and a scope does not."""
    view = PageView("https://a.example/", parameters={"uid": "event"})
    subject = Subject().set_user_id("tracker")
    for scope, user in [(None, "tracker"), ({"page": "T"}, "tracker"), ({"uid": "s"}, "event")]:
        scopes = [] if scope is None else [Scope(parameters=scope)]
        assert tracked(view, subject, scopes, hook=hook)["uid"] == user


def test_a_class_of_its_own_keeps_its_page():
    """The page of a scope does not replace the one that an event of any class has, and its other values are added."""
    with Scope(page_url="scope", page_title="scope", user_id="u"):
        sent = tracked(OwnWay(), Subject().set_page_title("tracker"), [])
    assert (sent["url"], sent["page"], sent["uid"]) == ("own", "scope", "u")


def test_a_page_that_a_scope_hides_stays_hidden_behind_a_hook():
    """A scope without a page hides that of the tracker's subject, with a hook as well."""
    with Scope(page_url=None):
        sent = tracked(StructuredEvent("a", "b"), Subject().set_page_url("tracker"), [], hook=True)
    assert "url" not in sent
