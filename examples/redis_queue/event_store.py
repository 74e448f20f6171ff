"""A queue of events in a Redis list."""

import json
from typing import Any, Dict, List

import redis


class RedisListStore:
    """Keeps events in a Redis list, which the application fills and the worker empties."""

    def __init__(self, url: str, key: str = "snowplow-events", batch_size: int = 10) -> None:
        """Connect to the Redis at the URL."""
        self._redis = redis.Redis.from_url(url)
        self._key = key
        self._batch_size = batch_size

    def add_event(self, payload: Dict[str, Any]) -> bool:
        """Queue an event."""
        self._redis.rpush(self._key, json.dumps(payload))
        return True

    def get_events_batch(self) -> List[Dict[str, Any]]:
        """Take the oldest events out of the queue."""
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.lrange(self._key, 0, self._batch_size - 1)
            pipeline.ltrim(self._key, self._batch_size, -1)
            texts, _ = pipeline.execute()
        return [json.loads(text) for text in texts]

    def cleanup(self, batch: List[Dict[str, Any]], need_retry: bool) -> None:
        """Put events that were not delivered back to the front, in their order."""
        if need_retry and batch:
            self._redis.lpush(self._key, *(json.dumps(payload) for payload in reversed(batch)))

    def size(self) -> int:
        """Count the queued events."""
        return int(self._redis.llen(self._key))
