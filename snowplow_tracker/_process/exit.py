"""The end of the process: whoever holds events then sends them, within its `exit_timeout`.

An emitter is held from its first event until all its events are sent or dropped. The ends, in the order in which one
process can meet them:

1. a signal, where the program asked for `flush_on_sigterm` (see `signals`), and in the workers of a process pool;
2. the end of a child of a library that leaves by `os._exit`, so that `atexit` never runs: what the library offers for
   that (see `libraries`);
3. `atexit`: after the handlers that were registered later than this module was imported, before those that were
   registered earlier. The interpreter joins the program's own threads before.

Each of them runs `flush_all`, which may run several times. From the first time on `is_exiting` is set: what is tracked
then is sent at once by the thread that tracks it, since nobody else will come for it, and no thread is started.
"""

from __future__ import annotations

import atexit
import logging
import signal
import sys
import time
from contextvars import ContextVar
from typing import Any, Callable, Dict, FrozenSet, List, Tuple

from snowplow_tracker._process import fork, libraries, signals
from snowplow_tracker._process.fork import register as register
from snowplow_tracker._process.interrupts import is_interrupt

__all__ = [
    "begin",
    "finish",
    "flush_all",
    "flush_on_sigterm",
    "hold",
    "is_exiting",
    "prepare",
    "register",
    "register_last",
    "release",
    "resume",
]

logger = logging.getLogger("snowplow_tracker.emitters")

is_exiting = False
"""Whether the process has begun to end."""

_holding: Dict[int, Any] = {}
"""Emitters with events to deliver, by identity, which keeps them alive."""
_finishing: ContextVar[FrozenSet[int]] = ContextVar("finishing", default=frozenset())
"""The emitters, by identity, that this thread or greenlet has sending for the last time."""
_last: List[Callable[[], None]] = []
_is_flushing = False
_exit_started = 0.0
_looked_at_modules: Tuple[int, int] = (0, 0)


def hold(emitter: Any) -> None:
    """Keep an emitter alive, and remember to send its events at the end.

    Args:
        emitter: Has `_flush_at_exit`, `_try_at_exit`, `_finish_at_exit`, `exit_timeout` and `retry_delay`.
    """
    _holding[id(emitter)] = emitter


def prepare() -> None:
    """See to it that the end of this process will be noticed, whatever modules were imported since."""
    if (fork.process_id, len(sys.modules)) != _looked_at_modules:
        _hook_libraries()


def release(emitter: Any) -> None:
    """Stop holding an emitter, which has nothing to deliver.

    Args:
        emitter: One that may have been held.
    """
    _holding.pop(id(emitter), None)


def register_last(function: Callable[[], None]) -> None:
    """Have a function called after the events were sent, to tell of those that were not.

    Args:
        function: Called each time that everything was flushed.
    """
    _last.append(function)


def finish(emitter: Any) -> None:
    """Send at once, in this thread, what was tracked after the process began to end.

    Threads of a `multiprocessing` child go on for as long as they like. So each event has its time again, but not
    while the collector is failing.

    Args:
        emitter: As for `hold`.
    """
    elapsed = time.monotonic() - _exit_started if emitter.retry_delay else 0.0
    _for_the_last_time(emitter, emitter._finish_at_exit, max(0.1, emitter.exit_timeout - elapsed))


def _for_the_last_time(emitter: Any, function: Callable[[float], None], timeout: float) -> None:
    """Have an emitter send, unless that is what the caller does: it may log, and the program track what is logged."""
    finishing = _finishing.get()
    if id(emitter) in finishing:
        return  # the caller sends this event too, or counts it
    token = _finishing.set(finishing | {id(emitter)})
    try:
        function(timeout)
    finally:
        _finishing.reset(token)


def begin() -> List[Any]:
    """Begin to end: have background threads send what they have, and do not wait for them.

    Returns:
        The emitters that hold events and do not send yet: they have no threads.
    """
    global is_exiting, _exit_started
    fork.check()
    is_exiting, _exit_started = True, time.monotonic()
    return [emitter for emitter in list(_holding.values()) if not emitter._flush_at_exit()]


def resume() -> None:
    """Note that the process goes on, although it had begun to end."""
    global is_exiting
    is_exiting = False


def flush_all() -> None:
    """Begin to end: send the events of all emitters that have some, and say what could not be sent."""
    global _is_flushing
    _is_flushing = True
    try:
        _flush_by_turns(begin())
        for function in _last:
            function()
    finally:
        _is_flushing = False


def _flush_by_turns(alone: List[Any]) -> None:
    known = {id(emitter) for emitter in alone}
    sending = [emitter for emitter in list(_holding.values()) if id(emitter) not in known]
    if len(alone) > 1:
        # By turns, since a collector that is gone must not take the time of the others; what is left then goes to
        # those that were slow.
        for number, emitter in enumerate(alone):
            _at_the_end(emitter, emitter._try_at_exit, share=len(alone) - number)
    for emitter in [*alone, *sending]:
        _at_the_end(emitter, emitter._finish_at_exit)


def _at_the_end(emitter: Any, function: Callable[[float], None], *, share: int = 1) -> None:
    rest = emitter.exit_timeout - (time.monotonic() - _exit_started)
    try:
        _for_the_last_time(emitter, function, max(0.0, rest / share))
    except Exception as error:
        if is_interrupt(error):
            raise
        logger.exception("An emitter could not send its events at exit.")


def flush_on_sigterm(*more: int) -> None:
    """Send what is queued when the process is told to end by SIGTERM.

    By default SIGTERM ends a Python program at once: no `finally`, no `atexit`, and what is queued is lost. That is how
    `docker stop`, systemd and Kubernetes end plain loops, schedulers and servers that install no handler of their own.
    With this line, what all emitters hold is sent first, within their `exit_timeout`; then the earlier handler is
    called, or the process ends by the signal as it would have. Call it after the handlers of the program are installed,
    if there are any. It does nothing in a program that embeds Python and handles the signal in C (uWSGI), which runs the
    exit hooks itself.

    A signal that comes while the main thread is sending, or that is handled in an event loop of gevent or eventlet,
    raises `SystemExit` (128 + the number) there instead, as `sys.exit()` does, and the exit hooks send.

    Args:
        *more: Other signals to handle in the same way, such as `signal.SIGHUP` or `signal.SIGINT`.

    Raises:
        RuntimeError: It is not called in the main thread, where alone Python allows it.
        ValueError: A number is no signal, or one that no program can handle.

    New in version 1.2.0.
    """
    signals.handle((signal.SIGTERM, *more), _ENDING)


def _hook_libraries() -> None:
    """Prepare for the ends that libraries bring about, once per process and again when modules were imported since."""
    global _looked_at_modules
    _looked_at_modules = (fork.process_id, len(sys.modules))
    libraries.hook(_ENDING)


def _restart() -> None:
    global is_exiting, _is_flushing, _looked_at_modules
    is_exiting = _is_flushing = False
    _looked_at_modules = (0, 0)
    _holding.clear()


_ENDING = signals.Ending(begin, flush_all, resume, lambda: _is_flushing)
fork.register_function(_restart)
atexit.register(flush_all)
