"""The tracker: completes events and passes them to its emitters."""

from __future__ import annotations

import logging
import os
import time
from copy import copy
from functools import partial
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Type,
    TypeVar,
    Union,
    cast,
    overload,
)
from warnings import warn

from snowplow_tracker._checks import check_seconds
from snowplow_tracker._compat.keywords import takes_keyword
from snowplow_tracker._compat.tracking import DeprecatedTracking
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._protocol import deferred, text
from snowplow_tracker._protocol.event_ids import new_id
from snowplow_tracker._protocol.json import check_json_encoder
from snowplow_tracker._protocol.parameters import canonical_uuid, sent_value, warn_once
from snowplow_tracker.constants import BASE_SCHEMA_PATH, DEFAULT_ENCODE_BASE64, SCHEMA_TAG, VERSION
from snowplow_tracker.contracts import (
    contracts_enabled,
    form_element,
    non_empty,
    non_empty_string,
    one_of,
)
from snowplow_tracker.events import (
    Event,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    StructuredEvent,
)
from snowplow_tracker.events.event import PURE_BUILDERS, build_detached
from snowplow_tracker.payload import Payload
from snowplow_tracker.scope import ScopeState, innermost, remove_identifiers, surroundings
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import DEFAULT_PLATFORM, Subject
from snowplow_tracker.typing import (
    FORM_NODE_NAMES,
    FORM_TYPES,
    ElementClasses,
    EmitterProtocol,
    FormClasses,
    FormNodeName,
    JsonEncoderFunction,
    PayloadDict,
)

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

logger: logging.Logger = logging.getLogger("snowplow_tracker.tracker")

if TYPE_CHECKING:
    from snowplow_tracker.entities import GlobalContext
    from snowplow_tracker.hooks import AfterTrack, BeforeTrack, Pipeline, TrackerStats
    from snowplow_tracker.redaction import Redact


class Tracker(DeprecatedTracking):
    """Adds an id, the time and its own parameters to events, and passes them to its emitters.

    A tracker is also a context manager, which closes it at the end of the block.

    Attributes:
        emitters: The emitters that get the events.
        subject: The subject of the events. It is read for each event.
        encode_base64: Whether self-describing data is sent as base64.
        json_encoder: Converts objects in self-describing data that JSON cannot represent.
        standard_nv_pairs: Parameters that are added to each event.
        timer: Always `None`.
    """

    # Hooks, global entities and redaction; None until one is added. On the class, since a subclass may not call this
    # constructor.
    _pipeline: Optional[Pipeline] = None

    def __init__(
        self,
        namespace: str,
        emitters: Union[Sequence[EmitterProtocol], EmitterProtocol],
        subject: Optional[Subject] = None,
        app_id: Optional[str] = None,
        encode_base64: bool = DEFAULT_ENCODE_BASE64,
        json_encoder: Optional[JsonEncoderFunction] = None,
        *,
        validate: Optional[str] = None,
        schemas: Any = None,
    ) -> None:
        """Create a tracker.

        Args:
            namespace: The name of the tracker, sent with each event.
            emitters: An emitter, or a list of them, which is copied.
            subject: The subject of events, unless they have their own values. Default: a new `Subject`.
            app_id: The id of the application, sent with each event.
            encode_base64: Send self-describing data as base64.
            json_encoder: Converts objects in self-describing data that JSON cannot represent, as
                `default` of `json.dumps`.
            validate: Whether to validate each event when it is tracked, for development: `"warn"`
                logs what the pipeline would refuse, `"raise"` raises an error from `track()`,
                `"off"` does neither. Default: the environment variable `SNOWPLOW_VALIDATE`, or `"off"`.
            schemas: The schemas to validate with: a folder, an archive, the URL of a registry, a
                list of these, or a `snowplow_tracker.iglu.Resolver`. Default: `SNOWPLOW_SCHEMAS`,
                separated by commas. Without schemas, only the rules of the protocol are checked.

        Raises:
            TypeError: An argument has the wrong type, such as an endpoint instead of an emitter.
            ValueError: The list of emitters is empty, or `validate` has an unknown value.

        Changed in version 1.2.0: `validate` and `schemas`.
        """
        if contracts_enabled():
            _check_names(namespace, app_id)
            _check_emitters(emitters)
            _check_subject(subject)
            check_json_encoder(json_encoder)
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
            "tna": sent_value("tna", namespace),
            "aid": sent_value("aid", app_id),
        }
        self.timer: None = None
        if validate is not None or "SNOWPLOW_VALIDATE" in os.environ:
            from snowplow_tracker.iglu.checks import checker

            check = checker(validate, schemas)
            if check is not None:
                self._own_pipeline().check = check

    @classmethod
    def from_environment(
        cls: Type[_Tracker],
        environment: Optional[Mapping[str, str]] = None,
        *,
        subject: Optional[Subject] = None,
        **options: Any,
    ) -> _Tracker:
        """Return a tracker and its emitter, configured by environment variables.

        `SNOWPLOW_ENDPOINT` is the only one that is required. `help("snowplow_tracker.environment")` describes each.

        Args:
            environment: The variables. `SNOWPLOW_DISABLED`, `SNOWPLOW_VALIDATE` and `SNOWPLOW_SCHEMAS` of `os.environ`
                still apply, as to every tracker. Default: `os.environ`.
            subject: The subject of the events. Default: a subject with the platform `SNOWPLOW_PLATFORM`.
            **options: Options of the emitter, including `endpoint`. They take precedence over the variables.

        Raises:
            ImportError: `SNOWPLOW_STORE` is in Redis, and redis-py is not installed.
            SQLiteStoreError: The file of `SNOWPLOW_STORE` cannot be used as a queue.
            TypeError: An option is unknown.
            ValueError: A variable is missing or invalid; the message names it.

        Example:
            >>> tracker = Tracker.from_environment()

        New in version 1.2.0.
        """
        from snowplow_tracker.environment import tracker_from

        return cast("_Tracker", tracker_from(cls, environment, subject, options))

    if TYPE_CHECKING:

        @staticmethod
        def get_uuid() -> str:
            """Return a new random UUID: the id of an event that brings none."""

    else:
        # fast path: the function itself, without a wrapper.
        get_uuid = staticmethod(new_id)

    @staticmethod
    def get_timestamp(tstamp: Optional[float] = None) -> int:
        """Return `tstamp` as an integer, or the current time in milliseconds since 1970."""
        if tstamp is not None and isinstance(tstamp, (int, float)):
            return int(tstamp)
        return int(time.time() * 1000)

    def track(self, event: Event) -> Optional[str]:
        """Complete an event and pass it to the emitters.

        An exception of an emitter is logged and not raised.

        Args:
            event: The event. It is not changed.

        Returns:
            The id of the event, or `None` if a hook dropped it.

        Raises:
            TypeError: `event` is not an event, or it contains a value that has no JSON or no string form.
            ValueError: The data of the event contains itself, or is nested too deeply; or a typed event or entity lacks a
                value that its schema requires, or has one that its schema does not know.
            InvalidEventError: The event is invalid, and the tracker was created with `validate="raise"`.
        """
        pipeline = self._pipeline
        if pipeline is not None:
            passed = pipeline.before(event, self)
            if passed is None:
                return None
            event = passed
        payload = self.complete_payload(event=event)
        if pipeline is not None and pipeline.check is not None:
            # As an emitter sends them: values are strings.
            pipeline.check({name: str(value) for name, value in payload.nv_pairs.items()})
        if type(payload) is Payload:
            # Not `nv_pairs`: the property would complete deferred values.
            pairs = payload._pairs
            is_deferred = payload._deferred
        else:
            pairs = payload.nv_pairs
            is_deferred = False
        event_id: Optional[str] = pairs.get("eid")
        emitters = self.emitters
        shared = len(emitters) > 1
        for emitter in emitters:
            try:
                own = dict(pairs) if shared else pairs
                if is_deferred and not deferred.takes_deferred_values(emitter.input):
                    deferred.complete(own)
                emitter.input(own)
            except Exception as error:
                if is_interrupt(error):
                    raise
                logger.exception("%s failed to take event %s", type(emitter).__name__, event_id)
        if pipeline is not None:
            pipeline.after(pairs)
        return event_id

    def complete_payload(self, event: Event) -> Payload:
        """Build the payload of an event and add the parameters that every event has.

        Args:
            event: The event. It is not changed.

        Raises:
            TypeError: `event` is not an event, or it contains a value that has no JSON or no string form.
            ValueError: The data of the event contains itself, or is nested too deeply.
        """
        around = None if innermost() is None else surroundings()
        pipeline = self._pipeline
        subject = self.subject
        if pipeline is not None and pipeline.is_resolved(event):
            # The hooks got the event with all that is added here, and may have removed some of it.
            around, subject = None, event.event_subject
        elif around is not None:
            subject = around.over(subject, event)
        if getattr(type(event), "build_payload", None) in PURE_BUILDERS:
            payload = event.build_payload(self.encode_base64, self.json_encoder, subject)
        else:
            payload = self._build_payload_of_others(event, subject)
        pairs = payload._pairs if type(payload) is Payload else payload.nv_pairs
        if around is not None:
            around.fill_in(pairs, event)
        if "eid" not in pairs or not _has_usable_id(pairs):
            pairs["eid"] = self.get_uuid()
        if "dtm" not in pairs:
            pairs["dtm"] = self.get_timestamp()
        standard = self.standard_nv_pairs
        if all(standard.values()):  # fast path: `Payload.add_dict` without the call
            pairs.update(standard)
        else:
            pairs.update(
                (name, value)
                for name, value in standard.items()
                if value is not None and value != ""
            )
        if "p" not in pairs:
            pairs["p"] = DEFAULT_PLATFORM
        if text.has_seen_others:
            text.resolve(pairs)
        if pipeline is not None or (around is not None and around.has_more):
            self._add_surroundings(payload, pairs, event, around)
        return payload

    def flush(
        self,
        is_async: bool = False,
        *,
        timeout: Optional[float] = None,
    ) -> Tracker:
        """Send the queued events of all emitters.

        An exception of an emitter is logged and not raised.

        Args:
            is_async: Start the flush and return, if the emitter supports it. By default, wait.
            timeout: Maximum seconds to wait, for all emitters together. It does not limit an emitter of
                your own whose method has no parameter `timeout`. Default: as long as each emitter takes.

        Raises:
            TypeError: The timeout is not a number, or a number of seconds was passed as `is_async`.
            ValueError: The timeout is negative, or `is_async` is set, too.

        Changed in version 1.2.0: `timeout`.
        """
        if isinstance(is_async, (int, float)) and is_async not in (0, 1):
            raise TypeError(
                f"is_async must be a bool, not {is_async!r}: to limit the time, use flush(timeout={is_async!r})."
            )
        if is_async and timeout is not None:
            raise ValueError(
                "timeout limits a flush that waits: it cannot be used with is_async=True."
            )
        self._call_emitters(("flush",) if is_async else ("sync_flush", "flush"), timeout)
        return self

    def close(self, timeout: Optional[float] = None) -> Tracker:
        """Send the queued events of all emitters and close them. Emitters without `close` are flushed.

        Args:
            timeout: Maximum seconds to wait, for all emitters together. Default: the default of
                each emitter.

        New in version 1.2.0.
        """
        self._call_emitters(("close", "sync_flush", "flush"), timeout)
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

    async def aflush(self, *, timeout: Optional[float] = None) -> Tracker:
        """Send the queued events of all emitters without blocking the event loop: `flush` for asyncio.

        Args:
            timeout: Maximum seconds to wait, for all emitters together. Default: as long as each emitter takes.

        Returns:
            The tracker.

        New in version 1.2.0.
        """
        from snowplow_tracker.integrations._threads import in_thread

        return await in_thread(partial(self.flush, timeout=timeout))

    async def aclose(self, timeout: Optional[float] = None) -> Tracker:
        """Send the queued events and close all emitters without blocking the event loop: `close` for asyncio.

        `async with tracker:` calls it at the end of the block.

        Args:
            timeout: Maximum seconds to wait, for all emitters together. Default: the default of each emitter.

        Returns:
            The tracker.

        New in version 1.2.0.
        """
        from snowplow_tracker.integrations._threads import in_thread

        return await in_thread(partial(self.close, timeout))

    async def __aenter__(self: _Tracker) -> _Tracker:
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.aclose()

    @overload
    def before_track(self, hook: BeforeTrack, *, must_succeed: bool = ...) -> BeforeTrack: ...

    @overload
    def before_track(self, *, must_succeed: bool = ...) -> Callable[[BeforeTrack], BeforeTrack]: ...

    def before_track(
        self, hook: Optional[BeforeTrack] = None, *, must_succeed: bool = False
    ) -> Any:
        """Add a hook that is called with every event before it is tracked, and may change or drop it.

        It can be used as a decorator. Hooks run in the order in which they were added, in the thread that tracks. Each
        gets a copy of the event that includes everything from its scope, the tracker's subject and the global entities.
        It returns this event, another one, or `None` to drop it; then `track()` returns `None`. If a hook raises, the
        exception is logged, and the event continues as it was before that hook. An object that is no `Event`, but has
        its methods, is tracked without hooks.

        Args:
            hook: Called with the event.
            must_succeed: Drop the event if the hook raises, or cannot be called since the event is no `Event`: for a
                hook without which no event may be sent.

        Returns:
            The hook.

        Raises:
            TypeError: The hook is not a function.

        Example:
            >>> @tracker.before_track
            ... def without_health_checks(event):
            ...     return None if event.payload.get().get("url", "").endswith("/health") else event

        New in version 1.2.0.
        """
        if hook is None:
            return partial(self.before_track, must_succeed=must_succeed)
        _check_callable(hook, "hook")
        self._own_pipeline().add_before(hook, must_succeed=must_succeed)
        return hook

    def after_track(self, hook: AfterTrack) -> AfterTrack:
        """Add a hook that is called after an event was passed to the emitters. It can be used as a decorator.

        Hooks run in the order in which they were added, in the thread that tracks. Their exceptions are logged.

        Args:
            hook: Called with a copy of the parameters of the event, including `eid`.

        Returns:
            The hook.

        Raises:
            TypeError: The hook is not a function.

        New in version 1.2.0.
        """
        _check_callable(hook, "hook")
        self._own_pipeline().add_after(hook)
        return hook

    def redact(self, target: str, action: Redact, *, schema: Optional[str] = None) -> Tracker:
        """Add a rule that removes, hashes or cuts a value in every event from now on, wherever the value comes from.

        If the action raises, the exception is logged, and the value is not sent.

        Args:
            target: The name of a parameter of the protocol (`"ip"`), or a JSON path in the data of self-describing
                events and entities (`"$.customer.email"`, `"$.items[*].note"`, `"$..email"` at any depth).
            action: Called with the value; returns the value to send, or `None` to send none. The module
                `snowplow_tracker.redaction` has ready ones: `remove`, `hashed`, `cut`, `cut_ip`, `cut_query`.
            schema: The schemas that a path applies to, such as `"iglu:com.acme.*/*/jsonschema/*-*-*"`. Default: all.

        Raises:
            TypeError: The action is not a function, or is `hashed` or `cut` without a call.
            ValueError: The target or the schema is invalid, or the target is a parameter without which the pipeline
                refuses events, such as `"eid"`, or one with all data of an event, such as `"ue_px"` or `"cx"`.

        New in version 1.2.0.
        """
        self._own_pipeline().redaction.add(target, action, schema)
        return self

    def add_global_contexts(
        self, contexts: Union[Mapping[str, GlobalContext], Sequence[GlobalContext]]
    ) -> Tracker:
        """Add entities to every event from now on, always or under a condition.

        A global context is one of these: an entity, which is copied; a function that is called with each event and
        returns an entity, several or `None`; or a pair of a condition and one or several of these. A condition is a
        function that is called with the event and returns whether it gets the entities, or a rule set,
        `{"accept": [...], "reject": [...]}`, of schemas with wildcards, such as
        `"iglu:com.acme.*/*/jsonschema/*-*-*"`. Events without a schema, such as page views, match only a rule set
        without `accept`. If a function raises, the exception is logged, and the event is sent without its entities.

        Args:
            contexts: A dictionary of global contexts by name, which replace those of the same name, or a list.

        Raises:
            TypeError: A global context has none of these forms.
            ValueError: A schema rule is invalid.

        Example:
            >>> tracker.add_global_contexts({"application": application_entity("2.4.1")})

        New in version 1.2.0.
        """
        self._own_pipeline().global_contexts.add(contexts)
        return self

    def remove_global_contexts(self, *names: str) -> Tracker:
        """Remove global contexts by their names. Unknown names are ignored.

        Args:
            *names: Names that were given to `add_global_contexts`.

        Raises:
            TypeError: A name is not a string.

        New in version 1.2.0.
        """
        for name in names:
            if not isinstance(name, str):
                raise TypeError(
                    f"names must be strings, one argument each, not {type(name).__name__}."
                )
        self._own_pipeline().global_contexts.remove(names)
        return self

    def clear_global_contexts(self) -> Tracker:
        """Remove all global contexts.

        New in version 1.2.0.
        """
        self._own_pipeline().global_contexts.clear()
        return self

    def _own_pipeline(self) -> Pipeline:
        if self._pipeline is None:
            from snowplow_tracker.hooks import Pipeline

            self._pipeline = Pipeline()
        return self._pipeline

    def set_subject(self, subject: Optional[Subject]) -> Tracker:
        """Set the subject of the events from now on.

        Args:
            subject: A subject, or `None` for none.

        Raises:
            TypeError: `subject` is not a subject.
        """
        _check_subject(subject)
        self.subject = subject
        return self

    def add_emitter(self, emitter: EmitterProtocol) -> Tracker:
        """Add an emitter for the events from now on.

        Raises:
            TypeError: `emitter` is not an emitter: it has no method `input`.
        """
        _check_emitter(emitter, "emitter")
        self.emitters.append(emitter)
        return self

    def stats(self) -> TrackerStats:
        """Return a snapshot of the delivery counters of the emitters, and the number of events that hooks dropped.

        New in version 1.2.0.
        """
        from snowplow_tracker.hooks import TrackerStats

        pipeline = self._pipeline
        return TrackerStats(
            emitters=tuple(
                emitter.stats() if hasattr(emitter, "stats") else None for emitter in self.emitters
            ),
            dropped_by_hooks=0 if pipeline is None else pipeline.dropped,
        )

    def __repr__(self) -> str:
        known = vars(self)
        standard = known.get("standard_nv_pairs") or {}
        emitters = ", ".join(type(emitter).__name__ for emitter in known.get("emitters") or ())
        return (
            f"<{type(self).__name__} {standard.get('tna')!r}: app_id={standard.get('aid')!r}, "
            f"emitters=[{emitters}], subject={known.get('subject')!r}>"
        )

    def get_namespace(self) -> str:
        """Return the name of the tracker."""
        namespace: str = self.standard_nv_pairs["tna"]
        return namespace

    def _build_payload_of_others(self, event: Any, subject: Optional[Subject]) -> Payload:
        """Build the payload of an event whose class is not ours or overrides `build_payload`."""
        if isinstance(event, type) or not hasattr(event, "build_payload"):
            given = text.described(event) if isinstance(event, type) else type(event).__name__
            raise TypeError(f"event must be an Event, not {given}.")
        if isinstance(event, Event):
            return build_detached(event, self.encode_base64, self.json_encoder, subject)
        payload: Payload = event.build_payload(
            encode_base64=self.encode_base64, json_encoder=self.json_encoder, subject=subject
        )
        return copy(payload) if payload is getattr(event, "payload", None) else payload

    def _add_surroundings(
        self,
        payload: Payload,
        pairs: PayloadDict,
        event: Event,
        around: Optional[ScopeState],
    ) -> None:
        """Add the entities of the scope and of the tracker to a complete payload, and redact it."""
        pipeline = self._pipeline
        items = "" if around is None else around.entities_text(self.json_encoder)
        if pipeline is not None:
            items = pipeline.with_global_entities(items, event, self.json_encoder)
        if items:
            defer = type(payload) is Payload
            deferred.CONTEXTS.extend(pairs, items, encode_base64=self.encode_base64, defer=defer)
            payload._deferred = defer or payload._deferred
        # Not `around`, which is None for an event from the hooks.
        scopes = surroundings()
        if scopes is not None and scopes.anonymous:
            remove_identifiers(pairs)
        if pipeline is not None:
            pipeline.redaction.apply(pairs)

    def _call_emitters(self, names: Sequence[str], timeout: Optional[float]) -> None:
        """Call the first of these methods that each emitter has."""
        if timeout is not None:
            check_seconds("timeout", timeout, zero=True, forever=True)
        deadline = None if timeout is None else monotonic() + timeout
        emitters = list(self.emitters)
        for number, emitter in enumerate(emitters):
            method = next(
                (getattr(emitter, name) for name in names if hasattr(emitter, name)), None
            )
            if method is None:
                continue
            try:
                if deadline is not None and takes_keyword(method, "timeout"):
                    # An equal share of the rest: a collector that is down must not use up the time of the others.
                    rest = max(0.0, deadline - monotonic())
                    method(timeout=rest / (len(emitters) - number))
                else:
                    method()
            except Exception as error:
                if is_interrupt(error):
                    raise
                logger.exception("%s failed to %s", type(emitter).__name__, names[0])


_Tracker = TypeVar("_Tracker", bound=Tracker)


def __getattr__(name: str) -> Any:
    # Tests patch `uuid.uuid4` here. Only once one has asked for the module, ids are made with it: ours take half the time.
    if name == "uuid":
        import uuid

        if getattr(vars(Tracker)["get_uuid"], "__func__", None) is new_id:
            Tracker.get_uuid = staticmethod(lambda: str(uuid.uuid4()))  # type: ignore[method-assign]
        return uuid
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _check_callable(function: object, name: str) -> None:
    if not callable(function):
        raise TypeError(f"{name} must be a function, not {type(function).__name__}.")


def _has_usable_id(pairs: PayloadDict) -> bool:
    """Return whether the pipeline accepts the id of an event, and convert the id to canonical form."""
    canonical = canonical_uuid(pairs["eid"])
    if canonical is None:
        warn_once(
            ("eid", "replaced"),
            "An event has the id %.50r, which is no UUID: the pipeline would refuse it, so it gets a new one",
            pairs["eid"],
        )
        return False
    pairs["eid"] = canonical
    return True


def _check_names(namespace: Any, app_id: Any) -> None:
    for name, value in (("namespace", namespace), ("app_id", app_id)):
        if not (value is None or isinstance(value, (int, float)) or text.has_string_form(value)):
            raise TypeError(f"{name} must be a string, not {text.described(value)}.")


def _check_emitters(emitters: Any) -> None:
    if isinstance(emitters, (list, tuple)):
        for index, emitter in enumerate(emitters):
            _check_emitter(emitter, f"emitters[{index}]")
    else:
        _check_emitter(emitters, "emitters")


def _check_emitter(emitter: Any, name: str) -> None:
    if not contracts_enabled() or (not isinstance(emitter, type) and hasattr(emitter, "input")):
        return
    hint = " For an endpoint: Emitter(endpoint)." if isinstance(emitter, str) else ""
    one = "an emitter" if name != "emitters" else "an emitter or a list of them"
    raise TypeError(f"{name} must be {one}, not {text.described(emitter)}.{hint}")


def _check_subject(subject: Any) -> None:
    if subject is None or not contracts_enabled():
        return
    if isinstance(subject, type) or not hasattr(subject, "standard_nv_pairs"):
        raise TypeError(f"subject must be a Subject, not {text.described(subject)}.")
