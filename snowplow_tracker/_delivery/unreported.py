"""Drops that no log shows, in a program without logging: they are reported on stderr when it ends."""

from __future__ import annotations

import logging
from typing import Dict, List, Tuple

from snowplow_tracker._delivery.stats import DropReason
from snowplow_tracker._messages import events_text
from snowplow_tracker._process import exit as process_exit
from snowplow_tracker._process import fork
from snowplow_tracker._protocol import parameters

logger = logging.getLogger("snowplow_tracker.emitters")

_unreported: Dict[str, Tuple[Dict[DropReason, int], str]] = {}
"""Per endpoint: the number of dropped events by reason, and the detail of the last drop."""


def is_heard(to: logging.Logger = logger) -> bool:
    """Return whether warnings of a logger reach a handler, or were silenced on purpose."""
    source = to
    while source is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in source.handlers):
            return True
        source = source.parent if source.propagate else None  # type: ignore[assignment]
    return not to.isEnabledFor(logging.WARNING)


def note(endpoint: str, reason: DropReason, count: int, detail: str) -> None:
    """Note events that were dropped, unless the log shows it."""
    if count and not is_heard():
        counts, last = _unreported.get(endpoint, ({}, ""))
        _unreported[endpoint] = ({**counts, reason: counts.get(reason, 0) + count}, detail or last)


def take_summary(endpoint: str = "") -> List[str]:
    """Return what was not reported yet, one line per endpoint, and forget it.

    Args:
        endpoint: Only for this one. Default: all.
    """
    lines = []
    for each in [endpoint] if endpoint else [*_unreported]:
        counts, last = _unreported.pop(each, ({}, ""))
        if counts:
            reasons = ", ".join(f"{reason.value}: {count}" for reason, count in counts.items())
            why = f" The last reason: {last}." if last else ""
            total = events_text(sum(counts.values()))
            lines.append(f"Dropped on the way to {each}: {total} ({reasons}).{why}")
    return lines


def warn(message: str, *arguments: object, to: logging.Logger = logger) -> None:
    """Log a warning that must be seen: on stderr in a program without logging."""
    to.warning(message, *arguments)
    if logging.lastResort is not None and not is_heard(to):
        logging.lastResort.handle(
            to.makeRecord(to.name, logging.WARNING, __file__, 0, message, arguments, None)
        )


def warn_unless_seen(message: str, *arguments: object, to: logging.Logger = logger) -> None:
    """Call `warn`, unless the process has seen the same message."""
    if parameters.is_first((message % arguments,)):
        warn(message, *arguments, to=to)


def _warn_of_all() -> None:
    for line in take_summary():
        warn("%s", line)


process_exit.register_last(_warn_of_all)
# The parent reports what was dropped before a fork.
fork.register_function(_unreported.clear)
