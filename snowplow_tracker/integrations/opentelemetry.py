"""Delivery counters as OpenTelemetry metrics. It needs `opentelemetry-api`, the extra `opentelemetry`.

Instruments, each with the attributes `namespace`, `endpoint` (without credentials) and `emitter` (the class):
`snowplow.events.tracked`, `snowplow.events.sent`, `snowplow.events.dropped` (with `reason`), `snowplow.events.retried`,
`snowplow.requests.failed` (counters), `snowplow.events.queued` and `snowplow.events.in_flight` (gauges).
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Callable, Iterable, Optional, Union

from opentelemetry import metrics as otel

from snowplow_tracker import metrics
from snowplow_tracker._version import __version__

if TYPE_CHECKING:
    from snowplow_tracker.emitters import Emitter
    from snowplow_tracker.tracker import Tracker

__all__ = ["observe"]


def observe(
    *sources: Union[Tracker, Emitter], meter_provider: Optional[otel.MeterProvider] = None
) -> None:
    """Register the delivery counters of trackers or emitters as metrics.

    The counters are read when metrics are collected. Only weak references to the sources are kept.

    Args:
        *sources: Emitters, or trackers, which stand for their emitters.
        meter_provider: The provider to register with. Default: the global one.

    Raises:
        TypeError: A source has no method `stats`, or is a tracker of another package.
    """
    metrics.samples(*sources)  # raises for invalid sources
    references = [weakref.ref(source) for source in sources]
    meter = otel.get_meter("snowplow_tracker", __version__, meter_provider)
    for family in metrics.FAMILIES:
        create = (
            meter.create_observable_counter
            if family.kind == "counter"
            else meter.create_observable_gauge
        )
        create(
            family.name.replace("_", ".", 2),
            callbacks=[_reader(family, references)],
            unit=f"{{{family.unit}}}",
            description=family.meaning,
        )


def _reader(family: metrics.Family, references: Any) -> Callable[[Any], Iterable[otel.Observation]]:
    def read(_options: object) -> Iterable[otel.Observation]:
        alive = [source for source in (reference() for reference in references) if source]
        return [
            otel.Observation(sample.value, sample.labels)
            for sample in metrics.samples(*alive)
            if sample.family is family
        ]

    return read
