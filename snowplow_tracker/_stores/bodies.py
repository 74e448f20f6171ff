"""Encodes events for a durable store, and decodes them."""

from __future__ import annotations

import json
from typing import Any, Optional

from snowplow_tracker.typing import PayloadDict

encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
"""Encode an event as one line of ASCII."""


def decode(body: Any) -> Optional[PayloadDict]:
    """Return the event in a string or bytes, or None for anything else: other or damaged data, or too deeply nested."""
    try:
        event = json.loads(body)
    except (TypeError, ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None
