"""RQ: the scope of whoever enqueues a job travels with it.

    queue = Queue(connection=redis, job_class=SnowplowJob)
    $ rq worker --job-class snowplow_tracker.integrations.rq.SnowplowJob

That events are sent when a job's process ends needs no set-up.
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

logger = logging.getLogger("snowplow_tracker.integrations")

_KEY = "snowplow_scope"


class SnowplowJob(Job):  # type: ignore[misc]  # RQ may be missing where types are checked
    """A job that runs in a scope of its own, with what the scope had where it was enqueued.

    The scope travels in the `meta` of the job, so that what is in it is in Redis, personal data included.

    Attributes:
        tracker: Where a subclass sets one, it tracks a `StructuredEvent` for each end of a job: category `rq`, action
            `task_done`, `task_failed` or `task_retried`, the name of the function as label, the id of the job as
            property, its seconds as value.
        propagate_scope: Whether the scope travels.

    Example:
        >>> class ShopJob(SnowplowJob):
        ...     tracker = shop.tracking.tracker

    New in version 1.2.0.
    """

    tracker: ClassVar[Optional[Tracker]] = None
    propagate_scope: ClassVar[bool] = True

    @classmethod
    def create(cls, *arguments: Any, **options: Any) -> Any:
        """Make a job, with the scope that is open now."""
        job = super().create(*arguments, **options)
        scope = innermost()
        if cls.propagate_scope and scope is not None:
            try:
                job.meta[_KEY] = scope.as_dict()
            except (TypeError, ValueError):
                logger.exception("The scope of a job could not be sent with it.")
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
            logger.warning("The scope that came with a job cannot be read, and is left out.")
            return Scope()

    def _track(self, action: str, started: float) -> None:
        if self.tracker is not None:
            seconds = round(time.monotonic() - started, 3)
            self.tracker.track(
                StructuredEvent(
                    "rq", action, label=self.func_name, property_=self.id, value=seconds
                )
            )
