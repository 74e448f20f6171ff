import os

from redis import Redis
from rq import Queue
from tracking import tracker

from snowplow_tracker import Scope, StructuredEvent, current_scope
from snowplow_tracker.integrations.rq import SnowplowJob


class ShopJob(SnowplowJob):
    tracker = tracker


def work(number):
    tracker.track(StructuredEvent("task", str(number)))
    current_scope().set(page_title=f"left by {number}")


def fail():
    raise LookupError("no")


def call_all():
    queue = Queue(connection=Redis.from_url(os.environ["BROKER"]), job_class=ShopJob)
    for number in range(8):
        with Scope(user_id=f"u{number}"):
            queue.enqueue(work, number)
    queue.enqueue(work, "nobody")
    with Scope(user_id="failed"):
        queue.enqueue(fail)
