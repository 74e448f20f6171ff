"""Flask: a scope per request.

SnowplowExtension(app, tracker, user_id=lambda request: current_user.get_id())
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, cast

from flask import Flask, Response, has_request_context, request

from snowplow_tracker.integrations._request import TRACKED, RequestOptions, RequestTracking
from snowplow_tracker.integrations.errors import track_exception
from snowplow_tracker.integrations.wsgi import SnowplowMiddleware
from snowplow_tracker.scope import surroundings
from snowplow_tracker.typing import Unpack

if TYPE_CHECKING:
    from snowplow_tracker.tracker import Tracker

__all__ = ["SnowplowExtension"]

_CALLED_WITH_REQUEST = ("user_id", "is_anonymous", "page_views")


class SnowplowExtension:
    """A Flask extension: every event inside a request gets its user, page and device.

    Args:
        app: The application; without one, call `init_app`.
        tracker: Tracks page views and exceptions. It is not needed for scopes, which apply to all trackers.
        **options: See below. Your functions are called with `flask.request`.

    Options (keyword arguments):
        * `trusted_proxies`: the number of proxies in front of the application, or a list of their networks. Only then
          are `X-Forwarded-For` and `X-Forwarded-Proto` used. Default 0. Keep the default if `ProxyFix` is used.
        * `useragent`, `language`, `page` (URL and referrer), `ip_address`, `id_cookie` (the JavaScript tracker's
          `_sp_id`): whether to add it to events. Default True.
        * `cookie_prefix` (default `"_sp_"`), `cookie_suffix` (default: the most recently used cookie): the name of that
          cookie. `network_cookie`: the name of the collector's cookie (default `"sp"`), or None.
        * `privacy_signals`: add no identifiers for requests with `DNT: 1` or `Sec-GPC: 1`. Default True.
        * `is_anonymous(request)`: returns whether to add no identifiers to events of this request.
        * `user_id(request)`: returns the user id; called when the first event is tracked.
        * `page_views`: track a `PageView` for each HTML page with a 2xx response, but not for `HEAD` and `OPTIONS`:
          True, or a function that is called with the request and returns whether to track. Default False.
        * `exceptions`: track an `application_error` for each exception without an error handler, those of streamed
          responses included. Default False.

    Raises:
        TypeError: An option is unknown or has the wrong type, or an option needs a tracker.
        ValueError: A proxy is neither an address nor a network.

    New in version 1.2.0.
    """

    def __init__(
        self,
        app: Optional[Flask] = None,
        tracker: Optional[Tracker] = None,
        **options: Unpack[RequestOptions],
    ) -> None:
        RequestTracking(tracker, **options)  # raises for invalid options
        self._tracker = tracker
        self._options = cast("Dict[str, Any]", options)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Open a scope for each request of an application.

        Args:
            app: The application.
        """
        options = dict(self._options)
        for name in _CALLED_WITH_REQUEST:
            if callable(options.get(name)):
                options[name] = _with_request(app, options[name])
        app.wsgi_app = _Middleware(app.wsgi_app, self._tracker, **options)
        if callable(options.get("user_id")) or callable(options.get("is_anonymous")):
            app.after_request(_read_before_streaming)
        app.extensions["snowplow_tracker"] = self
        if options.get("exceptions"):
            # Flask answers exceptions of views with a page, so the middleware sees only those of streamed responses,
            # and in tests and debuggers all.
            app.teardown_request(self._track_exception)

    def _track_exception(self, error: Optional[BaseException]) -> None:
        # A client that goes away while a body is streamed raises GeneratorExit, which is none.
        if self._tracker is not None and isinstance(error, Exception):
            track_exception(self._tracker, error)
            request.environ[TRACKED] = error


class _Middleware(SnowplowMiddleware):
    def __call__(self, environ: Dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if has_request_context():
            # A view makes a request of its own, inside of which `flask.request` and the user are those of that one.
            surroundings()
        return super().__call__(environ, start_response)


def _read_before_streaming(response: Response) -> Response:
    """Read the request while its context lasts: there is none any more while the body is streamed."""
    if response.is_streamed and not response.direct_passthrough:
        surroundings()
    return response


def _with_request(app: Flask, function: Callable[[Any], Any]) -> Callable[[Dict[str, Any]], Any]:
    def call(environ: Dict[str, Any]) -> Any:
        if has_request_context():
            return function(request)
        return function(app.request_class(environ))  # while a body is streamed

    return call
