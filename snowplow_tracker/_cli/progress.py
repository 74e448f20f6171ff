"""Progress of a long-running command: one line that is updated on a terminal, or log lines."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import deque
from typing import Deque, NamedTuple, Optional, TextIO, Tuple, TypeVar

from snowplow_tracker._cli.common import knows_codes
from snowplow_tracker._delivery.stats import DeliveryStats
from snowplow_tracker._stores.redaction import redact

_package = logging.getLogger("snowplow_tracker")
_RATE_OVER = 5.0
_REDRAW_INTERVAL = 0.2


_Reporter = TypeVar("_Reporter", bound="Reporter")


class Progress(NamedTuple):
    """The progress of a worker."""

    sent: int
    queued: int
    failures: int
    dropped: int
    note: str = ""

    @classmethod
    def of(cls, stats: DeliveryStats, queued: int, note: str = "") -> Progress:
        """Return the progress of an emitter, of whose store the number of events is known."""
        return cls(stats.sent, queued, stats.failed_attempts, sum(stats.dropped.values()), note)


class Reporter(logging.Handler):
    """Writes progress, and inside a `with` statement the log of the package, to one stream without mixing them.

    Args:
        stream: The stream to write to; None if standard error is closed.
        interval: Seconds between progress lines if the stream is not a terminal.
    """

    def __init__(self, stream: Optional[TextIO], interval: float) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._stream = stream
        self._interval = interval
        self._on_terminal = knows_codes(stream)
        self._writing = threading.RLock()
        self._line = ""
        self._drawn_at = float("-inf")
        self._last: Optional[Progress] = None
        self._history: Deque[Tuple[float, int]] = deque([(time.monotonic(), 0)])

    def __enter__(self: _Reporter) -> _Reporter:
        _package.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        _package.removeHandler(self)

    def show(self, progress: Progress, *, final: bool = False) -> None:
        """Show the progress, if it is time to, or if this is the last call."""
        now = time.monotonic()
        due = now - self._drawn_at >= (_REDRAW_INTERVAL if self._on_terminal else self._interval)
        rate = self._rate(now, progress.sent)
        if self._on_terminal:
            if due or final:
                self._drawn_at = now
                self._draw(_sentence(progress, rate), final=final)
            return
        if self._last is None:
            self._last, self._drawn_at = progress, now
        elif due and not final:
            if progress != self._last:
                self._say(_sentence(progress, rate))
            self._last, self._drawn_at = progress, now

    def emit(self, record: logging.LogRecord) -> None:
        """Write a log record; on a terminal, above the progress line."""
        try:
            text = redact(self.format(record))
        except Exception:  # noqa: BLE001 - as in logging, an invalid record must not end the program
            self.handleError(record)
            return
        with self._writing:
            self._write(f"{self._eraser()}{text}\n{self._line}")

    def _say(self, text: str) -> None:
        self.handle(logging.LogRecord(__name__, logging.INFO, __file__, 0, text, None, None))

    def _draw(self, text: str, *, final: bool) -> None:
        with self._writing:
            eraser = self._eraser()
            columns = shutil.get_terminal_size().columns
            self._line = "" if final else text[: columns - 1]
            self._write(eraser + (f"{text}\n" if final else self._line))

    def _eraser(self) -> str:
        return "\r\x1b[K" if self._line else ""

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # The stream is closed. The worker continues without it.
            self._stream = None

    def _rate(self, now: float, sent: int) -> float:
        self._history.append((now, sent))
        while len(self._history) > 2 and now - self._history[0][0] > _RATE_OVER:
            self._history.popleft()
        since, before = self._history[0]
        return (sent - before) / max(0.001, now - since)


def _sentence(progress: Progress, rate: float) -> str:
    parts = [
        f"sent {progress.sent:,}",
        f"queued {progress.queued:,}",
        f"{rate:,.0f}/s",
        f"failed attempts {progress.failures:,}",
    ]
    if progress.dropped:
        parts.append(f"dropped {progress.dropped:,}")
    if progress.note:
        parts.append(progress.note)
    return ", ".join(parts)
