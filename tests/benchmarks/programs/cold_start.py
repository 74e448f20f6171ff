"""Row 12: one event from the start of the program to its end. Options: the collector's port, `http` or `https`."""

import sys

from snowplow_tracker import Emitter, PageView, Tracker

tracker = Tracker(
    "benchmark", Emitter("127.0.0.1", protocol=sys.argv[2], port=int(sys.argv[1])), app_id="cli"
)
tracker.track(PageView("https://shop.example/bench-0000001", "Green shoes"))
tracker.flush()
