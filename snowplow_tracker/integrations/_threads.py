"""Blocking calls that an event loop must not wait for."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any, Callable, TypeVar

__all__ = ["in_thread"]

_Result = TypeVar("_Result")


async def in_thread(function: Callable[[], _Result]) -> _Result:
    """Return what a function returns that runs in a thread of its own meanwhile.

    Not in the loop's thread pool: that may be full of work, or shut down already.

    Args:
        function: Runs in the current context. It goes on if whoever waits for it is cancelled.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Result] = loop.create_future()
    context = contextvars.copy_context()

    def settle(method: Callable[[Any], None], outcome: Any) -> None:
        if not future.done():
            method(outcome)

    def run() -> None:
        try:
            result = context.run(function)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            _tell(loop, settle, future.set_exception, error)
        else:
            _tell(loop, settle, future.set_result, result)

    threading.Thread(target=run, name="snowplow-await", daemon=True).start()
    return await future


def _tell(loop: asyncio.AbstractEventLoop, *call: Any) -> None:
    try:
        loop.call_soon_threadsafe(*call)
    except RuntimeError:
        # The loop is closed: nobody waits any more.
        return
