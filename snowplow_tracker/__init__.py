"""Event tracking for Snowplow: describe what happens in an app, and have it arrive at a collector."""

from typing import TYPE_CHECKING, Any

from snowplow_tracker._late_logging import get_logger as _get_logger
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
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.snowplow import Snowplow
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker
from snowplow_tracker.tracker_configuration import TrackerConfiguration

if TYPE_CHECKING:
    from snowplow_tracker.emitters import logger

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
    "ScreenView",
    "SelfDescribing",
    "SelfDescribingJson",
    "Snowplow",
    "StructuredEvent",
    "Subject",
    "Tracker",
    "TrackerConfiguration",
    "__version__",
    "disable_contracts",
    "enable_contracts",
    "flush_on_sigterm",
    "logger",
]


def __getattr__(name: str) -> Any:
    if name == "logger":
        return _get_logger("snowplow_tracker.emitters")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
