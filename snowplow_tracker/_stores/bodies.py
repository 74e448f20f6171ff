"""How events are written into a durable store, and read again."""

from __future__ import annotations

import json
from typing import Any, List, Optional, Sequence

from snowplow_tracker.typing import PayloadDict

__all__ = ["decode", "decode_all", "encode"]

encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
"""Write an event as one line of ASCII."""


def decode(body: Any) -> Optional[PayloadDict]:
    """Read an event.

    Args:
        body: A string or bytes.

    Returns:
        None for what is no event: other data, damaged data, or data nested too deeply to be read.
    """
    try:
        event = json.loads(body)
    except (TypeError, ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def decode_all(bodies: Sequence[Any]) -> List[Optional[PayloadDict]]:
    """Read events; None in the place of each that cannot be read."""
    return [decode(body) for body in bodies]
