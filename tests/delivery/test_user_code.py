"""Code of the user's inside delivery: callbacks, stores, overridden methods, sessions, other emitters."""

from __future__ import annotations

import ctypes
import logging
import signal
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Type

import pytest
import requests

from snowplow_tracker import InMemoryEventStore, PageView, Tracker
from snowplow_tracker.emitters import AsyncEmitter, Emitter
from support.collector_with_faults import OK, Answer, CollectorWithFaults, in_turn
from support.processes import run_program
from support.stores import FourMethodStore
from support.tracking import Notes, assert_counters_add_up, payload, track_many, until

Make = Callable[..., Any]
LOGGER = "snowplow_tracker.emitters"


class Odd(BaseException):
    """An exception that `except Exception` does not catch."""


def raiser(error: BaseException) -> Callable[..., Any]:
    """Return a function that takes anything and raises this."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("callback", ["on_success", "on_failure", "on_drop"])
def test_a_raising_callback_stops_nothing(
    make: Make,
    collector: CollectorWithFaults,
    caplog: pytest.LogCaptureFixture,
    callback: str,
) -> None:
    """A callback that raises is logged with its traceback; delivery goes on and the next flush returns."""
    collector.behaviour = in_turn(Answer(status=503), Answer(status=400), OK)
    options = {callback: raiser(ValueError("the user's mistake"))}
    emitter = make(batch_size=5, max_request_events=5, max_retry_delay_seconds=0.1, **options)
    with caplog.at_level(logging.WARNING, LOGGER):
        track_many(emitter, 5)
        assert emitter.sync_flush(timeout=5) == 0
        tracked = track_many(emitter, 5)
        assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    assert any(
        record.exc_info is not None and "the user's mistake" in str(record.exc_info[1])
        for record in caplog.records
    )
    assert_counters_add_up(emitter, 10)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), Odd(), GeneratorExit()])
@pytest.mark.parametrize("callback", ["on_success", "on_failure", "on_drop"])
def test_no_exception_of_a_callback_kills_the_worker(
    collector: CollectorWithFaults, callback: str, error: BaseException
) -> None:
    """In a worker even `SystemExit` from a callback ends nothing."""
    collector.behaviour = in_turn(Answer(status=503), Answer(status=400), OK)
    emitter = AsyncEmitter(
        collector.endpoint, batch_size=5, max_retry_delay_seconds=0.1, **{callback: raiser(error)}
    )
    track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    tracked = track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    assert emitter.close(timeout=1) == 0


def test_callbacks_may_use_the_emitter(make: Make, collector: CollectorWithFaults) -> None:
    """`input`, `flush` and `sync_flush` called from a callback neither deadlock nor recurse without end."""
    more: List[str] = []
    emitter: Any = None

    def on_success(events: List[Dict[str, Any]]) -> None:
        if len(more) < 20:
            more.extend(track_many(emitter, 1))
        emitter.flush()
        emitter.sync_flush(timeout=0.05)
        emitter.stats()

    emitter = make(batch_size=1, on_success=on_success)
    tracked = track_many(emitter, 5)
    assert collector.wait_for_events(25, timeout=10)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked) | set(more)
    assert not collector.repeated


@pytest.mark.parametrize("where", ["on_success", "on_failure"])
def test_a_callback_may_close_the_emitter(
    make: Make, collector: CollectorWithFaults, where: str
) -> None:
    """`close` called from a callback, on the very thread that sends, ends in time."""
    closed = threading.Event()
    emitter: Any = None

    def close(*_: Any) -> None:
        emitter.close(timeout=0.5)
        closed.set()

    collector.behaviour = Answer(status=200 if where == "on_success" else 503)
    emitter = make(batch_size=1, **{where: close})
    track_many(emitter, 1)
    assert closed.wait(5)
    assert until(lambda: emitter.state.name == "CLOSED", 3)


def test_on_failure_that_tracks_the_events_again(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Old programs put failed events back themselves; that may repeat events but never multiplies without end."""
    collector.behaviour = in_turn(*[Answer(status=503)] * 4)
    emitter: Any = None

    def on_failure(_: int, events: List[Dict[str, Any]]) -> None:
        for event in events:
            emitter.input(event)

    emitter = make(batch_size=5, max_retry_delay_seconds=0.1, on_failure=on_failure)
    tracked = track_many(emitter, 5)
    assert collector.wait_for_events(5, timeout=10)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    assert len(collector.events()) <= 5 * 2**5
    stats = emitter.stats()
    assert stats.tracked == stats.sent + sum(stats.dropped.values())


def test_what_a_callback_does_with_its_events_changes_nothing(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Events that a callback empties or changes are still sent as they were."""
    collector.behaviour = in_turn(Answer(status=503))

    def vandal(_: int, events: List[Dict[str, Any]]) -> None:
        for event in events:
            event["aid"] = "vandal"
        events.clear()

    emitter = make(batch_size=3, max_retry_delay_seconds=0.1, on_failure=vandal)
    tracked = track_many(emitter, 3)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    assert_counters_add_up(emitter, 3)


@pytest.mark.parametrize(
    "error", [ValueError("x"), requests.ConnectionError("x"), Odd(), SystemExit(3)]
)
def test_an_overridden_http_post_that_raises(
    collector: CollectorWithFaults, error: BaseException
) -> None:
    """Whatever an override lets out in the worker counts as a failed attempt; the events are tried again."""
    notes = Notes()

    class Raising(AsyncEmitter):
        left = 2

        def http_post(self, data: str) -> int:
            if self.left:
                self.left -= 1
                raise error
            return super().http_post(data)

    emitter = Raising(
        collector.endpoint, batch_size=5, max_retry_delay_seconds=0.1, **notes.callbacks()
    )
    tracked = track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    assert len(notes.failures) == 2
    assert_counters_add_up(emitter, 5)
    emitter.close(timeout=1)


def test_an_overridden_http_post_that_raises_in_the_callers_thread(
    collector: CollectorWithFaults,
) -> None:
    """In the synchronous emitter an ordinary exception of an override stays inside and is a failed attempt."""

    class Raising(Emitter):
        left = 2

        def http_post(self, data: str) -> int:
            if self.left:
                self.left -= 1
                raise ValueError("the user's mistake")
            return super().http_post(data)

    emitter = Raising(
        collector.endpoint, protocol="http", batch_size=5, max_retry_delay_seconds=0.1
    )
    tracked = track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    emitter.close(timeout=1)


def test_an_interrupt_during_a_flush_returns_the_events(collector: CollectorWithFaults) -> None:
    """A Ctrl-C during a request of the synchronous emitter goes to the caller; the events stay in the queue."""

    class Interrupted(Emitter):
        left = 1

        def http_post(self, data: str) -> int:
            if self.left:
                self.left -= 1
                raise KeyboardInterrupt
            return super().http_post(data)

    emitter = Interrupted(collector.endpoint, protocol="http", batch_size=50)
    tracked = track_many(emitter, 5)
    with pytest.raises(KeyboardInterrupt):
        emitter.flush()
    assert emitter.stats().queued == 5
    assert emitter.stats().in_flight == 0
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    assert_counters_add_up(emitter, 5)
    emitter.close(timeout=1)


def test_http_post_may_return_a_response(collector: CollectorWithFaults) -> None:
    """An override that returns the response instead of its status works, in success and in failure."""

    class Returning(Emitter):
        def http_post(self, data: str) -> Any:
            return requests.post(
                self.endpoint,
                data=data,
                headers={"Content-Type": "application/json; charset=utf-8"},
                timeout=5,
            )

    collector.behaviour = in_turn(Answer(status=503), Answer(status=400))
    notes = Notes()
    emitter = Returning(
        collector.endpoint,
        protocol="http",
        batch_size=5,
        max_retry_delay_seconds=0.1,
        **notes.callbacks(),
    )
    track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    assert notes.drops
    assert notes.drops[0][1] == "rejected"
    tracked = track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    emitter.close(timeout=1)


class FailingStore(FourMethodStore):
    """A store of which one method raises a few times, then works."""

    def __init__(self, method: str, error: BaseException, times: int = 1) -> None:
        super().__init__()
        self._method, self._error, self._left = method, error, times

    def _maybe_fail(self, method: str) -> None:
        if method == self._method and self._left:
            self._left -= 1
            raise self._error

    def add_event(self, payload: Dict[str, Any]) -> bool:
        self._maybe_fail("add_event")
        return super().add_event(payload)

    def get_events_batch(self) -> List[Dict[str, Any]]:
        self._maybe_fail("get_events_batch")
        return super().get_events_batch()

    def cleanup(self, batch: List[Dict[str, Any]], need_retry: bool) -> None:
        self._maybe_fail("cleanup")
        super().cleanup(batch, need_retry)

    def size(self) -> int:
        self._maybe_fail("size")
        return super().size()


@pytest.mark.long
@pytest.mark.parametrize("times", [1, 10_000])
@pytest.mark.parametrize("method", ["add_event", "get_events_batch", "cleanup", "size"])
def test_a_store_that_raises(
    make: Make, collector: CollectorWithFaults, method: str, times: int
) -> None:
    """A store that raises never raises into `track()`, never hangs a flush, and delivery goes on after it."""
    store = FailingStore(method, OSError("disk full"), times)
    emitter = make(batch_size=5, event_store=store, max_retry_delay_seconds=0.1)
    tracked = track_many(emitter, 12)
    emitter.sync_flush(timeout=1)
    store._left = 0
    tracked += track_many(emitter, 12)
    assert emitter.sync_flush(timeout=5) == 0
    stats = emitter.stats()
    lost = stats.dropped.get("store_failed", 0)
    assert lost == (0 if method != "add_event" else min(times, 12))
    assert len(collector.arrived) == 24 - lost
    assert stats.in_flight == 0
    assert stats.tracked == 24 == stats.sent + stats.queued + sum(stats.dropped.values())


def test_a_store_that_raises_in_a_worker(collector: CollectorWithFaults) -> None:
    """Not even `SystemExit` out of a store ends the worker."""
    store = FailingStore("get_events_batch", SystemExit(1), 2)
    with AsyncEmitter(collector.endpoint, batch_size=5, event_store=store) as emitter:
        track_many(emitter, 5)
        assert emitter.sync_flush(timeout=5) == 0
    assert len(collector.arrived) == 5


def test_a_store_that_refuses_events(make: Make, collector: CollectorWithFaults) -> None:
    """`add_event` returning False is an overflow: counted, and reported with the event."""

    class Full(FailingStore):
        def add_event(self, payload: Dict[str, Any]) -> bool:
            return len(self.held) < 3 and super().add_event(payload)

    notes = Notes()
    emitter = make(batch_size=50, event_store=Full("", Odd()), **notes.callbacks())
    tracked = track_many(emitter, 5)
    assert sorted(notes.dropped("overflow")) == sorted(tracked[3:])
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked[:3])
    assert_counters_add_up(emitter, 5)


def test_a_raising_emitter_does_not_keep_the_event_from_the_others(
    make: Make, collector: CollectorWithFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """A custom emitter that raises is logged; the emitters before and after it get the event."""

    class Raising:
        def input(self, payload: Dict[str, Any]) -> None:
            raise ValueError("the user's mistake")

        def sync_flush(self) -> None:
            raise ValueError("the user's mistake")

    tracker = Tracker("n", [make(), Raising(), make()])  # type: ignore[list-item]
    with caplog.at_level(logging.WARNING):
        eid = tracker.track(PageView("https://example.com/"))
        tracker.flush()
    assert eid is not None
    assert collector.wait_for(lambda c: c.arrived.get(eid) == 2, timeout=5)
    assert "the user's mistake" in caplog.text


def test_emitters_do_not_share_their_payload(make: Make, collector: CollectorWithFaults) -> None:
    """Each emitter takes its own copy, so one that changes it does not change it for the next."""

    class Changing:
        def input(self, payload: Dict[str, Any]) -> None:
            payload.clear()

    first, last = make(), make()
    tracker = Tracker("n", [first, Changing(), last])  # type: ignore[list-item]
    event = payload()
    first.input(event)
    event.clear()
    tracker.track(PageView("https://example.com/"))
    tracker.flush()
    assert collector.wait_for_events(2)
    assert all(sent["e"] == "pv" for sent in collector.events())


class FakeSession:
    """An object with `post` and `get` as requests has them, and nothing else."""

    def __init__(self) -> None:
        self.calls: List[str] = []

    def post(self, url: str, **options: Any) -> requests.Response:
        self.calls.append(url)
        return requests.post(url, **options)

    def get(self, url: str, **options: Any) -> requests.Response:
        self.calls.append(url)
        return requests.get(url, **options)


@pytest.mark.parametrize("method", ["post", "get"])
def test_a_session_needs_no_more_than_post_and_get(
    make: Make, collector: CollectorWithFaults, method: str
) -> None:
    """A user's session may be any object with the two methods."""
    session = FakeSession()
    emitter = make(batch_size=3, method=method, session=session)
    tracked = track_many(emitter, 3)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    assert set(session.calls) == {emitter.endpoint}


def test_a_users_session_is_used_as_it_is(make: Make, collector: CollectorWithFaults) -> None:
    """Headers, cookies and adapters of a user's session take effect, and it is left open."""
    closed: List[bool] = []

    class Adapter(requests.adapters.HTTPAdapter):
        def close(self) -> None:
            closed.append(True)
            super().close()

    session = requests.Session()
    session.headers["X-Team"] = "blue"
    session.cookies.set("own", "cookie")
    session.mount("http://", Adapter())
    emitter = make(batch_size=3, session=session)
    track_many(emitter, 3)
    assert emitter.sync_flush(timeout=5) == 0
    assert collector.requests[0].headers["x-team"] == "blue"
    assert collector.requests[0].headers["cookie"] == "own=cookie"
    emitter.close(timeout=1)
    assert closed == []
    session.close()


def test_a_users_session_does_not_follow_redirects_either(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A redirect loses the events under any session."""
    with CollectorWithFaults() as elsewhere, requests.Session() as session:
        collector.behaviour = in_turn(
            Answer(status=302, headers={"Location": elsewhere.url}), then=OK
        )
        emitter = make(batch_size=3, session=session, max_retry_delay_seconds=0.1)
        tracked = track_many(emitter, 3)
        assert emitter.sync_flush(timeout=5) == 0
        assert set(collector.arrived) == set(tracked)
        assert elsewhere.requests == []


def test_the_endpoint_may_change(make: Make, collector: CollectorWithFaults) -> None:
    """`endpoint` is read when it is used: what is queued goes to the new one."""
    with CollectorWithFaults() as elsewhere:
        emitter = make(batch_size=3)
        track_many(emitter, 3)
        assert emitter.sync_flush(timeout=5) == 0
        track_many(emitter, 2)
        emitter.endpoint = elsewhere.url + "/com.snowplowanalytics.snowplow/tp2"
        assert emitter.sync_flush(timeout=5) == 0
        assert (len(collector.arrived), len(elsewhere.arrived)) == (3, 2)


def test_settings_may_change(make: Make, collector: CollectorWithFaults) -> None:
    """Callbacks, batch size and byte limit set after construction take effect."""
    notes = Notes()
    emitter = make(batch_size=100)
    emitter.batch_size = 2
    emitter.on_success = notes.callbacks()["on_success"]
    tracked = track_many(emitter, 2)
    assert notes.wait_for(lambda seen: seen.successes, timeout=5)
    assert sorted(notes.succeeded) == sorted(tracked)
    emitter.batch_size, emitter.byte_limit = 100, 500
    track_many(emitter, 4, page="x" * 200)
    assert collector.wait_for(lambda c: len(c.arrived) > 2, timeout=5)


@pytest.mark.parametrize("raised", [None, ValueError("x")])
def test_send_events_can_be_overridden(
    emitter_class: Type[Emitter],
    collector: CollectorWithFaults,
    raised: Optional[Exception],
) -> None:
    """An override of `send_events` sees each batch, and may raise without an end to delivery."""
    seen: List[int] = []

    class Watching(emitter_class):  # type: ignore[misc, valid-type]
        def send_events(self, evts: List[Dict[str, Any]]) -> None:
            seen.append(len(evts))
            if raised is not None and len(seen) == 1:
                raise raised
            super().send_events(evts)

    emitter = Watching(
        collector.endpoint, protocol="http", batch_size=5, max_retry_delay_seconds=0.1
    )
    tracked = track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    tracked += track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    assert len(seen) >= 2
    emitter.close(timeout=1)


class _Live:
    """As the proxies of frameworks: its text depends on the thread that asks for it."""

    def __init__(self) -> None:
        self.here = threading.local()
        self.here.text = "of the tracking thread"

    def __str__(self) -> str:
        return str(self.here.text)


def test_objects_give_their_text_where_they_are_tracked(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A lazy text that depends on its thread is sent as it is in the thread that tracks."""
    emitter = make(batch_size=100)
    live: Any = _Live()
    event = PageView("https://example.com/", page_title=live)
    assert event.page_title is live
    Tracker("live", emitter).track(event)
    done = threading.Thread(target=lambda: emitter.sync_flush(timeout=5))
    done.start()
    done.join()
    (arrived,) = collector.requests[0].events
    assert arrived["page"] == "of the tracking thread"


@pytest.mark.parametrize("options", [{"batch_size": 3}, {"batch_size": 100, "buffer_capacity": 4}])
def test_a_signal_handler_that_tracks(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, options: Dict[str, int]
) -> None:
    """A handler that comes while its own thread is emptying the queue tracks like anybody else, and waits for nobody."""
    program = f"""
    import os, signal, sys
    import snowplow_tracker
    from snowplow_tracker import PageView, Tracker

    def handle(*_):
        for _ in range(6):
            tracker.track(PageView("https://example.com/"))

    class Interrupting:
        def __str__(self):
            os.kill(os.getpid(), signal.SIGUSR1)
            return "x"

    signal.signal(signal.SIGUSR1, handle)
    emitter = getattr(snowplow_tracker, sys.argv[1])(sys.argv[2], protocol="http", **{options!r})
    tracker = Tracker("signals", emitter)
    store = emitter.event_store
    store._returns_text = False  # so that the text is asked for by the queue, below
    for _ in range(2):
        tracker.track(PageView("https://example.com/", page_title=Interrupting()))
    store._returns_text = True
    emitter.sync_flush(timeout=5)
    assert emitter.sync_flush(timeout=5) == 0
    stats = emitter.stats()
    assert stats.tracked == stats.sent + sum(stats.dropped.values()), stats
    assert stats.sent >= 2, stats
    """
    done = run_program(program, emitter_class.__name__, collector.endpoint, deadline=15)
    assert done.status == 0, done


def test_an_override_that_judges_a_status_and_raises(
    emitter_class: Type[Emitter],
    collector: CollectorWithFaults,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What was delivered stays delivered, although the subclass forgot that it is a static method."""

    class Judging(emitter_class):  # type: ignore[misc, valid-type]
        def is_good_status_code(status_code):  # noqa: N805 - the mistake
            return status_code == 200

    emitter = Judging(collector.endpoint, protocol="http", batch_size=3)
    track_many(emitter, 3)
    assert emitter.sync_flush(timeout=5) == 0
    assert emitter.stats().sent == 3
    assert len(collector.requests) == 1
    assert "is_good_status_code raised" in caplog.text


def test_an_error_of_a_tool_under_requests_has_its_delay(
    collector: CollectorWithFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker does not repeat a request at once that a mocking or tracing tool ended with its own exception."""
    calls: List[int] = []

    def send(*_: Any, **__: Any) -> Any:
        calls.append(1)
        raise type("BlockedError", (Exception,), {})("no network in tests")

    monkeypatch.setattr(requests.Session, "send", send)
    emitter = AsyncEmitter(collector.endpoint, batch_size=1)
    track_many(emitter, 1)
    assert until(lambda: emitter.stats().failed_attempts > 0)
    time.sleep(0.5)
    assert len(calls) < 20
    emitter.close(timeout=0)


def test_copies_that_an_override_sends_have_their_delay(collector: CollectorWithFaults) -> None:
    """The failure of events that an override of `send_events` replaced by copies is not taken for a success."""

    class Enriching(AsyncEmitter):
        def send_events(self, evts: List[Dict[str, Any]]) -> None:
            super().send_events([{**event, "aid": "shop"} for event in evts])

    collector.behaviour = lambda *_: Answer(status=503)
    emitter = Enriching(collector.endpoint, protocol="http", batch_size=5)
    track_many(emitter, 5)
    assert until(lambda: emitter.stats().failed_attempts > 0)
    time.sleep(0.5)
    assert len(collector.requests) < 20
    emitter.close(timeout=0)


def test_a_callback_shares_the_wrapper_of_a_signal_handler(
    collector: CollectorWithFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """What it raises is logged all the same: only the handler's own exceptions are interrupts."""

    def traced(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any) -> Any:
            return function(*arguments)

        return wrapper

    def fail(_: object) -> None:
        raise ValueError("a fault of the callback")

    before = signal.signal(signal.SIGUSR1, traced(print))
    try:
        with Emitter(collector.url, batch_size=1, on_success=traced(fail)) as emitter:
            emitter.input({"e": "pv", "eid": "1"})
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert "on_success raised" in caplog.text


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # it may come while a socket is being closed
@pytest.mark.parametrize("call", ["track", "flush"])
def test_a_time_limit_of_another_thread_comes_out(
    collector: CollectorWithFaults, call: str
) -> None:
    """An exception that another thread raises in this one while it waits for the collector ends `track()`."""

    class JobTimeoutError(Exception):
        pass

    collector.behaviour = Answer(fault="silence")
    emitter = Emitter(collector.url, batch_size=1 if call == "track" else 10, request_timeout=3)
    tracker = Tracker("limits", emitter)
    outcome: List[str] = []

    def job() -> None:
        try:
            tracker.track(PageView("https://example.com/"))
            tracker.flush()
            time.sleep(5)
        except JobTimeoutError:
            outcome.append("came out")

    thread = threading.Thread(target=job)
    thread.start()
    assert collector.wait_for_requests(1)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(JobTimeoutError)
    )
    thread.join(4)
    assert outcome == ["came out"]
    collector.behaviour = Answer()
    assert emitter.close(timeout=5) == 0


class FailingEmitter:
    """An emitter of a user's that always raises."""

    def input(self, _: object) -> None:
        """Raise."""
        raise ValueError("no input")


@pytest.mark.parametrize("fault", ["store", "emitter", "hook"])
def test_a_handler_that_tracks_our_log_records_comes_to_an_end(
    collector: CollectorWithFaults, fault: str
) -> None:
    """A record about a fault, made an event, meets the fault again and causes no further record."""
    emitter: Any = FailingEmitter()
    if fault != "emitter":
        store = FailingStore("size", OSError("no size"), 10_000) if fault == "store" else None
        emitter = Emitter(collector.endpoint, batch_size=1, event_store=store)
    tracker = Tracker("records", emitter)
    if fault == "hook":
        tracker.before_track(lambda _: 1 / 0)
    seen: List[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())
            tracker.track(PageView("https://example.com/logged"))

    handler = Handler()
    logging.getLogger("snowplow_tracker").addHandler(handler)
    try:
        tracker.track(PageView("https://example.com/"))
    finally:
        logging.getLogger("snowplow_tracker").removeHandler(handler)
        if fault != "emitter":
            emitter.close(timeout=0)
    assert len(seen) in range(1, 10)


@pytest.mark.parametrize("second", [InMemoryEventStore, FourMethodStore])
def test_a_store_that_is_replaced_loses_no_event(
    make: Make, collector: CollectorWithFaults, second: Type[Any]
) -> None:
    """What waits in the store in memory moves to the one that is put in its place, and is counted once."""
    emitter = make(batch_size=2)
    tracked = track_many(emitter, 2)
    assert emitter.sync_flush(timeout=5) == 0
    emitter.batch_size = 100
    tracked += track_many(emitter, 3)
    logger = logging.getLogger(LOGGER)
    emitter.event_store = second(logger) if second is InMemoryEventStore else second()
    assert emitter.stats().tracked == 5
    tracked += track_many(emitter, 1)
    assert emitter.sync_flush(timeout=5) == 0
    assert sorted(collector.arrived) == sorted(tracked)
    assert_counters_add_up(emitter, 6)


def test_a_store_that_somebody_else_has_is_not_emptied(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A replaced store keeps its events if it is the program's own, or if another emitter sends from it."""
    own = FourMethodStore()
    emitter = make(batch_size=100, event_store=own)
    track_many(emitter, 3)
    emitter.event_store = InMemoryEventStore(logging.getLogger(LOGGER))
    assert (own.size(), emitter.stats().queued) == (3, 0)
    tracked = track_many(emitter, 2)
    heir = make(batch_size=100, event_store=emitter.event_store)
    emitter.event_store = InMemoryEventStore(logging.getLogger(LOGGER))
    assert heir.sync_flush(timeout=5) == 0
    assert sorted(collector.arrived) == sorted(tracked)
