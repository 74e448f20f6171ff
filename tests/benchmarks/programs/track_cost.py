"""Rows 1, 2, 3 and 13: what one `track()` costs its caller while nothing is sent.

Options: `kind`, `events`, `threads` (1), `windows` (where the queue's length is to be looked at).
"""

import threading
import time

from benchmark_tools import EVENTS, main, queue_only_emitter, tracker_for


def run(options):
    if "windows" in options:
        return by_length(options)
    count, threads = options["events"], options.get("threads", 1)
    make = EVENTS[options["kind"]]
    tracker = tracker_for(queue_only_emitter(10 * count + 10_000), options["kind"])
    track = tracker.track
    for number in range(1_000):
        track(make(number))
    share = count // threads
    cpu = []

    def work():
        start = time.thread_time()
        for number in range(share):
            track(make(number))
        cpu.append(time.thread_time() - start)

    start = time.perf_counter()
    if threads == 1:
        work()
    else:
        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    wall = time.perf_counter() - start
    tracked = share * threads
    return {"cpu": sum(cpu) / tracked * 1e6, "wall": wall / tracked * 1e6}


def by_length(options):
    """Measure the last tenth before each length of the queue."""
    windows = options["windows"]
    make = EVENTS[options["kind"]]
    warm = tracker_for(queue_only_emitter(10_000), options["kind"])
    for number in range(5_000):
        warm.track(make(number))
    tracker = tracker_for(queue_only_emitter(windows[-1] + 1), options["kind"])
    track = tracker.track
    number, result = 0, {}
    for length in windows:
        while number < length - length // 10:
            track(make(number))
            number += 1
        start = time.thread_time()
        for _ in range(length // 10):
            track(make(number))
            number += 1
        result[str(length)] = (time.thread_time() - start) / (length // 10) * 1e6
    return result


if __name__ == "__main__":
    main(run)
