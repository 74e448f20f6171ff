"""Events in hand: they are sent in bounded requests, and each request has one outcome that settles its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Sequence, Tuple

from snowplow_tracker._delivery.encoding import LARGEST_BODY
from snowplow_tracker._delivery.outcome import (
    NO_ANSWER,
    HttpStatus,
    Outcome,
    Verdict,
    judge,
    read_status,
)
from snowplow_tracker._delivery.stats import DropReason, EmitterState
from snowplow_tracker._late_imports import guard
from snowplow_tracker._late_logging import late_logger
from snowplow_tracker._wording import events_text
from snowplow_tracker.typing import PayloadDict, PayloadDictList

if TYPE_CHECKING:
    from snowplow_tracker._delivery.delivery import Delivery
    from snowplow_tracker._delivery.sender import Sender

logger = late_logger("snowplow_tracker.emitters")

_LONGEST_URL_PARAMETERS = 16_000
"""Bytes. The collector answers 400 to a GET whose request line is over 20,480; proxies before it may take less."""

_MOST_FAILED_GETS = 3
"""GET requests of a batch that may fail in a row before it is the collector that is failing, not the events."""


class Batch:
    """Events that the store handed out, until each has its fate.

    Args:
        emitter: Whose events they are.
        events: The events.
        delivery: Keeps the counters, the store and the news about the collector.
        epoch: Says in which process they were handed out: a forked child has another.
        known_failures: How many attempts in a row had failed by then.
    """

    def __init__(
        self,
        emitter: Sender,
        events: PayloadDictList,
        delivery: Delivery,
        epoch: int,
        known_failures: int,
    ) -> None:
        self.events = events
        self.epoch = epoch
        self.known_failures = known_failures
        self.open = len(events)
        self.failed = False
        self.settled: List[Sequence[PayloadDict]] = []
        self._emitter = emitter
        self._delivery = delivery

    def leftovers(self) -> PayloadDictList:
        """The events that nobody settled: an overridden `send_events` or an exception passed them by."""
        if self.open <= 0:
            return []
        done = {id(event) for events in self.settled for event in events}
        return [event for event in self.events if id(event) not in done]

    def put_back(self, events: PayloadDictList) -> None:
        """Have events tried again that no request can be blamed for."""
        self.failed = True
        self._delivery.failed(self._emitter, None, self.known_failures)
        if events:
            self._delivery.tell_store(events, need_retry=True)
            self._delivery.account(self, events, back=True)

    def let_go(self, events: PayloadDictList) -> None:
        """Take events as sent: an override took their fate into its own hands, as it could in 1.1.0."""
        if events:
            self._delivery.tell_store(events, need_retry=False)
            self._delivery.account(self, events, sent=True)

    def deliver(self, events: PayloadDictList) -> None:
        """Send events, and settle each."""
        if self._emitter.method == "post":
            self._post(events)
        else:
            self._get(events)

    # POST ----------------------------------------------------------------------------------------

    def _post(self, events: PayloadDictList) -> None:
        emitter, delivery = self._emitter, self._delivery
        parts = [events]  # a stack: what is to be sent next is at its end
        while parts:
            if self.epoch != delivery.epoch:
                return  # a callback forked: in the child these events are the parent's
            part = parts.pop()
            if not part:
                continue
            chunk = part[: emitter.most_events]
            emitter.attach_sent_timestamp(chunk)
            try:
                body, size = delivery.encoder.next_body(
                    chunk,
                    min(emitter.max_request_bytes, delivery.learned_bytes),
                    considerate=delivery.in_background,
                )
            except Exception:
                fit = self._encodable(chunk)
                parts.extend((part[len(chunk) :], fit if len(fit) < len(chunk) else []))
                if len(fit) == len(chunk):
                    self._give_up(chunk, DropReason.ENCODING, "not together, though each alone")
                continue
            chunk = part[:size]
            if size < len(part):
                parts.append(part[size:])
            if len(body) > LARGEST_BODY:
                self._give_up(chunk, DropReason.TOO_LARGE, _too_large(len(body)))
                continue
            outcome = self._attempt(emitter.http_post, body)
            if outcome.verdict is Verdict.TOO_LARGE and len(chunk) > 1:
                self._refused_as_too_large(chunk, len(body))
                middle = len(chunk) // 2
                parts.extend((chunk[middle:], chunk[:middle]))
            elif outcome.verdict is Verdict.RETRY:
                untried = [event for later in reversed(parts) for event in later]
                self._retry_later(chunk, untried, outcome, 0, chunk)
                return
            elif outcome.verdict is Verdict.SENT:
                delivery.learn_from_success()
                self._sent(chunk)
            else:
                self._refused(chunk, outcome)

    def _encodable(self, events: PayloadDictList) -> PayloadDictList:
        """Give up the events that cannot be encoded, and return the others."""
        fit: PayloadDictList = []
        for event in events:
            try:
                self._delivery.encoder.encode(event)
            except Exception as error:
                detail = f"{type(error).__name__}: {error}"
                self._give_up([event], DropReason.ENCODING, detail)
            else:
                fit.append(event)
        return fit

    def _refused_as_too_large(self, events: PayloadDictList, size: int) -> None:
        self._delivery.learn_limit(size)
        logger.warning(
            "%s refused %d events of %d bytes as too large: they are sent in smaller requests.",
            self._emitter.endpoint,
            len(events),
            size,
        )
        self._delivery.call_back("on_failure", self._emitter.on_failure, 0, events)

    # GET -----------------------------------------------------------------------------------------

    def _get(self, events: PayloadDictList) -> None:
        """Send each event by itself. Each has its own outcome; the callbacks hear of all of them together."""
        emitter, delivery = self._emitter, self._delivery
        sent: PayloadDictList = []
        failed: PayloadDictList = []
        again: PayloadDictList = []
        refused: List[Tuple[PayloadDict, Outcome]] = []
        last_failure: Optional[Outcome] = None
        tried = in_a_row = 0
        for event in events:
            tried += 1
            outcome = self._attempt_get(event)
            if outcome.verdict is Verdict.SENT:
                in_a_row = 0
                sent.append(event)
                continue
            failed.append(event)
            if outcome.verdict is not Verdict.RETRY:
                refused.append((event, outcome))
                continue
            again.append(event)
            last_failure = outcome
            in_a_row += 1
            wants_rest = outcome.status == NO_ANSWER or outcome.retry_after is not None
            if wants_rest or in_a_row == _MOST_FAILED_GETS:
                break  # nobody is there, or wants to be left alone: the others need not be tried
        if sent:
            self._sent(sent, news=not again)
        delivery.count_failed_attempts(len(failed) - (1 if again else 0))
        if last_failure is not None:
            self._retry_later(again, events[tried:], last_failure, len(sent), failed)
        elif failed:
            delivery.succeeded()
            delivery.call_back("on_failure", emitter.on_failure, len(sent), failed)
        for event, outcome in refused:
            self._give_up([event], _drop_reason(outcome), self._answer(outcome))

    def _attempt_get(self, event: PayloadDict) -> Outcome:
        emitter = self._emitter
        emitter.attach_sent_timestamp([event])
        try:
            if _url_bytes(event) <= _LONGEST_URL_PARAMETERS:
                return self._attempt(emitter.http_get, event)
            body, _ = self._delivery.encoder.next_body([event], LARGEST_BODY)
        except Exception as error:
            return Outcome(Verdict.REJECTED, NO_ANSWER, detail=f"{type(error).__name__}: {error}")
        if len(body) > LARGEST_BODY:
            return Outcome(Verdict.TOO_LARGE, NO_ANSWER, detail=_too_large(len(body)))
        return self._attempt(emitter.http_post, body)

    # One request, and what becomes of its events ----------------------------------------------------

    def _attempt(self, request: Callable[[Any], Any], argument: object) -> Outcome:
        """Make one request. Whatever it raises is a failed attempt, unless it is meant to end the thread."""
        try:
            status = read_status(request(argument))
        except BaseException as error:
            if not self._delivery.ends_here(error):
                raise
            logger.debug("The request raised.", exc_info=True)
            status = HttpStatus(NO_ANSWER)
            status.error = error
        return judge(status, self._emitter.is_good_status_code, self._emitter.custom_retry_codes)

    def _sent(self, events: PayloadDictList, *, news: bool = True) -> None:
        if news:
            self._delivery.succeeded()
        self._delivery.tell_store(events, need_retry=False)
        try:
            self._delivery.call_back("on_success", self._emitter.on_success, events)
        finally:
            self._delivery.account(self, events, sent=True)

    def _refused(self, events: PayloadDictList, outcome: Outcome) -> None:
        self._delivery.succeeded()  # it answered, so there is no reason to leave it alone
        self._delivery.count_failed_attempts(1)
        self._delivery.call_back("on_failure", self._emitter.on_failure, 0, events)
        self._give_up(events, _drop_reason(outcome), self._answer(outcome))

    def _answer(self, outcome: Outcome) -> str:
        return f"{outcome.detail} from {self._emitter.endpoint}"

    def _retry_later(
        self,
        tried: PayloadDictList,
        untried: PayloadDictList,
        outcome: Outcome,
        sent_count: int,
        failed: PayloadDictList,
    ) -> None:
        """Put events back: those that were tried in vain, and those behind them that were not tried.

        Args:
            tried: They count as tried once more.
            untried: They do not.
            outcome: Of the last attempt that failed.
            sent_count: For `on_failure`.
            failed: For `on_failure`.
        """
        emitter, delivery = self._emitter, self._delivery
        self.failed = True
        delivery.failed(emitter, outcome, self.known_failures)
        again, exhausted = delivery.count_tries(tried, emitter.max_retries)
        closed = delivery.state is EmitterState.CLOSED and not delivery.store.durable
        back = [] if closed else again + untried
        delivery.tell_store(back, need_retry=True)
        delivery.count_failed_attempts(1, retried=len(again))
        logger.warning(
            "Sending %s to %s failed (%s); the next attempt is in %.1f seconds at the earliest.",
            events_text(len(tried)),
            emitter.endpoint,
            outcome.detail,
            delivery.backoff.delay,
        )
        try:
            with delivery.refusing_again(again):
                delivery.call_back("on_failure", emitter.on_failure, sent_count, failed)
        finally:
            delivery.account(self, back, back=True)
        if exhausted:
            self._give_up(exhausted, DropReason.RETRIES_EXHAUSTED, outcome.detail)
        if closed:
            self._give_up(again + untried, DropReason.EXIT, outcome.detail)

    def _give_up(self, events: PayloadDictList, reason: DropReason, detail: str) -> None:
        self._delivery.tell_store(events, need_retry=False)
        try:
            self._delivery.drop(self._emitter, events, reason, detail)
        finally:
            self._delivery.account(self, events)


def _drop_reason(outcome: Outcome) -> DropReason:
    return DropReason.TOO_LARGE if outcome.verdict is Verdict.TOO_LARGE else DropReason.REJECTED


def _too_large(size: int) -> str:
    return f"{size} bytes, and the collector throws away more than {LARGEST_BODY}"


def _url_bytes(event: Mapping[str, object]) -> int:
    """An upper bound of the event's length in a URL that is exact enough: escaping can triple it."""
    size = sum(len(str(value)) for value in event.values())
    if size * 12 <= _LONGEST_URL_PARAMETERS:  # four bytes of UTF-8, three characters each
        return size
    with guard:
        from urllib.parse import urlencode

    return len(
        urlencode({key: str(value).encode("utf-8", "replace") for key, value in event.items()})
    )
