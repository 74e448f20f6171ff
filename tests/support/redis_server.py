"""A real Redis, started for a test on a free port of this machine."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Iterator, List, Optional

import pytest
import redis

from support.certificates import make_certificate
from support.programs import need

__all__ = ["RedisServer", "redis_server"]

_START_TIMEOUT = 15.0
# Each process that runs tests draws others.
_PORTS = random.SystemRandom()


class RedisServer:
    """A redis-server in a directory of its own. It can be stopped and started again on the same port.

    Args:
        directory: For its data, its log and its certificate.
        options: Further arguments of redis-server.
        tls: Speak TLS only, with a certificate of its own that the URL tells clients to trust.
    """

    def __init__(self, directory: Path, *options: str, tls: bool = False) -> None:
        program = need("redis-server")
        directory.mkdir(parents=True, exist_ok=True)
        self._program = program
        self._directory = directory
        self._options = options
        self._tls = tls
        self._process: Optional[subprocess.Popen[bytes]] = None
        self.port: int = _free_port()
        scheme, query = (
            ("rediss", f"?ssl_ca_certs={directory}/public.pem") if tls else ("redis", "")
        )
        self.url = f"{scheme}://127.0.0.1:{self.port}/0{query}"

    def start(self) -> RedisServer:
        """Start, and wait until it answers."""
        log = self._directory / "redis.log"
        self._process = subprocess.Popen([self._program, *self._arguments(log)])
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"redis-server did not start:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.02)
        return self

    def _arguments(self, log: Path) -> List[str]:
        here = self._directory
        port = ["--port", str(self.port)]
        if self._tls:
            port = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            port += ["--tls-cert-file", f"{here}/public.pem", "--tls-key-file", f"{here}/key.pem"]
        common = ["--bind", "127.0.0.1", "--dir", str(here), "--logfile", str(log), "--save", ""]
        return [*port, *common, *self._options]

    def _is_up(self) -> bool:
        try:
            with self.client(socket_timeout=1) as client:
                client.ping()
        except (redis.exceptions.AuthenticationError, redis.exceptions.ResponseError):
            return True  # it wants a password
        except redis.exceptions.RedisError:
            return False
        return True

    def client(self, **options: object) -> redis.Redis:
        """Make a client of redis-py."""
        return redis.Redis.from_url(self.url, **options)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it in an orderly way."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Have it take connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


def _free_port() -> int:
    """Return a port below those that the system gives out, so that nobody gets it between now and the start.

    So is the one that a node of a cluster listens on as well, 10,000 above.
    """
    while True:
        port = _PORTS.randrange(10_000, 22_000)
        with contextlib.suppress(OSError):
            for each in (port, port + 10_000):
                socket.create_server(("127.0.0.1", each)).close()
            return port


@contextlib.contextmanager
def redis_server(directory: Path, *options: str, tls: bool = False) -> Iterator[RedisServer]:
    """Run a Redis for a while."""
    server = RedisServer(directory, *options, tls=tls)
    if tls:
        make_certificate(directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()
