"""Stores by URL, for programs that are told where the queue is."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Tuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from snowplow_tracker.event_store import EventStore

__all__ = ["FORMS", "open_store", "without_password"]

FORMS = (
    "sqlite:///relative/path, sqlite:////absolute/path, redis://[[user]:password@]host[:port]/db, "
    "rediss://... (TLS) or unix:///path/of/socket?db=0"
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


def open_store(url: str) -> EventStore:
    """Open a durable store.

    Args:
        url: One of `FORMS`. Keyword arguments of the store may be in its query, as in
            ``redis://localhost/0?stream=orders&claim_after=30``; the others of a Redis URL are for redis-py.

    Raises:
        ImportError: redis-py is needed and not installed.
        ValueError: It is no such URL, or an option is unknown or wrong.
    """
    scheme = urlsplit(url).scheme.lower()
    if scheme == "sqlite":
        return _open_sqlite(url)
    if scheme in ("redis", "rediss", "unix"):
        return _open_redis(url)
    raise ValueError(f"{without_password(url)!r} is not the URL of a store: it must be {FORMS}.")


def without_password(url: str) -> str:
    """Return a URL as it may be shown."""
    # Not by urlunsplit, which takes away slashes where there is no host.
    base, mark, query = url.partition("?")
    scheme, separator, rest = base.partition("://")
    user, at, host = rest.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = urlencode(
        [
            (key, "***" if "password" in key else value)
            for key, value in parse_qsl(query, keep_blank_values=True)
        ],
        safe="*/:",
    )
    return f"{scheme}{separator}{name}{':***' if colon else ''}{at}{host}{mark}{shown}"


def _open_sqlite(url: str) -> EventStore:
    from snowplow_tracker.sqlite_event_store import SQLiteEventStore

    rest = url.partition(":")[2]
    path, _, query = rest.partition("?")
    if not path.startswith("///") or len(path) < 4:
        raise ValueError(
            f"{url!r} names no file: it must be sqlite:///relative/path or sqlite:////absolute/path."
        )
    options, others = _options(query, _SQLITE)
    if others:
        raise ValueError(f"{others[0][0]!r} is not an option of a SQLite store.")
    return SQLiteEventStore(path[3:], **options)


def _open_redis(url: str) -> EventStore:
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
            raise ValueError(f"{name} must be a number, got {text!r}.") from None
    return options, others
