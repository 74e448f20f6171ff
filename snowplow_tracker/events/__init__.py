"""The types of events."""

from snowplow_tracker.events.event import Event as Event
from snowplow_tracker.events.page_ping import PagePing as PagePing
from snowplow_tracker.events.page_view import PageView as PageView
from snowplow_tracker.events.screen_view import ScreenView as ScreenView
from snowplow_tracker.events.self_describing import SelfDescribing as SelfDescribing
from snowplow_tracker.events.structured_event import StructuredEvent as StructuredEvent

__all__ = ["Event", "PagePing", "PageView", "ScreenView", "SelfDescribing", "StructuredEvent"]
