"""How an event is written: its JSON, its deferred values, its id, and the body of a request."""
