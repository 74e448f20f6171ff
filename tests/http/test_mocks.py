"""Tools that replace a part of requests, or of what is below, see the requests, as they did in 1.1.0."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest
import requests

from snowplow_tracker import Emitter, PageView, Tracker
from support.collector_with_faults import CollectorWithFaults

HOST = "http://collector.example"
PATH = "/com.snowplowanalytics.snowplow/tp2"


def send(method: str = "post", endpoint: str = HOST) -> Tuple[int, int]:
    """Send an event; return how many were sent and how many attempts failed."""
    emitter = Emitter(endpoint, method=method, batch_size=10, request_timeout=2)
    Tracker("mocked", emitter).track(PageView("https://example.com/"))
    emitter.flush()
    stats = emitter.stats()
    emitter.close(timeout=0)
    return stats.sent, stats.failed_attempts


@pytest.mark.parametrize("method", ["post", "get"])
def test_httpretty(method: str) -> None:
    """httpretty, which stands in for sockets, answers."""
    httpretty = pytest.importorskip("httpretty")
    with httpretty.enabled(allow_net_connect=False):
        httpretty.register_uri(httpretty.POST, HOST + PATH, body="ok")
        httpretty.register_uri(httpretty.GET, HOST + "/i", body="ok")
        try:
            requests.post(HOST + PATH, data="{}", timeout=2)
        except httpretty.errors.UnmockedError:
            pytest.skip("httpretty does not work with this urllib3")
        assert send(method) == (1, 0)
        assert httpretty.latest_requests()


def test_mocket() -> None:
    """mocket, which stands in for sockets, answers."""
    mocket = pytest.importorskip("mocket")
    mockhttp = pytest.importorskip("mocket.mocks.mockhttp")

    @mocket.mocketize(strict_mode=True)
    def run() -> Tuple[int, int]:
        mockhttp.Entry.single_register(mockhttp.Entry.POST, HOST + PATH, body="ok")
        return send()

    assert run() == (1, 0)


def test_pook() -> None:
    """A request is answered by pook."""
    pook = pytest.importorskip("pook")
    with pook.use():
        pook.post(HOST + PATH).reply(200)
        assert send() == (1, 0)


def test_vcr(collector: CollectorWithFaults, tmp_path: Any) -> None:
    """A request is recorded by vcrpy, and its answer played again."""
    vcr = pytest.importorskip("vcr")
    cassette = str(tmp_path / "cassette.yaml")
    with vcr.use_cassette(cassette, match_on=["method", "path"]):
        assert send(endpoint=collector.url) == (1, 0)
    assert len(collector.requests) == 1
    with vcr.use_cassette(cassette, match_on=["method", "path"], record_mode="none"):
        assert send(endpoint=collector.url) == (1, 0)
    assert len(collector.requests) == 1


@pytest.mark.parametrize("library", ["requests", "urllib3"])
def test_opentelemetry(library: str, collector: CollectorWithFaults) -> None:
    """The instrumentation of OpenTelemetry makes a span of a request."""
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    trace = pytest.importorskip("opentelemetry.sdk.trace")
    instrumentation = pytest.importorskip(f"opentelemetry.instrumentation.{library}")
    exporter = memory.InMemorySpanExporter()
    provider = trace.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    names = {"requests": "RequestsInstrumentor", "urllib3": "URLLib3Instrumentor"}
    instrumentor = getattr(instrumentation, names[library])()
    instrumentor.instrument(tracer_provider=provider)
    try:
        assert send(endpoint=collector.url) == (1, 0)
    finally:
        instrumentor.uninstrument()
    spans: List[Any] = list(exporter.get_finished_spans())
    assert len(spans) == 1
