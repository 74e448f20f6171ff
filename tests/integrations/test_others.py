"""Frameworks that use the middleware as it is."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest

from snowplow_tracker import AsyncEmitter, Emitter, StructuredEvent, Tracker
from snowplow_tracker.integrations.asgi import SnowplowMiddleware as ASGIMiddleware
from snowplow_tracker.integrations.asgi import lifespan
from snowplow_tracker.integrations.wsgi import SnowplowMiddleware
from snowplow_tracker.redis_event_store import RedisEventStore
from snowplow_tracker.scope import propagate
from snowplow_tracker.testing import Collector, RecordingEmitter
from support.frameworks import need_module
from support.processes import run_program
from support.redis_server import redis_server


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_pyramid():
    """A Pyramid application is wrapped like any WSGI application."""
    config_module = need_module("pyramid.config")
    from pyramid.response import Response

    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter)

    def view(request):
        tracker.track(StructuredEvent("a", "b"))
        return Response("<p>page</p>")

    with config_module.Configurator() as config:
        config.add_route("page", "/page")
        config.add_view(view, route_name="page")
        app = SnowplowMiddleware(config.make_wsgi_app(), tracker, page_views=True)
    from webob import Request

    request = Request.blank("/page?x=1", base_url="https://a.example")
    request.user_agent = "Mozilla"
    response = request.get_response(app)
    assert (response.status_int, response.body) == (200, b"<p>page</p>")
    structured, view_event = emitter.events
    assert (structured["url"], structured["ua"]) == ("https://a.example/page?x=1", "Mozilla")
    assert view_event["e"] == "pv"


def test_litestar():
    """A Litestar application is wrapped like any ASGI application."""
    litestar = need_module("litestar")
    httpx = need_module("httpx")
    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter)

    @litestar.get("/page", sync_to_thread=True)
    def page() -> str:
        tracker.track(StructuredEvent("a", "b"))
        return "ok"

    app = ASGIMiddleware(litestar.Litestar([page]), tracker)

    async def main():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://a.example") as client:
            return await client.get("/page?x=1", headers={"User-Agent": "Mozilla"})

    assert asyncio.run(main()).status_code == 200
    [event] = emitter.events
    assert (event["url"], event["ua"]) == ("https://a.example/page?x=1", "Mozilla")


async def no_lifespan(scope, receive, send):
    assert scope["type"] == "http"


async def silent_lifespan(scope, receive, send):
    if scope["type"] != "http":
        return


async def starting_lifespan(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})


async def unanswered_lifespan(scope, receive, send):
    await starting_lifespan(scope, receive, send)
    await receive()


async def failing_lifespan(scope, receive, send):
    await receive()
    raise LookupError("the database is gone")


def run_lifespan(app):
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive():
        return incoming.pop(0)

    async def send(message):
        sent.append(message["type"])

    asyncio.run(app({"type": "lifespan"}, receive, send))
    return sent


def test_an_application_without_a_lifespan():
    """The middleware answers the lifespan itself; it closes the tracker before shutdown is complete only if asked to."""
    emitter = RecordingEmitter()
    sent = run_lifespan(ASGIMiddleware(no_lifespan, Tracker("n", emitter)))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert (emitter.flush_count, emitter.closed) == (1, False)
    run_lifespan(ASGIMiddleware(no_lifespan, Tracker("n", emitter), close_tracker=True))
    assert emitter.closed


@pytest.mark.parametrize("app", [silent_lifespan, starting_lifespan, unanswered_lifespan])
def test_an_application_that_returns_from_its_lifespan(app):
    """The middleware sends at the shutdown, although the application returned before it, or does not answer it."""
    emitter = RecordingEmitter()
    sent = run_lifespan(ASGIMiddleware(app, Tracker("n", emitter)))
    assert sent[0] == "lifespan.startup.complete"
    assert emitter.flush_count == 1


def by_middleware(tracker):
    return ASGIMiddleware(no_lifespan, tracker)


def by_lifespan(tracker):
    async def app(scope, receive, send):
        async with lifespan(tracker)(None):
            await receive()
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    return app


@pytest.mark.parametrize("make_app", [by_middleware, by_lifespan])
@pytest.mark.parametrize("kind", [Emitter, AsyncEmitter])
def test_an_application_that_starts_again_goes_on_tracking(make_app, kind):
    """Each shutdown sends what was tracked until then, as in Mangum and test clients, which shut down again and again."""
    with Collector() as collector:
        tracker = Tracker("n", kind(collector.endpoint, batch_size=100))
        for number in range(3):
            tracker.track(StructuredEvent("a", str(number)))
            assert run_lifespan(make_app(tracker))[-1] == "lifespan.shutdown.complete"
            assert [event["se_ac"] for event in collector.events] == ["0", "1", "2"][: number + 1]
        tracker.close()


@pytest.mark.parametrize("kind", [Emitter, AsyncEmitter])
def test_a_shutdown_without_a_collector(kind, caplog):
    """It ends after `exit_timeout`, says what is left, and keeps it."""
    tracker = Tracker("n", kind("http://127.0.0.1:9", batch_size=100, exit_timeout=0.3))
    tracker.track(StructuredEvent("a", "b"))
    started = time.monotonic()
    run_lifespan(by_middleware(tracker))
    assert 0.2 < time.monotonic() - started < 5
    assert "The server shuts down with 1 event that could not be sent" in caplog.text
    (stats,) = tracker.stats().emitters
    assert stats.queued + stats.in_flight == 1  # a worker may be trying again
    tracker.close(timeout=0)


def test_a_shutdown_writes_what_a_store_holds_in_memory(tmp_path, monkeypatch):
    """Events that Redis does not have yet are written before shutdown is complete."""
    need_module("redis")
    with redis_server(tmp_path) as server:
        store = RedisEventStore(server.url, write_behind=True)
        monkeypatch.setattr(store._writer, "wake", lambda: None)
        tracker = Tracker("n", Emitter("127.0.0.1", event_store=store, enqueue_only=True))
        tracker.track(StructuredEvent("a", "b"))
        assert store._writer.unwritten == 1
        run_lifespan(by_middleware(tracker))
        assert store._writer.unwritten == 0
        tracker.close()


def test_a_start_that_fails_is_not_hidden():
    """An application that fails while it starts says so to the server."""
    try:
        run_lifespan(ASGIMiddleware(failing_lifespan, Tracker("n", RecordingEmitter())))
    except LookupError:
        return
    raise AssertionError("the error was swallowed")


TYPO = """
    from django.conf import settings
    settings.configure(SNOWPLOW={"traker": None})
    from django.core.exceptions import ImproperlyConfigured
    from snowplow_tracker.integrations.django import SnowplowMiddleware
    try:
        SnowplowMiddleware(lambda request: None)
    except ImproperlyConfigured as error:
        print(error)
"""


def test_a_typo_in_the_setting_of_django():
    """An unknown key is an error that lists all keys, those of Django alone too."""
    need_module("django")
    done = run_program(TYPO)
    assert done.status == 0, done
    assert (
        "traker is not an option. The options are: tracker, user, trusted_proxies," in done.output
    )


@pytest.mark.parametrize("propagate", [False, True])
@pytest.mark.parametrize("path", ["/view", "/stream", "/stream-with-context", "/close"])
def test_flask_tells_of_each_exception_once(path, propagate):
    """Whether Flask answers it, raises it as in tests, or meets it while or after a body is streamed, it is one event."""
    flask = need_module("flask")
    from snowplow_tracker.integrations.flask import SnowplowExtension

    emitter = RecordingEmitter()
    app = flask.Flask("shop")
    app.config["PROPAGATE_EXCEPTIONS"] = propagate
    SnowplowExtension(app, Tracker("n", emitter), exceptions=True)

    def fail():
        raise LookupError(path)

    def parts():
        yield "a"
        fail()

    def answer_and_fail_at_close():
        response = flask.Response("a")
        response.call_on_close(fail)
        return response

    app.add_url_rule("/view", "view", fail)
    app.add_url_rule("/stream", "stream", lambda: flask.Response(parts()))
    app.add_url_rule(
        "/stream-with-context",
        "context",
        lambda: flask.Response(flask.stream_with_context(parts())),
    )
    app.add_url_rule("/close", "close", answer_and_fail_at_close)
    with contextlib.suppress(LookupError):
        app.test_client().get(path, buffered=True).close()
    assert [event.data["message"] for event in emitter.events] == [path]


def test_a_client_of_flask_that_goes_away_is_no_exception():
    """A streamed response that its client does not read to the end is not tracked."""
    flask = need_module("flask")
    from snowplow_tracker.integrations.flask import SnowplowExtension

    emitter = RecordingEmitter()
    app = flask.Flask("shop")
    SnowplowExtension(app, Tracker("n", emitter), exceptions=True)
    app.add_url_rule(
        "/", "index", lambda: flask.Response(flask.stream_with_context(iter_letters()))
    )
    response = app.test_client().get("/")
    assert next(response.response) == b"a"
    response.close()
    assert emitter.events == []


@pytest.mark.parametrize("path", ["/stream", "/nested", "/thread"])
def test_the_user_of_flask_is_that_of_the_request(path):
    """`user_id` is called in the context of its request, wherever the first event is tracked."""
    flask = need_module("flask")
    from snowplow_tracker.integrations.flask import SnowplowExtension

    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter)
    app = flask.Flask("shop")
    # As Flask-Login does, it takes the user from the context.
    SnowplowExtension(app, user_id=lambda _: flask.g.user)
    app.before_request(lambda: setattr(flask.g, "user", flask.request.args["user"]))

    def track(name):
        tracker.track(StructuredEvent("a", name))
        return name

    def nested():
        app.test_client().get("/inner?user=two")
        return track("outer")

    def in_thread():
        thread = threading.Thread(target=propagate(lambda: track("thread")))
        thread.start()
        thread.join()
        return track("view")

    app.add_url_rule("/inner", "inner", lambda: track("inner"))
    app.add_url_rule("/nested", "nested", nested)
    app.add_url_rule("/thread", "thread", in_thread)
    app.add_url_rule("/stream", "stream", lambda: flask.Response(map(track, ["part"])))
    app.test_client().get(f"{path}?user=one", buffered=True).close()
    assert {event["se_ac"]: event.get("uid") for event in emitter.events} == {
        "/stream": {"part": "one"},
        "/nested": {"inner": "two", "outer": "one"},
        "/thread": {"thread": "one", "view": "one"},
    }[path]


def iter_letters():
    yield "a"
    yield "b"
