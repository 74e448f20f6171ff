"""The outcome of one HTTP attempt: the only module that interprets a status."""

from __future__ import annotations

import enum
import logging
from typing import Any, Callable, Mapping, Optional

from snowplow_tracker._http.endpoint import printable, redact
from snowplow_tracker._process.interrupts import is_interrupt

logger = logging.getLogger("snowplow_tracker.emitters")

# The collector will answer the same to the same request (tracker protocol, "Retry is pointless").
NOT_RETRIED = frozenset({400, 401, 403, 410, 422})
TOO_LARGE_STATUS = 413
NO_ANSWER = -1
"""The status of an attempt that got no answer: refused, reset, timed out."""


class HttpStatus(int):
    """A status code with other parts of the answer.

    It is an `int`, because `http_post` and `http_get` return one.
    """

    retry_after: Optional[str] = None
    location: Optional[str] = None
    error: Optional[BaseException] = None


class Verdict(enum.Enum):
    """What to do with the events of a request."""

    SENT = "sent"
    RETRY = "retry"
    REJECTED = "rejected"
    TOO_LARGE = "too large"


class Outcome:
    """The outcome of one attempt.

    Attributes:
        verdict: What to do with its events.
        status: The status, or -1.
        retry_after: The `Retry-After` header of the answer.
        detail: The reason in words.
        endpoint: The URL of the request, without secrets.
    """

    __slots__ = ("detail", "endpoint", "retry_after", "status", "verdict")

    def __init__(
        self,
        verdict: Verdict,
        status: int,
        retry_after: Optional[str] = None,
        detail: str = "",
        endpoint: str = "",
    ) -> None:
        self.verdict = verdict
        self.status = status
        self.retry_after = retry_after
        self.detail = detail
        self.endpoint = endpoint


def read_status(answer: object) -> HttpStatus:
    """Read what `http_post` or `http_get` returned: an `int`, or a response as requests has them."""
    if isinstance(answer, HttpStatus):
        return answer
    code = getattr(answer, "status_code", answer)
    if not isinstance(code, int):
        status = HttpStatus(NO_ANSWER)
        status.error = TypeError(
            f"http_post and http_get must return an int or a requests.Response, got {type(answer).__name__}"
        )
        return status
    status = HttpStatus(code)
    headers: Any = getattr(answer, "headers", None)
    if hasattr(headers, "get"):
        status.retry_after = headers.get("Retry-After")
        status.location = headers.get("Location")
    return status


def classify(
    status: HttpStatus,
    is_good: Callable[[int], bool],
    custom_retry_codes: Mapping[int, bool],
    endpoint: str = "",
) -> Outcome:
    """Decide what a status means for the events that were in the request.

    Args:
        status: The status; -1 if there was no answer.
        is_good: Returns whether a status is a success.
        custom_retry_codes: The user's own decision, per status, whether to try again.
        endpoint: Where the request went.
    """
    code = int(status)
    if _is_good(is_good, code):
        return Outcome(Verdict.SENT, code)
    shown = redact(endpoint)
    detail = _describe(status)
    if code in custom_retry_codes:
        verdict = Verdict.RETRY if custom_retry_codes[code] else Verdict.REJECTED
    elif code == TOO_LARGE_STATUS:
        verdict = Verdict.TOO_LARGE
    elif code in NOT_RETRIED:
        verdict = Verdict.REJECTED
    else:
        verdict = Verdict.RETRY
    return Outcome(verdict, code, status.retry_after, detail, shown)


def _is_good(is_good: Callable[[int], bool], code: int) -> bool:
    """Call a function that users override; if it raises, use ours: the request was made."""
    try:
        return bool(is_good(code))
    except Exception as error:
        if is_interrupt(error):
            raise
        logger.exception("is_good_status_code raised; a status of 200 to 299 counts as good.")
        return is_success(code)


def is_success(status_code: int) -> bool:
    """Return whether a status means that the events arrived: 2xx."""
    return 200 <= status_code < 300


def _describe(status: HttpStatus) -> str:
    if status.error is not None:
        # requests wraps the cause twice, each time with the whole URL.
        cause = status.error.args[0] if status.error.args else None
        cause = getattr(cause, "reason", status.error)
        return f"{type(cause).__name__}: {printable(redact(str(cause)))}"
    if int(status) == NO_ANSWER:
        return "no answer"
    if 300 <= status < 400:
        target = printable(redact(status.location)) if status.location else "an unnamed place"
        return f"status {int(status)}, a redirect to {target}, which is not followed: set it as the endpoint"
    return f"status {int(status)}"
