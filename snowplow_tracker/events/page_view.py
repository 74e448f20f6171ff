"""The view of a web page."""

from __future__ import annotations

from typing import List, Optional

from snowplow_tracker.contracts import non_empty_string as non_empty_string
from snowplow_tracker.events._parameter import Parameter, text_of
from snowplow_tracker.events.event import Event as Event
from snowplow_tracker.self_describing_json import SelfDescribingJson as SelfDescribingJson
from snowplow_tracker.subject import Subject as Subject
from snowplow_tracker.typing import Timestamp

__all__ = ["Event", "PageView", "SelfDescribingJson", "Subject", "non_empty_string"]


class PageView(Event):
    """A user views a web page."""

    page_url = Parameter[str]("url", "The URL of the page.", required=True)
    page_title = Parameter[Optional[str]]("page", "The title of the page.")
    referrer = Parameter[Optional[str]]("refr", "The URL that linked to the page.")

    def __init__(
        self,
        page_url: str,
        page_title: Optional[str] = None,
        referrer: Optional[str] = None,
        event_subject: Optional[Subject] = None,
        context: Optional[List[SelfDescribingJson]] = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        """Describe a view.

        Args:
            page_url: The URL of the page.
            page_title: The title of the page.
            referrer: The URL that linked to the page.
            event_subject: Same as for `Event`.
            context: Same as for `Event`.
            true_timestamp: Same as for `Event`.

        Raises:
            ValueError: The URL is empty, or the context is not a list of `SelfDescribingJson`.
        """
        pairs = {"e": "pv", "url": page_url, "page": page_title, "refr": referrer}
        if type(page_url) is not str or not page_url:
            # The call alone is 0.05 us, and this is the event that is tracked most.
            text_of(page_url, "page_url")
        # Until 3.12, `super()` takes 0.09 us more.
        Event.__init__(self, pairs, event_subject, context, true_timestamp)
