"""The two moments that concern every emitter of the process: its exit, and a fork."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
import weakref
from typing import Any, Callable, Dict, Optional

from snowplow_tracker._delivery import untold
from snowplow_tracker._late_imports import guard

logger = logging.getLogger("snowplow_tracker.emitters")

_all: weakref.WeakSet[Any] = weakref.WeakSet()
_holding: Dict[int, Any] = {}
"""Emitters with events to deliver, by identity: they stay alive until the events have their fate."""
is_exiting = False
"""Whether the exit hook of this process ran already. What is tracked now nobody will come for."""
_exit_started = 0.0
_hooked_child: Optional[int] = None


def register(emitter: object) -> None:
    """Note an emitter, weakly, for the case of a fork."""
    _all.add(emitter)


def hold(emitter: object) -> None:
    """Keep an emitter alive, and remember to send its events at exit."""
    _holding[id(emitter)] = emitter
    if "multiprocessing.process" in sys.modules:
        _hook_multiprocessing()


def release(emitter: object) -> None:
    """Let go of an emitter that has nothing to deliver."""
    _holding.pop(id(emitter), None)


def finish(emitter: Any) -> None:
    """Send at once, in this thread, what was tracked after the exit hook.

    Threads of a `multiprocessing` child go on for as long as they like. So each event has its time anew, but not
    while the collector is failing.
    """
    elapsed = time.monotonic() - _exit_started if emitter.retry_delay else 0.0
    emitter._finish_at_exit(max(0.1, emitter.exit_timeout - elapsed))


def _at_exit() -> None:
    global is_exiting, _exit_started
    is_exiting, _exit_started = True, time.monotonic()
    emitters = list(_holding.values())
    sending = {id(emitter) for emitter in emitters if emitter._flush_at_exit()}
    alone = [emitter for emitter in emitters if id(emitter) not in sending]
    if len(alone) > 1:
        # By turns, since a collector that is gone must not take the time of the others; what is left then goes to
        # those that were slow.
        for number, emitter in enumerate(alone):
            _at_the_end(emitter, emitter._try_at_exit, share=len(alone) - number)
    for emitter in sorted(emitters, key=lambda each: id(each) in sending):
        _at_the_end(emitter, emitter._finish_at_exit)
    for line in untold.take_summary():
        untold.say("%s", line)


def _at_the_end(emitter: Any, function: Callable[[float], None], *, share: int = 1) -> None:
    rest = emitter.exit_timeout - (time.monotonic() - _exit_started)
    try:
        function(max(0.0, rest / share))
    except Exception:
        logger.exception("An emitter could not send its events at exit.")


def _hook_multiprocessing() -> None:
    """See to the exit of a `multiprocessing` child, which may run no `atexit` hooks (fork, before 3.13)."""
    global _hooked_child
    if _hooked_child == os.getpid():
        return
    with guard:
        from multiprocessing import process, util

    _hooked_child = os.getpid()
    if process.parent_process() is not None:
        util.Finalize(None, _at_exit, exitpriority=-100)


def _after_fork_in_child() -> None:
    global is_exiting
    is_exiting = False
    _holding.clear()
    untold.forget_after_fork()
    for emitter in list(_all):
        try:
            emitter._after_fork()
        except Exception:
            logger.exception("An emitter could not be reset after a fork.")


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
