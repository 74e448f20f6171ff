"""The tracker's optional validation of events when they are tracked, for development."""

from __future__ import annotations

import logging
import os
import queue
import threading
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Union

from snowplow_tracker._delivery import unreported
from snowplow_tracker._messages import ADD_PUBLIC, choice_text, naming
from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker.iglu.resolver import Resolver, sources_from_environment
from snowplow_tracker.iglu.validation import Problem, load_extra, validate_event

__all__ = ["MODES", "InvalidEventError", "Schemas", "checker"]

logger: logging.Logger = logging.getLogger("snowplow_tracker.validation")

Schemas = Union[str, "os.PathLike[str]", Resolver, Iterable[Union[str, "os.PathLike[str]"]], None]

MODES = ("off", "warn", "raise")
_MAX_WAITING = 1_000
"""Maximum number of events that wait for schemas from the network; more are not checked."""


class InvalidEventError(ValueError):
    """The pipeline would refuse an event that is tracked, or a schema of the event was not found.

    Attributes:
        problems: The problems of the event.
    """

    def __init__(self, message: str, problems: List[Problem]) -> None:
        super().__init__(message)
        self.problems = problems


def checker(
    validate: Optional[str] = None, schemas: Schemas = None
) -> Optional[Callable[[Mapping[str, Any]], None]]:
    """Return a function that validates the events of a tracker, or `None` if validation is off.

    Args:
        validate: `"warn"` to log problems, `"raise"` to raise them, `"off"` for neither. Default: the
            environment variable SNOWPLOW_VALIDATE, or off.
        schemas: The schemas to validate with: a folder, an archive, the URL of a registry, several of
            them, or a `Resolver`. Default: those of the environment variable SNOWPLOW_SCHEMAS, separated
            by commas. Without schemas, only the rules of the tracker protocol are checked.

    Returns:
        A function of the complete parameters of an event. With `"raise"` it raises `InvalidEventError`,
        and may send requests to a registry in the calling thread. With `"warn"` it does neither: a thread
        looks up unknown schemas, and validates the event. Warnings go to the logger
        `snowplow_tracker.validation`, and to stderr in a program without logging.

    Raises:
        ValueError: `validate` has an unknown value, or a folder does not exist.
        SchemaExtraMissingError: Schemas are given, and `jsonschema` is not installed.
    """
    mode = validate
    if mode is None:
        mode = os.environ.get("SNOWPLOW_VALIDATE", "").strip().lower()
    if mode in {"", "off", "0"}:
        return None
    if mode not in MODES:
        source = "SNOWPLOW_VALIDATE" if validate is None else "validate"
        raise ValueError(f"{source} {choice_text(MODES, mode)}")
    resolver = _resolver(schemas)
    if resolver is not None:
        load_extra()  # raises here instead of at the first event
    if mode == "raise":
        return _Raiser(resolver)
    return _Warner(resolver)


def _resolver(schemas: Schemas) -> Optional[Resolver]:
    if isinstance(schemas, Resolver):
        return schemas
    if schemas is None:
        listed = sources_from_environment()
        with naming("SNOWPLOW_SCHEMAS"):
            return Resolver(*listed) if listed else None
    if isinstance(schemas, (str, os.PathLike)):
        schemas = [schemas]
    sources = list(schemas)
    return Resolver(*sources) if sources else None


class _Checks:
    """Finds the problems of events; without a resolver, only those with the rules of the protocol."""

    def __init__(self, resolver: Optional[Resolver]) -> None:
        self.resolver = resolver
        if resolver is None:
            unreported.warn_unless_seen(
                "Events are validated without schemas: only the rules of the tracker protocol are checked. Name the schemas "
                "with SNOWPLOW_SCHEMAS or Tracker(schemas=...).",
                to=logger,
            )

    def problems(self, parameters: Mapping[str, Any]) -> List[Problem]:
        """Return the problems of an event. A public schema that is not found is none.

        The events of this package have such schemas. The pipeline has them, while the folder of a team seldom does.
        """
        found = validate_event(_as_sent(parameters), self.resolver)
        return [problem for problem in found if not self._is_unchecked(problem)]

    def _is_unchecked(self, problem: Problem) -> bool:
        resolver, schema = self.resolver, problem.schema
        if not problem.is_missing or resolver is None or resolver.has_vendor(schema):
            return False
        unreported.warn_unless_seen(
            "%s is not checked: it was not found in %s. %s, to SNOWPLOW_SCHEMAS or Tracker(schemas=...).",
            schema,
            ", ".join(registry.name for registry in resolver.registries),
            ADD_PUBLIC.capitalize(),
            to=logger,
        )
        return True


def _described(parameters: Mapping[str, Any], problems: List[Problem]) -> str:
    kind = parameters.get("e")
    schema = next((each.schema for each in problems if each.where == "event" and each.schema), None)
    name = schema or {"pv": "page view", "pp": "page ping", "se": "structured event"}.get(
        str(kind), "event"
    )
    listed = "".join(f"\n  {problem}" for problem in problems)
    if all(problem.is_missing for problem in problems):
        # Whether the pipeline has the schema is not known here.
        verdict = "cannot be checked, and the pipeline refuses events whose schema it does not find"
    else:
        verdict = "would be refused by the pipeline"
    return f"{name} {parameters.get('eid')} {verdict}:{listed}"


def _as_sent(parameters: Mapping[str, Any]) -> Dict[str, str]:
    # Values that are not strings become strings before they are sent.
    return {name: each if isinstance(each, str) else str(each) for name, each in parameters.items()}


class _Raiser(_Checks):
    def __call__(self, parameters: Mapping[str, Any]) -> None:
        problems = self.problems(parameters)
        if problems:
            raise InvalidEventError(_described(parameters, problems), problems)


class _Warner(_Checks):
    def __init__(self, resolver: Optional[Resolver]) -> None:
        super().__init__(resolver)
        self._waiting: queue.Queue[Dict[str, Any]] = queue.Queue(_MAX_WAITING)
        self._thread: Optional[threading.Thread] = None
        self._process = os.getpid()

    def __call__(self, parameters: Mapping[str, Any]) -> None:
        if self.resolver is None or not self.resolver.remote:
            self._check(parameters)
            return
        if self._thread is None or self._process != os.getpid():
            # A forked child does not have the thread, and its queue may be locked.
            self._process = os.getpid()
            self._waiting = queue.Queue(_MAX_WAITING)
            self._thread = threading.Thread(
                target=self._run, name="snowplow-validation", args=(self._waiting,), daemon=True
            )
            self._thread.start()
        try:
            self._waiting.put_nowait(dict(parameters))
        except queue.Full:
            logger.debug("An event is not checked: %d wait for their schemas", _MAX_WAITING)

    def _run(self, waiting: queue.Queue[Dict[str, Any]]) -> None:
        while True:
            self._check(waiting.get())

    def _check(self, parameters: Mapping[str, Any]) -> None:
        try:
            problems = self.problems(parameters)
        except Exception as error:
            # A check that only warns must not end the caller or the thread.
            if is_interrupt(error):
                raise
            logger.exception("An event could not be checked")
            return
        if problems:
            unreported.warn("%s", _described(parameters, problems), to=logger)
