"""Everything at once: programs killed, queues harmed, and every event that was accepted arrives.

It is short here. ``SNOWPLOW_TRACKER_TORTURE=60`` makes each test go on for so many seconds.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

import pytest

import snowplow_tracker
from snowplow_tracker.testing import Collector
from support.redis_server import redis_server

SECONDS = float(os.environ.get("SNOWPLOW_TRACKER_TORTURE", "2.5"))

PRODUCER = """
    import os, sys, time
    from snowplow_tracker import PageView, Tracker

    url, record, stop = sys.argv[1:]
    tracker = Tracker.from_environment(
        {
            "SNOWPLOW_ENDPOINT": "127.0.0.1:9",
            "SNOWPLOW_NAMESPACE": "torture",
            "SNOWPLOW_EMITTER": "sync",
            "SNOWPLOW_STORE": url,
            "SNOWPLOW_ENQUEUE_ONLY": "1",
        }
    )
    [emitter] = tracker.emitters
    file = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while not os.path.exists(stop):
        eid = tracker.track(PageView("https://example.com/"))
        assert emitter.stats().dropped == {}, emitter.stats()
        os.write(file, f"{eid}\\n".encode())
        time.sleep(0.0005)
"""


class Programs:
    """Programs that are killed and started again."""

    def __init__(self) -> None:
        package = str(Path(snowplow_tracker.__file__).resolve().parent.parent)
        self._environment = {**os.environ, "PYTHONPATH": package}
        self._running: Dict[str, subprocess.Popen[bytes]] = {}
        self._commands: Dict[str, List[str]] = {}
        self.kills = 0

    def start(self, name: str, *command: object) -> None:
        self._commands[name] = [sys.executable, *map(str, command)]
        self._running[name] = subprocess.Popen(
            self._commands[name], env=self._environment, stderr=subprocess.DEVNULL
        )

    def kill(self, name: str, *, again: bool = True) -> None:
        """End a program as a crash does."""
        process = self._running.pop(name)
        assert process.poll() in (None, 0), f"{name} failed"
        process.kill()
        process.wait()
        self.kills += 1
        if again:
            self.start(name, *self._commands[name][1:])

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Have a program stand still, as a machine does that is suspended."""
        process = self._running[name]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def wait(self, name: str) -> None:
        assert self._running.pop(name).wait(60) == 0, f"{name} failed"

    def end(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()


@pytest.fixture
def programs() -> Iterator[Programs]:
    programs = Programs()
    yield programs
    programs.end()


class Run:
    """Producers, workers, and a collector; at the end, what was tracked and what arrived."""

    def __init__(self, programs: Programs, url: str, folder: Path, collector: Collector) -> None:
        self.programs = programs
        self._url = url
        self._folder = folder
        self._collector = collector
        self.arrived: Set[str] = set()
        self.count = 0

    def start_producers(self, count: int) -> List[str]:
        names = [f"producer-{number}" for number in range(count)]
        for name in names:
            source = textwrap.dedent(PRODUCER)
            stop = self._folder / "stop"
            self.programs.start(name, "-c", source, self._url, self._folder / name, stop)
        return names

    def rounds(self) -> Iterator[None]:
        """Go on for a while from the moment in which events arrive; then have the producers end."""
        deadline = time.monotonic() + 60
        while len(self.arrived) < 50:
            assert time.monotonic() < deadline
            time.sleep(0.05)
            self.collect()
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            yield
            self.collect()
        (self._folder / "stop").touch()

    def start_workers(self, count: int) -> List[str]:
        names = [f"worker-{number}" for number in range(count)]
        for name in names:
            command = ("-m", "snowplow_tracker", "worker", "--store", self._url, "--batch", "50")
            self.programs.start(name, *command, "--endpoint", self._collector.endpoint)
        return names

    def collect(self) -> None:
        for request in self._collector.take():
            for event in request.events if request.accepted else ():
                self.arrived.add(event.event_id)
                self.count += 1

    def tracked(self) -> Set[str]:
        lines: List[str] = []
        for record in self._folder.glob("producer-*"):
            lines += record.read_text().split("\n")[:-1]
        return set(lines)

    def finish(self, timeout: float = 60) -> None:
        """Wait until all that was tracked has arrived."""
        deadline = time.monotonic() + timeout
        tracked = self.tracked()
        while True:
            self.collect()
            missing = tracked - self.arrived
            if not missing:
                break
            assert time.monotonic() < deadline, f"{len(missing)} of {len(tracked)} are missing"
            time.sleep(0.1)
        assert len(tracked) > 100
        repeats = self.count - len(self.arrived)
        print(f"{len(tracked)} events, none lost, {repeats} twice, {self.programs.kills} kills")


@pytest.mark.long
@pytest.mark.timeout(180 + 3 * SECONDS)
def test_sqlite_with_kill_9(programs: Programs, tmp_path: Path) -> None:
    """Eight producers and three workers, killed at random, lose nothing that was tracked."""
    chance = random.Random(3)
    with Collector() as collector:
        run = Run(programs, f"sqlite:///{tmp_path}/events.db?lock_timeout=60", tmp_path, collector)
        names = run.start_producers(8) + run.start_workers(3)
        for _ in run.rounds():
            time.sleep(chance.uniform(0.05, 0.3))
            programs.kill(chance.choice(names))
        for name in names[:8]:
            programs.wait(name)
        run.finish()
        assert programs.kills >= 5


@pytest.mark.long
@pytest.mark.timeout(180 + 3 * SECONDS)
def test_redis_that_is_killed(programs: Programs, tmp_path: Path) -> None:
    """A Redis that writes each command to its disk is killed again and again: nothing is lost."""
    chance = random.Random(4)
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with redis_server(tmp_path, *options) as server, Collector() as collector:
        run = Run(programs, f"{server.url}?claim_after=2", tmp_path, collector)
        producers = run.start_producers(3)
        workers = run.start_workers(2)
        for _ in run.rounds():
            time.sleep(chance.uniform(0.2, 0.6))
            server.kill()
            time.sleep(chance.uniform(0.0, 0.2))
            server.start()
            programs.kill(chance.choice(workers))
        for name in producers:
            programs.wait(name)
        run.finish()


@pytest.mark.long
@pytest.mark.timeout(180 + 3 * SECONDS)
def test_redis_whose_connections_and_group_go(programs: Programs, tmp_path: Path) -> None:
    """Connections killed every few milliseconds, the group destroyed, workers stopped for longer than their claim."""
    chance = random.Random(5)
    with redis_server(tmp_path) as server, Collector() as collector, server.client() as client:
        run = Run(programs, f"{server.url}?claim_after=0.5", tmp_path, collector)
        producers = run.start_producers(3)
        workers = run.start_workers(3)
        own = client.client_id()
        for _ in run.rounds():
            rest = time.time() + 0.7
            with programs.stopped(chance.choice(workers)):
                while time.time() < rest:
                    time.sleep(0.003)
                    connections: Any = [each["id"] for each in client.client_list()]
                    others = [each for each in connections if int(each) != own]
                    if others:
                        client.client_kill_filter(_id=chance.choice(others))
            client.xgroup_destroy("snowplow:events", "snowplow")
        for name in producers:
            programs.wait(name)
        run.finish()
