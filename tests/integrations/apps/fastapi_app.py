import asyncio

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse
from tracking import serve_user, tracker

from snowplow_tracker import StructuredEvent, current_scope
from snowplow_tracker.integrations.asgi import SnowplowMiddleware

app = FastAPI()
app.add_middleware(
    SnowplowMiddleware,
    tracker=tracker,
    trusted_proxies=1,
    page_views=lambda scope: scope["path"] == "/page",
    exceptions=True,
)


def who(number: str):  # a synchronous dependency, which runs in a thread pool
    current_scope().set(user_id=f"user-{number}")


@app.get("/users/{number}", response_class=HTMLResponse)
def user(number: str):
    return serve_user(number)


@app.get("/async/{number}", response_class=HTMLResponse, dependencies=[Depends(who)])
async def async_user(number: str):
    for name in ("view", "task", "pool"):
        await asyncio.sleep(0.001)
        tracker.track(StructuredEvent(name, number))
    return "ok"


@app.get("/page", response_class=HTMLResponse)
async def page():
    return "<h1>Page</h1>"


@app.get("/plain")
async def plain():
    tracker.track(StructuredEvent("plain", "view"))
    return {}


@app.get("/fail")
async def fail():
    raise LookupError("no such thing")
