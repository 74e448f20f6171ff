"""RQ: a job gets the scope in which it was enqueued.

    queue = Queue(connection=redis, job_class=SnowplowJob)
    $ rq worker --job-class snowplow_tracker.integrations.rq.SnowplowJob

Without any set-up, events are sent when the process of a job ends.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, ClassVar, Optional

from rq.job import Job

from snowplow_tracker.events import StructuredEvent
from snowplow_tracker.scope import Scope, innermost

if TYPE_CHECKING:
    from snowplow_tracker.tracker import Tracker

__all__ = ["SnowplowJob"]

logger: logging.Logger = logging.getLogger("snowplow_tracker.integrations")

_KEY = "snowplow_scope"


class SnowplowJob(Job):  # type: ignore[misc]  # RQ may be missing where types are checked
    """A job that runs in its own scope, which has the values of the scope in which the job was enqueued.

    The scope is stored in the `meta` of the job, so Redis stores its values, personal data included.

    Attributes:
        tracker: Tracks a `StructuredEvent` when a job ends, if a subclass sets it: category `rq`, action `task_done`,
            `task_failed` or `task_retried`, the name of the function as label, the id of the job as property, its
            duration in seconds as value.
        propagate_scope: Whether the job gets the values of the scope in which it was enqueued.

    Example:
        >>> class ShopJob(SnowplowJob):
        ...     tracker = shop.tracking.tracker

    New in version 1.2.0.
    """

    tracker: ClassVar[Optional[Tracker]] = None
    propagate_scope: ClassVar[bool] = True

    @classmethod
    def create(cls, *arguments: Any, **options: Any) -> Any:
        """Create a job with the values of the current scope."""
        job = super().create(*arguments, **options)
        # A copy: RQ keeps the caller's dictionary, which may be that of several jobs.
        job.meta = {name: value for name, value in job.meta.items() if name != _KEY}
        scope = innermost()
        if cls.propagate_scope and scope is not None:
            try:
                job.meta[_KEY] = scope.as_dict()
            except (TypeError, ValueError):
                logger.exception("The scope could not be sent with a job.")
        return job

    def perform(self) -> Any:
        """Run the job in its scope."""
        started = time.monotonic()
        with self._received_scope():
            try:
                result = super().perform()
            except Exception:
                retried = bool(getattr(self, "retries_left", 0))
                self._track("task_retried" if retried else "task_failed", started)
                raise
            self._track("task_done", started)
            return result

    def _received_scope(self) -> Scope:
        values = self.meta.get(_KEY)
        if values is None:
            return Scope()
        try:
            return Scope.from_dict(values)
        except (TypeError, ValueError):
            logger.warning("The scope that was sent with a job cannot be read, and is ignored.")
            return Scope()

    def _track(self, action: str, started: float) -> None:
        if self.tracker is not None:
            seconds = round(time.monotonic() - started, 3)
            self.tracker.track(
                StructuredEvent(
                    "rq", action, label=self.func_name, property_=self.id, value=seconds
                )
            )
