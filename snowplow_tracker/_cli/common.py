"""What several commands have in common: their arguments, and how they complain."""

from __future__ import annotations

import argparse
import math
import os
import sys
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, ContextManager, Iterator, Optional, TextIO

from snowplow_tracker._http.endpoint import collector_uri
from snowplow_tracker._messages import escaped, naming
from snowplow_tracker._protocol import parameters

if TYPE_CHECKING:
    from snowplow_tracker.iglu.resolver import Resolver

SWITCHED_OFF = "SNOWPLOW_DISABLED=1 switches tracking off"


def program() -> str:
    """Return how the user called the program: by its console script, or as a module."""
    script = Path(sys.argv[0]).stem
    return script if script == "snowplow-tracker" else "python -m snowplow_tracker"


def say(command: str, text: str, status: int) -> int:
    """Say on standard error what is wrong; return the exit status that it leads to."""
    show(f"{program()} {command}: {escaped(text)}", sys.stderr)
    return status


def show(text: str, stream: Optional[TextIO]) -> None:
    """Print a line. If that fails, all that follows is discarded, since the exit status is about the work."""
    if stream is None:
        return
    with writing_to(stream):
        encoding = getattr(stream, "encoding", None) or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


@contextmanager
def writing_to(stream: TextIO) -> Iterator[None]:
    """Have an error of a stream discard what is written there, and say so unless its reader is gone, as after `head`."""
    try:
        yield
    except (OSError, ValueError) as error:  # a ValueError if it is closed
        silence(stream)
        if stream is not sys.stderr and not isinstance(error, BrokenPipeError):
            show(f"{program()}: the output cannot be written: {error}", sys.stderr)


def silence(stream: Any) -> None:
    """Discard what is written to a stream from now on: whoever read it is gone, or its disk is full."""
    with suppress(OSError, ValueError, AttributeError):
        # What is in its buffer would fail again at the end of the process.
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)


def naming_default(value: str, variable: str) -> ContextManager[None]:
    """Return a context in which an error names the environment variable that an argument comes from, if any."""
    return naming(variable) if value == os.environ.get(variable) else nullcontext()


def knows_codes(stream: Optional[TextIO]) -> bool:
    """Return whether a stream is a terminal that knows escape sequences: colors, and to erase a line."""
    try:
        if stream is None or not stream.isatty() or os.environ.get("NO_COLOR"):
            return False
    except (OSError, ValueError, AttributeError):  # it is closed, or not a stream
        return False
    # The console of Windows knows them only if a program has enabled them.
    default = "windows-terminal" if "WT_SESSION" in os.environ else "dumb"
    return os.environ.get("TERM", default) not in ("", "dumb", "unknown")


def check_endpoint(endpoint: str) -> None:
    """Raise a ValueError, which names the environment variable, if an endpoint is not a host or a URL."""
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
    found = parameters.canonical_uuid(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a UUID")
    return found


def point_in_time(value: Any) -> int:
    """Read a point in time, of the command line or a value in JSON, as milliseconds since 1970."""
    # In JSON, true and false are no numbers.
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError):
            return parameters.point_in_time(value, "")
    raise argparse.ArgumentTypeError(
        f"{value!r:.60} is not a point in time: it must be milliseconds since 1970, "
        "or ISO 8601 as in 2025-03-01T12:30:00+01:00"
    )


def add_number_argument(
    parser: argparse.ArgumentParser,
    option: str,
    kind: Callable[[str], float],
    default: float,
    text: str,
) -> None:
    """Declare an option whose value is a number, as `seconds` or `whole_number` reads it. The help has its default."""
    parser.add_argument(
        option,
        metavar="SECONDS" if kind is seconds else "N",
        type=kind,
        default=default,
        help=f"{text} (default: %(default)s)",
    )


def add_endpoint_arguments(parser: argparse.ArgumentParser, default: Optional[str]) -> None:
    """Declare `--endpoint`, which is required if there is no default, and `--method`."""
    parser.add_argument(
        "--endpoint",
        metavar="URL",
        default=default,
        required=default is None,
        help="the collector: a URL, or a host, which is used with https, or with http if it is this machine "
        "(localhost, 127.*, [::1])",
    )
    parser.add_argument(
        "--method",
        choices=("post", "get"),
        default="post",
        help="how events are sent: many in a POST request, or one in each GET request (default: %(default)s)",
    )


def add_schema_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--schemas` and `--api-key`."""
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
    """Return the resolver for the schema arguments. It may have no registry.

    Raises:
        ValueError: A folder or an archive does not exist.
    """
    from snowplow_tracker.iglu.registries import HttpRegistry
    from snowplow_tracker.iglu.resolver import Resolver, sources_from_environment

    with nullcontext() if args.schemas else naming("SNOWPLOW_SCHEMAS"):
        return Resolver(
            *(
                HttpRegistry(source, args.api_key)
                if args.api_key and source.lower().startswith(("http:", "https:"))
                else source
                for source in args.schemas or sources_from_environment()
            )
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
