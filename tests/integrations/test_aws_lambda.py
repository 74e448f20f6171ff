"""AWS Lambda: events are sent before the function is frozen, within the time that it has."""

from __future__ import annotations

import socket
import time

import pytest

from snowplow_tracker import AsyncEmitter, StructuredEvent, Tracker, current_scope
from snowplow_tracker.integrations.aws_lambda import lambda_handler
from snowplow_tracker.testing import Collector


class Context:
    """What Lambda gives to a handler."""

    def __init__(self, seconds):
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self):
        return max(0, int((self._end - time.monotonic()) * 1000))


def test_events_are_sent_before_the_handler_returns():
    """Each invocation is flushed and has a scope of its own; what the handler returns or raises comes out."""
    with Collector() as collector:
        tracker = Tracker("n", AsyncEmitter(collector.endpoint, flush_interval=60))

        @lambda_handler(tracker, exceptions=True)
        def handler(event, context):
            current_scope().set(**event)
            tracker.track(StructuredEvent("a", "b"))
            if "page_title" in event:
                raise LookupError("no")
            return "done"

        assert handler({"user_id": "u"}, Context(5)) == "done"
        assert [event.get("uid") for event in collector.events] == ["u"]
        with pytest.raises(LookupError):
            handler({"page_title": "x"}, Context(5))
        events = collector.events[1:]
        assert [event.get("uid") for event in events] == [None, None]
        assert sorted(event["e"] for event in events) == ["se", "ue"]
        assert handler({}, None) == "done"
        assert len(collector.events) == 4
        tracker.close()


@pytest.mark.long
def test_the_flush_ends_before_the_function_is_stopped():
    """With a collector that never answers the handler returns within the remaining time, less the reserve."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        emitter = AsyncEmitter(f"http://127.0.0.1:{silent.getsockname()[1]}", exit_timeout=0.1)
        tracker = Tracker("n", emitter)

        @lambda_handler(tracker, reserve=0.5)
        def handler(event, context):
            tracker.track(StructuredEvent("a", "b"))

        context = Context(1.5)
        handler({}, context)
        assert context.get_remaining_time_in_millis() >= 200
        tracker.close(timeout=0.1)


def test_it_needs_a_tracker():
    """Used without parentheses it says how to use it."""
    with pytest.raises(TypeError, match=r"@lambda_handler\(tracker\)"):

        @lambda_handler  # type: ignore[arg-type]
        def handler(event, context):
            pass
