"""Start real servers and workers, ask them for pages, and end them as their users do."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest

__all__ = ["APPLICATIONS", "MUST_BE_THERE", "Server", "free_port", "need_library"]

APPLICATIONS = Path(__file__).resolve().parent.parent / "servers" / "applications"
MUST_BE_THERE = "SNOWPLOW_TRACKER_TEST_SERVERS"
"""Set where all the libraries have to be installed: what is missing fails its tests then."""


def need_library(*names: str) -> None:
    """Skip the test if a library is not installed; fail it where all of them have to be."""
    for name in names:
        try:
            found = importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:  # the package around it
            found = False
        if found:
            continue
        if os.environ.get(MUST_BE_THERE):
            pytest.fail(f"{name} is not installed: pip install -e .[test-servers]")
        pytest.skip(f"{name} is not installed (tests/servers need the extra test-servers)")


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Server:
    """A server or worker in a session of its own, whose output is kept.

    Args:
        directory: Where it runs and its output is kept.
        command: The program and its arguments. A program without a slash is looked up beside the interpreter.
        environment: Variables to add to the environment.
        port: Where it listens, if it does; `start` waits for that.
    """

    def __init__(
        self, directory: Path, *command: str, environment: Dict[str, str], port: int = 0
    ) -> None:
        program = command[0]
        if "/" not in program:
            program = str(Path(sys.executable).with_name(program))
        self._command = [program, *command[1:]]
        self._directory = directory
        self._environment = environment
        self._port = port
        self._log = directory / "server.log"
        self.process: subprocess.Popen[bytes]

    def start(self, timeout: float = 30.0) -> Server:
        """Start it, and wait until it listens."""
        variables = dict(os.environ, PYTHONUNBUFFERED="1", PYTHONPATH=_search_path())
        for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
            variables.pop(name, None)  # these processes end in ways that coverage does not bear
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                env={**variables, **self._environment},
                start_new_session=True,
            )
        if self._port:
            self._wait_until_it_listens(time.monotonic() + timeout)
        return self

    def _wait_until_it_listens(self, deadline: float) -> None:
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"the server does not listen:\n{self.output}")
            time.sleep(0.02)

    def get(self, times: int = 1) -> List[str]:
        """Ask for its page, one request after the other, each over a connection of its own.

        Returns:
            The bodies of the answers.
        """
        bodies = []
        for _ in range(times):
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/", timeout=20) as answer:
                bodies.append(answer.read().decode("ascii"))
        return bodies

    def wait_for_output(self, text: str, *, times: int = 1, timeout: float = 20.0) -> None:
        """Wait until it has written something this often."""
        self.wait_for(lambda log: log.count(text) >= times, timeout)

    def wait_for(self, is_written: Callable[[str], bool], timeout: float = 20.0) -> None:
        """Wait until what it has written is as expected."""
        deadline = time.monotonic() + timeout
        while not is_written(self._read_log()):
            if time.monotonic() > deadline:
                pytest.fail(f"it did not write what was expected:\n{self.output}")
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20.0) -> Optional[int]:
        """Send it a signal and wait for its end.

        Returns:
            The exit status; None if it had to be killed.
        """
        self.process.send_signal(number)
        return self.wait(timeout)

    def interrupt_all(self) -> None:
        """Send SIGINT to it and its children, as a terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, timeout: float = 20.0) -> Optional[int]:
        """Wait for its end, and then for that of all its children.

        Returns:
            The exit status; None if it had to be killed.
        """
        deadline = time.monotonic() + timeout
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        else:
            while _members_of_session(self.process.pid):
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.02)
            return status
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and its children at once."""
        for member in _members_of_session(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        self.process.wait()

    @property
    def output(self) -> str:
        """The end of what it and its children have written."""
        return self._read_log()[-4_000:]

    def _read_log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


def _members_of_session(leader: int) -> List[int]:
    """Return the processes of a session that still run; a work-horse of RQ makes a process group of its own."""
    members = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (directory / "stat").read_text(encoding="latin-1").rpartition(")")[2]
        except OSError:  # it has just ended
            continue
        state, _, _, session = after_name.split()[:4]
        if int(session) == leader and state not in "ZX":
            members.append(int(directory.name))
    return members


def _search_path() -> str:
    import snowplow_tracker

    package: Any = Path(snowplow_tracker.__file__).resolve().parent.parent
    return os.pathsep.join([str(APPLICATIONS), str(package)])
