"""Requests in a session of requests that keeps connections and refuses cookies, with the same time limits."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Dict, List, Mapping

from snowplow_tracker._http.bypass import is_replaced
from snowplow_tracker._http.deadline import Limits, limits_of
from snowplow_tracker._http.sockets import Response, connect, set_read_by
from snowplow_tracker._process.clock import monotonic

_MAX_READ = 65_536
_MAX_IDLE_SECONDS = 60.0
_MAX_IDLE = 100
"""Maximum of kept connections. Further threads open one for each request, and urllib3 warns about it."""

_limits: ContextVar[Limits] = ContextVar("snowplow_tracker_limits")
"""The limits of the request that this thread makes."""

_abandoned: List[Any] = []
"""Sessions of a parent process: closing one here could wait for a lock that a thread of the parent held at the fork."""


def import_late_parts() -> None:
    """Import what requests imports in the middle of a request."""
    import encodings.idna  # noqa: F401
    import http.cookiejar  # noqa: F401
    import netrc  # noqa: F401


class ThroughRequests:
    """Makes requests in its own sessions."""

    def __init__(self) -> None:
        self._sessions: Dict[bool, Any] = {}
        self._last_used = monotonic()

    def prepare(self) -> None:
        """Import what a request needs, including what requests itself imports only then."""
        import requests  # noqa: F401

        import_late_parts()

    def request(self, method: str, url: str, options: Mapping[str, Any]) -> Any:
        """Make a request and return its response.

        Args:
            method: `"post"` or `"get"`.
            url: Where to.
            options: As `requests.post` takes them.
        """
        import requests

        limits = limits_of(options["timeout"])
        now = monotonic()
        # Set at once: another thread that begins now must not close what this one opens.
        idle, self._last_used = now - self._last_used, now
        if idle > _MAX_IDLE_SECONDS:
            self.close()  # a proxy or firewall may have dropped its connections
        session = self._session(plain=is_replaced())
        _limits.set(limits)
        set_read_by(limits.read_by())
        try:
            response = getattr(session, method)(url, **{**options, "stream": True})
            _read_to_end(response, limits.read_by(), requests.Response)
        finally:
            self._last_used = monotonic()
        return response

    def _session(self, *, plain: bool) -> Any:
        session = self._sessions.get(plain)
        if session is None:
            session = self._sessions.setdefault(plain, _new_session(plain=plain))
        return session

    def close(self) -> None:
        """Close the connections."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            session.close()

    def after_fork(self) -> None:
        """Use none of the parent's connections in a forked child."""
        _abandoned.extend(self._sessions.values())
        self._sessions = {}


def _new_session(*, plain: bool) -> Any:
    """Make a session.

    Args:
        plain: Without our adapter: a part of requests was replaced, and has to be used.
    """
    from http.cookiejar import DefaultCookiePolicy

    import requests

    session = requests.Session()
    # The collector's cookie holds a network user id: kept, all users behind this process would share it.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    if not plain:
        adapter = _adapter_class()
        session.mount("http://", adapter(pool_maxsize=_MAX_IDLE))
        session.mount("https://", adapter(pool_maxsize=_MAX_IDLE))
    return session


def _adapter_class() -> Any:
    """Return the class of an adapter whose connections have our time limits."""
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class TimedConnection(HTTPConnection):
        response_class = Response

        def _new_conn(self) -> Any:
            return _connect_in_time(self, super()._new_conn)

    class TimedSecureConnection(HTTPSConnection):
        response_class = Response

        def _new_conn(self) -> Any:
            return _connect_in_time(self, super()._new_conn)

    class TimedPool(HTTPConnectionPool):
        ConnectionCls = TimedConnection

    class TimedSecurePool(HTTPSConnectionPool):
        ConnectionCls = TimedSecureConnection

    pools = {"http": TimedPool, "https": TimedSecurePool}

    class TimedAdapter(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
            super().init_poolmanager(*arguments, **named)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
            manager = super().proxy_manager_for(*arguments, **named)
            if set(manager.pool_classes_by_scheme.values()) <= {
                HTTPConnectionPool,
                HTTPSConnectionPool,
                *pools.values(),
            }:
                manager.pool_classes_by_scheme = pools
            return manager

    return TimedAdapter


def _connect_in_time(connection: Any, usual: Any) -> Any:
    """Connect with one limit for name lookup and all addresses, if there is one; the time for the answer begins then."""
    limits = _limits.get()
    by = limits.connect_by()
    sock = usual() if by is None or is_replaced() else _connect(connection, by)
    set_read_by(limits.read_by())
    return sock


def _connect(connection: Any, by: float) -> Any:
    host = getattr(connection, "_dns_host", connection.host)
    sock = connect(host.strip("[]"), connection.port, by)
    for option in connection.socket_options or ():
        sock.setsockopt(*option)
    sock.settimeout(connection.timeout if isinstance(connection.timeout, (int, float)) else None)
    return sock


def _read_to_end(response: Any, by: Any, kind: Any) -> None:
    """Read the answer so that its connection can be used again; close one that does not end, or not in time."""
    if not isinstance(response, kind) or response.raw is None:
        return  # a fake response of a test: a status was enough in 1.1.0
    read = 0
    for piece in response.iter_content(8_192):
        read += len(piece)
        if read > _MAX_READ or (by is not None and monotonic() > by):
            break
    response.close()
