"""The seams that users override in subclasses and patch in their tests."""

from __future__ import annotations

import gc
import threading
import warnings
from typing import Any, Dict, List
from unittest import mock

import pytest
import requests

from snowplow_tracker import (
    AsyncEmitter,
    Emitter,
    Event,
    PageView,
    SelfDescribing,
    SelfDescribingJson,
    Tracker,
)
from snowplow_tracker import tracker as tracker_module
from snowplow_tracker.emitters import Requester
from snowplow_tracker.payload import Payload
from support.emitters import emitter_for
from support.recorder import DEADLINE, Recorder

URL = "https://acme.com/"
EMITTERS = [Emitter, AsyncEmitter]


def track(emitter: Any, count: int = 1) -> Tracker:
    """Track some page views."""
    tracker = Tracker("ns", emitter)
    for number in range(count):
        tracker.track(PageView(f"{URL}{number}"))
    return tracker


# --- subclasses of emitters --------------------------------------------------------------------


class ResponseEmitter(Emitter):
    """Posts by itself and returns the whole response, as dbt does."""

    def http_post(self, payload: str) -> Any:  # type: ignore[override]
        """Post with settings of its own."""
        return requests.post(
            self.endpoint,
            data=payload,
            headers={"content-type": "application/json; charset=utf-8"},
            timeout=5.0,
        )

    def http_get(self, payload: Dict[str, Any]) -> Any:
        """Get with settings of its own."""
        return requests.get(self.endpoint, params=payload, timeout=5.0)


@pytest.mark.parametrize("method", ["post", "get"])
@pytest.mark.parametrize("status", [200, 204, 400])
def test_a_response_is_understood_as_its_status(
    recorder: Recorder, method: str, status: int
) -> None:
    """An override that returns a `requests.Response` is judged by the response's status."""
    recorder.answer = lambda _request: status
    seen: List[Any] = []
    emitter = emitter_for(
        recorder,
        ResponseEmitter,
        method=method,
        on_success=lambda events: seen.append("sent"),
        on_failure=lambda count, events: seen.append("failed"),
    )
    track(emitter).flush()
    assert seen == ["failed" if status == 400 else "sent"]
    assert emitter.event_store.size() == 0


@pytest.mark.parametrize("cls", EMITTERS)
@pytest.mark.parametrize("error", [requests.ConnectionError, OSError, ValueError, KeyError])
def test_what_an_override_raises_is_a_failed_attempt(
    recorder: Recorder, cls: Any, error: Any
) -> None:
    """An override may let any exception out; the events stay, and go with the next attempt."""
    broken = [error("boom")]
    failures: List[Any] = []

    class Fragile(cls):  # type: ignore[misc]
        def http_post(self, data: str) -> Any:
            if broken:
                raise broken.pop()
            return super().http_post(data)

    emitter = emitter_for(
        recorder, Fragile, on_failure=lambda count, events: failures.append((count, len(events)))
    )
    track(emitter, 2).flush()
    emitter.sync_flush(timeout=5)
    assert failures == [(0, 2)]
    assert len(recorder.wait_for_events(2)) == 2
    emitter.close()


@pytest.mark.parametrize("cls", EMITTERS)
def test_http_get_is_overridable(recorder: Recorder, cls: Any) -> None:
    """`http_get` is called positionally, once for each event."""
    called: List[Any] = []

    class Mine(cls):  # type: ignore[misc]
        def http_get(self, *args: Any) -> int:
            called.append(args)
            return 200

    emitter = emitter_for(recorder, Mine, method="get")
    track(emitter, 2).flush()
    emitter.close()
    assert [arguments[0]["url"] for arguments in called] == [f"{URL}0", f"{URL}1"]
    assert not recorder.requests


def test_is_good_status_code_is_asked_on_self(recorder: Recorder) -> None:
    """An override of the static method decides what success is."""
    recorder.answer = lambda _request: 418

    class Teapot(Emitter):
        @staticmethod
        def is_good_status_code(status_code: int) -> bool:
            return status_code == 418

    sent: List[Any] = []
    track(emitter_for(recorder, Teapot, on_success=sent.append)).flush()
    assert len(sent) == 1


def test_reached_limit_decides_about_sending(recorder: Recorder) -> None:
    """An override says when a batch is full."""

    class Every(Emitter):
        def reached_limit(self) -> bool:
            return self.event_store.size() >= 2

    track(emitter_for(recorder, Every), 5)
    assert [len(request.events) for request in recorder.requests] == [2, 2]


def test_attach_sent_timestamp_can_be_replaced(recorder: Recorder) -> None:
    """An override stamps the events, and its stamp is what arrives."""

    class Stamping(Emitter):
        @staticmethod
        def attach_sent_timestamp(events: List[Dict[str, Any]]) -> None:
            for event in events:
                event["stm"] = "1234567890123"

    track(emitter_for(recorder, Stamping)).flush()
    assert recorder.events[0]["stm"] == "1234567890123"


@pytest.mark.parametrize("cls", EMITTERS)
def test_send_events_is_overridable(recorder: Recorder, cls: Any) -> None:
    """All that is sent goes through `send_events`, which may change it on the way."""
    passed: List[int] = []

    class Counting(cls):  # type: ignore[misc]
        def send_events(self, evts: List[Dict[str, Any]]) -> None:
            passed.append(len(evts))
            super().send_events([{**event, "uid": "added"} for event in evts])

    emitter = emitter_for(recorder, Counting)
    track(emitter, 3).flush()
    emitter.close()
    assert sum(passed) == 3
    assert {event["uid"] for event in recorder.events} == {"added"}


@pytest.mark.parametrize("cls", EMITTERS)
@pytest.mark.parametrize("method", ["post", "get"])
def test_copies_that_an_override_sends_count_once(
    recorder: Recorder, cls: Any, method: str
) -> None:
    """Events of which an override passes copies on are counted as themselves, whether they are sent or requeued."""
    recorder.answer = lambda _request: 503

    class Enriching(cls):  # type: ignore[misc]
        def send_events(self, evts: List[Dict[str, Any]]) -> None:
            super().send_events([{**event, "uid": "added"} for event in evts])

    emitter = emitter_for(recorder, Enriching, method=method, batch_size=100)
    # The same id twice: each copy stands for one of them.
    tracker = track(emitter, 3)
    for _ in range(2):
        tracker.track(PageView(URL, event_id="5e9f2b0c-5d27-4d43-a7c3-0d1d86b7b4c2"))
    emitter.sync_flush()
    failed = emitter.stats()
    assert (failed.tracked, failed.queued, failed.in_flight, failed.sent) == (5, 5, 0, 0)
    recorder.answer = lambda _request: 200
    emitter.sync_flush(timeout=5)
    sent = emitter.stats()
    assert (sent.tracked, sent.queued, sent.in_flight, sent.sent) == (5, 0, 0, 5)


@pytest.mark.parametrize("cls", EMITTERS)
def test_an_override_may_swallow_what_it_should_send(recorder: Recorder, cls: Any) -> None:
    """With `send_events` replaced by nothing, a flush and a close still return."""

    class Silent(cls):  # type: ignore[misc]
        def send_events(self, evts: List[Dict[str, Any]]) -> None:
            pass

    emitter = emitter_for(recorder, Silent)
    track(emitter, 3).flush()
    emitter.sync_flush(timeout=0.5)
    emitter.close(timeout=0.5)
    assert not recorder.requests


def test_input_is_overridable(recorder: Recorder) -> None:
    """An emitter may change each payload before it is queued."""

    class Mine(Emitter):
        def input(self, payload: Dict[str, Any]) -> None:
            super().input({**payload, "aid": "mine"})

    track(emitter_for(recorder, Mine)).flush()
    assert recorder.events[0]["aid"] == "mine"


def test_flush_of_a_full_batch_goes_through_self(recorder: Recorder) -> None:
    """When a batch is full, an overridden `flush` without parameters is what is called."""
    calls: List[str] = []

    class Mine(Emitter):
        def flush(self) -> None:  # type: ignore[override]
            calls.append("flush")
            super().flush()

    emitter = emitter_for(recorder, Mine, batch_size=2)
    track(emitter, 2)
    assert calls == ["flush"]
    emitter.sync_flush()
    assert calls == ["flush", "flush"]


@pytest.mark.parametrize("cls", EMITTERS)
def test_a_dropped_emitter_leaves_no_connection(cls: Any) -> None:
    """Nobody closes emitters of 1.1.0, so that a dropped one has to close its connection."""
    with Recorder() as recorder:
        emitter = cls(recorder.host, protocol="http")
        track(emitter).flush()
        recorder.wait_for(1)
        emitter.sync_flush()
        del emitter
        # An unclosed socket warns while it is collected, and warnings are errors here.
        gc.collect()


def test_an_emitter_that_never_calls_the_base_constructor_can_be_dropped() -> None:
    """An object whose `__init__` never ran is collected and ignored at the end of the program."""
    for cls in EMITTERS:
        with mock.patch.object(cls, "__init__", return_value=None):
            emitter: Any = cls("anything")
        del emitter
    with mock.patch.object(Tracker, "__init__", return_value=None):
        tracker: Any = Tracker()  # type: ignore[call-arg]
    del tracker


# --- patches in the tests of users -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("input", "snowplow_tracker.Emitter.input"),
        ("sync_flush", "snowplow_tracker.Emitter.sync_flush"),
        ("flush", "snowplow_tracker.emitters.Emitter.flush"),
        ("send_events", "snowplow_tracker.emitters.Emitter.send_events"),
        ("http_post", "snowplow_tracker.Emitter.http_post"),
    ],
)
def test_patching_the_emitter_keeps_requests_away(recorder: Recorder, name: str, path: str) -> None:
    """With one of these replaced, nothing reaches the network and the replacement is called."""
    with mock.patch(path) as patched:
        patched.return_value = 200
        emitter = emitter_for(recorder)
        track(emitter).flush()
    assert patched.called, name
    assert not recorder.requests
    emitter.event_store.get_events_batch()


@pytest.mark.parametrize(
    ("name", "method", "result"),
    [
        ("http_get", "get", 200),
        ("is_good_status_code", "post", True),
        ("reached_limit", "post", True),
        ("attach_sent_timestamp", "post", None),
    ],
)
def test_patching_a_part_of_the_emitter(
    recorder: Recorder, name: str, method: str, result: Any
) -> None:
    """A replaced part is what the rest of the emitter uses."""
    with mock.patch.object(Emitter, name, return_value=result) as patched:
        emitter = emitter_for(recorder, method=method)
        track(emitter).flush()
    assert patched.called
    emitter.close()


@pytest.mark.parametrize("cls", [Emitter, AsyncEmitter])
def test_async_flush_does_nothing(recorder: Recorder, cls: Any) -> None:
    """The method that 1.1.0 had for its protocol alone sends nothing, as there."""
    emitter = emitter_for(recorder, cls, flush_interval=None)
    track(emitter)
    assert emitter.async_flush() is None
    assert (emitter.stats().queued, recorder.requests) == (1, [])


@pytest.mark.parametrize("name", ["flush", "sync_flush", "send_events"])
def test_patching_the_threaded_emitter(recorder: Recorder, name: str) -> None:
    """The threaded emitter's own methods can be replaced, and nothing hangs."""
    with mock.patch.object(AsyncEmitter, name, return_value=None) as patched:
        emitter = emitter_for(recorder, AsyncEmitter, batch_size=1)
        called = threading.Event()
        patched.side_effect = lambda *_args, **_kwargs: called.set()
        tracker = track(emitter)
        tracker.flush()
        assert called.wait(DEADLINE)
        emitter.close(timeout=0.5)


def test_patching_the_constructors() -> None:
    """Tests replace the constructors by stubs and set attributes by hand."""
    with mock.patch("snowplow_tracker.Tracker.__init__", return_value=None) as of_tracker:
        tracker: Any = Tracker("ns", None)  # type: ignore[arg-type]
        assert of_tracker.called
    kept: List[Any] = []
    tracker.emitters = [mock.Mock(input=kept.append)]
    tracker.subject = None
    tracker.encode_base64 = False
    tracker.json_encoder = None
    tracker.standard_nv_pairs = {"tv": "py-stub", "tna": "stub", "aid": None}
    tracker.track(PageView(URL))
    assert {key: kept[0][key] for key in ("tv", "tna", "url")} == {
        "tv": "py-stub",
        "tna": "stub",
        "url": URL,
    }
    with mock.patch("snowplow_tracker.AsyncEmitter.__init__", return_value=None) as of_emitter:
        AsyncEmitter("anything")
        assert of_emitter.called


def test_a_mock_is_an_emitter() -> None:
    """A `Mock` in place of an emitter is given the payload and is flushed."""
    emitter = mock.Mock()
    Tracker("ns", emitter).track(PageView(URL))
    assert emitter.input.call_args[0][0]["url"] == URL
    Tracker("ns", emitter).flush()
    emitter.sync_flush.assert_called_once_with()
    Tracker("ns", emitter).flush(is_async=True)
    emitter.flush.assert_called_once_with()


def test_the_requester_can_be_replaced(recorder: Recorder) -> None:
    """`emitter.request_method` makes the requests, and a replaced one is used."""
    emitter = emitter_for(recorder)
    post = mock.Mock(return_value=mock.Mock(status_code=200))
    emitter.request_method = Requester(post=post, get=mock.Mock())
    track(emitter).flush()
    assert post.call_args[0][0] == emitter.endpoint
    assert post.call_args[1]["headers"] == {"Content-Type": "application/json; charset=utf-8"}
    assert not recorder.requests


# --- trackers and events -----------------------------------------------------------------------


def test_patching_ids_and_times(recorder: Recorder) -> None:
    """`Tracker.get_uuid` and `get_timestamp` are asked, so that a test can fix both."""
    tracker = Tracker("ns", emitter_for(recorder))
    with mock.patch.object(Tracker, "get_uuid", return_value="fixed"), mock.patch.object(
        Tracker, "get_timestamp", return_value=1234
    ):
        assert tracker.track(PageView(URL)) == "fixed"
    tracker.flush()
    assert recorder.events[0]["dtm"] == "1234"


def test_patching_the_source_of_ids(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """`snowplow_tracker.tracker.uuid.uuid4`, where 1.1.0 got its ids, can be patched with effect."""
    monkeypatch.setattr(Tracker, "get_uuid", vars(Tracker)["get_uuid"])  # as before, afterwards
    tracker = Tracker("ns", emitter_for(recorder, batch_size=1))
    fixed = "5e9f2b0c-5d27-4d43-a7c3-0d1d86b7b4c2"
    with mock.patch("snowplow_tracker.tracker.uuid.uuid4", return_value=fixed):
        assert tracker.track(PageView(URL)) == fixed
    assert tracker.track(PageView(URL)) not in (None, fixed)
    with mock.patch.object(Tracker, "get_uuid", return_value="patched"):
        assert tracker_module.uuid.uuid4
        assert Tracker.get_uuid() == "patched"


def test_patching_in_the_module_of_the_tracker(recorder: Recorder) -> None:
    """Patches by path, as tests of 1.1.0's users have them, take effect."""
    path = "snowplow_tracker.tracker.Tracker"
    with mock.patch(f"{path}.get_uuid", side_effect=lambda: "patched"):
        assert Tracker("ns", emitter_for(recorder)).track(PageView(URL)) == "patched"
    with mock.patch(f"{path}.track") as patched, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Tracker("ns", emitter_for(recorder)).track_page_view(URL)
    assert isinstance(patched.call_args[1]["event"], PageView)
    assert tracker_module.Tracker is Tracker


def test_complete_payload_is_overridable(recorder: Recorder) -> None:
    """`track()` sends what `complete_payload` gives."""

    class Mine(Tracker):
        def complete_payload(self, event: Event) -> Payload:
            payload = super().complete_payload(event)
            payload.add("uid", "completed")
            return payload

    tracker = Mine("ns", emitter_for(recorder))
    tracker.track(PageView(URL))
    tracker.flush()
    assert recorder.events[0]["uid"] == "completed"


def test_the_old_methods_go_through_track_self_describing_event(recorder: Recorder) -> None:
    """An override of `track_self_describing_event` sees what the other old methods make."""
    seen: List[str] = []

    class Mine(Tracker):
        def track_self_describing_event(self, event_json: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(event_json.schema.split("/")[1])
            return self

    tracker = Mine("ns", emitter_for(recorder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracker.track_link_click(URL).track_add_to_cart("sku", 1).track_remove_from_cart("sku", 1)
        tracker.track_form_change("f", "e", "INPUT", "v").track_form_submit("f")
        tracker.track_site_search(["a"]).track_screen_view("s")
    assert seen == [
        *("link_click", "add_to_cart", "remove_from_cart"),
        *("change_form", "submit_form", "site_search", "screen_view"),
    ]


def test_build_payload_is_overridable(recorder: Recorder) -> None:
    """An event class may override `build_payload` and set pairs on `self.payload`."""

    class Signup(Event):
        def __init__(self, plan: str, **common: Any) -> None:
            super().__init__(**common)
            self.payload.add("e", "se")
            self.payload.add("se_ca", "signup")
            self.plan = plan

        def build_payload(self, encode_base64: bool, json_encoder: Any, subject: Any = None) -> Any:
            self.payload.add("se_ac", self.plan)
            return super().build_payload(encode_base64, json_encoder, subject)

    tracker = Tracker("ns", emitter_for(recorder))
    tracker.track(Signup("free", true_timestamp=5))
    tracker.flush()
    event = recorder.events[0]
    assert (event["e"], event["se_ca"], event["se_ac"], event["ttm"]) == (
        "se",
        "signup",
        "free",
        "5",
    )


def test_patching_build_payload(recorder: Recorder) -> None:
    """A patched `build_payload` decides what is tracked."""
    tracker = Tracker("ns", emitter_for(recorder))
    payload = Payload({"e": "pv", "url": "patched", "p": "pc"})
    event = SelfDescribing(SelfDescribingJson("iglu:com.acme/a/jsonschema/1-0-0", {"a": 1}))
    with mock.patch.object(SelfDescribing, "build_payload", return_value=payload):
        tracker.track(event)
    tracker.flush()
    assert recorder.events[0]["url"] == "patched"
