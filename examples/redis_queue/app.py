"""The application: its tracker queues events in Redis and makes no request to a collector.

Run it with the URL of a Redis. It prints the id of each event that it tracked.
"""

import sys

from snowplow_tracker import Emitter, PageView, StructuredEvent, Subject, Tracker
from snowplow_tracker.redis_event_store import RedisEventStore


def main(redis_url: str) -> None:
    """Track what a few users do."""
    store = RedisEventStore(redis_url)
    # The endpoint is the worker's business; here it only has to be one.
    emitter = Emitter("collector.example.com", event_store=store, enqueue_only=True)
    tracker = Tracker("redis-queue", emitter, app_id="example")
    for number in range(1, 6):
        user = Subject().set_platform("srv").set_user_id(f"user-{number}")
        page = PageView(f"https://www.example.com/lamps/{number}", event_subject=user)
        basket = StructuredEvent("shop", "add-to-basket", value=number, event_subject=user)
        print(tracker.track(page))
        print(tracker.track(basket))


if __name__ == "__main__":
    main(sys.argv[1])
