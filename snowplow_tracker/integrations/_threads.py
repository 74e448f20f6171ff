"""Blocking calls that must not block an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any, Callable, TypeVar

_Result = TypeVar("_Result")


async def in_thread(function: Callable[[], _Result]) -> _Result:
    """Run a function in a new thread, and return its result.

    The loop's thread pool is not used: it may be busy, or shut down already.

    Args:
        function: Called in the current context. It continues if the caller is cancelled.
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
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            _call_in_loop(loop, settle, future.set_exception, error)
        else:
            _call_in_loop(loop, settle, future.set_result, result)

    threading.Thread(target=run, name="snowplow-await", daemon=True).start()
    return await future


def _call_in_loop(loop: asyncio.AbstractEventLoop, *call: Any) -> None:
    try:
        loop.call_soon_threadsafe(*call)
    except RuntimeError:
        # The loop is closed: no caller is waiting.
        return
