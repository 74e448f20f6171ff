"""ASGI applications: FastAPI, Starlette, Litestar, Quart, Django and all others.

    app = SnowplowMiddleware(app, tracker)

Every event that is tracked during a request gets its user agent, language, URL, referrer, IP address and the ids in its
cookies. When the server shuts down, the queued events are sent, since uvicorn and hypercorn end without
running Python's exit hooks. The tracker stays open: an adapter for AWS Lambda shuts down after each invocation, and a
test client after each test.
"""

from __future__ import annotations

from functools import partial
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
from urllib.parse import quote

from snowplow_tracker.emitters import Emitter
from snowplow_tracker.integrations._request import RequestOptions, RequestTracking
from snowplow_tracker.integrations._threads import in_thread
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
    """An ASGI application that wraps another one and opens a scope for each of its requests and WebSockets.

    When the server shuts down, it sends the queued events of the tracker, within the `exit_timeout` of each emitter,
    even if the other application has no lifespan.

    Args:
        app: The application to wrap.
        tracker: Tracks page views and exceptions, and is flushed at shutdown. It is not needed for scopes, which apply
            to all trackers.
        close_tracker: Whether to close the tracker at shutdown, in a process that starts the application only once.
            What could not be sent is then dropped, which `on_drop` is told, and so are all later events. Default False.
        **options: See below. Your functions are called with the ASGI connection scope.

    Options (keyword arguments):
        * `trusted_proxies`: the number of proxies in front of the application, or a list of their networks. Only then
          are `X-Forwarded-For` and `X-Forwarded-Proto` used. Default 0. Keep the default if the server itself reads
          these headers, as `uvicorn --proxy-headers` does.
        * `useragent`, `language`, `page` (URL and referrer), `ip_address`, `id_cookie` (the JavaScript tracker's
          `_sp_id`): whether to add it to events. Default True.
        * `cookie_prefix` (default `"_sp_"`), `cookie_suffix` (default: the most recently used cookie): the name of that
          cookie. `network_cookie`: the name of the collector's cookie (default `"sp"`), or None.
        * `privacy_signals`: add no identifiers for requests with `DNT: 1` or `Sec-GPC: 1`. Default True.
        * `is_anonymous(scope)`: returns whether to add no identifiers to events of this request.
        * `user_id(scope)`: returns the user id; called when the first event is tracked. It must not block.
        * `page_views`: track a `PageView` for each HTML page with a 2xx response, but not for `HEAD` and `OPTIONS`:
          True, or a function that is called with the connection scope and returns whether to track. Default False.
        * `exceptions`: track an `application_error` for each exception that the application raises, also while its
          response is streamed. Default False. Litestar, Quart and Falcon answer exceptions themselves: use `track_exception`
          there.

    Raises:
        TypeError: An option is unknown or has the wrong type, or an option needs a tracker.
        ValueError: A proxy is neither an address nor a network.

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
        close_tracker: bool = False,
        **options: Unpack[RequestOptions],
    ) -> None:
        self.app = app
        self._tracking: RequestTracking = RequestTracking(tracker, **options)
        self._closes_tracker = close_tracker

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Handle a request."""
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
        """Run the application's lifespan, and send before the server learns that shutdown is complete."""
        received = sent = ""

        async def receive_and_note() -> Message:
            nonlocal received
            message = await receive()
            received = message["type"]
            return message

        async def send_after_events(message: Message) -> None:
            nonlocal sent
            sent = message["type"]
            if sent.startswith("lifespan.shutdown"):
                await self._shut_down()
            await send(message)

        try:
            await self.app(scope, receive_and_note, send_after_events)
        except Exception:
            if received or sent:
                raise
        # An application that does not support lifespans raises, or returns. One may also return before the shutdown.
        if received == "lifespan.shutdown" and not sent.startswith(received):
            await self._shut_down()
        elif received == sent == "" or (received, sent) == (
            "lifespan.startup",
            "lifespan.startup.complete",
        ):
            await self._live_alone(receive, send)

    async def _live_alone(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._shut_down()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _shut_down(self) -> None:
        tracker = self._tracking.tracker
        if tracker is not None:
            await (tracker.aclose() if self._closes_tracker else _send_queued(tracker))


class ASGIRequest:
    """A request of ASGI, as `IncomingRequest` describes it."""

    __slots__ = ("_headers", "raw")

    def __init__(self, scope: ASGIScope) -> None:
        self.raw: ASGIScope = scope
        self._headers: Optional[Dict[str, str]] = None

    @property
    def peer(self) -> Optional[str]:
        client = self.raw.get("client")
        return client[0] if client else None

    @property
    def method(self) -> Optional[str]:
        return self.raw.get("method")

    def header(self, name: str) -> Optional[str]:
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


def _tracking_page_views(send: Send, request: ASGIRequest, tracking: RequestTracking) -> Send:
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
    """Return a lifespan for Starlette and FastAPI that sends the queued events when the server shuts down.

    Use it in applications without the middleware, which does the same. The trackers stay open; to close one as well,
    call `await tracker.aclose()` in a lifespan of your own: then `on_drop` gets what could not be sent.

    Args:
        *trackers: The trackers to flush, each within the `exit_timeout` of its emitters.

    Example:
        >>> app = FastAPI(lifespan=lifespan(tracker))

    New in version 1.2.0.
    """
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def send_at_the_end(app: Any) -> AsyncIterator[None]:  # noqa: ARG001 - as Starlette calls it
        try:
            yield
        finally:
            for tracker in trackers:
                await _send_queued(tracker)

    return send_at_the_end


async def _send_queued(tracker: Tracker) -> None:
    await in_thread(partial(_send_and_keep, tracker))


def _send_and_keep(tracker: Tracker) -> None:
    """Do what the exit hooks do, but keep what could not be sent: the process may go on."""
    emitters = list(tracker.emitters)
    tracker.flush(timeout=sum(getattr(each, "exit_timeout", 2.0) for each in emitters))
    for emitter in emitters:
        if isinstance(emitter, Emitter):
            emitter._finish_and_keep("The server shuts down")  # noqa: SLF001
