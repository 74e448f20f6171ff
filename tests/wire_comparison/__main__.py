"""Compare what our package sends with what snowplow-tracker 1.1.0 sends, parameter by parameter.

The same program (`scenarios.py`) runs under both, each in its own environment, against a collector
in this process. Every difference has to be listed in `allowed.py`, and every listed one has to
occur.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import venv
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
PROJECT = TESTS.parent

# So that it runs as `python -m tests.wire_comparison` and as `python tests/wire_comparison`.
sys.path.insert(0, str(TESTS))

from wire_comparison.allowed import ALLOWED, REASONS  # noqa: E402
from wire_comparison.comparison import Observation, compare, events_of, milliseconds  # noqa: E402

from support.recorder import Answer, Recorder, Request  # noqa: E402 (needs the line above)

REFERENCE = "snowplow-tracker==1.1.0"
SCENARIOS = HERE / "scenarios.py"
MARK_PATH = "/mark/"
RAISED = "the scenario raised"
TIMEOUT = 300


def make_environment(folder: Path, *requirements: str) -> Path:
    """Make a virtual environment that holds the requirements; give its interpreter."""
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / ".ready"
    if ready.exists():
        return interpreter
    venv.create(folder, with_pip=True, clear=True)
    install = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, *requirements], check=True)
    ready.touch()
    return interpreter


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--wheel-dir", str(folder), str(PROJECT)),
        ],
        check=True,
    )
    return next(folder.glob("*.whl"))


class Marked:
    """The answers of the collector, and the cutting of what arrives into scenarios."""

    def __init__(self) -> None:
        """Start before the first scenario."""
        self.observed: Dict[str, Observation] = {}
        self._current = Observation()
        self._answers: List[Any] = []

    def __call__(self, request: Request) -> Answer:
        """Answer a request, and put it where it belongs."""
        if request.path.startswith(MARK_PATH):
            self._current = self.observed[request.path[len(MARK_PATH) :]] = Observation()
            self._answers = request.document
            return 200
        self._current.requests.append(request)
        answer = self._answers.pop(0) if self._answers else 200
        return (answer[0], answer[1]) if isinstance(answer, list) else answer


def observe(
    interpreter: Path, pattern: str, *, reference: bool, checkout: bool = False
) -> Tuple[Dict[str, Observation], str]:
    """Run the scenarios under an interpreter; give what arrived, and the version that ran."""
    environment = dict(os.environ)
    if not checkout:
        # What points at a checkout must not hide what is installed.
        environment.pop("PYTHONPATH", None)
    answer = Marked()
    with Recorder(answer) as recorder, tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        subprocess.run(
            [str(interpreter), str(SCENARIOS), recorder.host, str(result), pattern],
            check=True,
            cwd=folder,
            env=environment,
            timeout=TIMEOUT,
            stdout=subprocess.DEVNULL,
        )
        report = json.loads(result.read_text(encoding="utf-8"))
    version: str = report["version"]
    if (version == "1.1.0") != reference:
        raise SystemExit(f"{interpreter} runs {version}")
    for name, seen in report["seen"].items():
        answer.observed[name].seen = seen
    return answer.observed, version


def judge(found: Dict[str, List[str]], precise: bool) -> Tuple[List[str], Counter[int]]:
    """Compare the differences that occurred with those that may; give complaints and counts."""
    complaints = []
    counts: Counter[int] = Counter()
    for name, lines in found.items():
        allowed = {line: number for number, line in ALLOWED.get(name, ())}
        for line in lines:
            if line in allowed:
                counts[allowed[line]] += 1
            else:
                complaints.append(f"{name}: not allowed\n{_wrapped(line)}")
        for line, number in allowed.items():
            if line not in lines:
                complaints.append(f"{name}: {number} no longer occurs\n{_wrapped(line)}")
    if precise:
        complaints += [
            f"{name}: allowed for a scenario that does not exist"
            for name in sorted(set(ALLOWED) - set(found))
        ]
        complaints += [
            f"difference {number} occurs nowhere" for number in sorted(set(REASONS) - set(counts))
        ]
    return complaints, counts


def _wrapped(line: str) -> str:
    where, _, values = line.partition(": ")
    old, _, new = values.partition(" -> ")
    shown = (("where", where), ("1.1.0", old), ("ours", new))
    return "\n".join(
        textwrap.fill(f"{label:>7}  {text}", 110, subsequent_indent=" " * 9)
        for label, text in shown
    )


def whole_seconds(observed: Dict[str, Observation]) -> str:
    """How precise the sent time stamps of a run are."""
    stamps = milliseconds(observed, "stm")
    return "whole seconds" if all(stamp % 1000 == 0 for stamp in stamps) else "milliseconds"


def main(arguments: Sequence[str]) -> int:
    """Run the comparison and print what it found."""
    parser = argparse.ArgumentParser(prog="wire_comparison", description=__doc__)
    parser.add_argument("--cache", type=Path, help="where to keep the environments between runs")
    parser.add_argument("--ours", type=Path, help="interpreter that imports our package")
    parser.add_argument("--reference", type=Path, help="interpreter that imports 1.1.0")
    parser.add_argument("--only", default="*", help="run only scenarios that match this pattern")
    parser.add_argument("--raw", action="store_true", help="print differences as lines of a list")
    options = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.cache or Path(temporary)
        theirs = options.reference or make_environment(folder / "snowplow-tracker-1.1.0", REFERENCE)
        # Ours is made anew each time: a kept one would test yesterday's wheel.
        ours = options.ours or make_environment(
            Path(temporary) / "ours", str(build_wheel(Path(temporary)))
        )
        old, old_version = observe(theirs, options.only, reference=True)
        new, new_version = observe(
            ours, options.only, reference=False, checkout=options.ours is not None
        )

    names = [name for name in old if fnmatch.fnmatch(name, options.only)]
    found = compare(names, old, new, (old_version, new_version))
    if options.only == "*":
        precision = whole_seconds(old), whole_seconds(new)
        found["every stm"] = [] if precision[0] == precision[1] else [" -> ".join(precision)]
    broken = [
        f"{name} in {version}: {RAISED}\n{each[name].seen[RAISED]}"
        for version, each in ((old_version, old), (new_version, new))
        for name in names
        if isinstance(each[name].seen, dict) and RAISED in each[name].seen
    ]
    complaints, counts = judge(found, precise=options.only == "*")
    if options.raw:
        for name, lines in found.items():
            for line in lines:
                print(f"{name}\t{line}")
        return 0
    report(old, new, (old_version, new_version), names, counts)
    for complaint in broken + complaints:
        print(f"\nFAILED {complaint}")
    print(
        f"\n{len(broken + complaints)} problems"
        if broken + complaints
        else "\nAll as it has to be."
    )
    return 1 if broken or complaints else 0


def report(
    old: Dict[str, Observation],
    new: Dict[str, Observation],
    versions: Tuple[str, str],
    names: Sequence[str],
    counts: Counter[int],
) -> None:
    """Print the summary: what was compared, and which differences occurred how often."""
    print(f"{'':28}{versions[0]:>10}{versions[1]:>10}")
    print(f"{'scenarios':28}{len(names):>10}{len(names):>10}")
    for label, count in (
        ("requests", lambda each: len(each.requests)),
        ("events", lambda each: sum(len(events_of(r)) for r in each.requests)),
        (
            "parameters",
            lambda each: sum(len(e) for r in each.requests for e in events_of(r)),
        ),
    ):
        totals = [sum(count(side[name]) for name in names) for side in (old, new)]
        print(f"{label:28}{totals[0]:>10}{totals[1]:>10}")
    if counts:
        print("\nDifferences on purpose, by their number in the contract:")
    for number, times in sorted(counts.items()):
        print(f"{number:>4}  {times:>4} times  {REASONS.get(number, '(no reason given)')}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
