"""Methods that the emitters of 1.1.0 had, and that nothing here needs."""

from __future__ import annotations

from typing import Callable, Dict, Optional

from snowplow_tracker._delivery.engine import Engine
from snowplow_tracker._delivery.flush_timer import RetryTimer
from snowplow_tracker._delivery.outcome import Verdict, classify, read_status
from snowplow_tracker._http.endpoint import collector_uri
from snowplow_tracker.typing import HttpProtocol, Method, PayloadDictList


class LegacySending:
    """Methods for subclasses that copied `send_events` of 1.1.0 and call them, and for programs that look inside.

    The engine itself calls none of these methods: overriding them has no effect.
    """

    _engine: Engine
    retry_timer: RetryTimer
    custom_retry_codes: Dict[int, bool]
    is_good_status_code: Callable[[int], bool]

    @staticmethod
    def as_collector_uri(
        endpoint: str,
        protocol: HttpProtocol = "https",
        port: Optional[int] = None,
        method: Method = "post",
    ) -> str:
        """Build the URL that requests go to.

        Args:
            endpoint: A host, with or without a port, or a URL.
            protocol: Used where the endpoint has none.
            port: Used where the endpoint has none.
            method: `"post"` or `"get"`: they have different paths.

        Raises:
            TypeError: The endpoint is not a string.
            ValueError: The endpoint is empty, or does not make a URL.
        """
        return collector_uri(endpoint, protocol, port, method, None)

    @property
    def retry_delay(self) -> float:
        """Seconds from the last failed attempt to the next; 0 if the last attempt succeeded."""
        return self._engine.retry_delay

    @retry_delay.setter
    def retry_delay(self, seconds: float) -> None:
        self._engine.retry_delay = seconds

    def async_flush(self) -> None:
        """Do nothing, as in 1.1.0. To send in the background, use `flush` of an `AsyncEmitter`."""

    def _should_retry(self, status_code: int) -> bool:
        outcome = classify(
            read_status(status_code), self.is_good_status_code, self.custom_retry_codes
        )
        return outcome.verdict in (Verdict.RETRY, Verdict.TOO_LARGE)

    def _set_retry_delay(self) -> None:
        self._engine.note_failure()

    def _reset_retry_delay(self) -> None:
        self._engine.note_success()

    def _retry_failed_events(self, failed_events: PayloadDictList) -> None:
        self._engine.visible_store().cleanup(failed_events, True)
        if not self._engine.is_inside():  # else the engine retries by itself
            self._set_retry_timer(self.retry_delay)

    def _set_retry_timer(self, timeout: float) -> None:
        self.retry_timer.start(timeout=timeout)

    def _cancel_retry_timer(self) -> None:
        self.retry_timer.cancel()
