"""The old name of `snowplow_tracker._protocol.event_ids`, until the tracker and the events use that."""

from snowplow_tracker._protocol.event_ids import new_id

__all__ = ["new_id"]
