"""Track events with trackers that are created and looked up by name through `Snowplow`."""

import sys
from datetime import date
from typing import Any, List, Optional

from _runner import run

from snowplow_tracker import (
    EmitterConfiguration,
    PageView,
    SelfDescribing,
    SelfDescribingJson,
    Snowplow,
    StructuredEvent,
    Subject,
    TrackerConfiguration,
)


def encode_date(value: Any) -> Any:
    """Turn what JSON does not know into what it does."""
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def create_trackers(endpoint: str) -> None:
    """Create the trackers once, where the program starts."""
    Snowplow.create_tracker(
        namespace="web",
        endpoint=endpoint,
        app_id="example",
        subject=Subject().set_platform("srv"),
        tracker_config=TrackerConfiguration(encode_base64=True, json_encoder=encode_date),
        emitter_config=EmitterConfiguration(batch_size=3, custom_retry_codes={500: False}),
    )
    Snowplow.create_tracker(namespace="jobs", endpoint=endpoint, method="get", app_id="example")


def track(endpoint: str) -> List[Optional[str]]:
    """Track through both trackers, which any module finds by their names."""
    create_trackers(endpoint)
    web = Snowplow.get_tracker("web")
    jobs = Snowplow.get_tracker("jobs")
    if web is None or jobs is None:
        raise LookupError("there are no trackers of these names")

    event_ids = [
        web.track(PageView("https://www.example.com/", page_title="Home")),
        web.track(PageView("https://www.example.com/jobs", referrer="https://www.example.com/")),
        web.track(
            SelfDescribing(
                SelfDescribingJson(
                    "iglu:com.example/subscription/jsonschema/1-0-0",
                    {"plan": "monthly", "since": date(2024, 2, 29)},
                ),
                event_subject=Subject().set_user_id("user-1"),
            )
        ),
        jobs.track(StructuredEvent("job", "done", label="import", value=1500)),
    ]
    web.flush()
    jobs.flush()
    Snowplow.reset()
    return event_ids


if __name__ == "__main__":
    sys.exit(run(track, __doc__))
