"""Delivery counters as OpenTelemetry metrics, with the real SDK."""

from __future__ import annotations

import gc

import pytest

from snowplow_tracker import Emitter, PageView, Tracker
from snowplow_tracker.testing import Collector
from support.frameworks import need_module


def collected(reader):
    """Return the numbers, by instrument and sorted attributes."""
    data = reader.get_metrics_data()
    return {
        (metric.name, point.attributes.get("reason")): point
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


@pytest.fixture
def provided():
    need_module("opentelemetry.sdk.metrics")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    yield reader, provider
    provider.shutdown()


def test_the_numbers_are_those_of_the_emitter(provided):
    """Counters and gauges are read when metrics are collected, and say of which tracker they are."""
    from snowplow_tracker.integrations.opentelemetry import observe

    reader, provider = provided
    with Collector() as collector:
        tracker = Tracker("shop", Emitter(collector.endpoint, batch_size=2))
        observe(tracker, meter_provider=provider)
        for _ in range(3):
            tracker.track(PageView("https://example.com/"))
        found = collected(reader)
        assert found["snowplow.events.tracked", None].value == 3
        assert found["snowplow.events.sent", None].value == 2
        assert found["snowplow.events.queued", None].value == 1
        assert found["snowplow.requests.failed", None].value == 0
        # From the start, so that the first loss is an increase.
        assert found["snowplow.events.dropped", "rejected"].value == 0
        attributes = dict(found["snowplow.events.sent", None].attributes)
        assert attributes["namespace"] == "shop"
        assert attributes["endpoint"].startswith(collector.endpoint)
        tracker.flush()
        assert collected(reader)["snowplow.events.sent", None].value == 3


def test_no_tracker_is_kept_alive(provided):
    """A tracker that is gone is no longer reported; what is no tracker is refused at once."""
    from snowplow_tracker.integrations.opentelemetry import observe

    reader, provider = provided
    observe(Tracker("gone", Emitter("http://127.0.0.1:9")), meter_provider=provider)
    gc.collect()
    assert collected(reader) == {}
    with pytest.raises(TypeError):
        observe("tracker", meter_provider=provider)
