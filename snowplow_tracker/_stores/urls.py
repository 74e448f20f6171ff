"""Opens stores by URL, for programs with a configured queue."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Tuple, Union
from urllib.parse import parse_qsl, urlencode

from snowplow_tracker._process.interrupts import suppress
from snowplow_tracker._stores.redaction import redact
from snowplow_tracker._stores.redis_clients import is_many

if TYPE_CHECKING:
    from snowplow_tracker.redis_event_store import RedisEventStore
    from snowplow_tracker.sqlite_event_store import SQLiteEventStore

FORMS = (
    "sqlite:///relative/path, sqlite:////absolute/path, redis://[[user]:password@]host[:port]/db, "
    "rediss://... (TLS), unix:///path/of/socket?db=0, redis+sentinel://host:port,host:port/service/db or "
    "redis+cluster://host:port,host:port (with TLS rediss+sentinel:// and rediss+cluster://)"
)

_COMMON: Mapping[str, Callable[[str], Any]] = {
    "buffer_capacity": int,
    "overflow": str,
    "overflow_timeout": float,
}
_SQLITE: Mapping[str, Callable[[str], Any]] = {
    **_COMMON,
    "max_bytes": int,
    "lease_seconds": float,
    "lock_timeout": float,
    "durability": str,
}
_REDIS: Mapping[str, Callable[[str], Any]] = {
    **_COMMON,
    "stream": str,
    "group": str,
    "consumer": str,
    "claim_after": float,
    "spill_capacity": int,
    "socket_timeout": float,
    "exit_timeout": float,
}


def open_store(url: str) -> Union[SQLiteEventStore, RedisEventStore]:
    """Open a durable store.

    Args:
        url: One of `FORMS`. Keyword arguments of the store may be in its query, as in
            ``redis://localhost/0?stream=orders&claim_after=30``; the others of a Redis URL are for redis-py.

    Raises:
        ImportError: redis-py is needed and not installed.
        ValueError: The URL is invalid, or an option is unknown or invalid. The message contains no password.
    """
    scheme = url.partition(":")[0].lower()
    if scheme == "sqlite":
        return _open_sqlite(url)
    if scheme in ("redis", "rediss", "unix") or is_many(url):
        return _open_redis(url)
    raise ValueError(f"{redact(url)!r} is not the URL of a store: it must be {FORMS}.")


def missing_file(url: str) -> str:
    """Return the path of the file that `open_store` would create for a URL; empty if it would not."""
    scheme, _, path = url.partition("?")[0].partition(":///")
    return path if scheme.lower() == "sqlite" and path and not os.path.exists(path) else ""  # noqa: PTH110 - it does not raise


def missing_stream(store: Any) -> str:
    """Return the name of the stream of a Redis store if it is known not to exist; else, an empty string."""
    link, stream = getattr(store, "_link", None), getattr(store, "_stream", None)
    if link is None or stream is None:
        return ""
    with suppress(*link.failures):  # the link logs them
        return "" if link.call(stream.exists) else str(store.stream)
    return ""


def _open_sqlite(url: str) -> SQLiteEventStore:
    from snowplow_tracker.sqlite_event_store import SQLiteEventStore

    rest = url.partition(":")[2]
    path, _, query = rest.partition("?")
    if not path.startswith("///") or len(path) < 4:
        raise ValueError(
            f"{redact(url)!r} names no file: it must be sqlite:///relative/path or sqlite:////absolute/path."
        )
    options, others = _options(query, _SQLITE)
    if others:
        raise ValueError(f"{others[0][0]!r} is not an option of a SQLite store.")
    return SQLiteEventStore(path[3:], **options)


def _open_redis(url: str) -> RedisEventStore:
    from snowplow_tracker.redis_event_store import RedisEventStore

    base, _, query = url.partition("?")
    options, others = _options(query, _REDIS)
    return RedisEventStore(f"{base}?{urlencode(others)}" if others else base, **options)


def _options(
    query: str, known: Mapping[str, Callable[[str], Any]]
) -> Tuple[Dict[str, Any], List[Tuple[str, str]]]:
    options: Dict[str, Any] = {}
    others: List[Tuple[str, str]] = []
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            others.append((name, text))
            continue
        try:
            options[name] = known[name](text)
        except ValueError:
            raise ValueError(f"{name} must be a number, got {redact(text)!r}.") from None
    return options, others
