"""The opt-in of a tracker that checks events while they are tracked."""

import logging
import time

import pytest

from snowplow_tracker import (
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Tracker,
)
from snowplow_tracker.events.web import LinkClick
from snowplow_tracker.iglu import HttpRegistry, Resolver
from snowplow_tracker.iglu.checks import InvalidEventError, checker
from snowplow_tracker.testing import RecordingEmitter
from support.iglu import SCHEMAS
from support.processes import run_program

pytest.importorskip("jsonschema")

SCHEMA = "iglu:org.beta/product/jsonschema/1-0-0"
LOGGER = "snowplow_tracker.validation"


def pairs(data):
    """Return the finished pairs of an event with this data."""
    event = SelfDescribing(SelfDescribingJson(SCHEMA, data))
    return Tracker("t", RecordingEmitter()).complete_payload(event).nv_pairs


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("SNOWPLOW_VALIDATE", "SNOWPLOW_SCHEMAS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("mode", [None, "off", "", "0"])
def test_it_is_off_by_default(mode):
    """Off, there is no function to call."""
    assert checker(mode, SCHEMAS) is None


def test_the_environment_can_turn_it_on(monkeypatch):
    """SNOWPLOW_VALIDATE and SNOWPLOW_SCHEMAS stand for the parameters, which win over them."""
    monkeypatch.setenv("SNOWPLOW_VALIDATE", "Raise")
    monkeypatch.setenv("SNOWPLOW_SCHEMAS", f" {SCHEMAS} , ")
    assert checker("off") is None
    with pytest.raises(InvalidEventError):
        checker()(pairs({"id": "5"}))


@pytest.mark.parametrize("environment", [True, False])
def test_an_unknown_mode_is_refused_by_name(monkeypatch, environment):
    """A mode that there is not is refused where it was given."""
    if environment:
        monkeypatch.setenv("SNOWPLOW_VALIDATE", "yes")
    with pytest.raises(
        ValueError, match="must be one of 'off', 'warn', 'raise', got 'yes'"
    ) as caught:
        checker(None if environment else "yes")
    assert str(caught.value).startswith("SNOWPLOW_VALIDATE" if environment else "validate")


@pytest.mark.parametrize("schemas", [SCHEMAS, str(SCHEMAS), [SCHEMAS], Resolver(SCHEMAS)])
def test_raise_raises_with_all_problems(schemas):
    """With "raise" the error names the event, the JSON path, and what was there; good events pass."""
    check = checker("raise", schemas)
    check(pairs({"id": 5}))
    with pytest.raises(
        InvalidEventError, match=r'event at \$\.id: must be an integer, not "5"'
    ) as caught:
        check(pairs({"id": "5"}))
    assert [each.path for each in caught.value.problems] == ["$.id"]
    assert SCHEMA in str(caught.value)


def test_without_schemas_the_protocol_is_checked():
    """Without schemas the rules of the protocol alone apply, and nothing is needed for them."""
    check = checker("raise")
    check(pairs({"id": "5"}))
    structured = (
        Tracker("t", RecordingEmitter()).complete_payload(StructuredEvent("a", "b")).nv_pairs
    )
    check(structured)
    with pytest.raises(InvalidEventError, match=r"structured event .*\n.* eid"):
        check({**structured, "eid": "no id"})


def test_warn_logs_and_goes_on(caplog):
    """With "warn" the same is logged, once for each event."""
    with caplog.at_level(logging.WARNING, LOGGER):
        check = checker("warn", SCHEMAS)
        check(pairs({"id": 5}))
        check(pairs({"id": "5"}))
    (record,) = caplog.records
    assert record.name == LOGGER
    assert 'event at $.id: must be an integer, not "5"' in record.getMessage()


def test_warn_never_waits_for_a_registry(registry, caplog):
    """With "warn" and a registry on the network the event is checked by a thread, when the schema is there."""
    resolver = Resolver(HttpRegistry(registry.url, cache=None))
    with caplog.at_level(logging.WARNING, LOGGER):
        check = checker("warn", resolver)
        check(pairs({"id": "5"}))
        deadline = time.monotonic() + 10
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.01)
    assert [each.threadName for each in caplog.records] == ["snowplow-validation"]
    assert len(registry.asked) == 1


def test_public_schemas_that_nobody_gave_are_not_checked(caplog):
    """An event of a vendor without any schema here is tracked, and one warning says how to have it checked."""
    emitter = RecordingEmitter()
    tracker = Tracker("t", emitter, validate="raise", schemas=SCHEMAS)
    for _ in range(2):
        tracker.track(ScreenView(name="Home"))
        tracker.track(LinkClick(target_url="https://example.com/"))
    assert len(emitter.events) == 4
    warnings = [each.getMessage() for each in caplog.records if each.name == LOGGER]
    assert len(warnings) == 2
    assert "screen_view/jsonschema/1-0-0 is not checked" in warnings[0]
    assert "If it is public, add its registry, such as https://iglucentral.com" in warnings[0]


def test_the_events_of_the_package_are_tracked_with_any_registry(registry, tmp_path, caplog):
    """A team's registry, or a folder with one schema of Snowplow, need not have those of the package's classes."""
    copied = tmp_path / "com.snowplowanalytics.snowplow" / "link_click" / "jsonschema" / "1-0-0"
    copied.parent.mkdir(parents=True)
    copied.write_text('{"type": "object"}')
    emitter = RecordingEmitter()
    for schemas in (Resolver(HttpRegistry(registry.url, cache=None)), tmp_path):
        tracker = Tracker("t", emitter, validate="raise", schemas=schemas)
        tracker.track(LinkClick(target_url="https://example.com/"))
    assert len(emitter.events) == 2
    assert "link_click" in caplog.text


def test_a_schema_of_snowplow_that_iglu_central_does_not_have_is_a_problem():
    """Only Iglu Central is expected to have all schemas of Snowplow."""

    class IgluCentral:
        name = "https://iglucentral.com"
        remote = True

        def lookup(self, key):
            return None

        def keys(self):
            return iter(())

    wrong = SelfDescribingJson("iglu:com.snowplowanalytics.snowplow/link_clik/jsonschema/1-0-0", {})
    tracker = Tracker("t", RecordingEmitter(), validate="raise", schemas=Resolver(IgluCentral()))
    with pytest.raises(InvalidEventError, match="link_clik/jsonschema/1-0-0 was not found in http"):
        tracker.track(SelfDescribing(wrong))


def test_the_message_about_a_missing_schema_does_not_speak_for_the_pipeline():
    """Whether the pipeline has a schema that was not found here is not known."""
    wrong = SelfDescribingJson("iglu:org.beta/produkt/jsonschema/1-0-0", {})
    tracker = Tracker("t", RecordingEmitter(), validate="raise", schemas=SCHEMAS)
    with pytest.raises(InvalidEventError, match="cannot be checked, and the pipeline refuses"):
        tracker.track(SelfDescribing(wrong))


def test_it_is_said_once_that_there_are_no_schemas(caplog):
    """A program with many trackers reads once that only the protocol is checked."""
    for mode in ("raise", "warn", "warn"):
        Tracker("t", RecordingEmitter(), validate=mode)
    (record,) = [each for each in caplog.records if each.name == LOGGER]
    assert "only the rules of the tracker protocol are checked" in record.getMessage()


def test_a_schema_that_is_missing_among_those_of_its_vendor_is_a_problem():
    """A typo in the name or version of an own schema raises."""
    wrong = SelfDescribingJson("iglu:org.beta/produkt/jsonschema/1-0-0", {})
    tracker = Tracker("t", RecordingEmitter(), validate="raise", schemas=SCHEMAS)
    with pytest.raises(InvalidEventError, match="produkt/jsonschema/1-0-0 was not found"):
        tracker.track(SelfDescribing(wrong))


WITHOUT_LOGGING = """
    import sys
    from snowplow_tracker import SelfDescribing, SelfDescribingJson, Tracker
    from snowplow_tracker.testing import RecordingEmitter
    tracker = Tracker("t", RecordingEmitter(), validate="warn", schemas=sys.argv[1] or None)
    tracker.track(SelfDescribing(SelfDescribingJson("iglu:org.beta/product/jsonschema/1-0-0", {})))
"""


@pytest.mark.parametrize(
    ("schemas", "message"),
    [(str(SCHEMAS), "would be refused by the pipeline"), ("", "validated without schemas")],
)
def test_warnings_are_seen_without_logging(schemas, message):
    """Who asks for warnings reads them on stderr, also in a program that sets up no logging."""
    done = run_program(WITHOUT_LOGGING, schemas)
    assert done.status == 0, done
    assert message in done.errors
