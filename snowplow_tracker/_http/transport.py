"""One HTTP request: in a user's session, past requests, or through requests."""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, List, Mapping, Optional

from snowplow_tracker._compat.keywords import takes_keyword
from snowplow_tracker._http.bypass import plan, prepare, tls_context
from snowplow_tracker._http.deadline import limits_of
from snowplow_tracker._http.keep_alive import KeepAliveClient
from snowplow_tracker._http.through_requests import ThroughRequests, import_late_parts
from snowplow_tracker._process.interrupts import is_interrupt, unwrapped
from snowplow_tracker.typing import Session

_abandoned: List[Any] = []
"""Pools of a parent process, kept for the reason given in `through_requests`."""


class Transport:
    """Makes requests: in the user's session as it is, or over kept connections without cookies.

    Args:
        session: The user's session: anything with `post` and `get` as requests has them.
    """

    def __init__(self, session: Optional[Session] = None) -> None:
        self._user_session = session
        self._may_not_redirect: Optional[bool] = None
        self._client = KeepAliveClient(tls_context)
        self._through_requests = ThroughRequests()

    def prepare(self, url: str) -> None:
        """Import what the requests will need.

        If the first request imported it, in its own thread, a fork at that moment would leave the child with an import
        lock that is never released.
        """
        if self._user_session is not None:
            import inspect  # noqa: F401 - for what its functions take

            import_late_parts()
        elif not prepare(url):
            self._through_requests.prepare()

    def post(self, url: str, **options: Any) -> Any:
        """Make a POST request and return its response."""
        return self._make("post", url, options)

    def get(self, url: str, **options: Any) -> Any:
        """Make a GET request and return its response."""
        return self._make("get", url, options)

    def _make(self, method: str, url: str, options: Dict[str, Any]) -> Any:
        try:
            return self._request(method, url, options)
        except Exception as error:
            interrupt = unwrapped(error) if is_interrupt(error) else error
            if interrupt is error:
                raise
        # What a signal handler raised comes out as it is, not as the error that requests made of it.
        raise interrupt

    def _request(self, method: str, url: str, options: Dict[str, Any]) -> Any:
        if self._user_session is not None:
            return self._by_user(getattr(self._user_session, method), url, options)
        replaced = _replaced_function(method)
        if replaced is not None:
            # It may accept only the arguments that 1.1.0 passed.
            return replaced(url, **_as_in_1_1_0(options))
        planned = plan(url, options.get("headers") or {}, options.get("params"))
        if planned is None or not isinstance(options["timeout"], (int, float, tuple, type(None))):
            return self._through_requests.request(method, url, options)
        data = options.get("data")
        return self._client.request(
            method.upper(),
            planned.origin,
            planned.target,
            planned.headers,
            None if data is None else data.encode(),
            limits_of(options["timeout"]),
        )

    def _by_user(self, function: Callable[..., Any], url: str, options: Dict[str, Any]) -> Any:
        if self._may_not_redirect is None:
            # A session of requests hands its keywords on to `request`, which a subclass may override.
            request = getattr(self._user_session, "request", function)
            self._may_not_redirect = all(
                takes_keyword(each, "allow_redirects") for each in (function, request)
            )
        return function(url, **(options if self._may_not_redirect else _as_in_1_1_0(options)))

    def close(self) -> None:
        """Close our own connections."""
        self._client.close()
        self._through_requests.close()

    def after_fork(self) -> None:
        """Use none of the parent's connections in a forked child."""
        self._client.after_fork()
        self._through_requests.after_fork()
        for adapter in getattr(self._user_session, "adapters", {}).values():
            # The session is the user's, but its sockets are the parent's.
            pools = getattr(adapter, "poolmanager", None)
            if pools is not None and hasattr(adapter, "init_poolmanager"):
                _abandoned.append(pools)
                adapter.init_poolmanager(
                    getattr(adapter, "_pool_connections", 10),
                    getattr(adapter, "_pool_maxsize", 10),
                    block=getattr(adapter, "_pool_block", False),
                )


def _replaced_function(method: str) -> Optional[Callable[..., Any]]:
    """Return what replaced `requests.post` or `requests.get`, as mocking tools do; None if nothing did."""
    # `snowplow_tracker.emitters.requests` comes from `__getattr__`, unless it was set.
    emitters = vars(sys.modules.get("snowplow_tracker.emitters", sys))
    requests = emitters.get("requests") or sys.modules.get("requests")
    function: Optional[Callable[..., Any]] = getattr(requests, method, None)
    if function is None or getattr(function, "__module__", "") == "requests.api":
        return None
    return function


def _as_in_1_1_0(options: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in options.items() if name != "allow_redirects"}
