"""Frameworks under real servers: the same requests, the same events."""

from __future__ import annotations

import contextlib
import http.client
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.frameworks import need_module

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)",
    "Accept-Language": "en;q=0.5, de-CH, *;q=0.1",
    "Referer": "https://search.example/?q=lamps",
    "X-Forwarded-For": "6.6.6.6, 203.0.113.7",
    "X-Forwarded-Proto": "https",
    "Host": "shop.example",
    "Cookie": "a=b; _sp_id.1fff=4b0dfa75-9a8c-46a1-9691-01add9db4200.1600000000.5.1600000900.1600000100."
    "e50bd8f0-4c34-4a3c-8d50-3e9c1b1ae07c; sp=7a3c1f9e-1111-4222-8333-444455556666",
}
WHO = {
    "ua": BROWSER["User-Agent"],
    "lang": "de-CH",
    "refr": BROWSER["Referer"],
    "ip": "203.0.113.7",
    "duid": "4b0dfa75-9a8c-46a1-9691-01add9db4200",
    "vid": "5",
    "sid": "e50bd8f0-4c34-4a3c-8d50-3e9c1b1ae07c",
    "tnuid": "7a3c1f9e-1111-4222-8333-444455556666",
    "p": "srv",
}

SERVERS = {
    "flask, werkzeug": (("flask",), "flask_app.py"),
    "flask, waitress": (
        ("flask", "waitress"),
        "-m waitress --no-clear-untrusted-proxy-headers --port=PORT --threads=8 flask_app:app",
    ),
    "flask, gunicorn gthread": (
        ("flask", "gunicorn"),
        "-m gunicorn -b 127.0.0.1:PORT -w 2 --threads 8 flask_app:app",
    ),
    "flask, gunicorn gevent": (
        ("flask", "gunicorn", "gevent"),
        "-m gunicorn -b 127.0.0.1:PORT -w 2 -k gevent flask_app:app",
    ),
    "django, waitress": (
        ("django", "waitress"),
        "-m waitress --no-clear-untrusted-proxy-headers --port=PORT --threads=8 django_app:application",
    ),
    "django, uvicorn": (
        ("django", "uvicorn"),
        "-m uvicorn --no-proxy-headers --port PORT django_app:asgi_application",
    ),
    "starlette, uvicorn": (
        ("starlette", "uvicorn"),
        "-m uvicorn --no-proxy-headers --port PORT starlette_app:app",
    ),
    "starlette, hypercorn": (
        ("starlette", "hypercorn"),
        "-m hypercorn -b 127.0.0.1:PORT starlette_app:app",
    ),
    "fastapi, uvicorn": (
        ("fastapi", "uvicorn"),
        "-m uvicorn --no-proxy-headers --port PORT fastapi_app:app",
    ),
}


@pytest.fixture(params=sorted(SERVERS))
def server(request, serve, tmp_path):
    modules, command = SERVERS[request.param]
    for module in modules:
        need_module(module)
    started = serve(*command.split(), DATABASE=str(tmp_path / "app.db"))
    started.name = request.param
    return started


def test_what_every_event_of_a_request_carries(server, collector):
    """Who asked, from where and for what, without any id where privacy is asked for, and the same while a body is streamed."""
    server.get("/plain?user=u1&x=%2F", BROWSER)
    [event] = collector.wait_for(1)
    assert {name: event.get(name) for name in WHO} == WHO
    assert event["url"] == "https://shop.example/plain?user=u1&x=%2F"
    if "flask" in server.name:
        assert event["uid"] == "u1"
    assert event.problems == []
    collector.clear()
    for header in ("DNT", "Sec-GPC"):
        server.get("/plain?user=u1", {**BROWSER, header: "1"})
    for event in collector.wait_for(2):
        assert not {"uid", "duid", "tnuid", "sid", "vid", "ip"} & set(event.parameters)
        assert (event["ua"], event["lang"]) == (WHO["ua"], WHO["lang"])
    if "fastapi" not in server.name:  # it streams as Starlette does
        collector.clear()
        assert server.get("/stream", BROWSER) == b"ab"
        [event] = collector.wait_for(1)
        assert (event["ua"], event["url"]) == (WHO["ua"], "https://shop.example/stream")
    assert "Traceback" not in server.stop()


def test_concurrent_users_mix_nothing(server, collector):
    """200 requests of different users at once: each event has its own user, page and entities, and all arrive."""
    kind = "users" if "uvicorn" not in server.name and "hypercorn" not in server.name else None

    def visit(number):
        path = f"/{kind or ('users', 'async')[number % 2]}/{number}"
        server.get(path, {"User-Agent": f"agent-{number}"})

    with ThreadPoolExecutor(25) as pool:
        list(pool.map(visit, range(200)))
    events = collector.wait_for(600)
    output = server.stop()
    assert "Traceback" not in output, output
    assert len(collector.events) == 600
    for event in events:
        number = event["ua"].partition("-")[2]
        assert event["uid"] == f"user-{number}"
        if event["e"] == "pv":
            assert event["url"] == f"https://own.example/{number}"
            assert [each["data"] for each in event.contexts] == [{"n": number}]
        else:
            assert event["se_ac"] == number
            assert event["url"].endswith(f"/{number}")
            assert event.contexts == []


def test_page_views_and_exceptions(server, collector):
    """Where asked for, an HTML page that a user sees is a page view and an exception an application_error, each once."""
    for method in ("HEAD", "OPTIONS"):
        server.get("/page", BROWSER, method)
    server.get("/page", BROWSER)
    server.get("/fail", BROWSER)
    # The view is tracked when the answer ends: by then its client may have made the next request.
    view, error = sorted(collector.wait_for(2), key=lambda event: event["e"] != "pv")
    assert (view["e"], view["url"]) == ("pv", "https://shop.example/page")
    assert error.event_name == "application_error"
    assert error["url"] == "https://shop.example/fail"
    data = error.data
    assert (data["exceptionName"], data["message"]) == ("LookupError", "no such thing")
    assert data["className"].endswith("fail")
    assert "not to be sent" not in str(error.data.get("message"))
    server.stop()
    assert len(collector.events) == 2


# FastAPI streams as Starlette does.
@pytest.mark.parametrize("server", sorted(set(SERVERS) - {"fastapi, uvicorn"}), indirect=True)
def test_an_exception_while_a_body_is_streamed(server, collector):
    """It is tracked once, inside the scope, and an exception that the framework answers with 4xx is not tracked."""
    for path in ("/missing", "/forbidden"):
        server.get(path, BROWSER)
    paths = (
        ["/fail-late", "/async-fail-late"] if server.name == "django, uvicorn" else ["/fail-late"]
    )
    for path in paths:
        with contextlib.suppress(http.client.HTTPException, OSError):
            server.get(path, BROWSER)
    events = collector.wait_for(len(paths))
    server.stop()
    assert [event.data["message"] for event in collector.events] == ["too late"] * len(paths)
    assert [event["url"] for event in events] == [f"https://shop.example{path}" for path in paths]


def test_the_user_of_django(serve, collector, tmp_path):
    """With `user`, events carry the primary key of whoever is logged in, under WSGI and ASGI."""
    for module in ("django", "waitress", "uvicorn"):
        need_module(module)
    for command in (
        "-m waitress --no-clear-untrusted-proxy-headers --port=PORT django_app:application",
        "-m uvicorn --port PORT django_app:asgi_application",
    ):
        server = serve(*command.split(), DATABASE=str(tmp_path / "app.db"))
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("GET", "/login")
        response = connection.getresponse()
        key = response.read().decode()
        cookies = [
            value.split(";")[0] for name, value in response.getheaders() if name == "Set-Cookie"
        ]
        seen = len(collector.events)
        for path in ("/plain", "/async-plain"):
            connection.request("GET", path, headers={"Cookie": "; ".join(cookies)})
            connection.getresponse().read()
            connection.request("GET", path)
            connection.getresponse().read()
        connection.close()
        events = collector.wait_for(seen + 4)[seen:]
        assert [event.get("uid") for event in events] == [key, None, key, None]
        server.stop()
