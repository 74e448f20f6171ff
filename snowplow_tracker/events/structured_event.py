"""A custom event without a schema."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from snowplow_tracker._protocol.parameters import sent_value
from snowplow_tracker.contracts import non_empty_string
from snowplow_tracker.events._parameter import Parameter, required_string
from snowplow_tracker.events.event import Event
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.typing import Timestamp

__all__ = ["Event", "SelfDescribingJson", "StructuredEvent", "Subject", "non_empty_string"]


class StructuredEvent(Event):
    """An event that five fields describe."""

    category: Parameter[str] = Parameter[str]("se_ca", "The group of actions.", required=True)
    action: Parameter[str] = Parameter[str]("se_ac", "What the user does.", required=True)
    label: Parameter[Optional[str]] = Parameter[Optional[str]]("se_la", "More about the action.")
    property_: Parameter[Optional[str]] = Parameter[Optional[str]](
        "se_pr", "The object of the action, or how it is done."
    )
    value: Parameter[Optional[float]] = Parameter[Optional[float]](
        "se_va", "A number for the action."
    )

    def __init__(
        self,
        category: str,
        action: str,
        label: Optional[str] = None,
        property_: Optional[str] = None,
        value: Optional[float] = None,
        event_subject: Optional[Subject] = None,
        context: Optional[List[SelfDescribingJson]] = None,
        true_timestamp: Timestamp = None,
        *,
        event_id: Optional[str] = None,
        created_timestamp: Timestamp = None,
        parameters: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Create a structured event.

        Args:
            category: The group that the action belongs to.
            action: What the user does.
            label: More about the action.
            property_: The object of the action, or how it is done.
            value: A number for the action, such as an amount or a duration.
            event_subject: The subject of this event; its values take precedence over the tracker's.
            context: The entities of the event: a list, even for a single one.
            true_timestamp: The exact time of the event, if it is known from another clock than the device's:
                milliseconds since 1970, a `datetime`, a `date`, or an ISO 8601 string.
            event_id: The id of the event, a UUID. Default: a new random one each time it is tracked.
            created_timestamp: The time of creation by the device's clock. Default: the time of `track()`.
            parameters: More parameters of the tracker protocol, such as `{"tr_id": "7"}`.

        Raises:
            ValueError: Category or action is empty, or the context is not a list of
                `SelfDescribingJson`.
        """
        pairs = {
            "e": "se",
            "se_ca": required_string(category, "category"),
            "se_ac": required_string(action, "action"),
            "se_la": label,
            "se_pr": property_,
            "se_va": sent_value("se_va", value),
        }
        super().__init__(
            pairs,
            event_subject,
            context,
            true_timestamp,
            event_id=event_id,
            created_timestamp=created_timestamp,
            parameters=parameters,
        )
