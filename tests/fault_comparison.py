"""Put snowplow-tracker 1.1.0 and our package through the same faults, side by side.

Run as `python -m tests.fault_comparison`. Each program runs under both packages, each in its own environment, as a child
process with a hard limit of time, against a collector in this process; a markdown table of what was measured is printed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
import venv
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS))

from support.collector_with_faults import (  # noqa: E402 (needs the line above)
    OK,
    Answer,
    CollectorWithFaults,
    Request,
    fail_at_random,
    in_turn,
    too_large_above,
)
from support.processes import Finished, run_program  # noqa: E402

REFERENCE = "snowplow-tracker==1.1.0"
EMITTERS = ("Emitter", "AsyncEmitter")
SHORT = {"Emitter": "sync", "AsyncEmitter": "threaded"}

START = """
import gc, logging, multiprocessing, os, resource, sys, threading, time
logging.disable(logging.CRITICAL)
from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker

NAME, ENDPOINT = sys.argv[1:3]
REST = sys.argv[3:]
CLASS = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[NAME]
OURS = hasattr(Emitter, "close")
VIEW = PageView("https://example.com/", "a page")

def make(**options):
    options.setdefault("protocol", "http")
    return CLASS(ENDPOINT, **options)

def track(emitter, count):
    tracker = Tracker("comparison", emitter)
    for _ in range(count):
        tracker.track(VIEW)

def memory_now():
    # not ru_maxrss: a child starts with the peak of the process that forked it
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024

def say(*words):
    print(*words, flush=True)

def end_now():
    sys.stdout.flush()
    os._exit(0)
"""


class Package(NamedTuple):
    """One of the two packages: its name in the table, and how to run a program under it."""

    name: str
    python: str
    path: Optional[str]

    def run(self, program: str, *arguments: object, deadline: float = 20) -> Finished:
        """Run a program under this package."""
        return run_program(
            START + program,
            *arguments,
            deadline=deadline,
            python=self.python,
            package_from=self.path,
        )


Measure = Callable[[Package], str]
ROWS: Dict[str, Measure] = {}


def row(title: str) -> Callable[[Measure], Measure]:
    """Add a function to the table."""

    def add(measure: Measure) -> Measure:
        ROWS[title] = measure
        return measure

    return add


def for_both(measure: Callable[[Package, str], str]) -> Measure:
    """Measure with each of the two emitters."""

    def both(package: Package) -> str:
        return "; ".join(f"{SHORT[name]}: {measure(package, name)}" for name in EMITTERS)

    return both


def outcome(done: Finished, limit: float) -> str:
    """Say how a program ended if that is worth a word."""
    if not done.in_time:
        return f"still running after {limit:.0f} s (killed)"
    if done.status:
        last = done.errors.strip().splitlines()[-1:] or ["no message"]
        return f"ended with status {done.status} ({last[0][:80]})"
    return ""


@row("1 refused for 5 s while 20,000 events are tracked (capacity 50,000), then up")
@for_both
def outage(package: Package, name: str) -> str:
    program = """
    attempts = []
    emitter = make(buffer_capacity=50_000, on_failure=lambda *_: attempts.append(1))
    end = time.monotonic() + 5
    tracker = Tracker("outage", emitter)
    for _ in range(100):
        for _ in range(200):
            tracker.track(VIEW)
        time.sleep(0.03)
    time.sleep(max(0, end - time.monotonic()))
    say(len(attempts))
    open(REST[0], "w").close()
    while not os.path.exists(REST[1]):
        time.sleep(0.05)
    end_now()
    """
    with CollectorWithFaults(listening=False) as collector, tempfile.TemporaryDirectory() as folder:
        over, stop = Path(folder, "over"), Path(folder, "stop")
        done: List[Finished] = []
        child = threading.Thread(
            target=lambda: done.append(
                package.run(_dedent(program), name, collector.endpoint, over, stop, deadline=60)
            )
        )
        child.start()
        while not over.exists() and child.is_alive():
            time.sleep(0.02)
        returned = time.monotonic()
        collector.listen()
        complete = collector.wait_for_events(20_000, 15)
        took = time.monotonic() - returned
        stop.touch()
        child.join()
        when = f"all within {took:.1f} s" if complete else "and no more within 15 s"
        return (
            f"{len(collector.arrived):,} arrived, {when}; {len(collector.repeated)} twice; "
            f"{done[0].output.strip() or '?'} attempts in the outage; "
            f"largest body {collector.largest_body:,} bytes"
        )


@row("2 503 with `Retry-After: 2`")
@for_both
def retry_after(package: Package, name: str) -> str:
    program = """
    emitter = make(batch_size=1)
    for _ in range(100):
        track(emitter, 1)
        time.sleep(0.05)
    end_now()
    """
    busy = Answer(status=503, headers={"Retry-After": "2"})
    with CollectorWithFaults(in_turn(busy)) as collector:
        done = package.run(_dedent(program), name, collector.endpoint)
        inside = [r for r in collector.requests[1:] if r.at < collector.requests[0].at + 2]
        return outcome(done, 20) or (
            f"{len(inside)} requests inside the 2 s; {len(collector.arrived)} of 100 arrived"
        )


@row("3 accepts and never answers: slowest 0.1 % of `track()`")
def silent_track(package: Package) -> str:
    program = """
    emitter = make(buffer_capacity=100_000)
    track(emitter, 10)
    time.sleep(0.5)
    tracker = Tracker("silent", emitter)
    times = []
    for _ in range(20_000):
        started = time.perf_counter()
        tracker.track(VIEW)
        times.append(time.perf_counter() - started)
    times.sort()
    say("%.0f µs" % (times[19_980] * 1e6))
    end_now()
    """
    with CollectorWithFaults(Answer(fault="silence")) as collector:
        done = package.run(_dedent(program), "AsyncEmitter", collector.endpoint)
        return "threaded: " + (outcome(done, 20) or done.output.strip())


@row("3 … `flush`, given 2 s where it can be")
@for_both
def silent_flush(package: Package, name: str) -> str:
    program = """
    emitter = make(batch_size=100)
    track(emitter, 25)
    started = time.monotonic()
    emitter.flush(timeout=2) if OURS else emitter.sync_flush()
    say("back after %.1f s" % (time.monotonic() - started))
    end_now()
    """
    with CollectorWithFaults(Answer(fault="silence")) as collector:
        done = package.run(_dedent(program), name, collector.endpoint, deadline=10)
        return outcome(done, 10) or done.output.strip()


@row("3 … end of the program with 25 queued")
@for_both
def silent_exit(package: Package, name: str) -> str:
    program = """
    track(make(batch_size=100), 25)
    say(time.monotonic())
    """
    with CollectorWithFaults(Answer(fault="silence")) as collector:
        done = package.run(_dedent(program), name, collector.endpoint, deadline=10)
        ended = outcome(done, 10)
        return ended or (
            f"after {done.ended - float(done.output):.1f} s, {len(collector.requests)} attempts"
        )


@row("4 answers lost after the request was read")
@for_both
def reset(package: Package, name: str) -> str:
    program = """
    emitter = make(batch_size=10)
    track(emitter, 100)
    for _ in range(20):
        emitter.sync_flush()
        time.sleep(0.2)
    end_now()
    """
    lost = Answer(fault="reset", keeps=True)
    with CollectorWithFaults(in_turn(lost, lost, OK, lost)) as collector:
        done = package.run(_dedent(program), name, collector.endpoint)
        return outcome(done, 20) or (
            f"{len(collector.arrived)} of 100 arrived, {len(collector.repeated)} repeated under their id"
        )


@row("5 redirects (301, 302, 307, 308) to another address, then well")
@for_both
def redirects(package: Package, name: str) -> str:
    program = """
    told = []
    emitter = make(batch_size=10, on_success=told.extend)
    track(emitter, 10)
    for _ in range(15):
        emitter.sync_flush()
        time.sleep(0.2)
    say(len(told))
    end_now()
    """
    found = []
    for status in (301, 302, 307, 308):
        with CollectorWithFaults() as elsewhere, CollectorWithFaults() as collector:
            target = {"Location": elsewhere.url + "/com.snowplowanalytics.snowplow/tp2"}
            collector.behaviour = in_turn(Answer(status=status, headers=target))
            done = package.run(_dedent(program), name, collector.endpoint)
            ended = outcome(done, 20)
            arrived = len(collector.arrived)
            lost = sum(request.method == "GET" for request in elsewhere.requests)
            detail = f"{arrived} of 10 arrived, {done.output.strip()} reported as sent"
            if elsewhere.requests:
                detail += f", {len(elsewhere.arrived)} at the other address"
                detail += f", followed{' as a GET without a body' if lost else ''}"
            found.append(f"{status}: {ended or detail}")
    return " / ".join(found)


@row("6 413 above 100 kB: 300 events of 1 kB and one of 150 kB")
@for_both
def too_large(package: Package, name: str) -> str:
    program = """
    emitter = make(batch_size=1_000)
    for number in range(301):
        emitter.input({"e": "pv", "p": "srv", "tv": "t", "eid": str(number),
                       "page": "x" * (150_000 if number == 150 else 1_000)})
    for _ in range(20):
        emitter.sync_flush()
        time.sleep(0.1)
    say(emitter.stats().dropped if OURS else "")
    end_now()
    """
    with CollectorWithFaults(too_large_above(100_000)) as collector:
        done = package.run(_dedent(program), name, collector.endpoint, deadline=10)
        given_up = f"; given up: {done.output.strip()}" if done.output.strip() else ""
        ended = outcome(done, 10)
        return (
            f"{len(collector.arrived)} of 300 arrived in {len(collector.requests)} requests{given_up}"
            + (f"; {ended}" if ended else "")
        )


@row("7 refused with 400: what the application can learn")
@for_both
def rejected(package: Package, name: str) -> str:
    program = """
    failures = []
    emitter = make(batch_size=10, on_failure=lambda sent, events: failures.extend(events))
    track(emitter, 10)
    emitter.sync_flush()
    say("%d told to on_failure; counters: %s" % (
        len(failures), {str(k.value): v for k, v in emitter.stats().dropped.items()} if OURS else "none"))
    end_now()
    """
    with CollectorWithFaults(Answer(status=400)) as collector:
        done = package.run(_dedent(program), name, collector.endpoint)
        return outcome(done, 20) or f"{len(collector.requests)} request; {done.output.strip()}"


@row("8 a callback that raises: the events and the flush after it")
@for_both
def raising_callback(package: Package, name: str) -> str:
    program = """
    def fail(events):
        raise ValueError("the user's mistake")
    emitter = make(batch_size=10, on_success=fail)
    escaped = "nothing"
    for _ in range(3):
        try:
            track(emitter, 10)
        except ValueError as error:
            escaped = type(error).__name__
    emitter.sync_flush()
    say("%s escaped from track()" % escaped)
    end_now()
    """
    with CollectorWithFaults() as collector:
        done = package.run(_dedent(program), name, collector.endpoint, deadline=5)
        ended = outcome(done, 5)
        return f"{len(collector.arrived)} of 30 arrived, {ended or done.output.strip()}"


@row("9 the end of a program, 25 events tracked, batches of 10 / of 100")
@for_both
def end(package: Package, name: str) -> str:
    program = """
    def work():
        track(make(batch_size=int(REST[1])), 25)
        if REST[0] == "sys.exit":
            sys.exit(0)
        if REST[0] == "exception":
            raise ZeroDivisionError

    if __name__ == "__main__":
        if REST[0] in ("fork", "spawn"):
            child = multiprocessing.get_context(REST[0]).Process(target=work)
            child.start()
            child.join()
        else:
            work()
    """
    found = []
    for how in ("normal", "sys.exit", "exception", "fork", "spawn"):
        arrived = []
        for batch in (10, 100):
            with CollectorWithFaults() as collector:
                package.run(_dedent(program), name, collector.endpoint, how, batch)
                arrived.append(str(len(collector.arrived)))
        found.append(f"{how} {' / '.join(arrived)}")
    return ", ".join(found)


@row("9 … with the collector down")
@for_both
def end_when_down(package: Package, name: str) -> str:
    program = """
    logging.disable(logging.NOTSET)
    logging.basicConfig()
    track(make(batch_size=100), 25)
    say(time.monotonic())
    """
    with CollectorWithFaults(listening=False) as collector:
        done = package.run(_dedent(program), name, collector.endpoint)
        told = "says so" if "25 events" in done.errors else "says nothing"
        return outcome(done, 20) or f"ends after {done.ended - float(done.output):.1f} s and {told}"


@row("10 200 forks with events queued and a request in flight; each child tracks 3 and flushes")
@for_both
def forks(package: Package, name: str) -> str:
    program = """
    import signal, warnings
    warnings.simplefilter("ignore")
    emitter = make(batch_size=10, buffer_capacity=100_000)
    own, stuck = 0, 0
    end = time.monotonic() + 40
    number = 0
    while number < 200 and time.monotonic() < end:
        number += 1
        track(emitter, 13)
        own += 13
        child = os.fork()
        if child == 0:
            signal.alarm(2)
            track(emitter, 3)
            emitter.sync_flush()
            os._exit(0)
        stuck += os.waitpid(child, 0)[1] != 0
    emitter.sync_flush()
    say(number, own, stuck)
    end_now()
    """
    with CollectorWithFaults(Answer(wait=0.003)) as collector:
        done = package.run(_dedent(program), name, collector.endpoint, deadline=60)
        ended = outcome(done, 60)
        if ended:
            return ended
        number, own, stuck = map(int, done.output.split())
        return (
            f"{number} forks in the time: {len(collector.arrived):,} of {own + 3 * number:,} arrived, "
            f"{len(collector.repeated):,} of them more than once, {stuck} children hung"
        )


@row("11 8 threads x 5,000 events, 30 % of the requests fail (capacity 50,000)")
@for_both
def random_failures(package: Package, name: str) -> str:
    program = """
    emitter = make(buffer_capacity=50_000, max_retry_delay_seconds=1)
    started = time.monotonic()
    threads = [threading.Thread(target=track, args=(emitter, 5_000)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    end = time.monotonic() + 15
    emitter.sync_flush()
    # an empty store may mean that all of it is in flight: it has to stay empty
    empty_since = time.monotonic()
    while time.monotonic() < min(end, empty_since + 3):
        if emitter.event_store.size():
            empty_since = time.monotonic()
        time.sleep(0.1)
    say("%.1f s" % (empty_since - started))
    end_now()
    """
    with CollectorWithFaults(fail_at_random(0.3, 1)) as collector:
        done = package.run(_dedent(program), name, collector.endpoint, deadline=60)
        return (
            f"{len(collector.arrived):,} of 40,000 arrived, {len(collector.repeated):,} more than once, "
            f"largest body {collector.largest_body:,} bytes; {outcome(done, 60) or done.output.strip()}"
        )


@row("12 down for good, 1,000,000 events tracked (capacity 10,000)")
@for_both
def flood(package: Package, name: str) -> str:
    program = """
    emitter = make()
    track(emitter, 20_000)
    memory = memory_now()
    tracker = Tracker("flood", emitter)
    slowest = []
    started = time.monotonic()
    for _ in range(98):
        begin = time.perf_counter()
        for _ in range(10_000):
            tracker.track(VIEW)
        slowest.append((time.perf_counter() - begin) / 10_000)
    grown = memory_now() - memory
    counted = sum(emitter.stats().dropped.values()) if OURS else 0
    say("memory +%.1f MB; %.1f µs per event at first, %.1f µs at last; %d drops counted" % (
        grown / 1024, slowest[0] * 1e6, slowest[-1] * 1e6, counted))
    end_now()
    """
    with CollectorWithFaults(listening=False) as collector:
        done = package.run(_dedent(program), name, collector.endpoint, deadline=60)
        return outcome(done, 60) or done.output.strip()


@row("13 2,000 emitters created and dropped")
@for_both
def left_behind(package: Package, name: str) -> str:
    program = """
    memory = memory_now()
    for _ in range(2_000):
        make()
    gc.collect()
    say("%d threads, +%.1f MB" % (
        threading.active_count(), (memory_now() - memory) / 1024))
    end_now()
    """
    with CollectorWithFaults() as collector:
        done = package.run(_dedent(program), name, collector.endpoint)
        return outcome(done, 20) or done.output.strip()


@row("14 gevent, patched: 50 events from 10 greenlets, answers after 0.2 s, then a flush")
@for_both
def under_gevent(package: Package, name: str) -> str:
    program = """
    import gevent
    emitter = make(batch_size=10)
    def work(number):
        for _ in range(5):
            track(emitter, 1)
            gevent.sleep(0.001)
    gevent.joinall([gevent.spawn(work, n) for n in range(10)])
    emitter.sync_flush()
    end_now()
    """
    patched = "from gevent import monkey\nmonkey.patch_all()\n"
    with CollectorWithFaults(Answer(wait=0.2)) as collector:
        done = run_program(
            patched + START + _dedent(program),
            name,
            collector.endpoint,
            deadline=10,
            python=package.python,
            package_from=package.path,
        )
        ended = outcome(done, 10)
        return f"{len(collector.arrived)} of 50 arrived" + (f", {ended}" if ended else "")


@row(
    "14 `track()` from an asyncio loop, slowest 0.1 %: collector well / answering after 0.2 s / down"
)
def event_loop(package: Package) -> str:
    program = """
    import asyncio
    emitter = make(buffer_capacity=100_000)
    tracker = Tracker("loop", emitter)
    async def main():
        held = []
        for _ in range(5_000):
            started = time.perf_counter()
            tracker.track(VIEW)
            held.append(time.perf_counter() - started)
            await asyncio.sleep(0.0002)
        held.sort()
        say("%.0f µs" % (held[4_995] * 1e6))
    asyncio.run(main())
    end_now()
    """
    found = []
    for health in ("well", "slow", "down"):
        answer = Answer(wait=0.2) if health == "slow" else OK
        with CollectorWithFaults(answer, listening=health != "down") as collector:
            done = package.run(_dedent(program), "AsyncEmitter", collector.endpoint)
            found.append(outcome(done, 20) or done.output.strip())
    return "threaded: " + " / ".join(found)


@row("15 a custom emitter that raises, in front of another")
@for_both
def raising_emitter(package: Package, name: str) -> str:
    program = """
    class Raising:
        def input(self, payload):
            raise ValueError("the user's mistake")
        def sync_flush(self):
            pass
        flush = async_flush = sync_flush
    emitter = make()
    tracker = Tracker("raising", [Raising(), emitter])
    escaped = "nothing"
    for _ in range(10):
        try:
            tracker.track(VIEW)
        except ValueError as error:
            escaped = type(error).__name__
    tracker.flush()
    say("%s escaped from track()" % escaped)
    end_now()
    """
    with CollectorWithFaults() as collector:
        done = package.run(_dedent(program), name, collector.endpoint)
        return f"{len(collector.arrived)} of 10 arrived; {outcome(done, 20) or done.output.strip()}"


@row("16 clock set back by an hour while waiting to try again")
@for_both
def clock_set_back(package: Package, name: str) -> str:
    program = """
    emitter = make(batch_size=10)
    track(emitter, 10)
    time.sleep(0.3)
    real = time.time
    time.time = lambda: real() - 3_600
    time.sleep(3)
    end_now()
    """
    with CollectorWithFaults(in_turn(Answer(status=503))) as collector:
        done = package.run(_dedent(program), name, collector.endpoint)
        return outcome(done, 20) or f"{len(collector.arrived)} of 10 arrived within 3 s"


@row("17 GET: 10 events, of which one fails at first (503) and one is too long for a URL")
@for_both
def get(package: Package, name: str) -> str:
    program = """
    told = []
    emitter = make(method="get", batch_size=10, on_success=told.extend)
    for number in range(10):
        emitter.input({"e": "pv", "p": "srv", "tv": "t", "eid": str(number),
                       "page": "x" * (30_000 if number == 5 else 10)})
    for _ in range(10):
        emitter.sync_flush()
        time.sleep(0.2)
    say("%d reported as sent" % len(told))
    end_now()
    """
    failed: List[str] = []

    def behave(request: Request) -> Answer:
        if len(request.target) > 20_480:
            return Answer(status=400)
        if request.events and request.events[0]["eid"] == "2" and not failed:
            failed.append("2")
            return Answer(status=503)
        return OK

    with CollectorWithFaults(behave) as collector:
        done = package.run(_dedent(program), name, collector.endpoint, deadline=10)
        return f"{len(collector.arrived)} of 10 arrived; {outcome(done, 10) or done.output.strip()}"


# What our package has to show in the short form, as patterns; a row is found by its title.
PROMISES: Dict[str, str] = {
    "2 503 with": r"^sync: 0 requests inside .*threaded: 0 requests inside",
    "3 … `flush`": r"^sync: back after [12]\.\d s; threaded: back after [12]\.\d s$",
    "4 answers lost": r"^sync: 100 of 100 .*threaded: 100 of 100",
    "5 redirects": r"^(?!.*(still running|ended with|at the other address)).*10 of 10 arrived, 10 reported",
    "6 413": r"^sync: 300 of 300 .*threaded: 300 of 300",
    "7 refused": r"^sync: 1 request; 10 told .*threaded: 1 request; 10 told",
    "8 a callback": r"^sync: 30 of 30 arrived, nothing escaped.*threaded: 30 of 30 arrived, nothing",
    "9 the end of": r"^(sync|threaded): normal 25 / 25, sys.exit 25 / 25, exception 25 / 25, fork 25 / 25",
    "9 … with the": r"^sync: ends after [0-9.]+ s and says so; threaded: ends after [0-9.]+ s and says so",
    "13 2,000": r"^sync: 1 threads.*threaded: 1 threads",
    "14 gevent": r"^sync: 50 of 50 arrived; threaded: 50 of 50 arrived$",
    "15 a custom": r"^sync: 10 of 10 arrived; .*threaded: 10 of 10 arrived; ",
    "16 clock": r"^sync: 10 of 10 .*threaded: 10 of 10 ",
    "17 GET": r"^sync: 10 of 10 .*threaded: 10 of 10 ",
}


def check(package: Package) -> int:
    """Print what our package shows in the short rows, and return how many of them break a promise."""
    broken = 0
    for start in PROMISES:
        if not any(title.startswith(start) for title in ROWS):
            broken += 1
            print(f"BROKEN no row begins with {start!r}", flush=True)
    for title, measure in ROWS.items():
        for start, promise in PROMISES.items():
            if title.startswith(start):
                found = measure(package)
                kept = re.search(promise, found) is not None
                broken += not kept
                print(f"{'ok    ' if kept else 'BROKEN'} {title}: {found}", flush=True)
    print(f"{len(PROMISES) - broken} passed, {broken} failed")
    return broken


def _dedent(program: str) -> str:
    import textwrap

    return textwrap.dedent(program)


def make_environment(folder: Path) -> str:
    """Make an environment with 1.1.0, as PyPI serves it, and what the programs need beside it."""
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [
                str(python),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                REFERENCE,
                "gevent",
            ],
            check=True,
        )
        (folder / ".ready").touch()
    return str(python)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help="the rows to run, by their first word")
    parser.add_argument("--environment", type=Path, help="keep the environment of 1.1.0 here")
    parser.add_argument("--check", action="store_true", help="the short form, our package alone")
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(check(Package("ours", sys.executable, "")) > 0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.environment or Path(temporary, "environment")
        packages = [
            Package("1.1.0", make_environment(folder), None),
            Package("ours", sys.executable, ""),
        ]
        print("| fault | 1.1.0 measured | ours measured |")
        print("|---|---|---|")
        for title, measure in ROWS.items():
            if arguments.rows and title.split()[0] not in arguments.rows:
                continue
            cells = [measure(package) for package in packages]
            print(f"| {title} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
