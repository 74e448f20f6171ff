"""SIGTERM in a worker of a process pool.

`with Pool() as pool` and joblib end their idle workers with it, and a `ProcessPoolExecutor` the others if one has died.

A worker waits for its next task in C code. A signal that arrives just before it begins to wait does not end the wait,
so that a handler in Python would not run, and the parent, which waits for the worker, would never end. That is why the
events are sent by a thread, which the interpreter's wakeup descriptor tells of the signal.
"""

import os
import signal
import threading
import time
from types import FrameType
from typing import Optional

from snowplow_tracker._process import fork
from snowplow_tracker._process.locking import is_patched
from snowplow_tracker._process.signals import Ending, Handler, handle_if_nobody_does, is_unhandled

_SECONDS_TO_END = 1.0
"""How long the main thread may take to end the process after the events are sent; then the process is killed."""

_CALLED = bytes([0])
"""What the handler writes to the pipe. The interpreter writes the numbers of signals."""

_termination: Optional["_Termination"] = None


def handle_sigterm(ending: Ending) -> None:
    """Send before SIGTERM ends this worker, if no program handles it.

    Args:
        ending: The functions for sending.
    """
    global _termination
    if _termination is not None or not is_unhandled(signal.SIGTERM):
        return
    if hasattr(signal, "pthread_kill") and not is_patched():
        termination = _Termination(ending)
        if termination.start():
            _termination = termination
            return
    handle_if_nobody_does(signal.SIGTERM, ending)


class _Termination(Handler):
    """Waits in a thread for SIGTERM, sends, and then lets the signal end the process.

    The tasks go on meanwhile. What they track is sent immediately, since the process has begun to end. Repeated signals
    do not end it earlier: a `ProcessPoolExecutor` sends two.

    Args:
        ending: The functions for sending.
    """

    def __init__(self, ending: Ending) -> None:
        super().__init__(signal.SIG_DFL, ending)
        self._is_sent = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def start(self) -> bool:
        """Install it, and return whether that was possible."""
        previous = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        if previous == -1:  # no event loop uses it
            try:
                threading.Thread(target=self._run, name="snowplow-sigterm", daemon=True).start()
            except RuntimeError:  # a limit of the system
                signal.set_wakeup_fd(-1)
            else:
                signal.signal(signal.SIGTERM, self)
                return True
        else:
            signal.set_wakeup_fd(previous)
        self._close()
        return False

    def _run(self) -> None:
        try:
            while not self._is_terminated():
                pass
        except OSError:  # the program has closed all descriptors
            return
        if self._ending.is_flushing():
            return  # the pool was closed as well
        try:
            self._ending.flush_all()
        finally:
            self._is_sent = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            time.sleep(_SECONDS_TO_END)
            os.kill(os.getpid(), signal.SIGKILL)  # the main thread is in C code

    def _is_terminated(self) -> bool:
        """Wait for a signal, and return whether it ends this worker: a task may have its own handler."""
        told = os.read(self._reader, 1)
        is_sigterm = told == bytes([signal.SIGTERM]) and signal.getsignal(signal.SIGTERM) is self
        return told == _CALLED or is_sigterm

    def __call__(self, number: int, frame: Optional[FrameType]) -> None:  # noqa: ARG002 (as all handlers)
        if self._is_sent:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        # An event loop may have the wakeup descriptor now, or the handler of a task may call this one.
        os.write(self._writer, _CALLED)

    def after_fork(self) -> None:
        """Give a child of the worker the default action. It has no thread, and must not write to that of its parent."""
        if signal.getsignal(signal.SIGTERM) is self:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        previous = signal.set_wakeup_fd(-1)
        if previous not in {-1, self._writer}:
            signal.set_wakeup_fd(previous)
        self._close()

    def _close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


def _after_fork() -> None:
    global _termination
    termination, _termination = _termination, None
    if termination is not None:
        termination.after_fork()


fork.register_function(_after_fork)
