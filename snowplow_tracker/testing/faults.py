"""Faults of a collector, for tests."""

from __future__ import annotations

import math
import threading
from typing import Callable, List, Optional, TypeVar

from snowplow_tracker._process.clock import monotonic
from snowplow_tracker.testing._http import Response
from snowplow_tracker.testing._options import check_positive, check_whole_number
from snowplow_tracker.testing.records import CollectedRequest

__all__ = ["Fault", "Faults"]

_Meets = Callable[[CollectedRequest], bool]
_Fault = TypeVar("_Fault", bound="Fault")


class Fault:
    """A fault of a collector, for some time or for the next requests.

    It ends by itself after a number of requests or seconds, or else with `end` or at the end of a
    ``with`` statement.

    Attributes:
        name: the name of the fault.
        hits: the number of requests that it has affected.
        response: the answer; None for the usual one.
        delay: seconds before the answer is sent; ``math.inf`` to hold the connection until the fault
            ends.
    """

    def __init__(
        self,
        faults: Faults,
        name: str,
        seconds: Optional[float],
        requests: Optional[int],
        response: Optional[Response] = None,
        delay: float = 0.0,
        meets: Optional[_Meets] = None,
    ) -> None:
        """Create a fault that begins immediately, as the methods of `Faults` do.

        Raises:
            ValueError: a number is out of range.
        """
        if seconds is not None:
            check_positive("seconds", seconds)
        if requests is not None:
            check_whole_number("requests", requests)
        self.name = name
        self.hits: int = 0
        self.response = response
        self.delay = delay
        self._meets = meets
        self._faults = faults
        self._requests = requests
        self._deadline = math.inf if seconds is None else monotonic() + seconds
        self._ended = False

    @property
    def active(self) -> bool:
        """Whether it still affects requests."""
        used_up = self._requests is not None and self.hits >= self._requests
        return not used_up and not self.over

    @property
    def over(self) -> bool:
        """Whether it releases the connections that it holds: its time is over, or it was ended."""
        return self._ended or monotonic() >= self._deadline

    @property
    def seconds_left(self) -> float:
        """The maximum time that it still lasts."""
        return max(0.0, self._deadline - monotonic())

    def hit(self, request: Optional[CollectedRequest]) -> bool:
        """Count a request, which is None while it is not read, and return whether the fault affects it.

        The caller has the lock of the faults.
        """
        if not self.active:
            return False
        if request is not None and self._meets is not None and not self._meets(request):
            return False
        self.hits += 1
        return True

    def end(self) -> None:
        """End the fault now. Connections that it holds are cut. A second call has no effect."""
        self._ended = True
        self._faults._settle()  # noqa: SLF001 - of this module

    def __enter__(self: _Fault) -> _Fault:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.end()

    def __repr__(self) -> str:
        state = "active" if self.active else "ended"
        return f"<Fault {self.name}: {state}, {self.hits} hits>"


class Faults:
    """Begins faults of one collector. Of several faults, the oldest affects a request first.

    Each method has ``seconds``, how long the fault lasts, and ``requests``, how many requests it affects.
    If both are given, the fault ends with the first of them; if none is, it lasts until it is ended.

    Example:
        >>> collector.faults.status(503, retry_after=1, requests=2)
        >>> with collector.faults.down():
        ...     tracker.track(event)
    """

    def __init__(self, go_down: Callable[[], None], come_up: Callable[[], None]) -> None:
        """Create the faults of a collector, which has none yet.

        Args:
            go_down: makes the collector refuse connections.
            come_up: makes it accept them again.
        """
        self._go_down = go_down
        self._come_up = come_up
        self._changed = threading.Condition()
        self._read: List[Fault] = []
        self._unread: List[Fault] = []
        self._down: List[Fault] = []
        self._was_down = False
        self._stopped = False

    def down(self, *, seconds: Optional[float] = None, requests: Optional[int] = None) -> Fault:
        """Refuse connections, and cut the open ones.

        Args:
            seconds: how long the fault lasts.
            requests: how many connections it affects. With this, connections are reset when a request
                begins instead of refused, since refused ones cannot be counted.
        """
        if requests is not None:
            return self._begin(Fault(self, "down", seconds, requests), self._unread)
        fault = self._begin(Fault(self, "down", seconds, None), self._down)
        self._settle()
        if seconds is not None:
            # It runs as long as the process; a daemon, so that it does not keep the process alive.
            timer = threading.Timer(seconds, fault.end)
            timer.daemon = True
            timer.name = "snowplow-collector-fault"
            timer.start()
        return fault

    def hang(self, *, seconds: Optional[float] = None, requests: Optional[int] = None) -> Fault:
        """Read requests and never answer; the connections are cut when the fault ends."""
        return self._begin(Fault(self, "hang", seconds, requests, Response(0), delay=math.inf))

    def slow(
        self,
        delay: float,
        *,
        seconds: Optional[float] = None,
        requests: Optional[int] = None,
    ) -> Fault:
        """Answer as usual, but after a delay.

        Args:
            delay: seconds before an answer is sent.
            seconds: how long the fault lasts.
            requests: how many requests it affects.
        """
        check_positive("delay", delay)
        return self._begin(Fault(self, "slow", seconds, requests, delay=delay))

    def drop_before_reading(
        self, *, seconds: Optional[float] = None, requests: Optional[int] = None
    ) -> Fault:
        """Reset the connection when a request begins: its events do not arrive."""
        return self._begin(Fault(self, "drop before reading", seconds, requests), self._unread)

    def drop_after_reading(
        self, *, seconds: Optional[float] = None, requests: Optional[int] = None
    ) -> Fault:
        """Reset the connection instead of an answer: the events are kept, but the client gets no answer."""
        response = Response(drop=True)
        return self._begin(Fault(self, "drop after reading", seconds, requests, response))

    def status(
        self,
        status: int,
        *,
        retry_after: Optional[object] = None,
        body: bytes = b"",
        seconds: Optional[float] = None,
        requests: Optional[int] = None,
    ) -> Fault:
        """Answer with a status. The events are kept if it is from 200 to 299.

        Args:
            status: the HTTP status.
            retry_after: the header ``Retry-After``: seconds, or an HTTP date.
            body: the body of the answer.
            seconds: how long the fault lasts.
            requests: how many requests it affects.
        """
        if not isinstance(status, int) or not 200 <= status <= 999:
            raise ValueError(f"status is {status!r}, but must be a whole number from 200 to 999")
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        response = Response(status, headers, body)
        return self._begin(Fault(self, f"status {status}", seconds, requests, response))

    def redirect(
        self,
        location: str,
        status: int = 301,
        *,
        seconds: Optional[float] = None,
        requests: Optional[int] = None,
    ) -> Fault:
        """Redirect the client. The events are not kept.

        Args:
            location: the header ``Location``.
            status: 301, 302, 303, 307 or 308.
            seconds: how long the fault lasts.
            requests: how many requests it affects.
        """
        response = Response(status, {"Location": location}, b"")
        return self._begin(Fault(self, "redirect", seconds, requests, response))

    def limit(
        self,
        max_bytes: int,
        status: int = 413,
        *,
        seconds: Optional[float] = None,
        requests: Optional[int] = None,
    ) -> Fault:
        """Refuse bodies that are too large. Other requests are answered as usual, and do not count.

        Args:
            max_bytes: maximum size of an accepted body.
            status: the status for larger ones.
            seconds: how long the fault lasts.
            requests: how many requests it refuses.
        """
        check_whole_number("max_bytes", max_bytes, minimum=0)
        return self._begin(
            Fault(
                self,
                f"limit of {max_bytes} bytes",
                seconds,
                requests,
                Response(status, body=b"too large"),
                meets=lambda request: request.size > max_bytes,
            )
        )

    def clear(self) -> None:
        """End all faults."""
        with self._changed:
            everything = [*self._read, *self._unread, *self._down]
        for fault in everything:
            fault.end()

    def _meet_before_reading(self) -> bool:
        """Return whether to reset a connection on which a request begins."""
        with self._changed:
            return any(fault.hit(None) for fault in self._unread)

    def _meet(self, request: CollectedRequest) -> Optional[Fault]:
        """Return the first fault that affects a request, or None."""
        with self._changed:
            return next((fault for fault in self._read if fault.hit(request)), None)

    def _wait(self, delay: float, fault: Optional[Fault]) -> bool:
        """Wait before an answer; return whether to send it."""
        held = fault if delay == math.inf else None
        deadline = monotonic() + delay
        with self._changed:
            while not self._stopped and not (held is not None and held.over):
                left = (deadline - monotonic()) if held is None else held.seconds_left
                if left <= 0:
                    return held is None
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
        return False

    def _settle(self) -> None:
        """Apply the effects of a fault that began or ended."""
        with self._changed:
            for faults in (self._read, self._unread, self._down):
                # One that affects no further requests may still hold connections.
                faults[:] = [
                    fault
                    for fault in faults
                    if fault.active or (fault.delay == math.inf and not fault.over)
                ]
            is_down = bool(self._down) and not self._stopped
            changed, self._was_down = is_down != self._was_down, is_down
            self._changed.notify_all()
            # Under the lock, so that two faults can end at the same time.
            if changed:
                (self._go_down if is_down else self._come_up)()

    def _stop(self) -> None:
        """Wake all waiting threads when the server stops."""
        with self._changed:
            self._stopped = True
            self._was_down = False
            self._changed.notify_all()

    def _start(self) -> None:
        """Continue with the existing faults when the server starts."""
        self._stopped = False
        self._settle()

    def _begin(self, fault: Fault, among: Optional[List[Fault]] = None) -> Fault:
        with self._changed:
            (self._read if among is None else among).append(fault)
        return fault
