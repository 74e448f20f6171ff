"""Exceptions as `application_error` events (com.snowplowanalytics.snowplow, 1-0-2).

    install_excepthook(tracker)                                  # exceptions that end the program or a thread
    logging.getLogger().addHandler(SnowplowHandler(tracker))     # errors that are logged

An event contains the class and the message of the exception, where it was raised, and its traceback, but never
local variables. Messages may contain personal data: `Tracker.redact("$.message", ...)` removes them.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._protocol.text import type_name
from snowplow_tracker.events import SelfDescribing
from snowplow_tracker.self_describing_json import SelfDescribingJson

if TYPE_CHECKING:
    from snowplow_tracker.tracker import Tracker

__all__ = ["SnowplowHandler", "error_event", "install_excepthook", "track_exception"]

_SCHEMA = "iglu:com.snowplowanalytics.snowplow/application_error/jsonschema/1-0-2"
_MAX_MESSAGE = 2048
_MAX_NAME = 1024
_MAX_TRACE = 8192
_MAX_INTEGER = 2**31 - 1
_MAX_FRAMES = 50

# Exceptions and log records that occur while an error is being tracked are not tracked.
_is_tracking: ContextVar[bool] = ContextVar("snowplow_tracker.errors", default=False)


def error_event(
    error: BaseException, *, message: Optional[str] = None, is_fatal: bool = False
) -> SelfDescribing:
    """Return the event for an exception, with each string cut to the maximum length in its schema.

    Args:
        error: The exception.
        message: The message of the event. Default: the message of the exception.
        is_fatal: Whether it ended the program or the thread.

    New in version 1.2.0.
    """
    _check_error(error)
    name = type_name(error)
    cause = error.__cause__
    if cause is None and not error.__suppress_context__:
        cause = error.__context__
    data: Dict[str, Any] = {
        "message": message or _message(error) or name,
        "exceptionName": name,
        "stackTrace": _trace(error),
        "causeStackTrace": None if cause is None else _trace(cause),
        "isFatal": is_fatal,
        **_place(error.__traceback__),
    }
    return _event(data)


def track_exception(tracker: Tracker, error: BaseException, *, is_fatal: bool = False) -> None:
    """Track an exception. If this fails, the failure is logged and not raised.

    An exception that is raised while another one is being tracked, by a hook for instance, is not tracked.

    Args:
        tracker: The tracker.
        error: The exception.
        is_fatal: Whether it ended the program or the thread.

    New in version 1.2.0.
    """
    check_tracker(tracker)
    _check_error(error)
    _track(tracker, lambda: error_event(error, is_fatal=is_fatal))


def _check_error(error: object) -> None:
    if not isinstance(error, BaseException):
        raise TypeError(f"error must be an exception, not {type(error).__name__}.")


def install_excepthook(tracker: Tracker) -> Callable[[], None]:
    """Track exceptions that end the program or one of its threads, and then call the previous hooks.

    `KeyboardInterrupt` and `SystemExit` are not tracked. As always, the events are sent when the program ends.

    Args:
        tracker: The tracker.

    Returns:
        A function that restores the previous hooks, unless other hooks were installed in the meantime.

    New in version 1.2.0.
    """
    check_tracker(tracker)
    earlier, earlier_of_threads = sys.excepthook, threading.excepthook

    def excepthook(kind: type, error: BaseException, traceback_: Optional[TracebackType]) -> None:
        if isinstance(error, Exception):
            track_exception(tracker, error, is_fatal=True)
        earlier(kind, error, traceback_)

    def excepthook_of_threads(arguments: threading.ExceptHookArgs) -> None:
        if isinstance(arguments.exc_value, Exception):
            track_exception(tracker, arguments.exc_value, is_fatal=True)
        earlier_of_threads(arguments)

    def uninstall() -> None:
        if sys.excepthook is excepthook:
            sys.excepthook = earlier
        if threading.excepthook is excepthook_of_threads:
            threading.excepthook = earlier_of_threads

    sys.excepthook = excepthook
    threading.excepthook = excepthook_of_threads
    return uninstall


def check_tracker(tracker: object) -> None:
    """Check that an argument is a tracker, and not an emitter or another argument in the wrong order.

    Raises:
        TypeError: It is not a tracker.
    """
    if not hasattr(tracker, "track"):
        raise TypeError(f"tracker must be a Tracker, not {type(tracker).__name__}.")


class SnowplowHandler(logging.Handler):
    """A logging handler that tracks records as `application_error`, with their exception if they have one.

    Records of this package, and records that are logged while a record is being tracked, are not tracked.

    Args:
        tracker: The tracker.
        level: The minimum level of the records. Default: `logging.ERROR`.

    New in version 1.2.0.
    """

    def __init__(self, tracker: Tracker, level: int = logging.ERROR) -> None:
        check_tracker(tracker)
        super().__init__(level)
        self._tracker = tracker

    def emit(self, record: logging.LogRecord) -> None:
        """Track a record."""
        if record.name.partition(".")[0] == "snowplow_tracker":
            return
        _track(self._tracker, lambda: _record_event(record))


def _record_event(record: logging.LogRecord) -> SelfDescribing:
    message = record.getMessage()
    is_fatal = record.levelno >= logging.CRITICAL
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        said = _message(error)
        return error_event(
            error, message=f"{message}: {said}" if said else message, is_fatal=is_fatal
        )
    data = {
        "message": message or record.name,
        "className": record.name,
        "fileName": record.pathname,
        "lineNumber": record.lineno,
        "isFatal": is_fatal,
    }
    return _event(data)


def _track(tracker: Tracker, make: Callable[[], SelfDescribing]) -> None:
    if _is_tracking.get():
        return
    token = _is_tracking.set(True)
    try:
        tracker.track(make())
    except Exception as error:
        if is_interrupt(error):
            raise
        logging.getLogger("snowplow_tracker.integrations").warning(
            "An error could not be tracked: %r", error
        )
    finally:
        _is_tracking.reset(token)


def _event(data: Dict[str, Any]) -> SelfDescribing:
    thread = threading.current_thread()
    data.update(
        programmingLanguage="PYTHON",
        threadName=thread.name,
        threadId=getattr(thread, "native_id", None),
    )
    limits = {"message": _MAX_MESSAGE, "stackTrace": _MAX_TRACE, "causeStackTrace": _MAX_TRACE}
    kept: Dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, str):
            kept[name] = value[: limits.get(name, _MAX_NAME)]
        elif isinstance(value, bool) or (isinstance(value, int) and 0 <= value <= _MAX_INTEGER):
            kept[name] = value
    return SelfDescribing(SelfDescribingJson(_SCHEMA, kept))


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failure:  # its class may raise anything
        if is_interrupt(failure):
            raise
        return ""


def _trace(error: BaseException) -> str:
    """Return the traceback of an exception; only the most recent calls if it is too long."""
    try:
        lines = traceback.format_exception(
            type(error), error, error.__traceback__, limit=-_MAX_FRAMES, chain=False
        )
    except Exception as failure:  # the exception itself cannot be formatted
        if is_interrupt(failure):
            raise
        return type_name(error)
    text = "".join(lines)
    return text if len(text) <= _MAX_TRACE else f"...\n{text[4 - _MAX_TRACE :]}"


def _place(trace: Optional[TracebackType]) -> Dict[str, Any]:
    """Return the place where an exception was raised."""
    if trace is None:
        return {}
    *_, (frame, line) = traceback.walk_tb(trace)
    code = frame.f_code
    module = frame.f_globals.get("__name__")
    name = getattr(code, "co_qualname", code.co_name)
    return {
        "className": f"{module}.{name}" if module else name,
        "fileName": code.co_filename[-_MAX_NAME:],
        "lineNumber": line,
    }
