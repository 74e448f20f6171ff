"""The view of a screen."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import Any, ClassVar, Dict, List, Mapping, Optional

from snowplow_tracker._protocol.deferred import UNSTRUCT_EVENT
from snowplow_tracker._protocol.event_ids import new_id
from snowplow_tracker._protocol.parameters import canonical_uuid, warn_once
from snowplow_tracker.constants import MOBILE_SCHEMA_PATH, SCHEMA_TAG
from snowplow_tracker.contracts import non_empty_string
from snowplow_tracker.events._parameter import Parameter
from snowplow_tracker.events.event import Event, pure
from snowplow_tracker.events.self_describing import SelfDescribing
from snowplow_tracker.payload import Payload, add_enveloped
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.typing import JsonEncoderFunction, Timestamp

__all__ = [
    "MOBILE_SCHEMA_PATH",
    "SCHEMA_TAG",
    "Event",
    "JsonEncoderFunction",
    "ScreenView",
    "SelfDescribing",
    "SelfDescribingJson",
    "Subject",
    "non_empty_string",
]

_property = partial(Parameter[Optional[str]], pairs_of=attrgetter("screen_view_properties"))


class ScreenView(Event):
    """A user views a screen of an app.

    Attributes:
        SCHEMA: The URI of the schema, by which rules of global entities find screen views.
        screen_view_properties: The properties by their names in the schema.
    """

    SCHEMA: ClassVar[str] = f"{MOBILE_SCHEMA_PATH}/screen_view/{SCHEMA_TAG}/1-0-0"

    id_: Parameter[Optional[str]] = _property("id", "The id of the screen, a UUID.", non_empty=True)
    name: Parameter[Optional[str]] = _property(
        "name", "The human-readable name of the screen.", non_empty=True
    )
    type: Parameter[Optional[str]] = _property("type", "The type of the screen.")
    previous_name: Parameter[Optional[str]] = _property(
        "previousName", "The name of the previous screen."
    )
    previous_id: Parameter[Optional[str]] = _property(
        "previousId", "The id of the previous screen, a UUID."
    )
    previous_type: Parameter[Optional[str]] = _property(
        "previousType", "The type of the previous screen."
    )
    transition_type: Parameter[Optional[str]] = _property(
        "transitionType", "The type of the transition between the screens."
    )

    def __init__(
        self,
        id_: Optional[str] = None,
        name: Optional[str] = None,
        type: Optional[str] = None,  # noqa: A002
        previous_name: Optional[str] = None,
        previous_id: Optional[str] = None,
        previous_type: Optional[str] = None,
        transition_type: Optional[str] = None,
        event_subject: Optional[Subject] = None,
        context: Optional[List[SelfDescribingJson]] = None,
        true_timestamp: Timestamp = None,
        *,
        event_id: Optional[str] = None,
        created_timestamp: Timestamp = None,
        parameters: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Create a screen view.

        Args:
            id_: The id of the screen, a UUID. Default: a new one.
            name: The human-readable name of the screen. The pipeline's schema requires it.
            type: The type of the screen, such as feed or carousel.
            previous_name: The name of the previous screen.
            previous_id: The id of the previous screen, a UUID.
            previous_type: The type of the previous screen.
            transition_type: The type of the transition between the screens.
            event_subject: The subject of this event; its values take precedence over the tracker's.
            context: The entities of the event: a list, even for a single one.
            true_timestamp: The exact time of the event, if it is known from another clock than the device's:
                milliseconds since 1970, a `datetime`, a `date`, or an ISO 8601 string.
            event_id: The id of the event, a UUID. Default: a new random one each time it is tracked.
            created_timestamp: The time of creation by the device's clock. Default: the time of `track()`.
            parameters: More parameters of the tracker protocol, such as `{"tr_id": "7"}`.

        Raises:
            ValueError: Id or name is empty, the context is not a list of
                `SelfDescribingJson`, the id is not a UUID, or the time of creation is not a time.
        """
        super().__init__(
            None,
            event_subject,
            context,
            true_timestamp,
            event_id=event_id,
            created_timestamp=created_timestamp,
            parameters=parameters,
        )
        self.screen_view_properties: Dict[str, Any] = {}
        self.id_ = new_id() if id_ is None else id_
        self.name = name
        self.type = type
        self.previous_name = previous_name
        self.previous_id = previous_id
        self.previous_type = previous_type
        self.transition_type = transition_type

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
        properties = dict(self.screen_view_properties)
        for key in ("id", "previousId"):
            if key in properties:
                properties[key] = _checked_id(key, properties[key])
        if "id" not in properties:
            properties["id"] = new_id()
        if not properties.get("name"):
            warn_once(
                ("ScreenView", "name"),
                "A ScreenView without a name was tracked: its schema requires one, so the pipeline "
                "will refuse it",
            )
        payload = super().build_payload(encode_base64, json_encoder, subject)
        payload.add("e", "ue")
        data = {"schema": self.SCHEMA, "data": properties}
        add_enveloped(
            payload,
            UNSTRUCT_EVENT,
            data,
            encode_base64,
            json_encoder,
            defer=not self._built_in_place,
            name="screen_view",
        )
        return payload


def _checked_id(key: str, value: Any) -> Any:
    canonical = canonical_uuid(value)
    if canonical is None:
        warn_once(
            ("ScreenView", key),
            "The %s of a ScreenView is %.50r, but its schema requires a UUID, so the pipeline will refuse it",
            key,
            value,
        )
    return canonical or value
