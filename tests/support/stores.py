"""Stores by their URL, as programs open them that are configured by their environment."""

from __future__ import annotations

from typing import Any

from snowplow_tracker import Tracker

__all__ = ["open_store"]


def open_store(url: str) -> Any:
    """Open a store; the tracker with which it is opened is gone afterwards, and has sent nothing."""
    variables = {
        "SNOWPLOW_ENDPOINT": "127.0.0.1:9",
        "SNOWPLOW_EMITTER": "sync",
        "SNOWPLOW_STORE": url,
        "SNOWPLOW_ENQUEUE_ONLY": "1",
    }
    [emitter] = Tracker.from_environment(variables).emitters
    return emitter.event_store
