"""Track an event from the command line, or many from a file, and report whether they were delivered."""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from typing import Any, Callable, Dict, Iterator, List

from snowplow_tracker._cli import json_input
from snowplow_tracker._cli.common import (
    SWITCHED_OFF,
    add_endpoint_arguments,
    add_number_argument,
    add_schema_arguments,
    check_endpoint,
    event_id,
    number,
    point_in_time,
    resolver_from,
    say,
    seconds,
    show,
)
from snowplow_tracker._cli.json_input import Entry, value_of
from snowplow_tracker._cli.progress import Progress, Reporter
from snowplow_tracker._delivery.options import is_disabled_by_environment
from snowplow_tracker._http.endpoint import default_protocol
from snowplow_tracker.emitters import AsyncEmitter
from snowplow_tracker.events.event import Event
from snowplow_tracker.events.page_view import PageView
from snowplow_tracker.events.self_describing import SelfDescribing
from snowplow_tracker.events.structured_event import StructuredEvent
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker

DELIVERED, BAD_INPUT, USAGE, NOT_IN_TIME, DROPPED = 0, 1, 2, 3, 4

_say = partial(say, "track")

EPILOG = f"""\
Example:
  snowplow-tracker track --endpoint https://collector.acme.example page-view https://shop.example/ --title Shop
  snowplow-tracker track --endpoint localhost:9090 structured --category shop --action add --value 2
  snowplow-tracker track --endpoint localhost:9090 self-describing \\
      --schema iglu:com.acme/order/jsonschema/1-0-0 '{{"total": 59.8}}' \\
      --entity '{{"schema": "iglu:com.acme/product/jsonschema/1-0-0", "data": {{"sku": "lamp-3"}}}}'
  snowplow-tracker track --endpoint localhost:9090 self-describing --lines orders.jsonl

Instead of JSON, @FILE reads a file, and - reads the standard input.
With --lines each line is an event: {{"schema": "iglu:…", "data": {{…}}}}, optionally with "context" (a list of entities),
"event_id" (a UUID: the pipeline keeps one of the events with the same id), "true_timestamp" and "created_timestamp".
With --schema each line is only the data.
A time is in milliseconds since 1970, or ISO 8601 as in 2025-03-01T12:30:00+01:00; without a zone it is local time.
With --schemas (or SNOWPLOW_SCHEMAS) each event is validated before it is sent. This needs an extra:
pip install "snowplow-tracker[schemas]".

Exit status:
  {DELIVERED}    every event was delivered, or SNOWPLOW_DISABLED=1 switches tracking off: then nothing is sent, and
       standard error says so
  {BAD_INPUT}    some events are invalid, or a file could be read in part only; all others were delivered
  {USAGE}    the arguments are invalid, a file cannot be read, or the extra is missing; nothing was sent
  {NOT_IN_TIME}    some events could not be delivered in time (--timeout): they are lost
  {DROPPED}    the collector refused some events for good: they are lost
  130  it was interrupted
It is about the events: it does not change if the output cannot be written, or whoever reads it ends first.

Environment:
  SNOWPLOW_ENDPOINT stands for --endpoint.
  SNOWPLOW_DISABLED=1 switches tracking off. Events are read and checked, and none is sent; --endpoint is not needed.
"""
_PROGRESS_EVERY = 10.0
_SHOW_PROGRESS_FROM = 1_000
"""Minimum number of events for a progress line: fewer are sent too quickly to read it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    endpoint = os.environ.get("SNOWPLOW_ENDPOINT")
    if endpoint is None and is_disabled_by_environment():
        endpoint = "localhost"  # nothing is sent there, and a script without an endpoint goes on
    add_endpoint_arguments(parser, endpoint)
    parser.add_argument(
        "--namespace", default="cli", help="the name of the tracker (default: %(default)s)"
    )
    parser.add_argument("--app-id", metavar="ID", help="the application")
    add_number_argument(
        parser, "--timeout", seconds, 10.0, "how long the last events may take to be delivered"
    )
    add_schema_arguments(parser)
    kinds = parser.add_subparsers(dest="kind", metavar="kind", required=True)

    page_view = _kind(kinds, "page-view", "the view of a page")
    page_view.add_argument("url", metavar="URL", help="the URL of the page")
    page_view.add_argument("--title", help="its title")
    page_view.add_argument("--referrer", metavar="URL", help="the URL that linked to the page")

    structured = _kind(kinds, "structured", "something that has no schema")
    structured.add_argument("--category", required=True, help="the area, such as shop")
    structured.add_argument("--action", required=True, help="what happens, such as add-to-basket")
    structured.add_argument("--label", help="what it happens to, such as the id of a product")
    structured.add_argument("--property", help="more about that, such as its color")
    structured.add_argument("--value", type=number, help="a number, such as how many")

    custom = _kind(kinds, "self-describing", "an event with a schema")
    custom.add_argument(
        "data",
        metavar="JSON",
        nargs="?",
        help="the data; without --schema, the self-describing JSON",
    )
    custom.add_argument("--schema", metavar="IGLU", help="the schema of the data")
    custom.add_argument(
        "--lines", metavar="FILE", help="an event in each line of a file; - for the standard input"
    )


def _kind(kinds: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = kinds.add_parser(
        name, help=text, description=f"Track {text}."
    )
    parser.add_argument(
        "--entity",
        metavar="JSON",
        action="append",
        default=[],
        help="an entity as self-describing JSON, or a list of them; may be given several times",
    )
    parser.add_argument(
        "--event-id",
        metavar="UUID",
        type=event_id,
        help="the id of the event (default: a new one)",
    )
    parser.add_argument(
        "--true-timestamp",
        metavar="TIME",
        type=point_in_time,
        help="when it happened: milliseconds since 1970, or ISO 8601, which is local time without a zone",
    )
    parser.add_argument(
        "--created-timestamp",
        metavar="TIME",
        type=point_in_time,
        help="when it was recorded (default: now)",
    )
    subject = parser.add_argument_group("subject")
    for option, meaning in _SUBJECT.items():
        subject.add_argument(f"--{option}", help=meaning)
    return parser


_SUBJECT = {
    "user-id": "the user, as the application knows them",
    "platform": "web, mob, pc, srv, app, tv, cnsl, iot or headset (default: pc)",
    "lang": "the language, such as en-GB",
    "timezone": "the time zone, such as Europe/Berlin",
    "ip-address": "the address of the user",
    "useragent": "the user agent",
    "domain-user-id": "the user id of the tracker in the browser",
    "network-user-id": "the user id of the collector's cookie",
}


def run(args: argparse.Namespace) -> int:
    """Track the events; return the exit status."""
    from snowplow_tracker.iglu.validation import SchemaExtraMissingError

    if is_disabled_by_environment():
        # No error: whoever switches tracking off does not want scripts to end.
        _say(f"{SWITCHED_OFF}: events are checked, and nothing is sent", DELIVERED)
    try:
        with Reporter(sys.stderr, _PROGRESS_EVERY) as reporter:
            return _Run(args, reporter).finish()
    except (ValueError, TypeError, OSError, SchemaExtraMissingError) as error:
        return _say(str(error), USAGE)


class _Run:
    def __init__(self, args: argparse.Namespace, reporter: Reporter) -> None:
        self._args = args
        self._reporter = reporter
        self._wrong = 0
        # These come first, so that their errors are reported before anything is sent.
        self._check = _checker(args)
        subject = _subject(args)
        self._entities = [entity for each in args.entity for entity in _entities(each)]
        self._entries = _entries(args)
        check_endpoint(args.endpoint)
        self._emitter = AsyncEmitter(
            args.endpoint,
            protocol=default_protocol(args.endpoint),
            method=args.method,
            batch_size=100,
            overflow="wait",
            overflow_timeout=args.timeout,
            exit_timeout=0.0,
        )
        self._tracker = Tracker(args.namespace, self._emitter, subject, args.app_id)

    def finish(self) -> int:
        """Track all events, wait for them, and return the exit status."""
        tracked = 0
        for entry in self._entries:
            try:
                event = self._event(entry)
                self._check(event)
            except (ValueError, TypeError) as error:
                self._wrong += 1
                _say(f"{entry.place}: {error}" if entry.place else str(error), BAD_INPUT)
                continue
            self._tracker.track(event)
            tracked += 1
            if tracked >= _SHOW_PROGRESS_FROM:
                self._show()
        self._wait()
        stats = self._emitter.stats()
        dropped = sum(stats.dropped.values())
        self._emitter.close(timeout=0.0)
        if tracked >= _SHOW_PROGRESS_FROM:
            self._show(final=True)
        # However it ended: who reads of bad lines wants to know what became of the others.
        wrong = f", {self._wrong:,} not sent since the input is wrong" if self._wrong else ""
        show(
            f"{stats.sent:,} {'event' if stats.sent == 1 else 'events'} delivered{wrong}",
            sys.stdout,
        )
        left = stats.queued + stats.in_flight
        if stats.dropped:
            reasons = ", ".join(
                f"{number:,} {reason.value}" for reason, number in stats.dropped.items()
            )
            _say(f"dropped: {dropped:,} of {tracked:,} ({reasons})", DROPPED)
            if set(stats.dropped) - {"overflow"}:
                return DROPPED
        if left or dropped:
            return _say(f"not delivered in time: {left + dropped:,} of {tracked:,}", NOT_IN_TIME)
        return BAD_INPUT if self._wrong else DELIVERED

    def _wait(self) -> None:
        """Wait until all events are delivered, or until no event was delivered within the timeout."""
        deadline = time.monotonic() + self._args.timeout
        sent = 0
        while True:
            self._emitter.sync_flush(timeout=min(1.0, max(0.0, deadline - time.monotonic())))
            stats = self._emitter.stats()
            if not stats.queued and not stats.in_flight:
                return
            if stats.sent > sent:
                sent, deadline = stats.sent, time.monotonic() + self._args.timeout
            if stats.sent >= _SHOW_PROGRESS_FROM:
                self._show()
            rest = deadline - time.monotonic()
            if rest <= 0:
                return
            # A flush may return immediately while the collector fails.
            time.sleep(min(0.1, rest))

    def _show(self, *, final: bool = False) -> None:
        stats = self._emitter.stats()
        self._reporter.show(Progress.of(stats, stats.queued + stats.in_flight), final=final)

    def _event(self, entry: Entry) -> Event:
        if entry.error:
            raise ValueError(entry.error)
        args = self._args
        if args.kind == "self-describing":
            return self._self_describing_event(entry.value)
        options = {name: getattr(args, name) for name in _OF_EVENT}
        options["context"] = self._entities
        if args.kind == "page-view":
            return PageView(args.url, page_title=args.title, referrer=args.referrer, **options)
        return StructuredEvent(
            args.category,
            args.action,
            label=args.label,
            property_=args.property,
            value=args.value,
            **options,
        )

    def _self_describing_event(self, value: Any) -> Event:
        args = self._args
        context = list(self._entities)
        options = {name: getattr(args, name) for name in _OF_EVENT}
        if args.schema is not None:
            event = _self_describing({"schema": args.schema, "data": value}, "the event")
        else:
            if isinstance(value, dict):
                value = dict(value)
                entities = value.pop("context", [])
                if not isinstance(entities, list):
                    raise ValueError("the context must be a list of entities")
                context += [_self_describing(entity, "an entity") for entity in entities]
                options.update(_options(value))
            event = _self_describing(value, "the event", _KEYS_OF_EVENT)
        return SelfDescribing(event, context=context, **options)


def _entries(args: argparse.Namespace) -> Iterator[Entry]:
    """Return what events are made of; there is nothing in those of a kind that the options describe."""
    if args.kind != "self-describing":
        return iter([Entry("", None)])
    if (args.data is None) == (args.lines is None):
        raise ValueError("self-describing takes either JSON or --lines")
    if args.lines is None:
        return iter([Entry("", value_of(args.data))])
    if args.event_id is not None:
        raise ValueError("--event-id is for one event: with --lines, give each line an event_id")
    return _lines(args.lines)


def _lines(file: str) -> Iterator[Entry]:
    place = ""
    try:
        for entry in json_input.entries_of(file):
            place = entry.place
            yield entry
    except OSError as error:
        if not place:
            raise
        yield Entry(place, None, f"what follows cannot be read: {error.strerror}")


_OF_EVENT = ("event_id", "true_timestamp", "created_timestamp")
"""Keys in a line, and the options of the same name."""
_KEYS_OF_EVENT = f", and may have context, {', '.join(_OF_EVENT)}"


def _options(value: Dict[str, Any]) -> Dict[str, Any]:
    """Take from a line what belongs to the event and not to its data; null is as if it were not there."""
    options = {name: value.pop(name) for name in _OF_EVENT if name in value}
    options = {name: given for name, given in options.items() if given is not None}
    for name in ("true_timestamp", "created_timestamp"):
        if name in options:
            try:
                options[name] = point_in_time(options[name])
            except argparse.ArgumentTypeError as error:
                raise ValueError(f"{name}: {error}") from None
    return options


def _entities(argument: str) -> List[SelfDescribingJson]:
    try:
        value = value_of(argument)
    except ValueError as error:
        raise ValueError(f"--entity {error}") from error
    return [
        _self_describing(each, "an entity")
        for each in (value if isinstance(value, list) else [value])
    ]


def _self_describing(value: Any, what: str, others: str = "") -> SelfDescribingJson:
    from snowplow_tracker.iglu.schema_key import SchemaKey

    if not isinstance(value, dict):
        raise ValueError(f"{what} must be an object with schema and data, not {value!r:.60}")
    wrong = [f"has the unknown key {key!r:.60}" for key in value if key not in ("schema", "data")]
    wrong += [f"has no {key}" for key in ("schema", "data") if key not in value]
    if wrong:
        raise ValueError(f"{what} {wrong[0]}: it must have schema and data{others}")
    SchemaKey.parse(value["schema"])
    if not isinstance(value["data"], (dict, list)):
        raise ValueError(f"the data of {what} must be an object, not {value['data']!r}")
    return SelfDescribingJson(value["schema"], value["data"])


def _checker(args: argparse.Namespace) -> Callable[[Event], None]:
    """Return a function that raises a ValueError if an event violates its schemas. Without schemas, none does."""
    resolver = resolver_from(args)
    if not resolver.registries:
        return lambda _event: None

    from snowplow_tracker.iglu.validation import load_extra, validate_parts

    load_extra()

    def check(event: Event) -> None:
        problems = validate_parts(getattr(event, "event_json", None), event.context, resolver)
        if problems:
            raise ValueError("; ".join(map(str, problems)))

    return check


def _subject(args: argparse.Namespace) -> Subject:
    subject = Subject()
    for option in _SUBJECT:
        name = option.replace("-", "_")
        value = getattr(args, name)
        if value is not None:
            getattr(subject, f"set_{name}")(value)
    return subject
