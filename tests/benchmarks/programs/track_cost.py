"""Rows 1, 2, 3 and 13: what one `track()` costs its caller while nothing is sent.

Options: `kind`, `events`, `threads` (1), `windows` (where the queue's length is to be looked at).
"""

import threading
import time

from benchmark_tools import (
    REFERRER,
    TITLE,
    PageView,
    main,
    queue_only_emitter,
    rich_event,
    tracker_for,
    url,
)


def track_small(track, urls):
    for each in urls:
        track(PageView(each, TITLE, REFERRER))


def track_rich(track, urls):
    for each in urls:
        track(rich_event(each))


KINDS = {"small": track_small, "rich": track_rich}


def run(options):
    if "windows" in options:
        return by_length(options)
    threads = options.get("threads", 1)
    share = options["events"] // threads
    track_all = KINDS[options["kind"]]
    urls = [url(number) for number in range(share)]
    track = warm_tracker(options["kind"], 10 * options["events"] + 10_000).track
    cpu = []
    starts = threading.Barrier(threads + 1)

    def work():
        starts.wait()
        start = time.thread_time()
        track_all(track, urls)
        cpu.append(time.thread_time() - start)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    starts.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    wall = time.perf_counter() - start
    tracked = share * threads
    return {"cpu": sum(cpu) / tracked * 1e6, "wall": wall / tracked * 1e6}


def by_length(options):
    """Measure the last tenth before each length of the queue."""
    warm_tracker(options["kind"], 10_000)
    windows = options["windows"]
    tracker = tracker_for(queue_only_emitter(windows[-1] + 1), options["kind"])
    track_all = KINDS[options["kind"]]
    queued, result = 0, {}
    for length in windows:
        tenth = length // 10
        track_all(tracker.track, map(url, range(queued, length - tenth)))
        urls = [url(number) for number in range(length - tenth, length)]
        start = time.thread_time()
        track_all(tracker.track, urls)
        result[str(length)] = (time.thread_time() - start) / tenth * 1e6
        queued = length
    return result


def warm_tracker(kind, capacity):
    """Make a tracker that has tracked before, so that what happens once does not count."""
    tracker = tracker_for(queue_only_emitter(capacity), kind)
    KINDS[kind](tracker.track, map(url, range(2_000)))
    return tracker


if __name__ == "__main__":
    main(run)
