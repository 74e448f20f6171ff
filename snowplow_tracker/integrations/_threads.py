"""Blocking calls that must not block an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future
from typing import Callable, TypeVar

_Result = TypeVar("_Result")


async def in_thread(function: Callable[[], _Result]) -> _Result:
    """Run a function in a new thread, and return its result.

    The loop's thread pool is not used: it may be busy, or shut down already.

    Args:
        function: Called in the current context. It continues if the caller is cancelled.
    """
    future: Future[_Result] = Future()
    future.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            result = context.run(function)
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="snowplow-await", daemon=True).start()
    return await asyncio.wrap_future(future)
