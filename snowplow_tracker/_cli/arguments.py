"""What several commands have in common: types of arguments, help texts, and how they complain."""

from __future__ import annotations

import argparse
import math
import os
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, ContextManager

from snowplow_tracker._messages import escaped, naming

__all__ = [
    "ENDPOINT_HELP",
    "METHOD_HELP",
    "SWITCHED_OFF",
    "check_endpoint",
    "event_id",
    "naming_default",
    "number",
    "point_in_time",
    "port",
    "program",
    "say",
    "seconds",
    "whole_number",
]

ENDPOINT_HELP = (
    "the collector: a URL, or a host, which is used with https, or with http if it is this machine "
    "(localhost, 127.*, [::1])"
)


METHOD_HELP = (
    "how events are sent: many in a POST request, or one in each GET request (default: %(default)s)"
)
SWITCHED_OFF = "SNOWPLOW_DISABLED=1 switches tracking off"


def program() -> str:
    """Return how the user called the program: by its console script, or as a module."""
    script = Path(sys.argv[0]).stem
    return script if script == "snowplow-tracker" else "python -m snowplow_tracker"


def say(command: str, text: str, status: int) -> int:
    """Say on standard error what a command has to complain about.

    Args:
        command: Its name.
        text: The complaint.
        status: The exit status that it leads to.

    Returns:
        The status.
    """
    if sys.stderr is not None:
        print(f"{program()} {command}: {escaped(text)}", file=sys.stderr)
    return status


def naming_default(value: str, variable: str) -> ContextManager[None]:
    """Return a context in which an error names the environment variable that an argument comes from, if any."""
    return naming(variable) if value == os.environ.get(variable) else nullcontext()


def check_endpoint(endpoint: str) -> None:
    """Check the endpoint of a command, so that an error names its environment variable.

    Raises:
        ValueError: It is not a host or a URL.
    """
    from snowplow_tracker._http.endpoint import collector_uri

    with naming_default(endpoint, "SNOWPLOW_ENDPOINT"):
        collector_uri(endpoint, "https", None, "post", None)


# argparse shows the name of a function that raises ValueError, so these say themselves what is wrong.


def port(text: str) -> int:
    """Read a port, or 0."""
    found = _integer(text)
    if not 0 <= found <= 65_535:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a port: it must be from 0 to 65535, and 0 takes any that is free"
        )
    return found


def whole_number(text: str) -> int:
    """Read a whole number above 0."""
    found = _integer(text)
    if found < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is too small: it must be at least 1")
    return found


def seconds(text: str) -> float:
    """Read a time in seconds."""
    found = _finite(text)
    if not 0 < found < 1e6:
        raise argparse.ArgumentTypeError(
            f"{text!r} is out of range: it must be more than 0, and less than a million seconds"
        )
    return found


def number(text: str) -> float:
    """Read a number, as an integer if it is one."""
    found = _finite(text)
    return int(found) if found.is_integer() else found


def event_id(text: str) -> str:
    """Read a UUID."""
    from snowplow_tracker._protocol.parameters import canonical_uuid

    found = canonical_uuid(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a UUID")
    return found


def point_in_time(value: Any) -> int:
    """Read a point in time: of the command line, or a value in JSON.

    Returns:
        Milliseconds since 1970.
    """
    from snowplow_tracker._protocol import parameters

    # In JSON, true and false are no numbers.
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError):
            return parameters.point_in_time(value, "")
    raise argparse.ArgumentTypeError(
        f"{value!r:.60} is not a point in time: it must be milliseconds since 1970, "
        "or ISO 8601 as in 2025-03-01T12:30:00+01:00"
    )


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _finite(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return found
