"""Drops that nobody has heard of, in a program that set up no logging: they are told when it ends."""

from __future__ import annotations

import logging
from typing import Dict, List, Tuple

from snowplow_tracker._delivery.stats import DropReason
from snowplow_tracker._messages import events_text
from snowplow_tracker._process import exit as process_exit
from snowplow_tracker._process import fork

__all__ = ["is_heard", "note", "say", "take_summary"]

logger = logging.getLogger("snowplow_tracker.emitters")

_untold: Dict[str, Tuple[Dict[DropReason, int], str]] = {}
"""By endpoint: how many events were dropped, by reason, and why the last one was."""


def is_heard() -> bool:
    """Return whether a warning of ours reaches a handler, or was silenced on purpose."""
    source = logger
    while source is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in source.handlers):
            return True
        source = source.parent if source.propagate else None  # type: ignore[assignment]
    return not logger.isEnabledFor(logging.WARNING)


def note(endpoint: str, reason: DropReason, count: int, detail: str) -> None:
    """Note events that were dropped, unless the log has told."""
    if count and not is_heard():
        counts, last = _untold.get(endpoint, ({}, ""))
        _untold[endpoint] = ({**counts, reason: counts.get(reason, 0) + count}, detail or last)


def take_summary(endpoint: str = "") -> List[str]:
    """Return what nobody has heard of yet, a line for each endpoint, and forget it.

    Args:
        endpoint: Only what concerns this one; default: all.
    """
    lines = []
    for each in [endpoint] if endpoint else [*_untold]:
        counts, last = _untold.pop(each, ({}, ""))
        if counts:
            reasons = ", ".join(f"{reason.value}: {count}" for reason, count in counts.items())
            why = f" The last reason: {last}." if last else ""
            total = events_text(sum(counts.values()))
            lines.append(f"Dropped on the way to {each}: {total} ({reasons}).{why}")
    return lines


def say(message: str, *arguments: object) -> None:
    """Warn of events that are lost with the process, also in a program that set up no logging."""
    logger.warning(message, *arguments)
    if logging.lastResort is not None and not is_heard():
        logging.lastResort.handle(
            logger.makeRecord(logger.name, logging.WARNING, __file__, 0, message, arguments, None)
        )


def _tell() -> None:
    for line in take_summary():
        say("%s", line)


process_exit.register_last(_tell)
# It is for the parent to tell what was dropped before a fork.
fork.register_function(_untold.clear)
