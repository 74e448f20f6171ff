"""Past requests: what the collector sees is the same, and whoever has a say in requests keeps it."""

from __future__ import annotations

import http.client
from typing import Any, Callable, Dict, List, Mapping

import pytest
import requests
import urllib3

from support.collector_with_faults import Answer, CollectorWithFaults, in_turn
from support.inside import bypass
from support.tracking import track_many

Make = Callable[..., Any]

ODD_HEADERS: List[Mapping[str, str]] = [
    {"X-Name": "J\u00fcrgen"},
    {"X-Empty": ""},
    {"Transfer-Encoding": "identity"},
    {"X_Under_Score": "1"},
]


def send_one(make: Make, collector: CollectorWithFaults, **options: Any) -> Dict[str, str]:
    """Send an event; give the headers that came with it, by names in lower case."""
    emitter = make(batch_size=100, **options)
    track_many(emitter, 1)
    assert emitter.sync_flush(timeout=5) == 0
    emitter.close(timeout=1)
    headers = collector.requests[-1].headers
    return {name.lower(): value for name, value in headers.items()}


@pytest.fixture
def through_requests(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """The hosts of what goes through `requests`, seen below it: a look from above would change the way."""
    hosts: List[str] = []
    real = urllib3.HTTPConnectionPool._get_conn

    def get_connection(self: Any, timeout: Any = None) -> Any:
        hosts.append(self.host)
        return real(self, timeout)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "_get_conn", get_connection)
    return hosts


@pytest.mark.skipif(not bypass.knows_requests(), reason="this urllib3 is not known: one way")
@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Team": "data"}, {"user-agent": "shop/1.0"}, {"Authorization": "Bearer a.b-c"}],
    ids=["none", "another", "user agent", "authorization"],
)
def test_the_headers_are_those_of_requests(
    make: Make,
    collector: CollectorWithFaults,
    through_requests: List[str],
    headers: Mapping[str, str],
) -> None:
    """The collector cannot tell a POST past requests from one through it, by any of its headers."""
    past = send_one(make, collector, headers=headers)
    assert through_requests == []
    through = send_one(make, collector, headers=headers, session=requests.Session())
    assert len(through_requests) == 1
    # Their bodies have the same length but for the digits of a number.
    assert abs(int(past.pop("content-length")) - int(through.pop("content-length"))) < 3
    assert past == through


@pytest.mark.parametrize("headers", ODD_HEADERS, ids=lambda headers: next(iter(headers)))
def test_a_header_that_needs_care_goes_through_requests(
    make: Make,
    collector: CollectorWithFaults,
    through_requests: List[str],
    headers: Mapping[str, str],
) -> None:
    """A header with anything but plain text, or about the body, is left to requests."""
    emitter = make(batch_size=100, headers=headers)
    track_many(emitter, 1)
    emitter.sync_flush(timeout=0.5)
    assert through_requests


def test_a_header_with_a_line_break_is_never_sent(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A value cannot smuggle a header in: the attempt fails, and the event stays."""
    emitter = make(batch_size=100)
    emitter.headers = {"X-Name": "a\r\nX-Other: b"}
    track_many(emitter, 1)
    assert emitter.sync_flush() == 1
    assert collector.requests == []


def test_a_replaced_connection_class_sees_the_requests(
    make: Make,
    collector: CollectorWithFaults,
    through_requests: List[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a tool put a class of its own in the place of `HTTPConnection`, as `vcrpy` does, requests is used."""

    class Watching(http.client.HTTPConnection):
        pass

    monkeypatch.setattr(http.client, "HTTPConnection", Watching)
    send_one(make, collector)
    assert len(through_requests) == 1


@pytest.mark.parametrize("name", ["putrequest", "send", "getresponse"])
def test_a_replaced_function_of_a_connection_sees_the_requests(
    make: Make, collector: CollectorWithFaults, name: str
) -> None:
    """What tracing tools put in the place of functions of `HTTPConnection` is called."""
    calls: List[str] = []
    real = getattr(http.client.HTTPConnection, name)

    def traced(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(name)
        return real(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http.client.HTTPConnection, name, traced)
        send_one(make, collector)
    assert calls


@pytest.mark.parametrize(
    "answer",
    [
        Answer(headers={"Connection": "close"}),
        Answer(headers={"Content-Type": "text/plain"}),
        Answer(status=204),
    ],
    ids=["closes", "keeps", "no body"],
)
def test_after_any_answer_the_next_request_works(
    make: Make, collector: CollectorWithFaults, answer: Answer
) -> None:
    """Whether the collector keeps or closes the connection, the next request gets through."""
    collector.behaviour = in_turn(answer, answer)
    emitter = make(batch_size=100)
    tracked = []
    for _ in range(3):
        tracked += track_many(emitter, 2)
        assert emitter.sync_flush(timeout=5) == 0
    assert sorted(collector.arrived) == sorted(tracked)


def test_without_a_known_version_requests_is_used(
    make: Make,
    collector: CollectorWithFaults,
    through_requests: List[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request is made by requests where it is not known what requests would send."""
    monkeypatch.setattr(bypass, "_installed", lambda: None)
    send_one(make, collector)
    assert len(through_requests) == 1
