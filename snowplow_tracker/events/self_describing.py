"""A custom event with a schema."""

from __future__ import annotations

from typing import List, Optional

from snowplow_tracker._late_values import UNSTRUCT_EVENT
from snowplow_tracker.constants import UNSTRUCT_EVENT_SCHEMA as UNSTRUCT_EVENT_SCHEMA
from snowplow_tracker.contracts import contracts_enabled
from snowplow_tracker.contracts import non_empty as non_empty
from snowplow_tracker.events.event import Event as Event
from snowplow_tracker.payload import Payload, add_enveloped
from snowplow_tracker.self_describing_json import SelfDescribingJson as SelfDescribingJson
from snowplow_tracker.subject import Subject as Subject
from snowplow_tracker.typing import JsonEncoderFunction as JsonEncoderFunction
from snowplow_tracker.typing import Timestamp

__all__ = [
    "UNSTRUCT_EVENT_SCHEMA",
    "Event",
    "JsonEncoderFunction",
    "SelfDescribing",
    "SelfDescribingJson",
    "Subject",
    "non_empty",
]


class SelfDescribing(Event):
    """Something happens that a schema describes."""

    _shown_fields = ("event_json",)

    def __init__(
        self,
        event_json: SelfDescribingJson,
        event_subject: Optional[Subject] = None,
        context: Optional[List[SelfDescribingJson]] = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        """Describe what happens.

        Args:
            event_json: The data of the event, with its schema.
            event_subject: Same as for `Event`.
            context: Same as for `Event`.
            true_timestamp: Same as for `Event`.

        Raises:
            ValueError: `event_json` is not a `SelfDescribingJson`, or the context is not a list
                of them.
        """
        super().__init__({"e": "ue"}, event_subject, context, true_timestamp)
        self.event_json = event_json

    @property
    def event_json(self) -> SelfDescribingJson:
        """The data of the event, with its schema."""
        return self._event_json

    @event_json.setter
    def event_json(self, value: SelfDescribingJson) -> None:
        if not hasattr(value, "to_json") and contracts_enabled():
            raise ValueError(
                f"event_json must be a SelfDescribingJson, not {type(value).__name__}."
            )
        self._event_json = value

    def build_payload(
        self,
        encode_base64: bool,
        json_encoder: Optional[JsonEncoderFunction],
        subject: Optional[Subject] = None,
    ) -> Payload:
        """Same as for `Event`."""
        payload = super().build_payload(encode_base64, json_encoder, subject)
        data = self.event_json.to_json()
        add_enveloped(
            payload,
            UNSTRUCT_EVENT,
            data,
            encode_base64,
            json_encoder,
            late=not self._built_in_place,
        )
        return payload
