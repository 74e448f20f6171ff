"""Log records about tracking that a logging handler of the program turns into events again.

Without a limit, the event made from a record about a fault would meet the same fault, and cause the next record.
"""

from __future__ import annotations

import logging
import sys
from types import FrameType
from typing import Iterator, Optional

_PACKAGE = __name__.partition(".")[0]


def is_from_log_record() -> bool:
    """Return whether a log record is being handled: the event comes from a logging handler of the program."""
    return next(_loggers_at_work(), None) is not None


def _is_first(_: logging.LogRecord) -> bool:
    """Return whether a record of this package is logged while no other one is being handled in this thread."""
    ours = (
        name for name in _loggers_at_work() if name == _PACKAGE or name.startswith(_PACKAGE + ".")
    )
    next(ours, None)  # the record itself
    return next(ours, None) is None


def _loggers_at_work() -> Iterator[str]:
    """Return the names of the loggers that are handling a record in this thread, the innermost first."""
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None:
        if frame.f_code is logging.Logger.handle.__code__:
            # A tool may have put a function of its own in the place of `handle`.
            yield str(getattr(frame.f_locals.get("self"), "name", ""))
        frame = frame.f_back


# A filter of a logger does not apply to the loggers below it.
for _name in (
    "emitters",
    "events",
    "iglu",
    "integrations",
    "metrics",
    "snowplow",
    "tracker",
    "validation",
):
    logging.getLogger(f"{_PACKAGE}.{_name}").addFilter(_is_first)
