"""What all events have in common."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from snowplow_tracker._by_value import ByValue
from snowplow_tracker._late_logging import late_logger
from snowplow_tracker._late_values import CONTEXTS
from snowplow_tracker.constants import CONTEXT_SCHEMA as CONTEXT_SCHEMA
from snowplow_tracker.contracts import contracts_enabled, plain
from snowplow_tracker.events._parameter import parameters_of
from snowplow_tracker.payload import Payload, add_enveloped
from snowplow_tracker.self_describing_json import SelfDescribingJson as SelfDescribingJson
from snowplow_tracker.subject import Subject as Subject
from snowplow_tracker.typing import JsonEncoderFunction as JsonEncoderFunction
from snowplow_tracker.typing import PayloadDict as PayloadDict
from snowplow_tracker.typing import Timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from typing_extensions import TypeGuard

__all__ = [
    "CONTEXT_SCHEMA",
    "Event",
    "JsonEncoderFunction",
    "PayloadDict",
    "SelfDescribingJson",
    "Subject",
]

logger = late_logger("snowplow_tracker.events")


class Event(ByValue):
    """An event, and the base of the types of events.

    All of an event may change until it is tracked, and it may be tracked again. Two events of one
    type that hold the same are equal.

    A type of your own says what it is with the pairs it hands to this constructor, or adds to
    `payload`; it may also override `build_payload`.

    Attributes:
        event_subject: Whom the event is about. Its values go before those of the tracker's.
        true_timestamp: When the event happened: milliseconds since 1970, or a `datetime`, where
            one without a time zone is in local time.
    """

    _names_in_1_1_0 = {  # noqa: RUF012 - never changed
        "payload": "_Event__payload",
        "_event_subject": "event_subject",
        "_true_timestamp": "true_timestamp",
    }
    # On the class, so that an event whose constructor was not called has them too.
    __payload: Optional[Payload] = None
    __pairs: Optional[PayloadDict] = None
    event_subject: Optional[Subject] = None
    true_timestamp: Timestamp = None
    _context: List[SelfDescribingJson] = []  # noqa: RUF012 - replaced in an event, never changed
    _built_in_place = False
    # Where it is not overridden, the list itself is used: 0.1 us of every event.
    _overrides_context = False
    # What a type holds besides parameters, for its `repr`.
    _shown_fields: Tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        """Note what a type of event overrides."""
        super().__init_subclass__(**options)
        cls._overrides_context = cls.context is not Event.context

    def __init__(
        self,
        dict_: Optional[PayloadDict] = None,
        event_subject: Optional[Subject] = None,
        context: Optional[List[SelfDescribingJson]] = None,
        true_timestamp: Timestamp = None,
    ) -> None:
        """Describe an event.

        Args:
            dict_: Pairs of the tracker protocol; those that are `None` or empty are left out.
            event_subject: Whom the event is about, where that is not the tracker's subject.
            context: Entities that were there when it happened: a list, even for a single one. It
                may be changed until the event is tracked.
            true_timestamp: When it happened, if not now: milliseconds since 1970 or a `datetime`.

        Raises:
            ValueError: The context is not a list of `SelfDescribingJson`.
        """
        self.__payload = None
        self.__pairs = pairs = {**dict_} if dict_ else {}
        if dict_:
            # `Payload.add`, written out: a call for each pair takes 0.3 us of a page view.
            for name, value in dict_.items():
                if type(value) is not str or not value:
                    if value is None or value == "":
                        del pairs[name]
                    else:
                        pairs[name] = plain(value)
        self.event_subject = event_subject
        if context is None and not self._overrides_context:
            self._context = []
        else:
            self.context = context
        self.true_timestamp = true_timestamp

    @property
    def payload(self) -> Payload:
        """The pairs of the event itself. What a tracker adds to them goes into a copy."""
        if self.__payload is None:
            # Made late, since tracking never asks for it: 0.2 us of every event.
            payload = Payload()
            if self.__pairs is not None:
                payload.nv_pairs = self.__pairs
            self.__payload = payload
        return self.__payload

    @payload.setter
    def payload(self, payload: Payload) -> None:
        self.__payload = payload

    @property
    def context(self) -> List[SelfDescribingJson]:
        """The entities that were there when the event happened."""
        return self._context

    @context.setter
    def context(self, value: Optional[List[SelfDescribingJson]]) -> None:
        if isinstance(value, list) or value:
            _check_context(value)
            self._context = value
        else:
            self._context = []

    def build_payload(
        self,
        encode_base64: bool,
        json_encoder: Optional[JsonEncoderFunction],
        subject: Optional[Subject] = None,
    ) -> Payload:
        """Build a payload of what the event holds. The event stays as it is.

        Args:
            encode_base64: Encode self-describing data as base64.
            json_encoder: Asked about objects in the data that JSON does not know.
            subject: The tracker's subject.

        Raises:
            TypeError: The data holds something that has no JSON form.
            ValueError: The data holds itself, or the context holds something else than entities.
        """
        payload = self.__payload
        if self._built_in_place:
            payload = self.payload
        elif payload is None:
            payload = Payload(self.__pairs)
        elif type(payload) is Payload:
            # `copy` asks what there is to copy, which is 0.7 us more.
            payload = Payload(payload.nv_pairs)
        else:
            payload = copy(payload)
        context = self.context if self._overrides_context else self._context
        if context:
            add_enveloped(
                payload,
                CONTEXTS,
                _entities(context),
                encode_base64,
                json_encoder,
                late=not self._built_in_place,
            )
        if self.true_timestamp is not None:
            payload.add("ttm", _milliseconds(self.true_timestamp))
        if self.event_subject is not None:
            payload.add_dict(self.event_subject.combine_subject(subject))
        elif subject is not None:
            pairs = subject.standard_nv_pairs
            if type(payload) is Payload and all(pairs.values()):
                # `add_dict`, written out for what nearly always is: 0.05 us of every event.
                payload._pairs.update(pairs)  # noqa: SLF001 - of a class of ours
            else:
                payload.add_dict(pairs)
        return payload

    def _what_it_holds(self) -> Dict[str, object]:
        held = {**vars(self), "_Event__payload": self.payload, "_context": list(self.context)}
        held.pop("_Event__pairs", None)  # those of the payload, unless somebody replaced it
        held.pop("_Event__is_resolved", None)
        return held

    def __repr__(self) -> str:
        held = {name: getattr(self, name) for name in self._shown_fields}
        others = dict(self.payload.nv_pairs)
        for name, parameter in parameters_of(type(self)):
            held[name] = getattr(self, name)
            others.pop(parameter.key, None)
        if held:
            others.pop("e", None)
        held.update(
            event_subject=self.event_subject,
            context=self.context or None,
            true_timestamp=self.true_timestamp,
            dict_=others or None,
        )
        shown = ", ".join(f"{name}={value!r}" for name, value in held.items() if value is not None)
        return f"{type(self).__name__}({shown})"


def own_pairs(event: Any) -> Optional[PayloadDict]:
    """Return the parameters that an event itself has, or None for an object of another type."""
    try:
        payload = event._Event__payload  # noqa: SLF001 - of a class of ours
        # fast path: the property would make a payload.
        if payload is None:
            own: Optional[PayloadDict] = event._Event__pairs  # noqa: SLF001 - of a class of ours
        else:
            own = payload.nv_pairs
    except AttributeError:
        return None
    return own


def build_detached(
    event: Event,
    encode_base64: bool,
    json_encoder: Optional[JsonEncoderFunction],
    subject: Optional[Subject],
) -> Payload:
    """Build the payload of an event whose type has a `build_payload` of its own.

    Written for 1.1.0, it may add to `self.payload`, call the one it overrides for what that adds
    to `self.payload` too, and return `self.payload`. So it works on a copy of the event, where
    building in place is what it expects and changes nothing that is anybody else's.
    """
    twin = copy(event)
    twin._built_in_place = True  # noqa: SLF001 - of a class of ours
    return twin.build_payload(
        encode_base64=encode_base64, json_encoder=json_encoder, subject=subject
    )


def _check_context(context: Any) -> None:
    if not contracts_enabled():
        return
    wanted = "context must be a list of SelfDescribingJson"
    # A list is told first, since asking `Collection` takes 0.4 us.
    if not isinstance(context, (list, tuple)) and (
        isinstance(context, (str, bytes, Mapping)) or not isinstance(context, Collection)
    ):
        raise ValueError(f"{wanted}, not {type(context).__name__}.")
    for entity in context:
        if not hasattr(entity, "to_json"):
            raise ValueError(f"{wanted}, and holds an object of type {type(entity).__name__}.")


def _entities(context: List[SelfDescribingJson]) -> List[PayloadDict]:
    try:
        return [entity.to_json() for entity in context]
    except AttributeError:
        # The list may have changed since it was checked.
        _check_context(context)
        raise


def _is_datetime(value: object) -> TypeGuard[datetime]:
    # Whoever has one has imported the module, which takes 2 ms; we need not do it for all others.
    module = sys.modules.get("datetime")
    return isinstance(value, getattr(module, "datetime", ()))


def _milliseconds(timestamp: object) -> Optional[int]:
    """Give a timestamp in milliseconds since 1970, or `None`, with a warning, for what is none."""
    try:
        if isinstance(timestamp, (int, float)):
            return int(timestamp)
        if _is_datetime(timestamp):
            # The microseconds apart, since a double rounds them.
            seconds = int(timestamp.replace(microsecond=0).timestamp())
            return seconds * 1000 + timestamp.microsecond // 1000
    except (ValueError, OverflowError, OSError):
        logger.warning("Left out a true_timestamp that is no point in time: %r", timestamp)
        return None
    logger.warning("Left out a true_timestamp of type %s", type(timestamp).__name__)
    return None
