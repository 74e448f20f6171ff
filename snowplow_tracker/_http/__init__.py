"""The requests that an emitter makes."""
