"""What the engine uses of an emitter."""

from __future__ import annotations

import threading
import weakref
from typing import Any, Callable, Dict, Optional, Protocol, Tuple, Union

from snowplow_tracker._delivery.options import DEFAULT_MAX_REQUEST_EVENTS, DEFAULT_REQUEST_TIMEOUT
from snowplow_tracker._delivery.stats import DropReason
from snowplow_tracker.typing import FailureCallback, PayloadDict, PayloadDictList, SuccessCallback

DropCallback = Callable[[PayloadDictList, DropReason], None]
Timeout = Union[float, Tuple[Optional[float], Optional[float]], None]


class Sender(Protocol):
    """An emitter as the engine uses it: its options, which may change at any time, and the methods that users override."""

    method: Any
    endpoint: str
    batch_size: int
    byte_limit: Optional[int]
    on_success: Optional[SuccessCallback]
    on_failure: Optional[FailureCallback]
    on_drop: Optional[DropCallback]
    custom_retry_codes: Dict[int, bool]
    max_retry_delay_seconds: float
    max_retries: Optional[int]
    max_request_bytes: int
    max_request_events: Optional[int]
    request_timeout: Timeout

    def flush(self) -> Any: ...

    def send_events(self, evts: PayloadDictList) -> None: ...

    def http_post(self, data: str) -> Any: ...

    def http_get(self, payload: PayloadDict) -> Any: ...

    def is_good_status_code(self, status_code: int) -> bool: ...

    def attach_sent_timestamp(self, events: PayloadDictList) -> None: ...


def max_batch_events(sender: Sender) -> int:
    """Return the maximum number of events in one request."""
    return sender.max_request_events or max(DEFAULT_MAX_REQUEST_EVENTS, sender.batch_size)


def request_seconds(sender: Sender) -> float:
    """Return how long a request may take."""
    timeout = sender.request_timeout
    if isinstance(timeout, tuple):
        return sum(threading.TIMEOUT_MAX / 4 if part is None else part for part in timeout)
    return timeout if isinstance(timeout, (int, float)) else DEFAULT_REQUEST_TIMEOUT


class Owner:
    """A weak reference to the emitter of an engine, so that an unused emitter can be collected."""

    __slots__ = ("_reference",)

    def __init__(self, sender: Sender) -> None:
        self.refer_to(sender)

    def refer_to(self, sender: Sender) -> None:
        """Refer to an emitter; again if a finalizer uses it after weak references to it were cleared."""
        self._reference = weakref.ref(sender)

    def is_gone(self) -> bool:
        """Return whether the emitter was collected."""
        return self._reference() is None

    def get(self) -> Sender:
        """Return the emitter.

        Raises:
            ReferenceError: It was collected.
        """
        sender = self._reference()
        if sender is None:
            raise ReferenceError("The emitter was collected.")
        return sender
