"""A Django project in one file, with one view that tracks. `python django_site.py runserver ...` starts it."""

import sys

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from tracking import track

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="made up", USE_TZ=True, MIDDLEWARE=[]
)
django.setup()


def view(request):
    return HttpResponse(track("request"))


urlpatterns = [path("", view)]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
