"""Run programs in real child processes, each with a deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional

__all__ = ["Finished", "run_program"]


@dataclass(frozen=True)
class Finished:
    """What became of a child process.

    Attributes:
        status: The exit status; negative for a signal, None if the deadline passed first.
        output: What it wrote to the standard output.
        errors: What it wrote to the standard error.
        seconds: How long it lived.
        ended: When it ended, by `time.monotonic()`, which all processes of a machine share.
    """

    status: Optional[int]
    output: str
    errors: str
    seconds: float
    ended: float

    @property
    def in_time(self) -> bool:
        """Whether it ended by itself before the deadline."""
        return self.status is not None


def run_program(
    source: str,
    *arguments: object,
    deadline: float = 30.0,
    python: str = sys.executable,
    environment: Optional[Mapping[str, str]] = None,
    package_from: Optional[str] = "",
) -> Finished:
    """Run a program and wait for its end.

    It runs as a file, since the spawn method of multiprocessing imports it again, and writes to files rather than
    pipes, since a grandchild that outlives it would hold a pipe open.

    Args:
        source: The text of the program; it may be indented.
        arguments: Its arguments, from `sys.argv[1]` on.
        deadline: Seconds after which it and its children are killed.
        python: The interpreter that runs it.
        environment: Variables to add to the environment.
        package_from: The directory to import the package from; by default the one that this process uses, None for
            what is installed for the interpreter.
    """
    variables = dict(os.environ, PYTHONUNBUFFERED="1", PYTHONFAULTHANDLER="1")
    variables.pop("PYTHONPATH", None)
    if package_from is not None:
        variables["PYTHONPATH"] = package_from or _directory_of_package()
    variables.update(environment or {})
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory, "program.py")
        program.write_text(textwrap.dedent(source), encoding="utf-8")
        output, errors = Path(directory, "output"), Path(directory, "errors")
        with output.open("wb") as output_file, errors.open("wb") as errors_file:
            started = time.monotonic()
            # its own session, so that its children can be killed with it and with nothing else
            child = subprocess.Popen(
                [python, str(program), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=output_file,
                stderr=errors_file,
                env=variables,
                cwd=directory,
                start_new_session=True,
            )
            status: Optional[int] = None
            try:
                status = child.wait(deadline)
            except subprocess.TimeoutExpired:
                pass
            finally:
                ended = time.monotonic()
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        return Finished(
            status,
            output.read_text(encoding="utf-8", errors="replace"),
            errors.read_text(encoding="utf-8", errors="replace"),
            ended - started,
            ended,
        )


def _directory_of_package() -> str:
    import snowplow_tracker

    return str(Path(snowplow_tracker.__file__).resolve().parent.parent)
