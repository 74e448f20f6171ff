"""Calls to a Redis that may be unavailable: when to try, what to log, and which threads must not."""

from __future__ import annotations

import enum
import logging
import threading
from _thread import RLock
from typing import Any, Callable, Dict, NamedTuple, Optional, Set, Tuple, Type, TypeVar

from snowplow_tracker._delivery.retry import Backoff, RetryPolicy, fresh_random
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.interrupts import is_interrupt, unwrapped
from snowplow_tracker._process.locking import hold, is_running
from snowplow_tracker._stores.redaction import redact
from snowplow_tracker._stores.redis_clients import LazyCluster, pools, redis_module

logger = logging.getLogger("snowplow_tracker.emitters")

_POLICY = RetryPolicy(first_window=0.2, growth=2.0)
_MAX_DELAY = 1.0

_Result = TypeVar("_Result")


class Kind(enum.Enum):
    """What a call is for. Redis may refuse one kind, for example adding without free memory, and accept the others."""

    READ = "read"
    LEASE = "lease"
    SETTLE = "settle"
    ADD = "add"


class _Outage(NamedTuple):
    """A reason for which calls fail, since when, and what the log says when the last kind of call works again."""

    reason: str
    since: float
    end: str


class _Breaker:
    """A circuit breaker. Invariant: while it is failing, one caller per delay may try. The link holds its lock."""

    def __init__(self) -> None:
        self.backoff = Backoff(_POLICY, monotonic, fresh_random)
        self.outage: Optional[_Outage] = None

    def wait(self) -> float:
        """Return the seconds until the next attempt is allowed."""
        return self.backoff.wait(forced=False) if self.outage is not None else 0.0


class RedisLink:
    """Calls Redis for one store in one process.

    Invariant: only an answer of Redis ends an outage: any answer if it was away, an accepted call of the same kind if it
    refused that kind. Kinds of calls that fail for the same reason have one outage, which is logged at its begin and end.

    Args:
        client: A client of redis-py.
        is_own: Whether the store created the client, and so may close its connections.
        on_return: Called when calls work again.
        kept_events: Maximum number of events in memory while Redis is away, for the log.
    """

    def __init__(
        self, client: Any, *, is_own: bool, on_return: Callable[[], None], kept_events: int
    ) -> None:
        self.client = client
        errors = redis_module().exceptions
        # The errors of a cluster about itself are not RedisErrors.
        self.failures: Tuple[Type[Exception], ...] = (
            errors.RedisError,
            OSError,
            errors.RedisClusterException,
        )
        self._connection_error: Type[Exception] = errors.ConnectionError
        self._response_error: Type[Exception] = errors.ResponseError
        self._is_own = is_own
        self._on_return = on_return
        self._kept_events = kept_events
        self._lock: Any = RLock()
        self._whole = _Breaker()
        self._kinds = {kind: _Breaker() for kind in Kind}
        self._breakers = (self._whole, *self._kinds.values())
        self._calling: Set[int] = set()

    @property
    def failing(self) -> bool:
        """Whether Redis is away, or refuses any kind of call."""
        return any(breaker.outage is not None for breaker in self._breakers)

    def is_failing(self, kind: Kind) -> bool:
        """Return whether Redis is away, or refuses this kind of call."""
        return self._whole.outage is not None or self._kinds[kind].outage is not None

    def is_calling(self) -> bool:
        """Whether this thread is in a call: then a signal handler must not use redis-py, which has locks."""
        me = threading.get_ident()
        if me not in self._calling:
            return False
        if is_running(_CALL, self):
            return True
        self._calling.discard(me)  # an interrupt ended the call before it could do this
        return False

    def wait(self, kind: Kind) -> float:
        """Return the seconds until the next call of this kind is allowed."""
        return max(self._whole.wait(), self._kinds[kind].wait())

    def may_try(self, kind: Kind) -> bool:
        """Return whether a call of this kind is allowed now. While such calls fail, this takes the permit for it."""
        if self.is_calling():
            return False
        if not self.is_failing(kind):
            return True
        with hold(self._lock):
            if self.wait(kind) > 0:
                return False
            for breaker in (self._whole, self._kinds[kind]):
                if breaker.outage is not None:
                    # No other caller tries until the result is known.
                    breaker.backoff.failed(_MAX_DELAY)
            return True

    def call(
        self,
        operation: Callable[[], _Result],
        kind: Kind = Kind.READ,
        *,
        is_proof: bool = True,
    ) -> _Result:
        """Call Redis, and record whether it is available.

        If a kept connection turns out to be dead, the call is retried once with a new one.

        Args:
            operation: The call.
            kind: What it is for.
            is_proof: Whether Redis accepts this kind of call if the operation returns.

        Raises:
            Exception: One of `failures`. It is already logged and counted.
        """
        me = threading.get_ident()
        try:
            self._calling.add(me)
            try:
                result = operation()
            except self._connection_error as error:
                if is_interrupt(error):
                    raise
                result = operation()
        except BaseException as error:
            if isinstance(error, self.failures) and not is_interrupt(error):
                self._note_error(kind, error)
                raise
            self._forget_connections()
            interrupt = unwrapped(error)
        else:
            self._note_success(self._whole)
            if is_proof:
                self.note_accepted(kind)
            return result
        finally:
            self._calling.discard(me)
        raise interrupt

    def _forget_connections(self) -> None:
        """After an interrupt, discard connections that may have an unfinished answer.

        Otherwise the pool, which has a limit, would count the connection as used for ever.
        """
        known = pools(self.client)
        for pool in known:
            for lock in vars(pool).values():
                # This thread is not in a call of redis-py any more, so an interrupt left the lock with it.
                while getattr(lock, "_is_owned", bool)():
                    lock.release()
        self._disconnect_idle()
        if self._is_own:
            for pool in known:
                pool.reset()  # other threads keep their current connections

    def _disconnect_idle(self) -> None:
        for pool in pools(self.client):
            pool.disconnect(inuse_connections=False)
        if isinstance(self.client, LazyCluster):
            self.client.forget()

    def max_block(self) -> float:
        """Return the maximum seconds for which a call may block within the client's own timeout."""
        timeouts = [
            getattr(pool, "connection_kwargs", {}).get("socket_timeout")
            for pool in pools(self.client)
        ]
        if isinstance(self.client, LazyCluster):
            timeouts.append(self.client.socket_timeout)
        return min([float(each) / 2 for each in timeouts if each is not None], default=float("inf"))

    def close(self) -> None:
        """Close the connections that the store created."""
        if not self._is_own:
            return
        if isinstance(self.client, LazyCluster):
            self.client.close()
        else:
            self.client.connection_pool.disconnect()

    def note_accepted(self, kind: Kind) -> None:
        """Record that Redis accepted a call of this kind."""
        self._note_success(self._kinds[kind])

    def note_refused(self, kind: Kind, error: Exception) -> None:
        """Record that Redis answered a call of this kind with an error."""
        what, end = (
            ("accepts no events", "accepts events again")
            if kind is Kind.ADD
            else ("refuses commands", "accepts commands again")
        )
        self._note_failure(self._kinds[kind], error, what, end)

    def _note_error(self, kind: Kind, error: Exception) -> None:
        if isinstance(error, self._response_error):
            self._note_success(self._whole)
            self.note_refused(kind, error)
        else:
            self._note_failure(self._whole, error, "cannot be used", "is back")

    def _note_failure(self, breaker: _Breaker, error: Exception, what: str, end: str) -> None:
        reason = type(error).__name__
        if type(error) is self._response_error:
            # redis-py has no class for it. Then the answer begins with a code, and redis-py may name the command before it.
            reason = str(error).rpartition("caused error: ")[2].partition(" ")[0]
        with hold(self._lock):
            known = self._outages()
            outage = known.get(reason) or _Outage(reason, monotonic(), end)
            begins = breaker.outage is None and reason not in known
            breaker.outage = breaker.outage or outage
            breaker.backoff.failed(_MAX_DELAY)
        if self._is_own and "maxmemory" not in str(error):
            # After a failover, kept connections lead to a former master, which is now a replica.
            self._disconnect_idle()
        if begins:
            keeps = breaker in (self._whole, self._kinds[Kind.ADD])
            logger.warning(
                "Redis %s (%s: %s)%s.",
                what,
                type(error).__name__,
                redact(str(error)),
                f"; up to {self._kept_events} events are kept in memory meanwhile" if keeps else "",
            )

    def _note_success(self, breaker: _Breaker) -> None:
        if breaker.outage is None:
            return
        with hold(self._lock):
            outage, breaker.outage = breaker.outage, None
            breaker.backoff.succeeded()
            ends = outage is not None and outage.reason not in self._outages()
        if outage is None:
            return
        if ends:
            logger.warning("Redis %s after %.1f seconds.", outage.end, monotonic() - outage.since)
        self._on_return()

    def _outages(self) -> Dict[str, _Outage]:
        outages = [breaker.outage for breaker in self._breakers]
        return {each.reason: each for each in outages if each is not None}


_CALL = (RedisLink.call.__code__,)
