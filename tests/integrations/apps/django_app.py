import os

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.urls import path
from tracking import serve_user, tracker

from snowplow_tracker import StructuredEvent, current_scope

if not settings.configured:
    settings.configure(
        SECRET_KEY="x",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        LOGGING_CONFIG=None,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": os.environ.get("DATABASE", "/tmp/none.db"),
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
        ],
        MIDDLEWARE=[
            "snowplow_tracker.integrations.django.SnowplowMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        SNOWPLOW={
            "tracker": "tracking.tracker",
            "user": True,
            "trusted_proxies": 1,
            "page_views": lambda request: request.path == "/page",
            "exceptions": True,
        },
    )
    django.setup()


def user(request, number):
    return HttpResponse(serve_user(number))


async def async_user(request, number):
    current_scope().set(user_id=f"user-{number}")
    tracker.track(StructuredEvent("view", number))
    await sync_to_async(in_pool)(number)
    tracker.track(StructuredEvent("view", number))
    return HttpResponse("ok")


def in_pool(number):
    tracker.track(StructuredEvent("pool", number))


def page(request):
    return HttpResponse("<h1>Page</h1>")


def plain(request):
    tracker.track(StructuredEvent("plain", "view"))
    return HttpResponse("plain", content_type="text/plain")


async def async_plain(request):
    tracker.track(StructuredEvent("plain", "view"))
    return HttpResponse("plain", content_type="text/plain")


def stream(request):
    def parts():
        yield "a"
        tracker.track(StructuredEvent("stream", "part"))
        yield "b"

    return StreamingHttpResponse(parts(), content_type="text/plain")


def fail_late(request):
    def parts():
        yield "a"
        raise LookupError("too late")

    return StreamingHttpResponse(parts(), content_type="text/plain")


async def async_fail_late(request):
    async def parts():
        yield "a"
        raise LookupError("too late")

    return StreamingHttpResponse(parts(), content_type="text/plain")


def missing(request):
    raise Http404


def forbidden(request):
    raise PermissionDenied


def fail(request):
    raise LookupError("no such thing")


def log_in(request):
    from django.contrib.auth import get_user_model, login

    user, _ = get_user_model().objects.get_or_create(username="ada")
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse(str(user.pk), content_type="text/plain")


urlpatterns = [
    path("users/<number>", user),
    path("async/<number>", async_user),
    path("page", page),
    path("plain", plain),
    path("async-plain", async_plain),
    path("stream", stream),
    path("fail", fail),
    path("fail-late", fail_late),
    path("async-fail-late", async_fail_late),
    path("missing", missing),
    path("forbidden", forbidden),
    path("login", log_in),
]

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

from snowplow_tracker.integrations.asgi import SnowplowMiddleware  # noqa: E402

application = get_wsgi_application()
asgi_application = SnowplowMiddleware(get_asgi_application(), tracker)

if os.environ.get("DATABASE"):
    from django.core.management import call_command

    # Servers import applications inside their event loop.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    call_command("migrate", verbosity=0)
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
