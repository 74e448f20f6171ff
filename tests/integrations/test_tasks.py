"""Celery and RQ: the scope of the caller travels with a task, and nothing of it reaches the next one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from snowplow_tracker import Scope
from support.frameworks import APPS, need_module


@pytest.fixture
def broker(tmp_path):
    need_module("redis")
    from support.redis_server import RedisServer

    server = RedisServer(tmp_path / "redis").start()
    yield server.url
    server.stop()


def run(collector, broker, *command):
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=APPS,
        env={**os.environ, "COLLECTOR": collector.endpoint, "BROKER": broker},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    try:
        return process.communicate(timeout=60)[0]
    finally:
        process.kill()


def worked(events):
    return {event["se_ac"]: event for event in events if event["se_ca"] == "task"}


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_celery(collector, broker, pool):
    """Each task carries what its caller had, the end of each task is told, and a task without a scope carries nothing."""
    need_module("celery")
    called = run(collector, broker, "-c", "import celery_app; celery_app.call_all()")
    assert finish(called) == ""
    assert called.returncode == 0
    worker = run(
        collector,
        broker,
        *[
            "-m",
            "celery",
            "-A",
            "celery_app",
            "worker",
            "-c",
            "2",
            "--without-gossip",
            "--without-mingle",
            "-l",
            "warning",
            "-P",
        ],
        pool,
    )
    try:
        events = collector.wait_for(41 * 2 + 2, timeout=60)
    finally:
        worker.terminate()
        output = finish(worker)
    tasks = worked(events)
    assert len(tasks) == 41, output
    for number in range(40):
        event = tasks[str(number)]
        assert event["uid"] == f"u{number}"
        assert [each["data"] for each in event.contexts] == [{"n": number}]
        assert "page" not in event
    assert "uid" not in tasks["nobody"]
    assert "page" not in tasks["nobody"]
    ends = [event for event in events if event["se_ca"] == "celery"]
    assert sum(event["se_ac"] == "task_done" for event in ends) == 41
    stubborn = [event for event in ends if event["se_la"] == "celery_app.stubborn"]
    assert sorted((event["se_ac"], event["uid"]) for event in stubborn) == [
        ("task_failed", "retried"),
        ("task_retried", "retried"),
    ]
    assert all(float(event["se_va"]) >= 0 for event in ends)


@pytest.mark.parametrize("worker_class", ["rq.Worker", "rq.SimpleWorker"])
def test_rq(collector, broker, worker_class):
    """Each job carries what its caller had, and the end of each job is told."""
    need_module("rq")
    called = run(collector, broker, "-c", "import rq_jobs; rq_jobs.call_all()")
    assert finish(called) == ""
    worker = run(
        collector,
        broker,
        *f"-m rq.cli worker --burst -u {broker} --worker-class {worker_class}".split(),
        *["--job-class", "rq_jobs.ShopJob", "--path", "."],
    )
    output = finish(worker)
    assert worker.returncode == 0, output
    events = collector.wait_for(9 * 2 + 1)
    tasks = worked(events)
    assert {name: event.get("uid") for name, event in tasks.items()} == {
        **{str(number): f"u{number}" for number in range(8)},
        "nobody": None,
    }
    assert all("page" not in event for event in tasks.values())
    ends = [(event["se_ac"], event.get("uid")) for event in events if event["se_ca"] == "rq"]
    assert sum(action == "task_done" for action, _ in ends) == 9
    assert ("task_failed", "failed") in ends


def test_rq_jobs_that_share_meta(broker):
    """Each job has the scope in which it was created, and the caller's dictionary stays as it was."""
    need_module("rq")
    from redis import Redis

    from snowplow_tracker.integrations.rq import SnowplowJob

    shared = {"priority": "low"}
    jobs = []
    for user in ("alice", "bob"):
        with Scope(user_id=user):
            jobs.append(SnowplowJob.create(print, connection=Redis.from_url(broker), meta=shared))
    users = [job.meta["snowplow_scope"]["parameters"]["uid"] for job in jobs]
    assert (users, shared) == (["alice", "bob"], {"priority": "low"})
    outside = SnowplowJob.create(print, connection=Redis.from_url(broker), meta=jobs[0].meta)
    assert outside.meta == {"priority": "low"}


def test_celery_tasks_that_share_headers():
    """Each message has the scope in which its task was called, and the caller's dictionary stays as it was."""
    celery = need_module("celery")
    from snowplow_tracker.integrations.celery import setup_celery

    app = celery.Celery(broker="memory://")
    setup_celery(propagate_scope=True)
    sent = []
    celery.signals.after_task_publish.connect(
        lambda headers, **_: sent.append(headers.get("snowplow_scope")), weak=False
    )
    shared = {"priority": "low"}
    signature = app.signature("work", headers=shared)
    with Scope(user_id="alice"):
        signature.apply_async()
    signature.apply_async()
    with Scope(user_id="bob"):
        signature.apply_async(headers=shared)
    assert ["alice" in (sent[0] or ""), sent[1], "bob" in (sent[2] or "")] == [True, None, True]
    assert shared == {"priority": "low"}


def test_celery_needs_a_tracker():
    """The Celery application in the place of the tracker is an error at the call, not one in each task."""
    need_module("celery")
    from celery import Celery

    from snowplow_tracker.integrations.celery import setup_celery

    with pytest.raises(TypeError, match="tracker must be a Tracker, not Celery"):
        setup_celery(Celery("shop"), task_events=True)
