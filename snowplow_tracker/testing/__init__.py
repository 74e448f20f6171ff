"""Tools to test your own tracking: a local collector, and an emitter that only records."""

from snowplow_tracker.testing._http import Response
from snowplow_tracker.testing._table import format_table
from snowplow_tracker.testing.collector import Collector, EventsMissingError
from snowplow_tracker.testing.event_list import EventList, EventsDifferError
from snowplow_tracker.testing.faults import Fault, Faults
from snowplow_tracker.testing.recording_emitter import RecordingEmitter, record
from snowplow_tracker.testing.records import (
    CollectedEvent,
    CollectedRequest,
    ParameterMissingError,
)

__all__ = [
    "CollectedEvent",
    "CollectedRequest",
    "Collector",
    "EventList",
    "EventsDifferError",
    "EventsMissingError",
    "Fault",
    "Faults",
    "ParameterMissingError",
    "RecordingEmitter",
    "Response",
    "format_table",
    "record",
]
