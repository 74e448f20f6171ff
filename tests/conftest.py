"""What every test run has: it says which package it tests, and it never leaves this machine."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
import sysconfig
from collections import Counter
from pathlib import Path
from typing import Generator, List

import hypothesis
import pytest

import snowplow_tracker
from support import locks
from support.inside import locking, parameters
from support.repetitions import FEW, repetitions
from support.turns import turn

# Set by CI: the wheel that users get has to be what is tested, not a checkout that is on the path too.
MUST_BE_INSTALLED = "SNOWPLOW_TRACKER_TEST_INSTALLED"

_package = Path(snowplow_tracker.__file__).resolve().parent
_refused_addresses: List[str] = []


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes run the tests: none beside this one for single tests and files.

    Most tests wait for something, so that a processor serves two of them.
    """
    chosen = os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS")
    if chosen:
        return int(chosen)
    if all(".py" in argument for argument in config.args):
        return 0
    return 2 * (os.cpu_count() or 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the tests that take long, too")


def _leaves_out_long_tests(config: pytest.Config) -> bool:
    """Whether only quick tests run: where nobody asked for all, or for certain ones."""
    chosen = config.option.all or config.option.markexpr or config.option.keyword
    return not chosen and not any(".py" in argument for argument in config.args)


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many random examples there are, before the tests are imported, which ask for it."""
    if _leaves_out_long_tests(config):
        os.environ.setdefault(FEW, "1")
    # How long a machine takes that is busy with other tests says nothing about the code. The examples are the same in each
    # run, so that a change is not blamed for what another one did; SNOWPLOW_TRACKER_RANDOM=1 looks for new ones.
    hypothesis.settings.register_profile(
        "tests",
        max_examples=repetitions(100),
        deadline=None,
        derandomize=not os.environ.get("SNOWPLOW_TRACKER_RANDOM"),
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("tests")


def pytest_report_header() -> List[str]:
    return [f"snowplow_tracker {snowplow_tracker.__version__} from {_package}"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not tested where nobody can overlook it."""
    if _leaves_out_long_tests(terminalreporter.config):
        terminalreporter.section("LONG TESTS WERE LEFT OUT", sep="!", bold=True)
        terminalreporter.line(
            "They take minutes; pytest --all runs them, too, as CI does, and more random examples.",
            bold=True,
        )
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in reasons.items():
        terminalreporter.section("NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(f"{count} tests did not run: {reason}", red=True, bold=True)


def pytest_sessionstart() -> None:
    # A shell has what it starts in the background ignore interrupts, and nohup the end of the terminal; and so would the
    # programs that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    site_packages = Path(sysconfig.get_path("purelib")).resolve()
    if os.environ.get(MUST_BE_INSTALLED) and site_packages not in _package.parents:
        pytest.exit(
            f"{MUST_BE_INSTALLED} is set, but snowplow_tracker comes from {_package}",
            returncode=pytest.ExitCode.USAGE_ERROR,
        )


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Leave out long tests; run those that want to be alone at the end: they wait for those of the other processes."""
    if _leaves_out_long_tests(config):
        left_out = [item for item in items if _wants_to_be_alone(item) or _is_long(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not (_wants_to_be_alone(item) or _is_long(item))]
    items.sort(key=_wants_to_be_alone)


def _is_long(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("long", "slow"))


def _wants_to_be_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run tests that measure time while no other test runs. Outside of their time limit."""
    with turn(alone=_wants_to_be_alone(item)):
        return (yield)


def _is_on_this_machine(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("idna")
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


def _refuse_the_outside_world(event: str, args: tuple) -> None:
    """Stop name look-ups and connections that would leave this machine.

    An audit hook also sees the sockets of C code and of monkey patches, where replacing a function
    would not.
    """
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    if _is_on_this_machine(host):
        return
    # RFC 6761 promises that names under "invalid" lead nowhere: tests use them to see that failure.
    if not str(host).endswith(".invalid"):
        _refused_addresses.append(str(host))
    raise socket.gaierror(socket.EAI_NONAME, "tests do not leave this machine")


sys.addaudithook(_refuse_the_outside_world)
locks.watch()


@pytest.fixture(autouse=True)
def stays_on_this_machine():
    """Fail the test that tried to reach another machine, whoever caught the error."""
    del _refused_addresses[:]
    yield
    assert not _refused_addresses, "the test tried to reach other machines"


@pytest.fixture(autouse=True)
def _locks_keep_to_their_rules(request, monkeypatch):
    """Fail the test in which a lock was taken out of its order, or something slow was done under one.

    Not where interrupts are the subject: a lock in Python may be left behind by one, as those of the package are not.
    """
    if "interrupt" not in request.node.nodeid and "signal" not in request.node.nodeid:
        monkeypatch.setattr(locking, "lock_class", locks.CheckedLock)
    del locks.violations[:]
    yield
    assert not locks.violations, "a rule of the locks was broken"


@pytest.fixture(autouse=True)
def _nothing_was_warned_of_yet(monkeypatch):
    """What is logged once per process is logged once per test."""
    monkeypatch.setattr(parameters, "_warned", set())
    monkeypatch.setattr(parameters, "recent_origins", ())
    parameters.known_schemas.clear()
