"""A thread that renews leases as long as there are any."""

from __future__ import annotations

import _thread
import logging
import time
import weakref
from typing import Callable, Optional

__all__ = ["LeaseKeeper"]

logger = logging.getLogger("snowplow_tracker.emitters")


class LeaseKeeper:
    """Calls a method at intervals until it returns that there is nothing left to do.

    It holds no strong reference to the object, so that an unused store can be garbage-collected. If no thread can be
    started (the interpreter ends, or allows none), leases are only renewed by calls of the store.

    Args:
        keep: A bound method, which renews leases and returns whether there are any.
        interval: Seconds between two calls.
    """

    def __init__(self, keep: Callable[[], bool], interval: float) -> None:
        self._keep = weakref.WeakMethod(keep)
        self._interval = interval
        self._current: Optional[object] = None
        """The token of the current thread. A thread whose token is not this one ends."""

    def ensure_running(self) -> None:
        """Start the thread if it is not running."""
        if self._current is not None:
            return
        token = self._current = object()
        try:
            # Not with `threading.Thread`, whose `start` waits: a signal handler that interrupts it and tracks might
            # wait for ever. The function is looked up each time, since gevent may have replaced it.
            _thread.start_new_thread(_run, (weakref.ref(self), token, self._interval))
        except RuntimeError as error:
            self._current = None
            logger.debug("Could not start a thread to renew leases: %s", error)
        except BaseException:
            self._current = None
            raise

    def _keep_once(self, token: object) -> bool:
        """Call the method in its thread; return whether the thread continues."""
        keep = self._keep()
        if keep is None or self._current is not token:
            return False
        self._current = None  # first, so that a lease from now on starts a new thread
        try:
            if not keep():
                return False
        except Exception:
            logger.exception("Leases could not be renewed.")
        if self._current is not None:
            return False
        self._current = token
        return True


def _run(reference: weakref.ref[LeaseKeeper], token: object, interval: float) -> None:
    while True:
        time.sleep(interval)
        keeper = reference()
        if keeper is None or not keeper._keep_once(token):  # noqa: SLF001 - the body of its thread
            return
        del keeper
