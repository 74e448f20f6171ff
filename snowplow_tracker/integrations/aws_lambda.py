"""AWS Lambda: events are sent before the function is frozen.

@lambda_handler(tracker)
def handler(event, context):
    tracker.track(...)
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, cast

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
    """Decorate a handler: each invocation has a scope of its own, and at its end the tracker is flushed.

    AWS freezes the process when the handler returns, so that nothing is sent in the background then. The flush ends
    before the function would be stopped; what could not be sent stays queued for the next invocation.

    Args:
        tracker: The tracker.
        reserve: Seconds of the remaining time that the flush leaves to the function.
        timeout: Seconds that the flush takes at most. Default: all that remain but the reserve.
        exceptions: Track an `application_error` for an exception that the handler raises.

    Raises:
        TypeError: It is used without a tracker: `@lambda_handler(tracker)`.

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
                        from snowplow_tracker.integrations.errors import track_exception

                        track_exception(tracker, error)
                    raise
                finally:
                    tracker.flush(timeout=_seconds_for_flush(context, reserve, timeout))

        return cast("_Handler", handle)

    return decorate


def _seconds_for_flush(context: Any, reserve: float, timeout: Optional[float]) -> float:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    if remaining is None:  # called by a test, or by something that only looks like Lambda
        return 5.0 if timeout is None else timeout
    seconds: float = max(0.0, remaining() / 1000 - reserve)
    return seconds if timeout is None else min(seconds, timeout)
