"""Track events with a tracker, an emitter and a subject that the program puts together itself."""

import sys
from typing import List, Optional

from _runner import run

from snowplow_tracker import (
    Emitter,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)


def track(endpoint: str) -> List[Optional[str]]:
    """Track one event of each type."""
    subject = Subject().set_platform("srv").set_user_id("user-1").set_screen_resolution(1920, 1080)
    emitter = Emitter(
        endpoint,
        batch_size=5,
        on_success=lambda events: print(f"{len(events)} events were sent"),
        on_failure=lambda sent, failed: print(f"{sent} were sent, {len(failed)} were not"),
    )
    tracker = Tracker("tracker-api", emitter, subject=subject, app_id="example")

    page = "https://www.example.com/articles/42"
    event_ids = [
        tracker.track(PageView(page_url=page, page_title="Article 42")),
        tracker.track(PagePing(page_url=page, page_title="Article 42", min_y=0, max_y=900)),
        tracker.track(
            ScreenView(id_=tracker.get_uuid(), name="Settings", previous_name="Article 42")
        ),
        tracker.track(
            StructuredEvent(category="shop", action="add-to-basket", property_="pcs", value=2)
        ),
        tracker.track(
            SelfDescribing(
                SelfDescribingJson(
                    "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1",
                    {"targetUrl": "https://www.example.com/"},
                ),
                # This one event is about somebody else.
                event_subject=Subject().set_user_id("user-2"),
                context=[
                    SelfDescribingJson(
                        "iglu:com.example/campaign/jsonschema/1-0-0", {"name": "autumn"}
                    )
                ],
            )
        ),
    ]
    tracker.flush()
    return event_ids


if __name__ == "__main__":
    sys.exit(run(track, __doc__))
