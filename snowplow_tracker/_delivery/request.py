"""One request of an emitter, with the functions of its `request_method`."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from snowplow_tracker._compat.keywords import takes_keyword
from snowplow_tracker._delivery.outcome import NO_ANSWER, HttpStatus, read_status
from snowplow_tracker._http.deadline import DEADLINE, clip
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._protocol.text import well_formed
from snowplow_tracker.typing import PayloadDict


def request(
    function: Callable[..., Any],
    url: str,
    *,
    timeout: Any,
    deadline: Optional[float],
    **options: Any,
) -> HttpStatus:
    """Make a request. It raises nothing but interrupts: a status without an answer has the error.

    Args:
        function: `post` or `get`, as of `requests`.
        url: Where to.
        timeout: Seconds, or another form that the function accepts.
        deadline: The end of the flush that makes the request, which the timeout does not exceed; None for no end.
        **options: More keywords of the function.
    """
    token = DEADLINE.set(deadline)
    try:
        if _may_not_redirect(function):
            # A redirect turns a POST into a GET without its body, which the collector answers with 200.
            options["allow_redirects"] = False
        response = function(url, timeout=clip(timeout), **options)
    except Exception as error:
        if is_interrupt(error):
            raise
        status = HttpStatus(NO_ANSWER)
        status.error = error
        return status
    finally:
        DEADLINE.reset(token)
    return read_status(response)


def _may_not_redirect(function: Callable[..., Any]) -> bool:
    """Return whether a function has the keyword `allow_redirects`, which 1.1.0 did not pass to it."""
    is_ours = getattr(function, "__module__", "") == "snowplow_tracker._http.transport"
    return is_ours or takes_keyword(function, "allow_redirects")


def as_query_parameters(payload: PayloadDict) -> Dict[Any, Any]:
    """Return an event as the parameters of a GET request, in which strings can be encoded."""
    return {_encodable(name): _encodable(value) for name, value in payload.items()}


def _encodable(value: Any) -> Any:
    return well_formed(value) if isinstance(value, str) else value
