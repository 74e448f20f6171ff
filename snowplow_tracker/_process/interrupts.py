"""Detects interrupts: exceptions of signal handlers, threads and greenlets that are meant to stop this thread.

A signal handler may raise anything: `KeyboardInterrupt`, Celery's `SoftTimeLimitExceeded`, RQ's `JobTimeoutException`,
a plain `TimeoutError`. It is raised at any point of the thread, and its class does not distinguish it from an error of
the request, the store or the callback that it interrupts. The place where it was raised does.

Another thread (`PyThreadState_SetAsyncExc`, as in RQ's `TimerDeathPenalty` and stopit) or greenlet (`gevent.Timeout` with an
exception of the program) may raise one, too, at the place where this thread waits. The libraries there raise only what is
known.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import sys
from contextlib import contextmanager
from types import CodeType, FrameType, TracebackType
from typing import Any, Iterator, List, Optional, Tuple, Type

_WAITING = (
    "email",
    "eventlet",
    "gevent",
    "http",
    "json",
    "redis",
    "requests",
    "select",
    "snowplow_tracker._http",
    "snowplow_tracker._process.locking",
    "snowplow_tracker._protocol.bodies",
    "snowplow_tracker._stores",
    "socket",
    "ssl",
    "threading",
    "urllib3",
)
"""Packages and modules in which a thread waits for a collector, a store or another thread, or encodes a body for long."""

_RAISED_THERE = frozenset(
    [
        # Of the standard library, what Python 3.8 and 3.9 do not list.
        "asyncio",
        "binascii",
        "builtins",
        "concurrent",
        "email",
        "encodings",
        "http",
        "json",
        "queue",
        "select",
        "socket",
        "sqlite3",
        "ssl",
        "struct",
        "threading",
        "urllib",
        "zlib",
        # Others.
        "OpenSSL",
        "brotli",
        "brotlicffi",
        "eventlet",
        "gevent",
        "hiredis",
        "idna",
        "redis",
        "requests",
        "snowplow_tracker",
        "socks",
        "urllib3",
        "zstandard",
        *getattr(sys, "stdlib_module_names", ()),
    ]
)
"""Packages whose exceptions may be raised in these places."""

_VARARGS = 0x04
"""`inspect.CO_VARARGS`, without its slow import."""


def is_interrupt(error: BaseException) -> bool:
    """Return whether an exception is meant to stop this thread, and so must be raised out of the tracker.

    Args:
        error: An exception that was just caught.

    Returns:
        True for exceptions that are not an `Exception` (`KeyboardInterrupt`, `SystemExit`, `GeneratorExit`, gevent's
        timeouts), for exceptions of a Python signal handler, whatever their class, and for exceptions that another thread or
        greenlet raised in a place where this one waits.
    """
    if not isinstance(error, Exception):
        return True
    if _is_from_signal_handler(error.__traceback__) or _is_from_elsewhere(error):
        return True
    seen = {id(error)}
    cause = error.__cause__ or error.__context__
    while cause is not None and id(cause) not in seen and not _is_being_handled(cause):
        # An HTTP client may wrap what it caught in its own exception.
        if _is_from_signal_handler(cause.__traceback__):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False


def unwrapped(error: BaseException) -> BaseException:
    """Return the exception of a signal handler that a client of HTTP or Redis wrapped as a connection error.

    Args:
        error: An exception that was just caught.

    Returns:
        The innermost exception that is an interrupt; `error` itself if there is none.
    """
    seen = {id(error)}
    found = error
    cause = error.__cause__ or error.__context__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if is_interrupt(cause) and not _is_being_handled(cause):
            found = cause
        cause = cause.__cause__ or cause.__context__
    return found


@contextmanager
def suppress(*classes: Type[Exception]) -> Iterator[None]:
    """Suppress errors of these classes, as `contextlib.suppress` does, unless a signal handler raised them.

    `TimeoutError`, which handlers often raise, is an `OSError`.
    """
    try:
        yield
    except classes as error:
        if is_interrupt(error):
            raise


def _is_being_handled(error: BaseException) -> bool:
    """Return whether an outer caller caught it: then it was over before this call began."""
    caught_in = error.__traceback__.tb_frame if error.__traceback__ is not None else None
    frame: Optional[FrameType] = sys._getframe(2)
    while frame is not None:
        if frame is caught_in:
            return True
        frame = frame.f_back
    return False


def _is_from_signal_handler(traceback: Optional[TracebackType]) -> bool:
    if traceback is None or traceback.tb_next is None:
        return False  # raised in the frame that caught it: a handler has its own frame
    # The C functions: those of `signal` use exceptions to look up enums, during which another interrupt may occur.
    numbers = range(1, _signal.NSIG)
    handlers = map(_signal.getsignal, numbers)
    codes = {_code_of(handler) for handler in handlers if callable(handler)}
    outer = traceback.tb_frame
    inner: Optional[TracebackType] = traceback.tb_next
    while inner is not None:
        frame = inner.tb_frame
        arguments, has_all = _arguments(frame)
        # Only handlers are called with the frame that they interrupted, and a handler may have replaced itself before it
        # raised, so that it is not installed any more.
        if any(each is outer for each in arguments):
            return True
        # One that is installed may have changed its arguments. What shares its code, a wrapper, has others.
        if frame.f_code in codes and (
            not has_all or any(isinstance(each, int) and each in numbers for each in arguments)
        ):
            return True
        outer, inner = frame, inner.tb_next
    return False


def _is_from_elsewhere(error: BaseException) -> bool:
    """Return whether another thread or greenlet raised an exception in a place where this thread waits."""
    package = type(error).__module__.partition(".")[0]
    if package in _RAISED_THERE:
        return False
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return False
    place = str(traceback.tb_frame.f_globals.get("__name__"))
    return any(place == name or place.startswith(name + ".") for name in _WAITING)


def _arguments(frame: FrameType) -> Tuple[List[Any], bool]:
    """Return the arguments that a function still has, with those of `*arguments`, and whether it has deleted none."""
    code, values = frame.f_code, frame.f_locals
    count = code.co_argcount + code.co_kwonlyargcount
    found = [values[name] for name in code.co_varnames[:count] if name in values]
    has_all = len(found) == count
    if code.co_flags & _VARARGS:
        name = code.co_varnames[count]
        found.extend(values.get(name, ()))
        has_all = has_all and name in values
    return found, has_all


def _code_of(handler: Any) -> Optional[CodeType]:
    """Return the code that runs when a handler is called: of a function, a method, a partial or a callable object."""
    for _ in range(10):  # a limit for nested wrappers
        code = getattr(handler, "__code__", None)
        if isinstance(code, CodeType):
            return code
        handler = (
            getattr(handler, "__func__", None)
            or getattr(handler, "func", None)
            or getattr(handler, "__wrapped__", None)
            or getattr(type(handler), "__call__", None)  # noqa: B004 - its code is wanted
        )
    return None
