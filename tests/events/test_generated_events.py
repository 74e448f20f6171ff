"""The events and entities of public schemas that come with the package."""

from __future__ import annotations

import enum
import importlib
import inspect
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

import pytest

from snowplow_tracker import Tracker, disable_contracts, enable_contracts
from snowplow_tracker.events import agents, ecommerce, web
from snowplow_tracker.iglu.typed import TypedEntity, TypedEvent
from snowplow_tracker.testing import RecordingEmitter

SCHEMAS = Path(__file__).parent / "schemas"

# How each module is written: its vendor, and the schemas that are of entities. All others are of events.
MODULES = {
    "agents": ("com.snowplow.agent.tracking", ["agent_context", "message_context", "tool_context"]),
    "ecommerce": (
        "com.snowplowanalytics.snowplow.ecommerce",
        [
            *("cart", "checkout_step", "page", "product", "promotion", "refund"),
            *("transaction", "transaction_error", "user"),
        ],
    ),
    "web": ("com.snowplowanalytics.snowplow", ["consent_document"]),
}


def command(module):
    """The command that writes a module: run it without `--check` after a change of the schemas."""
    vendor, entities = MODULES[module]
    names = sorted(path.name for path in (SCHEMAS / vendor).iterdir())
    arguments = ["generate", "--schemas", str(SCHEMAS), "--schema", f"iglu:{vendor}/*/jsonschema/*"]
    for name in names:
        arguments += ["--entities" if name in entities else "--events", name]
    path = Path(importlib.import_module(f"snowplow_tracker.events.{module}").__file__)
    return [sys.executable, "-m", "snowplow_tracker", *arguments, "--out", str(path)]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_they_are_what_their_schemas_say(module):
    """A module is what the generator writes from the schemas beside this test."""
    result = subprocess.run(
        [*command(module), "--check"], check=False, capture_output=True, text=True, timeout=60
    )
    how = f"run: {shlex.join(command(module))}"
    assert result.returncode == 0, result.stdout + result.stderr + how


def classes(module):
    return [
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if found.__module__ == module.__name__ and hasattr(found, "SCHEMA")
    ]


def test_all_that_was_promised_is_there():
    """Ecommerce, agents, links, searches, timings, forms, consent and errors each have their class."""
    names = {found.__name__ for module in (agents, ecommerce, web) for found in classes(module)}
    assert len(names) == 32, "update the number here and in the changelog"
    assert {"LinkClick", "SiteSearch", "Timing", "ChangeForm", "SubmitForm"} <= names
    assert {"ConsentGranted", "ConsentWithdrawn", "ApplicationError"} <= names
    assert {"SnowplowEcommerceAction", "Product", "Cart", "Transaction", "Refund"} <= names
    assert {"AgentInvocation", "AgentStep", "ToolExecution"} <= names


def test_a_purchase():
    """An action with its entities goes straight into `track`."""
    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter)
    tracker.before_track(lambda event: event)
    purchase = ecommerce.SnowplowEcommerceAction(
        type="transaction",
        context=[
            ecommerce.Transaction(
                transaction_id="A-1017",
                revenue=59.8,
                currency="EUR",
                payment_method="card",
                total_quantity=2,
            ),
            ecommerce.Product(
                id="lamp-3", category="lamps", price=29.9, currency="EUR", quantity=2
            ),
        ],
    )
    tracker.track(purchase)
    [event] = emitter.events
    assert event.event_name == "snowplow_ecommerce_action"
    assert event.data == {"type": "transaction"}
    assert [each["schema"].split("/")[1] for each in event.contexts] == ["transaction", "product"]
    assert event.problems == []


def test_events_and_entities_are_told_apart():
    """What is an event can be tracked, what is an entity can be in a context."""
    assert issubclass(agents.AgentInvocation, TypedEvent)
    assert issubclass(agents.AgentContext, TypedEntity)
    assert issubclass(web.ConsentDocument, TypedEntity)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (web.LinkClick(target_url=None), "target_url of LinkClick must not be None"),
        (
            ecommerce.SnowplowEcommerceAction(type="bought"),
            "type of SnowplowEcommerceAction must be one of 'add_to_cart', .*got 'bought'",
        ),
        (
            web.FocusForm(form_id="f", element_id="e", node_name="DIV", value=None),
            "node_name of FocusForm must be one of 'INPUT', 'TEXTAREA', 'SELECT', got 'DIV'",
        ),
    ],
    ids=["required", "enumeration with a name", "enumeration"],
)
def test_what_the_schema_cannot_accept_is_an_error_when_it_is_tracked(event, message):
    """A missing or unknown value raises out of `track()` and names the parameter, and nothing is sent."""
    emitter = RecordingEmitter()
    with pytest.raises(ValueError, match=message):
        Tracker("n", emitter).track(event)
    assert emitter.events == []


def test_what_was_corrected_is_tracked():
    """Only the values at the time of `track()` count."""
    emitter = RecordingEmitter()
    event = web.LinkClick(target_url=None)
    event.target_url = "https://example.com/"
    Tracker("n", emitter).track(event)
    assert emitter.events[0].data == {"targetUrl": "https://example.com/"}


class Action(enum.Enum):
    """The actions of a shop."""

    BOUGHT = "transaction"


def test_a_member_of_an_enum_counts_as_its_value():
    """Who keeps the values of a schema in an enum of their own passes its members."""
    emitter = RecordingEmitter()
    Tracker("n", emitter).track(ecommerce.SnowplowEcommerceAction(type=Action.BOUGHT))
    assert emitter.events[0].data == {"type": "transaction"}


class SearchClick(web.LinkClick):
    """A class of a user, with arguments of its own."""

    def __init__(self, *, url: str, rank: Optional[int]) -> None:
        super().__init__(target_url=url)
        self.rank = rank

    def to_data(self) -> Any:
        return {**super().to_data(), "elementId": f"result-{self.rank}"}


def test_a_subclass_may_have_other_arguments():
    """The arguments of a subclass are not its attributes, so only those of the schema must have a value."""
    emitter = RecordingEmitter()
    Tracker("n", emitter).track(SearchClick(url="https://example.com/", rank=None))
    assert emitter.events[0].data["elementId"] == "result-None"


def test_disabled_contracts_switch_off_the_checks_of_typed_events():
    """As with all checks of arguments, the event is then sent as it is."""
    emitter = RecordingEmitter()
    disable_contracts()
    try:
        Tracker("n", emitter).track(ecommerce.SnowplowEcommerceAction(type="bought"))
    finally:
        enable_contracts()
    assert emitter.events[0].data == {"type": "bought"}
