"""Celery: a task gets the scope in which it was called.

    setup_celery(tracker, propagate_scope=True, task_events=True)

Call it where the Celery application is created, so that both clients and workers run it. Without any set-up, events are
sent when a worker or a process of its pool ends.
"""

from __future__ import annotations

import json
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Dict, Optional

from celery import signals

from snowplow_tracker.events import StructuredEvent
from snowplow_tracker.integrations.errors import check_tracker
from snowplow_tracker.scope import Scope, innermost

if TYPE_CHECKING:
    from snowplow_tracker.tracker import Tracker

__all__ = ["setup_celery"]

logger: logging.Logger = logging.getLogger("snowplow_tracker.integrations")

_HEADER = "snowplow_scope"
_OPEN = "_snowplow_open"
_UID = "snowplow_tracker.integrations.celery"


def setup_celery(
    tracker: Optional[Tracker] = None,
    *,
    propagate_scope: bool = False,
    task_events: bool = False,
) -> None:
    """Open a scope for each task in a worker.

    Values that a task sets on its scope do not affect the next task. Another call replaces the previous set-up.

    Args:
        tracker: Tracks the events of tasks.
        propagate_scope: Send the scope in which a task is called in the headers of its message, so that events in the
            task have the same values. The broker then stores the values of the scope, personal data included.
        task_events: Track a `StructuredEvent` when a task ends: category `celery`, action `task_done`, `task_failed` or
            `task_retried`, the name of the task as label, its id as property, its duration in seconds as value.

    Raises:
        TypeError: `task_events` is used without a tracker, or the tracker is something else, such as the Celery application.

    New in version 1.2.0.
    """
    if tracker is None and task_events:
        raise TypeError("task_events needs a tracker.")
    if tracker is not None:
        check_tracker(tracker)
    tasks = _Tasks(tracker)
    wanted = {
        signals.before_task_publish: tasks.send_scope if propagate_scope else None,
        signals.task_prerun: tasks.open_scope,
        signals.task_postrun: tasks.close_scope,
        signals.task_success: partial(tasks.track, "task_done") if task_events else None,
        signals.task_failure: partial(tasks.track, "task_failed") if task_events else None,
        signals.task_retry: partial(tasks.track, "task_retried") if task_events else None,
    }
    for signal, receiver in wanted.items():
        signal.disconnect(dispatch_uid=_UID)
        if receiver is not None:
            signal.connect(receiver, weak=False, dispatch_uid=_UID)


class _Tasks:
    def __init__(self, tracker: Optional[Tracker]) -> None:
        self._tracker = tracker

    def send_scope(self, headers: Optional[Dict[str, Any]] = None, **_: Any) -> None:
        scope = innermost()
        if scope is None or headers is None or _HEADER in headers:
            return
        try:
            headers[_HEADER] = json.dumps(scope.as_dict())
        except (TypeError, ValueError):
            logger.exception("The scope could not be sent with a task.")

    def open_scope(self, task: Any = None, **_: Any) -> None:
        scope = _received_scope(task.request)
        scope.__enter__()
        setattr(task.request, _OPEN, (scope, time.monotonic()))

    def close_scope(self, task: Any = None, **_: Any) -> None:
        scope, _started = getattr(task.request, _OPEN, (None, 0.0))
        if scope is not None:
            scope.__exit__()

    def track(self, action: str, sender: Any = None, **_: Any) -> None:
        request = sender.request
        _scope, started = getattr(request, _OPEN, (None, time.monotonic()))
        if self._tracker is not None:
            self._tracker.track(
                StructuredEvent(
                    "celery",
                    action,
                    label=sender.name,
                    property_=request.id,
                    value=round(time.monotonic() - started, 3),
                )
            )


def _received_scope(request: Any) -> Scope:
    text = request.get(_HEADER) or (request.get("headers") or {}).get(_HEADER)
    if text is None:
        return Scope()
    try:
        return Scope.from_dict(json.loads(text))
    except (TypeError, ValueError):
        logger.warning("The scope that was sent with a task cannot be read, and is ignored.")
        return Scope()
