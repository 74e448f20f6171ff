"""Calls to a Redis that may be unavailable: when to try, what to log, and which threads must not."""

from __future__ import annotations

import logging
import threading
from _thread import RLock
from typing import Any, Callable, Optional, Set, Tuple, Type, TypeVar

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


class Breaker:
    """A circuit breaker, for Redis as a whole and for adding events.

    Invariant: while it is failing, one caller per delay may try.
    """

    def __init__(self) -> None:
        self._lock: Any = RLock()
        self._backoff = Backoff(_POLICY, monotonic, fresh_random)
        self._since: Optional[float] = None

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._since is not None

    def wait(self) -> float:
        """Return the seconds until the next attempt is allowed."""
        return self._backoff.wait(forced=False) if self._since is not None else 0.0

    def may_try(self) -> bool:
        """Return whether an attempt is allowed. While failing, this takes the permit for it."""
        if self._since is None:
            return True
        with hold(self._lock):
            if self._backoff.wait(forced=False) > 0:
                return False
            # No other caller tries until the result is known.
            self._backoff.failed(_MAX_DELAY)
            return True

    def failed(self) -> bool:
        """Record a failure; return whether it is the first."""
        with hold(self._lock):
            first = self._since is None
            if first:
                self._since = monotonic()
            self._backoff.failed(_MAX_DELAY)
        return first

    def succeeded(self) -> Optional[float]:
        """Record a success; return the seconds since the first failure, or None if there was none."""
        if self._since is None:
            return None
        with hold(self._lock):
            since, self._since = self._since, None
            self._backoff.succeeded()
        return None if since is None else monotonic() - since


class RedisLink:
    """Calls Redis for one store in one process.

    Args:
        client: A client of redis-py.
        is_own: Whether the store created the client, and so may close its connections.
        on_return: Called when Redis is back, or accepts events again.
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
        self._is_own = is_own
        self._on_return = on_return
        self._kept_events = kept_events
        self.whole = Breaker()
        """The breaker for Redis as a whole: it does not answer, or refuses everything."""
        self.adding = Breaker()
        """The breaker for adding: Redis answers, but accepts no events, for example without free memory."""
        self._calling: Set[int] = set()

    @property
    def failing(self) -> bool:
        """Whether the last access to Redis failed, or Redis accepted no events."""
        return self.whole.failing or self.adding.failing

    def is_calling(self) -> bool:
        """Whether this thread is in a call: then a signal handler must not use redis-py, which has locks."""
        me = threading.get_ident()
        if me not in self._calling:
            return False
        if is_running(_CALL, self):
            return True
        self._calling.discard(me)  # an interrupt ended the call before it could do this
        return False

    def may_try(self) -> bool:
        """Return whether Redis works, or whether the caller may probe it."""
        return not self.is_calling() and self.whole.may_try()

    def may_add(self) -> bool:
        """Return whether events may be added now."""
        return self.may_try() and self.adding.may_try()

    def call(self, operation: Callable[[], _Result], *, adds: bool = False) -> _Result:
        """Call Redis, and record whether it is available.

        If a kept connection turns out to be dead, the call is retried once with a new one.

        Args:
            operation: The call.
            adds: Whether it adds events: Redis may refuse only that.

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
                self.note_failure(error, adds=adds)
                raise
            self._forget_connections()
            interrupt = unwrapped(error)
        else:
            self._note_success(self.whole, "is back")
            if adds:
                self._note_success(self.adding, "accepts events again")
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

    def note_failure(self, error: Exception, *, adds: bool) -> None:
        """Record a failure of Redis.

        Args:
            error: The error.
            adds: Whether the call was to add events.
        """
        # If Redis refuses more events, it may still deliver events, which makes room.
        out_of_memory = adds and "maxmemory" in str(error)
        breaker = self.adding if out_of_memory else self.whole
        first = breaker.failed()
        if self._is_own and not out_of_memory:
            # After a failover, kept connections lead to a former master, which is now a replica.
            self._disconnect_idle()
        if first:
            logger.warning(
                "Redis %s (%s: %s); up to %d events are kept in memory meanwhile.",
                "accepts no events" if out_of_memory else "cannot be used",
                type(error).__name__,
                redact(str(error)),
                self._kept_events,
            )

    def _note_success(self, breaker: Breaker, what: str) -> None:
        seconds = breaker.succeeded()
        if seconds is not None:
            logger.warning("Redis %s after %.1f seconds.", what, seconds)
            self._on_return()


_CALL = (RedisLink.call.__code__,)
