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
from typing import TYPE_CHECKING, Iterator, List, Optional, TextIO

from snowplow_tracker._cli.common import knows_codes, port, say, silence, whole_number

if TYPE_CHECKING:
    from snowplow_tracker.testing._journal import Entry

_USAGE = 2
_RED = "\x1b[31m"
_PLAIN = "\x1b[0m"
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
    parser.add_argument(
        "--max-events",
        metavar="N",
        type=whole_number,
        default=10_000,
        help="maximum number of events to keep, the latest ones (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the collector until it is interrupted; return the exit status."""
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
    output = _Output(sys.stdout)
    with collector, contextlib.suppress(KeyboardInterrupt):
        output.print(f"A collector listens on {collector.endpoint}, stop it with Ctrl-C")
        output.print("Open the same URL in a browser to see the events in full.\n")
        generation, last = 0, 0
        while True:
            now, entries = collector.journal.wait_for_more(generation, last, _POLL)
            generation = now
            if entries:
                last = entries[-1].number
                for entry in entries:
                    output.print_entry(entry)
    return 0


class _Output:
    """The standard output, which may be a terminal, a file, or nothing."""

    def __init__(self, stream: Optional[TextIO]) -> None:
        self._stream = stream
        self._colored = knows_codes(stream)
        self._header_shown = False

    def print(self, text: str, *, bad: bool = False) -> None:
        """Print a string without characters that control a terminal; what is bad, in red."""
        from snowplow_tracker.testing.collector import print_safely

        if self._stream is None:
            return
        is_red = bad and self._colored
        try:
            if is_red:
                self._stream.write(_RED)
            print_safely(text, self._stream)
            if is_red:
                self._stream.write(_PLAIN)
                self._stream.flush()
        except (OSError, ValueError):
            self._lose()

    def print_entry(self, entry: Entry) -> None:
        """Print the lines of an event."""
        width = shutil.get_terminal_size(_DEFAULT_SIZE).columns
        if not self._header_shown:
            self._header_shown = True
            self.print("\n".join(_header(width)))
        self.print("\n".join(_lines(entry, width)), bad=not entry.good)

    def _lose(self) -> None:
        # The output is closed. The collector continues, for the page and for tests.
        silence(self._stream)
        self._stream = None


def _columns(width: int) -> List[int]:
    time_, name, user = 8, 18, 14
    return [time_, 4, name, max(20, width - time_ - 4 - name - user - 8), user]


def _header(width: int) -> List[str]:
    widths = _columns(width)
    return [
        _line(["time", "", "event", "what", "user"], widths),
        _line(["-" * each for each in widths], widths),
    ]


def _lines(entry: Entry, width: int) -> Iterator[str]:
    from snowplow_tracker.testing._table import printable
    from snowplow_tracker.testing.records import schema_name

    summary = entry.summary()
    what = summary["what"]
    if entry.event is not None and entry.event.contexts:
        names = ", ".join(schema_name(each["schema"]) for each in entry.event.contexts[:10])
        what = f"{what[: max(20, width - 50)]} + {names}"
    cells = [
        time.strftime("%H:%M:%S", time.localtime(entry.request.received_at)),
        "good" if entry.good else "BAD",
        summary["name"],
        what,
        summary["user"],
    ]
    yield _line([printable(each) for each in cells], _columns(width))
    for problem in entry.problems[:_MAX_PROBLEMS]:
        yield f"    {printable(problem)}"
    if len(entry.problems) > _MAX_PROBLEMS:
        yield f"    and {len(entry.problems) - _MAX_PROBLEMS} more problems"


def _line(cells: List[str], widths: List[int]) -> str:
    from snowplow_tracker.testing._table import fill

    return "  ".join(fill(cell, width) for cell, width in zip(cells, widths)).rstrip()


def _address(text: str) -> str:
    if text == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an IP address, for example 127.0.0.1 or 0.0.0.0"
        ) from None
