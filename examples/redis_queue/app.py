"""The application: its tracker queues events and makes no request to a collector.

Run it with the URL of a Redis. It prints the id of each event that it tracked.
"""

import sys
from typing import Any, Dict

from redis_queue.event_store import RedisListStore
from snowplow_tracker import PageView, StructuredEvent, Subject, Tracker


class QueueingEmitter:
    """An emitter is whatever has an `input` method; this one hands events to the queue."""

    def __init__(self, store: RedisListStore) -> None:
        """Keep the queue."""
        self._store = store

    def input(self, payload: Dict[str, Any]) -> None:
        """Queue an event."""
        # On the wire all values are text.
        self._store.add_event({name: str(value) for name, value in payload.items()})


def main(redis_url: str) -> None:
    """Track what a few users do."""
    emitter: Any = QueueingEmitter(RedisListStore(redis_url))
    tracker = Tracker("redis-queue", emitter, app_id="example")
    for number in range(1, 6):
        user = Subject().set_platform("srv").set_user_id(f"user-{number}")
        page = PageView(f"https://www.example.com/lamps/{number}", event_subject=user)
        basket = StructuredEvent("shop", "add-to-basket", value=number, event_subject=user)
        print(tracker.track(page))
        print(tracker.track(basket))


if __name__ == "__main__":
    main(sys.argv[1])
