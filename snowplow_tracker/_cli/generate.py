"""Write a module of typed event and entity classes from schemas, or check that it is up to date."""

from __future__ import annotations

import argparse
import sys
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

from snowplow_tracker._cli.common import add_schema_arguments, resolver_from, say, show, silence
from snowplow_tracker._cli.json_input import value_of

if TYPE_CHECKING:
    from snowplow_tracker.iglu.resolver import Resolver
    from snowplow_tracker.iglu.schema_key import SchemaKey

DONE, INCOMPLETE, USAGE = 0, 1, 2

_say = partial(say, "generate")

EPILOG = f"""\
Example:
  snowplow-tracker generate --schemas schemas/ --out shop_events.py
  snowplow-tracker generate --schemas schemas/ --out shop_events.py --check     in CI

  from shop_events import OrderPlaced, Product
  tracker.track(OrderPlaced(order_id="A-1017", total=59.8, context=[Product(sku="lamp-3")]))

A schema does not define whether it is for events or for entities. Each class can be used as both, unless
--events or --entities is given.

The class of the latest version is named like the schema (OrderPlaced). Classes of earlier versions have the version in
the name (OrderPlacedV1_0_0). If several vendors use the same name, the vendor is in the name (AcmeOrderPlaced).

A file of event specifications is JSON:
  {{"OrderPlaced": {{"id": "fd2a8a44-…", "name": "Order placed", "version": 2,
                   "tracking_plan": {{"id": "5a1f…", "name": "Shop", "domain": "Sales"}}}}}}
Each such event then has the entity event_specification.

Exit status:
  {DONE}    the module is written, or up to date (--check)
  {INCOMPLETE}    the module is out of date (--check), or some schemas have no class; one line gives the reason for each
  {USAGE}    the arguments are invalid, or a file cannot be read or written
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_schema_arguments(parser)
    parser.add_argument(
        "--schema",
        metavar="IGLU",
        action="append",
        default=[],
        help="only this schema, such as iglu:com.acme/order/jsonschema/1-0-0; * matches anything if the "
        "schemas can be listed (folders, archives); may be given several times (default: all listed schemas)",
    )
    parser.add_argument(
        "--out", metavar="FILE", required=True, help="the module; - for the standard output"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit with 1 if the module is out of date",
    )
    for kind in ("events", "entities"):
        parser.add_argument(
            f"--{kind}",
            metavar="PATTERN",
            action="append",
            default=[],
            help=f"schemas that are for {kind} only: a name or vendor/name, where * matches anything; may be "
            "given several times",
        )
    parser.add_argument(
        "--event-specifications",
        metavar="FILE",
        help="the event specifications of classes (see below)",
    )


def run(args: argparse.Namespace) -> int:
    """Write or check the module; return the exit status."""
    from snowplow_tracker.iglu.resolver import SchemaNotFoundError

    try:
        return _run(args)
    except SchemaNotFoundError as error:
        return _say(str(error), INCOMPLETE)
    except (ValueError, OSError) as error:
        return _say(str(error), USAGE)


def _run(args: argparse.Namespace) -> int:
    from snowplow_tracker.iglu.generation import generate, specifications_from

    specifications = {}
    if args.event_specifications:
        specifications = specifications_from(value_of(f"@{args.event_specifications}"))
    resolver = resolver_from(args)
    generated = generate(
        resolver,
        _chosen(resolver, args.schema),
        events=args.events,
        entities=args.entities,
        specifications=specifications,
    )
    for key, reason in generated.problems:
        _say(f"{key}: no class, since {reason}", INCOMPLETE)
    status = INCOMPLETE if generated.problems else DONE
    if args.out == "-":
        _write_to_standard_output(generated.text)
        return status
    out = Path(args.out)
    known = _content_of(out)
    if args.check:
        if known != generated.text:
            state = "does not exist" if known is None else "is out of date"
            return _say(f"{out} {state}: run the same command without --check", INCOMPLETE)
        return status
    if known != generated.text:
        out.write_bytes(generated.text.encode())
    count = len(generated.classes)
    show(f"{out}: {count:,} {'class' if count == 1 else 'classes'}", sys.stdout)
    return status


def _write_to_standard_output(text: str) -> None:
    if sys.stdout is None:
        raise OSError("the standard output is closed")
    try:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()
    except OSError as error:
        silence(sys.stdout)
        raise OSError(f"the standard output: {error}") from error


def _content_of(file: Path) -> Optional[str]:
    if not file.exists():
        return None
    return file.read_bytes().decode(errors="replace").replace("\r\n", "\n")


def _chosen(resolver: Resolver, wanted: List[str]) -> List[SchemaKey]:
    from snowplow_tracker.iglu.schema_key import SchemaKey

    known = resolver.keys()
    listed = [key for key in known if key.format == "jsonschema"]
    if not wanted:
        if not listed:
            raise ValueError(
                "there are no schemas: give --schemas, and also --schema if they cannot be listed"
            )
        return listed
    chosen = set()
    for each in wanted:
        if any(sign in each for sign in "*?["):
            pattern = each if each.startswith("iglu:") else f"iglu:{each}"
            found = [
                key
                for key in listed
                if fnmatchcase(key.uri, pattern) or fnmatchcase(key.uri, f"{pattern}/*")
            ]
            if not found:
                raise ValueError(f"no schema matches {each}")
            chosen.update(found)
        else:
            chosen.add(SchemaKey.parse(each))
    return sorted(chosen)
