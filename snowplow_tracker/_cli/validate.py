"""Validate self-describing JSON, or events in the form in which they are sent, against their schemas."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, List, Tuple

from snowplow_tracker._cli.common import add_schema_arguments, resolver_from, say, show
from snowplow_tracker._cli.json_input import entries_of
from snowplow_tracker._messages import escaped

if TYPE_CHECKING:
    from snowplow_tracker.iglu.resolver import Resolver
    from snowplow_tracker.iglu.validation import Problem

VALID, INVALID, USAGE = 0, 1, 2

EPILOG = f"""\
Example:
  snowplow-tracker validate --schemas schemas/ tests/events/*.json orders.jsonl
  orders.jsonl:17: $.total: must be a number, not "59.80" (iglu:com.acme/order/jsonschema/1-0-0)

A file contains a JSON object, an array of objects, or one object per line; - is the standard input, line by line.
An object is self-describing JSON ({{"schema": "iglu:…", "data": {{…}}}}), an event as it is sent ({{"e": "pv", …}}), or
the body of a request, whose events are validated one by one.
Lines that have more than schema and data, as `track --lines` reads them, are validated with
  SNOWPLOW_DISABLED=1 snowplow-tracker track --schemas schemas/ self-describing --lines orders.jsonl

Exit status:
  {VALID}    all are valid
  {INVALID}    some are not, or their schemas were not found; one line describes each problem
  {USAGE}    the arguments are invalid, a file cannot be read, or the extra is missing:
       pip install "snowplow-tracker[schemas]"
It does not change if the output cannot be written, or whoever reads it ends first.
"""
_PAYLOAD_DATA = "iglu:com.snowplowanalytics.snowplow/payload_data/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_schema_arguments(parser)
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="JSON or JSON lines; - for the standard input"
    )


def run(args: argparse.Namespace) -> int:
    """Check the files; return the exit status."""
    from snowplow_tracker.iglu.validation import SchemaExtraMissingError

    checked = wrong = 0
    try:
        resolver = resolver_from(args)
        for file in args.files:
            for entry in entries_of(file):
                checked += 1
                if entry.error:
                    wrong += 1
                    show(escaped(f"{entry.place}: {entry.error}"), sys.stdout)
                    continue
                problems = _problems(entry.value, resolver)
                wrong += bool(problems)
                for where, problem in problems:
                    show(escaped(f"{entry.place}{where}: {problem}"), sys.stdout)
    except (ValueError, OSError, SchemaExtraMissingError) as error:
        return say("validate", str(error), USAGE)
    show(f"{checked:,} checked, {wrong:,} not valid", sys.stderr)
    return INVALID if wrong else VALID


def _problems(value: Any, resolver: Resolver) -> List[Tuple[str, Problem]]:
    from snowplow_tracker.iglu.validation import (
        Problem,
        validate_event,
        validate_self_describing,
    )

    if isinstance(value, dict) and "e" in value and "schema" not in value:
        return [("", each) for each in validate_event(value, resolver)]
    if not (
        isinstance(value, dict)
        and str(value.get("schema")).startswith(_PAYLOAD_DATA)
        and isinstance(value.get("data"), list)
    ):
        return [("", each) for each in validate_self_describing(value, resolver)]
    found = []
    for number, event in enumerate(value["data"]):
        problems = [Problem("$", "must be an object", event)]
        if isinstance(event, dict):
            problems = validate_event(event, resolver)
        found += [(f" event {number}", each) for each in problems]
    return found
