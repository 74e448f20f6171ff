"""The base class of all events."""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from typing import Any, Callable, Dict, List, Mapping, Optional, Set, Tuple, TypeVar

from snowplow_tracker._protocol import parameters as protocol
from snowplow_tracker._protocol.deferred import CONTEXTS
from snowplow_tracker._protocol.parameters import LONG
from snowplow_tracker._protocol.text import described, type_name
from snowplow_tracker._protocol.value_object import ValueObject
from snowplow_tracker.constants import CONTEXT_SCHEMA
from snowplow_tracker.contracts import contracts_enabled
from snowplow_tracker.events._parameter import parameters_of
from snowplow_tracker.payload import Payload, add_enveloped
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.typing import JsonEncoderFunction, PayloadDict, Timestamp

__all__ = [
    "CONTEXT_SCHEMA",
    "Event",
    "JsonEncoderFunction",
    "PayloadDict",
    "SelfDescribingJson",
    "Subject",
]

_Builder = TypeVar("_Builder", bound=Callable[..., Payload])

PURE_BUILDERS: Set[Callable[..., Payload]] = set()
"""The methods `build_payload` that do not change the event. A tracker calls any other one on a copy of the event."""


def pure(build_payload: _Builder) -> _Builder:
    """Mark a `build_payload` that does not change the event."""
    # Not by an attribute, which a wrapper of the function would have as well.
    PURE_BUILDERS.add(build_payload)
    return build_payload


class Event(ValueObject):
    """An event, and the base class of the types of events.

    An event may change until it is tracked. It may be tracked again: with a new id and the current
    time, unless it has its own. Two events of one type with equal contents are equal.

    A type of your own passes its parameters, such as `e`, to this constructor, or adds them to
    `payload`; it may also override `build_payload`.

    Attributes:
        true_timestamp: When the event happened, as in the constructor.
    """

    _names_in_1_1_0 = {  # noqa: RUF012 - never changed
        "payload": "_Event__payload",
        "_true_timestamp": "true_timestamp",
    }
    # On the class, so that an event whose constructor was not called also has them.
    __payload: Optional[Payload] = None
    __pairs: Optional[PayloadDict] = None
    _event_subject: Optional[Subject] = None
    true_timestamp: Timestamp = None
    _context: List[SelfDescribingJson] = []  # noqa: RUF012 - replaced in an event, never changed
    _built_in_place = False
    # Whether the event comes from the hooks of a tracker, and includes all that its scope and its tracker add.
    _is_resolved = False
    # fast path: where it is not overridden, the list itself is used.
    _overrides_context = False
    # The attributes of a type besides parameters, for its `repr`.
    _shown_fields: Tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        """Record what a type of event overrides."""
        super().__init_subclass__(**options)
        cls._overrides_context = cls.context is not Event.context

    def __init__(
        self,
        dict_: Optional[PayloadDict] = None,
        event_subject: Optional[Subject] = None,
        context: Optional[List[SelfDescribingJson]] = None,
        true_timestamp: Timestamp = None,
        *,
        event_id: Optional[str] = None,
        created_timestamp: Timestamp = None,
        parameters: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Create an event.

        Args:
            dict_: Parameters of the tracker protocol; those that are `None` or empty are left out.
            event_subject: The subject of this event. Its values take precedence over those of the
                tracker's subject.
            context: The entities of the event: a list, even for a single one. It may be changed
                until the event is tracked.
            true_timestamp: The exact time of the event, if it is known from another clock than the
                device's: milliseconds since 1970, a `datetime`, a `date`, or an ISO 8601 string.
                Without a time zone it is in local time. An invalid time is left out, with a warning.
            event_id: The id of the event, a UUID. The pipeline removes a second event with the same
                id, so a job with its own ids may run again. Default: a new random one each time it
                is tracked.
            created_timestamp: The time of creation by the device's clock, in the same forms.
                Default: the time of `track()`.
            parameters: More parameters of the tracker protocol, such as `{"tr_id": "7"}`. They
                replace those of `dict_` and of the type of event, and take precedence over scopes.
                A subject that has one of them takes precedence over it (as over `dict_` in 1.1.0),
                except over `url`, `page` and `refr`: to set the user of one event, use
                `event_subject`.

        Raises:
            ValueError: The context is not a list of `SelfDescribingJson`, the id is not a UUID, or
                the time of creation is not a time.
            TypeError: The event's subject is not a `Subject`, or the parameters are not a mapping.

        Changed in version 1.2.0: `event_id`, `created_timestamp` and `parameters`.
        """
        try:
            pairs = {**dict_} if dict_ else {}
        except TypeError:
            if hasattr(dict_, "keys"):
                raise
            raise TypeError(f"dict_ must be a mapping, not {described(dict_)}.") from None
        if dict_:
            # fast path: `Payload.add` without the call.
            for name, value in dict_.items():
                if type(value) is not str or not 0 < len(value) < LONG:
                    del pairs[name]
                    protocol.add(pairs, name, value)
        self._start(
            pairs, event_subject, context, true_timestamp, event_id, created_timestamp, parameters
        )

    def _start(
        self,
        pairs: PayloadDict,
        event_subject: Optional[Subject],
        context: Optional[List[SelfDescribingJson]],
        true_timestamp: Timestamp,
        event_id: Optional[str] = None,
        created_timestamp: Timestamp = None,
        parameters: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Initialize the event with pairs that need no conversion. It keeps the dictionary itself."""
        self.__payload = None
        self.__pairs = pairs
        if event_subject is not None:
            _check_subject(event_subject)
        self._event_subject = event_subject
        if context is None and not self._overrides_context:
            self._context = []
        else:
            self.context = context
        self.true_timestamp = true_timestamp
        if event_id is not None:
            self.event_id = event_id
        if created_timestamp is not None:
            self.created_timestamp = created_timestamp
        if parameters is not None:
            _check_parameters(parameters)
            own = self.payload.nv_pairs
            for name, value in parameters.items():
                protocol.add(own, name, value)

    @property
    def event_id(self) -> Optional[str]:
        """The id of the event, a UUID, or None to get a new one each time it is tracked."""
        return self.payload.nv_pairs.get("eid")

    @event_id.setter
    def event_id(self, value: Optional[str]) -> None:
        own = self.payload.nv_pairs
        if value is None:
            own.pop("eid", None)
            return
        canonical = protocol.canonical_uuid(value)
        if canonical is None and contracts_enabled():
            raise ValueError(f"event_id must be a UUID, not {value!r:.50} ({type_name(value)}).")
        own["eid"] = canonical or str(value)

    @property
    def created_timestamp(self) -> Optional[int]:
        """The time of creation in milliseconds since 1970, or None for the time of `track()`."""
        return self.payload.nv_pairs.get("dtm")

    @created_timestamp.setter
    def created_timestamp(self, value: Timestamp) -> None:
        own = self.payload.nv_pairs
        if value is None:
            own.pop("dtm", None)
        else:
            own["dtm"] = protocol.point_in_time(value, "created_timestamp")

    @property
    def event_subject(self) -> Optional[Subject]:
        """The subject of this event. Its values take precedence over those of the tracker's subject."""
        return self._event_subject

    @event_subject.setter
    def event_subject(self, value: Optional[Subject]) -> None:
        if value is not None:
            _check_subject(value)
        self._event_subject = value

    @property
    def payload(self) -> Payload:
        """The event's own parameters. A tracker adds its parameters to a copy."""
        if self.__payload is None:
            # fast path: tracking never uses the property.
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
        """The entities of the event."""
        return self._context

    @context.setter
    def context(self, value: Optional[List[SelfDescribingJson]]) -> None:
        if isinstance(value, list) or value:
            _check_context(value)
            self._context = value
        else:
            self._context = []

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
        payload = self.__payload
        if self._built_in_place:
            payload = self.payload
        elif payload is None:
            payload = Payload(self.__pairs)
        elif type(payload) is Payload:
            # fast path: `copy` would inspect the object first.
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
                defer=not self._built_in_place,
                name="context",
            )
        if self.true_timestamp is not None:
            when = protocol.milliseconds(self.true_timestamp)
            if type(payload) is not Payload:
                payload.add("ttm", when)
            elif when is not None:
                payload._pairs["ttm"] = when  # noqa: SLF001 - of a class of ours
        if self._event_subject is not None:
            pairs = self._event_subject.combine_subject(subject)
        elif subject is not None:
            pairs = subject.standard_nv_pairs
        else:
            return payload
        has_page = "url" in pairs or "page" in pairs or "refr" in pairs
        if not has_page and type(payload) is Payload and all(pairs.values()):
            # fast path: `add_dict` without the call, for the usual case.
            payload._pairs.update(pairs)  # noqa: SLF001 - of a class of ours
        else:
            own = payload.nv_pairs
            payload.add_dict(
                {name: pairs[name] for name in pairs if name not in _PAGE or name not in own}
            )
        return payload

    def _state(self) -> Dict[str, object]:
        held = {**vars(self), "_Event__payload": self.payload, "_context": list(self.context)}
        held.pop("_Event__pairs", None)  # those of the payload, unless it was replaced
        held.pop("_is_resolved", None)
        return held

    def __repr__(self) -> str:
        held = {name: getattr(self, name) for name in self._shown_fields}
        others = dict(self.payload.nv_pairs)
        options = {
            "event_id": others.pop("eid", None),
            "created_timestamp": others.pop("dtm", None),
        }
        for name, parameter in parameters_of(type(self)):
            held[name] = getattr(self, name)
            others.pop(parameter.key, None)
        if held:
            others.pop("e", None)
        held.update(
            event_subject=self.event_subject,
            context=self.context or None,
            true_timestamp=self.true_timestamp,
            **options,
            **{"parameters" if held else "dict_": others or None},
        )
        shown = ", ".join(f"{name}={value!r}" for name, value in held.items() if value is not None)
        return f"{type(self).__name__}({shown})"


def own_pairs(event: Any) -> Optional[PayloadDict]:
    """Return the event's own parameters, or None for an object of another type."""
    try:
        payload = event._Event__payload  # noqa: SLF001 - of a class of ours
        # fast path: the property would create a payload.
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
    """Build the payload of an event whose type has its own `build_payload`.

    A `build_payload` that was written for 1.1.0 may add to `self.payload`, call the overridden
    method for what that adds to `self.payload`, and return `self.payload`. So it is called on a
    copy of the event, which it can change without an effect on the event.
    """
    twin = copy(event)
    twin._built_in_place = True  # noqa: SLF001 - of a class of ours
    return twin.build_payload(
        encode_base64=encode_base64, json_encoder=json_encoder, subject=subject
    )


_PAGE = frozenset({"page", "refr", "url"})
"""Parameters of the page: the event's own values take precedence over those of a subject."""


def _check_subject(subject: Any) -> None:
    if contracts_enabled() and (
        isinstance(subject, type) or not hasattr(subject, "combine_subject")
    ):
        raise TypeError(f"event_subject must be a Subject, not {described(subject)}.")


def _check_parameters(parameters: Any) -> None:
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters must be a mapping, not {described(parameters)}.")
    for name in parameters:
        if not isinstance(name, str):
            raise TypeError(f"parameters must have strings as names, not {described(name)}.")


def _check_context(context: Any) -> None:
    if not contracts_enabled():
        return
    wanted = "context must be a list of SelfDescribingJson"
    # A list is checked first, since the check for `Collection` is slow.
    if not isinstance(context, (list, tuple)) and (
        isinstance(context, (str, bytes, Mapping, type)) or not isinstance(context, Collection)
    ):
        raise ValueError(f"{wanted}, not {described(context)}.")
    for index, entity in enumerate(context):
        if isinstance(entity, type):
            raise ValueError(f"{wanted}, and context[{index}] is {described(entity)}.")
        if not hasattr(entity, "to_json"):
            raise ValueError(f"{wanted}, and holds an object of type {type_name(entity)}.")


def _entities(context: List[SelfDescribingJson]) -> List[PayloadDict]:
    try:
        return [entity.to_json() for entity in context]
    except (AttributeError, TypeError):
        # The list may have been changed since the check.
        _check_context(context)
        raise
