"""Programs that loop until a signal ends them: APScheduler, and a loop of one's own."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Callable

import pytest

from support.collector_with_faults import CollectorWithFaults
from support.servers import Server, need_library

APSCHEDULER = """
from apscheduler.schedulers.blocking import BlockingScheduler
from tracking import track

scheduler = BlockingScheduler()
scheduler.add_job(lambda: print("ran", track("scheduled"), flush=True), "interval", seconds=0.05)
scheduler.start()
"""
LOOP = """
import time
from tracking import track

while True:
    print("ran", track("loop"), flush=True)
    time.sleep(0.02)
"""


@pytest.mark.parametrize("emitter", ["Emitter", "AsyncEmitter"])
@pytest.mark.parametrize(
    ("program", "library"),
    [(APSCHEDULER, "apscheduler"), (LOOP, "json")],
    ids=["APScheduler", "loop"],
)
def test_a_loop_that_sigterm_ends(
    serve: Callable[..., Server],
    collector: CollectorWithFaults,
    tmp_path: Path,
    program: str,
    library: str,
    emitter: str,
) -> None:
    """With `flush_on_sigterm()` all events arrive, and the process still ends by the signal, or with its status."""
    need_library(library)
    path = tmp_path / "loop.py"
    path.write_text(program, encoding="utf-8")
    server = serve(
        *[sys.executable, str(path)],
        emitter=emitter,
        batch=100,
        flush_interval=60,
        flush_on_sigterm="1",
    )
    server.wait_for_output("ran ", times=15)
    # The latter if it came in the middle of `track`.
    assert server.stop(signal.SIGTERM) in (-signal.SIGTERM, 128 + signal.SIGTERM), server.output
    ids = {line.split()[1] for line in server.output.splitlines() if line.startswith("ran ")}
    # the very last one may have been printed by a thread while the process was ending
    assert len(ids - set(collector.arrived)) <= (library == "apscheduler"), server.output
    assert len(ids) >= 15
    assert not collector.repeated
