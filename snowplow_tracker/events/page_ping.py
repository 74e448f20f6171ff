"""A sign that a web page is still being read."""

from __future__ import annotations

from typing import List, Optional

from snowplow_tracker.contracts import non_empty_string as non_empty_string
from snowplow_tracker.events._parameter import Parameter, text_of
from snowplow_tracker.events.event import Event as Event
from snowplow_tracker.self_describing_json import SelfDescribingJson as SelfDescribingJson
from snowplow_tracker.subject import Subject as Subject
from snowplow_tracker.typing import Timestamp

__all__ = ["Event", "PagePing", "SelfDescribingJson", "Subject", "non_empty_string"]


class PagePing(Event):
    """A user is still on a web page: one heartbeat."""

    page_url = Parameter[str]("url", "The URL of the page.", required=True)
    page_title = Parameter[Optional[str]]("page", "The title of the page.")
    referrer = Parameter[Optional[str]]("refr", "The URL that linked to the page.")
    min_x = Parameter[Optional[int]]("pp_mix", "The least offset from the left since the last.")
    max_x = Parameter[Optional[int]]("pp_max", "The greatest offset from the left.")
    min_y = Parameter[Optional[int]]("pp_miy", "The least offset from the top.")
    max_y = Parameter[Optional[int]]("pp_may", "The greatest offset from the top.")

    def __init__(
        self,
        page_url: str,
        page_title: Optional[str] = None,
        referrer: Optional[str] = None,
        min_x: Optional[int] = None,
        max_x: Optional[int] = None,
        min_y: Optional[int] = None,
        max_y: Optional[int] = None,
        event_subject: Optional[Subject] = None,
        context: Optional[List[SelfDescribingJson]] = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        """Describe a heartbeat.

        Args:
            page_url: The URL of the page.
            page_title: The title of the page.
            referrer: The URL that linked to the page.
            min_x: The least offset from the left of the page, in pixels, since the last ping.
            max_x: The greatest offset from the left.
            min_y: The least offset from the top.
            max_y: The greatest offset from the top.
            event_subject: Same as for `Event`.
            context: Same as for `Event`.
            true_timestamp: Same as for `Event`.

        Raises:
            ValueError: The URL is empty, or the context is not a list of `SelfDescribingJson`.
        """
        pairs = {
            "e": "pp",
            "url": text_of(page_url, "page_url"),
            "page": page_title,
            "refr": referrer,
            "pp_mix": min_x,
            "pp_max": max_x,
            "pp_miy": min_y,
            "pp_may": max_y,
        }
        super().__init__(pairs, event_subject, context, true_timestamp)
