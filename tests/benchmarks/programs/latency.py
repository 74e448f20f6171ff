"""Row 8: how long single calls of `track()` take with the threaded emitter.

Options: `scenario` ("machine", "healthy", "slow", "dead" or "recovery"), `rate` (events per second; 0: as fast as it
goes), `events`, `queued` (before the recovery), `pinned` (all threads on one processor), `port`, `control`.
"""

import os
import time

from benchmark_tools import Control, main, make_emitter, small_event, tracker_for, url


def run(options):
    if options.get("pinned"):
        os.sched_setaffinity(0, {0})
    scenario = options["scenario"]
    control = Control(options["control"])
    tracker = tracker_for(make_emitter({"emitter": "async", **options}))
    track = tracker.track
    if scenario in ("healthy", "slow"):
        control("open")
        if scenario == "slow":
            control("delay 0.2")
        track(small_event(url(0)))
        tracker.flush()  # what the first request imports is not what later calls cost
    elif scenario == "dead":
        track(small_event(url(0)))
        time.sleep(0.3)
    elif scenario == "recovery":
        for number in range(options["queued"]):
            track(small_event(url(number)))
        control("open")
        tracker.flush(is_async=True)
    elif (
        scenario == "machine"
    ):  # the same loop around nothing: what this machine does to any program
        track = id
    events = [
        small_event(url(options.get("queued", 0) + number)) for number in range(options["events"])
    ]
    latencies = paced(track, events, options["rate"]) if options["rate"] else tight(track, events)
    latencies.sort()

    def percentile(share):
        return latencies[min(len(latencies) - 1, int(len(latencies) * share))] / 1e3

    return {
        "p50": percentile(0.5),
        "p99": percentile(0.99),
        "p99.9": percentile(0.999),
        "max": latencies[-1] / 1e3,
    }


def tight(track, events):
    clock = time.perf_counter_ns
    latencies = []
    for event in events:
        start = clock()
        track(event)
        latencies.append(clock() - start)
    return latencies


def paced(track, events, rate):
    clock = time.perf_counter_ns
    latencies = []
    due = clock()
    for event in events:
        due += 1_000_000_000 // rate
        wait = due - clock()
        if wait > 0:
            time.sleep(wait / 1e9)
        start = clock()
        track(event)
        latencies.append(clock() - start)
    return latencies


if __name__ == "__main__":
    main(run)
