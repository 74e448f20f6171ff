"""The options of delivery: each is explained here, once, and checked here."""

from __future__ import annotations

import re
import threading
from typing import Any, Dict, Mapping, Optional, TypedDict

from snowplow_tracker._delivery.encoding import LARGEST_BODY
from snowplow_tracker._delivery.sender import DropCallback
from snowplow_tracker.event_store import OVERFLOW_POLICIES, Overflow

DEFAULT_REQUEST_TIMEOUT = 5.0
"""Seconds, for connecting and for each wait for the answer, where `request_timeout` is None."""
DEFAULT_MAX_REQUEST_EVENTS = 500
DEFAULT_EXIT_TIMEOUT = 2.0
DEFAULT_FLUSH_INTERVAL = 5.0

# What a header may be (RFC 9110, 5.1 and 5.5) and requests takes.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"([!-~\x80-\x84\x86-\x9f\xa1-\xff][ \t!-~\x80-\xff]*)?")


class DeliveryOptions(TypedDict, total=False):
    """Keyword arguments that every emitter and `EmitterConfiguration` understand, beyond those of 1.1.0.

    .. versionadded:: 1.2.0
    """

    on_drop: Optional[DropCallback]
    """Called as ``on_drop(events, reason)`` with events that are given up and a `DropReason`."""
    overflow: Overflow
    """What happens when the queue is full: `"drop_newest"` (default) refuses the new event, `"drop_oldest"` throws
    out the one that waited longest, `"block"` lets `track()` wait for room. For the emitter's own store."""
    overflow_timeout: float
    """Seconds that `track()` waits for room under `overflow="block"`. Default 1.0."""
    max_retries: Optional[int]
    """How often an event is tried again before it is given up. Default None: for ever."""
    max_request_bytes: int
    """The most bytes in the body of a request, 1,000,000 at most. Default 500,000. A single larger event is sent
    alone."""
    max_request_events: Optional[int]
    """The most events in a request. Default None: 500, or `batch_size` if that is larger."""
    flush_interval: Optional[float]
    """Seconds after which events are sent although the batch is not full; None for never. Default 5.0 for an
    `AsyncEmitter`, None for an `Emitter`."""
    exit_timeout: float
    """Seconds that the end of the program, or `close()`, may take to send what is queued. Default 2.0."""
    path: Optional[str]
    """The path of POST requests, in place of `/com.snowplowanalytics.snowplow/tp2`."""
    headers: Optional[Mapping[str, str]]
    """Extra headers for every request."""
    server_anonymisation: bool
    """Send `SP-Anonymous: *`: the collector then keeps neither IP address nor cookie. Default False."""
    enqueue_only: bool
    """Only add events to the store; another process sends them. No request is made, no thread started. Default
    False."""


def default_options() -> Dict[str, Any]:
    """Return every option with its default."""
    return {
        "on_drop": None,
        "overflow": "drop_newest",
        "overflow_timeout": 1.0,
        "max_retries": None,
        "max_request_bytes": 500_000,
        "max_request_events": None,
        "flush_interval": None,
        "exit_timeout": DEFAULT_EXIT_TIMEOUT,
        "path": None,
        "headers": None,
        "server_anonymisation": False,
        "enqueue_only": False,
    }


def check_options(options: Mapping[str, Any]) -> None:
    """Check options.

    Raises:
        TypeError: An unknown option, or a value of the wrong type.
        ValueError: A value out of range.
    """
    known = default_options()
    for name, value in options.items():
        if name not in known:
            raise TypeError(
                f"{name!r} is not an option of an emitter; there are {', '.join(sorted(known))}."
            )
        _check(name, value)


def check_positive(name: str, value: Any, *, kind: Any = int, zero: bool = False) -> None:
    """Check a number that must be above zero, or may be zero."""
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}.")
    if value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} must {'not be negative' if zero else 'be greater than 0'}.")


def check_seconds(name: str, value: Any, *, zero: bool = False) -> None:
    """Check a time, which has to be one that a thread can wait for."""
    check_positive(name, value, kind=(int, float), zero=zero)
    if not value <= threading.TIMEOUT_MAX:
        raise ValueError(f"{name} must be a finite number of seconds, got {value!r}.")


def check_timeout(value: Any) -> None:
    """Check a `request_timeout`: seconds, or two of them of which each may be None, or None."""
    parts = value if isinstance(value, tuple) else (value,)
    if isinstance(value, tuple) and len(parts) != 2:
        raise ValueError(f"request_timeout must be a number or (connect, read), got {value!r}.")
    for part in parts:
        # What has its own meaning for a user's session, such as urllib3's Timeout, is left to that.
        if isinstance(part, (int, float, str)):
            check_seconds("request_timeout", part)


def _check(name: str, value: Any) -> None:
    if name in ("overflow_timeout", "exit_timeout"):
        check_seconds(name, value, zero=True)
    elif name == "overflow":
        if value not in OVERFLOW_POLICIES:
            raise ValueError(f"overflow must be one of {', '.join(OVERFLOW_POLICIES)}.")
    elif name == "max_request_bytes":
        check_positive(name, value)
        if value > LARGEST_BODY:
            raise ValueError(
                f"max_request_bytes must not exceed {LARGEST_BODY}: the collector throws away more."
            )
    elif name in ("server_anonymisation", "enqueue_only"):
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be a bool, got {type(value).__name__}.")
    elif value is not None:
        _check_optional(name, value)


def _check_optional(name: str, value: Any) -> None:
    if name == "max_retries":
        check_positive(name, value, zero=True)
    elif name == "max_request_events":
        check_positive(name, value)
    elif name == "flush_interval":
        check_seconds(name, value)
    elif name == "on_drop":
        if not callable(value):
            raise TypeError("on_drop must be callable.")
    elif name == "path":
        if not isinstance(value, str) or not value.strip("/"):
            raise ValueError("path must be a non-empty text such as '/com.acme/track'.")
    elif name == "headers":
        _check_headers(value)


def _check_headers(headers: Any) -> None:
    if not isinstance(headers, Mapping) or not all(
        isinstance(text, str) for header in headers.items() for text in header
    ):
        raise TypeError("headers must be a mapping of text to text.")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"headers: {name!r} is not the name of a header.")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(
                f"headers: the value of {name!r} must begin with no space, and have no line break and no "
                "character beyond Latin-1."
            )
