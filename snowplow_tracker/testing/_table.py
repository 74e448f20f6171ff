"""A table of events for people to read."""

from __future__ import annotations

import json
import shutil
import unicodedata
from typing import Any, Iterable, List, Optional, Sequence

from snowplow_tracker.testing.records import CollectedEvent, schema_name

_TITLES = ("event", "what", "user", "entities", "id")
# The texts of these columns say the most, so they are the ones that get what width there is.
_ELASTIC = (1, 3)
_NARROWEST = 10
_GAP = "  "


def format_table(events: Iterable[CollectedEvent], width: Optional[int] = None) -> str:
    """Lay events out as a table, one line each.

    Args:
        events: the events to show.
        width: the number of columns to fill; by default that of the terminal.

    Returns:
        The lines of the table; the last one tells how many events there are.
    """
    events = list(events)
    if width is None:
        width = shutil.get_terminal_size((100, 24)).columns
    rows = [_cells(event) for event in events]
    widths = _fit([_TITLES, *rows], width)
    lines = [_line(_TITLES, widths), _line(["-" * each for each in widths], widths)]
    lines.extend(_line(row, widths) for row in rows)
    lines.append("")
    lines.append("1 event" if len(events) == 1 else f"{len(events)} events")
    return "\n".join(lines)


def _cells(event: CollectedEvent) -> List[str]:
    cells = [
        event.event_name,
        _what(event),
        str(event.get("uid", "")),
        ", ".join(schema_name(entity["schema"]) for entity in event.contexts),
        str(event.event_id)[:8],
    ]
    return [_printable(cell) for cell in cells]


def _what(event: CollectedEvent) -> str:
    if event.event_type == "ue":
        return _brief(event.data)
    if event.event_type == "se":
        names: Sequence[str] = ("se_ca", "se_ac", "se_la", "se_pr", "se_va")
    elif event.event_type in ("tr", "ti"):
        names = ("tr_id", "tr_tt", "tr_cu", "ti_id", "ti_sk", "ti_qu", "ti_pr")
    else:
        names = ("page", "url")
    return " | ".join(str(event[name]) for name in names if name in event)


def _brief(data: Any) -> str:
    if not isinstance(data, dict):
        return json.dumps(data, ensure_ascii=False)
    return ", ".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in data.items()
    )


def _fit(rows: Sequence[Sequence[str]], width: int) -> List[int]:
    widths = [max(_columns(row[index]) for row in rows) for index in range(len(_TITLES))]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    while excess > 0:
        widest = max(_ELASTIC, key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            break
        # Down to the next narrower one, so that the elastic columns share the loss.
        others = [widths[index] for index in _ELASTIC if index != widest]
        step = max(1, min(excess, widths[widest] - max([_NARROWEST, *others])))
        widths[widest] -= step
        excess -= step
    return widths


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(_fill(cell, width) for cell, width in zip(cells, widths)).rstrip()


def _fill(text: str, width: int) -> str:
    if _columns(text) > width:
        while _columns(text) > max(0, width - 3):
            text = text[:-1]
        text += "..."
    return text + " " * (width - _columns(text))


def _columns(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def _printable(text: str) -> str:
    # What arrives may hold anything, escape sequences of terminals included.
    return "".join(each if each.isprintable() else "?" for each in text)
