"""The tracker."""

import copy
import logging
import time
import types
import uuid
from unittest import mock

import pytest
from freezegun import freeze_time

from snowplow_tracker.events import Event, PageView, ScreenView, SelfDescribing
from snowplow_tracker.payload import Payload
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.testing import RecordingEmitter
from snowplow_tracker.tracker import VERSION, Tracker

ENTITY = SelfDescribingJson("iglu:entity", {})


class Kept:
    """An emitter that has nothing but `input`."""

    def __init__(self):
        self.events = []

    def input(self, payload):
        self.events.append(payload)


class Failing:
    """An emitter that raises whatever it is asked."""

    def input(self, payload):
        payload.clear()
        self.flush()

    def flush(self):
        raise RuntimeError("no")

    sync_flush = close = flush


@pytest.fixture
def emitter():
    return Kept()


@pytest.fixture
def tracker(emitter):
    return Tracker("ns", emitter, app_id="app")


def test_what_a_tracker_adds(tracker, emitter):
    """An event gets an id, the time, and what the tracker knows; `track` returns the id."""
    before = int(time.time() * 1000)
    event_id = tracker.track(PageView("u"))
    (pairs,) = emitter.events
    assert before <= pairs.pop("dtm") <= int(time.time() * 1000)
    assert pairs == {
        "e": "pv",
        "url": "u",
        "p": "pc",
        "eid": event_id,
        "tv": VERSION,
        "tna": "ns",
        "aid": "app",
    }
    assert str(uuid.UUID(event_id)) == event_id


def test_attributes(emitter):
    """What users read off a tracker is there."""
    subject = Subject()
    tracker = Tracker("ns", emitter, subject, None, False, repr)
    assert tracker.emitters == [emitter]
    assert tracker.subject is subject
    assert (tracker.encode_base64, tracker.json_encoder, tracker.timer) == (False, repr, None)
    assert tracker.standard_nv_pairs == {"tv": VERSION, "tna": "ns", "aid": None}
    assert tracker.get_namespace() == "ns"
    assert "aid" not in tracker.complete_payload(PageView("u")).nv_pairs


def test_a_frozen_clock_is_the_time(tracker):
    """The time comes from `time.time`, where freezegun puts its own."""
    with freeze_time("2013-05-16 17:28:07.123"):
        assert tracker.complete_payload(PageView("u")).nv_pairs["dtm"] == 1368725287123
        assert Tracker.get_timestamp() == 1368725287123
    assert Tracker.get_timestamp(5.9) == 5
    assert Tracker.get_timestamp(0) == 0


def test_subject_and_pairs_are_live(tracker, emitter):
    """A tracker reads its subject and pairs for every event."""
    subject = Subject()
    assert tracker.set_subject(subject) is tracker
    subject.set_user_id("late")
    tracker.standard_nv_pairs["tna"] = "other"
    tracker.track(PageView("u"))
    assert (emitter.events[0]["uid"], emitter.events[0]["tna"]) == ("late", "other")


def test_there_is_always_a_platform(tracker, emitter):
    """An event about nobody has the default platform."""
    assert tracker.set_subject(None) is tracker
    tracker.track(PageView("u"))
    assert emitter.events[0]["p"] == "pc"


def test_an_event_can_be_tracked_again():
    """Two trackers of one event do not see each other's subject, and leave the event alone."""
    first, second = Kept(), Kept()
    event = PageView("u", context=[ENTITY])
    before = copy.deepcopy(vars(event))
    Tracker("a", first, Subject().set_user_id("x")).track(event)
    Tracker("b", second, Subject().set_platform("srv")).track(event)
    assert "uid" not in second.events[0]
    assert second.events[0]["p"] == "srv"
    assert first.events[0]["eid"] != second.events[0]["eid"]
    assert vars(event) == before


@pytest.mark.parametrize("make", [list, tuple])
def test_emitters_are_copied(make, emitter):
    """The caller's list stays the caller's; the tracker's is live."""
    given = make([emitter])
    tracker = Tracker("ns", given)
    assert tracker.add_emitter(Kept()) is tracker
    assert len(given) == 1
    tracker.track(PageView("u"))
    assert all(len(each.events) == 1 for each in tracker.emitters)


def test_emitters_do_not_disturb_each_other(caplog):
    """Every emitter gets its own dictionary; one that raises is logged and keeps nothing back."""
    first, last = Kept(), Kept()
    tracker = Tracker("ns", [first, Failing(), last])
    event_id = tracker.track(PageView("u"))
    assert first.events == last.events
    assert first.events[0] is not last.events[0]
    assert first.events[0]["eid"] == event_id
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("snowplow_tracker.tracker", logging.ERROR)
    assert record.exc_info
    assert "Failing" in caplog.text


def test_the_id_survives_its_emitter():
    """The id is returned even if the only emitter empties what it got."""
    assert uuid.UUID(Tracker("ns", Failing()).track(PageView("u")))


@pytest.mark.parametrize("event", [None, "pv", {"e": "pv"}, ENTITY, 5])
def test_what_is_no_event_is_refused(tracker, event):
    """Something else than an event is refused by name."""
    with pytest.raises(TypeError, match=rf"event must be an Event, not {type(event).__name__}\."):
        tracker.track(event)
    assert tracker.track(PageView("u"))


def test_data_that_json_cannot_hold_is_refused(tracker, emitter):
    """An event that cannot be encoded raises at the call, and the tracker goes on."""
    with pytest.raises(TypeError, match=r"^event_json\.data\.a: object has no JSON form"):
        tracker.track(SelfDescribing(SelfDescribingJson("s", {"a": object()})))
    tracker.track(PageView("u"))
    assert len(emitter.events) == 1


def test_options_reach_the_event(emitter):
    """The tracker's encoder and choice of base64 are used."""
    tracker = Tracker("ns", emitter, encode_base64=False, json_encoder=lambda _: "asked")
    tracker.track(SelfDescribing(SelfDescribingJson("s", {"a": object()}), context=[ENTITY]))
    assert '"asked"' in emitter.events[0]["ue_pr"]
    assert "co" in emitter.events[0]
    tracker.encode_base64 = True
    tracker.track(ScreenView(name="n"))
    assert "ue_px" in emitter.events[1]


class TestSeams:
    """What subclasses override and tests patch."""

    def test_overrides_take_effect(self, emitter):
        """Ids, times and payloads of a subclass are what is sent."""

        class Own(Tracker):
            @staticmethod
            def get_uuid():
                return "my-id"

            @staticmethod
            def get_timestamp(tstamp=None):
                return 5

            def complete_payload(self, event):
                payload = super().complete_payload(event)
                payload.add("aid", "mine")
                return payload

        assert Own("ns", emitter).track(event=PageView("u")) == "my-id"
        assert emitter.events[0]["dtm"] == 5
        assert emitter.events[0]["aid"] == "mine"

    def test_patches_take_effect(self, tracker, emitter):
        """A patch of the class is seen by trackers that exist."""
        with mock.patch.object(Tracker, "get_uuid", return_value="patched"):
            assert tracker.track(PageView("u")) == "patched"
        with mock.patch.object(Tracker, "complete_payload", return_value=Payload({"x": 1})):
            assert tracker.track(PageView("u")) is None
        with mock.patch.object(Event, "build_payload", return_value=Payload({"y": 1})):
            tracker.track(PageView("u"))
        assert emitter.events[1] == {"x": 1}
        assert emitter.events[2]["y"] == 1
        event = PageView("u")
        event.build_payload = mock.Mock(return_value=Payload({"z": 1}))
        tracker.track(event)
        assert emitter.events[3]["z"] == 1

    def test_a_stub_of_the_constructor_does_no_harm(self):
        """A tracker whose constructor never ran can be thrown away."""
        tracker = Tracker.__new__(Tracker)
        tracker.emitters = []
        assert tracker.flush().close() is tracker


class AddsAndReturnsOwn(PageView):
    def build_payload(self, encode_base64, json_encoder, subject=None):
        super().build_payload(encode_base64, json_encoder, subject)
        self.payload.add("mine", 1)
        return self.payload


class AddsToResult(PageView):
    def build_payload(self, encode_base64, json_encoder, subject=None):
        payload = super().build_payload(encode_base64, json_encoder, subject=subject)
        payload.add("mine", 1)
        return payload


class AddsBefore(PageView):
    __slots__ = ("more",)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.more = 1

    def build_payload(self, encode_base64, json_encoder, subject=None):
        self.payload.add("mine", self.more)
        return super().build_payload(
            encode_base64=encode_base64, json_encoder=json_encoder, subject=subject
        )


class OwnPayload(Event):
    def __init__(self, *args, **kwargs):
        super().__init__(event_subject=kwargs.get("event_subject"), context=kwargs.get("context"))
        self.payload = Payload({"e": "pv", "url": "u"})
        self.payload.add("mine", 1)


class OwnKindOfPayload(PageView):
    class Upper(Payload):
        def shout(self):
            return self.nv_pairs["mine"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.payload = self.Upper({**self.payload.nv_pairs, "mine": 1})

    def build_payload(self, encode_base64, json_encoder, subject=None):
        payload = super().build_payload(encode_base64, json_encoder, subject)
        assert payload.shout() == 1
        return payload


@pytest.mark.parametrize(
    "kind", [AddsAndReturnsOwn, AddsToResult, AddsBefore, OwnPayload, OwnKindOfPayload]
)
def test_events_of_users(kind):
    """A type of event written for 1.1.0 works, and tracking does not change its events."""
    first, second = Kept(), Kept()
    event = kind("u", event_subject=Subject().set_lang("en"), context=[ENTITY])
    before = copy.deepcopy(event)
    Tracker("a", first, Subject().set_user_id("x")).track(event)
    Tracker("b", second).track(event)
    (pairs,) = first.events
    expected = {"e": "pv", "url": "u", "mine": 1, "lang": "en", "p": "pc", "uid": "x", "tna": "a"}
    assert expected.items() <= pairs.items()
    assert "cx" in pairs
    assert "uid" not in second.events[0]
    assert event == before


def test_whatever_builds_a_payload_is_an_event(tracker, emitter):
    """An object that is no `Event`, but builds a payload, can be tracked again and again."""
    own = Payload({"e": "xx"})
    event = types.SimpleNamespace(payload=own, build_payload=lambda **_: own)
    assert tracker.track(event) != tracker.track(event)
    assert own.nv_pairs == {"e": "xx"}
    assert len(emitter.events) == 2


class Recording(Kept):
    def __init__(self, *names):
        super().__init__()
        self.calls = []
        for name in names:
            setattr(
                self, name, lambda *args, _name=name, **kw: self.calls.append((_name, args, kw))
            )


class WithoutTimeout(Kept):
    def sync_flush(self):
        self.flushed = True


class TestEnding:
    """Flushing and closing."""

    @pytest.mark.parametrize(
        ("call", "method"),
        [
            (lambda tracker: tracker.flush(), "sync_flush"),
            (lambda tracker: tracker.flush(True), "flush"),
            (lambda tracker: tracker.flush(is_async=True), "flush"),
            (lambda tracker: tracker.close(), "close"),
        ],
    )
    def test_what_is_called(self, call, method):
        """Each call reaches its method, of every emitter, without arguments; the rest goes on."""
        emitters = [Recording("flush", "sync_flush", "close") for _ in range(2)]
        tracker = Tracker("ns", [emitters[0], Failing(), Kept(), emitters[1]])
        assert call(tracker) is tracker
        for emitter in emitters:
            assert emitter.calls == [(method, (), {})]

    def test_a_flush_that_does_not_wait_takes_no_timeout(self):
        """A timeout beside `is_async=True` is an error that names both, and nothing is flushed."""
        emitter = Recording("flush", "sync_flush")
        with pytest.raises(ValueError, match=r"timeout .* is_async=True"):
            Tracker("ns", emitter).flush(is_async=True, timeout=5)
        assert emitter.calls == []

    def test_emitters_that_cannot_close_are_flushed(self):
        """Closing sends what an emitter holds that has no end of its own."""
        emitter = Recording("sync_flush")
        with Tracker("ns", emitter) as tracker:
            tracker.track(PageView("u"))
        assert emitter.calls == [("sync_flush", (), {})]
        assert len(emitter.events) == 1

    def test_a_failure_is_logged(self, caplog):
        """An emitter that raises is logged with its traceback."""
        Tracker("ns", Failing()).flush()
        (record,) = caplog.records
        assert (record.name, bool(record.exc_info)) == ("snowplow_tracker.tracker", True)

    @pytest.mark.parametrize("call", [Tracker.flush, Tracker.close])
    def test_emitters_share_one_deadline(self, call, monkeypatch):
        """Each emitter gets its share of what is left of the time; none gets less than nothing."""
        now = [100.0]
        monkeypatch.setattr("snowplow_tracker.tracker.monotonic", lambda: now[0])
        given = []

        class Slow(Kept):
            def sync_flush(self, timeout=None):
                given.append(timeout)
                now[0] += 2.0

            close = sync_flush

        call(Tracker("ns", [Slow(), Slow(), Slow()]), timeout=3.0)
        assert given == [1.0, 0.5, 0.0]

    def test_an_emitter_without_timeout_gets_none(self):
        """A timeout is not given to a method that does not take one."""
        emitter = WithoutTimeout()
        Tracker("ns", emitter).flush(timeout=1.0)
        assert emitter.flushed


@pytest.mark.parametrize("timeout", ["5", -1, float("nan"), True])
def test_a_timeout_that_is_none_is_refused(timeout):
    """The error names the parameter, with `flush` and with `close`."""
    tracker = Tracker("n", RecordingEmitter())
    with pytest.raises((TypeError, ValueError), match="timeout"):
        tracker.flush(timeout=timeout)
    with pytest.raises((TypeError, ValueError), match="timeout"):
        tracker.close(timeout)
