"""What the measured programs share. It runs unchanged under 1.1.0 and under ours."""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import time
from typing import Any, Callable, Dict

import snowplow_tracker
from snowplow_tracker import (
    AsyncEmitter,
    Emitter,
    PageView,
    SelfDescribing,
    SelfDescribingJson,
    Subject,
    Tracker,
)

Options = Dict[str, Any]

HOST = "127.0.0.1"
TITLE = "Green shoes, size 42"
REFERRER = "https://search.example/?q=green+shoes"
OURS = hasattr(snowplow_tracker, "DropReason")
NEVER_BY_TIME: Options = {"flush_interval": None} if OURS else {}
"""Options with which nothing is sent because time passes. 1.1.0 never does."""


def main(run: Callable[[Options], Any]) -> None:
    """Run a program with the options that it was given, and print what it found."""
    result = run(json.loads(sys.argv[1]))
    print(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)  # what is still queued is not what was measured


def url(number: int) -> str:
    """Give the page of an event, with a mark by which the collector knows one event from another."""
    return f"https://shop.example/shoes/bench-{number:07d}"


def small_event(page: str) -> PageView:
    """Make a page view."""
    return PageView(page, TITLE, REFERRER)


def rich_event(page: str) -> SelfDescribing:
    """Make a self-describing event with two entities."""
    return SelfDescribing(
        SelfDescribingJson(
            "iglu:com.example/order_placed/jsonschema/1-0-0",
            {"order": page, "total": 129.95, "currency": "EUR", "items": 3, "first": False},
        ),
        context=[
            SelfDescribingJson(
                "iglu:com.example/customer/jsonschema/1-0-0",
                {"id": 4711, "segment": "returning", "newsletter": True, "country": "NL"},
            ),
            SelfDescribingJson(
                "iglu:com.example/basket/jsonschema/1-0-0",
                {"skus": ["shoe-42-green", "sock-42", "polish"], "coupon": None, "weight": 1.2},
            ),
        ],
    )


EVENTS = {"small": small_event, "rich": rich_event}


def rich_subject() -> Subject:
    """Make a subject of six fields."""
    subject = Subject()
    subject.set_platform("srv").set_user_id("user-4711").set_lang("nl-NL")
    subject.set_timezone("Europe/Amsterdam").set_ip_address("192.0.2.17")
    subject.set_useragent("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
    return subject


def tracker_for(emitter: Emitter, kind: str = "small") -> Tracker:
    """Make a tracker, with the subject that goes with a kind of event."""
    subject = rich_subject() if kind == "rich" else None
    return Tracker("benchmark", emitter, subject=subject, app_id="shop")


def queue_only_emitter(capacity: int) -> AsyncEmitter:
    """Make a threaded emitter that is never asked to send."""
    return AsyncEmitter(
        HOST,
        protocol="http",
        port=9,
        batch_size=capacity,
        buffer_capacity=capacity,
        **NEVER_BY_TIME,
    )


def make_emitter(options: Options) -> Emitter:
    """Make an emitter at default settings but for the capacity, as the options have it."""
    return {"sync": Emitter, "async": AsyncEmitter}[options["emitter"]](
        HOST,
        protocol=options.get("protocol", "http"),
        port=options["port"],
        buffer_capacity=options.get("capacity", 100_000),
    )


class Control:
    """The collector's control connection.

    Args:
        port: Where it listens.
    """

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection((HOST, port))
        self._lines = self._connection.makefile("r", encoding="ascii")

    def __call__(self, command: str) -> Options:
        """Send a command, give the answer."""
        self._connection.sendall(command.encode("ascii") + b"\n")
        answer: Options = json.loads(self._lines.readline())
        return answer

    def wait_for(self, events: int, patience: float) -> Options:
        """Wait until so many distinct events came, or none came for some seconds."""
        answer = self("count")
        progress, since = -1, time.monotonic()
        while answer["distinct"] < events:
            if answer["requests"] != progress:
                progress, since = answer["requests"], time.monotonic()
            elif time.monotonic() - since > patience:
                break
            time.sleep(0.005)
            answer = self("count")
        return answer


def resident_bytes() -> int:
    """Give the memory that the process holds now."""
    try:
        with open("/proc/self/statm", encoding="ascii") as numbers:  # noqa: PTH123 - reads as it says
            return int(numbers.read().split()[1]) * resource.getpagesize()
    except OSError:  # not on Linux: the most it ever held
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
