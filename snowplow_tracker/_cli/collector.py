"""Run a local collector: see events as they arrive, here and on a page in the browser.

Use its URL as the endpoint of a tracker, and open the same URL in a browser:

  snowplow-tracker collector --port 9090 --schemas schemas/

The endpoints of Snowplow Micro (/micro/good, /micro/bad, ...) are there, too. Ctrl-C ends it with
status 0; if the port is in use, it ends with 1. Invalid arguments, schemas that do not exist and a
missing extra are status 2.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import shutil
import sys
import time
from typing import TYPE_CHECKING, Iterator, List

from snowplow_tracker._cli.common import (
    add_number_argument,
    knows_codes,
    port,
    say,
    show,
    whole_number,
)

if TYPE_CHECKING:
    from snowplow_tracker.testing._journal import Entry

_USAGE = 2
_RED = "\x1b[31m"
_PLAIN = "\x1b[0m"
_TITLES = ["time", "", "event", "what", "user"]
_DEFAULT_SIZE = (100, 24)
# Maximum number that is shown for one event; the page shows all.
_MAX_PROBLEMS = 5
_POLL = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--port",
        type=port,
        default=9090,
        help="the port to listen on, 0 for a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--host",
        type=_address,
        default="127.0.0.1",
        help="the address to listen on (default: %(default)s); with 0.0.0.0 everyone in the"
        " network can read the events",
    )
    parser.add_argument(
        "--schemas",
        metavar="SOURCE",
        action="append",
        help="a folder, an archive or a registry of Iglu schemas to validate events against;"
        " may be repeated (needs the extra 'schemas')",
    )
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="an additional name of this machine, or of a site whose pages send events here;"
        " may be repeated",
    )
    add_number_argument(
        parser,
        "--max-events",
        whole_number,
        10_000,
        "maximum number of events to keep, the latest ones",
    )


def run(args: argparse.Namespace) -> int:
    """Run the collector until it is interrupted; return the exit status."""
    from snowplow_tracker.testing._table import header_lines
    from snowplow_tracker.testing.live_collector import LiveCollector

    try:
        collector = LiveCollector(
            args.port,
            host=args.host,
            max_events=args.max_events,
            hosts=args.allow_host,
            schemas=args.schemas,
        )
    except (ImportError, ValueError) as error:
        return say("collector", str(error), _USAGE)
    is_colored = knows_codes(sys.stdout)
    generation, last = 0, 0
    with collector, contextlib.suppress(KeyboardInterrupt):
        show(f"A collector listens on {collector.endpoint}, stop it with Ctrl-C", sys.stdout)
        show("Open the same URL in a browser to see the events in full.\n", sys.stdout)
        while True:
            generation, entries = collector.journal.wait_for_more(generation, last, _POLL)
            for entry in entries:
                widths = _widths()
                if last == 0:
                    show("\n".join(header_lines(_TITLES, widths)), sys.stdout)
                last = entry.number
                text = "\n".join(_lines(entry, widths))
                show(f"{_RED}{text}{_PLAIN}" if is_colored and not entry.good else text, sys.stdout)
    return 0


def _widths() -> List[int]:
    """Return the widths of the columns: what happened has what the others leave."""
    width = shutil.get_terminal_size(_DEFAULT_SIZE).columns
    return [8, 4, 18, max(20, width - 52), 14]


def _lines(entry: Entry, widths: List[int]) -> Iterator[str]:
    from snowplow_tracker.testing._table import line, printable

    summary = entry.summary()
    what = summary["what"]
    if summary["entities"]:
        what += f" + {', '.join(summary['entities'])}"
    cells = [
        time.strftime("%H:%M:%S", time.localtime(entry.request.received_at)),
        "good" if entry.good else "BAD",
        summary["name"],
        what,
        summary["user"],
    ]
    yield line([printable(each) for each in cells], widths)
    for problem in entry.problems[:_MAX_PROBLEMS]:
        yield f"    {printable(problem)}"
    if len(entry.problems) > _MAX_PROBLEMS:
        yield f"    and {len(entry.problems) - _MAX_PROBLEMS} more problems"


def _address(text: str) -> str:
    if text == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an IP address, for example 127.0.0.1 or 0.0.0.0"
        ) from None
