"""`request_timeout` is for all of a request, past requests and through requests."""

from __future__ import annotations

import time
from typing import Any, Tuple

import pytest

from snowplow_tracker.emitters import Emitter
from support.collector_with_faults import OK, Answer, CollectorWithFaults, in_turn
from support.inside import keep_alive, sockets, through_requests, transport

SILENCE = Answer(fault="silence")


@pytest.fixture(params=["past requests", "through requests"])
def emitter(
    request: pytest.FixtureRequest, collector: CollectorWithFaults, monkeypatch: pytest.MonkeyPatch
) -> Emitter:
    """An emitter that makes its requests either way."""
    if request.param == "through requests":
        monkeypatch.setattr(transport, "plan", lambda *_: None)
    return Emitter(collector.endpoint, protocol="http")


@pytest.fixture
def slow_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection takes 0.4 s."""

    def connect(*arguments: Any) -> Any:
        time.sleep(0.4)
        return sockets.connect(*arguments)

    monkeypatch.setattr(keep_alive, "connect", connect)
    monkeypatch.setattr(through_requests, "connect", connect)


def post(emitter: Emitter) -> Tuple[int, float]:
    """Return the status of a request, and how long it took."""
    started = time.monotonic()
    status = int(emitter.http_post("{}"))
    return status, time.monotonic() - started


@pytest.mark.parametrize("limit", [0.8, (0.2, 0.6)])
def test_a_kept_connection_that_is_reset_late_gets_no_second_time_limit(
    emitter: Emitter, collector: CollectorWithFaults, limit: Any
) -> None:
    """The attempt on a new connection has what the first one left of the time."""
    collector.behaviour = in_turn(OK, Answer(wait=0.5, fault="reset"), then=SILENCE)
    emitter.request_timeout = limit
    assert post(emitter)[0] == 200
    status, seconds = post(emitter)
    assert status == -1
    assert seconds < 1.1


def test_a_kept_connection_that_is_reset_at_once_is_no_failure(
    emitter: Emitter, collector: CollectorWithFaults
) -> None:
    """What is left of the time is enough for a collector that is well."""
    collector.behaviour = in_turn(OK, Answer(then_close=True), then=OK)
    emitter.request_timeout = 5
    assert [post(emitter)[0] for _ in range(2)] == [200] * 2
    # Through requests, a request that crosses the closing is a failed attempt.
    assert collector.wait_for(lambda each: not each.open_connections)
    assert post(emitter)[0] == 200


@pytest.mark.usefixtures("slow_connection")
def test_one_number_is_for_connection_and_answer(
    emitter: Emitter, collector: CollectorWithFaults
) -> None:
    """The time that connecting took is missing for the answer."""
    collector.behaviour = SILENCE
    emitter.request_timeout = 0.7
    status, seconds = post(emitter)
    assert status == -1
    assert seconds < 1


@pytest.mark.usefixtures("slow_connection")
def test_of_a_pair_the_second_is_for_the_answer_alone(
    emitter: Emitter, collector: CollectorWithFaults
) -> None:
    """A connection that took longer than the time for the answer leaves that time as it is."""
    collector.behaviour = Answer(wait=0.1)
    emitter.request_timeout = (2, 0.3)
    assert post(emitter)[0] == 200
    collector.behaviour = Answer(wait=0.6)
    assert post(emitter)[0] == -1
