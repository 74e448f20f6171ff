import os

from flask import Flask, Response, abort
from tracking import serve_user, tracker

from snowplow_tracker import StructuredEvent, current_scope
from snowplow_tracker.integrations.flask import SnowplowExtension

app = Flask(__name__)
SnowplowExtension(
    app,
    tracker,
    user_id=lambda request: request.args.get("user"),
    trusted_proxies=1,
    page_views=lambda request: request.path == "/page",
    exceptions=True,
)


@app.route("/users/<number>")
def user(number):
    return serve_user(number)


@app.route("/page")
def page():
    return "<h1>Page</h1>"


@app.route("/plain")
def plain():
    tracker.track(StructuredEvent("plain", "view"))
    return "plain", 200, {"Content-Type": "text/plain"}


@app.route("/stream")
def stream():
    def parts():
        current_scope().set(page_title="streamed")
        yield "a"
        tracker.track(StructuredEvent("stream", "part"))
        yield "b"

    return Response(parts())


@app.route("/fail-late")
def fail_late():
    def parts():
        yield "a"
        raise LookupError("too late")

    return Response(parts())


@app.route("/missing")
def missing():
    abort(404)


@app.route("/fail")
def fail():
    secret = "not to be sent"  # noqa: F841
    raise LookupError("no such thing")


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]), threaded=True)
