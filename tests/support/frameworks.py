"""Frameworks and servers as people run them."""

from __future__ import annotations

import contextlib
import http.client
import importlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Dict, Optional, Sequence

import pytest

APPS = Path(__file__).parent.parent / "integrations" / "apps"


def need_module(name: str):
    """Import a library, or skip the test that needs it; where servers have to be tested, fail it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if os.environ.get("SNOWPLOW_TRACKER_TEST_SERVERS"):
            raise
        pytest.skip(f"{name} is not installed")


class Server:
    """A server in a process of its own, which listens when this object exists."""

    def __init__(self, command: Sequence[str], port: int, environment: Dict[str, str]) -> None:
        self.port = port
        self.process = subprocess.Popen(
            command,
            cwd=APPS,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server does not listen:\n{self.stop()}")
            time.sleep(0.05)

    def get(
        self, path: str, headers: Optional[Dict[str, str]] = None, method: str = "GET"
    ) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            body = response.read()
            assert response.status < 500 or path.startswith("/fail"), body
            return body
        finally:
            connection.close()

    def stop(self) -> str:
        """End the server as an operator does, and return what it printed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            output, _ = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            output = self.kill()
            pytest.fail(f"the server does not end:\n{output.decode(errors='replace')}")
        return output.decode(errors="replace")

    def kill(self) -> bytes:
        """End the server and its workers at once, and return what it printed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        output: bytes = self.process.communicate()[0] or b""
        return output
