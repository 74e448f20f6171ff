import os

from celery import Celery
from tracking import tracker

from snowplow_tracker import SelfDescribingJson, StructuredEvent, current_scope
from snowplow_tracker.integrations.celery import setup_celery

app = Celery("shop", broker=os.environ["BROKER"])
app.conf.worker_hijack_root_logger = False
app.conf.task_acks_late = False
setup_celery(tracker, propagate_scope=True, task_events=True)


@app.task
def work(number):
    tracker.track(StructuredEvent("task", str(number)))
    current_scope().set(page_title=f"left by {number}")


@app.task(bind=True, max_retries=1, default_retry_delay=0)
def stubborn(self):
    try:
        raise LookupError("again")
    except LookupError as error:
        raise self.retry(exc=error, countdown=0)


def call_all():
    from snowplow_tracker import Scope

    for number in range(40):
        with Scope(
            user_id=f"u{number}",
            entities=[SelfDescribingJson("iglu:com.acme/number/jsonschema/1-0-0", {"n": number})],
        ):
            work.delay(number)
    work.delay("nobody")
    with Scope(user_id="retried"):
        stubborn.delay()
