"""Stores: events per second added and drained, and bytes per queued event.

Options: `store` ("memory", "sqlite", "sqlite-machine" or "redis"), `events`, `folder`, `redis` (URL), `port`, `control`. A store that the
package does not have gives `null`.
"""

import gc
import importlib
import logging
import os
import time
import tracemalloc
from pathlib import Path

from benchmark_tools import HOST, Control, main, small_event, tracker_for, url

from snowplow_tracker import AsyncEmitter, InMemoryEventStore


def run(options):
    count = options["events"]
    make = {"memory": memory, "redis": redis}.get(options["store"], sqlite)
    made = make(options)
    if made is None:
        return None
    store, size = made
    payloads = payload_copies(count)
    before = size()
    adding = time.perf_counter()
    cpu = time.process_time()
    for payload in payloads:
        store.add_event(payload)
    adding = time.perf_counter() - adding
    cpu = time.process_time() - cpu
    if store.size() != count:
        raise SystemExit(f"{store.size()} of {count} events are in the store")
    result = {
        "added": count / adding,
        "add_cpu": cpu / count * 1e6,
        "bytes": (size() - before) / count,
        "taken": count / timed(take_all, store),
    }
    if (
        options["store"] == "memory"
    ):  # tracemalloc makes everything slow, so that it has a run of its own
        result["bytes"] = memory_bytes(make(options)[0], count)
    result["drained"], result["complete"] = drained(options, store, count)
    return result


def payload_copies(count):
    """Give what an emitter hands to its store: completed payloads, all values text."""
    taken = []

    class Collecting:
        def input(self, payload):
            taken.append({key: str(value) for key, value in payload.items()})

    tracker = tracker_for(Collecting())
    for number in range(count):
        tracker.track(small_event(url(number)))
    return taken


def timed(action, *arguments):
    start = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - start


def take_all(store):
    while True:
        batch = store.get_events_batch(max_events=500)
        if not batch:
            return
        store.cleanup(batch, False)


def drained(options, store, count):
    """Deliver through an emitter: events per second from a full store to the collector."""
    for payload in payload_copies(count):
        store.add_event(payload)
    control = Control(options["control"])
    control("open")
    emitter = AsyncEmitter(HOST, protocol="http", port=options["port"], event_store=store)
    start = time.perf_counter()
    rest = emitter.sync_flush(timeout=120)
    seconds = time.perf_counter() - start
    arrived = control.wait_for(count, patience=2.0)
    return count / seconds, not rest and arrived["distinct"] == count


def memory(options):
    store = InMemoryEventStore(logging.getLogger("benchmark"), 10 * options["events"])
    return store, lambda: 0


def memory_bytes(store, count):
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for payload in payload_copies(count):
        store.add_event(payload)
    del payload
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / count


def offered(module, name):
    try:
        return getattr(importlib.import_module(f"snowplow_tracker.{module}"), name)
    except ImportError:
        return None


def sqlite(options):
    store_class = offered("sqlite_event_store", "SQLiteEventStore")
    if store_class is None:
        return None
    durability = "machine" if options["store"] == "sqlite-machine" else "process"
    path = Path(options["folder"], f"queue-{os.getpid()}.sqlite3")
    store = store_class(str(path), buffer_capacity=10 * options["events"], durability=durability)

    def size():
        return sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))

    return store, size


def redis(options):
    store_class = offered("redis_event_store", "RedisEventStore")
    if store_class is None or not options.get("redis"):
        return None
    import redis

    server = redis.Redis.from_url(options["redis"])
    server.flushall()
    store = store_class(options["redis"], buffer_capacity=10 * options["events"])
    return store, lambda: server.info("memory")["used_memory"]


if __name__ == "__main__":
    main(run)
