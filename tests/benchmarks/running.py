"""Running the measured programs, each in its own process."""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
TIMEOUT = 900
"""Seconds. Nothing here takes that long unless it hangs."""

Result = Dict[str, Any]


class ProgramError(Exception):
    """A measured program ended with an error, or not at all."""


class Collector:
    """The collector's process.

    Args:
        certificate: With it, it speaks TLS.
    """

    def __init__(self, certificate: Optional[Path] = None) -> None:
        command = [sys.executable, str(HERE / "collector.py")]
        if certificate is not None:
            command.append(str(certificate))
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.ports: Dict[str, int] = json.loads(self._process.stdout.readline())

    def ask(self, command: str) -> Result:
        """Send a command over its control port."""
        with socket.create_connection(("127.0.0.1", self.ports["control"])) as connection:
            connection.sendall(command.encode("ascii") + b"\n")
            with connection.makefile("r") as lines:
                answer: Result = json.loads(lines.readline())
        return answer

    def close(self) -> None:
        """End it."""
        self._process.communicate()  # closes its standard input, and it ends with that


@contextlib.contextmanager
def collecting(certificate: Optional[Path] = None) -> Iterator[Collector]:
    """Run a collector."""
    collector = Collector(certificate)
    try:
        yield collector
    finally:
        collector.close()


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[Optional[str]]:
    """Run a Redis server that keeps nothing on disk, if there is one on this machine; give its URL."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            if time.monotonic() > deadline:
                raise ProgramError("redis-server does not answer")
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


def execute(
    python: str, program: str, arguments: Sequence[str], variables: Mapping[str, str]
) -> str:
    """Run a program to its end; give what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        errors = Path(folder) / "errors"
        with errors.open("wb") as stream:
            try:
                done = subprocess.run(
                    [python, str(PROGRAMS / program), *arguments],
                    env=dict(variables),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stream,
                    text=True,
                    timeout=TIMEOUT,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise ProgramError(f"{program} did not end within {TIMEOUT} seconds") from None
        if done.returncode:
            last = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-8:]
            raise ProgramError(f"{program} ended with {done.returncode}: " + "\n".join(last))
    return done.stdout


def timed(
    python: str, program: str, arguments: Sequence[str], variables: Mapping[str, str]
) -> Result:
    """Run a program from start to end; give milliseconds of wall time and of CPU."""
    command = [python, str(PROGRAMS / program), *arguments]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    status = subprocess.call(
        command, env=dict(variables), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if status:
        raise ProgramError(f"{program} {' '.join(arguments)} ended with {status}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall * 1e3, "cpu": cpu * 1e3}


def import_times(
    python: str, program: str, arguments: Sequence[str], variables: Mapping[str, str]
) -> str:
    """Run a program; give how long its imports took, the slowest last."""
    command = [python, "-X", "importtime", str(PROGRAMS / program), *arguments]
    done = subprocess.run(command, env=dict(variables), capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    head, *rest = lines
    # The second column is cumulative, in microseconds.
    return "\n".join([head, *sorted(rest, key=lambda line: int(line.split("|")[1]))])


def alternate(
    names: Sequence[str],
    runs: int,
    measure: Callable[[str], Optional[Result]],
    progress: Callable[[str], None],
    problem: Callable[[str], None],
) -> Dict[str, List[Result]]:
    """Measure each by turns, `runs` times, so that whatever disturbs the machine disturbs all of them."""
    results: Dict[str, List[Result]] = {name: [] for name in names}
    failed = set()
    for run in range(runs):
        for name in names:
            if name in failed:
                continue
            progress(f"{name}, run {run + 1} of {runs}")
            try:
                result = measure(name)
            except ProgramError as error:
                problem(f"{name}: {error}")
                failed.add(name)
            else:
                if result is not None:
                    results[name].append(result)
    return results
