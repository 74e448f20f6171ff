"""What `Tracker.flush` and `close` accept, and which methods of an emitter they call."""

from __future__ import annotations

from typing import Any, List

import pytest

from snowplow_tracker import Tracker


class Small:
    """An emitter with two methods."""

    def __init__(self) -> None:
        self.calls: List[str] = []

    def input(self, payload: Any) -> None:
        """Take an event."""

    def flush(self) -> None:
        """Send."""
        self.calls.append("flush")


def test_seconds_without_their_name() -> None:
    """`flush(5)` is no flush that returns at once: the error says how to limit the time. True and 1 stay what they were."""
    emitter: Any = Small()
    tracker = Tracker("shop", emitter)
    for seconds in (5, 0.5):
        with pytest.raises(
            TypeError, match=rf"^is_async must be a bool.*flush\(timeout={seconds}\)"
        ):
            tracker.flush(seconds)  # type: ignore[arg-type]
    assert emitter.calls == []
    for value in (True, 1, False, 0):
        tracker.flush(value)  # type: ignore[arg-type]
    assert emitter.calls == ["flush"] * 4


def test_an_emitter_with_flush_alone() -> None:
    """An emitter without `sync_flush` and `close` is flushed by `flush`, with and without a timeout, and by `close`."""
    emitter: Any = Small()
    tracker = Tracker("shop", emitter)
    tracker.flush()
    tracker.flush(timeout=1)
    tracker.close()
    assert emitter.calls == ["flush"] * 3
