"""Run the application and a worker, as two processes with a Redis between them.

The Redis at REDIS_URL is used, or a redis-server is started on a free port of this machine.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from typing import Iterator, List, Optional

from _runner import run

try:
    import redis
except ImportError:
    sys.exit("This example needs redis-py: python3 -m pip install redis")

_START_TIMEOUT = 10.0


@contextlib.contextmanager
def running_redis() -> Iterator[str]:
    """Give the URL of a Redis, and stop it again if it was started here."""
    if "REDIS_URL" in os.environ:
        yield os.environ["REDIS_URL"]
        return
    program = shutil.which("redis-server")
    if program is None:
        sys.exit("redis-server is not installed: install it, or set REDIS_URL")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)  # noqa: S603
        try:
            url = f"redis://127.0.0.1:{port}/0"
            _wait_until_up(url, server)
            yield url
        finally:
            server.terminate()
            server.wait()


def _wait_until_up(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            redis.Redis.from_url(url).ping()
        except redis.ConnectionError:
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit("redis-server did not start")
            time.sleep(0.05)
        else:
            return


def track(endpoint: str) -> List[Optional[str]]:
    """Let the application fill the queue and the worker empty it."""
    with running_redis() as url:
        app = [sys.executable, "-m", "redis_queue.app", url]
        output = subprocess.run(app, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603
        worker = [sys.executable, "-m", "snowplow_tracker", "worker", "--exit-when-empty"]
        worker += ["--store", url, "--endpoint", endpoint]
        subprocess.run(worker, check=True, stderr=subprocess.STDOUT)  # noqa: S603
    return list(output.split())


if __name__ == "__main__":
    sys.exit(run(track, __doc__))
