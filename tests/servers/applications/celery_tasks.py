"""A Celery application with one task that tracks."""

import os

from celery import Celery
from tracking import track

app = Celery("celery_tasks", broker=os.environ["APPLICATION_REDIS"])
app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)


@app.task
def work():
    track("task")
