"""The entries of a Redis stream that this process has leased, and takes over from dead consumers."""

from __future__ import annotations

import logging
from typing import Callable, List, Tuple, Type, TypeVar

from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.interrupts import is_interrupt, suppress
from snowplow_tracker._stores.leasing import LeasedEvent, LeasedEvents, LeaseKeeper
from snowplow_tracker._stores.redaction import redact
from snowplow_tracker._stores.redis_link import Kind, RedisLink
from snowplow_tracker._stores.redis_stream import Entries, RedisStream
from snowplow_tracker._stores.redis_writer import RedisWriter
from snowplow_tracker.typing import PayloadDict, PayloadDictList

logger = logging.getLogger("snowplow_tracker.emitters")

_Result = TypeVar("_Result")

_CLAIM_INTERVAL = 1.0
_DEAD_CONSUMER_AFTER = 3_600.0
_STRAY_AFTER = 1.0
_GONE: PayloadDict = {}
"""A placeholder for an abandoned event, which goes back to its place."""


class RedisLeases:
    """Leases entries of the stream, and ensures that each is settled, renewed, or requeued.

    Invariant: an entry that this consumer has leased is in `_leased`, or recorded in the writer as settled;
    or `has_strays` is set, because an interrupt may have prevented that.

    Args:
        link: The link to Redis.
        stream: The stream.
        writer: Writes the results of deliveries to Redis.
        claim_after: Seconds without a sign of life, after which an entry goes to another consumer.
        event_class: The class of leased events.
    """

    def __init__(
        self,
        link: RedisLink,
        stream: RedisStream,
        writer: RedisWriter,
        claim_after: float,
        event_class: Type[LeasedEvent],
    ) -> None:
        self._link = link
        self._stream = stream
        self._writer = writer
        self._claim_after = claim_after
        self._event_class = event_class
        self._leased = LeasedEvents()
        self._keeper = LeaseKeeper(self._keep, claim_after / 3)
        self._renew_at = 0.0
        self._claim_at = 0.0
        self._tidy_at = monotonic() + claim_after
        self._has_strays = False

    # Leasing

    def lease(self, max_events: int) -> Tuple[PayloadDictList, int]:
        """Lease the oldest events: first those that were requeued or abandoned, then new ones.

        Returns:
            The events, and the number of entries without an event, which are dropped.

        Raises:
            Exception: One of the link's `failures`.
        """
        try:
            return self._record(self._lease(max_events))
        except BaseException as error:
            # Redis may have leased entries to us that never arrived here.
            self._has_strays = True
            if is_interrupt(error) or not isinstance(error, self._link.failures):
                self._keeper.ensure_running()
            raise

    def _lease(self, max_events: int) -> Entries:
        claimed = monotonic() >= self._claim_at
        entries = self._claim(max_events) if claimed else Entries([], [])
        if len(entries.ids) < max_events:
            try:
                new = self._link.call(
                    lambda: self._stream.read(max_events - len(entries.ids)), Kind.LEASE
                )
            except self._link.failures as error:
                if not entries.ids or is_interrupt(error):
                    raise
            else:
                entries = Entries(entries.ids + new.ids, entries.bodies + new.bodies)
        if not entries.ids and not claimed:
            entries = self._claim(max_events)
        return entries

    def _claim(self, max_events: int) -> Entries:
        if self._has_strays:
            self._requeue_strays()
        # Before Redis 6.2, nothing is claimed unless something is found.
        entries = self._call(lambda: self._stream.claim(max_events))
        if entries.ids:
            self._link.note_accepted(Kind.LEASE)
        now = monotonic()
        # Requeued events are sent before new ones.
        self._claim_at = now if len(entries.ids) >= max_events else now + _CLAIM_INTERVAL
        if now >= self._tidy_at:
            self._tidy_at = now + self._claim_after
            try:
                self._stream.forget_dead_consumers(max(_DEAD_CONSUMER_AFTER, 2 * self._claim_after))
            except self._link.failures as error:
                if is_interrupt(error):
                    raise
                logger.debug("Dead consumers could not be removed: %s", redact(str(error)))
        return entries

    def _record(self, entries: Entries) -> Tuple[PayloadDictList, int]:
        bodies = [
            (entry_id, body)
            for entry_id, body in zip(entries.ids, entries.bodies)
            if not self._writer.is_settled(entry_id)
        ]
        events, broken = self._leased.add(bodies, self._event_class)
        for entry_id in broken:
            self._writer.settle(entry_id, None)
        if events:
            self._keeper.ensure_running()
        return [*events], len(broken)

    # Settling

    def settle(
        self, batch: List[PayloadDict], *, need_retry: bool
    ) -> Tuple[bool, List[PayloadDict]]:
        """Record the results of events; return whether there are any, and the events that were not leased here.

        Events that an earlier consumer had leased are in neither.
        """
        foreign: List[PayloadDict] = []
        settled = False
        for event in batch:
            entry_id = self._leased.find(event)
            if entry_id is not None:
                # Recorded first: after an interrupt here it is settled twice, which has no effect.
                self._writer.settle(entry_id, event if need_retry else None)
                self._leased.remove(entry_id)
                settled = True
            elif getattr(event, "entry_id", None) is None:
                foreign.append(event)
        if need_retry:
            self._claim_at = 0.0
        return settled, foreign

    # Renewing

    def renew(self) -> None:
        """Renew all leases, but not too often."""
        now = monotonic()
        if now >= self._renew_at and self._link.may_try(Kind.LEASE):
            self._renew_at = now + self._claim_after / 6
            self._renew_all()

    def _renew_all(self) -> None:
        held = set(self._leased.entry_ids())
        if not held:
            return
        with suppress(*self._link.failures):
            self._call(lambda: self._stream.renew(held))

    def _keep(self) -> bool:
        """Renew the leases, in a thread, and return whether there are any."""
        for entry_id in self._leased.abandoned():
            self._writer.settle(entry_id, _GONE)
            self._leased.remove(entry_id)
        if self._writer.is_busy:
            self._writer.wake()
        if self._link.may_try(Kind.LEASE):
            if self._has_strays:
                self._requeue_strays()
            self._renew_all()
        return bool(len(self._leased)) or self._has_strays

    def _requeue_strays(self) -> None:
        """Requeue entries that Redis leased to us and that never arrived because of an interrupt."""
        with suppress(*self._link.failures):
            strays = [
                each
                for each in self._call(lambda: self._stream.owned(_STRAY_AFTER))
                if each not in self._leased and not self._writer.is_settled(each)
            ]
            if strays:
                self._call(lambda: self._stream.requeue(strays))
            else:
                self._has_strays = bool(self._call(lambda: self._stream.owned(0.0))) and (
                    len(self._leased) == 0
                )

    def _call(self, operation: Callable[[], _Result]) -> _Result:
        """Make a call about leases that may only read: that it works does not show that Redis leases events."""
        return self._link.call(operation, Kind.LEASE, is_proof=False)
