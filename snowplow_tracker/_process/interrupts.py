"""Detects interrupts: exceptions of signal handlers that are meant to stop this thread.

A signal handler may raise anything: `KeyboardInterrupt`, Celery's `SoftTimeLimitExceeded`, RQ's `JobTimeoutException`,
a plain `TimeoutError`. It is raised at any point of the thread, and its class does not distinguish it from an error of
the request, the store or the callback that it interrupts. The place where it was raised does.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import sys
from contextlib import contextmanager
from types import CodeType, FrameType, TracebackType
from typing import Any, Iterator, Optional, Type

__all__ = ["is_interrupt", "suppress", "unwrapped"]

_VARARGS = 0x04
"""`inspect.CO_VARARGS`, without its slow import."""


def is_interrupt(error: BaseException) -> bool:
    """Return whether an exception is meant to stop this thread, and so must be raised out of the tracker.

    Args:
        error: An exception that was just caught.

    Returns:
        True for exceptions that are not an `Exception` (`KeyboardInterrupt`, `SystemExit`, `GeneratorExit`, gevent's
        timeouts) and for exceptions of a Python signal handler, whatever their class.
    """
    if not isinstance(error, Exception):
        return True
    if _is_from_signal_handler(error.__traceback__):
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
    if _is_called_with_frame(traceback):
        return True
    codes = set(_traceback_codes(traceback))
    # The C functions: those of `signal` use exceptions to look up enums, during which another interrupt may occur.
    handlers = filter(callable, map(_signal.getsignal, range(1, _signal.NSIG)))
    return any(_code_of(handler) in codes for handler in handlers)


def _is_called_with_frame(traceback: TracebackType) -> bool:
    """Return whether a function was called with the frame that it interrupted.

    Only handlers are called like that. A handler may have replaced itself before it raised, so that it is not installed
    any more.
    """
    outer, inner = traceback.tb_frame, traceback.tb_next
    while inner is not None:
        code, values = inner.tb_frame.f_code, inner.tb_frame.f_locals
        count = code.co_argcount + bool(code.co_flags & _VARARGS) + code.co_kwonlyargcount
        for name in code.co_varnames[:count]:
            value = values.get(name)
            if value is outer or (type(value) is tuple and any(each is outer for each in value)):
                return True
        outer, inner = inner.tb_frame, inner.tb_next
    return False


def _traceback_codes(traceback: Optional[TracebackType]) -> Iterator[CodeType]:
    while traceback is not None:
        yield traceback.tb_frame.f_code
        traceback = traceback.tb_next


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
