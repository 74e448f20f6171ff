"""The options of the emitters: their checks, and their description in docstrings."""

import os
import re
from functools import partial
from typing import Any, Callable, Dict, Mapping, TypeVar

from snowplow_tracker._checks import check_callable, shown
from snowplow_tracker._checks import check_number as check_number
from snowplow_tracker._checks import check_seconds as check_seconds
from snowplow_tracker._delivery import unreported
from snowplow_tracker._http.endpoint import PROTOCOLS, check_port
from snowplow_tracker._messages import choice_text
from snowplow_tracker.contracts import one_of
from snowplow_tracker.event_store import OVERFLOW_POLICIES

Check = Callable[[str, Any], None]
"""Raises TypeError or ValueError for an invalid value; called with the name of the parameter and the value."""

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


def check_timeout(name: str, value: Any) -> None:
    """Check a `request_timeout`.

    Args:
        name: Of the parameter.
        value: Seconds, a pair of (connect, read) of which each may be None, None, or a `urllib3.Timeout`.

    Raises:
        TypeError: It is of another type.
        ValueError: It is negative, NaN or too long.
    """
    if value is None or type(value).__module__.startswith("urllib3"):
        return
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(f"{name} must be a number or (connect, read), got {value!r}.")
        for part in value:
            if part is not None:
                check_seconds(name, part)
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(
            f"{name} must be a number of seconds or a tuple (connect, read), got {shown(value)}."
        )
    check_seconds(name, value)


def _check_retry_codes(name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} must be a mapping of statuses to bools, got {type(value).__name__}."
        )
    for status, retry in value.items():
        is_number = isinstance(status, str) and re.fullmatch("-?[0-9]+", status) is not None
        if isinstance(status, bool) or not (isinstance(status, int) or is_number):
            raise TypeError(f"{name}: a status must be an integer, got {status!r}.")
        if not isinstance(retry, (bool, int)):
            raise TypeError(f"{name}[{status}] must be a bool, got {retry!r}.")


def retry_codes(value: Any) -> Dict[int, bool]:
    """Return retry codes by number: JSON has only strings as names, which 1.1.0 accepted, to no effect."""
    return {int(status): retry for status, retry in (value or {}).items()}


def _optional(check: Check) -> Check:
    def check_unless_none(name: str, value: Any) -> None:
        if value is not None:
            check(name, value)

    return check_unless_none


def _check_size(name: str, value: Any) -> None:
    # A batch or byte limit of 0 sends each event at once, as it did in 1.1.0.
    check_number(name, value, fraction=True, zero=True)


def _check_methods(*methods: str) -> Check:
    def check(name: str, value: Any) -> None:
        if value is not None and (
            isinstance(value, type) or not all(hasattr(value, method) for method in methods)
        ):
            what = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
            raise TypeError(
                f"{name} must be an object with the methods {', '.join(methods)}, got {what}."
            )

    return check


def _check_protocol(name: str, value: Any) -> None:
    one_of(value, PROTOCOLS, name=name)


def _check_bool(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, got {shown(value)}.")


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


CHECKS: Dict[str, Check] = {
    # Those of 1.1.0, which checked only some, and took floats for sizes.
    "protocol": _check_protocol,
    "port": _optional(check_port),
    "batch_size": _optional(_check_size),
    "on_success": check_callable,
    "on_failure": check_callable,
    "thread_count": check_number,
    "byte_limit": _optional(_check_size),
    "request_timeout": check_timeout,
    "max_retry_delay_seconds": _optional(_check_size),
    "buffer_capacity": _optional(partial(check_number, fraction=True)),
    "custom_retry_codes": _check_retry_codes,
    "event_store": _check_methods("add_event", "get_events_batch", "cleanup", "size"),
    "session": _check_methods("post", "get"),
    # New in 1.2.0.
    "on_drop": check_callable,
    "overflow": _check_overflow,
    "overflow_timeout": partial(check_seconds, zero=True),
    "buffer_bytes": _optional(partial(check_number, zero=True)),
    "max_retries": _optional(partial(check_number, zero=True)),
    "max_request_bytes": check_number,
    "max_request_events": _optional(check_number),
    "flush_interval": _optional(check_seconds),
    "exit_timeout": partial(check_seconds, zero=True),
    "path": _optional(_check_path),
    "headers": _optional(_check_headers),
    "server_anonymisation": _check_bool,
    "enqueue_only": _check_bool,
    "enabled": _check_bool,
}
"""The options of the emitters and of `EmitterConfiguration`, with what raises TypeError or ValueError for an invalid value.
Their meaning stands in the docstring of `Emitter`."""


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check the arguments of an emitter, by name.

    Raises:
        TypeError: One is of the wrong type.
        ValueError: One is out of range.
    """
    for name, value in arguments.items():
        # A session of the user's may accept other forms of a timeout.
        if name in CHECKS and (name != "request_timeout" or arguments["session"] is None):
            CHECKS[name](name, value)


def is_disabled_by_environment() -> bool:
    """Return whether `SNOWPLOW_DISABLED` switches tracking off. A value that is neither on nor off does not."""
    value = os.environ.get("SNOWPLOW_DISABLED", "").strip().lower()
    if value not in (*SWITCHED_ON, *SWITCHED_OFF):
        unreported.warn_unless_seen(
            "SNOWPLOW_DISABLED is %.50r, so that events are tracked: 1 switches tracking off, 0 does not.",
            value,
        )
    return value in SWITCHED_ON


def described_as_in(source: type) -> Callable[[_Class], _Class]:
    """Complete the docstring of a class: arguments that it does not describe are described as in another class.

    They take the place of the line ``others``, and all are put in the order of the signature.
    """

    def complete(cls: _Class) -> _Class:
        if cls.__doc__ is None:  # python -OO
            return cls
        code = cls.__init__.__code__  # type: ignore[misc]
        names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        own, described = _descriptions(cls), {**_descriptions(source), **_descriptions(cls)}
        cls.__doc__ = cls.__doc__.replace(
            "\n".join(own.values()), "\n".join(described[name] for name in names)
        )
        return cls

    return complete


def _descriptions(cls: type) -> Dict[str, str]:
    """Return the lines about each argument in the docstring of a class."""
    section = (cls.__doc__ or "").partition("Args:\n")[2].partition("\n\n")[0]
    indent = len(section) - len(section.lstrip())
    found: Dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if line[indent] != " ":
            name = line[indent:].partition(":")[0]
            found[name] = line
        else:
            found[name] += "\n" + line
    return found
