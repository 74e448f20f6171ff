"""The wire format of events: JSON, deferred values, ids, and the bodies of requests."""
