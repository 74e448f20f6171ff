"""How an event is written: its id, its JSON, the body of a request."""
