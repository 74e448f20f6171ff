"""Row 11: how long events queued in an outage take to arrive once the collector is back.

Options: `events`, `port`, `control`, `patience` (seconds without a request after which no more is expected).
"""

import threading
import time

from benchmark_tools import Control, main, make_emitter, small_event, tracker_for, url


def run(options):
    count = options["events"]
    control = Control(options["control"])
    tracker = tracker_for(make_emitter({"emitter": "async", **options}))
    for number in range(count):
        tracker.track(small_event(url(number)))
    time.sleep(0.2)
    cpu, start = time.process_time(), time.monotonic()
    control("open")
    # Both are asked to send now; where that waits, it must not keep us from looking at what arrives.
    threading.Thread(target=tracker.flush, daemon=True).start()
    arrived = control.wait_for(count, options["patience"])
    last = arrived["last_request"] or time.monotonic()
    return {
        "wall": (last - start) * 1e3,
        "cpu": (time.process_time() - cpu) / count * 1e6,
        "complete": arrived["distinct"] == count,
        "repeated": arrived["events"] - arrived["distinct"],
        **arrived,
    }


if __name__ == "__main__":
    main(run)
