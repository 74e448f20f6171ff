"""ASGI applications that track one event for each request: without the lifespan protocol, and with our line for it."""

import os

from tracking import track, tracker


async def application(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # as the specification has it: no lifespan here
    body = track("request").encode("ascii")
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})


if os.environ.get("APPLICATION_LIFESPAN") == "middleware":
    from snowplow_tracker.integrations.asgi import SnowplowMiddleware

    application = SnowplowMiddleware(application, tracker)
elif os.environ.get("APPLICATION_LIFESPAN") == "starlette":
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from snowplow_tracker.integrations.asgi import lifespan

    async def answer(request):
        return PlainTextResponse(track("request"))

    application = Starlette(routes=[Route("/", answer)], lifespan=lifespan(tracker))
