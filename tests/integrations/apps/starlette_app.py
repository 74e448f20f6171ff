import asyncio

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from tracking import serve_user, tracker

from snowplow_tracker import StructuredEvent, current_scope
from snowplow_tracker.integrations.asgi import SnowplowMiddleware


def sync_user(request):  # runs in a thread pool
    return HTMLResponse(serve_user(request.path_params["number"]))


async def async_user(request):
    number = request.path_params["number"]
    current_scope().set(user_id=f"user-{number}")
    tracker.track(StructuredEvent("view", number))
    await asyncio.sleep(0.002)
    await asyncio.gather(in_task(number), run_in_threadpool(in_pool, number))
    return HTMLResponse(f"<p>{number}</p>")


async def in_task(number):
    await asyncio.sleep(0.002)
    tracker.track(StructuredEvent("task", number))


def in_pool(number):
    tracker.track(StructuredEvent("pool", number))


async def page(request):
    return HTMLResponse("<h1>Page</h1>")


async def stream(request):
    async def parts():
        yield "a"
        tracker.track(StructuredEvent("stream", "part"))
        yield "b"

    return StreamingResponse(parts(), media_type="text/plain")


async def fail_late(request):
    async def parts():
        yield "a"
        raise LookupError("too late")

    return StreamingResponse(parts(), media_type="text/plain")


async def missing(request):
    raise HTTPException(404)


async def fail(request):
    raise LookupError("no such thing")


async def plain(request):
    tracker.track(StructuredEvent("plain", "view"))
    return PlainTextResponse("plain")


app = Starlette(
    routes=[
        Route("/users/{number}", sync_user),
        Route("/async/{number}", async_user),
        Route("/page", page),
        Route("/stream", stream),
        Route("/plain", plain),
        Route("/fail", fail),
        Route("/fail-late", fail_late),
        Route("/missing", missing),
    ],
    middleware=[
        Middleware(
            SnowplowMiddleware,
            tracker=tracker,
            trusted_proxies=1,
            page_views=lambda scope: scope["path"] == "/page",
            exceptions=True,
        )
    ],
)
