"""The worker: it delivers what is in the queue, and ends when the queue is empty.

Run it with the URL of a Redis and that of a collector.
"""

import sys
import time

from redis_queue.event_store import RedisListStore
from snowplow_tracker import Emitter


def main(redis_url: str, endpoint: str) -> None:
    """Send batch after batch."""
    store = RedisListStore(redis_url)
    failures = []
    emitter = Emitter(
        endpoint, event_store=store, on_failure=lambda _sent, failed: failures.append(len(failed))
    )
    while store.size() > 0:
        emitter.sync_flush()
        if failures:
            print(f"{sum(failures)} events could not be sent, trying again", file=sys.stderr)
            failures.clear()
            time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
