"""Clients of redis-py, ours and those of users: how they are created, and in what they differ."""

from __future__ import annotations

import inspect
import logging
import re
import sys
import threading
from functools import partial
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from snowplow_tracker._process.locking import hold
from snowplow_tracker._protocol.parameters import warn_once
from snowplow_tracker._stores.redaction import redact

logger = logging.getLogger("snowplow_tracker.emitters")

_SCHEMES = ("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_SENTINEL_PORT, _CLUSTER_PORT = 26379, 6379
_UNKNOWN_OPTION = re.compile(r"unexpected keyword argument '([^']+)'")

_NEVER_DECODE = "NEVER_DECODE"
"""The option by which redis-py's own commands for binary data prevent the client from decoding."""
_KNOWN_SINCE = (4, 4)
"""Before this version, redis-py accepted the option only from its own commands."""


def check_client(value: Any) -> None:
    """Check that a value is a URL or a client of redis-py, which is used only when the first event is added.

    Raises:
        TypeError: It is neither, or a client for asyncio.
    """
    if isinstance(value, str):
        return
    command = getattr(value, "execute_command", None)
    if isinstance(value, type) or not callable(command):
        given = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
        raise TypeError(
            f"client_or_url must be a URL or a client such as redis.Redis, got {given}."
        )
    if inspect.iscoroutinefunction(command):
        raise TypeError(
            "client_or_url must be a client such as redis.Redis, got one of redis.asyncio: pass its URL instead."
        )


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
    """Create a client, which does not connect yet.

    Args:
        url: A URL of redis-py, or one for Sentinel or a cluster.
        socket_timeout: Seconds, for connecting and for each answer.

    Raises:
        ValueError: The URL is invalid, or has an option that redis-py does not know.
    """
    redis = redis_module()
    timeouts = {"socket_timeout": socket_timeout}
    if not url.startswith("unix:"):  # redis-py 4 does not support it there
        timeouts["socket_connect_timeout"] = socket_timeout
    more: Dict[str, Any] = {}
    try:
        from redis.maint_notifications import MaintNotificationsConfig

        # They cost a round trip per connection, and a call of logging, whose lock an interrupt can leave locked.
        more["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
    except ImportError:  # redis-py before 6.4
        pass
    # The store itself retries, with a limit.
    options = {**timeouts, **more, "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0)}
    try:
        client = (
            _connect_many(redis, url, options)
            if is_many(url)
            else redis.Redis.from_url(url, **options)
        )
        if isinstance(client, LazyCluster):
            return client
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"redis-py does not accept the URL {redact(url)!r}: {_reason(error, url)}."
        ) from None
    return client


def _reason(error: Exception, url: str) -> str:
    """Return why redis-py refused a URL, without a secret and without names of its code."""
    text = str(error).rstrip(".")
    unknown = _UNKNOWN_OPTION.search(text)
    if unknown:
        return f"it has no option {unknown[1]!r}"
    if isinstance(error, (TypeError, _TopologyError)) or "scheme" in text or "@" not in url:
        return text
    # What Python says about such a URL may show parts of a password that is not quoted.
    return "special characters of a user name or a password must be percent-encoded, and a port is a number"


class _TopologyError(ValueError):
    """What is wrong with a URL; the message shows no part of it."""


def is_many(url: str) -> bool:
    """Return whether a URL is for Sentinel or a cluster."""
    return url.partition("://")[0].lower() in _SCHEMES


def _connect_many(redis: Any, url: str, options: Mapping[str, Any]) -> Any:
    """Create a client for Sentinel or a cluster, which does not connect yet. Options in the URL replace others."""
    scheme, _, rest = url.partition("://")
    transport, _, kind = scheme.lower().partition("+")
    place, _, query = rest.partition("?")
    place, _, path = place.partition("/")
    user, at, hosts = place.rpartition("@")
    parts = [part for part in path.split("/") if part]
    db = "0"
    if kind == "sentinel":
        if not parts or len(parts) > 2:
            raise _TopologyError("the path of a Sentinel URL must be /service or /service/db")
        db = parts[1] if len(parts) > 1 else db
        if not db.isdigit():
            raise _TopologyError("the database must be a number")
    elif parts not in ([], ["0"]):
        raise _TopologyError("a cluster has no databases but 0")
    nodes = _nodes(hosts, _SENTINEL_PORT if kind == "sentinel" else _CLUSTER_PORT)
    given = redis.connection.parse_url(f"{transport}://{user}{at}unused:1?{query}")
    for name in ("host", "port", "connection_class"):
        given.pop(name, None)
    settings: Dict[str, Any] = {**options, **given}
    if transport == "rediss":
        settings["ssl"] = True
    if kind == "cluster":
        if int(redis.__version__.partition(".")[0]) < 5:
            raise ImportError("For a cluster RedisEventStore needs redis-py 5.0 or later.")
        return LazyCluster(redis, nodes, settings)
    return _behind_sentinel(redis, nodes, parts[0], int(db), settings)


def _behind_sentinel(
    redis: Any, nodes: List[Tuple[str, int]], service: str, db: int, settings: Dict[str, Any]
) -> Any:
    own = {name: settings.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    # Connections to Sentinels have the same certificates and timeouts as those to Redis.
    of_sentinels = {
        name: value
        for name, value in settings.items()
        if name not in ("username", "password", "db")
    }
    of_sentinels.update((name, value) for name, value in own.items() if value is not None)
    sentinel = redis.sentinel.Sentinel(nodes, sentinel_kwargs=of_sentinels)
    return sentinel.master_for(service, db=db, **settings)


def _nodes(hosts: str, default_port: int) -> List[Tuple[str, int]]:
    nodes = []
    for each in hosts.split(","):
        host, colon, port = each.rpartition(":")
        if not colon or port.endswith("]"):
            host, port = each, str(default_port)
        host = host.strip("[]")
        if not host or not port.isdigit():
            raise _TopologyError("it must name host:port,host:port")
        nodes.append((host, int(port)))
    return nodes


class LazyCluster:
    """A `redis.RedisCluster` that is created when it is first used, since its constructor connects.

    After `forget`, the next use reads the topology again from the nodes in the URL.
    """

    def __init__(
        self, redis: Any, nodes: List[Tuple[str, int]], settings: Mapping[str, Any]
    ) -> None:
        self._redis = redis
        self._nodes = nodes
        self._settings = dict(settings)
        self._lock = threading.RLock()
        self.current: Optional[Any] = None
        self.socket_timeout: Optional[float] = self._settings.get("socket_timeout")
        self.decodes = bool(self._settings.get("decode_responses"))

    def forget(self) -> None:
        """Use a new client from now on. Calls of other threads that are in progress keep the old one."""
        self.current = None

    def close(self) -> None:
        """Close the connections."""
        current, self.current = self.current, None
        if current is not None:
            current.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "connection_pool":
            raise AttributeError(name)
        return getattr(self._client(), name)

    def _client(self) -> Any:
        current = self.current
        if current is None:
            with hold(self._lock):
                current = self.current
                if current is None:
                    node = self._redis.cluster.ClusterNode
                    current = self._redis.RedisCluster(
                        startup_nodes=[node(host, port) for host, port in self._nodes],
                        **self._settings,
                    )
                    self.current = current
        return current


def pools(client: Any) -> List[Any]:
    """Return the current connection pools of a client: a cluster has one for each node."""
    if isinstance(client, LazyCluster):
        client = client.current
        if client is None:
            return []
    pool = getattr(client, "connection_pool", None)
    if pool is not None:
        return [pool]
    if not hasattr(client, "get_nodes"):
        return []
    clients = [node.redis_connection for node in client.get_nodes()]
    return [each.connection_pool for each in clients if each is not None]


def decodes(client: Any) -> bool:
    """Return whether a client, ours or a user's, decodes answers to strings."""
    if isinstance(client, LazyCluster):
        return client.decodes
    encoder = getattr(client, "get_encoder", lambda: None)()
    return bool(getattr(encoder, "decode_responses", False))


class Undecoded:
    """The reading commands of a decoding client, or of its pipeline, with answers in bytes.

    Otherwise every command would fail because of a single entry, or consumer name, that is not UTF-8.

    Args:
        client: A client of redis-py, whose class has the commands.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        command = getattr(self._client, name)
        function: Any = getattr(command, "__func__", None)
        # A user's class may need to be called with an instance of itself; redis-py only needs `execute_command`.
        if getattr(function, "__module__", "").partition(".")[0] == "redis" and _is_known():
            command = partial(function, self)
        return partial(_read, command)

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Execute a command."""
        return self._client.execute_command(*arguments, **{**options, _NEVER_DECODE: []})


def _is_known() -> bool:
    version = sys.modules["redis"].__version__.split(".")
    return (int(version[0]), int(version[1])) >= _KNOWN_SINCE


def _read(command: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return command(*arguments, **options)
    except UnicodeDecodeError as error:
        warn_once(
            ("redis", "decoding"),
            "The client of Redis cannot be prevented from decoding, and cannot read past an entry of the stream that "
            "is not UTF-8 (%s): pass one without decode_responses.",
            error,
            to=logger,
        )
        raise
