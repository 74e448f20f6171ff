"""The tracker: completes events and hands them to its emitters."""

import time
from copy import copy
from types import TracebackType
from typing import Any, Dict, List, Optional, Sequence, Type, TypeVar, Union
from warnings import warn as warn

from snowplow_tracker import _late_values
from snowplow_tracker._event_ids import new_id
from snowplow_tracker._late_logging import late_logger
from snowplow_tracker._legacy_tracking import LegacyTracking
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._signatures import takes_keyword
from snowplow_tracker.constants import BASE_SCHEMA_PATH as BASE_SCHEMA_PATH
from snowplow_tracker.constants import DEFAULT_ENCODE_BASE64 as DEFAULT_ENCODE_BASE64
from snowplow_tracker.constants import SCHEMA_TAG as SCHEMA_TAG
from snowplow_tracker.constants import VERSION as VERSION
from snowplow_tracker.contracts import form_element as form_element
from snowplow_tracker.contracts import non_empty as non_empty
from snowplow_tracker.contracts import non_empty_string as non_empty_string
from snowplow_tracker.contracts import one_of as one_of
from snowplow_tracker.contracts import plain
from snowplow_tracker.events import Event as Event
from snowplow_tracker.events import PagePing as PagePing
from snowplow_tracker.events import PageView as PageView
from snowplow_tracker.events import ScreenView as ScreenView
from snowplow_tracker.events import SelfDescribing as SelfDescribing
from snowplow_tracker.events import StructuredEvent as StructuredEvent
from snowplow_tracker.events.event import build_detached
from snowplow_tracker.payload import Payload
from snowplow_tracker.self_describing_json import SelfDescribingJson as SelfDescribingJson
from snowplow_tracker.subject import DEFAULT_PLATFORM
from snowplow_tracker.subject import Subject as Subject
from snowplow_tracker.typing import FORM_NODE_NAMES as FORM_NODE_NAMES
from snowplow_tracker.typing import FORM_TYPES as FORM_TYPES
from snowplow_tracker.typing import ElementClasses as ElementClasses
from snowplow_tracker.typing import EmitterProtocol as EmitterProtocol
from snowplow_tracker.typing import FormClasses as FormClasses
from snowplow_tracker.typing import FormNodeName as FormNodeName
from snowplow_tracker.typing import JsonEncoderFunction as JsonEncoderFunction

__all__ = [
    "BASE_SCHEMA_PATH",
    "DEFAULT_ENCODE_BASE64",
    "FORM_NODE_NAMES",
    "FORM_TYPES",
    "SCHEMA_TAG",
    "VERSION",
    "ElementClasses",
    "EmitterProtocol",
    "Event",
    "FormClasses",
    "FormNodeName",
    "JsonEncoderFunction",
    "PagePing",
    "PageView",
    "ScreenView",
    "SelfDescribing",
    "SelfDescribingJson",
    "StructuredEvent",
    "Subject",
    "Tracker",
    "form_element",
    "non_empty",
    "non_empty_string",
    "one_of",
    "warn",
]

logger = late_logger("snowplow_tracker.tracker")

_Tracker = TypeVar("_Tracker", bound="Tracker")

# The ways to build a payload that leave the event as it is, because they are ours.
_PURE_BUILDERS = frozenset(
    (Event.build_payload, SelfDescribing.build_payload, ScreenView.build_payload)
)


class Tracker(LegacyTracking):
    """Completes events with an id, the time and what it knows itself, and hands them on.

    It may be used as a context manager, which closes it.

    Attributes:
        emitters: Where events go.
        subject: Whom the events are about, read for each event.
        encode_base64: Whether self-describing data is sent as base64.
        json_encoder: Asked about objects in self-describing data that JSON does not know.
        standard_nv_pairs: Pairs that are added to each event.
        timer: Always `None`.
    """

    def __init__(
        self,
        namespace: str,
        emitters: Union[Sequence[EmitterProtocol], EmitterProtocol],
        subject: Optional[Subject] = None,
        app_id: Optional[str] = None,
        encode_base64: bool = DEFAULT_ENCODE_BASE64,
        json_encoder: Optional[JsonEncoderFunction] = None,
    ) -> None:
        """Set up a tracker.

        Args:
            namespace: The name of the tracker.
            emitters: An emitter, or a list of them, which is copied.
            subject: Whom the events are about, where they do not say themselves.
            app_id: The id of the application.
            encode_base64: Send self-describing data as base64.
            json_encoder: Asked about objects in self-describing data that JSON does not know, as
                `default` of `json.dumps`.

        Raises:
            ValueError: The list of emitters is empty.
        """
        if isinstance(emitters, (list, tuple)):
            non_empty(emitters, name="emitters")
            self.emitters: List[Any] = list(emitters)
        else:
            self.emitters = [emitters]
        self.subject: Optional[Subject] = Subject() if subject is None else subject
        self.encode_base64 = encode_base64
        self.json_encoder = json_encoder
        self.standard_nv_pairs: Dict[str, Any] = {
            "tv": VERSION,
            "tna": plain(namespace),
            "aid": plain(app_id),
        }
        self.timer = None

    # The function itself, since one that calls it would take 0.02 us of every event more.
    get_uuid = staticmethod(new_id)

    @staticmethod
    def get_timestamp(tstamp: Optional[float] = None) -> int:
        """Give a time in milliseconds since 1970: the one given, or now."""
        if tstamp is not None and isinstance(tstamp, (int, float)):
            return int(tstamp)
        return int(time.time() * 1000)

    def track(self, event: Event) -> Optional[str]:
        """Complete an event and hand it to the emitters.

        What goes wrong in an emitter is logged, and stays there.

        Args:
            event: The event, which stays as it is.

        Returns:
            The id of the event.

        Raises:
            TypeError: This is no event, or its data holds something that has no JSON form.
            ValueError: The data of the event holds itself.
        """
        payload = self.complete_payload(event=event)
        if type(payload) is Payload:
            # Past the property, which would complete late values.
            pairs = payload._pairs
            late = payload._late
        else:
            pairs = payload.nv_pairs
            late = False
        event_id: Optional[str] = pairs.get("eid")
        emitters = self.emitters
        shared = len(emitters) > 1
        for emitter in emitters:
            try:
                own = dict(pairs) if shared else pairs
                if late and not _late_values.is_late_taker(emitter.input):
                    _late_values.complete(own)
                emitter.input(own)
            except Exception as error:
                if is_interrupt(error):
                    raise
                logger.exception("%s failed to take event %s", type(emitter).__name__, event_id)
        return event_id

    def complete_payload(self, event: Event) -> Payload:
        """Build the payload of an event and add what each event has.

        Args:
            event: The event, which stays as it is.

        Raises:
            TypeError: Same as for `track`.
            ValueError: Same as for `track`.
        """
        if getattr(type(event), "build_payload", None) in _PURE_BUILDERS:
            payload = event.build_payload(self.encode_base64, self.json_encoder, self.subject)
        else:
            payload = self._build_payload_of_others(event)
        pairs = payload._pairs if type(payload) is Payload else payload.nv_pairs
        pairs["eid"] = self.get_uuid()
        pairs["dtm"] = self.get_timestamp()
        standard = self.standard_nv_pairs
        if all(standard.values()):  # Payload.add_dict, written out: 0.1 us of every event
            pairs.update(standard)
        else:
            pairs.update((name, value) for name, value in standard.items() if value)
        if "p" not in pairs:
            pairs["p"] = DEFAULT_PLATFORM
        return payload

    def flush(
        self,
        is_async: bool = False,
        *,
        timeout: Optional[float] = None,
    ) -> "Tracker":
        """Have the emitters send what they hold.

        What goes wrong in an emitter is logged, and stays there.

        Args:
            is_async: Ask for it and return, where the emitter can, rather than wait.
            timeout: The seconds to wait, for all emitters together. Emitters of your own that
                take no timeout take the time they need.
        """
        self._call_emitters(("flush",) if is_async else ("sync_flush",), timeout)
        return self

    def close(self, timeout: Optional[float] = None) -> "Tracker":
        """Have the emitters send what they hold and end. Emitters that cannot end are flushed.

        Args:
            timeout: Same as for `flush`; by default what each emitter takes for itself.
        """
        self._call_emitters(("close", "sync_flush"), timeout)
        return self

    def __enter__(self: _Tracker) -> _Tracker:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def set_subject(self, subject: Optional[Subject]) -> "Tracker":
        """Set whom the events from now on are about; `None` for nobody."""
        self.subject = subject
        return self

    def add_emitter(self, emitter: EmitterProtocol) -> "Tracker":
        """Add an emitter for the events from now on."""
        self.emitters.append(emitter)
        return self

    def get_namespace(self) -> str:
        """Give the name of the tracker."""
        namespace: str = self.standard_nv_pairs["tna"]
        return namespace

    def _build_payload_of_others(self, event: Any) -> Payload:
        """Build the payload of an event whose type is not ours."""
        if not hasattr(event, "build_payload"):
            raise TypeError(f"event must be an Event, not {type(event).__name__}.")
        if isinstance(event, Event):
            return build_detached(event, self.encode_base64, self.json_encoder, self.subject)
        payload: Payload = event.build_payload(
            encode_base64=self.encode_base64, json_encoder=self.json_encoder, subject=self.subject
        )
        return copy(payload) if payload is getattr(event, "payload", None) else payload

    def _call_emitters(self, names: Sequence[str], timeout: Optional[float]) -> None:
        """Call, on each emitter, the first of these methods that it has."""
        deadline = None if timeout is None else time.monotonic() + timeout
        emitters = list(self.emitters)
        for number, emitter in enumerate(emitters):
            method = next(
                (getattr(emitter, name) for name in names if hasattr(emitter, name)), None
            )
            if method is None:
                continue
            try:
                if deadline is not None and takes_keyword(method, "timeout"):
                    # By turns: a collector that is gone must not take the time of the others.
                    rest = max(0.0, deadline - time.monotonic())
                    method(timeout=rest / (len(emitters) - number))
                else:
                    method()
            except Exception as error:
                if is_interrupt(error):
                    raise
                logger.exception("%s failed to %s", type(emitter).__name__, names[0])
