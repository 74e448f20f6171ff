"""How messages put things."""

__all__ = ["events_text"]


def events_text(count: int) -> str:
    """Write "1 event", "2 events"."""
    return f"{count} event" if count == 1 else f"{count} events"
