"""The options of delivery, each defined once: its default, its check and its meaning."""

import math
import os
import re
import threading
from typing import Any, Callable, Dict, Mapping, NamedTuple, TypeVar

from snowplow_tracker._delivery import unreported
from snowplow_tracker._messages import choice_text
from snowplow_tracker.event_store import OVERFLOW_POLICIES

__all__ = [
    "DEFAULT_BUFFER_BYTES",
    "DEFAULT_FLUSH_INTERVAL",
    "DEFAULT_MAX_REQUEST_EVENTS",
    "DEFAULT_REQUEST_TIMEOUT",
    "OPTIONS",
    "SWITCHED_OFF",
    "SWITCHED_ON",
    "Option",
    "check_arguments",
    "check_callable",
    "check_number",
    "check_option",
    "check_retry_codes",
    "check_seconds",
    "check_timeout",
    "describe_options",
    "is_disabled_by_environment",
]

DEFAULT_REQUEST_TIMEOUT = 5.0
"""Seconds for all of a request, where `request_timeout` is None."""
DEFAULT_MAX_REQUEST_EVENTS = 500
DEFAULT_FLUSH_INTERVAL = 1.0
"""Seconds. A killed process loses at most the events of this time."""
DEFAULT_BUFFER_BYTES = 64 * 1024 * 1024

SWITCHED_ON = ("1", "true", "yes", "on")
"""The values of an environment variable that mean yes, in lower case."""
SWITCHED_OFF = ("", "0", "false", "no", "off")

WAIT = "wait"
_OVERFLOWS = (WAIT, *OVERFLOW_POLICIES)

# What RFC 9110 (5.1 and 5.5) allows in a header, and requests accepts.
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_VALUE = r"([!-~\x80-\x84\x86-\x9f\xa1-\xff][ \t!-~\x80-\xff]*)?"

_Class = TypeVar("_Class", bound=type)


class Option(NamedTuple):
    """One option.

    Attributes:
        default: Its default for an `Emitter`.
        check: Raises TypeError or ValueError for an invalid value; called with the name and the value.
        meaning: Its text in the docstrings of the classes that have it.
    """

    default: Any
    check: Callable[[str, Any], None]
    meaning: str


def check_number(name: str, value: Any, *, kind: Any = int, zero: bool = False) -> None:
    """Check a number that must be above zero, or may be zero.

    Raises:
        TypeError: It is not a number of this kind.
        ValueError: It is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, kind):
        what = "an integer" if kind is int else "a number"
        raise TypeError(f"{name} must be {what}, got {_shown(value)}.")
    if not (value > 0 or (value == 0 and zero)):
        raise ValueError(
            f"{name} must {'not be negative' if zero else 'be greater than 0'}, got {value!r}."
        )


def check_seconds(name: str, value: Any, *, zero: bool = False, forever: bool = False) -> None:
    """Check a time.

    Args:
        name: Of the parameter.
        value: Seconds.
        zero: Whether 0 is allowed.
        forever: Whether infinity is.

    Raises:
        TypeError: It is not a number.
        ValueError: It is negative, NaN, or too long for a thread to wait.
    """
    if isinstance(value, float) and math.isnan(value):
        raise ValueError(f"{name} must be a number of seconds, got nan.")
    check_number(name, value, kind=(int, float), zero=zero)
    if value > threading.TIMEOUT_MAX and not (forever and math.isinf(value)):
        raise ValueError(f"{name} must be a finite number of seconds, got {value!r}.")


def check_timeout(value: Any, *, own_session: bool = False) -> None:
    """Check a `request_timeout`.

    Args:
        value: Seconds, a pair of (connect, read) of which each may be None, None, or a `urllib3.Timeout`.
        own_session: Whether a user's session gets it, which may accept other forms.

    Raises:
        TypeError: It is of another type.
        ValueError: It is negative, NaN or too long.
    """
    if value is None or own_session or type(value).__module__.startswith("urllib3"):
        return
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(f"request_timeout must be a number or (connect, read), got {value!r}.")
        for part in value:
            if part is not None:
                check_seconds("request_timeout", part)
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(
            f"request_timeout must be a number of seconds or a tuple (connect, read), got {_shown(value)}."
        )
    check_seconds("request_timeout", value)


def check_retry_codes(value: Any) -> None:
    """Check `custom_retry_codes`.

    Raises:
        TypeError: It is not a mapping of integers to bools.
    """
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise TypeError(
            f"custom_retry_codes must be a mapping of statuses to bools, got {type(value).__name__}."
        )
    for status, retry in value.items():
        if isinstance(status, bool) or not isinstance(status, int):
            raise TypeError(f"custom_retry_codes: a status must be an integer, got {status!r}.")
        if not isinstance(retry, (bool, int)):
            raise TypeError(f"custom_retry_codes[{status}] must be a bool, got {retry!r}.")


def check_callable(name: str, value: Any) -> None:
    """Check a callback.

    Raises:
        TypeError: It cannot be called.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be callable, got {_shown(value)}.")


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text}" if len(text) <= 60 else type(value).__name__


def _optional(check: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    def check_unless_none(name: str, value: Any) -> None:
        if value is not None:
            check(name, value)

    return check_unless_none


def _check_count(name: str, value: Any) -> None:
    check_number(name, value)


def _check_count_or_zero(name: str, value: Any) -> None:
    check_number(name, value, zero=True)


def _check_time(name: str, value: Any) -> None:
    check_seconds(name, value)


def _check_time_or_zero(name: str, value: Any) -> None:
    check_seconds(name, value, zero=True)


def _check_bool(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, got {_shown(value)}.")


def _check_overflow(name: str, value: Any) -> None:
    if value not in _OVERFLOWS:
        raise ValueError(f"{name} {choice_text(_OVERFLOWS, value)}")


def _check_path(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value.strip("/"):
        raise ValueError(
            f"{name} must be a non-empty string such as '/com.acme/track', got {value!r}."
        )


def _check_headers(name: str, headers: Any) -> None:
    if not isinstance(headers, Mapping) or not all(
        isinstance(text, str) for header in headers.items() for text in header
    ):
        raise TypeError(f"{name} must be a mapping of strings to strings.")
    for header, value in headers.items():
        if not re.fullmatch(_HEADER_NAME, header):
            raise ValueError(f"{name}: {header!r} is not the name of a header.")
        if not re.fullmatch(_HEADER_VALUE, value):
            raise ValueError(
                f"{name}: the value of {header!r} must begin with no space, and have no line break and no "
                "character beyond Latin-1."
            )


OPTIONS: Dict[str, Option] = {
    "on_drop": Option(
        None,
        check_callable,
        "Called as ``on_drop(events, reason)`` with events that are dropped and a `DropReason`.",
    ),
    "overflow": Option(
        WAIT,
        _check_overflow,
        'What happens when the queue is full. `"wait"`: the thread that tracks waits while the collector takes events, '
        "at most `request_timeout` without progress, and never in an event loop; an `Emitter` sends, as when a batch is "
        "full; otherwise the new event is dropped. "
        '`"drop_newest"` drops the new event, `"drop_oldest"` the oldest, `"block"` waits for '
        '`overflow_timeout` whatever the collector does. For the emitter\'s own store; `"wait"` also where an '
        "`InMemoryEventStore` given to it refuses an event.",
    ),
    "overflow_timeout": Option(
        1.0, _check_time_or_zero, 'Seconds that `track()` waits for room under `overflow="block"`.'
    ),
    "buffer_bytes": Option(
        None,
        _optional(_check_count_or_zero),
        "Bytes that events beyond `buffer_capacity` may take in memory. Default: 64 MiB where `buffer_capacity` is not "
        "given, else 0.",
    ),
    "max_retries": Option(
        None,
        _optional(_check_count_or_zero),
        "How often an event is retried before it is dropped. None: without limit.",
    ),
    "max_request_bytes": Option(
        500_000,
        _check_count,
        "Maximum bytes in the body of a request with several events. A larger event is sent alone, whatever its size: "
        "the collector decides.",
    ),
    "max_request_events": Option(
        None,
        _optional(_check_count),
        "Maximum number of events in a request. None: 500, or `batch_size` if that is larger.",
    ),
    "flush_interval": Option(
        None,
        _optional(_check_time),
        "Seconds after which events are sent although the batch is not full; None for never.",
    ),
    "exit_timeout": Option(
        2.0,
        _check_time_or_zero,
        "Seconds that the end of the program, or `close()`, may take to send what is queued.",
    ),
    "path": Option(
        None,
        _optional(_check_path),
        "The path of POST requests, in place of `/com.snowplowanalytics.snowplow/tp2`.",
    ),
    "headers": Option(None, _optional(_check_headers), "Extra headers for every request."),
    "server_anonymisation": Option(
        False,
        _check_bool,
        "Send `SP-Anonymous: *`: the collector then keeps neither IP address nor cookie.",
    ),
    "enqueue_only": Option(
        False,
        _check_bool,
        "Only add events to the store; another process sends them. No request is made, no thread started.",
    ),
    "enabled": Option(
        True,
        _check_bool,
        "False switches the emitter off: no event is queued, no thread started, no request made and no file opened. "
        "`SNOWPLOW_DISABLED=1` in the environment does it for all.",
    ),
}
"""The options that are new in 1.2.0, by name: keywords of `Emitter`, `AsyncEmitter` and `EmitterConfiguration`."""


def check_option(name: str, value: Any) -> None:
    """Check an option.

    Raises:
        TypeError: The value is of the wrong type.
        ValueError: It is out of range.
    """
    OPTIONS[name].check(name, value)


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check the arguments of an emitter, by name: the new options, and those of 1.1.0, which it did not check.

    Raises:
        TypeError: One is of the wrong type.
        ValueError: One is out of range.
    """
    for name in OPTIONS:
        check_option(name, arguments[name])
    for name in ("batch_size", "byte_limit", "buffer_capacity", "max_retry_delay_seconds"):
        value = arguments[name]
        if value is not None:
            kind = (int, float) if name == "max_retry_delay_seconds" else int
            # A batch or byte limit of 0 sends each event at once, as it did in 1.1.0.
            check_number(name, value, kind=kind, zero=name != "buffer_capacity")
    check_timeout(arguments["request_timeout"], own_session=arguments["session"] is not None)
    check_callable("on_success", arguments["on_success"])
    check_callable("on_failure", arguments["on_failure"])
    for name, methods in (
        ("session", ("post", "get")),
        ("event_store", ("add_event", "get_events_batch", "cleanup", "size")),
    ):
        value = arguments[name]
        missing = [method for method in methods if not hasattr(value, method)]
        if value is not None and (isinstance(value, type) or missing):
            what = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
            raise TypeError(
                f"{name} must be an object with the methods {', '.join(methods)}, got {what}."
            )
    check_retry_codes(arguments["custom_retry_codes"])


def is_disabled_by_environment() -> bool:
    """Return whether `SNOWPLOW_DISABLED` switches tracking off. A value that is neither on nor off does not."""
    value = os.environ.get("SNOWPLOW_DISABLED", "").strip().lower()
    if value not in (*SWITCHED_ON, *SWITCHED_OFF):
        unreported.warn_once(
            "SNOWPLOW_DISABLED is %.50r, so that events are tracked: 1 switches tracking off, 0 does not.",
            value,
        )
    return value in SWITCHED_ON


def describe_options(cls: _Class) -> _Class:
    """Write the meaning of each option into the docstring of a class, at the line ``{options}``."""
    defaults = cls.__init__.__kwdefaults__  # type: ignore[misc]
    lines = [
        f"    {name}: {option.meaning} Default: {defaults[name]!r}."
        for name, option in OPTIONS.items()
    ]
    cls.__doc__ = (cls.__doc__ or "").replace("        {options}", "    " + "\n    ".join(lines))
    return cls
