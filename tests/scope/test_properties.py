"""Whatever is in the environment variables that a tracker is made from."""

from __future__ import annotations

import io
import string
import sys

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snowplow_tracker import PageView, Tracker
from snowplow_tracker.sqlite_event_store import SQLiteStoreError
from support.repetitions import repetitions

FEW = settings(
    max_examples=repetitions(150),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LOOPBACK = "http://127.0.0.1:9"
WORDS = {
    "ENDPOINT": [LOOPBACK, "127.0.0.1", "ftp://x", "http://", "http://a:secret7@b c"],
    "NAMESPACE": ["shop"],
    "APP_ID": ["app"],
    "PLATFORM": ["srv", "WEB ", "server"],
    "EMITTER": ["sync", " Async", "threads"],
    "METHOD": ["get", "POST", "put"],
    "BATCH_SIZE": ["1", " 50 ", "0", "-1", "1e3", "٣", "²", "9" * 5_000],
    "STORE": [
        "sqlite:",
        "sqlite:///",
        "sqlite:///{}/events.db",
        "sqlite:///{}/events.db?buffer_capacity=x",
        "sqlite:///{}/events.db?max_bytes=1&overflow=x",
        "sqlite:///{}/events.db?buffer_capacity=nan&lease_seconds=nan",
        "sqlite:///{}/events.db?lease_seconds=inf&overflow_timeout=nan",
        "sqlite:///{}/none/events.db",
        "sqlite:///{}/events.db?unknown=1",
        "sqlite:///{}\0",
        "redis://:secret7@127.0.0.1:x/0",
        "redis://:secret7@127.0.0.1:1/0?claim_after=x",
        "redis://:secret7@127.0.0.1:1/0?socket_timeout=nan",
        "redis://:secret7@127.0.0.1:1/0?db=x&exit_timeout=0",
        "redis://[::1/0",
        "mysql://user:secret7@x",
    ],
    "ENQUEUE_ONLY": ["1", "0", "maybe"],
    "DEBUG": ["1", "off", "x"],
    "DISABLED": ["1", "no", "2"],
    "VALIDATE": ["warn", "RAISE", "off", "loudly"],
    "SCHEMAS": [",", "/nowhere", "http://127.0.0.1:9", "ftp://x", "\0"],
}
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    string.ascii_letters + ":/?#@[]=&%.,0", max_size=16
)
environments = st.fixed_dictionaries(
    {
        "SNOWPLOW_ENDPOINT": st.sampled_from(WORDS["ENDPOINT"][:2] * 3 + WORDS["ENDPOINT"])
        | any_text
    },
    optional={
        f"SNOWPLOW_{name}": st.sampled_from(words) | (st.nothing() if name == "STORE" else any_text)
        for name, words in WORDS.items()
        if name != "ENDPOINT"
    },
)
# What the messages call the options: the variable, or the parameter or option of a URL that it stands for.
NAMED = (
    *(
        "SNOWPLOW_",
        "endpoint",
        "validate must",
        "schemas",
        "path must",
        "cannot be used as",
        "redis-py",
    ),
    *("overflow", "lease_seconds", "buffer_capacity", "claim_after", "socket_timeout", "max_bytes"),
    *("names no file", "is not the URL of a store", "is not an option of"),
)


@FEW
@given(environment=environments)
@example(environment={"SNOWPLOW_ENDPOINT": LOOPBACK, "SNOWPLOW_BATCH_SIZE": "9" * 5_000})
@example(environment={"SNOWPLOW_ENDPOINT": LOOPBACK, "SNOWPLOW_STORE": "sqlite:///{}\0"})
def test_any_environment_gives_a_tracker_or_names_what_is_wrong(tmp_path, monkeypatch, environment):
    """Of any variables comes a tracker that tracks, or an error that names what is wrong and shows no password."""
    # What is printed with SNOWPLOW_DEBUG is of no interest here.
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    variables = {name: value.replace("{}", str(tmp_path)) for name, value in environment.items()}
    tracker, error = make(variables)
    if tracker is None:
        assert isinstance(error, (ValueError, TypeError, SQLiteStoreError))
        assert any(each in str(error) for each in NAMED), error
        assert "secret7" not in str(error)
        return
    if environment["SNOWPLOW_ENDPOINT"] == LOOPBACK:  # others would be looked up
        tracker.track(PageView("https://a.example/"))
    tracker.close(timeout=0)


def make(variables):
    """Return a tracker, or the error that there was."""
    try:
        return Tracker.from_environment(variables, exit_timeout=0.0), None
    except Exception as error:  # which of them it is, the test looks at
        return None, error
