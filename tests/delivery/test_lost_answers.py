"""Answers that get lost, and servers that handle connections in unusual but legal ways."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from snowplow_tracker.emitters import AsyncEmitter
from support.collector_with_faults import OK, Answer, CollectorWithFaults, in_turn
from support.tracking import Notes, assert_counters_add_up, track_many

Make = Callable[..., Any]


@pytest.mark.parametrize(
    "lost",
    [
        Answer(fault="reset", keeps=True),
        Answer(fault="close", keeps=True),
        Answer(fault="cut", cut_after=0, keeps=True),
        Answer(fault="cut", cut_after=7, keeps=True),
    ],
    ids=["reset", "closed", "nothing", "half a status line"],
)
def test_lost_answers_lead_to_repeats_under_the_same_id(
    make: Make, collector: CollectorWithFaults, lost: Answer
) -> None:
    """When answers are lost after the request was read, everything arrives, and repeats carry the same `eid`."""
    collector.behaviour = in_turn(lost, lost, OK, lost)
    notes = Notes()
    emitter = make(batch_size=20, max_retry_delay_seconds=0.1, **notes.callbacks())
    tracked = track_many(emitter, 20)
    assert emitter.sync_flush(timeout=10) == 0
    tracked += track_many(emitter, 20)
    assert emitter.sync_flush(timeout=10) == 0
    assert set(collector.arrived) == set(tracked)
    assert collector.repeated
    assert sorted(notes.succeeded) == sorted(tracked)
    assert_counters_add_up(emitter, 40)


def test_a_cut_body_of_an_answer_loses_nothing(make: Make, collector: CollectorWithFaults) -> None:
    """An answer whose body stops half way leaves no event behind and the connection out of use."""
    collector.behaviour = in_turn(Answer(fault="cut", cut_after=200, body=b"x" * 1_000, keeps=True))
    emitter = make(batch_size=10, max_retry_delay_seconds=0.1)
    tracked = track_many(emitter, 10)
    assert emitter.sync_flush(timeout=10) == 0
    tracked += track_many(emitter, 10)
    assert emitter.sync_flush(timeout=10) == 0
    assert set(collector.arrived) == set(tracked)
    assert_counters_add_up(emitter, 20)


def test_connections_are_kept(make: Make, collector: CollectorWithFaults) -> None:
    """A hundred requests one after the other need one connection."""
    emitter = make(batch_size=1)
    for _ in range(100):
        track_many(emitter, 1)
        assert emitter.sync_flush(timeout=5) == 0
    assert len(collector.arrived) == 100
    assert collector.connections <= 2


@pytest.mark.long
@pytest.mark.parametrize("through_requests", [False, True])
def test_threads_keep_a_connection_each(
    collector: CollectorWithFaults, monkeypatch: pytest.MonkeyPatch, through_requests: bool
) -> None:
    """Four sending threads use at most four connections, whichever way requests go."""
    if through_requests:
        monkeypatch.setenv("NETRC", "/nowhere")  # a netrc file is for requests to read
    collector.behaviour = Answer(wait=0.01)
    with AsyncEmitter(
        collector.endpoint, thread_count=4, batch_size=1, max_request_events=1
    ) as emitter:
        track_many(emitter, 200)
        assert emitter.sync_flush(timeout=10) == 0
    assert len(collector.arrived) == 200
    assert collector.connections <= 5


def test_an_idle_connection_closed_by_the_server_is_no_failure(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Servers close idle connections; the next request uses a new one, and nobody calls that a failed attempt."""
    notes = Notes()
    emitter = make(batch_size=5, **notes.callbacks())
    for _ in range(3):
        track_many(emitter, 5)
        assert emitter.sync_flush(timeout=5) == 0
        collector.close_idle_connections()
        assert collector.wait_for(lambda c: not c.open_connections, timeout=5)
    assert len(collector.arrived) == 15
    assert not collector.repeated
    assert notes.failures == []
    assert emitter.stats().failed_attempts == 0


@pytest.mark.parametrize(
    "answer",
    [
        Answer(connection="close"),
        Answer(then_close=True),
        Answer(version="HTTP/1.0"),
        Answer(first=b"HTTP/1.1 100 Continue\r\n\r\n"),
        Answer(body=b"x" * 3_000_000),
        Answer(body=b"", status=204),
        Answer(headers={"Transfer-Encoding": "identity"}),
        Answer(headers={"X-Long": "y" * 20_000}),
        Answer(status=202),
    ],
    ids=[
        "connection: close",
        "closed without a word",
        "HTTP/1.0",
        "100 first",
        "huge body",
        "no content",
        "identity",
        "long header",
        "accepted",
    ],
)
def test_unusual_servers(make: Make, collector: CollectorWithFaults, answer: Answer) -> None:
    """What servers and proxies may legally do is no failure and repeats nothing."""
    collector.behaviour = answer
    notes = Notes()
    emitter = make(batch_size=10, **notes.callbacks())
    tracked = []
    for _ in range(5):
        tracked += track_many(emitter, 10)
        assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    assert not collector.repeated
    assert notes.failures == []
    assert_counters_add_up(emitter, 50)


def test_a_body_is_never_compressed_nor_chunked(make: Make, collector: CollectorWithFaults) -> None:
    """The collector decompresses nothing, so a body goes out plain, with its length."""
    emitter = make(batch_size=10)
    track_many(emitter, 10)
    assert emitter.sync_flush(timeout=5) == 0
    headers = collector.requests[0].headers
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert int(headers["content-length"]) == len(collector.requests[0].body)
    assert "content-encoding" not in headers
    assert "transfer-encoding" not in headers


def test_garbage_instead_of_an_answer_is_a_failure(
    make: Make, collector: CollectorWithFaults
) -> None:
    """Something that is not HTTP at the other end is a failed attempt like any other."""
    collector.behaviour = in_turn(
        Answer(first=b"SSH-2.0-OpenSSH_9.6\r\n", fault="cut", cut_after=21, keeps=False),
        Answer(first=b"\x00\xff" * 200, fault="cut", cut_after=400, keeps=False),
    )
    notes = Notes()
    emitter = make(batch_size=10, max_retry_delay_seconds=0.1, **notes.callbacks())
    tracked = track_many(emitter, 10)
    assert emitter.sync_flush(timeout=10) == 0
    assert set(collector.arrived) == set(tracked)
    assert len(notes.failures) == 2


def test_cookies_are_refused(make: Make, collector: CollectorWithFaults) -> None:
    """The collector's cookie holds a user id; it is not sent back, or all users would share it."""
    collector.behaviour = Answer(headers={"Set-Cookie": "sp=one-user; Path=/; Max-Age=1000"})
    emitter = make(batch_size=1)
    for _ in range(4):
        track_many(emitter, 1)
        assert emitter.sync_flush(timeout=5) == 0
    assert len(collector.requests) == 4
    assert all("cookie" not in request.headers for request in collector.requests)
