"""Sending: a permit, events from the store, requests of bounded size, and one outcome for each request, which settles its events."""

from __future__ import annotations

import enum
import logging
from typing import Any, Callable, List, Mapping, Optional, Tuple

from snowplow_tracker._delivery.counts import Counts
from snowplow_tracker._delivery.outcome import (
    NO_ANSWER,
    HttpStatus,
    Outcome,
    Verdict,
    classify,
    read_status,
)
from snowplow_tracker._delivery.sender import Owner, max_batch_events
from snowplow_tracker._delivery.settlement import Settlement, passes_on
from snowplow_tracker._delivery.state import Batch, Core, Permit, Phase, permit_in_use
from snowplow_tracker._delivery.stats import DropReason, EmitterState
from snowplow_tracker._messages import events_text
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._protocol.bodies import EventEncoder
from snowplow_tracker._protocol.text import well_formed
from snowplow_tracker.typing import PayloadDict, PayloadDictList

logger = logging.getLogger("snowplow_tracker.emitters")

_MAX_URL_BYTES = 16_000
"""For the parameters. The collector answers 400 if the request line is longer than 20,480 bytes; proxies may accept less."""

_MAX_FAILED_GETS = 3
"""After this many failed GET requests in a row the collector is taken to fail, not the events."""

_MIN_BODY_BYTES = 1_000
"""Minimum for the maximum size of a body, however often bodies were refused as too large."""

_RENEW_SECONDS = 1.0
"""Seconds between renewals of the leases of events that are being sent."""


class Dispatch:
    """Makes the requests for events, and has each event settled by the outcome of its request.

    Args:
        settlement: Settles the events.
        in_background: Whether worker threads send.
    """

    def __init__(self, settlement: Settlement, *, in_background: bool) -> None:
        self.encoder = EventEncoder()
        self._settlement = settlement
        self._in_background = in_background
        self._renewed = 0.0

    def deliver(self, permit: Permit, events: PayloadDictList) -> None:
        """Send events of a permit's batch, and settle each."""
        try:
            if permit.sender.method == "post":
                self._post(permit, events)
            else:
                self._get(permit, events)
        except _ForkedError:
            pass

    def _check_fork(self, permit: Permit) -> None:
        """Stop in a child that a callback has forked: the events belong to the parent."""
        if permit.core is not self._settlement.core:
            raise _ForkedError

    # POST

    def _post(self, permit: Permit, events: PayloadDictList) -> None:
        sender, core, batch = permit.sender, permit.core, permit.batch
        parts = [events]  # a stack: the next part is the last
        posted = 0
        while parts:
            body, chunk = self._next_request(permit, parts)
            if not chunk:
                continue
            self._renew(batch)
            outcome = self._attempt(permit, sender.http_post, body)
            if outcome.verdict is Verdict.TOO_LARGE and len(chunk) > 1:
                self._split(permit, chunk, len(body), outcome)
                middle = len(chunk) // 2
                parts.extend((chunk[middle:], chunk[:middle]))
                continue
            if outcome.verdict is Verdict.RETRY:
                self._retry_later(permit, chunk, _all_of(parts), outcome, 0, chunk)
                return
            core.succeeded()  # where it refused the events, too: there is no outage
            if outcome.verdict is Verdict.SENT:
                if core.max_body_bytes < sender.max_request_bytes:
                    # The limit may be gone: try larger bodies, which costs a refused request from time to time.
                    core.max_body_bytes += core.max_body_bytes // 32
                self._settlement.sent(permit, chunk)
                self._check_fork(permit)
            else:
                self._settlement.count_failed_attempts(1)
                self._call_back(permit, "on_failure", sender.on_failure, 0, chunk)
                self._drop_refused(permit, chunk, outcome)
            posted += len(body)
            if permit.one_batch and _is_full_batch(permit, posted):
                rest = _all_of(parts)
                if rest:
                    core.has_backlog = True
                    self._settlement.requeue(batch, rest)
                return

    def _next_request(
        self, permit: Permit, parts: List[PayloadDictList]
    ) -> Tuple[str, PayloadDictList]:
        """Take the events of the next request off a stack of parts.

        Returns:
            The body and its events; no events if the next part has to be looked at in another way, which is on the stack.
        """
        sender, core = permit.sender, permit.core
        part = parts.pop()
        chunk = part[: max_batch_events(sender)]
        if not chunk:
            return "", []
        sender.attach_sent_timestamp(chunk)
        max_bytes = min(
            sender.max_request_bytes, sender.byte_limit or core.max_body_bytes, core.max_body_bytes
        )
        try:
            body, size = self.encoder.next_body(chunk, max_bytes, yielding=self._in_background)
        except Exception as error:
            if passes_on(error):
                raise
            fit = self._encodable(permit, chunk)
            if len(fit) == len(chunk) == 1:
                self._drop(permit, chunk, DropReason.ENCODING, f"{type(error).__name__}: {error}")
                fit = []
            # Each alone, but not together: another thread raised something, or the memory was short.
            middle = len(fit) // 2 if len(fit) == len(chunk) else len(fit)
            parts.extend((part[len(chunk) :], fit[middle:], fit[:middle]))
            return "", []
        if not size:
            complete = [event for event in part if self.encoder.is_complete(event)]
            others = [event for event in part if not self.encoder.is_complete(event)]
            parts.extend((others, complete))
        elif size < len(part):
            parts.append(part[size:])
        return body, part[:size]

    def _encodable(self, permit: Permit, events: PayloadDictList) -> PayloadDictList:
        """Drop the events that cannot be encoded, and return the others."""
        fit: PayloadDictList = []
        for event in events:
            try:
                self.encoder.encode(event)
            except Exception as error:
                if passes_on(error):
                    raise
                detail = f"{type(error).__name__}: {error}"
                self._drop(permit, [event], DropReason.ENCODING, detail)
            else:
                fit.append(event)
        return fit

    def _split(self, permit: Permit, events: PayloadDictList, size: int, outcome: Outcome) -> None:
        """Remember the size that was refused with status 413, so that later requests are smaller."""
        core = permit.core
        core.max_body_bytes = max(_MIN_BODY_BYTES, min(core.max_body_bytes, size // 2))
        self._settlement.count_failed_attempts(1)
        logger.warning(
            "%s refused %d events of %d bytes as too large: they are sent in smaller requests.",
            outcome.endpoint,
            len(events),
            size,
        )
        self._call_back(permit, "on_failure", permit.sender.on_failure, 0, events)

    # GET

    def _get(self, permit: Permit, events: PayloadDictList) -> None:
        """Send each event in its own request, with its own outcome. Callbacks are called once for all."""
        sender, settlement, batch = permit.sender, self._settlement, permit.batch
        sent: PayloadDictList = []
        again: PayloadDictList = []
        refused: List[Tuple[PayloadDict, Outcome]] = []
        last_failure: Optional[Outcome] = None
        tried = in_a_row = 0
        # Each is settled before the next is sent, so that an expired lease or an interrupt repeats none. A store with only
        # the methods of 1.1.0 is called once per batch, as there.
        settles_each = settlement.store.durable or settlement.store.copies
        for event in events:
            self._renew(batch)
            tried += 1
            outcome = self._attempt_get(permit, event)
            if outcome.verdict is Verdict.SENT:
                in_a_row = 0
                sent.append(event)
                if settles_each:
                    settlement.acknowledge(batch, [event], Counts(sent=1, settled=1))
            elif outcome.verdict is not Verdict.RETRY:
                refused.append((event, outcome))
            else:
                again.append(event)
                last_failure = outcome
                in_a_row += 1
                wants_rest = outcome.status == NO_ANSWER or outcome.retry_after is not None
                if wants_rest or in_a_row == _MAX_FAILED_GETS:
                    break  # no answer, or a request to wait: do not try the others
        if sent and not settles_each:
            settlement.acknowledge(batch, sent, Counts(sent=len(sent), settled=len(sent)))
        untried = events[tried:]
        unsent = {id(event) for event in (*again, *untried, *(each for each, _ in refused))}
        failed = [event for event in events if id(event) in unsent]
        if sent and not again:
            permit.core.succeeded()
        if sent:
            self._call_back(permit, "on_success", sender.on_success, sent)
        settlement.count_failed_attempts(len(refused) + len(again) - (1 if again else 0))
        if last_failure is not None:
            self._retry_later(permit, again, untried, last_failure, len(sent), failed)
        elif failed:
            permit.core.succeeded()
            self._call_back(permit, "on_failure", sender.on_failure, len(sent), failed)
        for event, outcome in refused:
            self._drop_refused(permit, [event], outcome)

    def _attempt_get(self, permit: Permit, event: PayloadDict) -> Outcome:
        sender, body = permit.sender, ""
        sender.attach_sent_timestamp([event])
        try:
            if _url_bytes(event) > _MAX_URL_BYTES:
                body, _ = self.encoder.next_body([event], sender.max_request_bytes)
        except Exception as error:
            if passes_on(error):
                raise
            return Outcome(Verdict.REJECTED, NO_ANSWER, detail=f"{type(error).__name__}: {error}")
        if body:
            return self._attempt(permit, sender.http_post, body)
        return self._attempt(permit, sender.http_get, event)

    # One request, and what becomes of its events

    def _attempt(self, permit: Permit, request: Callable[[Any], Any], argument: object) -> Outcome:
        """Make one request. An exception of an override is a failed attempt, unless it is meant to stop this thread."""
        try:
            status = read_status(request(argument))
        except BaseException as error:
            if passes_on(error):
                raise
            logger.debug("The request raised.", exc_info=True)
            status = HttpStatus(NO_ANSWER)
            status.error = error
        self._check_fork(permit)
        sender = permit.sender
        return classify(
            status, sender.is_good_status_code, sender.custom_retry_codes, sender.endpoint
        )

    def _renew(self, batch: Batch) -> None:
        now = monotonic()
        if self._settlement.store.durable and now - self._renewed >= _RENEW_SECONDS:
            self._renewed = now
            self._settlement.renew(batch.open_events())

    def _retry_later(
        self,
        permit: Permit,
        tried: PayloadDictList,
        untried: PayloadDictList,
        outcome: Outcome,
        sent_count: int,
        failed: PayloadDictList,
    ) -> None:
        """Requeue events after a failed attempt: those that were tried, and those behind them.

        Args:
            permit: Their permit.
            tried: Events that were tried: it counts as a retry.
            untried: Events that were not.
            outcome: The outcome of the failed attempt.
            sent_count: For `on_failure`.
            failed: For `on_failure`.
        """
        sender, settlement = permit.sender, self._settlement
        core, batch = permit.core, permit.batch
        batch.failed = True
        settlement.failed(outcome, permit.generation)
        settlement.count_failed_attempts(1)
        again, exhausted = core.count_tries(tried, sender.max_retries)
        closed = core.life is EmitterState.CLOSED and not settlement.store.durable
        delay, asked = core.breaker.delay, core.breaker.asked
        why = ""
        if asked is not None:
            why = ", as the collector asked (Retry-After)"
            if asked > delay:
                why = ", the longest delay: the collector asked for more (Retry-After)"
        logger.warning(
            "Sending %s to %s failed (%s); the next attempt is in %.1f seconds%s.",
            events_text(len(tried)),
            outcome.endpoint,
            outcome.detail,
            delay,
            why,
        )
        if not closed:
            settlement.requeue(batch, again + untried, retried=len(again))
        with settlement.ignoring(again):
            self._call_back(permit, "on_failure", sender.on_failure, sent_count, failed)
        self._drop(permit, exhausted, DropReason.RETRIES_EXHAUSTED, outcome.detail)
        if closed:
            self._drop(permit, again + untried, DropReason.EXIT, outcome.detail)

    def _drop_refused(self, permit: Permit, events: PayloadDictList, outcome: Outcome) -> None:
        too_large = outcome.verdict is Verdict.TOO_LARGE
        reason = DropReason.TOO_LARGE if too_large else DropReason.REJECTED
        self._drop(permit, events, reason, f"{outcome.detail} from {outcome.endpoint}")

    def _drop(
        self, permit: Permit, events: PayloadDictList, reason: DropReason, detail: str
    ) -> None:
        self._settlement.drop(permit.batch, events, reason, detail)
        self._check_fork(permit)

    def _call_back(
        self, permit: Permit, name: str, callback: Optional[Callable[..., None]], *arguments: object
    ) -> None:
        self._settlement.call_back(name, callback, *arguments)
        self._check_fork(permit)


class _ForkedError(Exception):
    """This is a child that a callback has forked."""


def _all_of(parts: List[PayloadDictList]) -> PayloadDictList:
    return [event for part in reversed(parts) for event in part]


def _is_full_batch(permit: Permit, posted: int) -> bool:
    """Return whether as much is settled as fills a batch, by events or by bytes that were posted."""
    sender, batch = permit.sender, permit.batch
    if len(batch.events) - len(batch.progress.open) >= sender.batch_size:
        return True
    return sender.byte_limit is not None and posted > sender.byte_limit


def _url_bytes(event: Mapping[str, object]) -> int:
    """Return an upper bound of the event's length in a URL, where escaping can triple each byte."""
    size = sum(len(str(value)) for value in event.values())
    if size * 12 <= _MAX_URL_BYTES:  # four bytes of UTF-8, three characters each
        return size
    from urllib.parse import urlencode  # imported with the emitter

    return len(
        urlencode({well_formed(key): well_formed(str(value)) for key, value in event.items()})
    )


class Step(enum.Enum):
    """The result of one round."""

    SENT = "the events of a batch are settled"
    SENT_AND_ASKED = "the same, and a callback asked for a flush of what it tracked"
    FAILED = "events of a batch were requeued"
    EMPTY = "the store returned no events"
    NOT_NOW = "the delay after a failure is not over, or another thread has the probe"

    @property
    def is_sent(self) -> bool:
        """Whether the events of a batch are settled."""
        return self in (Step.SENT, Step.SENT_AND_ASKED)


class Sending:
    """Takes events out of the store, sends and settles them. Every permit that it takes is given back.

    Args:
        core: The shared state.
        settlement: Settles the events.
        dispatch: Makes the requests.
        owner: The emitter.
        wake: Notes that there are events.
    """

    def __init__(
        self,
        core: Core,
        settlement: Settlement,
        dispatch: Dispatch,
        owner: Owner,
        *,
        wake: Callable[[], object],
    ) -> None:
        self.core = core
        self._settlement = settlement
        self._dispatch = dispatch
        self._owner = owner
        self._wake = wake

    def step(
        self, *, forced: bool = False, deadline: Optional[float] = None, one_batch: bool = False
    ) -> Step:
        """Take one batch and send it.

        Args:
            forced: Whether to ignore our own delay after a failure.
            deadline: When requests have to end, on the clock of the core; None for no deadline.
            one_batch: Whether to send no more than a full batch where that would take further requests.
        """
        core = self.core
        self.recover_lost()
        permit = core.try_begin(self._owner.get(), forced=forced)
        if permit is None:
            return Step.NOT_NOW
        try:
            permit.deadline = deadline
            permit.one_batch = one_batch
            return self._send(permit)
        finally:
            self._end(permit)

    def _send(self, permit: Permit) -> Step:
        core, batch, sender = permit.core, permit.batch, permit.sender
        max_events = max_batch_events(sender)
        if permit.one_batch:
            max_events = max(sender.batch_size, 1 if sender.method == "get" else max_events)
        try:
            self._settlement.store.take(batch, max_events)
        except Exception as error:
            if passes_on(error):
                raise
            logger.exception("The event store raised an error in get_events_batch().")
            self._settlement.failed(None, permit.generation)
            batch.failed = True
            return Step.FAILED
        if not batch.progress.open:
            return Step.EMPTY
        core.taken(len(batch.events))
        try:
            sender.send_events(batch.events)
        except BaseException as error:
            if passes_on(error):
                raise
            logger.exception("send_events raised: its events will be tried again.")
            batch.failed = True
            self._settlement.failed(None, permit.generation)
        else:
            if batch.progress.open and core is self._settlement.core:
                # Events that an override of `send_events` has handled itself.
                self._settlement.taken_over(batch, batch.open_events())
        if batch.failed:
            return Step.FAILED
        return Step.SENT_AND_ASKED if permit.flush_again else Step.SENT

    def _end(self, permit: Permit) -> None:
        """Requeue what was not settled, and give the permit back."""
        batch = permit.batch
        if batch.progress.open and permit.core is self._settlement.core:
            batch.failed = True
            self._settlement.requeue(batch, batch.open_events())
        core = permit.core
        if (
            batch.failed
            and core.demand.phase is Phase.ASLEEP
            and core.life is not EmitterState.CLOSED
            and core is self._settlement.core
        ):
            # Another thread found the store empty meanwhile; or the events did not come from it.
            self._wake()
        core.end_permit(permit)

    def recover_lost(self) -> None:
        """Requeue the events of interrupted rounds."""
        for batch in self.core.take_back_lost():
            self.requeue_orphan(batch)

    def requeue_orphan(self, batch: Batch) -> None:
        """Requeue the events of a batch whose round was interrupted."""
        self._settlement.requeue(batch, batch.open_events())
        self.core.close_orphan(batch)

    def abandon(self) -> None:
        """Drop the events in the store: they will not be sent."""
        core = self.core
        while True:
            permit = core.begin(self._owner.get())
            batch = permit.batch
            try:
                self._settlement.store.take(batch, max_batch_events(permit.sender))
                if not batch.progress.open:
                    return
                self._settlement.drop(batch, batch.events, DropReason.EXIT, reported=True)
            except Exception as error:
                if passes_on(error):
                    raise
                logger.exception("The event store raised an error in get_events_batch().")
                return
            finally:
                self._end(permit)

    def deliver(self, events: PayloadDictList) -> None:
        """Send events in bounded requests and settle each: what `Emitter.send_events` does."""
        permit = permit_in_use(self.core)
        if permit is not None:
            self._dispatch.deliver(permit, events)
        elif events:
            self._deliver_from_outside(events)

    def settle(self, events: PayloadDictList, need_retry: bool) -> None:
        """Settle events with which an override of `send_events` calls `cleanup` of the store."""
        permit = permit_in_use(self.core)
        events = [*events]
        known = [] if permit is None else permit.batch.open_among(events)
        ids = {id(event) for event in known}
        others = [event for event in events if id(event) not in ids]
        if others or not known:
            self._settlement.store.cleanup(others, need_retry)
        if permit is None or not known:
            return
        if need_retry:
            self._settlement.failed_outside(permit, known)
        else:
            self._settlement.taken_over(permit.batch, known)

    def _deliver_from_outside(self, events: PayloadDictList) -> None:
        """Send events that a user passed to `send_events`, which are not from the store."""
        permit = self.core.begin(self._owner.get())
        batch = permit.batch
        try:
            batch.progress = batch.received(events)
            self._settlement.store.count_from_outside(len(events))
            self._dispatch.deliver(permit, events)
        finally:
            self._end(permit)
