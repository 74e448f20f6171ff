"""Measure our package against snowplow-tracker 1.1.0, other libraries, and the standard library alone.

Every number is the median of alternating runs in processes of their own, against a collector in a process of its own.
`python -m tests.benchmarks` makes the environments at its first run and keeps them.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

from .environments import PEERS, PROJECT, Certificate, CommandError, Environments
from .report import OLD, OURS, Line, table
from .rows import IMPORTING, PROFILED, ROWS, SMOKE, Bench, Sizes
from .running import PROGRAMS, collecting, execute, import_times

DEFAULT_CACHE = PROJECT / "benchmark-results" / "environments"


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; give the exit status. A slow machine is no reason for another than 0."""
    options = _parser().parse_args(arguments)
    cache: Path = options.cache
    cache.mkdir(parents=True, exist_ok=True)
    problems: List[str] = []
    wanted = [] if options.smoke or options.profile else options.peers
    pythons = _environments(Environments(cache, options.python), wanted, problems, options)
    certificate = Certificate(cache, pythons[OLD])
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        bench = Bench(
            pythons,
            certificate.file,
            certificate.bundle,
            Path(folder),
            1 if options.smoke else options.runs,
            SMOKE if options.smoke else Sizes(),
            _say,
        )
        if options.profile:
            return _profile(bench, options.profile, options.sort)
        lines: List[Line] = []
        for row in options.rows:
            lines.extend(bench.row(row))
            if options.smoke:
                # Sizes at which numbers say nothing: showing them beside a bar would mislead.
                lines = [dataclasses.replace(line, bar=None) for line in lines]
            if options.json:
                _write(options.json, bench, lines, problems)
    print(_machine_text(bench))
    print()
    print(table(lines, bench.peers))
    for problem in problems + bench.problems:
        print(f"\nPROBLEM {problem}")
    ours = [text for text in bench.problems if f": {OLD}: " in text or f": {OURS}: " in text]
    return 1 if ours else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--rows",
        type=_row_names,
        default=list(ROWS),
        metavar="1,2,...",
        help=f"of {', '.join(ROWS)}",
    )
    parser.add_argument("--runs", type=int, default=5, help="alternating runs of each (default 5)")
    parser.add_argument(
        "--peers", type=_peer_names, default=list(PEERS), metavar="A,B", help="or none; default all"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="keeps the environments")
    parser.add_argument("--python", default=sys.executable, help="makes the environments")
    parser.add_argument("--ours", metavar="PYTHON", help="has our package; default: one is made")
    parser.add_argument("--smoke", action="store_true", help="tiny: does every program run?")
    parser.add_argument(
        "--profile",
        choices=[*PROFILED, *IMPORTING],
        metavar="ROW",
        help="show where ours spends its time",
    )
    parser.add_argument("--sort", default="tottime", help="how the profile is sorted")
    return parser


def _row_names(text: str) -> List[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such row: {', '.join(unknown)}")
    return names


def _peer_names(text: str) -> List[str]:
    names = [] if text == "none" else text.split(",")
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such peer: {', '.join(unknown)}")
    return names


def _environments(
    environments: Environments, peers: Sequence[str], problems: List[str], options: Any
) -> Dict[str, str]:
    _say("making the environments")
    try:
        pythons = {OLD: environments.reference(), OURS: options.ours or environments.ours()}
    except CommandError as error:
        raise SystemExit(f"An environment could not be made.\n{error}") from None
    for peer in peers:
        try:
            pythons[peer] = environments.peer(peer)
        except CommandError as error:
            problems.append(f"{peer} does not install, and is left out.\n{error}")
    return pythons


def _profile(bench: Bench, row: str, order: str) -> int:
    if row in IMPORTING:
        program, fixed = IMPORTING[row]
        with collecting() as collector:
            collector.ask("open")
            arguments = fixed or (str(collector.ports["port"]), "http")
            print(import_times(bench.pythons[OURS], program, arguments, bench.variables))
        return 0
    program, options = PROFILED[row]
    certificate = bench.certificate if options.get("protocol") == "https" else None
    with collecting(certificate) as collector:
        text = json.dumps({**options, **collector.ports, "folder": str(bench.folder)})
        arguments = [str(PROGRAMS / program), text, order]
        print(execute(bench.pythons[OURS], "profiled.py", arguments, bench.variables))
    return 0


def _write(path: Path, bench: Bench, lines: Sequence[Line], problems: Sequence[str]) -> None:
    document = {
        "machine": _machine(bench),
        "lines": [line.as_json() for line in lines],
        "problems": [*problems, *bench.problems],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")


def _machine(bench: Bench) -> Dict[str, Any]:
    version = subprocess.run(
        [bench.pythons[OURS], "-c", "import platform; print(platform.python_version())"],
        capture_output=True,
        text=True,
        check=True,
    )
    machine: Dict[str, Any] = {
        "python": version.stdout.strip(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "runs": bench.runs,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    with contextlib.suppress(OSError, AttributeError):
        machine["load"] = os.getloadavg()
    return machine


def _machine_text(bench: Bench) -> str:
    machine = _machine(bench)
    load = ", ".join(f"{each:.1f}" for each in machine.get("load", ()))
    return (
        f"Python {machine['python']}, {machine['platform']}, {machine['processors']} processors"
        f" (load {load}), median of {machine['runs']} alternating runs"
    )


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
