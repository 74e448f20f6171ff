"""The end of the process: emitters with events send them, within their `exit_timeout`.

An emitter is held from its first event until all its events are sent or dropped. A process can end in these ways:

1. by a signal, if the program called `flush_on_sigterm` (see `signals`), and in the workers of a process pool;
2. by `os._exit` in a child process of a library, so that `atexit` never runs: the hooks of the library are used (see
   `libraries`);
3. by `atexit`: after the handlers that were registered after the import of this module, before those that were
   registered earlier. The interpreter joins the program's own threads before.

Each of them runs `flush_all`, which may run several times. From the first time on `is_exiting` is set: events are sent
immediately by the thread that tracks them, since no later hook will send them, and no thread is started.
"""

from __future__ import annotations

import atexit
import logging
import signal
import sys
from contextvars import ContextVar
from typing import Any, Callable, Dict, FrozenSet, List, Tuple

from snowplow_tracker._process import fork, libraries, signals
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.interrupts import is_interrupt

logger = logging.getLogger("snowplow_tracker.emitters")

is_exiting = False
"""Whether the process has begun to end."""

_holding: Dict[int, Any] = {}
"""Emitters with events to deliver, by identity, which keeps them alive."""
_finishing: ContextVar[FrozenSet[int]] = ContextVar("finishing", default=frozenset())
"""The emitters, by identity, whose last sending runs in this thread or greenlet."""
_last: List[Callable[[], None]] = []
_is_flushing = False
_exit_started = 0.0
_looked_at_modules: Tuple[int, int] = (0, 0)


def hold(emitter: Any) -> None:
    """Keep an emitter alive, and remember to send its events at the end.

    Args:
        emitter: An object with `_flush_at_exit`, `_try_at_exit`, `_finish_at_exit`, `exit_timeout` and `retry_delay`.
    """
    _holding[id(emitter)] = emitter


def prepare() -> None:
    """Install the hooks for the end of this process, including those of libraries that were imported since."""
    if (fork.process_id, len(sys.modules)) != _looked_at_modules:
        _hook_libraries()


def release(emitter: Any) -> None:
    """Stop holding an emitter, which has nothing to deliver.

    Args:
        emitter: One that may have been held.
    """
    _holding.pop(id(emitter), None)


def register_last(function: Callable[[], None]) -> None:
    """Register a function that is called after the flush, to report events that were not sent.

    Args:
        function: Called each time that everything was flushed.
    """
    _last.append(function)


def finish(emitter: Any) -> None:
    """Send immediately, in this thread, the events that were tracked after the process began to end.

    Threads of a `multiprocessing` child may run for any time after that. So the timeout starts again for each event,
    but not while the collector is failing.

    Args:
        emitter: As for `hold`.
    """
    timeout = _rest(emitter) if emitter.retry_delay else emitter.exit_timeout
    _for_the_last_time(emitter, emitter._finish_at_exit, timeout)


def _for_the_last_time(emitter: Any, function: Callable[[float], None], timeout: float) -> None:
    """Send with an emitter, unless the caller is already doing so: sending may log, and the program may track logs."""
    finishing = _finishing.get()
    if id(emitter) in finishing:
        return  # the caller also sends this event, or counts it
    token = _finishing.set(finishing | {id(emitter)})
    try:
        function(timeout)
    finally:
        _finishing.reset(token)


def begin() -> List[Any]:
    """Begin to end: let background threads send their events, without waiting for them.

    Returns:
        The emitters that have events but no threads, and so do not send yet.
    """
    global is_exiting, _exit_started
    fork.check()
    is_exiting, _exit_started = True, monotonic()
    return [emitter for emitter in list(_holding.values()) if not emitter._flush_at_exit()]


def resume() -> None:
    """Record that the process continues, although it had begun to end."""
    global is_exiting
    is_exiting = False


def flush_all(*, keep: bool = False) -> None:
    """Begin to end: send the events of all emitters, and drop and report those that could not be sent.

    Args:
        keep: Keep them instead: the process is expected to go on.
    """
    global _is_flushing
    _is_flushing = True
    try:
        _flush_by_turns(begin(), keep=keep)
    except BaseException:
        # An interrupt, such as Ctrl-C: nothing is waited for any more, but what is dropped is reported.
        if not keep:
            for emitter in list(_holding.values()):
                _at_the_end(emitter, emitter._finish_at_exit, 0.0)
        raise
    finally:
        _is_flushing = False
        if not keep:
            for function in _last:
                function()


def _flush_by_turns(alone: List[Any], *, keep: bool) -> None:
    known = {id(emitter) for emitter in alone}
    sending = [emitter for emitter in list(_holding.values()) if id(emitter) not in known]
    if len(alone) > 1:
        # First an equal share of the time, since a collector that is down must not use up the time of the others; then
        # the rest for those that were slow.
        for number, emitter in enumerate(alone):
            _at_the_end(emitter, emitter._try_at_exit, _rest(emitter) / (len(alone) - number))
    for emitter in [*alone, *sending]:
        last = emitter._try_at_exit if keep else emitter._finish_at_exit
        _at_the_end(emitter, last, _rest(emitter))


def _rest(emitter: Any) -> float:
    """Return the seconds that are left of an emitter's `exit_timeout`."""
    return max(0.0, float(emitter.exit_timeout - (monotonic() - _exit_started)))


def _at_the_end(emitter: Any, function: Callable[[float], None], timeout: float) -> None:
    try:
        _for_the_last_time(emitter, function, timeout)
    except Exception as error:
        if is_interrupt(error):
            raise
        logger.exception("An emitter could not send its events at exit.")


def flush_on_sigterm(*more: int) -> None:
    """Send the queued events when SIGTERM ends the process.

    By default SIGTERM ends a Python program immediately: no `finally`, no `atexit`, and queued events are lost. In this
    way `docker stop`, systemd and Kubernetes end plain loops, schedulers and servers that install no handler. After
    this call, the events of all emitters are sent first, within their `exit_timeout`. Then the earlier handler is
    called, or the signal ends the process as usual. What cannot be sent in time is dropped if the signal is SIGTERM or
    SIGINT or has no handler; otherwise it is kept, because the program is expected to go on. Call it after the program
    has installed its own handlers. It has no effect in a program that embeds Python and handles the signal in C (uWSGI),
    which runs the exit hooks itself.

    If the signal arrives while the main thread is sending, or in an event loop of gevent or eventlet, it raises
    `SystemExit` (128 + the number) instead, as `sys.exit()` does, and the exit hooks send the events.

    Args:
        *more: Other signals to handle in the same way, such as `signal.SIGHUP` or `signal.SIGINT`.

    Raises:
        RuntimeError: It is not called in the main thread, the only one in which Python allows it.
        ValueError: A number is not a signal, or is one that no program can handle.

    New in version 1.2.0.
    """
    signals.handle((signal.SIGTERM, *more), _ENDING)


def _hook_libraries() -> None:
    """Install the hooks of libraries, once per process, and again if modules were imported since."""
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
