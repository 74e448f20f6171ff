"""The latest events of a live collector, each validated once."""

from __future__ import annotations

import json
import queue
import threading
from collections import deque
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Sequence, Tuple

from snowplow_tracker.testing._clock import monotonic
from snowplow_tracker.testing._rules import shortened
from snowplow_tracker.testing._table import describe
from snowplow_tracker.testing.records import CollectedEvent, CollectedRequest, schema_name

_MAX_BYTES = 256 * 1024 * 1024
# A refused request is kept only to be displayed.
_MAX_REFUSED_BODY = 65_536
_MAX_WAITING = 1_000
_MAX_WAITING_BYTES = 32 * 1024 * 1024
# The approximate size of a value of decoded JSON.
_NODE_BYTES = 64
_MAX_SEARCHED = 4_000
_MAX_PROBLEMS = 200
_MAX_PER_REQUEST = 10_000
_MAX_BATCH = 250
_CLOSE_TIMEOUT = 5.0


class Entry(NamedTuple):
    """An event, or a request from which no event could be read.

    Attributes:
        number: the number of the entry, counted from 1.
        request: the request that contained it.
        event: the event, or None.
        problems: why the pipeline would refuse it; empty if it is valid.
        size: its approximate size in bytes.
    """

    number: int
    request: CollectedRequest
    event: Optional[CollectedEvent]
    problems: Tuple[str, ...]
    size: int

    @property
    def good(self) -> bool:
        """Whether the pipeline would accept it."""
        return not self.problems

    def summary(self) -> Dict[str, Any]:
        """Return, as JSON data, what the page shows in its list and searches."""
        event, request = self.event, self.request
        summary: Dict[str, Any] = {
            "n": self.number,
            "at": int(request.received_at * 1_000),
            "good": self.good,
            "problems": len(self.problems),
            "reason": self.problems[0][:300] if self.problems else "",
        }
        if event is None:
            summary.update(
                type="",
                name=f"{request.method} {request.path[:100]}",
                schema="",
                app="",
                user="",
                what=f"answered {request.status}, {request.size:,} bytes",
                entities=[],
                text=f"{request.method} {request.path} {summary['reason']}".lower()[:_MAX_SEARCHED],
            )
            return summary
        summary.update(
            type=_cut(event.event_type),
            name=_cut(event.event_name),
            schema=_cut(event.schema),
            app=_cut(event.get("aid")),
            user=_cut(event.get("uid")),
            what=describe(event)[:300],
            entities=[schema_name(each["schema"])[:80] for each in event.contexts[:20]],
            text=_searched(event, self.problems),
        )
        return summary


class Journal:
    """Keeps the latest entries. A thread validates them, so that answers do not wait."""

    def __init__(self, max_events: int) -> None:
        """Create an empty journal, with a maximum number of entries. The bytes of their requests are limited, too."""
        self.max_events = max_events
        self._entries: Deque[Entry] = deque()
        self._changed = threading.Condition()
        self._size = 0
        self._waiting_bytes = 0
        self._added = 0
        self._validated = 0
        self._last = 0
        self._good = 0
        self._bad = 0
        self._generation = 0
        self._closed = self._released = True
        self._waiting: queue.Queue[Optional[Tuple[int, CollectedRequest]]] = queue.Queue(
            _MAX_WAITING
        )
        self._thread: Optional[threading.Thread] = None

    def open(self) -> None:
        """Start to validate, also after a `close`. Existing entries are kept."""
        if self._closed:
            self._closed = self._released = False
            self._thread = threading.Thread(
                target=self._run, name="snowplow-collector-validation", daemon=True
            )
            self._thread.start()

    def add(self, request: CollectedRequest) -> None:
        """Queue a request that was answered for validation. It waits if the queue is very long."""
        if self._closed:
            return
        if not 200 <= request.status < 300:
            # The status is enough: the content of the request was not accepted.
            request.body = request.body[:_MAX_REFUSED_BODY]
        with self._changed:
            while self._waiting_bytes > _MAX_WAITING_BYTES and not self._released:
                self._changed.wait()
            self._waiting_bytes += request.size
            self._added += 1
        self._waiting.put((self._generation, request))

    def release(self) -> None:
        """Wake all waiting threads, since there will be no more entries."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def close(self) -> None:
        """Validate what has arrived, and then stop."""
        if self._closed:
            return
        self.release()
        self._closed = True
        self._waiting.put(None)
        if self._thread is not None:
            self._thread.join(_CLOSE_TIMEOUT)

    def clear(self) -> None:
        """Remove everything, including what is not validated yet."""
        with self._changed:
            self._generation += 1
            self._entries.clear()
            self._size = self._good = self._bad = 0
            self._changed.notify_all()

    def catch_up(self, timeout: float) -> None:
        """Wait until everything that was added so far is validated, or for a number of seconds."""
        deadline = monotonic() + timeout
        with self._changed:
            wanted = self._added
            while self._validated < wanted and not self._released:
                left = deadline - monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    @property
    def counts(self) -> Dict[str, int]:
        """The numbers of entries since the start or the last `clear`, including removed ones."""
        with self._changed:
            return {"total": self._good + self._bad, "good": self._good, "bad": self._bad}

    def latest_first(self) -> List[Entry]:
        """Return all entries, the latest first."""
        with self._changed:
            return list(reversed(self._entries))

    def find(self, number: int) -> Optional[Entry]:
        """Return the entry of a number, or None if it is not kept."""
        with self._changed:
            if not self._entries:
                return None
            index = number - self._entries[0].number
            return self._entries[index] if 0 <= index < len(self._entries) else None

    def wait_for_more(self, generation: int, after: int, timeout: float) -> Tuple[int, List[Entry]]:
        """Wait for new entries, or for a `clear`.

        Args:
            generation: the generation from the previous call.
            after: the number of the last known entry.
            timeout: maximum seconds to wait.

        Returns:
            The generation, which changes after a `clear`, and the next entries, at most 250.
        """
        deadline = monotonic() + timeout
        with self._changed:
            while not self._released and self._generation == generation and self._last <= after:
                left = deadline - monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            if not self._entries:
                return self._generation, []
            start = max(0, after + 1 - self._entries[0].number)
            stop = min(len(self._entries), start + _MAX_BATCH)
            return self._generation, [self._entries[index] for index in range(start, stop)]

    @property
    def closed(self) -> bool:
        """Whether there will be no more entries."""
        return self._released

    @property
    def generation(self) -> int:
        """The number of times that it was cleared."""
        return self._generation

    def _run(self) -> None:
        while True:
            waiting = self._waiting.get()
            if waiting is None:
                return
            generation, request = waiting
            size = request.size
            contents = _contents_of(request)
            with self._changed:
                self._waiting_bytes -= size
                self._validated += 1
                self._changed.notify_all()
                if generation != self._generation:
                    # Cleared while it waited.
                    continue
                for event, problems, weight in contents:
                    self._last += 1
                    self._entries.append(Entry(self._last, request, event, problems, weight))
                    self._size += weight
                    self._good += not problems
                    self._bad += bool(problems)
                while len(self._entries) > self.max_events or (
                    self._size > _MAX_BYTES and len(self._entries) > 1
                ):
                    self._size -= self._entries.popleft().size
                self._changed.notify_all()


# An event, its problems, and its approximate size in bytes.
_Content = Tuple[Optional[CollectedEvent], Tuple[str, ...], int]


def _contents_of(request: CollectedRequest) -> List[_Content]:
    if not 200 <= request.status < 300:
        status = "never answered" if request.status == 0 else f"answered {request.status}"
        return [(None, (f"the request was {status}",), len(request.body) + 1_000)]
    try:
        events = request.events
        of_request = tuple(each[:2_000] for each in request.own_problems[:_MAX_PROBLEMS])
        spoiled = request.spoiled
    except Exception as error:  # noqa: BLE001 (no input may end the thread)
        return [(None, (f"it could not be read: {shortened(str(error))}",), request.size + 1_000)]
    if not events:
        return [(None, of_request or ("there is no event in it",), request.size + 1_000)]
    share = request.size // len(events) + 2_000
    contents: List[_Content] = [
        (
            event,
            _problems_of(event, of_request, spoiled),
            share + _NODE_BYTES * _nodes([event.parameters, event.unstruct, event.contexts]),
        )
        for event in events[:_MAX_PER_REQUEST]
    ]
    left_out = len(events) - _MAX_PER_REQUEST
    if left_out > 0:
        contents.append((None, (f"{left_out:,} more events of this request are not shown",), share))
    return contents


def _nodes(value: Any) -> int:
    """Return the number of values in JSON data."""
    count, left = 0, [value]
    while left:
        each = left.pop()
        count += 1
        if isinstance(each, dict):
            left.extend(each.values())
        elif isinstance(each, list):
            left.extend(each)
    return count


def _problems_of(
    event: CollectedEvent, of_request: Tuple[str, ...], spoiled: bool
) -> Tuple[str, ...]:
    try:
        problems = tuple(each[:2_000] for each in event.problems[:_MAX_PROBLEMS]) + of_request
    except Exception as error:  # noqa: BLE001 (as above; schemas are input as well)
        problems = (f"it could not be validated: {shortened(str(error), 300)}",)
    if spoiled and not problems:
        return (
            "another event of its request violates the schema of the payload, so the whole request is refused",
        )
    return problems


def _searched(event: CollectedEvent, problems: Sequence[str]) -> str:
    parts = [
        str(value)[:_MAX_SEARCHED]
        for name, value in event.parameters.items()
        if name not in ("ue_px", "cx")
    ]
    if event.unstruct is not None:
        parts.append(json.dumps(event.unstruct, ensure_ascii=False)[:_MAX_SEARCHED])
    if event.contexts:
        parts.append(json.dumps(event.contexts, ensure_ascii=False)[:_MAX_SEARCHED])
    parts.extend(problems[:5])
    return " ".join(parts).lower()[: 2 * _MAX_SEARCHED]


def _cut(value: Any) -> str:
    return "" if value is None else str(value)[:200]
