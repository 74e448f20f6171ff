"""A tracker from environment variables."""

from __future__ import annotations

import pytest

from snowplow_tracker import (
    AsyncEmitter,
    Emitter,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Tracker,
)
from snowplow_tracker.iglu.checks import InvalidEventError
from snowplow_tracker.sqlite_event_store import SQLiteStoreError
from snowplow_tracker.testing import Collector, RecordingEmitter


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    import os

    for name in list(os.environ):
        if name.startswith("SNOWPLOW_") and "TEST" not in name:
            monkeypatch.delenv(name)


def test_all_variables():
    """Each variable has its effect on tracker and emitter."""
    with Collector() as collector, Tracker.from_environment(
        {
            "SNOWPLOW_ENDPOINT": collector.endpoint,
            "SNOWPLOW_NAMESPACE": "shop",
            "SNOWPLOW_APP_ID": "shop-web",
            "SNOWPLOW_PLATFORM": "web",
            "SNOWPLOW_EMITTER": "sync",
            "SNOWPLOW_METHOD": "get",
            "SNOWPLOW_BATCH_SIZE": "1",
        }
    ) as tracker:
        assert type(tracker.emitters[0]) is Emitter
        tracker.track(StructuredEvent("a", "b"))
        [event] = collector.wait_for(1)
        assert (event["tna"], event["aid"], event["p"]) == ("shop", "shop-web", "web")
        assert collector.requests[0].method == "GET"


def test_defaults(monkeypatch):
    """An endpoint is enough, and `os.environ` is where variables are looked up."""
    monkeypatch.setenv("SNOWPLOW_ENDPOINT", "http://127.0.0.1:9")
    with Tracker.from_environment(exit_timeout=0.1) as tracker:
        [emitter] = tracker.emitters
        assert type(emitter) is AsyncEmitter
        assert emitter.exit_timeout == 0.1
        assert tracker.get_namespace() == "python"
        assert tracker.subject.standard_nv_pairs["p"] == "srv"


@pytest.mark.parametrize("emitter", ["async", "sync"])
@pytest.mark.parametrize(
    ("endpoint", "protocol"),
    [
        ("collector.example.com", "https"),
        ("user:secret@collector.example.com:8080/own", "https"),
        ("localhost.example.com", "https"),
        ("127.example.com", "https"),
        ("http://collector.example.com", "http"),
        ("https://localhost:9090", "https"),
        ("localhost", "http"),
        ("LOCALHOST:9090/own", "http"),
        ("127.0.0.1:9090", "http"),
        ("127.1.2.3", "http"),
        ("user:secret@localhost:9090", "http"),
        ("[::1]:9090", "http"),
    ],
)
def test_an_endpoint_without_a_scheme_is_https_except_for_this_machine(endpoint, protocol, emitter):
    """One endpoint has one meaning, whichever emitter sends: https, but http on this machine."""
    variables = {"SNOWPLOW_ENDPOINT": endpoint, "SNOWPLOW_EMITTER": emitter}
    with Tracker.from_environment(variables, exit_timeout=0) as tracker:
        assert tracker.emitters[0].endpoint.startswith(f"{protocol}://")
        assert tracker.emitters[0].endpoint.count("://") == 1


def test_a_protocol_that_is_passed_takes_precedence():
    """The option `protocol` of the emitter is obeyed, as all options are."""
    with Tracker.from_environment({"SNOWPLOW_ENDPOINT": "host"}, protocol="http") as tracker:
        assert tracker.emitters[0].endpoint.startswith("http://host/")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SNOWPLOW_BATCH_SIZE", "ten"),
        ("SNOWPLOW_BATCH_SIZE", "0"),
        ("SNOWPLOW_EMITTER", "threads"),
        ("SNOWPLOW_PLATFORM", "server"),
        ("SNOWPLOW_METHOD", "put"),
        ("SNOWPLOW_DEBUG", "maybe"),
        ("SNOWPLOW_ENQUEUE_ONLY", "1"),
        ("SNOWPLOW_STORE", "mysql://x"),
        ("SNOWPLOW_STORE", "file://x"),
        ("SNOWPLOW_STORE", "sqlite:///no/such/folder/events.db"),
        ("SNOWPLOW_VALIDATE", "loudly"),
        ("SNOWPLOW_VALIDATE", "1"),
        ("SNOWPLOW_SCHEMAS", "/no/such/folder"),
        ("SNOWPLOW_SCHEMAS", __file__),
        ("SNOWPLOW_DISABLED", "maybe"),
        ("SNOWPLOW_ENDPOINT", ""),
        ("SNOWPLOW_ENDPOINT", "ftp://h"),
        ("SNOWPLOW_ENDPOINT", "http://h:70000"),
        ("SNOWPLOW_ENDPOINT", "h\n"),
    ],
)
def test_wrong_variables_are_named(name, value):
    """A variable with a wrong value is named by the error, and so is the endpoint that is missing."""
    variables = {"SNOWPLOW_ENDPOINT": "http://127.0.0.1:9", "SNOWPLOW_VALIDATE": "raise"}
    with pytest.raises((ValueError, SQLiteStoreError), match=f"^{name}"):
        Tracker.from_environment({**variables, name: value})


def test_an_option_that_is_wrong_is_not_taken_for_a_variable():
    """The endpoint of the environment is not named where an argument is wrong."""
    with pytest.raises(ValueError, match=r"^batch_size"):
        Tracker.from_environment({"SNOWPLOW_ENDPOINT": "http://127.0.0.1:9"}, batch_size=-1)


def test_the_schemas_of_the_environment_are_named_without_from_environment(monkeypatch):
    """A tracker that is made in code reads SNOWPLOW_SCHEMAS, too, and names it."""
    monkeypatch.setenv("SNOWPLOW_SCHEMAS", "/no/such/folder")
    with pytest.raises(ValueError, match=r"^SNOWPLOW_SCHEMAS: There is no folder"):
        Tracker("t", RecordingEmitter(), validate="raise")


def test_disabled(capfd):
    """Nothing is sent, an endpoint is not needed, and input is checked as always."""
    tracker = Tracker.from_environment({"SNOWPLOW_DISABLED": "1"})
    assert tracker.track(StructuredEvent("a", "b"))
    with pytest.raises(ValueError, match="category"):
        StructuredEvent("", "b")
    tracker.close()
    assert tracker.stats().emitters[0].sent == 0


def test_a_store(tmp_path):
    """Events wait in the queue that the URL names, for a worker."""
    tracker = Tracker.from_environment(
        {
            "SNOWPLOW_ENDPOINT": "http://127.0.0.1:9",
            "SNOWPLOW_STORE": f"sqlite:///{tmp_path}/events.db",
            "SNOWPLOW_ENQUEUE_ONLY": "1",
        }
    )
    tracker.track(StructuredEvent("a", "b"))
    assert tracker.emitters[0].event_store.size() == 1
    tracker.close()


def test_debug_prints_what_is_tracked_and_delivered(capsys):
    """A line per event with its data and entities, and one per delivery, on stderr; callbacks are called as well."""
    delivered = []
    with Collector() as collector:
        tracker = Tracker.from_environment(
            {"SNOWPLOW_ENDPOINT": collector.endpoint, "SNOWPLOW_DEBUG": "1"},
            on_success=delivered.extend,
        )
        schema = "iglu:com.acme/order/jsonschema/1-0-0"
        event_id = tracker.track(
            SelfDescribing(
                SelfDescribingJson(schema, {"total": 5}),
                context=[SelfDescribingJson(schema, {"sku": "\x1b[2J"})],
            )
        )
        tracker.close()
    printed = capsys.readouterr().err
    assert f"tracked order {event_id}" in printed
    assert '{"total": 5}' in printed
    assert '"sku"' in printed
    assert f"delivered 1: {event_id}" in printed
    assert "\x1b" not in printed
    assert len(delivered) == 1


def test_validate():
    """Events are checked while they are tracked, as `Tracker(validate=...)` does."""
    variables = {"SNOWPLOW_DISABLED": "1", "SNOWPLOW_VALIDATE": "raise"}
    tracker = Tracker.from_environment(variables)
    with pytest.raises(ValueError, match="se_la"):
        tracker.track(StructuredEvent("a", "b", label="x" * 5000))
    assert tracker.track(StructuredEvent("a", "b"))


def test_repr_of_a_tracker():
    """It says which tracker it is and where its events go, without personal data, also where `__init__` never ran."""
    tracker = Tracker.from_environment({"SNOWPLOW_DISABLED": "1", "SNOWPLOW_APP_ID": "shop"})
    tracker.subject.set_user_id("secret")
    shown = repr(tracker)
    assert "'python'" in shown
    assert "'shop'" in shown
    assert "AsyncEmitter" in shown
    assert "secret" not in shown
    assert repr(Tracker.__new__(Tracker))


def test_what_the_process_switches_applies_to_given_variables_as_well(monkeypatch):
    """`SNOWPLOW_DISABLED` and `SNOWPLOW_VALIDATE` of the process apply, also where other variables are given."""
    monkeypatch.setenv("SNOWPLOW_DISABLED", "1")
    monkeypatch.setenv("SNOWPLOW_VALIDATE", "raise")
    with Tracker.from_environment({"SNOWPLOW_ENDPOINT": "http://127.0.0.1:9"}) as tracker:
        tracker.track(StructuredEvent("a", "b"))
        assert tracker.emitters[0].stats().tracked == 0
        with pytest.raises(InvalidEventError):
            tracker.track(StructuredEvent("a", "b", parameters={"vid": "x"}))
