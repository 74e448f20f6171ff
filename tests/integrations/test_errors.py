"""Exceptions as application_error events, from hooks, logging and by hand."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap
import threading

import pytest

from snowplow_tracker import Scope, Tracker
from snowplow_tracker.integrations.errors import (
    SnowplowHandler,
    error_event,
    install_excepthook,
    track_exception,
)
from snowplow_tracker.testing import Collector, RecordingEmitter

LIMITS = {"message": 2048, "stackTrace": 8192, "causeStackTrace": 8192}


@pytest.fixture
def emitter():
    return RecordingEmitter()


@pytest.fixture
def tracker(emitter):
    return Tracker("n", emitter)


def raised(error):
    secret = "local variable"  # noqa: F841
    try:
        raise error
    except BaseException as caught:
        return caught


def test_what_an_event_says(tracker, emitter):
    """Class, message, place, thread and traceback of the exception and of its cause, and no local variables."""
    error = raised(LookupError("no such thing"))
    error.__cause__ = raised(OSError("the disk"))
    with Scope(user_id="u"):
        track_exception(tracker, error)
    [event] = emitter.events
    assert event["uid"] == "u"
    assert event.schema.endswith("application_error/jsonschema/1-0-2")
    data = event.data
    assert (data["exceptionName"], data["message"]) == ("LookupError", "no such thing")
    assert (data["programmingLanguage"], data["isFatal"]) == ("PYTHON", False)
    assert data["className"].endswith("raised")
    assert data["fileName"] == __file__
    assert data["threadName"] == threading.current_thread().name
    assert "LookupError: no such thing" in data["stackTrace"]
    assert "the disk" not in data["stackTrace"]
    assert "OSError: the disk" in data["causeStackTrace"]
    assert event.problems == []


def test_limits():
    """Strings are cut to what the schema allows; of a traceback the most recent calls are kept."""

    def recurse():
        recurse()

    try:
        recurse()
    except RecursionError as error:
        deep = error_event(error).event_json.data
    long = error_event(raised(ValueError("x" * 100_000))).event_json.data
    for data in (deep, long):
        for name, value in data.items():
            if isinstance(value, str):
                assert len(value) <= LIMITS.get(name, 1024)
    assert deep["stackTrace"].rstrip().endswith("exceeded")


def test_an_exception_that_cannot_be_shown():
    """A class whose `str` raises is told by its name."""

    class BadError(Exception):
        def __str__(self):
            raise LookupError

    data = error_event(raised(BadError())).event_json.data
    assert data["message"].endswith("BadError")


def test_logging(tracker, emitter):
    """Records from the level on become events, with their exception if they have one; our own do not."""
    logger = logging.getLogger("shop.payments")
    handler = SnowplowHandler(tracker)
    logger.addHandler(handler)
    logging.getLogger("snowplow_tracker.emitters").addHandler(handler)
    try:
        logger.warning("not an error")
        logger.error("declined: %s", "card")
        try:
            raise LookupError("no card")
        except LookupError:
            logger.exception("payment failed")
        logging.getLogger("snowplow_tracker.emitters").error("ours")
    finally:
        logger.removeHandler(handler)
        logging.getLogger("snowplow_tracker.emitters").removeHandler(handler)
    first, second = (event.data for event in emitter.events)
    assert (first["message"], first["className"]) == ("declined: card", "shop.payments")
    assert second["message"] == "payment failed: no card"
    assert second["exceptionName"] == "LookupError"


def test_it_is_never_recursive(emitter, caplog):
    """An error that is logged, or raised, while an error is being tracked makes no event and comes out of nothing."""
    tracker = Tracker("n", emitter)
    logger = logging.getLogger("recursive")
    handler = SnowplowHandler(tracker)
    logger.addHandler(handler)

    @tracker.before_track
    def log(event):
        logger.error("while tracking")
        raise LookupError

    try:
        logger.error("first")
        tracker.complete_payload = None  # type: ignore[assignment, method-assign]
        logger.error("cannot be tracked")
    finally:
        logger.removeHandler(handler)
    assert [event.data["message"] for event in emitter.events] == ["first"]


def test_hooks_chain_and_can_be_removed(tracker, emitter, monkeypatch):
    """The hooks that were there are called afterwards, and come back."""
    called = []
    monkeypatch.setattr(sys, "excepthook", lambda *arguments: called.append(arguments[1]))
    monkeypatch.setattr(threading, "excepthook", lambda arguments: called.append(arguments))  # noqa: PLW0108
    before = sys.excepthook, threading.excepthook
    uninstall = install_excepthook(tracker)
    error = raised(LookupError("x"))
    sys.excepthook(type(error), error, error.__traceback__)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    thread = threading.Thread(target=raised_in_thread, name="worker")
    thread.start()
    thread.join(10)
    uninstall()
    assert (sys.excepthook, threading.excepthook) == before
    assert len(called) == 3
    assert [event.data["isFatal"] for event in emitter.events] == [True, True]
    assert emitter.events[1].data["threadName"] == "worker"


def raised_in_thread():
    raise LookupError("in a thread")


@pytest.mark.long
def test_a_program_that_ends_by_an_exception():
    """The event arrives, and the traceback is printed as always."""
    with Collector() as collector:
        program = textwrap.dedent(
            f"""
            from snowplow_tracker import AsyncEmitter, Tracker
            from snowplow_tracker.integrations.errors import install_excepthook
            install_excepthook(Tracker("n", AsyncEmitter({collector.endpoint!r})))
            {{}}["missing"]
            """
        )
        result = subprocess.run(
            [sys.executable, "-c", program],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
        [event] = collector.wait_for(1)
    assert result.returncode == 1
    assert "KeyError: 'missing'" in result.stderr
    assert json.dumps(event.data).count("KeyError") >= 1
    assert event.data["isFatal"] is True


def test_what_is_no_exception_is_refused(tracker):
    """A string in the place of the exception is an error at the call that names the parameter."""
    for call in (error_event, lambda error: track_exception(tracker, error)):
        with pytest.raises(TypeError, match="error must be an exception, not str"):
            call("it broke")


def test_what_is_no_tracker_is_refused(emitter):
    """An emitter in the place of the tracker is an error where it is passed, not an exception that nobody hears of."""
    with pytest.raises(TypeError, match="tracker must be a Tracker, not RecordingEmitter"):
        SnowplowHandler(emitter)
    with pytest.raises(TypeError, match="tracker must be a Tracker, not RecordingEmitter"):
        install_excepthook(emitter)
