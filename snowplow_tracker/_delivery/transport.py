"""One HTTP request: through requests, or past it where that makes no difference."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional

from snowplow_tracker._late_imports import guard
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._signatures import takes_keyword

if TYPE_CHECKING:
    import requests

    from snowplow_tracker._delivery.direct import DirectConnections

_MOST_READ = 65_536
"""Bytes of an answer that are read to keep its connection; nobody looks at them."""

_MODULES_OF_ERRORS = frozenset(
    [
        "builtins",
        "encodings",
        "http",
        "idna",
        "OpenSSL",
        "requests",
        "select",
        "socket",
        "socks",
        "ssl",
        "urllib3",
        "zlib",
    ]
)
"""Whose exceptions a request may raise. An asynchronous exception, as RQ's timeouts in threads, has a class of its own."""

_abandoned: List[Any] = []
"""Sessions of a parent process: closing one here could wait for a lock that a thread of the parent held at the fork."""


class Transport:
    """Makes requests: in the user's session as it is, or in one of its own that keeps connections but no cookies.

    What only requests need is imported for the first emitter: `requests`, where it is needed, takes 60 ms.

    Args:
        session: The user's session: anything with `post` and `get` as requests has them.
    """

    def __init__(self, session: Optional[requests.Session] = None) -> None:
        self._user_session = session
        self._may_not_redirect: Optional[bool] = None
        self._own_session: Optional[requests.Session] = None
        self._own_direct: Optional[DirectConnections] = None
        self._lock = threading.Lock()

    def prepare(self, url: str, method: str) -> None:
        """Import what the requests will need.

        Done by the first request, in a thread of its own, it could be met by a fork, whose child would wait for ever
        for an import that nobody goes on with.
        """
        if self._user_session is not None:
            return
        with guard:
            from snowplow_tracker._delivery import direct

            if method == "get" or not direct.prepare(url):
                import requests  # noqa: F401

    def post(self, url: str, **options: Any) -> Any:
        """Make a POST request and return its response."""
        if self._user_session is not None:
            return self._by_user(self._user_session.post, url, options)
        if _stand_in() is not None:
            return self._request("post", url, options)
        answer = self._direct().post(url, options["data"], options["headers"], options["timeout"])
        return self._request("post", url, options) if answer is None else answer

    def get(self, url: str, **options: Any) -> Any:
        """Make a GET request and return its response."""
        if self._user_session is not None:
            return self._by_user(self._user_session.get, url, options)
        return self._request("get", url, options)

    def is_request_error(self, error: Exception) -> bool:
        """Return whether an exception is a fault of the request, and not meant for the caller.

        A user's session may raise anything; ours raises what the standard library and requests do.
        """
        if is_interrupt(error):
            return False
        return self._user_session is not None or (
            type(error).__module__.partition(".")[0] in _MODULES_OF_ERRORS
        )

    def close(self) -> None:
        """Close the connections of our own session."""
        with self._lock:
            session, self._own_session = self._own_session, None
        if session is not None:
            session.close()
        if self._own_direct is not None:
            self._own_direct.close()

    def after_fork(self) -> None:
        """Use none of the parent's connections in a forked child."""
        self._lock = threading.Lock()
        if self._own_direct is not None:
            self._own_direct.close()
        if self._own_session is not None:
            _abandoned.append(self._own_session)
            self._own_session = None
        for adapter in getattr(self._user_session, "adapters", {}).values():
            # The session is the user's, its sockets are the parent's.
            pools = getattr(adapter, "poolmanager", None)
            if pools is not None and hasattr(adapter, "init_poolmanager"):
                _abandoned.append(pools)
                adapter.init_poolmanager(
                    getattr(adapter, "_pool_connections", 10),
                    getattr(adapter, "_pool_maxsize", 10),
                    block=getattr(adapter, "_pool_block", False),
                )

    def _by_user(self, function: Callable[..., Any], url: str, options: Dict[str, Any]) -> Any:
        if self._may_not_redirect is None:
            self._may_not_redirect = takes_keyword(function, "allow_redirects")
        return function(url, **(options if self._may_not_redirect else _as_in_1_1_0(options)))

    def _request(self, method: str, url: str, options: Dict[str, Any]) -> Any:
        with guard:
            import requests

        function = getattr(_stand_in() or requests, method)
        if getattr(function, "__module__", "") == "requests.api":
            function = getattr(self._session(), method)
            options = {**options, "stream": True}
        else:
            # A test replaced requests.post, and its stand-in may take no more than it got from 1.1.0.
            options = _as_in_1_1_0(options)
        response = function(url, **options)
        _read_to_end(response, options["timeout"])
        return response

    def _direct(self) -> DirectConnections:
        direct = self._own_direct
        if direct is None:
            with guard:
                from snowplow_tracker._delivery.direct import DirectConnections

            with self._lock:
                direct = self._own_direct = self._own_direct or DirectConnections()
        return direct

    def _session(self) -> requests.Session:
        session = self._own_session
        if session is None:
            with self._lock:
                session = self._own_session
                if session is None:
                    session = self._own_session = _new_session()
        return session


def _stand_in() -> Any:
    """What a test put in the place of requests in `snowplow_tracker.emitters`, which by itself has it from `__getattr__`."""
    return vars(sys.modules.get("snowplow_tracker.emitters", sys)).get("requests")


def _as_in_1_1_0(options: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in options.items() if name != "allow_redirects"}


def _new_session() -> requests.Session:
    with guard:
        from http.cookiejar import DefaultCookiePolicy

        import requests

    session = requests.Session()
    # The collector's cookie holds a network user id: kept, all users behind this process would share it.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _read_to_end(response: Any, timeout: Any) -> None:
    """Read the answer, so that its connection can be used again; hang up on one that does not end, or not in time."""
    import requests

    if not isinstance(response, requests.Response) or response.raw is None:
        return  # a stand-in of a test, for which a status was enough in 1.1.0
    read = 0
    seconds = timeout[1] if isinstance(timeout, tuple) else timeout
    deadline = None if seconds is None else time.monotonic() + seconds
    for piece in response.iter_content(8_192):
        read += len(piece)
        if read > _MOST_READ or (deadline is not None and time.monotonic() > deadline):
            break
    response.close()
