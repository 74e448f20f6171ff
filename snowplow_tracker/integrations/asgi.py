"""ASGI applications: FastAPI, Starlette, Litestar, Quart, Django and all others.

    app = SnowplowMiddleware(app, tracker)

Every event that is tracked while a request is answered carries its user agent, language, URL, referrer, IP address and
the ids in its cookies. When the server shuts down, the tracker sends what it holds: uvicorn and hypercorn end without
Python's exit hooks.
"""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    AsyncIterator,
    Awaitable,
    Callable,
    Dict,
    MutableMapping,
    Optional,
)

from snowplow_tracker.integrations._request import RequestOptions, RequestTracking
from snowplow_tracker.typing import Unpack

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from snowplow_tracker.tracker import Tracker

__all__ = ["SnowplowMiddleware", "lifespan"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIScope = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class SnowplowMiddleware:
    """An ASGI application that opens a scope for each request and each WebSocket to another one.

    It closes the tracker when the server shuts down, also where the other application has no lifespan.

    Args:
        app: The application.
        tracker: Is closed at shutdown, and tracks page views and exceptions. Scopes need none: they are for all
            trackers.
        close_tracker: Close the tracker at shutdown.
        **options: See below; functions of yours are called with the ASGI connection scope.

    Options, all of which are keywords:
        * `trusted_proxies`: how many proxies are in front of the application, or a list of their networks; only then
          are `X-Forwarded-For` and `X-Forwarded-Proto` believed. Default 0. Leave it where the server itself reads
          these headers, as `uvicorn --proxy-headers` does.
        * `useragent`, `language`, `page` (URL and referrer), `ip_address`, `id_cookie` (the JavaScript tracker's
          `_sp_id`): whether events carry it. Default True.
        * `cookie_prefix` (default `"_sp_"`), `cookie_suffix` (default: the cookie that was used last): the name of that
          cookie. `network_cookie`: the name of the collector's cookie (default `"sp"`), or None.
        * `privacy_signals`: no identifiers for requests with `DNT: 1` or `Sec-GPC: 1`. Default True.
        * `is_anonymous(scope)`: whether events of this request carry no identifiers.
        * `user_id(scope)`: the user, asked when the first event is tracked. It must not block.
        * `page_views`: track a `PageView` for each HTML page answered with 2xx: True, or a function of the connection
          scope that says whether. Default False.
        * `exceptions`: track an `application_error` for each exception that the application lets out. Default False.

    Raises:
        TypeError: An option is unknown or has the wrong type, or something is to be tracked without a tracker.
        ValueError: A proxy is no address and no network.

    Example:
        >>> app = FastAPI()
        >>> app.add_middleware(SnowplowMiddleware, tracker=tracker)

    New in version 1.2.0.
    """

    def __init__(
        self,
        app: Application,
        tracker: Optional[Tracker] = None,
        *,
        close_tracker: bool = True,
        **options: Unpack[RequestOptions],
    ) -> None:
        self.app = app
        self._tracking: RequestTracking[ASGIScope] = RequestTracking(tracker, **options)
        self._closes = tracker if close_tracker else None

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(scope, receive, send)
        elif kind not in ("http", "websocket"):
            await self.app(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        tracking = self._tracking
        request = ASGIRequest(scope)
        if tracking.tracks_page_views and scope["type"] == "http":
            send = _tracking_page_views(send, request, tracking)
        with tracking.scope(request):
            try:
                await self.app(scope, receive, send)
            except Exception as error:
                tracking.track_exception(error)
                raise

    async def _live(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Pass the lifespan on, and close the tracker before the server is told that shutdown is complete."""
        asked = False

        async def receive_and_note() -> Message:
            nonlocal asked
            asked = True
            return await receive()

        async def send_after_closing(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown"):
                await self._close()
            await send(message)

        try:
            await self.app(scope, receive_and_note, send_after_closing)
        except Exception:
            if asked:
                raise
            # The application does not know lifespans, and says so by an exception.
            await self._live_alone(receive, send)

    async def _live_alone(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _close(self) -> None:
        if self._closes is not None:
            await self._closes.aclose()


class ASGIRequest:
    """A request as ASGI has it."""

    __slots__ = ("_headers", "raw")

    def __init__(self, scope: ASGIScope) -> None:
        self.raw = scope
        self._headers: Optional[Dict[str, str]] = None

    @property
    def peer(self) -> Optional[str]:
        """The address of the other end of the connection."""
        client = self.raw.get("client")
        return client[0] if client else None

    def header(self, name: str) -> Optional[str]:
        """Return a header by its name in lower case; several of one name are joined as HTTP says."""
        headers = self._headers
        if headers is None:
            headers = {}
            for key, value in self.raw["headers"]:
                known = key.decode("latin-1").lower()
                text = value.decode("latin-1")
                if known in headers:
                    separator = "; " if known == "cookie" else ", "
                    text = f"{headers[known]}{separator}{text}"
                headers[known] = text
            self._headers = headers
        return headers.get(name)

    def url(self, scheme: Optional[str]) -> Optional[str]:
        """Return the URL that was asked for."""
        from urllib.parse import quote

        scope = self.raw
        own_scheme = scope.get("scheme") or "http"
        if scheme is not None:
            own_scheme = {"ws": "ws", "wss": "ws"}.get(own_scheme, "http")
            own_scheme += "s" if scheme == "https" else ""
        host = self.header("host")
        if not host:
            server = scope.get("server")
            host = "localhost" if not server else f"{server[0]}:{server[1]}"
        raw_path = scope.get("raw_path")
        if raw_path:
            path = raw_path.decode("latin-1").partition("?")[0]
        else:
            path = quote(scope["path"], safe="/;=,:@!$&'()*+~")
        root = scope.get("root_path") or ""
        if root and not path.startswith(root):
            path = f"{root}{path}"
        query = scope.get("query_string", b"").decode("latin-1")
        return f"{own_scheme}://{host}{path}{'?' if query else ''}{query}"


def _tracking_page_views(
    send: Send, request: ASGIRequest, tracking: RequestTracking[ASGIScope]
) -> Send:
    async def send_and_track(message: Message) -> None:
        await send(message)
        if message["type"] == "http.response.start":
            content_type = next(
                (
                    value.decode("latin-1")
                    for name, value in message.get("headers", ())
                    if name.lower() == b"content-type"
                ),
                None,
            )
            tracking.track_page_view(request, message["status"], content_type)

    return send_and_track


def lifespan(*trackers: Tracker) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan for Starlette and FastAPI that closes trackers when the server shuts down.

    It is for applications without the middleware, which does the same.

    Args:
        *trackers: What to close.

    Example:
        >>> app = FastAPI(lifespan=lifespan(tracker))

    New in version 1.2.0.
    """
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def close_at_the_end(app: Any) -> AsyncIterator[None]:  # noqa: ARG001 - as Starlette calls it
        try:
            yield
        finally:
            for tracker in trackers:
                await tracker.aclose()

    return close_at_the_end
