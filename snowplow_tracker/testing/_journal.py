"""The latest events of a live collector, each validated once."""

from __future__ import annotations

import json
import threading
from collections import deque
from itertools import islice
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Sequence, Tuple

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
    """An event and why the pipeline would refuse it, or a request from which no event could be read."""

    number: int
    request: CollectedRequest
    event: Optional[CollectedEvent]
    problems: Tuple[str, ...]
    size: int
    """Its approximate size in bytes."""

    @property
    def good(self) -> bool:
        """Whether the pipeline would accept it."""
        return not self.problems

    def summary(self) -> Dict[str, Any]:
        """Return, as JSON data, what the page shows in its list and searches."""
        event, request = self.event, self.request
        reason = self.problems[0][:300] if self.problems else ""
        summary: Dict[str, Any] = {
            "n": self.number,
            "at": int(request.received_at * 1_000),
            "good": self.good,
            "problems": len(self.problems),
            "reason": reason,
        }
        if event is None:
            return {
                **summary,
                "name": f"{request.method} {request.path[:100]}",
                "schema": "",
                "app": "",
                "user": "",
                "what": f"answered {request.status}, {request.size:,} bytes",
                "entities": [],
                "text": f"{request.method} {request.path} {reason}".lower()[:_MAX_SEARCHED],
            }
        return {
            **summary,
            "name": event.event_name[:200],
            "schema": _cut(event.schema),
            "app": _cut(event.get("aid")),
            "user": _cut(event.get("uid")),
            "what": describe(event)[:300],
            "entities": [schema_name(each["schema"])[:80] for each in event.contexts[:20]],
            "text": _searched(event, self.problems),
        }


class Journal:
    """Keeps the latest entries. A thread validates them, so that answers do not wait.

    Attributes:
        max_events: the maximum number of entries. The bytes of their requests are limited, too.
        generation: the number of times that it was cleared.
        closed: whether there will be no more entries.
    """

    def __init__(self, max_events: int) -> None:
        self.max_events = max_events
        self.generation: int = 0
        self.closed: bool = True
        self._changed = threading.Condition()
        self._entries: Deque[Entry] = deque()
        self._size = self._last = self._good = self._bad = 0
        # Requests that are not validated yet.
        self._waiting: Deque[CollectedRequest] = deque()
        self._waiting_bytes = self._added = self._validated = 0
        self._thread: Optional[threading.Thread] = None

    def open(self) -> None:
        """Start to validate, also after a `close`. Existing entries are kept."""
        if self._thread is None:
            self.closed = False
            self._thread = threading.Thread(
                target=self._run, name="snowplow-collector-validation", daemon=True
            )
            self._thread.start()

    def add(self, request: CollectedRequest) -> None:
        """Queue a request that was answered for validation. It waits if the queue is very long."""
        if not 200 <= request.status < 300:
            # The status is enough: the content of the request was not accepted.
            request.body = request.body[:_MAX_REFUSED_BODY]
        with self._changed:
            self._changed.wait_for(lambda: self.closed or not self._is_full())
            self._waiting.append(request)
            self._waiting_bytes += request.size
            self._added += 1
            self._changed.notify_all()

    def release(self) -> None:
        """Wake all waiting threads, since there will be no more entries."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def close(self) -> None:
        """Validate what has arrived, and then stop."""
        with self._changed:
            self.closed = True
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join(_CLOSE_TIMEOUT)

    def clear(self) -> None:
        """Remove everything, including what is not validated yet."""
        with self._changed:
            self.generation += 1
            self._entries.clear()
            self._size = self._good = self._bad = 0
            self._validated += len(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            self._changed.notify_all()

    def catch_up(self, timeout: float) -> None:
        """Wait until everything that was added so far is validated, or for a number of seconds."""
        with self._changed:
            wanted = self._added
            self._changed.wait_for(lambda: self.closed or self._validated >= wanted, timeout)

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
            return next((each for each in self._entries if each.number == number), None)

    def wait_for_more(self, generation: int, after: int, timeout: float) -> Tuple[int, List[Entry]]:
        """Wait for new entries, or for a `clear`.

        Args:
            generation: the generation from the previous call.
            after: the number of the last known entry.
            timeout: maximum seconds to wait.

        Returns:
            The generation, which changes after a `clear`, and the next entries, at most 250.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self.closed or self.generation != generation or self._last > after, timeout
            )
            # From the end, where the new ones are.
            count = len(self._entries)
            start = max(0, count - (self._last - after))
            return self.generation, list(islice(self._entries, start, start + _MAX_BATCH))

    def _is_full(self) -> bool:
        return len(self._waiting) >= _MAX_WAITING or self._waiting_bytes > _MAX_WAITING_BYTES

    def _run(self) -> None:
        own = threading.current_thread()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._thread is not own)
                if not self._waiting:
                    return
                request = self._waiting.popleft()
                self._waiting_bytes -= request.size
                generation = self.generation
                self._changed.notify_all()
            contents = _contents_of(request)
            with self._changed:
                self._validated += 1
                # Otherwise it was cleared in the meantime.
                if generation == self.generation:
                    self._take(request, contents)
                self._changed.notify_all()

    def _take(self, request: CollectedRequest, contents: List[_Content]) -> None:
        for event, problems, size in contents:
            self._last += 1
            self._entries.append(Entry(self._last, request, event, problems, size))
            self._size += size
            self._good += not problems
            self._bad += bool(problems)
        while len(self._entries) > self.max_events or (
            self._size > _MAX_BYTES and len(self._entries) > 1
        ):
            self._size -= self._entries.popleft().size


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
    parts = [value for name, value in event.parameters.items() if name not in ("ue_px", "cx")]
    decoded = [each for each in (event.unstruct, event.contexts) if each]
    parts += [json.dumps(each, ensure_ascii=False) for each in decoded]
    parts += problems[:5]
    return " ".join(str(each)[:_MAX_SEARCHED] for each in parts).lower()[: 2 * _MAX_SEARCHED]


def _cut(value: Any) -> str:
    return "" if value is None else str(value)[:200]
