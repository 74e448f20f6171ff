"""The view of a screen."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Dict, List, Optional

from snowplow_tracker._event_ids import new_id
from snowplow_tracker._late_logging import late_logger
from snowplow_tracker._late_values import UNSTRUCT_EVENT
from snowplow_tracker.constants import MOBILE_SCHEMA_PATH as MOBILE_SCHEMA_PATH
from snowplow_tracker.constants import SCHEMA_TAG as SCHEMA_TAG
from snowplow_tracker.contracts import non_empty_string as non_empty_string
from snowplow_tracker.events._parameter import Parameter
from snowplow_tracker.events.event import Event as Event
from snowplow_tracker.events.self_describing import SelfDescribing as SelfDescribing
from snowplow_tracker.payload import Payload, add_enveloped
from snowplow_tracker.self_describing_json import SelfDescribingJson as SelfDescribingJson
from snowplow_tracker.subject import Subject as Subject
from snowplow_tracker.typing import JsonEncoderFunction as JsonEncoderFunction
from snowplow_tracker.typing import Timestamp

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

logger = late_logger("snowplow_tracker.events")

_SCHEMA = f"{MOBILE_SCHEMA_PATH}/screen_view/{SCHEMA_TAG}/1-0-0"
_OF_SCREEN = attrgetter("screen_view_properties")


class ScreenView(Event):
    """A user views a screen of an app.

    Attributes:
        screen_view_properties: The properties by their names in the schema.
    """

    id_ = Parameter[Optional[str]](
        "id", "The id of the screen, a UUID.", non_empty=True, pairs_of=_OF_SCREEN
    )
    name = Parameter[Optional[str]](
        "name", "The name of the screen for people.", non_empty=True, pairs_of=_OF_SCREEN
    )
    type = Parameter[Optional[str]]("type", "The type of the screen.", pairs_of=_OF_SCREEN)
    previous_name = Parameter[Optional[str]](
        "previousName", "The name of the screen before.", pairs_of=_OF_SCREEN
    )
    previous_id = Parameter[Optional[str]](
        "previousId", "The id of the screen before, a UUID.", pairs_of=_OF_SCREEN
    )
    previous_type = Parameter[Optional[str]](
        "previousType", "The type of the screen before.", pairs_of=_OF_SCREEN
    )
    transition_type = Parameter[Optional[str]](
        "transitionType", "How the user came from one to the other.", pairs_of=_OF_SCREEN
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
    ) -> None:
        """Describe a view.

        Args:
            id_: The id of the screen, a UUID. A screen without one gets a new one.
            name: The name of the screen for people. The pipeline's schema asks for one.
            type: The type of the screen, such as feed or carousel.
            previous_name: The name of the screen before.
            previous_id: The id of the screen before, a UUID.
            previous_type: The type of the screen before.
            transition_type: How the user came from that screen to this one.
            event_subject: Same as for `Event`.
            context: Same as for `Event`.
            true_timestamp: Same as for `Event`.

        Raises:
            ValueError: Id or name is empty, or the context is not a list of `SelfDescribingJson`.
        """
        super().__init__(None, event_subject, context, true_timestamp)
        self.screen_view_properties: Dict[str, Any] = {}
        self.id_ = new_id() if id_ is None else id_
        self.name = name
        self.type = type
        self.previous_name = previous_name
        self.previous_id = previous_id
        self.previous_type = previous_type
        self.transition_type = transition_type

    def build_payload(
        self,
        encode_base64: bool,
        json_encoder: Optional[JsonEncoderFunction],
        subject: Optional[Subject] = None,
    ) -> Payload:
        """Same as for `Event`."""
        properties = dict(self.screen_view_properties)
        if "id" not in properties:
            properties["id"] = new_id()
        if not properties.get("name"):
            _warn_of_missing_name()
        payload = super().build_payload(encode_base64, json_encoder, subject)
        payload.add("e", "ue")
        data = {"schema": _SCHEMA, "data": properties}
        add_enveloped(
            payload,
            UNSTRUCT_EVENT,
            data,
            encode_base64,
            json_encoder,
            late=not self._built_in_place,
        )
        return payload


_warned_of_missing_name = False


def _warn_of_missing_name() -> None:
    global _warned_of_missing_name
    if not _warned_of_missing_name:
        _warned_of_missing_name = True
        logger.warning(
            "A ScreenView without a name was tracked: its schema asks for one, so the pipeline "
            "will reject it. This is said once."
        )
