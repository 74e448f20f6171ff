"""Clocks, names, certificates: trouble around the collector rather than in it."""

from __future__ import annotations

import ssl
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from support.collector_with_faults import Answer, CollectorWithFaults, in_turn
from support.tracking import Notes, assert_counters_add_up, track_many

Make = Callable[..., Any]


@pytest.mark.alone
@pytest.mark.parametrize("shift", [-3_600, 3_600])
def test_a_clock_that_is_set_while_waiting(
    make: Make, collector: CollectorWithFaults, monkeypatch: pytest.MonkeyPatch, shift: int
) -> None:
    """Setting the wall clock by an hour changes no wait: neither a retry, `Retry-After`, nor a flush interval."""
    collector.behaviour = in_turn(Answer(status=503, headers={"Retry-After": "1"}))
    notes = Notes()
    emitter = make(batch_size=1, flush_interval=0.5, **notes.callbacks())
    track_many(emitter, 1)
    assert notes.wait_for(lambda seen: seen.failures)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + shift)
    assert collector.wait_for_events(1, timeout=4)
    assert collector.requests[1].at - collector.requests[0].at >= 1
    emitter.batch_size = 100
    track_many(emitter, 1)
    assert collector.wait_for_events(2, timeout=4)
    started = time.monotonic()
    emitter.sync_flush(timeout=1)
    assert time.monotonic() - started < 1.5


def test_the_sent_timestamp_is_that_of_the_request(
    make: Make, collector: CollectorWithFaults
) -> None:
    """`stm` has milliseconds, is made per request, and is made anew for a repeat."""
    collector.behaviour = in_turn(Answer(status=503))
    emitter = make(batch_size=1, max_retry_delay_seconds=0.3)
    track_many(emitter, 1)
    assert collector.wait_for_events(1)
    (first,), (second,) = (request.events for request in collector.requests)
    assert int(first["stm"]) >= int(first["dtm"])
    assert abs(int(first["stm"]) / 1000 - time.time()) < 10
    assert int(second["stm"]) >= int(first["stm"])
    assert first["eid"] == second["eid"]


def test_a_name_that_does_not_exist(make: Make) -> None:
    """A host name that cannot be resolved is a failed attempt; the events stay."""
    notes = Notes()
    emitter = make(endpoint="collector.invalid", batch_size=100, **notes.callbacks())
    track_many(emitter, 3)
    assert emitter.sync_flush() == 3
    assert len(notes.failures) == 1
    assert_counters_add_up(emitter, 3)


def test_a_port_that_is_not_the_collectors(make: Make) -> None:
    """A port that refuses is a failed attempt; the events stay."""
    emitter = make(endpoint="127.0.0.1", port=1, batch_size=100)
    track_many(emitter, 3)
    assert emitter.sync_flush() == 3
    assert_counters_add_up(emitter, 3)


@pytest.fixture(scope="session")
def own_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the loopback address that nobody trusts, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            str(path),
            "-out",
            str(path) + ".crt",
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + Path(str(path) + ".crt").read_text())
    return path


@pytest.fixture
def tls(own_certificate: Path) -> ssl.SSLContext:
    """The server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own_certificate)
    return context


@pytest.mark.long
def test_an_untrusted_certificate(make: Make, tls: ssl.SSLContext) -> None:
    """A certificate that cannot be verified is a failed attempt, never a reason to send all the same."""
    with CollectorWithFaults(tls=tls) as secure:
        notes = Notes()
        emitter = make(
            endpoint=secure.endpoint, protocol="https", batch_size=100, **notes.callbacks()
        )
        track_many(emitter, 3)
        assert emitter.sync_flush() == 3
        assert len(notes.failures) == 1
        assert secure.requests == []


def test_https(
    make: Make, tls: ssl.SSLContext, own_certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS events arrive over a kept connection, with the certificates that requests would use."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own_certificate))
    with CollectorWithFaults(tls=tls) as secure:
        emitter = make(endpoint=secure.endpoint, protocol="https", batch_size=5)
        tracked = []
        for _ in range(4):
            tracked += track_many(emitter, 5)
            assert emitter.sync_flush(timeout=5) == 0
        assert set(secure.arrived) == set(tracked)
        assert secure.connections <= 2


def test_plain_http_where_https_is_expected(make: Make, collector: CollectorWithFaults) -> None:
    """Speaking TLS to a plain server fails within the timeout and loses nothing."""
    emitter = make(protocol="https", batch_size=100, request_timeout=1)
    track_many(emitter, 3)
    started = time.monotonic()
    assert emitter.sync_flush() == 3
    assert time.monotonic() - started < 3


def test_a_proxy_from_the_environment(
    make: Make, collector: CollectorWithFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`http_proxy` is honoured, as requests does."""
    monkeypatch.setenv("http_proxy", collector.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    emitter = make(endpoint="collector.invalid", batch_size=3)
    track_many(emitter, 3)
    assert emitter.sync_flush(timeout=5) == 0
    (request,) = collector.requests
    assert request.target == "http://collector.invalid/com.snowplowanalytics.snowplow/tp2"
