"""What has to hold before a change is good, one session each; `.ci/run` runs them all.

`nox -f .ci/noxfile.py --list` shows them. Sessions other than `build` test the wheel that `build` made, as users get it.
What they make stands in the folder that SNOWPLOW_TRACKER_CI names, `.nox/ci` if none is named.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import List

import nox

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
WORK = Path(os.environ.get("SNOWPLOW_TRACKER_CI", CHECKOUT / ".nox" / "ci")).resolve()
PYTHONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]
# The tools and the measurements run on this one.
MAIN = os.environ.get("SNOWPLOW_TRACKER_CI_MAIN", "3.11")
ENVIRONMENTS = WORK / "environments"
# These come from `.ci/next_pythons` where the machine does not have them.
NEXT_PYTHONS = ["3.14", "3.15"]
# The job `servers` runs these: real servers and task queues.
SERVER_TESTS = [
    "tests/servers",
    "tests/integrations/test_servers.py",
    "tests/integrations/test_tasks.py",
]
# The whole suite runs on the main Python. The others run what depends most on the Python: processes and threads, sockets and
# TLS, JSON, signatures and imports, the drop-in contract; those between two others without what takes long. All eight with
# all of it would take an hour on two cores.
PYTHONS_BETWEEN = ["3.9", "3.10", "3.12", "3.13", "3.14"]
DEPENDS_ON_PYTHON = [
    "tests/compat",
    "tests/delivery/test_burst.py",
    "tests/delivery/test_interrupts.py",
    "tests/delivery/test_life.py",
    "tests/delivery/test_states.py",
    "tests/delivery/test_switched_off.py",
    "tests/drop_in",
    "tests/http",
    "tests/process",
    "tests/protocol",
    "tests/scope",
    "tests/stores/test_memory.py",
    "tests/stores/test_sqlite.py",
    "tests/surface",
    "tests/tracking",
]
DEPENDS_ON_DEPENDENCIES = [
    "tests/delivery/test_life.py",
    "tests/drop_in",
    "tests/http/test_bypass.py",
    "tests/http/test_interrupts.py",
    "tests/stores",
    "tests/surface",
    "tests/tracking",
]
# What is compiled is kept here: pytest rewrites the whole package, and tests start pytest.
TEST_ENVIRONMENT = {"SNOWPLOW_TRACKER_TEST_INSTALLED": "1", "PYTHONDONTWRITEBYTECODE": ""}
# What looks for chance at length does so on the main Python.
FEW = {"SNOWPLOW_TRACKER_TEST_FEW": "1"}
UNRELIABLE = "NOT RELIABLE: these failed once, and run once more, one at a time"
AGAIN = ["--all", "-n", "0", "--last-failed", "--last-failed-no-failures", "none"]
TEST_ARGUMENTS = ["--all", "--durations=10", *(f"--ignore={name}" for name in SERVER_TESTS)]

# The files are named: as many processes as the machine can feed have to be asked for. The values in a failed assertion are
# shown when it runs once more: to prepare that for all tests takes each process longer than many of them.
PARALLEL = [f"--numprocesses={os.cpu_count() or 1}", "--assert=plain"]
SOME = [*PARALLEL, "-m", "not slow and not alone", *DEPENDS_ON_PYTHON]
QUICK = [*PARALLEL, "-m", "not slow and not alone and not long"]
SOME_QUICK = [*QUICK, *DEPENDS_ON_PYTHON]

nox.options.envdir = str(ENVIRONMENTS)
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = True
nox.options.error_on_external_run = True
nox.options.sessions = ["build", "lint", f"tests-{MAIN}"]


def wheel() -> str:
    """Return the path of the wheel that was built."""
    found = sorted((WORK / "dist").glob("*.whl"))
    if not found:
        message = "there is no wheel: run the session 'build' first"
        raise SystemExit(message)
    return str(found[-1])


def main_environment() -> Path:
    """Return the environment of the tests on the main Python, in which other sessions run, too."""
    return ENVIRONMENTS / f"tests-{MAIN}".replace(".", "-")


def main_python() -> str:
    """Return the interpreter of that environment."""
    python = main_environment() / "bin" / "python"
    if not python.exists():
        message = (
            f"there is no environment: run the session 'tests-{MAIN}' with --install-only first"
        )
        raise SystemExit(message)
    return str(python)


def copy_of_tests(session: nox.Session) -> Path:
    """Return a fresh copy of the tests and examples without the package, which has to come from the wheel."""
    folder = WORK / "copies" / session.name.replace("/", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source = CHECKOUT / name
        if name.split("/")[0] in {"snowplow_tracker", ".ci"} or not source.is_file():
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, folder / name)
    return folder


def install(session: nox.Session, *extras: str) -> None:
    """Install the wheel, with these extras. What is imported is compiled then: that is a small part of it."""
    wanted = f"{wheel()}[{','.join(extras)}]" if extras else wheel()
    session.install("--quiet", "--no-compile", wanted)


def limited(seconds: int, *command: str) -> List[str]:
    """Return the command with a limit, after which it and what it started are ended."""
    return ["timeout", "--kill-after=10", str(seconds), *command]


@nox.session(python=MAIN)
def build(session: nox.Session) -> None:
    """Build the sdist and the wheel, twice with the same result, and look at what is in them."""
    # Other sessions shall not go on with the wheel of before.
    shutil.rmtree(main_environment(), ignore_errors=True)
    session.install("--quiet", "build>=1.2", "hatchling")
    for folder, *options in (("dist",), ("dist-again", "--no-isolation")):
        shutil.rmtree(WORK / folder, ignore_errors=True)
        arguments = [*options, "--outdir", str(WORK / folder), str(CHECKOUT)]
        session.run("python", "-m", "build", *arguments, silent=True)
    for built in sorted((WORK / "dist").iterdir()):
        if built.read_bytes() != (WORK / "dist-again" / built.name).read_bytes():
            session.error(f"{built.name} is another file when it is built again")
    install(session, "redis")
    session.chdir(CHECKOUT)
    session.run("python", ".ci/check_distributions.py", str(WORK / "dist"))


@nox.session(python=MAIN)
def lint(session: nox.Session) -> None:
    """Check the rules and the format, and the types of the package and of programs that use it as users do."""
    install(session, "dev", "redis")
    session.chdir(CHECKOUT)
    session.run("ruff", "check", "--no-cache", ".")
    session.run("ruff", "format", "--no-cache", "--check", ".")
    session.run("mypy", "--cache-dir", str(WORK / "mypy"))
    if shutil.which("node"):
        # pyright sees the installed wheel, as users do; it needs node, which not every machine has.
        session.run("pyright", "--pythonpath", str(Path(session.bin) / "python"))
        # Every public name has a type that no type checker needs to infer. Two have base classes in these packages.
        session.install("--quiet", "--no-compile", "flask", "rq")
        session.run("pyright", "--verifytypes", "snowplow_tracker", "--ignoreexternal", silent=True)
    else:
        session.warn("pyright: left out, there is no node")


def run_tests(
    session: nox.Session, *arguments: str, seconds: int = 1800, python: str = "python"
) -> None:
    """Run tests, and those that failed once more, one at a time.

    Real processes with deadlines share this machine with whatever else runs on it. What fails twice is wrong; what fails
    once is named, and to be mended too.
    """
    session.env.update(TEST_ENVIRONMENT)
    if session.python not in {MAIN, False}:
        session.env.update(FEW)
    pytest = [python, "-m", "pytest", "-q"]
    try:
        session.run(*limited(seconds, *pytest, *arguments), external=True)
    except nox.command.CommandFailed:
        session.log(UNRELIABLE)
        session.run(*limited(seconds, *pytest, *AGAIN), external=True)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on one Python."""
    install(session, "test", *(["test-libraries"] if session.python == MAIN else []))
    session.chdir(copy_of_tests(session))
    if session.posargs:
        run_tests(session, *session.posargs)
    elif session.python == MAIN:
        run_tests(session, *TEST_ARGUMENTS, "-m", "not alone")
    elif session.python in PYTHONS_BETWEEN:
        run_tests(session, *SOME_QUICK)
    else:
        run_tests(session, *TEST_ARGUMENTS, *SOME)
    if session.python == PYTHONS[0] and not session.posargs:
        run_tests(session, *QUICK)  # the second command of the README, which names this Python
        test_with_oldest_dependencies(session)


def test_with_oldest_dependencies(session: nox.Session) -> None:
    """Test with the oldest dependencies that pyproject.toml allows, on the oldest Python."""
    wanted = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    lowest = dict(re.findall(r'"(requests|redis|typing_extensions)>=([\d.]+)', wanted))
    old = [f"{name}=={version}" for name, version in lowest.items()]
    # What the tests need wants newer ones, and works with these all the same; but for typing_extensions.
    session.install("--quiet", *(each for each in old if not each.startswith("typing")))
    run_tests(session, *QUICK, *DEPENDS_ON_DEPENDENCIES)
    session.install("--quiet", *old)
    session.run("python", "-m", "snowplow_tracker", "demo")


@nox.session(python=False)
def timed_tests(session: nox.Session) -> None:
    """Run the tests that measure time. Nothing else may run meanwhile."""
    copy = copy_of_tests(session)
    session.chdir(copy)
    # To look through all the others for them takes a tenth of the time.
    paths = sorted(copy.glob("tests/**/test_*.py"))
    files = [str(path) for path in paths if "mark.alone" in path.read_text(encoding="utf-8")]
    run_tests(session, "-n", "0", "-m", "alone", *files, python=main_python())


@nox.session(python=False)
@nox.parametrize("version", NEXT_PYTHONS)
def next_tests(session: nox.Session, version: str) -> None:
    """Run the tests on a Python from Debian's next release, inside the folder that `.ci/next_pythons` makes."""
    root = Path(
        subprocess.run(
            [str(HERE / "next_pythons"), "folder"], check=True, stdout=subprocess.PIPE
        ).stdout.decode().strip()
    )  # fmt: skip
    copy = copy_of_tests(session)
    with tempfile.TemporaryDirectory(prefix="snowplow-ci.", dir=root / "tmp") as folder:
        inside = "/" + str(Path(folder).relative_to(root))
        shutil.copytree(copy, Path(folder, "copy"))
        built = shutil.copy2(wheel(), folder)
        some = SOME_QUICK if version in PYTHONS_BETWEEN else [*TEST_ARGUMENTS, *SOME]
        arguments = session.posargs or some
        script = (
            'python="$1" wheel="$2"; shift 2; '
            '"/usr/bin/python$python" -m venv env && '
            'env/bin/python -m pip install --quiet --no-compile --disable-pip-version-check "$wheel[test]" && '
            "cd copy && PATH=$PWD/../env/bin:$PATH && "
            # What names the folders of this machine has no meaning there.
            "unset REQUESTS_CA_BUNDLE CURL_CA_BUNDLE SSL_CERT_FILE SSL_CERT_DIR && "
            'if python -m pytest -q "$@"; then exit 0; fi; echo "NOT RELIABLE: these failed once"; '
            f"exec python -m pytest -q {' '.join(AGAIN)}"
        )
        session.run(
            str(HERE / "next_pythons"), "run", inside,
            "env", *(f"{name}={value}" for name, value in {**TEST_ENVIRONMENT, **FEW}.items()),
            "HOME=/root", "LANG=C.UTF-8", "TMPDIR=/tmp",
            *limited(1800, "sh", "-c", script, "sh", version, Path(built).name, *arguments),
            external=True,
        )  # fmt: skip


@nox.session(python=MAIN)
def docs(session: nox.Session) -> None:
    """Build the documentation site, without a network and without a warning."""
    install(session, "docs")
    session.chdir(CHECKOUT)
    # The tool's own news are no warning about these pages.
    session.env["NO_MKDOCS_2_WARNING"] = "1"
    config = ["--config-file", ".docs/mkdocs.yml", "--site-dir", str(WORK / "site")]
    session.run("mkdocs", "build", "--strict", "--quiet", *config)


@nox.session(python=MAIN)
def coverage(session: nox.Session) -> None:
    """Show which branches the tests run. By hand: with what it costs, `.ci/run` would take twice as long."""
    install(session, "test", "test-libraries")
    session.chdir(copy_of_tests(session))
    shutil.rmtree(WORK / "coverage", ignore_errors=True)
    (WORK / "coverage").mkdir(parents=True)
    session.env["COVERAGE_FILE"] = str(WORK / "coverage" / "data")
    run = ("python", "-m", "coverage", "run", "-m", "pytest", "-q", *TEST_ARGUMENTS)
    session.run(*run, success_codes=[0, 1])
    session.run("python", "-m", "coverage", "combine", "-q", str(WORK / "coverage"))
    session.run("python", "-m", "coverage", "report")


@nox.session(python=MAIN)
def first_command(session: nox.Session) -> None:
    """Run the demo with the package and what it needs alone, as a new user does."""
    install(session)
    session.chdir(WORK)
    session.run("python", "-W", "error", "-m", "snowplow_tracker", "demo")


@nox.session(python=False)
def examples(session: nox.Session) -> None:
    """Run each example."""
    folder = copy_of_tests(session) / "examples"
    session.chdir(folder)
    names = [path.stem for path in folder.glob("[!_]*.py")]
    names += [path.parent.name for path in folder.glob("*/__main__.py")]
    for name in sorted(names):
        session.run(*limited(120, main_python(), "-m", name), external=True)


@nox.session(python=False)
def wire_comparison(session: nox.Session) -> None:
    """Compare the requests with those of snowplow-tracker 1.1.0."""
    session.chdir(copy_of_tests(session))
    python = main_python()
    session.run(
        *limited(600, python, "-m", "tests.wire_comparison", "--ours", python), external=True
    )


@nox.session(python=False)
def fault_comparison(session: nox.Session) -> None:
    """Put the package through the short rows of the fault comparison."""
    session.chdir(copy_of_tests(session))
    comparison = (main_python(), "-m", "tests.fault_comparison", "--check")
    session.run(*limited(300, *comparison), external=True)


@nox.session(python=MAIN)
def servers(session: nox.Session) -> None:
    """Test under real servers and task queues."""
    install(session, "test", "test-servers")
    session.chdir(copy_of_tests(session))
    session.env["SNOWPLOW_TRACKER_TEST_SERVERS"] = "1"
    # They wait most of the time.
    processes = f"--numprocesses={2 * (os.cpu_count() or 1)}"
    run_tests(session, "--all", processes, *SERVER_TESTS, seconds=900)


@nox.session(python=False)
def benchmarks(session: nox.Session) -> None:
    """See that the benchmarks run."""
    session.chdir(copy_of_tests(session))
    python = main_python()
    session.run(
        *limited(300, python, "-m", "tests.benchmarks", "--smoke", "--peers", "none"),
        "--ours", python, "--cache", str(WORK / "benchmarks"),
        external=True,
    )  # fmt: skip
