"""A WSGI application that tracks one event for each request."""

from tracking import track


def application(environ, start_response):
    body = track("request").encode("ascii")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
