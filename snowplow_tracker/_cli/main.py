"""Parses the command line and runs one command.

A command is a module with ``add_arguments(parser)`` and ``run(args) -> int``. Its docstring is its help, and `EPILOG`, if
it has one, the end of that. What the package itself does not import, it imports inside `run`, so that ``--help`` stays fast.
"""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn, Optional, Sequence

from snowplow_tracker._cli import collector, demo, generate, track, validate, worker
from snowplow_tracker._cli.common import program, say
from snowplow_tracker._version import __version__

_COMMANDS = (collector, demo, generate, track, validate, worker)


class _Parser(argparse.ArgumentParser):
    """Reports errors in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        if self.prog.endswith(" track") and message.endswith("required: --endpoint"):
            # argparse does not say that it stands in the wrong place if it follows the kind.
            message += ", before the kind of event, or SNOWPLOW_ENDPOINT in the environment"
        self.exit(2, f"{self.prog}: {message} (see -h)\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    whole = _Parser(prog=program(), description="Tools of the Snowplow tracker for Python.")
    whole.add_argument("--version", action="version", version=__version__)
    commands = whole.add_subparsers(dest="command", metavar="command")
    for module in _COMMANDS:
        description = (module.__doc__ or "").strip()
        command = commands.add_parser(
            module.__name__.rpartition(".")[2],
            help=description.partition("\n")[0],
            description=description,
            epilog=getattr(module, "EPILOG", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return whole


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command with these arguments, or those of the process; return the exit status."""
    commands = parser()
    args = commands.parse_args(argv)
    if args.command is None:
        commands.print_help(sys.stderr)
        return 2
    try:
        status: int = args.run(args)
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return say(args.command, str(error), 1)
    return status
