"""Row 10: what one queued event takes. Options: `kind`, `events`, `exact` (tracemalloc instead of the process's size)."""

import gc
import tracemalloc

from benchmark_tools import EVENTS, main, queue_only_emitter, resident_bytes, tracker_for, url


def run(options):
    count = options["events"]
    make = EVENTS[options["kind"]]
    tracker = tracker_for(queue_only_emitter(count + 1_000), options["kind"])
    for number in range(200):
        tracker.track(make(url(number)))
    gc.collect()
    if options["exact"]:
        tracemalloc.start()
    held = tracemalloc.get_traced_memory()[0] if options["exact"] else resident_bytes()
    for number in range(200, 200 + count):
        tracker.track(make(url(number)))
    gc.collect()
    now = tracemalloc.get_traced_memory()[0] if options["exact"] else resident_bytes()
    return {"bytes": (now - held) / count}


if __name__ == "__main__":
    main(run)
