"""Private methods of the emitters of 1.1.0, for subclasses that copied its `send_events` and call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

from snowplow_tracker._delivery.engine import Engine
from snowplow_tracker._delivery.flush_timer import RetryTimer
from snowplow_tracker._delivery.outcome import Verdict, classify, read_status
from snowplow_tracker.typing import PayloadDictList

__all__ = ["LegacySending"]


class LegacySending:
    """What an override of `send_events` needs to decide about its events, on top of the engine.

    The engine itself calls none of these methods: overriding them has no effect.
    """

    _engine: Engine
    retry_timer: RetryTimer
    custom_retry_codes: Dict[int, bool]
    is_good_status_code: Any

    if TYPE_CHECKING:

        @property
        def retry_delay(self) -> float: ...

    def _should_retry(self, status_code: int) -> bool:
        outcome = classify(
            read_status(status_code), self.is_good_status_code, self.custom_retry_codes
        )
        return outcome.verdict in (Verdict.RETRY, Verdict.TOO_LARGE)

    def _set_retry_delay(self) -> None:
        self._engine.note_failure()

    def _reset_retry_delay(self) -> None:
        self._engine.core.succeeded()

    def _retry_failed_events(self, failed_events: PayloadDictList) -> None:
        self._engine.visible_store().cleanup(failed_events, True)
        if not self._engine.is_inside():  # else the engine retries by itself
            self._set_retry_timer(self.retry_delay)

    def _set_retry_timer(self, timeout: float) -> None:
        self.retry_timer.start(timeout=timeout)

    def _cancel_retry_timer(self) -> None:
        self.retry_timer.cancel()
