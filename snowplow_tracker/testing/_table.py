"""A human-readable table of events."""

from __future__ import annotations

import itertools
import json
import shutil
import unicodedata
from typing import Any, Iterable, List, Optional, Sequence

from snowplow_tracker._delivery.options import is_disabled_by_environment
from snowplow_tracker._messages import events_text
from snowplow_tracker.testing.records import CollectedEvent, schema_name

_TITLES = ("event", "what", "user", "entities", "id")
_NARROWEST = 10
# These columns are as wide as their content, up to this limit.
_CAPS = {0: 24, 2: 16}
_GAP = "  "
# Longer text is cut before it is measured: no terminal is so wide.
_MAX_CELL = 1_000
_DEFAULT_SIZE = (100, 24)


def off_hint() -> str:
    """Return the reason why there are no events at all, if tracking is switched off; otherwise nothing."""
    if not is_disabled_by_environment():
        return ""
    return (
        "\nSNOWPLOW_DISABLED=1 is set in the environment: emitters send nothing, and only a RecordingEmitter gets "
        "events. Unset it for tests, for example with monkeypatch.delenv, before the emitter is made."
    )


def format_table(events: Iterable[CollectedEvent], width: Optional[int] = None) -> str:
    """Lay events out as a table, one line each.

    Args:
        events: the events to show.
        width: the number of columns; by default that of the terminal.

    Returns:
        The lines of the table; the last one contains the number of events.
    """
    events = list(events)
    return "\n".join([*table_lines(events, width), "", events_text(len(events))])


def table_lines(
    events: Sequence[CollectedEvent],
    width: Optional[int] = None,
    labels: Optional[Sequence[str]] = None,
) -> List[str]:
    """Lay events out as the lines of a table, by default as wide as the terminal, with a label before each event."""
    if width is None:
        width = shutil.get_terminal_size(_DEFAULT_SIZE).columns
    margin = max(map(len, labels)) + len(_GAP) if labels else 0
    rows = [_cells(event) for event in events]
    widths = _fit([_TITLES, *rows], width - margin)
    lines = [" " * margin + each for each in header_lines(_TITLES, widths)]
    for number, row in enumerate(rows):
        label = labels[number].ljust(margin) if labels else ""
        lines.append(label + line(row, widths))
    return lines


def header_lines(titles: Sequence[str], widths: Sequence[int]) -> List[str]:
    """Return the titles of columns, and dashes below them."""
    return [line(titles, widths), line(["-" * each for each in widths], widths)]


def line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return a line of a table, whose cells have no characters that control a terminal."""
    return _GAP.join(fill(cell, width) for cell, width in zip(cells, widths)).rstrip()


def _cells(event: CollectedEvent) -> List[str]:
    cells = [
        event.event_name,
        describe(event),
        str(event.get("uid", "")),
        ", ".join(schema_name(entity["schema"]) for entity in event.contexts),
        str(event.event_id)[:8],
    ]
    cells = [printable(cell[:_MAX_CELL]) for cell in cells]
    for column, cap in _CAPS.items():
        cells[column] = fill(cells[column], cap).rstrip()
    return cells


def describe(event: CollectedEvent) -> str:
    """Return a short description of an event."""
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
    # More members than that do not fit on a line.
    return ", ".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in itertools.islice(data.items(), 100)
    )


def _fit(rows: Sequence[Sequence[str]], width: int) -> List[int]:
    """Return the widths of the columns. If the rows are too wide, what happened and the entities share what is left."""
    event, what, user, entities, id_ = (max(map(columns_of, column)) for column in zip(*rows))
    room = width - event - user - id_ - len(_GAP) * (len(_TITLES) - 1)
    entities = min(entities, max(_NARROWEST, (room + 1) // 2, room - what))
    what = min(what, max(_NARROWEST, room - entities))
    return [event, what, user, entities, id_]


def fill(text: str, width: int) -> str:
    """Return a string of exactly `width` terminal columns: cut, or padded with spaces."""
    # No language has so many combining marks on one letter.
    text = text[: 4 * width]
    columns = columns_of(text)
    if columns > width:
        room = max(0, width - 3)
        columns = 0
        for position, each in enumerate(text):
            wider = columns + columns_of(each)
            if wider > room:
                text = text[:position] + "..."
                break
            columns = wider
        columns += 3
    return text + " " * (width - columns)


def columns_of(text: str) -> int:
    """Return the number of terminal columns of a string without control characters."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def printable(text: str) -> str:
    """Return a string with question marks in place of characters that control a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)
