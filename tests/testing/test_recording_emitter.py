"""The emitter that only records."""

import pytest

from snowplow_tracker import PageView, SelfDescribing, SelfDescribingJson, Tracker
from snowplow_tracker.testing import RecordingEmitter


def test_what_is_tracked_is_kept_and_decoded():
    """Payloads are kept as they were given, events as they would be on the wire."""
    emitter = RecordingEmitter()
    tracker = Tracker("ns", emitter)
    data = SelfDescribingJson("iglu:com.acme/order/jsonschema/1-0-0", {"total": 2.5})

    event_id = tracker.track(SelfDescribing(data, true_timestamp=1_700_000_000_000))

    [event] = emitter.events
    assert event.event_id == event_id
    assert event.data == {"total": 2.5}
    assert event["ttm"] == "1700000000000"
    assert emitter.payloads[0]["eid"] == event_id
    assert event.problems == []
    assert (event.method, event.path, len(event.headers)) == (None, None, 0)


def test_it_keeps_copies():
    """A payload that changes after it was given does not change what was kept."""
    emitter = RecordingEmitter()
    payload = {"e": "pv"}
    emitter.input(payload)
    payload["e"] = "pp"
    assert emitter.payloads == [{"e": "pv"}]
    assert emitter.events[0]["e"] == "pv"


def test_flushes_are_counted_and_leave_nothing():
    """Each way to flush is counted but `async_flush`, which does nothing in real emitters, and nothing is left."""
    emitter = RecordingEmitter()
    tracker = Tracker("ns", emitter)
    tracker.track(PageView("https://example.com"))
    tracker.flush()
    tracker.flush(is_async=True)
    emitter.async_flush()
    assert emitter.sync_flush(timeout=1) == 0
    assert emitter.flush_count == 3


def test_a_timeout_by_position_is_refused_as_by_real_emitters():
    """A call that fails in production fails in a test, too."""
    for flush in (RecordingEmitter().flush, RecordingEmitter().sync_flush):
        with pytest.raises(TypeError):
            flush(5)


def test_clear_starts_again():
    """After a clear nothing is kept."""
    emitter = RecordingEmitter()
    emitter.input({"e": "pv"})
    emitter.flush()
    emitter.clear()
    assert (emitter.payloads, emitter.events, emitter.flush_count) == ([], [], 0)


def test_it_can_be_closed():
    """Closing is noted, and reports that nothing is left."""
    emitter = RecordingEmitter()
    assert not emitter.closed
    assert emitter.close(timeout=1) == 0
    assert emitter.closed
