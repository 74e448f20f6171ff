"""Hooks for libraries whose processes end with `os._exit`, without `atexit`.

They are installed inside the process that will end in this way, when an emitter begins to hold events there: then the
child is running, and the library is loaded. No library is imported that the program does not use.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, Callable, Dict, Tuple

from snowplow_tracker._process import fork, pool_workers
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._process.signals import Ending

logger = logging.getLogger("snowplow_tracker.emitters")

_hooked: Dict[str, Tuple[int, Any]] = {}


def hook(ending: Ending) -> None:
    """Install hooks of all loaded libraries that send events before this process ends.

    Args:
        ending: The functions for sending. They may be called several times.
    """
    for name, prepare in _WAYS.items():
        module = sys.modules.get(name)
        if module is None or _hooked.get(name) == (fork.process_id, module) or _is_half(module):
            continue
        _hooked[name] = (fork.process_id, module)
        try:
            prepare(module, ending)
        except Exception as error:
            if is_interrupt(error):
                raise
            logger.exception("Events may be lost when %s ends this process.", name)


def _is_half(module: Any) -> bool:
    """Return whether another thread is importing a module."""
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _multiprocessing(process: Any, ending: Ending) -> None:
    """A child of `multiprocessing` runs its finalizers; `multiprocess` and loky share that."""
    if process.parent_process() is not None:
        _finalize(process, ending)
        if _target_of(process) in _POOLS:
            pool_workers.handle_sigterm(ending)


def _billiard(process: Any, ending: Ending) -> None:
    """A child of billiard runs its finalizers; a worker of its pools calls `on_exit` instead."""
    current = process.current_process()
    if getattr(current, "_parent_pid", None) is None:
        return
    _finalize(process, ending)
    worker: Any = getattr(current, "_target", None)
    if hasattr(worker, "on_exit") and worker.on_exit is None:  # Celery sets one: see `_celery`
        worker.on_exit = lambda *_: ending.flush_all()


def _celery(celery_signals: Any, ending: Ending) -> None:
    """A child of Celery's prefork pool sends a signal before it ends."""
    celery_signals.worker_process_shutdown.connect(
        lambda **_: ending.flush_all(), weak=False, dispatch_uid="snowplow_tracker"
    )


def _rq(_: Any, ending: Ending) -> None:
    """A work-horse of RQ runs one job and calls `os._exit`, without any hook in between."""
    if "RQ_JOB_ID" not in os.environ:
        return
    leave, horse = os._exit, os.getpid()

    def flush_and_leave(status: int) -> None:
        if os.getpid() == horse:  # not in a child of the work-horse
            os._exit = leave
            ending.flush_all()
        leave(status)

    os._exit = flush_and_leave  # type: ignore[assignment]


def _uwsgi(uwsgi: Any, ending: Ending) -> None:
    """The master of uWSGI loads the application and never runs Python again, not even at its end."""
    if uwsgi.worker_id() == 0 and uwsgi.masterpid():
        ending.begin()  # events are sent immediately, until a worker is forked


def _finalize(process: Any, ending: Ending) -> None:
    """Register a finalizer that the process runs after all others."""
    util: Any = sys.modules[f"{process.__name__.rpartition('.')[0]}.util"]
    util.Finalize(None, ending.flush_all, exitpriority=-100)


def _target_of(process: Any) -> str:
    """Return the module of the target of the current child process."""
    return str(getattr(getattr(process.current_process(), "_target", None), "__module__", ""))


_POOLS = {"multiprocessing.pool", "multiprocess.pool", "concurrent.futures.process"}
"""The modules of the functions that run in the workers of process pools."""

_WAYS: Dict[str, Callable[[Any, Ending], None]] = {
    "multiprocessing.process": _multiprocessing,
    "multiprocess.process": _multiprocessing,
    "billiard.process": _billiard,
    "celery.signals": _celery,
    "rq.worker": _rq,
    "uwsgi": _uwsgi,
}
