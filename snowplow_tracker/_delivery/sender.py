"""What the engine uses of an emitter."""

from __future__ import annotations

import weakref
from typing import Any, Callable, Dict, Optional, Protocol, Tuple, Union

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

    @property
    def request_seconds(self) -> float:
        """How long a request may take, in seconds."""
        ...

    @property
    def max_batch_events(self) -> int:
        """The maximum number of events in one request."""
        ...

    def flush(self) -> Any: ...

    def send_events(self, evts: PayloadDictList) -> None: ...

    def http_post(self, data: str) -> Any: ...

    def http_get(self, payload: PayloadDict) -> Any: ...

    def is_good_status_code(self, status_code: int) -> bool: ...

    def attach_sent_timestamp(self, events: PayloadDictList) -> None: ...


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
