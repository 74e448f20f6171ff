"""Arguments of the wrong type are refused where they are passed, by name."""

import json
from unittest import mock

import pytest

from snowplow_tracker import (
    Emitter,
    EmitterConfiguration,
    Event,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    Snowplow,
    StructuredEvent,
    Subject,
    Tracker,
    TrackerConfiguration,
    disable_contracts,
    enable_contracts,
)
from snowplow_tracker.testing import RecordingEmitter

EMITTER = RecordingEmitter()
BODY = SelfDescribingJson("iglu:a", {})
ID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


class Unknown:
    pass


class OwnEncoder(json.JSONEncoder):
    pass


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Tracker("n", "http://me:secret@host"), "emitters must be an emitter or a list of them, not str. For an endpoint: Emitter(endpoint)."),
        (lambda: Tracker(EMITTER, "n"), "namespace must be a string, not RecordingEmitter."),
        (lambda: Tracker(["n"], EMITTER), "namespace must be a string, not list."),
        (lambda: Tracker("n", None), "emitters must be an emitter or a list of them, not None."),
        (lambda: Tracker("n", 5), "emitters must be an emitter or a list of them, not int."),
        (lambda: Tracker("n", Emitter), "emitters must be an emitter or a list of them, not the class Emitter."),
        (lambda: Tracker("n", {EMITTER}), "emitters must be an emitter or a list of them, not set."),
        (lambda: Tracker("n", [EMITTER, "h"]), "emitters[1] must be an emitter, not str. For an endpoint: Emitter(endpoint)."),
        (lambda: Tracker("n", EMITTER, 5), "subject must be a Subject, not int."),
        (lambda: Tracker("n", EMITTER, "app"), "subject must be a Subject, not str."),
        (lambda: Tracker("n", EMITTER, Subject), "subject must be a Subject, not the class Subject."),
        (lambda: Tracker("n", EMITTER, app_id=Subject()), "app_id must be a string, not Subject."),
        (lambda: Tracker("n", EMITTER, json_encoder=5), "json_encoder must be a function, not int."),
        (lambda: Tracker("n", EMITTER, json_encoder=OwnEncoder), "json_encoder must be a function, not the class OwnEncoder: its method OwnEncoder().default is one."),
        (lambda: TrackerConfiguration(json_encoder="x"), "json_encoder must be a function, not str."),
        (lambda: Emitter("h", custom_retry_codes={"5xx": True}), "custom_retry_codes: a status must be an integer, got '5xx'."),
        (lambda: Emitter("h", custom_retry_codes={503: "yes"}), "custom_retry_codes[503] must be a bool, got 'yes'."),
        (lambda: EmitterConfiguration(custom_retry_codes=[503]), "custom_retry_codes must be a mapping of statuses to bools, got list."),
        (lambda: Tracker("n", EMITTER).set_subject("me"), "subject must be a Subject, not str."),
        (lambda: Tracker("n", EMITTER).add_emitter(Emitter), "emitter must be an emitter, not the class Emitter."),
        (lambda: Tracker("n", EMITTER).track(PageView), "event must be an Event, not the class PageView."),
        (lambda: Snowplow.create_tracker("n", "h", tracker_config=5), "tracker_config must be of type TrackerConfiguration, not int."),
        (lambda: Snowplow.create_tracker("n", "h", emitter_config=EmitterConfiguration), "emitter_config must be of type EmitterConfiguration, not the class EmitterConfiguration."),
        (lambda: PageView("u", event_subject={}), "event_subject must be a Subject, not dict."),
        (lambda: setattr(PageView("u"), "event_subject", Subject), "event_subject must be a Subject, not the class Subject."),
        (lambda: PageView("u", parameters=[("a", "b")]), "parameters must be a mapping, not list."),
        (lambda: PageView("u", parameters={1: "b"}), "parameters must have strings as names, not int."),
    ],
)  # fmt: skip
def test_a_wrong_type_is_a_type_error(call, message):
    """The error names the parameter and what was given, and shows no secret."""
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PageView("u", context=[SelfDescribingJson]), "context must be a list of SelfDescribingJson, and context[0] is the class SelfDescribingJson."),
        (lambda: PageView("u", context=SelfDescribingJson), "context must be a list of SelfDescribingJson, not the class SelfDescribingJson."),
        (lambda: SelfDescribing(SelfDescribingJson), "event_json must be a SelfDescribingJson, not the class SelfDescribingJson."),
        (lambda: PageView("u", event_id=5), "event_id must be a UUID, not 5 (int)."),
        (lambda: PageView("u", created_timestamp="soon"), "created_timestamp must be a point in time, not 'soon' (str)."),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_value_error(call, message):
    """What 1.1.0's contracts check stays a `ValueError`."""
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message


def test_what_1_1_0_accepts_goes_on():
    """Whatever takes events is an emitter; stand-ins, no namespace and no subject are accepted."""
    for emitter in (mock.Mock(), mock.MagicMock(spec=Emitter), RecordingEmitter()):
        Tracker("n", emitter).track(PageView("u"))
        Tracker(None, [emitter], None, None).track(PageView("u"))
    Tracker("n", EMITTER, mock.Mock(standard_nv_pairs={"p": "pc"}), 5, json_encoder=str)
    Tracker("n", (EMITTER,), app_id=b"app", json_encoder=OwnEncoder().default)


def test_contracts_that_are_off_check_no_types():
    """Without contracts the constructor takes anything, as in 1.1.0."""
    disable_contracts()
    try:
        assert Tracker(EMITTER, "n", 5).emitters == ["n"]
        PageView("u", event_subject={})
    finally:
        enable_contracts()


@pytest.mark.parametrize("app_id", [0, 0.0, False])
def test_a_falsy_app_id_is_sent(app_id):
    """An application may have the id 0."""
    emitter = RecordingEmitter()
    Tracker("n", emitter, app_id=app_id).track(PageView("u"))
    assert emitter.payloads[0]["aid"] == app_id


KINDS = [
    lambda **options: Event({"e": "tr"}, **options),
    lambda **options: PageView("u", **options),
    lambda **options: PagePing("u", **options),
    lambda **options: StructuredEvent("c", "a", **options),
    lambda **options: ScreenView(name="n", **options),
    lambda **options: SelfDescribing(BODY, **options),
]


@pytest.mark.parametrize("make", KINDS)
def test_options_of_every_event(make):
    """Every class takes an id, a time of creation and parameters of its own, and sends them each time."""
    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter, Subject().set_lang("en"))
    event = make(
        event_id=ID, created_timestamp=1_700_000_000_000, parameters={"tr_id": 7, "refr": None}
    )
    for _ in range(2):
        assert tracker.track(event) == ID
    for pairs in emitter.payloads:
        assert (pairs["eid"], pairs["dtm"], pairs["tr_id"]) == (ID, 1_700_000_000_000, 7)
        assert "refr" not in pairs
    assert (event.event_id, event.created_timestamp) == (ID, 1_700_000_000_000)
    assert f"event_id='{ID}', created_timestamp=1700000000000" in repr(event)
    event.event_id = event.created_timestamp = None
    assert tracker.track(event) != ID
    assert emitter.payloads[-1]["dtm"] != 1_700_000_000_000
    assert make() != event


def test_an_id_among_the_pairs_is_respected():
    """An id or a time that is among the pairs of an event, or was added to them, is not overwritten."""
    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter)
    event = PageView("u")
    event.payload.add("eid", ID)
    event.payload.add("dtm", 5)
    assert tracker.track(event) == tracker.track(Event({"e": "pv", "eid": ID})) == ID
    assert emitter.payloads[0]["dtm"] == 5


def test_an_option_leaves_the_id_and_the_time_among_the_pairs():
    """An event with an id or a time of creation among its pairs keeps them, whatever other option it has."""
    pairs = {"e": "pv", "eid": ID, "dtm": 1_700_000_000_000}
    event = Event(pairs, parameters={"tr_id": "7"})
    assert (event.event_id, event.created_timestamp) == (ID, 1_700_000_000_000)
    event = Event(pairs, created_timestamp=1_600_000_000_000)
    assert (event.event_id, event.created_timestamp) == (ID, 1_600_000_000_000)


def test_the_path_to_what_has_no_json_form():
    """The error names the entity or event, the path in its data, and the type with its module."""
    entities = [BODY, SelfDescribingJson("iglu:b", {"items": [1, 2, 3, {"when": Unknown()}]})]
    tracker = Tracker("n", EMITTER)
    wanted = r"\.items\[3\]\.when: [\w.]*test_arguments\.Unknown has no JSON form\.$"
    with pytest.raises(TypeError, match=r"^context\[1\]\.data" + wanted):
        tracker.track(PageView("u", context=entities))
    with pytest.raises(TypeError, match=r"^event_json\.data" + wanted):
        tracker.track(SelfDescribing(entities[1]))
