"""Jobs of RQ that track."""

import time

from tracking import track


def work():
    track("job")


def fail():
    track("job")
    raise ZeroDivisionError


def take_too_long():
    track("job")
    time.sleep(30)
