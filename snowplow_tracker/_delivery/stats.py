"""The public counters, states and reasons of delivery."""

import enum
from typing import Dict, NamedTuple


class DropReason(str, enum.Enum):
    """Why an event was dropped.

    Attributes:
        OVERFLOW: The queue was full.
        REJECTED: The collector refused it with a status for which a retry is pointless.
        TOO_LARGE: It is too large for a request, even alone.
        RETRIES_EXHAUSTED: It failed more often than `max_retries` allows.
        LOST: The store lost it: its file was deleted or damaged, or it cannot be read. The event itself is gone.
        FEEDBACK: It was made from a log record about delivery: sending it would cause the next record.
        ENCODING: It could not be written as JSON.
        EXIT: The emitter was closed, or the process ended, before it could be sent.
        STORE_FAILED: The event store raised an error instead of taking it.
    """

    OVERFLOW = "overflow"
    REJECTED = "rejected"
    TOO_LARGE = "too_large"
    RETRIES_EXHAUSTED = "retries_exhausted"
    LOST = "lost"
    FEEDBACK = "feedback"
    ENCODING = "encoding"
    EXIT = "exit"
    STORE_FAILED = "store_failed"


class EmitterState(enum.Enum):
    """The life of an emitter, in this order. A forked child starts again at NEW unless it was CLOSED.

    Attributes:
        NEW: Nothing was tracked yet; no thread, no connection.
        ACTIVE: Events were tracked; threads and connections may exist.
        CLOSING: `close` was called: what is queued is being sent, new events are still accepted.
        CLOSED: No event is accepted or sent any more.
    """

    NEW = "new"
    ACTIVE = "active"
    CLOSING = "closing"
    CLOSED = "closed"


class DeliveryStats(NamedTuple):
    """A consistent snapshot of one emitter's counters.

    While no event is moving between these states, ``tracked == queued + in_flight + sent + sum(dropped.values())``. With a
    store that other emitters or processes use as well, `queued` counts their events too.

    Attributes:
        tracked: Events that the emitter got.
        queued: Events in the store.
        in_flight: Events that are being sent.
        sent: Events that the collector accepted.
        failed_attempts: Requests that failed, whether their events were requeued or dropped.
        retried: Events requeued after a failed request, counted each time.
        dropped: Dropped events by reason; reasons that did not occur are left out.
    """

    tracked: int
    queued: int
    in_flight: int
    sent: int
    failed_attempts: int
    retried: int
    dropped: Dict[DropReason, int]
