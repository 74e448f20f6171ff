"""Commands whose output cannot be written: the disk is full, or whoever read it has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from snowplow_tracker.testing import Collector
from support.iglu import SCHEMAS

EVENT = '{"schema": "iglu:org.beta/product/jsonschema/1-0-0", "data": {"id": 5}}'

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


@pytest.fixture(params=["full", "reader gone"])
def output(request):
    """An output to which nothing can be written."""
    if request.param == "full":
        number = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, number = os.pipe()
        os.close(reader)
    yield number
    os.close(number)


def status(output, *arguments):
    """Run a command, both of whose outputs cannot be written; return its exit status."""
    command = [sys.executable, "-m", "snowplow_tracker", *map(str, arguments)]
    return subprocess.run(command, check=False, stdout=output, stderr=output, timeout=60).returncode


def test_the_status_of_track_is_about_the_events(output, tmp_path):
    """Events that were delivered are no failure, else a script sends them again, and no error keeps back the next one."""
    file = tmp_path / "a.jsonl"
    file.write_text(f"no event\n{EVENT}\nno event\n{EVENT}\n")
    with Collector() as collector:
        track = ["track", "--endpoint", collector.endpoint]
        assert status(output, *track, "page-view", "https://shop.example/") == 0
        assert status(output, *track, "self-describing", "--lines", file) == 1
        assert len(collector.good) == 3


@pytest.mark.skipif(find_spec("jsonschema") is None, reason="jsonschema is not installed")
def test_the_status_of_validate_is_about_the_files(output, tmp_path):
    """What is invalid is status 1 and never a usage error, and what is valid is status 0."""
    file = tmp_path / "a.jsonl"
    file.write_text(EVENT)
    assert status(output, "validate", "--schemas", SCHEMAS, file) == 0
    file.write_text(EVENT.replace("5", '"5"'))
    assert status(output, "validate", "--schemas", SCHEMAS, file) == 1


def test_the_status_of_generate_is_about_the_module(output, tmp_path):
    """A module that is written is no failure, and one that cannot be written is status 2."""
    out = tmp_path / "a.py"
    assert status(output, "generate", "--schemas", SCHEMAS, "--out", out) == 0
    assert out.exists()
    assert status(output, "generate", "--schemas", SCHEMAS, "--out", "-") == 2


def test_a_demo_that_nobody_reads_is_no_failure(output):
    """The status of the demo is about the events that arrived."""
    assert status(output, "demo") == 0
