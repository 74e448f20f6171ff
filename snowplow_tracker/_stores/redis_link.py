"""Speaking to a Redis that may be away: when to try, what to say, and who must not."""

from __future__ import annotations

import logging
import re
import threading
import time
from _thread import RLock
from typing import Any, Callable, Dict, Optional, Set, Tuple, Type, TypeVar

from snowplow_tracker._delivery.retry import Backoff, RetryPolicy, fresh_random
from snowplow_tracker._process.interrupts import is_interrupt, unwrapped
from snowplow_tracker._process.locking import hold, is_running
from snowplow_tracker._stores.redaction import redact
from snowplow_tracker._stores.redis_topology import (
    LazyCluster,
    TopologyError,
    connect_many,
    is_many,
    pools,
)

__all__ = ["Breaker", "RedisLink", "connect", "redis_module"]

logger = logging.getLogger("snowplow_tracker.emitters")

_POLICY = RetryPolicy(first_window=0.2, growth=2.0)
_LONGEST_RETRY = 1.0
_UNKNOWN_OPTION = re.compile(r"unexpected keyword argument '([^']+)'")

_Result = TypeVar("_Result")


def redis_module() -> Any:
    """Return redis-py.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import redis
        import redis.backoff
        import redis.cluster
        import redis.connection
        import redis.exceptions
        import redis.retry
        import redis.sentinel
    except ImportError as error:
        raise ImportError(
            "RedisEventStore needs redis-py: install it with pip install 'snowplow-tracker[redis]'."
        ) from error
    return redis


def connect(url: str, socket_timeout: float) -> Any:
    """Make a client; it does not connect yet.

    Args:
        url: As redis-py takes it, or one for Sentinel or a cluster.
        socket_timeout: Seconds, for connecting and for each answer.

    Raises:
        ValueError: The URL is none, or has an option that redis-py does not know.
    """
    redis = redis_module()
    timeouts = {"socket_timeout": socket_timeout}
    if not url.startswith("unix:"):  # redis-py 4 does not know it there
        timeouts["socket_connect_timeout"] = socket_timeout
    more: Dict[str, Any] = {}
    try:
        from redis.maint_notifications import MaintNotificationsConfig

        # They cost a round trip per connection, and a call of logging, whose lock an interrupt can leave behind.
        more["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
    except ImportError:  # redis-py before 6.4
        pass
    # Trying again is for the store, which has a bound for it.
    options = {**timeouts, **more, "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0)}
    try:
        client = (
            connect_many(redis, url, options)
            if is_many(url)
            else redis.Redis.from_url(url, **options)
        )
        if isinstance(client, LazyCluster):
            return client
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"redis-py does not take the URL {redact(url)!r}: {_reason(error, url)}."
        ) from None
    return client


def _reason(error: Exception, url: str) -> str:
    """Return why redis-py refused a URL, without a secret and without names of its code."""
    text = str(error).rstrip(".")
    unknown = _UNKNOWN_OPTION.search(text)
    if unknown:
        return f"it has no option {unknown[1]!r}"
    if isinstance(error, (TypeError, TopologyError)) or "scheme" in text or "@" not in url:
        return text
    # What Python says about such a URL may show parts of a password that is not quoted.
    return "special characters of a user name or a password must be percent-encoded, and a port is a number"


class Breaker:
    """Leaves something alone for a while after it failed. For Redis, as a whole and for what adds events.

    Invariant: while it is failing, one caller per delay is let through.
    """

    def __init__(self) -> None:
        self._lock: Any = RLock()
        self._backoff = Backoff(_POLICY, time.monotonic, fresh_random)
        self._since: Optional[float] = None

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._since is not None

    def wait(self) -> float:
        """Return the seconds until the next attempt may be made."""
        return self._backoff.wait(forced=False) if self._since is not None else 0.0

    def may_try(self) -> bool:
        """Return whether an attempt may be made; while failing, this takes the leave for it."""
        if self._since is None:
            return True
        with hold(self._lock):
            if self._backoff.wait(forced=False) > 0:
                return False
            # Until it is known what becomes of it, nobody else tries.
            self._backoff.failed(_LONGEST_RETRY)
            return True

    def failed(self) -> bool:
        """Note a failure; return whether it is the first."""
        with hold(self._lock):
            first = self._since is None
            if first:
                self._since = time.monotonic()
            self._backoff.failed(_LONGEST_RETRY)
        return first

    def succeeded(self) -> Optional[float]:
        """Note a success; return the seconds since the first failure, None where there was none."""
        if self._since is None:
            return None
        with hold(self._lock):
            since, self._since = self._since, None
            self._backoff.succeeded()
        return None if since is None else time.monotonic() - since


class RedisLink:
    """Calls Redis for one store in one process.

    Args:
        client: A client of redis-py.
        is_own: Whether the store made it, and so may close its connections.
        on_return: Called when Redis is back, or takes events again.
        kept_events: How many events are kept in memory while Redis is away: for the log.
    """

    def __init__(
        self, client: Any, *, is_own: bool, on_return: Callable[[], None], kept_events: int
    ) -> None:
        self.client = client
        errors = redis_module().exceptions
        # What a cluster has to say about itself is no RedisError.
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
        """Redis does not answer, or refuses everything."""
        self.adding = Breaker()
        """Redis answers, and takes no events: it has no memory left, for instance."""
        self._calling: Set[int] = set()

    @property
    def failing(self) -> bool:
        """Whether Redis could not be used the last time, or took no events."""
        return self.whole.failing or self.adding.failing

    def is_calling(self) -> bool:
        """Whether this thread is in a call: a signal handler came, and must not use redis-py, which has locks."""
        me = threading.get_ident()
        if me not in self._calling:
            return False
        if is_running(_CALL, self):
            return True
        self._calling.discard(me)  # an interrupt came before the call could say that it ended
        return False

    def may_try(self) -> bool:
        """Return whether Redis is well, or it is our turn to find out whether it is again."""
        return not self.is_calling() and self.whole.may_try()

    def may_add(self) -> bool:
        """Return whether events may be added now."""
        return self.may_try() and self.adding.may_try()

    def call(self, operation: Callable[[], _Result], *, adds: bool = False) -> _Result:
        """Do something with Redis, and note whether it is there.

        A connection that was kept may turn out to be dead: then it is tried once more at once, with a new one.

        Args:
            operation: What to do.
            adds: It adds events: what Redis has against that says nothing about all else.

        Raises:
            Exception: One of `failures`. It was logged and counted.
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
            self._is_there()
            if adds:
                self.takes_events()
            return result
        finally:
            self._calling.discard(me)
        raise interrupt

    def _forget_connections(self) -> None:
        """After an interrupt, use no connection again that may be in the middle of an answer.

        The pool counts the one that was in use for ever, and has a limit.
        """
        known = pools(self.client)
        for pool in known:
            for lock in vars(pool).values():
                # This thread is in no call of redis-py any more: what it holds, an interrupt left with it.
                while getattr(lock, "_is_owned", bool)():
                    lock.release()
        self._disconnect_idle()
        if self._is_own:
            for pool in known:
                pool.reset()  # other threads go on with the connections that they have

    def _disconnect_idle(self) -> None:
        for pool in pools(self.client):
            pool.disconnect(inuse_connections=False)
        if isinstance(self.client, LazyCluster):
            self.client.forget()

    def takes_events(self) -> None:
        """Note that Redis took events."""
        seconds = self.adding.succeeded()
        if seconds is not None:
            logger.warning("Redis takes events again after %.1f seconds.", seconds)
            self._on_return()

    def longest_block(self) -> float:
        """Return how many seconds a call may block without running into the client's own timeout."""
        timeouts = [
            getattr(pool, "connection_kwargs", {}).get("socket_timeout")
            for pool in pools(self.client)
        ]
        if isinstance(self.client, LazyCluster):
            timeouts.append(self.client.socket_timeout)
        return min([float(each) / 2 for each in timeouts if each is not None], default=float("inf"))

    def close(self) -> None:
        """Close the connections that the store made."""
        if not self._is_own:
            return
        if isinstance(self.client, LazyCluster):
            self.client.close()
        else:
            self.client.connection_pool.disconnect()

    def note_failure(self, error: Exception, *, adds: bool) -> None:
        """Note that Redis did not do something.

        Args:
            error: What it said.
            adds: It was to add events.
        """
        # What it has against more events says nothing about taking them out, which makes room.
        out_of_memory = adds and "maxmemory" in str(error)
        breaker = self.adding if out_of_memory else self.whole
        first = breaker.failed()
        if self._is_own and not out_of_memory:
            # After a failover, kept connections lead to what is a replica now.
            self._disconnect_idle()
        if first:
            logger.warning(
                "Redis %s (%s: %s); up to %d events are kept in memory meanwhile.",
                "takes no events" if out_of_memory else "cannot be used",
                type(error).__name__,
                redact(str(error)),
                self._kept_events,
            )

    def _is_there(self) -> None:
        seconds = self.whole.succeeded()
        if seconds is not None:
            logger.warning("Redis is back after %.1f seconds.", seconds)
            self._on_return()


_CALL = (RedisLink.call.__code__,)
