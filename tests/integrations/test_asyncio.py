"""asyncio: flush and close that are awaited never block the event loop."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from snowplow_tracker import AsyncEmitter, Scope, StructuredEvent, Tracker
from snowplow_tracker.testing import Collector, RecordingEmitter


async def ticks_during(awaitable):
    """How often the loop came around, and the longest that it took, while something was awaited."""
    longest, last, count = 0.0, time.monotonic(), 0
    task = asyncio.ensure_future(awaitable)
    while not task.done():
        await asyncio.sleep(0.01)
        now = time.monotonic()
        longest, last, count = max(longest, now - last), now, count + 1
    return await task, longest, count


def test_async_with_closes():
    """At the end of `async with` all events are delivered."""

    async def main(endpoint):
        async with Tracker("n", AsyncEmitter(endpoint, flush_interval=60)) as tracker:
            with Scope(user_id="u"):
                tracker.track(StructuredEvent("a", "b"))
            assert await tracker.aflush(timeout=5) is tracker
            tracker.track(StructuredEvent("c", "d"))

    with Collector() as collector:
        asyncio.run(main(collector.endpoint))
        assert [event["se_ca"] for event in collector.events] == ["a", "c"]


@pytest.mark.long
@pytest.mark.parametrize("method", ["aflush", "aclose"])
def test_the_loop_goes_on_while_the_collector_is_silent(method):
    """With a collector that never answers, other tasks run on meanwhile, and the timeout holds."""

    async def main(port):
        tracker = Tracker("n", AsyncEmitter(f"http://127.0.0.1:{port}"))
        tracker.track(StructuredEvent("a", "b"))
        started = time.monotonic()
        _, longest, count = await ticks_during(getattr(tracker, method)(timeout=0.5))
        assert time.monotonic() - started < 3
        assert count > 10
        assert longest < 0.3
        await tracker.aclose(timeout=0.1)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(main(silent.getsockname()[1]))


@pytest.mark.alone
def test_cancellation():
    """Whoever waits can be cancelled at once."""

    async def main(port):
        tracker = Tracker("n", AsyncEmitter(f"http://127.0.0.1:{port}", exit_timeout=0.1))
        tracker.track(StructuredEvent("a", "b"))
        started = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(tracker.aflush(timeout=3), 0.1)
        assert time.monotonic() - started < 1
        await tracker.aclose(timeout=0.1)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(main(silent.getsockname()[1]))


def test_what_goes_wrong_is_raised_where_it_is_awaited():
    """A wrong timeout is told to whoever awaits."""

    async def main():
        tracker = Tracker("n", RecordingEmitter())
        with pytest.raises(ValueError, match="timeout"):
            await tracker.aflush(timeout=-1)

    asyncio.run(main())
