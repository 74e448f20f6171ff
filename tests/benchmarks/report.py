"""What was measured, as lines of a table and as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any, Dict, List, Optional, Sequence

OLD = "1.1.0"
OURS = "ours"
FLOOR = "floor"


@dataclasses.dataclass
class Line:
    """One measure.

    Attributes:
        row: The number of the row that it belongs to.
        measure: What was measured.
        unit: In which unit.
        samples: What each run gave, for 1.1.0, ours, the floor and the peers.
        bar: What ours may be, at most: times the baseline, or in the unit if `absolute`.
        absolute: As said.
        at_least: The bar is a minimum.
        baseline: What ours is compared with where that is not 1.1.0.
        note: What a reader has to know.
    """

    row: str
    measure: str
    unit: str
    samples: Dict[str, List[float]]
    bar: Optional[float] = None
    absolute: bool = False
    at_least: bool = False
    baseline: Optional[float] = None
    note: str = ""

    def value(self, name: str) -> Optional[float]:
        """Give the median of the runs."""
        samples = self.samples.get(name)
        return statistics.median(samples) if samples else None

    @property
    def ratio(self) -> Optional[float]:
        """Ours as a multiple of the baseline."""
        ours = self.value(OURS)
        baseline = self.value(OLD) if self.baseline is None else self.baseline
        return ours / baseline if ours is not None and baseline else None

    @property
    def met(self) -> Optional[bool]:
        """Whether ours is within the bar; None if there is none, or nothing to compare."""
        value = self.value(OURS) if self.absolute else self.ratio
        if self.bar is None or value is None:
            return None
        return value >= self.bar if self.at_least else value <= self.bar

    def as_json(self) -> Dict[str, Any]:
        """Give all of it, with what is worked out from it."""
        medians = {name: self.value(name) for name in self.samples}
        return {
            **dataclasses.asdict(self),
            "medians": medians,
            "ratio": self.ratio,
            "met": self.met,
        }


def table(lines: Sequence[Line], peers: Sequence[str]) -> str:
    """Lay the lines out: first ours against 1.1.0, then the peers where they were measured."""
    head = ["row", "measure", "unit", OLD, OURS, "ratio", "bar", "met", FLOOR]
    rows = [head]
    for line in lines:
        met = {None: "", True: "yes", False: "NO"}[line.met]
        rows.append([
            *(line.row, line.measure, line.unit),
            *(_number(line.value(OLD)), _number(line.value(OURS))),
            *(_number(line.ratio), _bar(line), met, _number(line.value(FLOOR))),
        ])  # fmt: skip
    parts = [_aligned(rows)]
    compared = [line for line in lines if any(line.samples.get(peer) for peer in peers)]
    if compared:
        rows = [["row", "unit", OLD, OURS, FLOOR, *peers]]
        for line in compared:
            values = [_number(line.value(name)) for name in (OLD, OURS, FLOOR, *peers)]
            rows.append([line.row, line.unit, *values])
        parts.append(_aligned(rows))
    notes = [f"{line.row}, {line.measure}: {line.note}" for line in lines if line.note]
    if notes:
        parts.append("\n".join(notes))
    return "\n\n".join(parts)


def _bar(line: Line) -> str:
    if line.bar is None:
        return ""
    sign = ">=" if line.at_least else "<="
    return f"{sign} {_number(line.bar)}" + ("" if line.absolute else "x")


def _number(value: Optional[float]) -> str:
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
    return f"{value:.{digits}f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    texts = ("row", "measure", "unit", "met")
    left = [name in texts for name in rows[0]]
    lines = [
        "  ".join(
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(row, widths, left)
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)
