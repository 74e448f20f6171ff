"""Run a collector on this machine, and print events as they arrive, until interrupted."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snowplow_tracker.testing.records import CollectedRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments.

    Args:
        parser: the parser of the command.
    """
    parser.add_argument(
        "--port",
        type=_port,
        default=9090,
        help="the port to listen on, 0 for a free one (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the collector until it is interrupted.

    Args:
        args: the arguments of the command.

    Returns:
        0, when it was interrupted from the keyboard.
    """
    from snowplow_tracker.testing.collector import Collector, print_safely

    with Collector(args.port) as collector:
        print_safely(f"A collector listens on {collector.endpoint}, stop it with Ctrl-C")
        try:
            while True:
                collector.wait_for_requests(1, timeout=None)
                for request in collector.take():
                    print_safely(f"\n{_describe(request)}")
        except KeyboardInterrupt:
            return 0


def _describe(request: CollectedRequest) -> str:
    from snowplow_tracker.testing._table import format_table

    lines = [f"{request.method} {request.path}, {request.size} bytes, answered {request.status}"]
    if request.events:
        lines.append(format_table(request.events))
    lines.extend(request.problems)
    return "\n".join(lines)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 65536:
        raise argparse.ArgumentTypeError(f"{port} is not a port: it must be from 0 to 65535")
    return port
