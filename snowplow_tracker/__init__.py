"""Event tracking for Snowplow: describe what happens in an app, and deliver it to a collector."""

import logging as _logging

from snowplow_tracker._process.exit import flush_on_sigterm
from snowplow_tracker._version import __version__
from snowplow_tracker.contracts import disable_contracts, enable_contracts
from snowplow_tracker.emitter_configuration import EmitterConfiguration
from snowplow_tracker.emitters import (
    AsyncEmitter,
    DeliveryStats,
    DropReason,
    Emitter,
    EmitterState,
)
from snowplow_tracker.event_store import EventStore, InMemoryEventStore
from snowplow_tracker.events import (
    Event,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    StructuredEvent,
)
from snowplow_tracker.scope import Scope, current_scope
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.snowplow import Snowplow
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker
from snowplow_tracker.tracker_configuration import TrackerConfiguration

__all__ = [
    "AsyncEmitter",
    "DeliveryStats",
    "DropReason",
    "Emitter",
    "EmitterConfiguration",
    "EmitterState",
    "Event",
    "EventStore",
    "InMemoryEventStore",
    "PagePing",
    "PageView",
    "Scope",
    "ScreenView",
    "SelfDescribing",
    "SelfDescribingJson",
    "Snowplow",
    "StructuredEvent",
    "Subject",
    "Tracker",
    "TrackerConfiguration",
    "__version__",
    "current_scope",
    "disable_contracts",
    "enable_contracts",
    "flush_on_sigterm",
    "logger",
]

logger: _logging.Logger = _logging.getLogger("snowplow_tracker.emitters")
# The application decides where logs go; without this, Python would print warnings to stderr.
_logging.getLogger(__name__).addHandler(_logging.NullHandler())
