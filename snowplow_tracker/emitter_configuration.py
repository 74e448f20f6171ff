"""The options of the emitter that `Snowplow.create_tracker` creates."""

from __future__ import annotations

from typing import (
    Any,
    Dict,
    Generic,
    Mapping,
    Optional,
    Type,
    TypeVar,
    Union,
    overload,
)

from snowplow_tracker._delivery.options import (
    OPTIONS,
    check_callable,
    check_number,
    check_option,
    check_retry_codes,
    check_timeout,
    describe_options,
)
from snowplow_tracker._delivery.sender import DropCallback, Timeout
from snowplow_tracker.contracts import one_of
from snowplow_tracker.emitters import PROTOCOLS, AsyncEmitter, Emitter, Overflow
from snowplow_tracker.event_store import EventStore as EventStore
from snowplow_tracker.typing import FailureCallback as FailureCallback
from snowplow_tracker.typing import HttpProtocol, Session
from snowplow_tracker.typing import SuccessCallback as SuccessCallback

__all__ = ["EmitterConfiguration", "EventStore", "FailureCallback", "SuccessCallback"]

_Value = TypeVar("_Value")


class _Size:
    """A number of events or bytes, or None for the emitter's default. Its messages are those of 1.1.0."""

    def __init__(self, *, least: int = 0) -> None:
        self._least = least

    def __set_name__(self, owner: Type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: Type[Any]) -> _Size: ...

    @overload
    def __get__(self, instance: EmitterConfiguration, owner: Type[Any]) -> Optional[int]: ...

    def __get__(
        self, instance: Optional[EmitterConfiguration], owner: Type[Any]
    ) -> Union[int, _Size, None]:
        if instance is None:
            return self
        size: Optional[int] = instance.__dict__[self._name]
        return size

    def __set__(self, instance: EmitterConfiguration, value: Optional[int]) -> None:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise ValueError(f"{self._name} must be of type int")
        if value is not None and value < self._least:
            raise ValueError(f"{self._name} must greater than 0")
        instance.__dict__[self._name] = value


class _Default:
    """The marker for an option that was not set: the emitter chooses its default."""

    def __repr__(self) -> str:
        return "the emitter's"


_DEFAULT: Any = _Default()


class _Option(Generic[_Value]):
    """An option that is checked when it is set. If it was not set, its value is None: the default."""

    def __set_name__(self, owner: Type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: Type[Any]) -> _Option[_Value]: ...

    @overload
    def __get__(self, instance: EmitterConfiguration, owner: Type[Any]) -> Optional[_Value]: ...

    def __get__(
        self, instance: Optional[EmitterConfiguration], owner: Type[Any]
    ) -> Union[_Value, _Option[_Value], None]:
        return self if instance is None else instance.options.get(self._name)

    def __set__(self, instance: EmitterConfiguration, value: Optional[_Value]) -> None:
        check_option(self._name, value)
        instance.options[self._name] = value


@describe_options
class EmitterConfiguration:
    """The options that `Snowplow.create_tracker` passes to the emitter. They can be changed until then.

    Args:
        batch_size: The number of queued events that are sent at once. None: 10 for POST, 1 for GET.
        on_success: Called with the events that were sent, after each request (GET: after each batch).
        on_failure: Called after each failed attempt with the number of events of the batch that were sent, and the
            events that were not.
        byte_limit: If the queued events have this size in bytes, they are sent although the batch is not full. None: no
            limit.
        request_timeout: Seconds for a request, or (connect, read) in seconds. None: 5.0; ``(None, None)`` waits for ever.
        buffer_capacity: Maximum number of queued events. None: 10,000, and more within `buffer_bytes`.
        custom_retry_codes: Whether to retry, by HTTP status; -1 stands for no answer.
        event_store: The store for queued events. None: in memory.
        session: Makes the requests. None: connections are kept alive, without cookies.
        emitter_class: The class of the emitter: `Emitter` (default), `AsyncEmitter` or a subclass.
        protocol: `"http"` or `"https"`, for an endpoint without one. None: the emitter's default.
        port: The port, for an endpoint without one. None: the default of the protocol.
        thread_count: The number of threads of an `AsyncEmitter` that send. None: 1.
        max_retry_delay_seconds: Maximum wait after a failed attempt, in seconds. None: 60.
        {options}

    Raises:
        ValueError: A size is negative or not a number, or an option is out of range; the message names it.
        TypeError: A parameter has the wrong type.

    Changed in version 1.2.0: Everything after `session`; `buffer_capacity` has an effect.
    """

    batch_size = _Size()
    byte_limit = _Size()
    buffer_capacity = _Size(least=1)

    on_drop = _Option[DropCallback]()
    overflow = _Option[Overflow]()
    overflow_timeout = _Option[float]()
    buffer_bytes = _Option[int]()
    max_retries = _Option[int]()
    max_request_bytes = _Option[int]()
    max_request_events = _Option[int]()
    flush_interval = _Option[float]()
    exit_timeout = _Option[float]()
    path = _Option[str]()
    headers = _Option[Mapping[str, str]]()
    server_anonymisation = _Option[bool]()
    enqueue_only = _Option[bool]()
    enabled = _Option[bool]()

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
        on_drop: Optional[DropCallback] = _DEFAULT,
        overflow: Overflow = _DEFAULT,
        overflow_timeout: float = _DEFAULT,
        buffer_bytes: Optional[int] = _DEFAULT,
        max_retries: Optional[int] = _DEFAULT,
        max_request_bytes: int = _DEFAULT,
        max_request_events: Optional[int] = _DEFAULT,
        flush_interval: Optional[float] = _DEFAULT,
        exit_timeout: float = _DEFAULT,
        path: Optional[str] = _DEFAULT,
        headers: Optional[Mapping[str, str]] = _DEFAULT,
        server_anonymisation: bool = _DEFAULT,
        enqueue_only: bool = _DEFAULT,
        enabled: bool = _DEFAULT,
    ) -> None:
        chosen = locals()
        options = {name: chosen[name] for name in OPTIONS if chosen[name] is not _DEFAULT}
        for name, value in options.items():
            check_option(name, value)
        if not (isinstance(emitter_class, type) and issubclass(emitter_class, Emitter)):
            raise TypeError("emitter_class must be Emitter, AsyncEmitter or a subclass of one.")
        if thread_count is not None:
            check_number("thread_count", thread_count)
            if not issubclass(emitter_class, AsyncEmitter):
                raise ValueError(
                    "thread_count needs emitter_class=AsyncEmitter: an Emitter sends in the caller's thread."
                )
        if protocol is not None:
            one_of(protocol, PROTOCOLS, name="protocol")
        self.options: Dict[str, Any] = options
        self.batch_size = batch_size
        self.on_success = on_success
        self.on_failure = on_failure
        self.byte_limit = byte_limit
        check_timeout(request_timeout, own_session=session is not None)
        check_callable("on_success", on_success)
        check_callable("on_failure", on_failure)
        self.request_timeout = request_timeout
        self.buffer_capacity = buffer_capacity
        check_retry_codes(custom_retry_codes)
        self.custom_retry_codes: Dict[int, bool] = dict(custom_retry_codes or {})
        self.event_store = event_store
        self.session = session
        self.emitter_class = emitter_class
        self.protocol = protocol
        self.port = port
        self.thread_count = thread_count
        self.max_retry_delay_seconds = max_retry_delay_seconds

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
        chosen = {
            "protocol": self.protocol,
            "port": self.port,
            "thread_count": self.thread_count,
            "max_retry_delay_seconds": self.max_retry_delay_seconds,
        }
        arguments: Dict[str, Any] = {
            "endpoint": endpoint,
            "method": method,
            "batch_size": self.batch_size,
            "on_success": self.on_success,
            "on_failure": self.on_failure,
            "byte_limit": self.byte_limit,
            "request_timeout": self.request_timeout,
            "buffer_capacity": self.buffer_capacity,
            "custom_retry_codes": self.custom_retry_codes,
            "event_store": self.event_store,
            "session": self.session,
            **{name: value for name, value in chosen.items() if value is not None},
            **self.options,
        }
        if not enabled:
            arguments["enabled"] = False
        return self.emitter_class(**arguments)
