"""Rows 4 to 7: CPU of the whole process for each event that is delivered.

Options: `emitter` ("async" or "sync"), `protocol`, `port`, `control`, `events`, `capacity`.
"""

import time

import requests  # noqa: F401 - what importing it costs is row 9's
from benchmark_tools import Control, main, make_emitter, small_event, tracker_for, url


def run(options):
    count = options["events"]
    control = Control(options["control"])
    control("open")
    tracker = tracker_for(make_emitter(options))
    track = tracker.track
    cpu, wall = time.process_time(), time.perf_counter()
    for number in range(count):
        track(small_event(url(number)))
    tracked = time.perf_counter() - wall
    tracker.flush()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    arrived = control.wait_for(count, patience=2.0)
    return {
        "cpu": cpu / count * 1e6,
        "wall": wall / count * 1e6,
        "track_wall": tracked / count * 1e6,
        "complete": arrived["events"] == arrived["distinct"] == count,
        **arrived,
    }


if __name__ == "__main__":
    main(run)
