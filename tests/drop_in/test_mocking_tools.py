"""The tools with which users test their tracking: frozen clocks and mocked requests."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Iterator, List
from unittest import mock

import httmock
import pytest
import requests
import requests_mock
import responses
from freezegun import freeze_time

from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker
from support.emitters import close_all, emitter_for
from support.recorder import Recorder

URL = "https://acme.com/"
ENDPOINT = "collector.invalid"
POST_URL = f"http://{ENDPOINT}/com.snowplowanalytics.snowplow/tp2"
GET_URL = f"http://{ENDPOINT}/i"


def track(cls: Any = Emitter, method: str = "post", **options: Any) -> List[Any]:
    """Track a page view towards a host that does not exist; give what the callbacks were called with."""
    calls: List[Any] = []
    emitter = cls(
        ENDPOINT,
        protocol="http",
        method=method,
        on_success=lambda events: calls.append(["sent", len(events)]),
        on_failure=lambda count, events: calls.append(["failed", len(events)]),
        **options,
    )
    Tracker("ns", emitter).track(PageView(URL))
    emitter.sync_flush()
    emitter.close(timeout=0)
    return calls


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


@pytest.mark.parametrize("cls", [Emitter, AsyncEmitter])
@pytest.mark.parametrize("method", ["post", "get"])
def test_responses(cls: Any, method: str) -> None:
    """With `responses` active, its answer is the collector's."""
    with responses.RequestsMock() as mocked:
        mocked.add(method.upper(), POST_URL if method == "post" else GET_URL, status=200)
        assert track(cls, method) == [["sent", 1]]
        request = mocked.calls[0].request
        if method == "post":
            assert json.loads(request.body)["data"][0]["url"] == URL
        else:
            assert "url=https%3A%2F%2Facme.com%2F" in request.url


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("method", ["post", "get"])
def test_requests_mock(status: int, method: str) -> None:
    """With `requests_mock` active, its answer is the collector's."""
    with requests_mock.Mocker() as mocked:
        mocked.request(method, POST_URL if method == "post" else GET_URL, status_code=status)
        assert track(method=method) == [["sent" if status == 200 else "failed", 1]]
        assert mocked.call_count == 1
        assert mocked.last_request.headers["User-Agent"].startswith("python-requests/")


def test_requests_mock_raising() -> None:
    """A connection error that a mock raises is a failed attempt."""
    with requests_mock.Mocker() as mocked:
        mocked.post(POST_URL, exc=requests.ConnectTimeout)
        assert track(custom_retry_codes={-1: False}) == [["failed", 1]]


@pytest.mark.parametrize("status", [200, 403])
def test_httmock(status: int) -> None:
    """With `HTTMock` active, its handler answers in the collector's place."""
    seen: List[str] = []

    @httmock.urlmatch(netloc=ENDPOINT)  # type: ignore[untyped-decorator, unused-ignore]
    def collector(url: Any, request: Any) -> Any:
        seen.append(url.path)
        return {"url": request.url, "status_code": status}

    with httmock.HTTMock(collector):
        assert track() == [["sent" if status == 200 else "failed", 1]]
    assert seen == ["/com.snowplowanalytics.snowplow/tp2"]


@pytest.mark.parametrize("path", ["requests.post", "snowplow_tracker.emitters.requests.post"])
def test_patched_requests_post(path: str) -> None:
    """A test that patches `requests.post` sees the call that 1.1.0 makes."""
    with mock.patch(path, return_value=mock.Mock(status_code=200)) as patched:
        assert track() == [["sent", 1]]
    assert patched.call_args[0][0] == POST_URL
    assert json.loads(patched.call_args[1]["data"])["data"][0]["url"] == URL


def test_a_stand_in_with_few_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function in the place of `requests.post` needs no parameters but those of 1.1.0's call."""
    seen: List[str] = []

    def stand_in(url: str, data: str, headers: Any, timeout: Any) -> Any:
        seen.append(url)
        return mock.Mock(status_code=200)

    monkeypatch.setattr(requests, "post", stand_in)
    assert track() == [["sent", 1]]
    assert seen == [POST_URL]


@pytest.mark.parametrize("method", ["post", "get"])
def test_patched_requests_of_the_emitters(method: str) -> None:
    """A test that puts a mock in the place of requests in `snowplow_tracker.emitters` sees the calls."""
    with mock.patch("snowplow_tracker.emitters.requests") as patched:
        getattr(patched, method).return_value.status_code = 200
        assert track(method=method) == [["sent", 1]]
    call = getattr(patched, method).call_args
    assert call[0][0] == (POST_URL if method == "post" else GET_URL)
    assert "allow_redirects" not in call[1]


def test_patched_requests_get() -> None:
    """The same for `requests.get`."""
    with mock.patch("requests.get", return_value=mock.Mock(status_code=200)) as patched:
        assert track(method="get") == [["sent", 1]]
    assert patched.call_args[0][0] == GET_URL
    assert patched.call_args[1]["params"]["url"] == URL


@pytest.mark.parametrize("name", ["request", "send"])
def test_patched_session(name: str) -> None:
    """A test that patches `requests.Session` for all sessions keeps requests away."""
    answer = requests.Response()
    answer.status_code = 200
    with mock.patch.object(requests.Session, name, return_value=answer) as patched:
        assert track() == [["sent", 1]]
    assert patched.called


def test_patched_adapter() -> None:
    """A patch of the transport adapter is what requests go through."""
    answer = requests.Response()
    answer.status_code = 200
    with mock.patch("requests.adapters.HTTPAdapter.send", return_value=answer) as patched:
        assert track() == [["sent", 1]]
    assert patched.called


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies that the environment names apply, as everywhere with requests."""
    with Recorder() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert track() == [["sent", 1]]
        assert proxy.requests[0].target == POST_URL


@pytest.mark.parametrize("threaded", [False, True])
def test_frozen_time_is_the_time_of_the_events(threaded: bool) -> None:
    """With freezegun, all time stamps are the frozen time."""
    moment = dt.datetime(2021, 5, 6, 7, 8, 9, 123000, tzinfo=dt.timezone.utc)
    frozen = str(int(moment.timestamp() * 1000))
    with Recorder() as recorder:
        emitter = emitter_for(recorder, AsyncEmitter if threaded else Emitter)
        with freeze_time(moment):
            tracker = Tracker("ns", emitter)
            tracker.track(PageView(URL, true_timestamp=Tracker.get_timestamp()))
            assert Tracker.get_timestamp() == int(frozen)
            tracker.flush()
        (event,) = recorder.wait_for_events(1)
        assert {event["dtm"], event["stm"], event["ttm"]} == {frozen}


def test_a_clock_that_is_patched_by_name() -> None:
    """`time.time` replaced by a stub is asked for the time of creation and of sending."""
    with Recorder() as recorder:
        emitter = emitter_for(recorder)
        with mock.patch("time.time", return_value=1500000000.25):
            Tracker("ns", emitter).track(PageView(URL)).__str__()
            emitter.flush()
        event = recorder.events[0]
        assert (event["dtm"], event["stm"]) == ("1500000000250", "1500000000250")
