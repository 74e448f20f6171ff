"""Encodes events for a durable store, and decodes them."""

from __future__ import annotations

import json
from typing import Any, Optional

from snowplow_tracker.typing import PayloadDict

encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
"""Encode an event as one line of ASCII."""


def decode(body: Any) -> Optional[PayloadDict]:
    """Decode an event.

    Args:
        body: A string or bytes.

    Returns:
        The event, or None if the body is not an event: other data, damaged data, or data nested too deeply.
    """
    try:
        event = json.loads(body)
    except (TypeError, ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None
