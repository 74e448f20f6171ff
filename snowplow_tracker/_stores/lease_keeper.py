"""A thread that renews leases while there are some."""

from __future__ import annotations

import _thread
import logging
import time
import weakref
from typing import Callable, Optional

__all__ = ["LeaseKeeper"]

logger = logging.getLogger("snowplow_tracker.emitters")


class LeaseKeeper:
    """Calls a method again and again until it says that there is nothing left to do.

    It holds no reference to the object, so that a store that nobody needs is collected. Where no thread can be started
    (the interpreter ends, or allows none), leases are renewed with the calls of the store alone.

    Args:
        keep: A bound method. It renews leases, and returns whether there are some.
        interval: Seconds between two calls.
    """

    def __init__(self, keep: Callable[[], bool], interval: float) -> None:
        self._keep = weakref.WeakMethod(keep)
        self._interval = interval
        self._current: Optional[object] = None
        """Stands for the thread that does it. Another one that finds this changed ends."""

    def ensure_running(self) -> None:
        """Start the thread if it does not run."""
        if self._current is not None:
            return
        token = self._current = object()
        try:
            # Not by `threading.Thread`, whose `start` waits: a signal handler that comes in between and tracks might
            # wait for ever. The function is looked up each time: gevent may have put its own in its place since.
            _thread.start_new_thread(_run, (weakref.ref(self), token, self._interval))
        except RuntimeError as error:
            self._current = None
            logger.debug("No thread could be started to renew leases: %s", error)
        except BaseException:
            self._current = None
            raise

    def _keep_once(self, token: object) -> bool:
        """Call the method in its thread; return whether the thread goes on."""
        keep = self._keep()
        if keep is None or self._current is not token:
            return False
        self._current = None  # first: who hands out events from here on starts a thread
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
