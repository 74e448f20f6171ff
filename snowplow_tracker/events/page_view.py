"""The view of a web page."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from snowplow_tracker._protocol import parameters as protocol
from snowplow_tracker._protocol.parameters import LONG
from snowplow_tracker.contracts import non_empty_string
from snowplow_tracker.events._parameter import Parameter, required_string
from snowplow_tracker.events.event import Event
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.typing import Timestamp

__all__ = ["Event", "PageView", "SelfDescribingJson", "Subject", "non_empty_string"]


class PageView(Event):
    """A user views a web page."""

    page_url: Parameter[str] = Parameter[str]("url", "The URL of the page.", required=True)
    page_title: Parameter[Optional[str]] = Parameter[Optional[str]](
        "page", "The title of the page."
    )
    referrer: Parameter[Optional[str]] = Parameter[Optional[str]](
        "refr", "The URL that linked to the page."
    )

    def __init__(
        self,
        page_url: str,
        page_title: Optional[str] = None,
        referrer: Optional[str] = None,
        event_subject: Optional[Subject] = None,
        context: Optional[List[SelfDescribingJson]] = None,
        true_timestamp: Timestamp = None,
        *,
        event_id: Optional[str] = None,
        created_timestamp: Timestamp = None,
        parameters: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Create a page view.

        Args:
            page_url: The URL of the page.
            page_title: The title of the page.
            referrer: The URL that linked to the page.
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
        # fast path: hardly any calls for ordinary strings, since this is the most common event.
        pairs: Dict[str, Any] = {"e": "pv"}
        if (
            type(page_url) is str
            and 0 < len(page_url) < LONG
            and page_url.startswith(protocol.recent_origins)
        ):
            pairs["url"] = page_url
        else:
            protocol.add(pairs, "url", required_string(page_url, "page_url"))
        if page_title is not None:
            if type(page_title) is str and 0 < len(page_title) < LONG:
                pairs["page"] = page_title
            else:
                protocol.add(pairs, "page", page_title)
        if referrer is not None:
            if (
                type(referrer) is str
                and 0 < len(referrer) < LONG
                and referrer.startswith(protocol.recent_origins)
            ):
                pairs["refr"] = referrer
            else:
                protocol.add(pairs, "refr", referrer)
        self._start(
            pairs, event_subject, context, true_timestamp, event_id, created_timestamp, parameters
        )
