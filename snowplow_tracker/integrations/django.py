"""Django, under WSGI and ASGI: a scope per request.

    MIDDLEWARE = ["snowplow_tracker.integrations.django.SnowplowMiddleware", ...]
    SNOWPLOW = {"tracker": "shop.tracking.tracker", "user": True}

Put it first, so that all other middleware runs inside the scope. `SNOWPLOW` is optional: a scope needs no tracker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Iterable, Iterator, Optional

from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    ImproperlyConfigured,
    PermissionDenied,
    SuspiciousOperation,
)
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.utils.module_loading import import_string

from snowplow_tracker.integrations._request import DEFAULTS, RequestScope, RequestTracking
from snowplow_tracker.integrations.wsgi import WSGIRequest

try:
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction
except ImportError:  # before asgiref 3.6
    from asyncio import coroutines, iscoroutinefunction

    def markcoroutinefunction(function: Any) -> Any:
        """Mark an object as a coroutine function for Django."""
        function._is_coroutine = coroutines._is_coroutine  # type: ignore[attr-defined] # noqa: SLF001
        return function


if TYPE_CHECKING:
    from snowplow_tracker.tracker import Tracker

__all__ = ["SnowplowMiddleware"]

_ANSWERED_WITH_4XX = (
    BadRequest,
    Http404,
    MultiPartParserError,
    PermissionDenied,
    SuspiciousOperation,
)


class SnowplowMiddleware:
    """Django middleware: every event inside a request gets its user, page and device.

    It reads the setting `SNOWPLOW`, a dictionary. Functions in it are called with the `HttpRequest`.

    Keys of the setting:
        * `tracker`: tracks page views and exceptions: a tracker, a function that returns one, or the dotted path of
          either. It is not needed for scopes, which apply to all trackers.
        * `user`: add the primary key of `request.user`, if the user is logged in. Under WSGI it is read when the first
          event is tracked, so that requests without events make no query; if that happens inside `async_to_sync`, where
          Django allows no query, the events of the request have no user. Under ASGI, where tracking must not wait for
          a database, it is read before the view runs, for requests with a session cookie. Default False.
        * `trusted_proxies`: the number of proxies in front of the application, or a list of their networks. Only then
          are `X-Forwarded-For` and `X-Forwarded-Proto` used. Default 0.
        * `useragent`, `language`, `page` (URL and referrer), `ip_address`, `id_cookie` (the JavaScript tracker's
          `_sp_id`): whether to add it to events. Default True.
        * `cookie_prefix` (default `"_sp_"`), `cookie_suffix` (default: the most recently used cookie): the name of that
          cookie. `network_cookie`: the name of the collector's cookie (default `"sp"`), or None.
        * `privacy_signals`: add no identifiers for requests with `DNT: 1` or `Sec-GPC: 1`. Default True.
        * `is_anonymous(request)`: returns whether to add no identifiers to events of this request.
        * `user_id(request)`: returns the user id, instead of `user`. Under ASGI it must not query the database.
        * `page_views`: track a `PageView` for each HTML page with a 2xx response, but not for `HEAD` and `OPTIONS`:
          True, or a function that is called with the request and returns whether to track. Default False.
        * `exceptions`: track an `application_error` for each exception of a view or a streamed response, except those
          that Django answers with a 4xx status, such as `Http404`. Default False.

    Raises:
        ImproperlyConfigured: The setting is invalid; the message gives the reason.

    New in version 1.2.0.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        options = dict(getattr(settings, "SNOWPLOW", None) or {})
        known = ("tracker", "user", *DEFAULTS)
        unknown = [str(name) for name in options if name not in known]
        if unknown:
            raise ImproperlyConfigured(
                f"The setting SNOWPLOW is wrong: {', '.join(unknown)} is not an option. The options are: {', '.join(known)}."
            )
        wants_user = options.pop("user", False)
        if wants_user and "user_id" not in options:
            options["user_id"] = _remembered_user_id if self._is_async else _user_id
        try:
            tracker = _tracker_of(options.pop("tracker", None))
            self._tracking: RequestTracking = RequestTracking(tracker, **options)
        except (TypeError, ValueError, ImportError) as error:
            raise ImproperlyConfigured(f"The setting SNOWPLOW is invalid: {error}") from error
        if self._is_async:
            markcoroutinefunction(self)
        if wants_user:
            self.process_view: Any = (
                self._remember_user_async if self._is_async else self._remember_user
            )
        if self._tracking.tracks_exceptions:
            # Django calls it in a thread, also under ASGI.
            self.process_exception: Any = self._track_exception

    def __call__(self, request: Any) -> Any:
        """Handle a request."""
        if self._is_async:
            return self._answer(request)
        incoming = DjangoRequest(request)
        with self._tracking.scope(incoming) as scope:
            response = self.get_response(request)
            self._track_page_view(incoming, response)
        return _with_streams(response, scope, self._tracking)

    async def _answer(self, request: Any) -> Any:
        incoming = DjangoRequest(request)
        with self._tracking.scope(incoming) as scope:
            response = await self.get_response(request)
            self._track_page_view(incoming, response)
        return _with_streams(response, scope, self._tracking)

    def _track_page_view(self, request: DjangoRequest, response: Any) -> None:
        if self._tracking.tracks_page_views:
            self._tracking.track_page_view(
                request, response.status_code, response.get("Content-Type")
            )

    def _track_exception(self, request: Any, exception: BaseException) -> None:  # noqa: ARG002
        if not isinstance(exception, _ANSWERED_WITH_4XX):
            self._tracking.track_exception(exception)

    def _remember_user(self, request: Any, view: Any, *_: Any) -> None:
        """Read the user before an asynchronous view, which must not wait for the database."""
        if iscoroutinefunction(view) and settings.SESSION_COOKIE_NAME in request.COOKIES:
            request._snowplow_user_id = _user_id(request)  # noqa: SLF001

    async def _remember_user_async(self, request: Any, *_: Any) -> None:
        """Read the user in a thread, which may wait for the database."""
        from asgiref.sync import sync_to_async

        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            request._snowplow_user_id = await sync_to_async(_user_id)(request)  # noqa: SLF001


class DjangoRequest(WSGIRequest):
    """A request of Django, whose `META` has the names of WSGI also under ASGI."""

    __slots__ = ()

    def __init__(self, request: Any) -> None:
        super().__init__(request.META)
        self.raw = request

    def url(self, scheme: Optional[str]) -> Optional[str]:
        meta = self._environ
        host = meta.get("HTTP_HOST") or f"{meta.get('SERVER_NAME')}:{meta.get('SERVER_PORT')}"
        return f"{scheme or self.raw.scheme}://{host}{self.raw.get_full_path()}"


def _tracker_of(setting: Any) -> Optional[Tracker]:
    found = import_string(setting) if isinstance(setting, str) else setting
    if found is not None and not hasattr(found, "track") and callable(found):
        found = found()
    return found  # type: ignore[no-any-return]


def _user_id(request: Any) -> Any:
    if hasattr(request, "_snowplow_user_id"):
        return request._snowplow_user_id  # noqa: SLF001
    user = getattr(request, "user", None)
    return user.pk if user is not None and user.is_authenticated else None


def _remembered_user_id(request: Any) -> Any:
    return getattr(request, "_snowplow_user_id", None)


def _with_streams(response: Any, scope: RequestScope, tracking: RequestTracking) -> Any:
    """Make a streaming response run inside the scope, and track its exceptions: Django tells no middleware of them."""
    if not getattr(response, "streaming", False) or hasattr(response, "file_to_stream"):
        return response
    if getattr(response, "is_async", False):
        response.streaming_content = _in_scope_async(response.streaming_content, scope, tracking)
    else:
        response.streaming_content = _in_scope(response.streaming_content, scope, tracking)
    return response


def _in_scope(
    parts: Iterable[Any], scope: RequestScope, tracking: RequestTracking
) -> Iterator[Any]:
    iterator = iter(parts)
    while True:
        with scope:
            try:
                part = next(iterator)
            except StopIteration:
                return
            except Exception as error:
                tracking.track_exception(error)
                raise
        yield part


async def _in_scope_async(
    parts: Any, scope: RequestScope, tracking: RequestTracking
) -> AsyncIterator[Any]:
    iterator = parts.__aiter__()
    while True:
        with scope:
            try:
                part = await iterator.__anext__()
            except StopAsyncIteration:
                return
            except Exception as error:
                tracking.track_exception(error)
                raise
        yield part
