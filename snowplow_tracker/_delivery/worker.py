"""The threads of an emitter that sends in the background."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, List

from snowplow_tracker._late_logging import late_logger

if TYPE_CHECKING:
    from snowplow_tracker._delivery.delivery import Delivery
    from snowplow_tracker._delivery.sender import Sender

logger = late_logger("snowplow_tracker.emitters")


class Workers:
    """Daemon threads that start with the first event and end with their emitter.

    A thread that waits holds no reference to the emitter, so that an emitter nobody needs is collected, and its
    threads end.

    Args:
        count: How many threads.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._threads: List[threading.Thread] = []
        self._lock = threading.Lock()

    def ensure_started(self, emitter: Sender, delivery: Delivery) -> None:
        """Start the threads that do not run yet: at the first event, and again after a fork."""
        if len(self._threads) == self._count and self.alive():
            return
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            reference = weakref.ref(emitter, delivery.stop)
            for number in range(len(self._threads), self._count):
                thread = threading.Thread(
                    target=_run,
                    args=(reference, delivery),
                    name=f"snowplow-emitter-{number + 1}",
                    daemon=True,
                )
                try:
                    thread.start()
                except RuntimeError as error:  # at interpreter shutdown, or no threads left
                    logger.warning(
                        "A sending thread could not be started (%s); flush and exit still send.",
                        error,
                    )
                    return
                self._threads.append(thread)

    def alive(self) -> bool:
        """Whether at least one thread runs."""
        return any(thread.is_alive() for thread in self._threads)

    def forget(self) -> None:
        """Forget the threads of the parent process."""
        self._threads = []
        self._lock = threading.Lock()


def _run(reference: weakref.ReferenceType[Sender], delivery: Delivery) -> None:
    while delivery.wait_for_work():
        emitter = reference()
        if emitter is None:
            return
        run_guarded(delivery, emitter)
        del emitter


def run_guarded(delivery: Delivery, emitter: Sender) -> None:
    """Do one round of work; nothing that it raises may end the thread."""
    try:
        delivery.work(emitter)
    except (
        BaseException
    ):  # SystemExit from a callback, for instance, would end the thread without a word
        logger.exception("A sending thread was interrupted; it goes on.")
