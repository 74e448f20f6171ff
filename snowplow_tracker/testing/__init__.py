"""Tools to test your own tracking: a local collector, and an emitter that only records."""

from snowplow_tracker.testing._http import Response
from snowplow_tracker.testing._table import format_table
from snowplow_tracker.testing.collector import Collector, EventsMissingError
from snowplow_tracker.testing.recording_emitter import RecordingEmitter
from snowplow_tracker.testing.records import CollectedEvent, CollectedRequest

__all__ = [
    "CollectedEvent",
    "CollectedRequest",
    "Collector",
    "EventsMissingError",
    "RecordingEmitter",
    "Response",
    "format_table",
]
