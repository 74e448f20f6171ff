"""What users of 1.1.0 rely on beyond signatures: attributes, stores, sessions, the registry, texts."""

from __future__ import annotations

import copy
import logging
import pickle
import warnings
from typing import Any, Callable, Dict, Iterator, List
from unittest import mock

import pytest
import requests

import snowplow_tracker
from snowplow_tracker import (
    AsyncEmitter,
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
    emitters,
    subject,
    tracker,
)
from snowplow_tracker.emitters import FlushTimer
from snowplow_tracker.event_store import InMemoryEventStore
from snowplow_tracker.payload import Payload
from support import protocol
from support.emitters import emitter_for
from support.recorder import Recorder
from support.stores import FourMethodStore

URL = "https://acme.com/"
SCHEMA = "iglu:com.acme/thing/jsonschema/1-0-0"
EMITTERS = [Emitter, AsyncEmitter]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """Leave neither trackers in the registry nor contracts switched off."""
    yield
    Snowplow.reset()
    snowplow_tracker.enable_contracts()


def entity() -> SelfDescribingJson:
    """Something to attach."""
    return SelfDescribingJson(SCHEMA, {"a": 1})


# --- attributes --------------------------------------------------------------------------------


def test_attributes_of_a_tracker() -> None:
    """A tracker shows what it was made with, and its subject and emitters are live."""
    emitter = Emitter("localhost")
    held = Subject()
    encoder = repr
    made = Tracker("ns", emitter, held, "app", False, encoder)
    assert made.emitters == [emitter]
    assert made.subject is held
    assert made.encode_base64 is False
    assert made.json_encoder is encoder
    assert made.get_namespace() == "ns"
    assert made.standard_nv_pairs == {"tv": tracker.VERSION, "tna": "ns", "aid": "app"}


def test_attributes_of_a_tracker_are_read_when_used(recorder: Recorder) -> None:
    """What is set on a tracker after it was made takes effect."""
    made = Tracker("ns", Emitter("localhost"))
    made.emitters = [emitter_for(recorder)]
    made.encode_base64 = False
    made.json_encoder = lambda _value: "by my encoder"
    made.standard_nv_pairs["aid"] = "later"
    made.subject = Subject().set_user_id("later")
    made.track(SelfDescribing(SelfDescribingJson(SCHEMA, {"a": object()})))
    made.flush()
    (event,) = recorder.events
    assert event["aid"] == event["uid"] == "later"
    assert "by my encoder" in event["ue_pr"]


@pytest.mark.parametrize("cls", EMITTERS)
def test_attributes_of_an_emitter(cls: Any) -> None:
    """The attributes that monitoring and tests read are there."""
    store = InMemoryEventStore(logging.getLogger("mine"))
    emitter = cls("acme.com", "http", 99, "get", request_timeout=(1, 2), event_store=store)
    assert emitter.endpoint == "http://acme.com:99/i"
    assert emitter.event_store is store
    assert emitter.method == "get"
    assert emitter.batch_size == 1
    assert emitter.bytes_queued is None
    assert emitter.request_timeout == (1, 2)
    assert emitter.max_retry_delay_seconds == 60
    assert emitter.retry_delay == 0
    assert not emitter.timer.is_active()
    assert not emitter.retry_timer.is_active()
    with emitter.lock:
        assert cls("acme.com", byte_limit=5).bytes_queued == 0


def test_attributes_of_the_memory_store() -> None:
    """The buffer and the capacity of the store can be read."""
    store = InMemoryEventStore(logging.getLogger("mine"), buffer_capacity=2)
    assert store.add_event({"a": "1"}) is True
    assert store.event_buffer == [{"a": "1"}]
    assert store.buffer_capacity == 2
    assert store.add_event({"a": "2"}) is True
    assert store.add_event({"a": "3"}) is False
    assert store.size() == 2
    batch = store.get_events_batch()
    assert batch == [{"a": "1"}, {"a": "2"}]
    store.cleanup(batch, need_retry=True)
    assert store.size() == 2
    store.cleanup(store.get_events_batch(), need_retry=False)
    assert store.size() == 0


def test_attributes_of_the_vocabulary() -> None:
    """Subjects, self-describing JSONs and payloads show what they hold."""
    assert Subject().set_user_id("a").standard_nv_pairs["uid"] == "a"
    held = entity()
    assert (held.schema, held.data) == (SCHEMA, {"a": 1})
    assert held.to_json() == {"schema": SCHEMA, "data": {"a": 1}}
    assert held.to_string() == '{"schema": "' + SCHEMA + '", "data": {"a": 1}}'
    payload = Payload({"a": 1})
    assert payload.nv_pairs == payload.get() == {"a": 1}


def test_names_that_real_code_imports() -> None:
    """Constants and loggers are where they were."""
    assert emitters.DEFAULT_MAX_LENGTH == 10
    assert subject.DEFAULT_PLATFORM == "pc"
    assert f"py-{snowplow_tracker.__version__}" == tracker.VERSION
    assert snowplow_tracker.logger is logging.getLogger("snowplow_tracker.emitters")
    assert snowplow_tracker.snowplow.logger is logging.getLogger("snowplow_tracker.snowplow")


# --- settings that change later ----------------------------------------------------------------


def test_endpoint_and_callbacks_may_be_set_later(recorder: Recorder) -> None:
    """An emitter reads its endpoint, callbacks and batch size when it uses them."""
    emitter = emitter_for(recorder)
    sent: List[int] = []
    emitter.endpoint = f"{recorder.url}/elsewhere"
    emitter.on_success = lambda events: sent.append(len(events))
    emitter.batch_size = 2
    for _ in range(2):
        emitter.input({"e": "pv", "p": "pc", "tv": "x"})
    assert recorder.requests[0].path == "/elsewhere"
    assert sent == [2]


def test_retry_codes_may_be_set_later(recorder: Recorder) -> None:
    """The retry codes and the failure callback of a made emitter can be changed."""
    recorder.answer = lambda _request: 503
    emitter = emitter_for(recorder)
    failed: List[Any] = []
    emitter.on_failure = lambda count, events: failed.append((count, len(events)))
    emitter.custom_retry_codes[503] = False
    emitter.input({"e": "pv", "p": "pc", "tv": "x"})
    emitter.flush()
    assert failed == [(0, 1)]
    assert emitter.event_store.size() == 0


def test_a_byte_limit_may_be_set_later(recorder: Recorder) -> None:
    """A byte limit that is set on a made emitter is kept to."""
    emitter = emitter_for(recorder)
    emitter.byte_limit = 1
    emitter.bytes_queued = 0
    emitter.input({"e": "pv", "p": "pc", "tv": "x"})
    assert len(recorder.requests) == 1


def test_the_timeout_is_handed_to_the_session() -> None:
    """`request_timeout` reaches the user's session as it is, also when it was set later."""
    session = SessionLike()
    emitter = Emitter("localhost", session=session, request_timeout=3)  # type: ignore[arg-type]
    emitter.input({"e": "pv"})
    emitter.flush()
    emitter.request_timeout = (1, 2)
    emitter.input({"e": "pv"})
    emitter.flush()
    assert [options["timeout"] for _, options in session.calls] == [3, (1, 2)]


def test_the_flush_timer_runs_and_stops() -> None:
    """A flush timer can be started, asked and cancelled, and so can one made by hand."""
    emitter = Emitter("localhost")
    emitter.set_flush_timer(60)
    assert emitter.timer.is_active()
    emitter.cancel_flush_timer()
    assert not emitter.timer.is_active()
    timer = FlushTimer(emitter=emitter, repeating=False)
    assert timer.start(60) is True
    assert timer.is_active()
    timer.cancel()


# --- sessions and stores -----------------------------------------------------------------------


class SessionLike:
    """No session, but with the two methods of one."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.calls: List[Any] = []

    def _answer(self, url: str, **options: Any) -> Any:
        self.calls.append((url, options))
        return type("Answer", (), {"status_code": self.status})()

    post = get = _answer


@pytest.mark.parametrize("cls", EMITTERS)
@pytest.mark.parametrize("method", ["post", "get"])
def test_a_session_is_anything_with_post_and_get(cls: Any, method: str) -> None:
    """A user's object is called as a session would be, and its status code counts."""
    session = SessionLike()
    sent: List[Any] = []
    emitter = cls("localhost", method=method, session=session, on_success=sent.append)
    Tracker("ns", emitter).track(PageView(URL))
    emitter.sync_flush()
    assert len(sent) == 1
    url, options = session.calls[0]
    assert url == emitter.endpoint
    assert ("params" in options, "data" in options) == (method == "get", method == "post")


def test_a_session_is_used_as_it_is(recorder: Recorder) -> None:
    """The headers, cookies and adapters of a user's session apply."""
    with requests.Session() as session:
        session.headers["X-Mine"] = "yes"
        session.cookies.set("mine", "1")
        session.auth = ("user", "secret")
        emitter = emitter_for(recorder, session=session)
        Tracker("ns", emitter).track(PageView(URL))
        emitter.flush()
    headers = recorder.requests[0].headers
    assert headers["X-Mine"] == "yes"
    assert headers["Cookie"] == "mine=1"
    assert headers["Authorization"].startswith("Basic ")


class FewParameters:
    """A session whose methods take what 1.1.0 passed, and nothing else."""

    def __init__(self) -> None:
        self.calls: List[str] = []

    def post(self, url: str, data: Any = None, headers: Any = None, timeout: Any = None) -> Any:
        """Answer 200."""
        self.calls.append("post")
        return mock.Mock(status_code=200)

    def get(self, url: str, params: Any = None, timeout: Any = None) -> Any:
        """Answer 200."""
        self.calls.append("get")
        return mock.Mock(status_code=200)


@pytest.mark.parametrize("method", ["post", "get"])
@pytest.mark.parametrize("cls", EMITTERS)
def test_a_session_with_few_parameters(cls: Any, method: Any) -> None:
    """A user's session needs no parameters but those of 1.1.0's calls."""
    session: Any = FewParameters()
    emitter = cls("localhost", "http", method=method, session=session, batch_size=1)
    Tracker("ns", emitter).track(PageView(URL))
    assert emitter.sync_flush(timeout=5) == 0
    assert session.calls == [method]


def test_a_replaced_function_with_few_parameters() -> None:
    """A function in `request_method`, or an override of `Session.request`, needs no parameters but those of 1.1.0."""
    few = FewParameters()

    class Own(requests.Session):
        def request(  # type: ignore[override]
            self,
            method: Any,
            url: Any,
            data: Any = None,
            headers: Any = None,
            timeout: Any = None,
            json: Any = None,
        ) -> Any:
            return few.post(url, data, headers, timeout)

    replaced, overridden = Emitter("localhost"), Emitter("localhost", session=Own())
    replaced.request_method.post = few.post
    for emitter in (replaced, overridden):
        Tracker("ns", emitter).track(PageView(URL))
        assert emitter.flush() == 0
    assert few.calls == ["post", "post"]


def test_the_queue_of_an_async_emitter(recorder: Recorder) -> None:
    """Programs may wait for `AsyncEmitter.queue`, and an override of `flush` may put batches there."""

    class Own(AsyncEmitter):
        def flush(self, **options: Any) -> int:
            batch = self.event_store.get_events_batch()
            if batch:
                self.queue.put(batch)
            return 0

    plain = emitter_for(recorder, AsyncEmitter, batch_size=100)
    Tracker("ns", plain).track(PageView(URL))
    assert (plain.queue.qsize(), plain.queue.empty()) == (1, False)
    plain.queue.join()
    assert (plain.queue.qsize(), plain.queue.empty()) == (0, True)

    own = emitter_for(recorder, Own, batch_size=2)
    tracker = Tracker("ns", own)
    for _ in range(4):
        tracker.track(PageView(URL))
    own.queue.join()
    assert own.queue.empty()
    assert len(recorder.events) == 5


def test_no_retry_codes() -> None:
    """`None` stands for no codes of one's own."""
    codes: Any = None
    assert Emitter("localhost", custom_retry_codes=codes).custom_retry_codes == {}
    assert EmitterConfiguration(custom_retry_codes=codes).custom_retry_codes == {}


def test_retry_codes_from_a_json_file_have_an_effect() -> None:
    """JSON has only strings as names: they are read as numbers, where 1.1.0 accepted them to no effect."""
    codes: Any = {"503": False, "-1": True}
    for made in (
        Emitter("h", custom_retry_codes=codes),
        EmitterConfiguration(custom_retry_codes=codes),
    ):
        assert made.custom_retry_codes == {503: False, -1: True}


class Store(FourMethodStore):
    """A store with the four methods of the protocol, which keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.settled: List[Any] = []

    def cleanup(self, batch: List[Dict[str, Any]], need_retry: bool) -> None:
        """Note what became of events."""
        self.settled += [(event["url"], need_retry) for event in batch]
        super().cleanup(batch, need_retry)


@pytest.mark.parametrize("cls", EMITTERS)
@pytest.mark.parametrize("method", ["post", "get"])
def test_a_store_with_four_methods_works(recorder: Recorder, cls: Any, method: str) -> None:
    """The store gets every event, hands them out, and hears of each once its fate is known."""
    store = Store()
    emitter = emitter_for(recorder, cls, event_store=store, method=method, batch_size=2)
    made = Tracker("ns", emitter)
    for number in range(5):
        made.track(PageView(f"{URL}{number}"))
    emitter.sync_flush()
    recorder.wait_for_events(5)
    emitter.close()
    assert sorted(store.settled) == [(f"{URL}{number}", False) for number in range(5)]
    assert store.size() == 0


@pytest.mark.long
@pytest.mark.parametrize("cls", EMITTERS)
@pytest.mark.parametrize("status", [400, 503])
def test_a_store_hears_of_failures(recorder: Recorder, cls: Any, status: int) -> None:
    """What is to be retried goes back with `need_retry`; what was refused for good does not."""
    answers = [status]
    recorder.answer = lambda _request: answers.pop() if answers else 200
    store = Store()
    emitter = emitter_for(recorder, cls, event_store=store)
    Tracker("ns", emitter).track(PageView(URL))
    emitter.sync_flush(timeout=5)
    emitter.close()
    retried = [(URL, True), (URL, False)]
    assert store.settled == (retried if status == 503 else [(URL, False)])
    assert len({event["eid"] for event in recorder.events}) == 1


# --- trackers and the registry -----------------------------------------------------------------


@pytest.mark.parametrize("shape", [list, tuple, lambda each: each[0]])
def test_emitters_are_one_or_several(recorder: Recorder, shape: Callable[[Any], Any]) -> None:
    """The emitters of a tracker are given as one, as a list or as a tuple."""
    emitter = emitter_for(recorder)
    made = Tracker("ns", shape([emitter]))
    made.track(PageView(URL))
    made.flush()
    assert made.emitters == [emitter]
    assert len(recorder.events) == 1


def test_whatever_takes_input_is_an_emitter() -> None:
    """An emitter needs no more than `input`; flushing does not ask for more."""

    class Least:
        def __init__(self) -> None:
            self.given: List[Any] = []

        def input(self, payload: Dict[str, Any]) -> None:
            self.given.append(payload)

    emitter = Least()
    made = Tracker("ns", emitter)  # type: ignore[arg-type]
    assert made.track(PageView(URL)) == emitter.given[0]["eid"]
    assert made.flush() is made
    assert made.flush(is_async=True) is made


def test_emitters_do_not_share_a_payload() -> None:
    """An emitter that changes its payload changes it for no other, and not the event."""

    class Changing:
        def __init__(self) -> None:
            self.given: List[Any] = []

        def input(self, payload: Dict[str, Any]) -> None:
            payload = dict(payload)
            payload["url"] = "changed"
            self.given.append(payload)

    event = PageView(URL)
    store = Store()
    made = Tracker("ns", [Changing(), Emitter("localhost", event_store=store)])  # type: ignore[list-item]
    made.track(event)
    assert store.held[0]["url"] == event.page_url == URL
    store.get_events_batch()


def test_setters_chain() -> None:
    """What returned the tracker or the subject still does."""
    made = Tracker("ns", Emitter("localhost"))
    assert made.add_emitter(Emitter("localhost")) is made
    assert made.set_subject(None) is made
    assert made.subject is None
    assert made.flush() is made
    held = Subject()
    assert held.set_lang("cs").set_timezone("UTC").set_viewport(1, 2) is held


def test_the_registry() -> None:
    """A namespace can be taken once; an unknown one gives `None`; what is removed is gone."""
    made = Snowplow.create_tracker("one", "localhost")
    assert Snowplow.get_tracker("one") is made
    with pytest.raises(TypeError, match="already exists"):
        Snowplow.create_tracker("one", "localhost")
    assert Snowplow.get_tracker("two") is None
    two = Tracker("two", Emitter("localhost"))
    assert Snowplow.add_tracker(two) is two
    assert Snowplow.add_tracker("no tracker") is None  # type: ignore[arg-type, func-returns-value, unused-ignore]
    Snowplow.remove_tracker(made)
    Snowplow.remove_tracker_by_namespace("two")
    Snowplow.remove_tracker_by_namespace("never there")
    assert Snowplow.get_tracker("one") is Snowplow.get_tracker("two") is None
    Snowplow.add_tracker(two)
    Snowplow.reset()
    assert Snowplow.get_tracker("two") is None


def test_create_tracker_uses_its_configurations() -> None:
    """The settings of both configurations arrive where they belong."""
    store = Store()

    def on_success(_events: Any) -> None:
        pass

    made = Snowplow.create_tracker(
        "ns",
        "acme.com",
        "get",
        "app",
        Subject().set_user_id("a"),
        TrackerConfiguration(encode_base64=False, json_encoder=repr),
        EmitterConfiguration(
            batch_size=7, on_success=on_success, byte_limit=9, request_timeout=3, event_store=store
        ),
    )
    emitter = made.emitters[0]
    assert isinstance(emitter, Emitter)
    assert (made.encode_base64, made.json_encoder) == (False, repr)
    assert emitter.endpoint == "https://acme.com/i"
    assert (emitter.batch_size, emitter.byte_limit, emitter.request_timeout) == (7, 9, 3)
    assert emitter.on_success is on_success
    assert emitter.event_store is store


@pytest.mark.parametrize(("endpoint", "error"), [(None, TypeError), ("", ValueError)])
def test_no_endpoint(endpoint: Any, error: Any) -> None:
    """`None` as endpoint is a `TypeError`, an empty one a `ValueError`."""
    with pytest.raises(error):
        Snowplow.create_tracker("ns", endpoint)


@pytest.mark.parametrize(
    ("arguments", "accepted"),
    [
        ((418,), True),
        ((418, False), True),
        ((-1, False), True),
        ((200,), False),
        (("418",), False),
        ((418, "no"), False),
    ],
)
def test_set_retry_code(arguments: Any, accepted: bool) -> None:
    """A code that makes no sense is refused with `False`, and not kept."""
    config = EmitterConfiguration()
    assert config.set_retry_code(*arguments) is accepted
    assert (arguments[0] in config.custom_retry_codes) is accepted


@pytest.mark.parametrize(
    ("arguments", "uri"),
    [
        (("acme.com",), "https://acme.com/"),
        (("acme.com", "http"), "http://acme.com/"),
        (("acme.com/",), "https://acme.com/"),
        (("acme.com///",), "https://acme.com/"),
        (("acme.com/a/b",), "https://acme.com/a/b/"),
        (("acme.com/a/b/",), "https://acme.com/a/b/"),
        (("http://acme.com",), "http://acme.com/"),
        (("https://acme.com/a", "http"), "https://acme.com/a/"),
        (("acme.com:8080",), "https://acme.com:8080/"),
        (("acme.com", "http", 8080), "http://acme.com:8080/"),
        (("https://acme.com", "http", 8080), "https://acme.com:8080/"),
        (("localhost", "http", 80), "http://localhost:80/"),
        (("[::1]:9090", "http"), "http://[::1]:9090/"),
        (("user:secret@acme.com",), "https://user:secret@acme.com/"),
    ],
)
@pytest.mark.parametrize("method", ["post", "get"])
def test_endpoint_forms(arguments: Any, uri: str, method: Any) -> None:
    """Host, host with path and URL, with and without port and slashes, give 1.1.0's address."""
    path = protocol.POST_PATH if method == "post" else protocol.GET_PATH
    endpoint, *rest = arguments
    keywords: Dict[str, Any] = dict(zip(("protocol", "port"), rest))
    assert Emitter.as_collector_uri(endpoint, method=method, **keywords) == uri + path[1:]
    assert Emitter(endpoint, method=method, **keywords).endpoint == uri + path[1:]


def test_an_endpoint_with_a_path_and_a_port_given_apart() -> None:
    """1.1.0 put the port behind the path, which no request could reach; it belongs to the host."""
    expected = f"https://acme.com:99/a{protocol.POST_PATH}"
    assert Emitter.as_collector_uri("acme.com/a", port=99) == expected


def test_a_port_that_is_a_string() -> None:
    """A port from an environment variable is one, as in 1.1.0."""
    assert Emitter.as_collector_uri("acme.com", port="8080").startswith("https://acme.com:8080/")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="port"):
        Emitter("acme.com", port="70000")  # type: ignore[arg-type]


def test_no_maximum_retry_delay() -> None:
    """None is taken as the default: in 1.1.0 an emitter with it worked until a request failed."""
    emitter = Emitter("acme.com", max_retry_delay_seconds=None)  # type: ignore[arg-type]
    assert emitter.max_retry_delay_seconds == 60


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        ({"batch_size": 2.0}, [2, 2]),
        ({"batch_size": 1.5}, [2, 2]),
        ({"batch_size": float("inf")}, []),
        ({"buffer_capacity": 1.5}, [2, 2]),
        ({"buffer_capacity": 3.0}, [3]),
        ({"byte_limit": 999.5, "batch_size": 2}, [2, 2]),
        ({"byte_limit": float("inf"), "batch_size": 2}, [2, 2]),
    ],
)
def test_sizes_that_are_floats(
    recorder: Recorder, options: Dict[str, Any], requests: List[int]
) -> None:
    """A batch, a queue or a byte limit of a float is full where it was in 1.1.0."""
    emitter = emitter_for(recorder, **options)
    for _ in range(4):
        emitter.input({"e": "pv"})
    assert [len(request.events) for request in recorder.requests] == requests
    assert emitter.sync_flush(timeout=5) == 0
    assert len(recorder.events) == 4


def pickled(value: Any) -> Any:
    """A value that went through pickle."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 (our own bytes)


# --- payloads, texts, copies -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["post", "get"])
def test_values_in_callbacks(recorder: Recorder, method: str) -> None:
    """Callbacks get texts with POST, and the values as they were given with GET."""
    seen: List[Any] = []
    emitter = emitter_for(recorder, method=method, on_success=seen.extend)
    Tracker("ns", emitter).track(PagePing(URL, min_x=3))
    emitter.flush()
    assert seen[0]["pp_mix"] == ("3" if method == "post" else 3)
    assert isinstance(seen[0]["dtm"], str if method == "post" else int)
    assert "stm" in seen[0]


@pytest.mark.parametrize(
    "event",
    [
        PageView(URL, "Title", context=[entity()], event_subject=Subject().set_user_id("a")),
        PagePing(URL, min_x=1),
        StructuredEvent("c", "a", value=2.5),
        ScreenView(id_="5c4b2c4e-2a4b-4a37-8d0a-3f2c1c1e0b11", name="Home"),
        SelfDescribing(entity(), true_timestamp=5),
        Event({"e": "pv"}),
        Subject().set_user_id("a").set_platform("srv"),
        entity(),
    ],
    ids=lambda each: type(each).__name__,
)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_copies_and_pickles(event: Any, duplicate: Any) -> None:
    """Events, subjects and self-describing JSONs can be copied and pickled, and stay equal."""
    again = duplicate(event)
    assert type(again) is type(event)
    assert again == event
    assert repr(again) == repr(event)
    if isinstance(event, Event):
        built = [
            each.build_payload(encode_base64=False, json_encoder=None).get()
            for each in (again, event)
        ]
        assert built[0] == built[1]


def test_context_is_any_sequence(recorder: Recorder) -> None:
    """Entities come as a list, a tuple or another sequence, also of a subclass."""

    class Mine(SelfDescribingJson):
        pass

    emitter = emitter_for(recorder)
    made = Tracker("ns", emitter)
    for context in ([entity()], (entity(),), [Mine(SCHEMA, {"a": 1})]):
        made.track(PageView(URL, context=context))  # type: ignore[arg-type]
    made.flush()
    for event in recorder.events:
        assert protocol.decode(event["cx"])["data"] == [entity().to_json()]


@pytest.mark.parametrize(
    ("call", "wording"),
    [
        (lambda: PageView(""), "is empty."),
        (lambda: Tracker("ns", []), "emitters is empty."),
        (lambda: Subject().set_platform("fridge"), "is not supported."),
        (lambda: Subject().set_viewport(0, 1), "width must be greater than 0."),
        (lambda: Subject().set_viewport(1, 0), "height must be greater than 0."),
        (lambda: Emitter("localhost", protocol="ftp"), "protocol is not supported."),  # type: ignore[arg-type]
        (lambda: Emitter("localhost", method="put"), "method is not supported."),  # type: ignore[arg-type]
    ],
)
def test_contracts(call: Callable[[], Any], wording: str) -> None:
    """Contracts raise `ValueError` in 1.1.0's words."""
    with pytest.raises(ValueError, match=wording.replace(".", r"\.")):
        call()


def test_contracts_can_be_switched_off() -> None:
    """After `disable_contracts()` the same values pass."""
    snowplow_tracker.disable_contracts()
    assert not snowplow_tracker.contracts.contracts_enabled()
    PageView("")
    Subject().set_viewport(0, 0)
    snowplow_tracker.enable_contracts()
    with pytest.raises(ValueError, match="is empty"):
        PageView("")


DEPRECATED: Dict[str, Callable[[Tracker], Tracker]] = {
    "track_page_view": lambda t: t.track_page_view(URL),
    "track_page_ping": lambda t: t.track_page_ping(URL),
    "track_link_click": lambda t: t.track_link_click(URL),
    "track_add_to_cart": lambda t: t.track_add_to_cart("sku", 1),
    "track_remove_from_cart": lambda t: t.track_remove_from_cart("sku", 1),
    "track_form_change": lambda t: t.track_form_change("f", "e", "INPUT", "v"),
    "track_form_submit": lambda t: t.track_form_submit("f"),
    "track_site_search": lambda t: t.track_site_search(["a"]),
    "track_ecommerce_transaction_item": lambda t: t.track_ecommerce_transaction_item(
        "order", "sku", 1, 1
    ),
    "track_ecommerce_transaction": lambda t: t.track_ecommerce_transaction(
        "order", 1, items=[{"sku": "a", "price": 1, "quantity": 1}]
    ),
    "track_screen_view": lambda t: t.track_screen_view("name"),
    "track_mobile_screen_view": lambda t: t.track_mobile_screen_view("name"),
    "track_struct_event": lambda t: t.track_struct_event("c", "a"),
    "track_self_describing_event": lambda t: t.track_self_describing_event(entity()),
    "track_unstruct_event": lambda t: t.track_unstruct_event(entity()),
}


@pytest.mark.parametrize("name", DEPRECATED)
def test_deprecated_methods(recorder: Recorder, name: str) -> None:
    """They send valid events, return the tracker and warn, pointing at the caller's line."""
    made = Tracker("ns", emitter_for(recorder))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert DEPRECATED[name](made) is made
    made.flush()
    deprecations = [each for each in caught if each.category is DeprecationWarning]
    assert deprecations[0].filename == __file__
    assert name in str(deprecations[0].message)
    assert recorder.events
    for event in recorder.events:
        assert not protocol.faults_of_event(event)
