"""Has gunicorn write when a worker has its signal handlers."""

from __future__ import annotations

from typing import Any


def post_worker_init(worker: Any) -> None:
    """Called by gunicorn in each worker."""
    worker.log.info("Worker %s can be stopped", worker.pid)
