"""Time limits of requests."""

from contextvars import ContextVar
from typing import Any, NamedTuple, Optional

from snowplow_tracker._process.clock import monotonic

DEADLINE: ContextVar[Optional[float]] = ContextVar("snowplow_tracker_deadline", default=None)
"""When the flush, `close()` or exit that makes a request ends, in monotonic seconds; the request ends by then."""


_MIN_REQUEST_SECONDS = 0.05
"""Minimum for a request, however little time its deadline leaves."""


def clip(timeout: Any) -> Any:
    """Shorten a timeout, as requests takes it, to what the deadline leaves."""
    deadline = DEADLINE.get()
    if deadline is None:
        return timeout
    rest = max(_MIN_REQUEST_SECONDS, deadline - monotonic())
    if isinstance(timeout, tuple):
        connect, read = timeout
        return (min(connect or rest, rest), min(read or rest, rest))
    return min(timeout or rest, rest) if isinstance(timeout, (int, float, type(None))) else timeout


class Limits(NamedTuple):
    """The time limits of a request; None for no limit.

    Attributes:
        connect: Seconds for the name lookup and the connection.
        read: Seconds for the request and the whole answer.
        deadline: When all of it has to end, in monotonic seconds: a second attempt on a new connection gets what is left.
    """

    connect: Optional[float]
    read: Optional[float]
    deadline: Optional[float]

    def connect_by(self) -> Optional[float]:
        """Return by when the connection has to be open, in monotonic seconds."""
        return _earlier(self.connect, self.deadline)

    def read_by(self) -> Optional[float]:
        """Return by when the answer has to be complete, for a request that begins now."""
        return _earlier(self.read, self.deadline)


def limits_of(timeout: Any) -> Limits:
    """Return the limits of a request that begins now.

    Args:
        timeout: As requests takes it: seconds, which are for all of it, (connect, read), None, or a `urllib3.Timeout`.
    """
    total: Optional[float] = None
    if isinstance(timeout, tuple):
        connect, read = timeout
    elif timeout is None or isinstance(timeout, (int, float)):
        connect = read = total = timeout
    else:
        total = _number(getattr(timeout, "total", None))
        connect = _smaller(_number(getattr(timeout, "_connect", None)), total)
        read = _smaller(_number(getattr(timeout, "_read", None)), total)
    if total is None and connect is not None and read is not None:
        total = connect + read
    return Limits(connect, read, _earlier(total, DEADLINE.get()))


def _number(value: Any) -> Optional[float]:
    return value if isinstance(value, (int, float)) and value >= 0 else None


def _smaller(one: Optional[float], other: Optional[float]) -> Optional[float]:
    return min((each for each in (one, other) if each is not None), default=None)


def _earlier(seconds: Optional[float], deadline: Optional[float]) -> Optional[float]:
    return _smaller(None if seconds is None else monotonic() + seconds, deadline)
