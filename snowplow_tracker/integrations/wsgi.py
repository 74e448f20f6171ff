"""WSGI applications: Flask, Pyramid, Bottle, Django and all others.

    app = SnowplowMiddleware(app)

Every event that is tracked during a request gets its user agent, language, URL, referrer, IP address and the ids in its
cookies.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, Optional, Tuple
from urllib.parse import quote

from snowplow_tracker.integrations._request import (
    TRACKED,
    RequestOptions,
    RequestScope,
    RequestTracking,
)
from snowplow_tracker.typing import Unpack

if TYPE_CHECKING:
    from snowplow_tracker.tracker import Tracker

__all__ = ["SnowplowMiddleware"]

Environ = Dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~-]*")


@lru_cache(maxsize=64)
def _environ_name(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


class SnowplowMiddleware:
    """A WSGI application that wraps another one and opens a scope for each of its requests.

    Args:
        app: The application to wrap.
        tracker: Tracks page views and exceptions. It is not needed for scopes, which apply to all trackers.
        **options: See below. Your functions are called with the WSGI environment.

    Options (keyword arguments):
        * `trusted_proxies`: the number of proxies in front of the application, or a list of their networks. Only then
          are `X-Forwarded-For` and `X-Forwarded-Proto` used. Default 0.
        * `useragent`, `language`, `page` (URL and referrer), `ip_address`, `id_cookie` (the JavaScript tracker's
          `_sp_id`): whether to add it to events. Default True.
        * `cookie_prefix` (default `"_sp_"`), `cookie_suffix` (default: the most recently used cookie): the name of that
          cookie. `network_cookie`: the name of the collector's cookie (default `"sp"`), or None.
        * `privacy_signals`: add no identifiers for requests with `DNT: 1` or `Sec-GPC: 1`. Default True.
        * `is_anonymous(environ)`: returns whether to add no identifiers to events of this request.
        * `user_id(environ)`: returns the user id; called when the first event is tracked.
        * `page_views`: track a `PageView` for each HTML page with a 2xx response, but not for `HEAD` and `OPTIONS`:
          True, or a function that is called with the environment and returns whether to track. Default False.
        * `exceptions`: track an `application_error` for each exception that the application raises, also while its
          response is streamed. Default False. Bottle and Falcon answer exceptions themselves: use `track_exception`
          there.

    Raises:
        TypeError: An option is unknown or has the wrong type, or an option needs a tracker.
        ValueError: A proxy is neither an address nor a network.

    New in version 1.2.0.
    """

    def __init__(
        self,
        app: Application,
        tracker: Optional[Tracker] = None,
        **options: Unpack[RequestOptions],
    ) -> None:
        self.app = app
        self._tracking: RequestTracking = RequestTracking(tracker, **options)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Handle a request."""
        tracking = self._tracking
        request = WSGIRequest(environ)
        scope = tracking.scope(request)
        answer: Optional[_Answer] = None
        if tracking.tracks_page_views:
            answer = _Answer(start_response)
            start_response = answer.start_response
        with scope:
            try:
                body = self.app(environ, start_response)
            except Exception as error:
                _track_exception(error, tracking, request)
                raise
        if answer is None and type(body) in (list, tuple):
            return body  # no code of the application runs after this
        kind = _SizedBody if hasattr(body, "__len__") else _Body
        return kind(body, scope, tracking, request, answer)


class WSGIRequest:
    """A request of WSGI, as `IncomingRequest` describes it."""

    __slots__ = ("_environ", "raw")

    def __init__(self, environ: Environ) -> None:
        self.raw: Any = environ
        self._environ = environ

    @property
    def peer(self) -> Optional[str]:
        return self._environ.get("REMOTE_ADDR")

    @property
    def method(self) -> Optional[str]:
        return self._environ.get("REQUEST_METHOD")

    def header(self, name: str) -> Optional[str]:
        value = self._environ.get(_environ_name(name))
        return value if isinstance(value, str) else None

    def url(self, scheme: Optional[str]) -> Optional[str]:
        environ = self._environ
        scheme = scheme or environ.get("wsgi.url_scheme") or "http"
        host = environ.get("HTTP_HOST")
        if not host:
            host = environ.get("SERVER_NAME") or "localhost"
            port = environ.get("SERVER_PORT")
            if port and port != {"http": "80", "https": "443"}.get(scheme):
                host = f"{host}:{port}"
        # The path is the bytes of the request, decoded as Latin-1 after percent-decoding.
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        query = environ.get("QUERY_STRING")
        if _PLAIN_PATH.fullmatch(path) is None:
            path = quote(path.encode("latin-1", "replace"), safe="/;=,:@!$&()*+~")
        url = f"{scheme}://{host}{path}"
        return f"{url}?{query}" if query else url


class _Answer:
    """Records the status and content type with which the application starts its response."""

    def __init__(self, start_response: StartResponse) -> None:
        self._start_response = start_response
        self.started: Optional[Tuple[int, Optional[str]]] = None

    def start_response(self, status: str, headers: Any, *exc_info: Any) -> Any:
        content_type = next(
            (value for name, value in headers if name.lower() == "content-type"), None
        )
        code = status[:3]
        self.started = (int(code) if code.isdigit() else 0, content_type)
        return self._start_response(status, headers, *exc_info)


class _Body:
    """The body of a response, each part of which is produced inside the scope of the request."""

    def __init__(
        self,
        body: Iterable[bytes],
        scope: RequestScope,
        tracking: RequestTracking,
        request: WSGIRequest,
        answer: Optional[_Answer],
    ) -> None:
        self._body = body
        self._iterator: Optional[Iterator[bytes]] = None
        self._scope = scope
        self._tracking = tracking
        self._request = request
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._scope:
            try:
                if self._iterator is None:
                    self._iterator = iter(self._body)
                return next(self._iterator)
            except StopIteration:
                raise
            except Exception as error:
                _track_exception(error, self._tracking, self._request)
                raise

    def close(self) -> None:
        """Close the body, as servers do at the end of every response, and track the page view."""
        answer, self._answer = self._answer, None
        with self._scope:
            try:
                if answer is not None and answer.started is not None:
                    self._tracking.track_page_view(self._request, *answer.started)
            finally:
                close = getattr(self._body, "close", None)
                if close is not None:
                    try:
                        close()
                    except Exception as error:
                        _track_exception(error, self._tracking, self._request)
                        raise


def _track_exception(error: Exception, tracking: RequestTracking, request: WSGIRequest) -> None:
    if request.raw.get(TRACKED) is not error:
        tracking.track_exception(error)


class _SizedBody(_Body):
    """A body with a known number of parts: for a single one, servers can compute the `Content-Length`."""

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        return True
