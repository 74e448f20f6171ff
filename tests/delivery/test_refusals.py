"""Answers that say that the request itself is the trouble: redirects, refusals, too large."""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, List, Tuple

import pytest

from snowplow_tracker.emitters import Emitter
from support.collector_with_faults import (
    OK,
    Answer,
    CollectorWithFaults,
    Request,
    in_turn,
    sizes,
    too_large_above,
)
from support.stores import FourMethodStore
from support.tracking import Notes, assert_counters_add_up, payload, track_many

Make = Callable[..., Any]
LOGGER = "snowplow_tracker.emitters"


class WatchedStore(FourMethodStore):
    """A user's store with the four methods of the protocol and nothing else, which keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.cleanups: List[Tuple[List[str], bool]] = []

    def cleanup(self, batch: List[Dict[str, Any]], need_retry: bool) -> None:
        self.cleanups.append(([event["eid"] for event in batch], need_retry))
        super().cleanup(batch, need_retry)

    def told(self, need_retry: bool) -> List[str]:
        """Return the events that it was told this about."""
        return [eid for eids, retry in self.cleanups if retry == need_retry for eid in eids]


@pytest.mark.parametrize("method", ["post", "get"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_failures_that_name_their_target(
    make: Make,
    collector: CollectorWithFaults,
    caplog: pytest.LogCaptureFixture,
    status: int,
    method: str,
) -> None:
    """A redirect is not followed, loses nothing, is reported as a failure, and the log names the target."""
    with CollectorWithFaults() as elsewhere:
        collector.behaviour = Answer(status=status, headers={"Location": elsewhere.url + "/there"})
        notes = Notes()
        emitter = make(
            method=method, batch_size=3, max_retry_delay_seconds=0.2, **notes.callbacks()
        )
        with caplog.at_level(logging.WARNING, LOGGER):
            tracked = track_many(emitter, 3)
            assert notes.wait_for(lambda seen: seen.failures)
        assert elsewhere.requests == []
        assert notes.successes == []
        assert elsewhere.url + "/there" in caplog.text
        collector.behaviour = OK
        assert emitter.sync_flush(timeout=5) == 0
        assert sorted(collector.arrived) == sorted(tracked)
        assert_counters_add_up(emitter, 3)


def test_413_is_split_until_everything_fits(make: Make, collector: CollectorWithFaults) -> None:
    """Below a limit of 100 kB every event that fits alone arrives, and one that does not is given up once."""
    collector.behaviour = too_large_above(100_000)
    notes = Notes()
    store = WatchedStore()
    emitter = make(batch_size=1_000, event_store=store, **notes.callbacks())
    tracked = track_many(emitter, 150, ue_pr="x" * 1_000)
    tracked += track_many(emitter, 5, ue_pr="x" * 60_000)
    (giant,) = track_many(emitter, 1, ue_pr="x" * 150_000)
    tracked += track_many(emitter, 150, ue_pr="x" * 1_000)
    assert emitter.sync_flush(timeout=15) == 0
    assert set(collector.arrived) == set(tracked)
    assert not collector.repeated
    assert notes.dropped("too_large") == [giant]
    assert len(notes.drops) == 1
    assert emitter.stats().dropped == {"too_large": 1}
    assert len(collector.requests) < 100
    assert store.told(need_retry=False).count(giant) == 1
    assert sorted(store.told(need_retry=False)) == sorted([*tracked, giant])
    assert_counters_add_up(emitter, 306)


def test_one_event_of_any_size_is_sent_alone(make: Make, collector: CollectorWithFaults) -> None:
    """The collector decides about a large event: we send it, in a request of its own."""
    notes = Notes()
    emitter = make(batch_size=10, **notes.callbacks())
    (giant,) = track_many(emitter, 1, ue_pr="x" * 3_000_000)
    tracked = track_many(emitter, 20)
    assert emitter.sync_flush(timeout=10) == 0
    # This collector, as some do, answers 200 to a giant and keeps nothing of it.
    assert set(collector.arrived) == set(tracked)
    assert notes.drops == []
    bodies = [[event["eid"] for event in request.events] for request in collector.requests]
    assert [body for body in bodies if giant in body] == [[giant]]
    assert_counters_add_up(emitter, 21)


def test_an_event_above_the_soft_limit_goes_alone(
    make: Make, collector: CollectorWithFaults
) -> None:
    """An event larger than `max_request_bytes` that the collector still takes is sent in a request of its own."""
    emitter = make(batch_size=10, max_request_bytes=10_000)
    tracked = track_many(emitter, 3)
    tracked += track_many(emitter, 1, ue_pr="x" * 50_000)
    tracked += track_many(emitter, 3)
    assert emitter.sync_flush(timeout=10) == 0
    assert set(collector.arrived) == set(tracked)
    assert max(sizes([r for r in collector.requests if len(r.body) > 10_000])) == 1


@pytest.mark.parametrize(("text", "bytes_each"), [("a", 1), ("é", 6), ("😀", 12), ('"', 2)])
def test_requests_are_bounded_by_encoded_bytes(
    make: Make, collector: CollectorWithFaults, text: str, bytes_each: int
) -> None:
    """`max_request_bytes` counts the bytes on the wire, whatever the characters."""
    emitter = make(batch_size=10_000, max_request_bytes=50_000, buffer_capacity=10_000)
    tracked = track_many(emitter, 400, page=text * (3_000 // bytes_each))
    assert emitter.sync_flush(timeout=10) == 0
    assert set(collector.arrived) == set(tracked)
    assert 25_000 < collector.largest_body <= 50_000
    assert collector.events()[0]["page"] == text * (3_000 // bytes_each)


@pytest.mark.parametrize("events", [1, 7, 500])
def test_requests_are_bounded_by_events(
    make: Make, collector: CollectorWithFaults, events: int
) -> None:
    """No request holds more than `max_request_events`."""
    emitter = make(batch_size=10_000, max_request_events=events)
    tracked = track_many(emitter, min(40 * events, 1_600))
    assert emitter.sync_flush(timeout=10) == 0
    assert set(collector.arrived) == set(tracked)
    assert max(sizes(collector.requests)) == events


@pytest.mark.parametrize("method", ["post", "get"])
@pytest.mark.parametrize("status", [400, 401, 403, 410, 422])
def test_rejected_events_are_not_retried(
    make: Make,
    collector: CollectorWithFaults,
    caplog: pytest.LogCaptureFixture,
    status: int,
    method: str,
) -> None:
    """A status for which a retry is pointless: counted as rejected, logged at WARNING, the store is told."""
    collector.behaviour = Answer(status=status)
    notes = Notes()
    store = WatchedStore()
    emitter = make(method=method, batch_size=5, event_store=store, **notes.callbacks())
    with caplog.at_level(logging.WARNING, LOGGER):
        tracked = track_many(emitter, 5)
        assert emitter.sync_flush(timeout=5) == 0
    assert all(collector.seen[eid] == 1 for eid in tracked)
    assert sorted(notes.dropped("rejected")) == sorted(tracked)
    assert sorted(notes.failed) == sorted(tracked)
    assert emitter.stats().dropped == {"rejected": 5}
    assert sorted(store.told(need_retry=False)) == sorted(tracked)
    assert store.told(need_retry=True) == []
    assert any(
        r.levelno == logging.WARNING and str(status) in r.getMessage() for r in caplog.records
    )
    assert_counters_add_up(emitter, 5)


def test_a_rejection_does_not_slow_the_rest_down(
    make: Make, collector: CollectorWithFaults
) -> None:
    """The collector answered, so what comes after a rejected request is sent without a delay."""
    collector.behaviour = in_turn(*[Answer(status=400)] * 10)
    emitter = make(batch_size=1, max_request_events=1)
    track_many(emitter, 20)
    assert emitter.sync_flush(timeout=2) == 0
    assert len(collector.arrived) == 10
    assert emitter.stats().dropped == {"rejected": 10}


@pytest.mark.parametrize(
    ("status", "retried"), [(400, True), (422, True), (503, False), (404, False)]
)
def test_custom_retry_codes_decide(
    make: Make, collector: CollectorWithFaults, status: int, retried: bool
) -> None:
    """`custom_retry_codes` turns the retry of a status on or off."""
    collector.behaviour = in_turn(Answer(status=status))
    emitter = make(batch_size=5, custom_retry_codes={status: retried}, max_retry_delay_seconds=0.1)
    track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    assert len(collector.arrived) == (5 if retried else 0)
    assert sum(emitter.stats().dropped.values()) == (0 if retried else 5)
    assert_counters_add_up(emitter, 5)


@pytest.mark.parametrize("retried", [True, False])
def test_413_under_a_custom_retry_code(
    make: Make, collector: CollectorWithFaults, retried: bool
) -> None:
    """The user's own word about 413 wins over splitting."""
    collector.behaviour = in_turn(Answer(status=413))
    emitter = make(batch_size=5, custom_retry_codes={413: retried}, max_retry_delay_seconds=0.1)
    track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    assert len(collector.arrived) == (5 if retried else 0)


def test_a_connection_error_has_status_minus_one(
    make: Make, collector: CollectorWithFaults
) -> None:
    """`custom_retry_codes={-1: False}` gives up what could not be delivered."""
    collector.refuse()
    notes = Notes()
    emitter = make(batch_size=5, custom_retry_codes={-1: False}, **notes.callbacks())
    tracked = track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    assert sorted(notes.dropped("rejected")) == sorted(tracked)


def test_custom_retry_codes_are_read_when_used(make: Make, collector: CollectorWithFaults) -> None:
    """The codes can be set after construction, and the caller's dictionary is not shared."""
    codes = {500: True}
    emitter = make(batch_size=5, custom_retry_codes=codes)
    codes[500] = False
    assert emitter.custom_retry_codes == {500: True}
    emitter.custom_retry_codes = {500: False}
    collector.behaviour = Answer(status=500)
    track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    assert emitter.stats().dropped == {"rejected": 5}


def test_a_good_status_is_never_retried(make: Make, collector: CollectorWithFaults) -> None:
    """A custom code for a good status does not make a success a failure."""
    emitter = make(batch_size=5, custom_retry_codes={200: True})
    track_many(emitter, 5)
    assert emitter.sync_flush(timeout=5) == 0
    assert len(collector.requests) == 1


def test_is_good_status_code_can_be_overridden(
    emitter_class: type, collector: CollectorWithFaults
) -> None:
    """A subclass decides what a success is."""
    good: List[int] = []

    def is_good(code: int) -> bool:
        good.append(code)
        return code == 503

    lenient = type("Lenient", (emitter_class,), {"is_good_status_code": staticmethod(is_good)})
    collector.behaviour = Answer(status=503)
    with lenient(collector.endpoint, protocol="http", batch_size=5) as emitter:
        track_many(emitter, 5)
        assert emitter.sync_flush(timeout=5) == 0
        assert emitter.stats().sent == 5
    assert good == [503]


def test_get_events_have_an_outcome_each(make: Make, collector: CollectorWithFaults) -> None:
    """In a GET batch of which some fail, each event is sent, retried or rejected on its own."""
    events = [payload() for _ in range(6)]
    retried, rejected = events[1]["eid"], events[4]["eid"]
    failed_once: List[str] = []

    def behave(request: Request) -> Answer:
        (event,) = request.events
        if event["eid"] == rejected:
            return Answer(status=400)
        if event["eid"] == retried and retried not in failed_once:
            failed_once.append(retried)
            return Answer(status=503)
        return OK

    collector.behaviour = behave
    notes = Notes()
    emitter = make(method="get", batch_size=6, max_retry_delay_seconds=0.1, **notes.callbacks())
    for event in events:
        emitter.input(event)
    assert emitter.sync_flush(timeout=5) == 0
    expected = {event["eid"] for event in events} - {rejected}
    assert set(collector.arrived) == expected
    assert not collector.repeated
    assert sorted(notes.succeeded) == sorted(expected)
    assert sorted(notes.failed) == sorted([retried, rejected])
    assert notes.dropped("rejected") == [rejected]
    assert collector.seen[retried] == 2
    assert_counters_add_up(emitter, 6)


def test_an_event_too_long_for_a_url_goes_as_post(
    make: Make, collector: CollectorWithFaults
) -> None:
    """With method GET an event that the collector would answer with 400 is sent by POST."""

    def behave(request: Request) -> Answer:
        return Answer(status=400) if len(request.target) > 20_000 else OK

    collector.behaviour = behave
    emitter = make(method="get", batch_size=3)
    tracked = track_many(emitter, 1)
    tracked += track_many(emitter, 1, page="é" * 5_000)
    tracked += track_many(emitter, 1)
    assert emitter.sync_flush(timeout=5) == 0
    assert set(collector.arrived) == set(tracked)
    assert sorted(r.method for r in collector.requests) == ["GET", "GET", "POST"]
    (post,) = [r for r in collector.requests if r.method == "POST"]
    assert post.path == "/com.snowplowanalytics.snowplow/tp2"
    assert all(isinstance(value, str) for value in post.events[0].values())
    assert emitter.stats().dropped == {}


@pytest.mark.long
def test_get_requests_stop_when_the_collector_is_gone(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A GET batch does not try each of its events against a collector that refuses connections."""
    collector.refuse()
    notes = Notes()
    emitter = make(method="get", batch_size=500, **notes.callbacks())
    tracked = track_many(emitter, 300)
    assert emitter.sync_flush() == 300
    assert emitter.stats().failed_attempts <= 3
    collector.listen()
    assert emitter.sync_flush(timeout=10) == 0
    assert set(collector.arrived) == set(tracked)
    assert not collector.repeated


def test_the_emitter_of_1_1_0_defaults(collector: CollectorWithFaults) -> None:
    """GET sends each event at once, POST in tens."""
    with Emitter(collector.endpoint, protocol="http", method="get") as emitter:
        track_many(emitter, 1)
        assert len(collector.requests) == 1
    with Emitter(collector.endpoint, protocol="http") as emitter:
        track_many(emitter, 9)
        assert len(collector.requests) == 1
        track_many(emitter, 1)
        assert len(collector.requests) == 2


def test_get_requests_are_few_while_the_collector_fails(
    make: Make, collector: CollectorWithFaults
) -> None:
    """A collector that answers 503 to everything is not asked once for each of hundreds of events."""
    collector.behaviour = Answer(status=503)
    emitter = make(method="get", batch_size=300)
    track_many(emitter, 300)
    assert emitter.sync_flush() == 300
    assert len(collector.requests) <= 20


@pytest.mark.long
def test_a_spell_of_413_does_not_shrink_requests_for_ever(
    make: Make, collector: CollectorWithFaults
) -> None:
    """After a proxy that refused everything as too large is mended, requests grow again."""
    collector.behaviour = Answer(status=413)
    emitter = make(batch_size=10_000)
    track_many(emitter, 64)
    assert emitter.sync_flush(timeout=10) == 0
    assert emitter.stats().dropped == {"too_large": 64}
    collector.behaviour = OK
    track_many(emitter, 10_000)
    assert emitter.sync_flush(timeout=20) == 0
    assert max(sizes(collector.requests[-3:])) >= 100
