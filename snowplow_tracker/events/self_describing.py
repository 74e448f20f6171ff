"""A custom event with a schema."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from snowplow_tracker._protocol.deferred import UNSTRUCT_EVENT
from snowplow_tracker._protocol.text import described
from snowplow_tracker.constants import UNSTRUCT_EVENT_SCHEMA
from snowplow_tracker.contracts import contracts_enabled, non_empty
from snowplow_tracker.events.event import Event, pure
from snowplow_tracker.payload import Payload, add_enveloped
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.typing import JsonEncoderFunction, Timestamp

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
    """An event with data that a schema describes."""

    _shown_fields = ("event_json",)

    def __init__(
        self,
        event_json: SelfDescribingJson,
        event_subject: Optional[Subject] = None,
        context: Optional[List[SelfDescribingJson]] = None,
        true_timestamp: Timestamp = None,
        *,
        event_id: Optional[str] = None,
        created_timestamp: Timestamp = None,
        parameters: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Create a self-describing event.

        Args:
            event_json: The data of the event, with its schema.
            event_subject: The subject of this event; its values take precedence over the tracker's.
            context: The entities of the event: a list, even for a single one.
            true_timestamp: The exact time of the event, if it is known from another clock than the device's:
                milliseconds since 1970, a `datetime`, a `date`, or an ISO 8601 string.
            event_id: The id of the event, a UUID. Default: a new random one each time it is tracked.
            created_timestamp: The time of creation by the device's clock. Default: the time of `track()`.
            parameters: More parameters of the tracker protocol, such as `{"tr_id": "7"}`.

        Raises:
            ValueError: `event_json` is not a `SelfDescribingJson`, the context is not a list of
                them, the id is not a UUID, or the time of creation is not a time.
        """
        pairs = {"e": "ue"}  # fast path: it needs no conversion
        self._start(
            pairs, event_subject, context, true_timestamp, event_id, created_timestamp, parameters
        )
        self.event_json = event_json

    @property
    def event_json(self) -> SelfDescribingJson:
        """The data of the event, with its schema."""
        return self._event_json

    @event_json.setter
    def event_json(self, value: SelfDescribingJson) -> None:
        is_one = hasattr(value, "to_json") and not isinstance(value, type)
        if not is_one and contracts_enabled():
            raise ValueError(f"event_json must be a SelfDescribingJson, not {described(value)}.")
        self._event_json = value

    @pure
    def build_payload(
        self,
        encode_base64: bool,
        json_encoder: Optional[JsonEncoderFunction],
        subject: Optional[Subject] = None,
    ) -> Payload:
        """Build the payload of the event. The event is not changed.

        Args:
            encode_base64: Encode self-describing data as base64.
            json_encoder: Converts objects in the data that JSON cannot represent.
            subject: The tracker's subject.

        Raises:
            TypeError: The data contains a value that JSON cannot represent.
            ValueError: The data contains itself or is nested too deeply, or the context
                contains an object that is not an entity.
        """
        payload = super().build_payload(encode_base64, json_encoder, subject)
        data = self.event_json.to_json()
        add_enveloped(
            payload,
            UNSTRUCT_EVENT,
            data,
            encode_base64,
            json_encoder,
            defer=not self._built_in_place,
            name="event_json",
        )
        return payload
