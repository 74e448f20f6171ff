"""The emitter and the tracker of these applications, made as users make them: while the application is imported."""

import os

from snowplow_tracker import AsyncEmitter, Emitter, StructuredEvent, Tracker
from snowplow_tracker.sqlite_event_store import SQLiteEventStore

COLLECTOR = os.environ["APPLICATION_COLLECTOR"]
KIND = os.environ.get("APPLICATION_EMITTER", "AsyncEmitter")


def make_emitter():
    if KIND == "SQLite":
        store = SQLiteEventStore(os.environ["APPLICATION_DATABASE"])
        return Emitter(COLLECTOR, event_store=store, enqueue_only=True)
    options = {"batch_size": int(os.environ.get("APPLICATION_BATCH", "10"))}
    if "APPLICATION_FLUSH_INTERVAL" in os.environ:
        options["flush_interval"] = float(os.environ["APPLICATION_FLUSH_INTERVAL"])
    return {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[KIND](COLLECTOR, **options)


emitter = make_emitter()
tracker = Tracker("application", emitter)


def track(action):
    """Track an event that says which process it is from, and return its id."""
    return tracker.track(StructuredEvent("application", action, label=str(os.getpid())))


if os.environ.get("APPLICATION_FLUSH_ON_SIGTERM"):
    from snowplow_tracker import flush_on_sigterm

    flush_on_sigterm()
if os.environ.get("APPLICATION_TRACKS_AT_IMPORT"):
    track("loaded")
