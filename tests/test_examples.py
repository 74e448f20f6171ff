"""The programs in examples/, run as processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from snowplow_tracker.testing import Collector
from support.programs import need

EXAMPLES = Path(__file__).parent.parent / "examples"
EVENTS = {
    "ecommerce": 4,
    "redis_queue": 10,
    "request_scopes": 2,
    "snowplow_api": 4,
    "tracker_api": 5,
    "web_shop": 12,
}


def run(name, *arguments):
    if name == "redis_queue":
        need("redis-server")
    return subprocess.run(
        [sys.executable, "-m", name, *arguments],
        check=False,
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_every_example_is_known():
    """An example that is added is run here and listed in the README of the examples."""
    programs = {path.stem for path in EXAMPLES.glob("[!_]*.py")}
    packages = {path.parent.name for path in EXAMPLES.glob("*/__main__.py")}
    assert programs | packages == set(EVENTS)
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"python3 -m {name}`" in readme for name in EVENTS)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(EVENTS))
def test_it_proves_itself(name):
    """Without arguments an example starts a collector, and shows that everything arrived."""
    result = run(name)
    assert result.returncode == 0, result.stderr
    assert f"\n{EVENTS[name]} events\n" in result.stdout
    assert result.stderr == ""


def test_an_example_says_what_it_needs(tmp_path):
    """Without redis-py the example with Redis names what to install, in one line."""
    (tmp_path / "redis.py").write_text("raise ModuleNotFoundError('redis')")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    result = subprocess.run(
        [sys.executable, "-m", "redis_queue"],
        check=False,
        cwd=EXAMPLES,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert result.stderr == "This example needs redis-py: python3 -m pip install redis\n"


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(EVENTS))
def test_it_sends_to_the_endpoint_that_it_is_given(name):
    """With a URL an example sends its events there, each once, and all of them valid."""
    with Collector() as collector:
        result = run(name, collector.endpoint)
        assert result.returncode == 0, result.stderr
        events = collector.wait_for(EVENTS[name])
        assert collector.problems == []
    assert len({event.event_id for event in events}) == len(events) == EVENTS[name]


@pytest.mark.long
def test_the_shop_keeps_its_visitors_apart():
    """Threads that serve different visitors never mix up their subjects."""
    with Collector() as collector:
        run("web_shop", collector.endpoint)
        events = collector.wait_for(EVENTS["web_shop"])
    visitors = {}
    for event in events:
        visitors.setdefault(event["duid"], []).append(event)
        assert (event["p"], event["ip"]) == ("srv", "127.0.0.1")
    assert len(visitors) == 3
    for visit in visitors.values():
        assert len({(event["ua"], event.get("uid")) for event in visit}) == 1
        assert [event.event_type for event in visit] == ["pv", "pv", "se", "ue"]
        assert {entity["schema"].split("/")[1] for entity in visit[3].contexts} == {
            "transaction",
            "product",
        }
