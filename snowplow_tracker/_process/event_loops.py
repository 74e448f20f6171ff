"""Detects an event loop in this thread, which must not be blocked."""

from __future__ import annotations

import sys


def in_event_loop() -> bool:
    """Return whether asyncio, trio or Twisted is running in the calling thread. It imports none of them."""
    asyncio = sys.modules.get("asyncio.events")
    if asyncio is not None and asyncio._get_running_loop() is not None:  # noqa: SLF001 - its documentation names it
        return True
    trio = sys.modules.get("trio.lowlevel")
    if trio is not None and _is_in_trio(trio):
        return True
    reactor = sys.modules.get("twisted.internet.reactor")
    threads = sys.modules.get("twisted.python.threadable")
    return getattr(reactor, "running", False) and threads is not None and threads.isInIOThread()


def _is_in_trio(trio: object) -> bool:
    in_run = getattr(trio, "in_trio_run", None)  # since 0.23
    return in_run is not None and bool(in_run())
