"""The off switch: no thread, no request, no file; input is still checked, and ids are returned."""

from __future__ import annotations

import threading
from typing import Any, Type

import pytest

from snowplow_tracker import (
    AsyncEmitter,
    Emitter,
    EmitterConfiguration,
    PageView,
    Snowplow,
    StructuredEvent,
    Tracker,
)
from support.collector_with_faults import CollectorWithFaults


@pytest.mark.parametrize("way", ["parameter", "environment", "create_tracker", "configuration"])
def test_nothing_happens(
    way: str,
    emitter_class: Type[Emitter],
    collector: CollectorWithFaults,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Switched off in any way, a tracker returns ids and does nothing else."""
    before = set(threading.enumerate())
    options: Any = {"protocol": "http", "batch_size": 1}
    if way == "environment":
        monkeypatch.setenv("SNOWPLOW_DISABLED", "1")
    if way in ("create_tracker", "configuration"):
        configuration = EmitterConfiguration(emitter_class=emitter_class, **options)
        if way == "configuration":
            configuration.enabled = False
        Snowplow.reset()
        tracker = Snowplow.create_tracker(
            "off", collector.url, emitter_config=configuration, enabled=way != "create_tracker"
        )
        Snowplow.reset()
        emitter: Any = tracker.emitters[0]
    else:
        emitter = emitter_class(collector.endpoint, enabled=way != "parameter", **options)
        tracker = Tracker("off", emitter)
    ids = {tracker.track(PageView("https://example.com/")) for _ in range(20)}
    assert len(ids) == 20
    assert None not in ids
    with pytest.raises(ValueError, match="category"):
        StructuredEvent("", "action")
    tracker.flush()
    assert emitter.flush() == emitter.sync_flush(timeout=1) == emitter.close() == 0
    assert emitter.stats().tracked == 0
    assert collector.requests == []
    assert not {
        thread for thread in set(threading.enumerate()) - before if "snowplow" in thread.name
    }


def test_a_switch_that_is_not_set_changes_nothing(
    collector: CollectorWithFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`SNOWPLOW_DISABLED=0` is off the off switch."""
    monkeypatch.setenv("SNOWPLOW_DISABLED", "0")
    with AsyncEmitter(collector.endpoint) as emitter:
        Tracker("on", emitter).track(PageView("https://example.com/"))
        assert emitter.sync_flush(timeout=5) == 0
    assert len(collector.arrived) == 1


@pytest.mark.parametrize("value", ["yes", 0, None])
def test_the_switch_takes_a_bool(value: Any) -> None:
    """Anything but True and False is refused by name."""
    with pytest.raises(TypeError, match="enabled must be a bool"):
        Emitter("collector.example.com", enabled=value)


def test_a_switch_that_is_neither_on_nor_off_is_said_once(
    collector: CollectorWithFaults,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`SNOWPLOW_DISABLED=maybe` switches nothing off, and one warning for all emitters says so."""
    monkeypatch.setenv("SNOWPLOW_DISABLED", "maybe")
    for _ in range(2):
        with Emitter(collector.endpoint) as emitter:
            assert emitter.enabled
    (record,) = [each for each in caplog.records if "SNOWPLOW_DISABLED" in each.getMessage()]
    assert "is 'maybe', so that events are tracked" in record.getMessage()
