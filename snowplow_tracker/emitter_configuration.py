"""The options of the emitter that `Snowplow.create_tracker` creates."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Type

from snowplow_tracker._delivery.options import CHECKS, Check, described_as_in, retry_codes
from snowplow_tracker._delivery.sender import DropCallback, Timeout
from snowplow_tracker.emitters import AsyncEmitter, Emitter, Overflow
from snowplow_tracker.event_store import EventStore
from snowplow_tracker.typing import FailureCallback, HttpProtocol, Session, SuccessCallback

__all__ = ["EmitterConfiguration", "EventStore", "FailureCallback", "SuccessCallback"]


def _check_size(name: str, value: Any, *, minimum: int = 0) -> None:
    # The messages are those of 1.1.0.
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be of type int")
    if value < minimum:
        raise ValueError(f"{name} must greater than 0")


def _check_timeout(name: str, value: Any) -> None:
    if type(value).__module__ == "builtins":  # else for a session that may come later
        CHECKS[name](name, value)


def _check_class(name: str, value: Any) -> None:
    if not (isinstance(value, type) and issubclass(value, Emitter)):
        raise TypeError(f"{name} must be Emitter, AsyncEmitter or a subclass of one.")


_CHECKS: Dict[str, Check] = {
    **CHECKS,
    "batch_size": _check_size,
    "byte_limit": _check_size,
    "buffer_capacity": partial(_check_size, minimum=1),
    "request_timeout": _check_timeout,
    "emitter_class": _check_class,
}


class _Default:
    """The marker for an option that was not set, where None is a choice."""

    def __repr__(self) -> str:
        return "the emitter's"


_DEFAULT: Any = _Default()


@described_as_in(AsyncEmitter)
class EmitterConfiguration:
    """The options that `Snowplow.create_tracker` passes to the emitter. They can be changed until then.

    None is the default of the emitter. Each option is checked when it is set.

    Args:
        flush_interval: Seconds after which events are sent although the batch is not full; None for never, also for an
            `AsyncEmitter`.
        emitter_class: The class of the emitter: `Emitter` (default), `AsyncEmitter` or a subclass.
        protocol: `"http"` or `"https"`, used where the endpoint has none.
        thread_count: How many threads of an `AsyncEmitter` send. Default: 1.
        others: As for `Emitter`.

    Raises:
        ValueError: A size is negative or not a number, or an option is out of range; the message names it.
        TypeError: A parameter has the wrong type.

    Changed in version 1.2.0: Everything after `session`; `buffer_capacity` has an effect.
    """

    batch_size: Optional[int] = None
    on_success: Optional[SuccessCallback] = None
    on_failure: Optional[FailureCallback] = None
    byte_limit: Optional[int] = None
    request_timeout: Timeout = None
    buffer_capacity: Optional[int] = None
    custom_retry_codes: Dict[int, bool]
    event_store: Optional[EventStore] = None
    session: Optional[Session] = None
    emitter_class: Type[Emitter] = Emitter
    protocol: Optional[HttpProtocol] = None
    port: Optional[int] = None
    thread_count: Optional[int] = None
    max_retry_delay_seconds: Optional[float] = None
    on_drop: Optional[DropCallback] = None
    overflow: Optional[Overflow] = None
    overflow_timeout: Optional[float] = None
    buffer_bytes: Optional[int] = None
    max_retries: Optional[int] = None
    max_request_bytes: Optional[int] = None
    max_request_events: Optional[int] = None
    flush_interval: Optional[float] = None
    exit_timeout: Optional[float] = None
    path: Optional[str] = None
    headers: Optional[Mapping[str, str]] = None
    server_anonymisation: Optional[bool] = None
    enqueue_only: Optional[bool] = None
    enabled: Optional[bool] = None

    def __init__(
        self,
        batch_size: Optional[int] = None,
        on_success: Optional[SuccessCallback] = None,
        on_failure: Optional[FailureCallback] = None,
        byte_limit: Optional[int] = None,
        request_timeout: Timeout = None,
        buffer_capacity: Optional[int] = None,
        custom_retry_codes: Mapping[int, bool] = {},
        event_store: Optional[EventStore] = None,
        session: Optional[Session] = None,
        *,
        emitter_class: Type[Emitter] = Emitter,
        protocol: Optional[HttpProtocol] = None,
        port: Optional[int] = None,
        thread_count: Optional[int] = None,
        max_retry_delay_seconds: Optional[float] = None,
        on_drop: Optional[DropCallback] = None,
        overflow: Optional[Overflow] = None,
        overflow_timeout: Optional[float] = None,
        buffer_bytes: Optional[int] = None,
        max_retries: Optional[int] = None,
        max_request_bytes: Optional[int] = None,
        max_request_events: Optional[int] = None,
        flush_interval: Optional[float] = _DEFAULT,
        exit_timeout: Optional[float] = None,
        path: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        server_anonymisation: Optional[bool] = None,
        enqueue_only: Optional[bool] = None,
        enabled: Optional[bool] = None,
    ) -> None:
        chosen = {**locals()}
        self.session = session  # first: it may accept a timeout that others do not
        for name in _CHECKS:
            if chosen[name] is not _DEFAULT:
                setattr(self, name, chosen[name])
        self.custom_retry_codes = retry_codes(custom_retry_codes)
        self._check_thread_count()

    def _check_thread_count(self) -> None:
        if self.thread_count is not None and not issubclass(self.emitter_class, AsyncEmitter):
            raise ValueError(
                "thread_count needs emitter_class=AsyncEmitter: an Emitter sends in the caller's thread."
            )

    if not TYPE_CHECKING:  # with it, a type checker would let any name pass

        def __setattr__(self, name: str, value: Any) -> None:
            accepts_any = name == "request_timeout" and self.session is not None
            if value is not None and name in _CHECKS and not accepts_any:
                _CHECKS[name](name, value)
            super().__setattr__(name, value)

    def set_retry_code(self, status_code: int, retry: bool = True) -> bool:
        """Set whether requests that failed with a status are retried.

        Args:
            status_code: An HTTP status that is not 2xx, or -1 for no answer.
            retry: Whether to retry.

        Returns:
            True if it was set; False for a wrong type or a 2xx status.
        """
        usable = (
            isinstance(status_code, int)
            and isinstance(retry, bool)
            and not 200 <= status_code < 300
        )
        if usable:
            self.custom_retry_codes[status_code] = retry
        return usable

    def make_emitter(self, endpoint: str, method: str, *, enabled: bool = True) -> Emitter:
        """Create an emitter with these options.

        Args:
            endpoint: The collector: a host, a host with a path, or a URL.
            method: `"post"` or `"get"`.
            enabled: False disables the emitter, whatever the configuration says.

        Raises:
            TypeError, ValueError: As the constructor of the emitter.
        """
        self._check_thread_count()
        options = {name: getattr(self, name) for name in CHECKS}
        chosen = {name: value for name, value in options.items() if value is not None}
        if "flush_interval" in vars(self):
            chosen["flush_interval"] = self.flush_interval  # None is a choice, too
        if not enabled:
            chosen["enabled"] = False
        return self.emitter_class(**{"endpoint": endpoint, "method": method, **chosen})
