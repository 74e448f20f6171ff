"""How an event is written: JSON, envelopes, request bodies and ids."""
