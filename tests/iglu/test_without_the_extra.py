"""What needs the extra `schemas`, and what does not."""

import sys

import pytest

from snowplow_tracker import PageView, Tracker
from snowplow_tracker.__main__ import main
from snowplow_tracker.iglu import (
    Resolver,
    SchemaExtraMissingError,
    validate_event,
    validate_self_describing,
)
from snowplow_tracker.iglu.checks import checker
from snowplow_tracker.testing import RecordingEmitter
from support.iglu import SCHEMAS

PRODUCT = {"schema": "iglu:org.beta/product/jsonschema/1-0-0", "data": {"id": 1}}


@pytest.fixture(autouse=True)
def _no_jsonschema(monkeypatch):
    for name in ("jsonschema", "referencing", "referencing.jsonschema"):
        monkeypatch.setitem(sys.modules, name, None)


def test_validation_says_what_to_install(capsys):
    """Where a schema is to be applied, the error has the command that installs the extra."""
    for validate in (
        lambda: validate_self_describing(PRODUCT, Resolver(SCHEMAS)),
        lambda: checker("warn", SCHEMAS),
    ):
        with pytest.raises(
            SchemaExtraMissingError, match=r'pip install "snowplow-tracker\[schemas\]"'
        ):
            validate()
    event = '{"schema": "iglu:org.beta/product/jsonschema/1-0-0", "data": {}}'
    track = [
        "track",
        "--endpoint",
        "localhost:9",
        "--schemas",
        str(SCHEMAS),
        "self-describing",
        event,
    ]
    assert main(track) == 2
    assert 'pip install "snowplow-tracker[schemas]"' in capsys.readouterr().err


def test_the_rest_needs_nothing():
    """The rules of the protocol, events without schemas, and finding schemas work without it."""
    emitter = RecordingEmitter()
    Tracker("t", emitter).track(PageView("https://a.example"))
    parameters = dict(emitter.events[0].parameters)
    assert validate_event(parameters, None) == validate_event(parameters, Resolver(SCHEMAS)) == []
    assert checker("raise") is not None
    assert Resolver(SCHEMAS).resolve(PRODUCT["schema"])["type"] == "object"
