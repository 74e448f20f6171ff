"""A ping: a web page is still open in front of the user."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from snowplow_tracker._protocol.parameters import sent_value
from snowplow_tracker.contracts import non_empty_string
from snowplow_tracker.events._parameter import Parameter, required_string
from snowplow_tracker.events.event import Event
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.typing import Timestamp

__all__ = ["Event", "PagePing", "SelfDescribingJson", "Subject", "non_empty_string"]


class PagePing(Event):
    """A user is still on a web page."""

    page_url: Parameter[str] = Parameter[str]("url", "The URL of the page.", required=True)
    page_title: Parameter[Optional[str]] = Parameter[Optional[str]](
        "page", "The title of the page."
    )
    referrer: Parameter[Optional[str]] = Parameter[Optional[str]](
        "refr", "The URL that linked to the page."
    )
    min_x: Parameter[Optional[int]] = Parameter[Optional[int]](
        "pp_mix", "The minimum offset from the left since the last."
    )
    max_x: Parameter[Optional[int]] = Parameter[Optional[int]](
        "pp_max", "The maximum offset from the left."
    )
    min_y: Parameter[Optional[int]] = Parameter[Optional[int]](
        "pp_miy", "The minimum offset from the top."
    )
    max_y: Parameter[Optional[int]] = Parameter[Optional[int]](
        "pp_may", "The maximum offset from the top."
    )

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
        *,
        event_id: Optional[str] = None,
        created_timestamp: Timestamp = None,
        parameters: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Create a page ping.

        Args:
            page_url: The URL of the page.
            page_title: The title of the page.
            referrer: The URL that linked to the page.
            min_x: The minimum scroll offset from the left of the page since the last ping, in pixels.
            max_x: The maximum offset from the left.
            min_y: The minimum offset from the top.
            max_y: The maximum offset from the top.
            event_subject: The subject of this event; its values take precedence over the tracker's.
            context: The entities of the event: a list, even for a single one.
            true_timestamp: The exact time of the event, if it is known from another clock than the device's:
                milliseconds since 1970, a `datetime`, a `date`, or an ISO 8601 string.
            event_id: The id of the event, a UUID. Default: a new random one each time it is tracked.
            created_timestamp: The time of creation by the device's clock. Default: the time of `track()`.
            parameters: More parameters of the tracker protocol, such as `{"tr_id": "7"}`.

        Raises:
            ValueError: The URL is empty, the context is not a list of
                `SelfDescribingJson`, the id is not a UUID, or the time of creation is not a time.
        """
        pairs = {
            "e": "pp",
            "url": sent_value("url", required_string(page_url, "page_url")),
            "page": page_title,
            "refr": sent_value("refr", referrer),
            "pp_mix": sent_value("pp_mix", min_x),
            "pp_max": sent_value("pp_max", max_x),
            "pp_miy": sent_value("pp_miy", min_y),
            "pp_may": sent_value("pp_may", max_y),
        }
        super().__init__(
            pairs,
            event_subject,
            context,
            true_timestamp,
            event_id=event_id,
            created_timestamp=created_timestamp,
            parameters=parameters,
        )
