"""The arguments for the sources of schemas, for several commands."""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

from snowplow_tracker._messages import naming

if TYPE_CHECKING:
    from snowplow_tracker.iglu.resolver import Resolver

__all__ = ["add_schema_arguments", "resolver_from"]


def add_schema_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--schemas` and `--api-key`.

    Args:
        parser: the parser of the command.
    """
    parser.add_argument(
        "--schemas",
        metavar="PLACE",
        action="append",
        default=[],
        help="a source of schemas: a folder (vendor/name/format/version), a zip or tar archive of one, or "
        "the URL of an Iglu registry; may be given several times (default: SNOWPLOW_SCHEMAS, separated by commas)",
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        default=os.environ.get("SNOWPLOW_IGLU_API_KEY"),
        help="the API key of the registries (default: SNOWPLOW_IGLU_API_KEY, which does not show it to all "
        "users of the machine)",
    )


def resolver_from(args: argparse.Namespace) -> Resolver:
    """Return the resolver for the arguments. It may have no registry.

    Raises:
        ValueError: a folder or an archive does not exist.
    """
    from snowplow_tracker.iglu.registries import HttpRegistry, registry_from
    from snowplow_tracker.iglu.resolver import Resolver

    places = args.schemas or [
        place.strip()
        for place in os.environ.get("SNOWPLOW_SCHEMAS", "").split(",")
        if place.strip()
    ]
    with nullcontext() if args.schemas else naming("SNOWPLOW_SCHEMAS"):
        return Resolver(
            *(
                HttpRegistry(place, args.api_key)
                if args.api_key and place.lower().startswith(("http:", "https:"))
                else registry_from(place)
                for place in places
            )
        )
