"""Clients for a Redis on several machines: with Sentinel, or a cluster."""

from __future__ import annotations

import threading
from typing import Any, Dict, List, Mapping, Optional, Tuple

from snowplow_tracker._process.locking import hold

__all__ = ["LazyCluster", "TopologyError", "connect_many", "is_cluster", "is_many", "pools"]

_SCHEMES = ("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_SENTINEL_PORT, _CLUSTER_PORT = 26379, 6379


class TopologyError(ValueError):
    """What is wrong with a URL; the message shows no part of it."""


def is_many(url: str) -> bool:
    """Return whether a URL is for Sentinel or a cluster."""
    return url.partition("://")[0].lower() in _SCHEMES


def connect_many(redis: Any, url: str, options: Mapping[str, Any]) -> Any:
    """Create a client for Sentinel or a cluster, which does not connect yet.

    Args:
        redis: The module.
        url: A URL for which `is_many` returns True.
        options: Options for each connection, unless the URL has them.

    Raises:
        ImportError: redis-py is too old for a cluster.
        ValueError: The URL is invalid.
    """
    scheme, _, rest = url.partition("://")
    transport, _, kind = scheme.lower().partition("+")
    place, _, query = rest.partition("?")
    place, _, path = place.partition("/")
    user, at, hosts = place.rpartition("@")
    parts = [part for part in path.split("/") if part]
    db = "0"
    if kind == "sentinel":
        if not parts or len(parts) > 2:
            raise TopologyError("the path of a Sentinel URL must be /service or /service/db")
        db = parts[1] if len(parts) > 1 else db
        if not db.isdigit():
            raise TopologyError("the database must be a number")
    elif parts not in ([], ["0"]):
        raise TopologyError("a cluster has no databases but 0")
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
            raise TopologyError("it must name host:port,host:port")
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


def is_cluster(client: Any) -> bool:
    """Return whether a client, ours or a user's, is for a cluster."""
    return isinstance(client, LazyCluster) or hasattr(client, "nodes_manager")


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
