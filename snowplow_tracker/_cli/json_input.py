"""Reads JSON from an argument, a file or the standard input, as one value or line by line."""

from __future__ import annotations

import io
import itertools
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Iterable, Iterator, NamedTuple, TextIO


class Entry(NamedTuple):
    """One JSON value of a file."""

    place: str
    """`orders.jsonl:17`."""
    value: Any
    error: str = ""
    """The reason why it could not be read, if it could not."""


def json_from(text: str) -> Any:
    """Parse JSON as strictly as the pipeline.

    Raises:
        ValueError: it is not JSON.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        # Its own text begins with what was expected, and does not say that JSON was.
        place = f"column {error.colno}"
        if error.lineno > 1:
            place = f"line {error.lineno}, {place}"
        raise ValueError(f"it is not JSON ({error.msg}, {place})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def value_of(argument: str) -> Any:
    """Return the JSON of an argument: JSON itself, `@FILE`, or `-` for the standard input.

    Raises:
        ValueError: it is not JSON, or the file cannot be read. The message names the source.
    """
    source = repr(argument[:60])
    try:
        if argument == "-":
            source = "the standard input"
            return json_from(_standard_input("strict").read())
        if argument.startswith("@"):
            source = argument[1:]
            return json_from(Path(source).read_text(encoding="utf-8-sig"))
        return json_from(argument)
    except OSError as error:
        raise ValueError(f"{source}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise ValueError(f"{source}: it is not text in UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def entries_of(file: str) -> Iterator[Entry]:
    """Yield the JSON values of a file: one value, the items of an array, or one value per line.

    Args:
        file: its path, or `-` for the standard input, which is read line by line.

    Raises:
        OSError: the file cannot be read.
    """
    if file == "-":
        yield from _lines("-", _standard_input("replace"))
        return
    with Path(file).open(encoding="utf-8-sig", errors="replace") as stream:
        # It may be a pipe, which can be read once.
        head = list(_up_to_the_first_value(stream))
        first = head[-1] if head else ""
        if not _entry(file, first).error and not first.lstrip("\ufeff").lstrip().startswith("["):
            # The first line is a complete value, so each line is one.
            yield from _lines(file, itertools.chain(head, stream))
            return
        text = "".join(head) + stream.read()
    try:
        whole = json_from(text)
    except ValueError as error:
        # Either lines with an invalid first one, or one invalid document, which begins with a bracket in its own line.
        lines = text.split("\n")
        is_document = first.lstrip().startswith("[") or first.strip() == "{"
        if not is_document and any(
            line.lstrip()[:1] == "{" and not _entry(file, line).error for line in lines
        ):
            yield from _lines(file, lines)
        else:
            yield Entry(file, None, str(error))
        return
    if isinstance(whole, list):
        for number, value in enumerate(whole):
            yield Entry(f"{file}[{number}]", value)
    else:
        yield Entry(file, whole)


def _standard_input(errors: str) -> TextIO:
    """Return the standard input, which is read as files are, whatever the locale says."""
    if sys.stdin is None:
        raise OSError("the standard input is closed")
    if isinstance(sys.stdin, io.TextIOWrapper):
        with suppress(OSError):  # it has been read
            sys.stdin.reconfigure(encoding="utf-8-sig", errors=errors)
    return sys.stdin


def _up_to_the_first_value(stream: TextIO) -> Iterator[str]:
    """Yield blank lines, and the first other one."""
    for line in stream:
        yield line
        if line.strip():
            return


def _lines(name: str, lines: Iterable[str]) -> Iterator[Entry]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _entry(f"{name}:{number}", line)


def _entry(place: str, line: str) -> Entry:
    try:
        return Entry(place, json_from(line.lstrip("\ufeff")))
    except ValueError as error:
        return Entry(place, None, str(error))
