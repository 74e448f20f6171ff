"""The tracker of the applications, and what each of them does with a request."""

import os
import time

from snowplow_tracker import (
    AsyncEmitter,
    PageView,
    Scope,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
    current_scope,
)

emitter = AsyncEmitter(
    os.environ.get("COLLECTOR", "http://127.0.0.1:9"), batch_size=50, flush_interval=0.2
)
tracker = Tracker("app", emitter, Subject().set_platform("srv"))


def serve_user(number: str) -> str:
    """What a view does: it learns who the user is, and tracks in three places."""
    current_scope().set(user_id=f"user-{number}")
    tracker.track(StructuredEvent("view", number))
    time.sleep(0.002)
    with Scope(
        entities=[SelfDescribingJson("iglu:com.acme/number/jsonschema/1-0-0", {"n": number})]
    ):
        tracker.track(PageView(f"https://own.example/{number}"))
    tracker.track(StructuredEvent("view", number))
    return f"<p>{number}</p>"
