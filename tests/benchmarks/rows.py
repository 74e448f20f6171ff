"""The rows of the benchmark: what each measures, with which program, and what is asked of it."""

from __future__ import annotations

import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from . import running
from .environments import variables
from .report import FLOOR, OLD, OURS, Line
from .running import ProgramError, Result, collecting

MAIN = (OLD, OURS)

PEER_MODULES = {
    "mixpanel": "mixpanel",
    "segment": "segment.analytics",
    "rudder": "rudderstack.analytics",
    "posthog": "posthog",
    "amplitude": "amplitude",
    "opentelemetry": "opentelemetry.sdk.trace.export",
    "sentry": "sentry_sdk",
}


@dataclasses.dataclass
class Sizes:
    """How much of everything is measured."""

    tracked: int = 50_000
    delivered: int = 50_000
    old_over_tls: int = 2_000
    peers_tracked: int = 20_000
    peers_delivered: int = 20_000
    sentry_delivered: int = 2_000
    latency_tight: int = 50_000
    latency_paced: int = 10_000
    latency_rate: int = 2_000
    recovering: int = 50_000
    imports: int = 7
    remembered: int = 50_000
    drained: int = 50_000
    starts: int = 5
    lengths: Sequence[int] = (1_000, 10_000, 100_000, 1_000_000)
    stored: int = 20_000
    disk_seconds: float = 1.0


SMOKE = Sizes(
    tracked=200,
    delivered=200,
    old_over_tls=40,
    latency_tight=100,
    latency_paced=50,
    recovering=100,
    imports=1,
    remembered=200,
    drained=200,
    starts=1,
    lengths=(100, 1_000),
    stored=200,
    disk_seconds=0.1,
)


class Bench:
    """What the rows have in common.

    Args:
        pythons: An interpreter for 1.1.0, ours and each peer that installed.
        certificate: Of the collector.
        bundle: What makes clients trust it.
        folder: For files that a row needs.
        runs: How often each is measured, by turns.
        sizes: How much of everything.
        progress: Told what goes on.
    """

    def __init__(
        self,
        pythons: Mapping[str, str],
        certificate: Path,
        bundle: Path,
        folder: Path,
        runs: int,
        sizes: Sizes,
        progress: Callable[[str], None],
    ) -> None:
        self.pythons = {**pythons, FLOOR: pythons[OURS]}
        self.peers = [name for name in pythons if name not in MAIN]
        self.certificate = certificate
        self.variables = variables(bundle)
        self.folder = folder
        self.runs = runs
        self.sizes = sizes
        self.problems: List[str] = []
        self._progress = progress
        self._row = ""

    def row(self, number: str) -> List[Line]:
        """Measure a row."""
        self._row = number
        return ROWS[number](self)

    def run(self, name: str, program: str, options: Result) -> Any:
        """Run a program in the environment of `name`; give its result."""
        output = running.execute(self.pythons[name], program, [json.dumps(options)], self.variables)
        return json.loads(output.splitlines()[-1])

    def deliver(self, name: str, program: str, options: Result) -> Any:
        """Run a program with a collector of its own."""
        certificate = self.certificate if options.get("protocol") == "https" else None
        with collecting(certificate) as collector:
            return self.run(name, program, {**options, **collector.ports})

    def alternate(
        self, names: Sequence[str], measure: Callable[[str], Optional[Result]]
    ) -> Dict[str, List[Result]]:
        """Measure each of the names by turns."""
        return running.alternate(
            names,
            self.runs,
            measure,
            lambda text: self._progress(f"row {self._row}: {text}"),
            lambda text: self.problems.append(f"row {self._row}: {text}"),
        )


def _samples(results: Mapping[str, List[Result]], field: str) -> Dict[str, List[float]]:
    return {name: [each[field] for each in found] for name, found in results.items() if found}


def _tracking(kind: str, number: str, measure: str, bar: float) -> Callable[[Bench], List[Line]]:
    def row(bench: Bench) -> List[Line]:
        def once(name: str) -> Result:
            result: Result
            if name == FLOOR:
                options = {"row": kind, "events": bench.sizes.tracked}
                result = bench.run(name, "floor.py", options)
            elif name in MAIN:
                options = {"kind": kind, "events": bench.sizes.tracked}
                result = bench.run(name, "track_cost.py", options)
            else:
                options = {"peer": name, "kind": kind, "events": bench.sizes.peers_tracked}
                result = bench.run(name, "peers.py", options)
            return result

        results = bench.alternate([*MAIN, FLOOR, *bench.peers], once)
        return [Line(number, measure, "µs CPU", _samples(results, "cpu"), bar)]

    return row


def _row_3(bench: Bench) -> List[Line]:
    return [_threads(bench, kind) for kind in ("small", "rich")]


def _threads(bench: Bench, kind: str) -> Line:
    """Compare four threads with one, run by run: machines drift by more than the two differ."""

    def once(name: str) -> Result:
        # Twice as many as elsewhere, since the two are nearly equal.
        options = {"kind": kind, "events": 2 * bench.sizes.tracked, "row": "threads"}
        program = "floor.py" if name == FLOOR else "track_cost.py"
        alone = bench.run(name, program, {**options, "threads": 1})["wall"]
        together = bench.run(name, program, {**options, "threads": 4})["wall"]
        return {"alone": alone, "together": together, "ratio": together / alone}

    results = bench.alternate([*MAIN, FLOOR], once)
    alone, together = _samples(results, "alone"), _samples(results, "together")
    times = ", ".join(
        f"{name} {statistics.median(alone[name]):.1f} and {statistics.median(together[name]):.1f} µs"
        for name in alone
    )
    return Line(
        "3",
        f"wall from 4 threads / from 1, {kind}",
        "times",
        _samples(results, "ratio"),
        1.0,
        absolute=True,
        note=f"{times}; the floor's threads share nothing but the interpreter",
    )


def _delivery(
    number: str, measure: str, emitter: str, protocol: str, bar: float
) -> Callable[[Bench], List[Line]]:
    def events_for(bench: Bench, name: str) -> int:
        if name == OLD and protocol == "https":
            return bench.sizes.old_over_tls
        if name in MAIN or name == FLOOR:
            return bench.sizes.delivered
        return bench.sizes.sentry_delivered if name == "sentry" else bench.sizes.peers_delivered

    def row(bench: Bench) -> List[Line]:
        def once(name: str) -> Result:
            options: Result = {"protocol": protocol, "events": events_for(bench, name)}
            result: Result
            if name == FLOOR:
                batch = 500 if emitter == "async" else 10
                result = bench.deliver(
                    name,
                    "floor.py",
                    {"row": "deliver", "batch": min(batch, options["events"]), **options},
                )
            elif name in MAIN:
                result = bench.deliver(name, "end_to_end.py", {"emitter": emitter, **options})
            else:
                options.update(peer=name, kind="small")
                result = bench.deliver(name, "peers.py", options)
            if not result.get("complete", True):
                came = f"{result['distinct']} of {options['events']} events arrived"
                raise ProgramError(f"does not count: {came}, {result['events']} with repeats")
            return result

        peers = bench.peers if emitter == "async" else []
        results = bench.alternate([*MAIN, FLOOR, *peers], once)
        connections = [
            f"{name} {found[0]['requests']:,} requests over {found[0]['connections']:,}"
            f" connection(s) for {events_for(bench, name):,} events"
            for name, found in results.items()
            if name in MAIN and found
        ]
        note = "; ".join(connections)
        return [Line(number, measure, "µs CPU", _samples(results, "cpu"), bar, note=note)]

    return row


def _row_8(bench: Bench) -> List[Line]:
    return _latency(bench, "8", pinned=False)


def _row_8_pinned(bench: Bench) -> List[Line]:
    return _latency(bench, "8p", pinned=True)


def _latency(bench: Bench, number: str, *, pinned: bool) -> List[Line]:
    lines = []
    sizes = bench.sizes
    for rate in (0, sizes.latency_rate):
        pace = f"{rate:,}/s" if rate else "as fast as it goes"
        for scenario in ("healthy", "slow", "dead", "recovery"):
            options = {
                "scenario": scenario,
                "rate": rate,
                "events": sizes.latency_paced if rate else sizes.latency_tight,
                "queued": sizes.recovering,
                "capacity": 200_000,
                "pinned": pinned,
            }

            def once(name: str, options: Result = options) -> Result:
                if name == FLOOR:
                    options, name = {**options, "scenario": "machine"}, OURS
                result: Result = bench.deliver(name, "latency.py", options)
                return result

            results = bench.alternate([*MAIN, FLOOR], once)
            others = [
                f"{name} "
                + ", ".join(
                    f"{field} {statistics.median(each[field] for each in found):,.0f}"
                    for field in ("p50", "p99", "max")
                )
                for name, found in results.items()
                if found
            ]
            lines.append(
                Line(
                    number,
                    f"p99.9 of track(), {scenario}, {pace}{', one processor' if pinned else ''}",
                    "µs wall",
                    _samples(results, "p99.9"),
                    1_000,
                    absolute=True,
                    note="; ".join(others),
                )
            )
    return lines


def _row_9(bench: Bench) -> List[Line]:
    modules = {OLD: "snowplow_tracker", OURS: "snowplow_tracker", **PEER_MODULES}

    def once(name: str) -> Result:
        names = "json uuid threading" if name == FLOOR else modules[name]
        python = bench.pythons[name]
        bare, full = [], []
        for _ in range(bench.sizes.imports):
            bare.append(running.timed(python, "import_module.py", (), bench.variables))
            full.append(running.timed(python, "import_module.py", names.split(), bench.variables))
        # Whatever else the machine does makes a start longer, never shorter.
        return {
            field: min(each[field] for each in full) - min(each[field] for each in bare)
            for field in ("cpu", "wall")
        }

    results = bench.alternate([*MAIN, FLOOR, *bench.peers], once)
    return [
        Line("9", "import, over a bare interpreter", f"ms {field}", _samples(results, field), bar)
        for field, bar in (("cpu", 0.3), ("wall", None))
    ]


def _row_10(bench: Bench) -> List[Line]:
    lines = []
    for kind in ("small", "rich"):
        for exact, how in ((True, "allocated"), (False, "of the process")):
            options = {"kind": kind, "events": bench.sizes.remembered, "exact": exact}

            def once(name: str, options: Result = options) -> Result:
                result: Result = bench.run(name, "memory.py", options)
                return result

            samples = _samples(bench.alternate(MAIN, once), "bytes")
            lines.append(
                Line("10", f"memory per queued {kind} event, {how}", "bytes", samples, 0.6)
            )
    return lines


def _row_11(bench: Bench) -> List[Line]:
    count = bench.sizes.drained

    def once(name: str) -> Result:
        result: Result = bench.deliver(name, "drain.py", {"events": count, "patience": 15})
        if name == OURS and not result["complete"]:
            bench.problems.append(f"row 11: {result['distinct']} of {count} arrived")
        return result

    results = bench.alternate(MAIN, once)
    came = [
        f"{name}: {found[0]['distinct']:,} arrived in {found[0]['requests']:,} requests,"
        f" {found[0]['oversized']} requests were thrown away as too large,"
        f" {found[0]['repeated']:,} events came again"
        for name, found in results.items()
        if found
    ]
    return [
        Line(
            "11",
            f"drain {count:,} events after an outage",
            "ms wall",
            _samples(results, "wall"),
            0.1,
            note="; ".join(came),
        )
    ]


def _row_12(bench: Bench) -> List[Line]:
    lines = []
    for protocol in ("http", "https"):

        def once(name: str, protocol: str = protocol) -> Result:
            program = "cold_start_floor.py" if name == FLOOR else "cold_start.py"
            certificate = bench.certificate if protocol == "https" else None
            with collecting(certificate) as collector:
                collector.ask("open")
                arguments = [str(collector.ports["port"]), protocol]
                starts = [
                    running.timed(bench.pythons[name], program, arguments, bench.variables)
                    for _ in range(bench.sizes.starts)
                ]
                if collector.ask("count")["events"] != len(starts):
                    raise ProgramError("an event did not arrive")
            return {
                field: statistics.median(each[field] for each in starts)
                for field in ("wall", "cpu")
            }

        samples = _samples(bench.alternate([*MAIN, FLOOR], once), "wall")
        measure = f"one event, cold start to exit, {protocol}"
        lines.append(Line("12", measure, "ms wall", samples, 0.6))
    return lines


def _row_13(bench: Bench) -> List[Line]:
    lengths = [str(length) for length in bench.sizes.lengths]
    options = {"kind": "small", "windows": list(bench.sizes.lengths)}

    def once(name: str) -> Result:
        result: Result = bench.run(name, "track_cost.py", options)
        return result

    results = bench.alternate(MAIN, once)
    lines = []
    for length in lengths[1:]:
        first = _samples(results, lengths[0]).get(OURS)
        lines.append(
            Line(
                "13",
                f"track() with {int(length):,} queued",
                "µs CPU",
                _samples(results, length),
                1.2,
                baseline=statistics.median(first) if first else None,
                note=f"compared with ours at {int(lengths[0]):,} queued",
            )
        )
    return lines


def _stores(bench: Bench) -> List[Line]:
    stores = ("memory", "sqlite", "sqlite-machine", "redis")
    with running.redis_server(bench.folder) as url:

        def once(name: str) -> Optional[Result]:
            result: Optional[Result]
            if name == "disk":
                options: Result = {"row": "disk", "seconds": bench.sizes.disk_seconds}
                result = bench.run(FLOOR, "floor.py", {**options, "folder": str(bench.folder)})
            else:
                count = bench.sizes.stored // (10 if name == "sqlite-machine" else 1)
                options = {"store": name, "events": count, "redis": url}
                options["folder"] = str(bench.folder)
                result = bench.deliver(OURS, "stores.py", options)
                if result is not None and not result["complete"]:
                    bench.problems.append(f"stores: not all events left the store {name}")
            for file in bench.folder.glob("queue-*"):
                file.unlink()
            return result

        results = bench.alternate([*stores, "disk"], once)
    medians = {
        name: {
            field: statistics.median(each[field] for each in found)
            for field in found[0]
            if isinstance(found[0][field], float)
        }
        for name, found in results.items()
        if found
    }
    disk = f"{medians['disk']['rate']:,.0f} times a second this disk keeps 300 bytes for good"
    lines = []
    for name in stores:
        if name not in medians:
            continue
        for field, measure, unit in (
            ("added", f"{name} store, add", "events/s"),
            ("taken", f"{name} store, take and settle", "events/s"),
            ("drained", f"{name} store, drain to a collector", "events/s"),
            ("bytes", f"{name} store, per queued event", "bytes"),
        ):
            line = Line("stores", measure, unit, {OURS: [each[field] for each in results[name]]})
            if name != "memory" and "memory" in medians:
                line.baseline = medians["memory"][field]
            if name == "sqlite-machine" and field == "added":
                line.note = disk
            if name == "sqlite" and field == "added":
                line.bar, line.absolute, line.at_least, line.note = 20_000, True, True, disk
            if name == "sqlite" and field == "drained":
                line.bar, line.at_least = 0.5, True
            lines.append(line)
    return lines


ROWS: Dict[str, Callable[[Bench], List[Line]]] = {
    "1": _tracking("small", "1", "track(PageView(...)), caller", 0.5),
    "2": _tracking("rich", "2", "track() of a rich event, caller", 0.6),
    "3": _row_3,
    "4": _delivery("4", "event delivered, AsyncEmitter, http", "async", "http", 0.1),
    "5": _delivery("5", "event delivered, AsyncEmitter, https", "async", "https", 0.006),
    "6": _delivery("6", "event delivered, Emitter, https", "sync", "https", 0.02),
    "7": _delivery("7", "event delivered, Emitter, http", "sync", "http", 0.35),
    "8": _row_8,
    "8p": _row_8_pinned,
    "9": _row_9,
    "10": _row_10,
    "11": _row_11,
    "12": _row_12,
    "13": _row_13,
    "stores": _stores,
}

PROFILED: Dict[str, Any] = {
    "1": ("track_cost.py", {"kind": "small", "events": 50_000}),
    "2": ("track_cost.py", {"kind": "rich", "events": 50_000}),
    "3": ("track_cost.py", {"kind": "small", "events": 50_000, "threads": 4}),
    "4": ("end_to_end.py", {"emitter": "async", "protocol": "http", "events": 50_000}),
    "5": ("end_to_end.py", {"emitter": "async", "protocol": "https", "events": 50_000}),
    "6": ("end_to_end.py", {"emitter": "sync", "protocol": "https", "events": 20_000}),
    "7": ("end_to_end.py", {"emitter": "sync", "protocol": "http", "events": 20_000}),
    "8": (
        "latency.py",
        {"scenario": "recovery", "rate": 0, "events": 50_000, "queued": 50_000},
    ),
    "11": ("drain.py", {"events": 50_000, "patience": 15}),
    "13": ("track_cost.py", {"kind": "small", "windows": [1_000, 100_000]}),
    "stores": ("stores.py", {"store": "sqlite", "events": 20_000}),
}
"""What the profiler runs for a row."""

IMPORTING = {"9": ("import_module.py", ("snowplow_tracker",)), "12": ("cold_start.py", ())}
"""What is run with ``-X importtime`` for a row that is about imports."""
