"""Delivery counters for monitoring: as Prometheus text, or passed to a callback at intervals.

For OpenTelemetry see `snowplow_tracker.integrations.opentelemetry`; the worker serves the same text with
``--metrics-port``.
"""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Set, Tuple, Union

from snowplow_tracker._delivery.options import check_seconds
from snowplow_tracker._delivery.stats import DeliveryStats, DropReason
from snowplow_tracker._http.endpoint import redact
from snowplow_tracker._process import fork

if TYPE_CHECKING:
    from snowplow_tracker.emitters import Emitter
    from snowplow_tracker.hooks import TrackerStats
    from snowplow_tracker.tracker import Tracker

__all__ = ["FAMILIES", "Family", "Reporter", "Sample", "prometheus_text", "samples"]

logger: logging.Logger = logging.getLogger("snowplow_tracker.metrics")


class Family(NamedTuple):
    """One metric: a metric family, in the terms of Prometheus.

    Attributes:
        name: Its name in Prometheus, without `_total`.
        kind: `"counter"`, which only grows while the process lives, or `"gauge"`.
        unit: What is counted: `"event"` or `"request"`.
        meaning: Its description, one sentence.
        stat: Its field of `DeliveryStats`.
    """

    name: str
    kind: str
    unit: str
    meaning: str
    stat: str


class Sample(NamedTuple):
    """One value of a metric.

    Attributes:
        family: The metric.
        labels: `namespace` (if the source is a tracker), `endpoint` (without credentials), `emitter` (the class), and
            `reason` for dropped events: there is a value for each `DropReason`, also while it is 0.
        value: The value.
    """

    family: Family
    labels: Dict[str, str]
    value: int


def _of_events(stat: str, kind: str, meaning: str) -> Family:
    return Family(f"snowplow_events_{stat}", kind, "event", meaning, stat)


FAMILIES: Tuple[Family, ...] = (
    _of_events("tracked", "counter", "Events that were passed to the emitter."),
    _of_events("sent", "counter", "Events that the collector accepted."),
    _of_events("dropped", "counter", "Events that were dropped, by reason."),
    _of_events(
        "retried", "counter", "Events that were requeued after a failed request, counted each time."
    ),
    Family(
        name="snowplow_requests_failed",
        kind="counter",
        unit="request",
        meaning="Requests that failed.",
        stat="failed_attempts",
    ),
    _of_events("queued", "gauge", "Events that wait in the queue."),
    _of_events("in_flight", "gauge", "Events that are being sent."),
)
"""All metrics."""


def samples(*sources: Union[Tracker, Emitter]) -> List[Sample]:
    """Return the current values of all metrics of trackers or emitters.

    Values of several emitters that have the same labels are added up.

    Args:
        *sources: Emitters, or trackers, which stand for their emitters.

    Raises:
        TypeError: A source has no method `stats`, or is a tracker of another package.
    """
    found: Dict[Tuple[object, ...], Sample] = {}
    counted = set()
    for source in sources:
        tracker: Any = source if hasattr(source, "emitters") else None
        if tracker is None and not hasattr(source, "stats"):
            raise TypeError(f"sources must be trackers or emitters, got {type(source).__name__}.")
        labels = {} if tracker is None else {"namespace": tracker.get_namespace()}
        for emitter in [source] if tracker is None else tracker.emitters:
            # A user's own emitter may count nothing.
            if (id(emitter), *labels.values()) in counted or not hasattr(emitter, "stats"):
                continue
            counted.add((id(emitter), *labels.values()))
            for sample in _samples_of(emitter, labels):
                key = (sample.family, *sample.labels.items())
                before = found[key].value if key in found else 0
                found[key] = sample._replace(value=before + sample.value)
    return list(found.values())


def _samples_of(emitter: Any, labels: Dict[str, str]) -> List[Sample]:
    labels = {
        **labels,
        "endpoint": redact(str(getattr(emitter, "endpoint", ""))),
        "emitter": type(emitter).__name__,
    }
    stats: DeliveryStats = emitter.stats()
    found: List[Sample] = []
    for family in FAMILIES:
        value = getattr(stats, family.stat)
        if isinstance(value, dict):
            # Each reason from the start: `increase()` of Prometheus does not see the first value of a new series.
            found += [
                Sample(family, {**labels, "reason": reason.value}, value.get(reason, 0))
                for reason in DropReason
            ]
        else:
            found.append(Sample(family, labels, value))
    return found


def prometheus_text(*sources: Union[Tracker, Emitter]) -> str:
    """Return the metrics of trackers or emitters in the text format of Prometheus (0.0.4), for your own route.

    Serve it as ``text/plain; version=0.0.4``.

    Args:
        *sources: Emitters, or trackers, which stand for their emitters.

    Raises:
        TypeError: A source has no method `stats`, or is a tracker of another package.
    """
    found = samples(*sources)
    lines: List[str] = []
    for family in FAMILIES:
        name = family.name + ("_total" if family.kind == "counter" else "")
        lines += [f"# HELP {name} {family.meaning}", f"# TYPE {name} {family.kind}"]
        lines += [
            f"{name}{{{_labels(sample.labels)}}} {sample.value}"
            for sample in found
            if sample.family is family
        ]
    return "\n".join(lines) + "\n"


def _labels(labels: Dict[str, str]) -> str:
    escapes = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
    return ",".join(f'{name}="{value.translate(escapes)}"' for name, value in labels.items())


class Reporter:
    """Calls a function with the counters of a tracker at intervals, from a daemon thread.

    It ends with `stop()`, or when the tracker is garbage-collected. Exceptions of the function are logged. A forked child
    has a thread of its own, with the counters of the child. If C code forks it (uWSGI that has loaded the application
    before), it cannot have a thread: create a reporter there.

    Args:
        tracker: The tracker. The reporter keeps only a weak reference to it.
        callback: Called with the result of `Tracker.stats`.
        every: Seconds between two calls.

    Raises:
        TypeError: `tracker` is not a tracker, `callback` is not callable, or `every` is not a number.
        ValueError: `every` is not greater than zero, or is infinite.
    """

    def __init__(
        self, tracker: Tracker, callback: Callable[[TrackerStats], object], *, every: float = 60.0
    ) -> None:
        if not callable(callback):
            raise TypeError(f"callback must be callable, got {callback!r}.")
        if not hasattr(tracker, "stats"):
            raise TypeError(f"tracker must be a Tracker, not {type(tracker).__name__}.")
        check_seconds("every", every)
        self._callback = callback
        self._tracker = weakref.ref(tracker, lambda _: self._stopped.set())
        self._every = every
        tracker.stats()  # It imports modules: a child that is forked while a thread imports them has half of one, for ever.
        self._start()
        fork.register(self)

    def _start(self) -> None:
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="snowplow-metrics", daemon=True).start()
        _RUNNING.add(self)

    def _after_fork(self) -> None:
        if self in _RUNNING and not fork.is_raw:
            self._start()
        else:
            # The thread of the parent may hold the lock of the other one.
            self._stopped = threading.Event()

    def stop(self) -> None:
        """Stop calling the function."""
        self._stopped.set()
        _RUNNING.discard(self)

    def _run(self) -> None:
        while not self._stopped.wait(self._every):
            tracker = self._tracker()
            if tracker is None:
                break
            try:
                self._callback(tracker.stats())
            except Exception:
                logger.exception("The callback for metrics raised; it will be called again.")
            del tracker
        _RUNNING.discard(self)


_RUNNING: Set[Reporter] = set()
"""The reporters that were not stopped. In a forked child nothing else may hold them: their threads are missing there."""
