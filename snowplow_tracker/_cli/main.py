"""Reads the command line and runs one command.

A command is a module with ``add_arguments(parser)`` and ``run(args) -> int``, whose docstring is its
help. It imports what it works with inside `run`, so that asking for help stays fast.
"""

from __future__ import annotations

import argparse
import sys
from types import ModuleType
from typing import Dict, Optional, Sequence

from snowplow_tracker._cli import collector, demo, worker
from snowplow_tracker._version import __version__

_COMMANDS: Dict[str, ModuleType] = {
    "collector": collector,
    "demo": demo,
    "worker": worker,
}

_INTERRUPTED = 130


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command.

    Args:
        argv: the arguments; by default those of the process.

    Returns:
        The exit status: 0 if all went well.
    """
    parser = argparse.ArgumentParser(
        prog="python -m snowplow_tracker", description="Tools of the Snowplow tracker for Python."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, module in _COMMANDS.items():
        description = (module.__doc__ or "").strip()
        command = commands.add_parser(
            name, help=description.partition("\n")[0], description=description
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        status: int = args.run(args)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as error:
        print(f"{parser.prog} {args.command}: {error}", file=sys.stderr)
        return 1
    return status
