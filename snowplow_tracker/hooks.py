"""Hooks, global entities and redaction of a tracker.

See `Tracker.before_track`, `Tracker.after_track`, `Tracker.add_global_contexts` and `Tracker.redact`.
"""

from __future__ import annotations

import logging
import threading
from copy import copy
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from snowplow_tracker._delivery.stats import DeliveryStats
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._protocol import deferred
from snowplow_tracker._protocol.contexts import copy_of_data
from snowplow_tracker.entities import GlobalContexts
from snowplow_tracker.events import Event, SelfDescribing
from snowplow_tracker.redaction import Redaction
from snowplow_tracker.scope import remove_identifiers, surroundings
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.typing import JsonEncoderFunction, PayloadDict

if TYPE_CHECKING:
    from snowplow_tracker.tracker import Tracker

__all__ = ["AfterTrack", "BeforeTrack", "TrackerStats"]

BeforeTrack = Callable[[Event], Optional[Event]]
"""Called with an event before it is tracked. Returns this event, possibly changed, another one, or None to drop it."""

AfterTrack = Callable[[Dict[str, Any]], object]
"""Called with the parameters of an event after it was passed to the emitters."""

logger: logging.Logger = logging.getLogger("snowplow_tracker.tracker")


class TrackerStats(NamedTuple):
    """Delivery counters of one tracker."""

    emitters: Tuple[Optional[DeliveryStats], ...]
    """The counters of each emitter, in their order; None for an emitter without a method `stats`."""
    dropped_by_hooks: int
    """Events that a hook dropped. They are not passed to emitters, and do not count there."""


class Pipeline:
    """The hooks, the global entities and the redaction of one tracker.

    A collection that changes is replaced as a whole, so that an event that is being tracked sees either the old or the
    new one.

    Attributes:
        global_contexts: The global entities.
        redaction: The rules for what is removed from payloads.
        check: Validates the parameters of each event before they are passed to the emitters.
        dropped: The number of events that hooks dropped.
    """

    def __init__(self) -> None:
        self.global_contexts: GlobalContexts = GlobalContexts()
        self.redaction: Redaction = Redaction()
        self.check: Optional[Callable[[Mapping[str, Any]], None]] = None
        self.dropped: int = 0
        self._before: Tuple[Tuple[BeforeTrack, bool], ...] = ()
        self._after: Tuple[AfterTrack, ...] = ()
        self._lock = threading.Lock()

    def add_before(self, hook: BeforeTrack, *, must_succeed: bool) -> None:
        """Add a hook that runs before an event is tracked, after the existing ones."""
        self._before += ((hook, must_succeed),)

    def add_after(self, hook: AfterTrack) -> None:
        """Add a hook that runs after an event was tracked, after the existing ones."""
        self._after += (hook,)

    def before(self, event: Event, tracker: Tracker) -> Optional[Event]:
        """Run the hooks on copies of an event. Return the event to track, or None if a hook dropped it."""
        hooks = self._before
        if not hooks:
            return event
        if not isinstance(event, Event):
            # Hooks take events of our classes. What is none at all is refused when its payload is built.
            is_none = isinstance(event, type) or not hasattr(event, "build_payload")
            if is_none or not any(must_succeed for _, must_succeed in hooks):
                return event
            logger.error(
                "An event of type %s is dropped: it is no Event, so a hook that must succeed cannot see it.",
                type(event).__name__,
            )
            self._count_drop()
            return None
        current: Event = self._resolved(event, tracker)
        for hook, must_succeed in hooks:
            try:
                # A copy, so that a hook that raises cannot leave the event half changed.
                changed = hook(_detached(current))
                if changed is not None and not hasattr(changed, "build_payload"):
                    raise TypeError(  # noqa: TRY301 - handled like an exception of the hook
                        f"a hook must return an Event or None, not {type(changed).__name__}"
                    )
            except Exception as error:
                if is_interrupt(error):
                    raise
                logger.exception(
                    "The hook %r raised; the event is %s.",
                    hook,
                    "dropped, since the hook must succeed"
                    if must_succeed
                    else "tracked without it",
                )
                if must_succeed:
                    self._count_drop()
                    return None
                continue
            if changed is None:
                self._count_drop()
                return None
            current = changed
        return current

    def after(self, pairs: PayloadDict) -> None:
        """Run the hooks after an event was tracked. Each gets a copy of the parameters that the emitters got."""
        hooks = self._after
        if not hooks:
            return
        complete = dict(pairs)
        deferred.complete(complete)
        for hook in hooks:
            try:
                hook(dict(complete))
            except Exception as error:
                if is_interrupt(error):
                    raise
                logger.exception("The hook %r raised.", hook)

    def is_resolved(self, event: object) -> bool:
        """Return whether an event comes from the hooks, and so includes all that its scope and tracker add."""
        return bool(self._before) and getattr(event, "_is_resolved", False) is True

    def with_global_entities(
        self, items: str, event: Any, json_encoder: Optional[JsonEncoderFunction]
    ) -> str:
        """Return entities, as JSON separated by commas, with the global ones of the event at the end."""
        if self.is_resolved(event):
            return items
        more = self.global_contexts.entities_for(event, json_encoder)
        texts = [entity.text(json_encoder) for entity in more]
        return ", ".join([items, *texts] if items else texts)

    def _count_drop(self) -> None:
        with self._lock:
            self.dropped += 1

    def _resolved(self, event: Event, tracker: Tracker) -> Event:
        """Return a copy of an event, for the hooks, with all that its scope and its tracker add."""
        twin = _detached(event)
        pairs = twin.payload.nv_pairs
        around = surroundings()
        subject = tracker.subject
        entities: List[Any] = []
        if around is not None:
            subject = around.over(subject, event)
            around.fill_in(pairs, event)
            entities += around.entities
        entities += self.global_contexts.entities_for(event, tracker.json_encoder)
        resolved = Subject()
        if event.event_subject is not None:
            values = event.event_subject.combine_subject(subject)
        else:
            values = {} if subject is None else subject.standard_nv_pairs
        resolved.standard_nv_pairs = dict(values)
        resolved._platform_chosen = True  # noqa: SLF001 - of a class of ours
        if around is not None and around.anonymous:
            remove_identifiers(pairs)
            remove_identifiers(resolved.standard_nv_pairs)
        twin.event_subject = resolved
        if entities:
            twin.context = [*twin.context, *map(_copy_of_entity, entities)]
        twin._is_resolved = True  # noqa: SLF001 - of a class of ours
        return twin


def _detached(event: Event) -> Event:
    """Return a copy of an event that shares no mutable data with it."""
    twin = copy(event)
    for name, value in vars(twin).items():
        if name != "_context" and not isinstance(value, tuple):
            vars(twin)[name] = copy_of_data(value)
    if event.context:
        twin.context = [_copy_of_entity(entity) for entity in event.context]
    if isinstance(event, SelfDescribing) and type(event).event_json is SelfDescribing.event_json:
        twin.event_json = _copy_of_entity(event.event_json)  # type: ignore[attr-defined]
    return twin


def _copy_of_entity(entity: Any) -> SelfDescribingJson:
    json = entity.to_json()
    return SelfDescribingJson(json["schema"], copy_of_data(json["data"]))
