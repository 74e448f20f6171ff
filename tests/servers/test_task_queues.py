"""Task queues: their workers fork, and many of the children end by `os._exit`, without Python's exit hooks."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, List

import pytest

from support.collector_with_faults import CollectorWithFaults
from support.servers import APPLICATIONS, Server, need_library

CELERY = ["celery", "--app", "celery_tasks", "worker", "--loglevel", "INFO", "--concurrency", "2"]


def enqueue(program: str, redis_url: str, collector: CollectorWithFaults) -> None:
    """Run a few lines in a process of their own, as the web application that enqueues does."""
    environment = {
        "APPLICATION_REDIS": redis_url,
        "APPLICATION_COLLECTOR": collector.url,
        "PYTHONPATH": f"{APPLICATIONS}:{package_directory()}",
    }
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=environment)


def package_directory() -> Path:
    import snowplow_tracker

    return Path(snowplow_tracker.__file__).resolve().parent.parent


def database(redis_url: str, number: int) -> str:
    """Return the URL of a database of its own: Redis has sixteen."""
    return redis_url[:-1] + str(number)


@pytest.mark.parametrize("emitter", ["Emitter", "AsyncEmitter"])
@pytest.mark.parametrize(
    "options",
    [[], ["--max-tasks-per-child", "7"], ["--pool", "threads"], ["--pool", "solo"]],
    ids=["prefork", "max-tasks-per-child", "threads", "solo"],
)
def test_celery(
    serve: Callable[..., Server],
    collector: CollectorWithFaults,
    redis_url: str,
    options: List[str],
    emitter: str,
) -> None:
    """65 tasks, 65 events: after a warm shutdown, and from children that are replaced after some tasks."""
    need_library("celery", "redis")
    url = database(redis_url, 1)
    server = serve(*CELERY, *options, redis=url, emitter=emitter, flush_interval=60)
    enqueue("import celery_tasks as c; [c.work.delay() for _ in range(65)]", url, collector)
    server.wait_for_output("celery_tasks.work[", times=130)  # each is received and succeeds
    assert server.stop(signal.SIGTERM) is not None, server.output
    assert len(collector.arrived) == 65, server.output
    assert not collector.repeated


@pytest.mark.parametrize("emitter", ["Emitter", "AsyncEmitter"])
@pytest.mark.parametrize("worker", ["rq.Worker", "rq.SimpleWorker", "rq.worker.SpawnWorker"])
def test_rq(
    serve: Callable[..., Server],
    collector: CollectorWithFaults,
    redis_url: str,
    worker: str,
    emitter: str,
) -> None:
    """Each job has a process of its own, which ends by `os._exit`; the events of all of them arrive."""
    need_library("rq", "redis")
    jobs = 25 if worker != "rq.worker.SpawnWorker" else 5
    url = database(redis_url, 2)
    enqueue(
        f"import redis, rq; q = rq.Queue(connection=redis.Redis.from_url({url!r}))\n"
        f"for _ in range({jobs - 2}): q.enqueue('rq_jobs.work')\n"
        "q.enqueue('rq_jobs.fail'); q.enqueue('rq_jobs.take_too_long', job_timeout=1)",
        url,
        collector,
    )
    command = ["rq", "worker", "--burst", "--url", url, "--worker-class", worker]
    server = serve(*command, redis=url, emitter=emitter, flush_interval=60)
    assert server.wait(60) == 0, server.output
    assert len(collector.arrived) == jobs, server.output
    assert not collector.repeated


@pytest.mark.parametrize("emitter", ["Emitter", "AsyncEmitter"])
def test_dramatiq(
    serve: Callable[..., Server], collector: CollectorWithFaults, redis_url: str, emitter: str
) -> None:
    """Two processes with threads deliver the events of 65 messages when the worker is told to stop."""
    need_library("dramatiq", "redis")
    url = database(redis_url, 3)
    enqueue("import dramatiq_actors as d; [d.work.send() for _ in range(65)]", url, collector)
    command = ["dramatiq", "dramatiq_actors", "--processes", "2", "--threads", "2", "--verbose"]
    server = serve(*command, redis=url, emitter=emitter, flush_interval=60)
    server.wait_for_output("Completed after", times=65)
    assert server.stop(signal.SIGTERM) is not None, server.output
    assert len(collector.arrived) == 65, server.output
    assert not collector.repeated
