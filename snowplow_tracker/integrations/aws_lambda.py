"""AWS Lambda: events are sent before the function is frozen.

@lambda_handler(tracker)
def handler(event, context):
    tracker.track(...)
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, cast

from snowplow_tracker.integrations.errors import track_exception
from snowplow_tracker.scope import Scope

if TYPE_CHECKING:
    from snowplow_tracker.tracker import Tracker

__all__ = ["lambda_handler"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


def lambda_handler(
    tracker: Tracker,
    *,
    reserve: float = 0.5,
    timeout: Optional[float] = None,
    exceptions: bool = False,
) -> Callable[[_Handler], _Handler]:
    """Decorate a handler: each invocation has its own scope, and the tracker is flushed at its end.

    AWS freezes the process when the handler returns, so nothing can be sent in the background after that. The flush
    ends before the timeout of the function; events that could not be sent stay queued for the next invocation.

    Args:
        tracker: The tracker.
        reserve: Seconds before the timeout of the function at which the flush ends.
        timeout: Maximum seconds for the flush. Default: the remaining time of the function minus `reserve`.
        exceptions: Whether to track an `application_error` if the handler raises.

    Raises:
        TypeError: The decorator is used without a tracker. Use `@lambda_handler(tracker)`.

    New in version 1.2.0.
    """
    if not hasattr(tracker, "flush"):
        raise TypeError("lambda_handler needs a tracker: @lambda_handler(tracker).")

    def decorate(handler: _Handler) -> _Handler:
        @wraps(handler)
        def handle(event: Any, context: Any) -> Any:
            with Scope():
                try:
                    return handler(event, context)
                except Exception as error:
                    if exceptions:
                        track_exception(tracker, error)
                    raise
                finally:
                    tracker.flush(timeout=_seconds_for_flush(context, reserve, timeout))

        return cast("_Handler", handle)

    return decorate


def _seconds_for_flush(context: Any, reserve: float, timeout: Optional[float]) -> float:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    if remaining is None:  # not in Lambda, for example in a test
        return 5.0 if timeout is None else timeout
    seconds: float = max(0.0, remaining() / 1000 - reserve)
    return seconds if timeout is None else min(seconds, timeout)
