"""How many events per second 1, 2 and 4 workers deliver from one Redis stream: `python worker_scaling.py`.

It needs redis-server. The collector waits 20 ms before each answer, so that what is measured is whether workers stand in
each other's way, as long as the machine has time left for all of them: the processor time of the workers is shown too.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from snowplow_tracker.redis_event_store import RedisEventStore  # noqa: E402
from support.redis_server import redis_server  # noqa: E402

COLLECTOR = """
import sys, time
from snowplow_tracker.testing import Collector
with Collector(respond=lambda _: time.sleep(0.02)) as collector:
    print(collector.endpoint, flush=True)
    sys.stdin.read()
"""
SECONDS = 4.0


def measure(server, workers: int, batch: int) -> None:
    """Have some workers drain the stream for a while, and print how fast they were."""
    client = server.client()
    client.flushall()
    store = RedisEventStore(server.url, write_behind=True, spill_capacity=100_000)
    body = {"e": "pv", "p": "srv", "tv": "py-bench", "url": "https://example.com/" + "x" * 200}
    for number in range(1_000 * batch):
        store.add_event({**body, "eid": f"{number:032x}"})
    store.exit_timeout = 60.0
    store.close()
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    collector = subprocess.Popen(
        [sys.executable, "-c", COLLECTOR],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    endpoint = collector.stdout.readline().strip()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "snowplow_tracker", "worker", "--store", server.url]
    command += ["--endpoint", endpoint, "--batch", str(batch)]
    running = [
        subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
        for _ in range(workers)
    ]
    while len(client.xinfo_stream("snowplow:events")) and not _all_take_part(client, workers):
        time.sleep(0.05)
    start, length = time.monotonic(), client.xlen("snowplow:events")
    time.sleep(SECONDS)
    gone, seconds = length - client.xlen("snowplow:events"), time.monotonic() - start
    for each in running:
        each.send_signal(signal.SIGTERM)
    for each in running:
        each.wait(20)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    collector.stdin.close()
    collector.wait(10)
    print(
        f"{workers} workers, {batch} events a request: {gone / seconds:8.0f} events/s, "
        f"{used:.1f} s of processor time, start included",
        flush=True,
    )


def _all_take_part(client, workers: int) -> bool:
    try:
        return len(client.xinfo_consumers("snowplow:events", "snowplow")) >= workers
    except Exception:
        return False


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder, "redis")) as redis:
        for size in (20, 100):
            for count in (1, 2, 4):
                measure(redis, count, size)
