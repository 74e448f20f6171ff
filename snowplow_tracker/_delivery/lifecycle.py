"""The two moments that concern every emitter of the process: its exit, and a fork."""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, Dict, Optional

from snowplow_tracker._late_imports import guard
from snowplow_tracker._late_logging import late_logger

if TYPE_CHECKING:
    import logging

    from snowplow_tracker._delivery.sender import Sender

logger = late_logger("snowplow_tracker.emitters")

_all: weakref.WeakSet[Any] = weakref.WeakSet()
_holding: Dict[int, Any] = {}
"""Emitters with events to deliver, by identity: they stay alive until the events have their fate."""
_exit_started: Optional[float] = None
_hooked_child: Optional[int] = None


def register(emitter: object) -> None:
    """Note an emitter, weakly, for the case of a fork."""
    guard.go_first()
    _all.add(emitter)


def hold(emitter: Sender) -> None:
    """Keep an emitter alive, and remember to send its events at exit."""
    _holding[id(emitter)] = emitter
    if "multiprocessing.process" in sys.modules:
        _hook_multiprocessing()


def release(emitter: Sender) -> None:
    """Let go of an emitter that has nothing to deliver."""
    _holding.pop(id(emitter), None)


def exiting() -> bool:
    """Whether the exit hook of this process ran already."""
    return _exit_started is not None


def say(message: str, *arguments: object) -> None:
    """Warn of events that are lost with the process, also in a program that set up no logging."""
    import logging

    logger.warning(message, *arguments)
    if logging.lastResort is not None and not _is_heard(logger):
        logging.lastResort.handle(
            logger.makeRecord(logger.name, logging.WARNING, __file__, 0, message, arguments, None)
        )


def _is_heard(source: Optional[logging.Logger]) -> bool:
    import logging

    while source is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in source.handlers):
            return True
        source = source.parent if source.propagate else None
    return not logger.isEnabledFor(logging.WARNING)


def finish(emitter: Any) -> None:
    """Send at once, in this thread: the event was tracked so late that nobody will come for it."""
    elapsed = time.monotonic() - (_exit_started or time.monotonic())
    emitter._finish_at_exit(max(0.1, emitter.exit_timeout - elapsed))


def _at_exit() -> None:
    global _exit_started
    _exit_started = time.monotonic()
    emitters = list(_holding.values())
    for emitter in emitters:
        emitter._flush_at_exit()
    for emitter in emitters:
        elapsed = time.monotonic() - _exit_started
        try:
            emitter._finish_at_exit(max(0.0, emitter.exit_timeout - elapsed))
        except Exception:
            logger.exception("An emitter could not send its events at exit.")


def _hook_multiprocessing() -> None:
    """See to the exit of a `multiprocessing` child, which may run no `atexit` hooks (fork, before 3.13)."""
    global _hooked_child
    if _hooked_child == os.getpid():
        return
    with guard:
        from multiprocessing import process, util

    if process.parent_process() is not None:
        _hooked_child = os.getpid()
        util.Finalize(None, _at_exit, exitpriority=-100)


def _after_fork_in_child() -> None:
    global _exit_started
    _exit_started = None
    _holding.clear()
    for emitter in list(_all):
        try:
            emitter._after_fork()
        except Exception:
            logger.exception("An emitter could not be reset after a fork.")


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
