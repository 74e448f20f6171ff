"""The bodies of POST requests."""

from __future__ import annotations

import sys
import threading
import time
from typing import Dict, Iterator, List, Set

from support.inside import request_bodies

EVENTS = 5_000


class Watched(List[Dict[str, str]]):
    """Events that count how many of them were read."""

    read = 0

    def __iter__(self) -> Iterator[Dict[str, str]]:
        for event in super().__iter__():
            self.read += 1
            yield event


def test_a_thread_that_encodes_lets_others_run() -> None:
    """While a background thread encodes a large body, another thread gets its turn again and again."""
    event = {"e": "pv", "p": "srv", "tv": "py", "url": "https://example.com/" + "x" * 200}
    events = Watched([event] * EVENTS)
    encoder = request_bodies.EventEncoder()
    bodies: List[str] = []
    seen: Set[int] = set()

    def encode() -> None:
        bodies.append(encoder.next_body(events, sys.maxsize, yielding=True)[0])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)  # nobody has to give the interpreter up
    try:
        thread = threading.Thread(target=encode)
        thread.start()
        while not bodies:
            seen.add(events.read)
            time.sleep(0.0002)
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(seen) > len(bodies[0]) / 131_072
