"""The faults of a collector, by name: each for a while, for the next requests, or until it ends."""

import http.client
import threading
import time

import pytest

from snowplow_tracker import Emitter, PageView, Tracker
from snowplow_tracker.testing import Collector

TARGET = "/i?e=pv&p=web&tv=t&eid=2c9f7c2e-5d3b-4a63-9d0e-0d5b7c2f1a11"


@pytest.fixture
def collector():
    with Collector() as running:
        yield running


def ask(collector, target=TARGET, timeout=10, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=timeout)
    try:
        path = target if body is None else "/com.snowplowanalytics.snowplow/tp2"
        connection.request("GET" if body is None else "POST", path, body)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers
    finally:
        connection.close()


BROKEN = (OSError, http.client.HTTPException)
FAULTS = [
    (lambda faults, **how: faults.down(**how), BROKEN),
    (lambda faults, **how: faults.drop_before_reading(**how), BROKEN),
    (lambda faults, **how: faults.drop_after_reading(**how), BROKEN),
    (lambda faults, **how: faults.status(503, **how), 503),
    (lambda faults, **how: faults.status(429, retry_after=7, **how), 429),
    (lambda faults, **how: faults.redirect("https://127.0.0.1:1/", **how), 301),
    (lambda faults, **how: faults.redirect("/elsewhere", 308, **how), 308),
]


def meets(collector, outcome):
    if outcome is BROKEN:
        with pytest.raises(BROKEN):
            ask(collector)
    else:
        assert ask(collector)[0] == outcome


@pytest.mark.parametrize(("begin", "outcome"), FAULTS)
def test_a_fault_for_the_next_requests(collector, begin, outcome):
    """It meets so many requests, and the next one is answered as usual."""
    fault = begin(collector.faults, requests=2)
    meets(collector, outcome)
    meets(collector, outcome)
    assert ask(collector)[0] == 200
    assert fault.hits == 2
    assert not fault.active


@pytest.mark.parametrize(("begin", "outcome"), FAULTS)
def test_a_fault_until_it_ends(collector, begin, outcome):
    """Without a number it lasts until the end of the ``with`` statement."""
    with begin(collector.faults) as fault:
        meets(collector, outcome)
        assert fault.active
    assert ask(collector)[0] == 200


@pytest.mark.parametrize(("begin", "outcome"), FAULTS)
def test_a_fault_for_a_while(collector, begin, outcome):
    """It ends by itself after so many seconds."""
    begin(collector.faults, seconds=0.3)
    meets(collector, outcome)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if ask(collector)[0] == 200:
                return
        except BROKEN:
            pass
    pytest.fail("the fault did not end")


def test_dropped_requests_are_kept_or_not(collector):
    """Before reading nothing arrives; after reading the events are there and nobody was told."""
    with collector.faults.drop_before_reading(), pytest.raises(BROKEN):
        ask(collector)
    assert collector.requests == []
    with collector.faults.drop_after_reading(), pytest.raises(BROKEN):
        ask(collector)
    assert len(collector.events) == 1


def test_headers_of_a_status_and_a_redirect(collector):
    """``Retry-After`` and ``Location`` are what was asked for."""
    collector.faults.status(503, retry_after="Wed, 21 Oct 2026 07:28:00 GMT", requests=1)
    assert ask(collector)[1]["Retry-After"] == "Wed, 21 Oct 2026 07:28:00 GMT"
    collector.faults.redirect("https://127.0.0.1:1/", requests=1)
    assert ask(collector)[1]["Location"] == "https://127.0.0.1:1/"
    assert collector.events == []


def test_a_limit_refuses_what_is_larger(collector):
    """Only what is over the limit is refused, and only that counts."""
    fault = collector.faults.limit(100, requests=1)
    assert ask(collector, body=b"x" * 100)[0] == 200
    assert ask(collector, body=b"x" * 101)[0] == 413
    assert ask(collector, body=b"x" * 101)[0] == 200
    assert fault.hits == 1


def test_slow_answers_come_late(collector):
    """The answer is the usual one, after the delay."""
    collector.faults.slow(0.2, requests=1)
    began = time.monotonic()
    assert ask(collector)[0] == 200
    assert time.monotonic() - began >= 0.2
    assert len(collector.events) == 1


def test_a_request_hangs_until_the_fault_ends(collector):
    """It is read, not kept and never answered; its connection is cut in the end."""
    fault = collector.faults.hang(requests=1)
    failed = threading.Event()

    def call():
        with pytest.raises(BROKEN):
            ask(collector, timeout=60)
        failed.set()

    caller = threading.Thread(target=call)
    caller.start()
    collector.wait_for_requests(1)
    assert ask(collector)[0] == 200
    assert len(collector.events) == 1
    assert not failed.is_set()
    fault.end()
    caller.join(10)
    assert failed.is_set()


def test_a_request_that_hangs_is_cut_with_all_faults(collector):
    """A hang that affects no further requests still holds its connection, and ends with all other faults."""
    collector.faults.hang(requests=1)
    failed = threading.Event()

    def call():
        with pytest.raises(BROKEN):
            ask(collector, timeout=60)
        failed.set()

    caller = threading.Thread(target=call)
    caller.start()
    collector.wait_for_requests(1)
    collector.faults.status(503).end()
    assert not failed.is_set()
    collector.faults.clear()
    assert failed.wait(10)
    caller.join()


def test_connections_are_refused_and_cut_while_down(collector):
    """A kept connection ends, a new one is refused, and the port is the same afterwards."""
    kept = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    kept.request("GET", TARGET)
    kept.getresponse().read()
    port = collector.port
    with collector.faults.down(), collector.faults.down():
        with pytest.raises(BROKEN):
            kept.request("GET", TARGET)
            kept.getresponse()
        with pytest.raises(ConnectionRefusedError):
            ask(collector)
    assert ask(collector)[0] == 200
    assert collector.port == port
    kept.close()


def test_faults_are_met_in_the_order_in_which_they_began(collector):
    """Two refusals, then a redirect, then all is well."""
    collector.faults.status(503, requests=2)
    collector.faults.status(500, requests=1)
    assert [ask(collector)[0] for _ in range(4)] == [503, 503, 500, 200]


def test_all_faults_can_be_ended(collector):
    """After a clear nothing goes wrong any more."""
    collector.faults.down()
    collector.faults.status(500)
    collector.faults.drop_before_reading()
    collector.faults.clear()
    assert ask(collector)[0] == 200


def test_a_stopped_collector_starts_well_and_goes_on_with_its_faults(collector):
    """A stop while it is down, or while requests hang, is no trouble."""
    collector.faults.down()
    collector.stop()
    collector.start()
    with pytest.raises(BROKEN):
        ask(collector)
    collector.faults.clear()
    assert ask(collector)[0] == 200


@pytest.mark.long
def test_a_tracker_gets_its_events_through(collector):
    """A tracker delivers through a series of faults, each event once."""
    collector.faults.status(503, requests=1)
    collector.faults.drop_before_reading(requests=1)
    emitter = Emitter(collector.endpoint, batch_size=1)
    tracker = Tracker("ns", emitter)
    event_id = tracker.track(PageView("https://shop.example"))
    tracker.flush(timeout=30)
    collector.wait_for(1, timeout=30).assert_one(eid=event_id)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda faults: faults.down(seconds=0), "seconds is 0"),
        (lambda faults: faults.down(seconds=float("nan")), "seconds is nan"),
        (lambda faults: faults.hang(requests=0), "requests is 0"),
        (lambda faults: faults.hang(requests=True), "requests is True"),
        (lambda faults: faults.slow(-1), "delay is -1"),
        (lambda faults: faults.status(99), "status is 99"),
        (lambda faults: faults.status("503"), "status is '503'"),
        (lambda faults: faults.limit(-1), "max_bytes is -1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(collector, call, message):
    """The error names the argument, and no fault begins."""
    with pytest.raises(ValueError, match=message):
        call(collector.faults)
    assert ask(collector)[0] == 200


def test_what_hangs_is_cut_when_the_time_is_over(collector):
    """A hang for a while ends with the connection, without an answer."""
    collector.faults.hang(seconds=0.3)
    began = time.monotonic()
    with pytest.raises(BROKEN):
        ask(collector)
    assert 0.2 < time.monotonic() - began < 9
    assert ask(collector)[0] == 200
