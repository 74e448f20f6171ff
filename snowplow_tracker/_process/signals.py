"""Handlers for signals that by default end the process immediately, without any exit hook."""

import logging
import signal
import sys
import threading
from types import FrameType
from typing import Any, Callable, NamedTuple, Optional, Sequence

logger = logging.getLogger("snowplow_tracker.emitters")

_PACKAGE = __name__.partition(".")[0] + "."


class Ending(NamedTuple):
    """The functions for the end of the process.

    Attributes:
        begin: Lets background threads send, without waiting for them.
        flush_all: Sends everything now; with `keep=True` it drops nothing that cannot be sent.
        resume: Called if the process continues after all.
        is_flushing: Returns whether `flush_all` is running.
    """

    begin: Callable[[], object]
    flush_all: Callable[..., None]
    resume: Callable[[], None]
    is_flushing: Callable[[], bool]


def handle(numbers: Sequence[int], ending: Ending) -> None:
    """Send before the earlier handlers of these signals are called.

    Args:
        numbers: The signals.
        ending: The functions for sending.

    Raises:
        RuntimeError: It is not called in the main thread, the only one in which Python allows it.
        ValueError: A number is not a signal, or is one that no program can handle.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "flush_on_sigterm() must be called in the main thread: Python allows signal handlers only there, and "
            f"this is {threading.current_thread().name}."
        )
    for number in numbers:
        _check(number)
    for number in numbers:
        previous = signal.getsignal(number)
        if previous is None:
            logger.warning(
                "%s is handled by the program that runs Python; it is left to that.",
                signal.Signals(number).name,
            )
        elif not isinstance(previous, Handler):
            signal.signal(number, Handler(previous, ending))


def handle_if_nobody_does(number: int, ending: Ending) -> None:
    """Send before a signal ends the process, if nobody handles it.

    Args:
        number: The signal.
        ending: The functions for sending.
    """
    if is_unhandled(number):
        signal.signal(number, Handler(signal.SIG_DFL, ending))


def is_unhandled(number: int) -> bool:
    """Return whether a signal would end the process, if this is the main thread, which can change that.

    Args:
        number: The signal.
    """
    handler = signal.getsignal(number)
    if isinstance(handler, Handler):  # flush_on_sigterm() in the parent
        handler = handler.previous
    return handler is signal.SIG_DFL and threading.current_thread() is threading.main_thread()


def _check(number: Any) -> None:
    try:
        name = signal.Signals(number).name
    except (ValueError, TypeError):
        raise ValueError(f"flush_on_sigterm() takes signals, got {number!r}.") from None
    if name in {"SIGKILL", "SIGSTOP"}:
        raise ValueError(f"No program can handle {name}.")


class Handler:
    """Sends, and then does what would have happened without it.

    Args:
        previous: The handler that was installed before.
        ending: The functions for sending.
    """

    def __init__(self, previous: Any, ending: Ending) -> None:
        self.previous = previous
        self._ending = ending
        self._is_calling = False
        self._was_signalled = False

    def __call__(self, number: int, frame: Optional[FrameType]) -> None:
        if self.previous is signal.SIG_IGN or self._is_calling:
            return  # the latter if the earlier handler calls this one, because another handler was chained to it
        repeated, self._was_signalled = self._was_signalled, True
        may_send = not repeated and not _interrupts_tracker(frame) and not _is_in_event_loop()
        if callable(self.previous):
            self._call_previous(number, frame, may_send=may_send)
        elif repeated:  # a repeated signal: do not wait
            self._end(number)
        elif self._ending.is_flushing():
            pass  # the process is already ending: a worker of a pool that is stopped and terminated at the same time
        elif may_send:
            self._ending.flush_all()
            self._end(number)
        else:
            raise SystemExit(128 + number)

    def _call_previous(self, number: int, frame: Optional[FrameType], *, may_send: bool) -> None:
        if may_send:
            self._ending.flush_all(keep=number not in _LAST)
        else:
            self._ending.begin()
        self._is_calling = True
        try:
            self.previous(number, frame)
        except BaseException:
            self._ending.resume()  # it may be caught; if not, the exit hooks run
            raise
        finally:
            self._is_calling = self._was_signalled = False
        if number not in _LAST:
            self._ending.resume()

    @staticmethod
    def _end(number: int) -> None:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


_LAST = {signal.SIGTERM, signal.SIGINT}
"""Signals after which a process ends, if its handler returns. Events that are tracked then are sent immediately."""


def _interrupts_tracker(frame: Optional[FrameType]) -> bool:
    """Return whether the main thread is in an operation that sending would wait for."""
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(_PACKAGE):
            return True
        frame = frame.f_back
    return False


def _is_in_event_loop() -> bool:
    """Return whether waiting may be impossible, because this greenlet switches to the others."""
    return "gevent.hub" in sys.modules or "eventlet.hubs" in sys.modules
