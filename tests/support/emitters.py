"""Emitters in front of a recorder, closed when the test is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from snowplow_tracker import Emitter

if TYPE_CHECKING:
    from support.recorder import Recorder

_MADE: List[Any] = []


def emitter_for(recorder: Recorder, cls: Any = Emitter, **options: Any) -> Any:
    """An emitter of a class that delivers to the recorder."""
    emitter = cls(recorder.host, **{"protocol": "http", **options})
    _MADE.append(emitter)
    return emitter


def close_all() -> None:
    """Close what was made, whatever is left in it."""
    while _MADE:
        _MADE.pop().close(timeout=0.5)
