"""Bring what two packages sent into a comparable form, and say where they differ."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Sequence, Set, Tuple

if TYPE_CHECKING:
    from support.recorder import Request

# What differs from run to run is compared by its form.
_MADE_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
_MILLISECONDS = re.compile(r"1[0-9]{12}")
_REQUESTS_VERSION = re.compile(r"^python-requests/[0-9.]+$")
# The scenarios' own time stamps lie years before this one.
_NOW_AT_LEAST = "1700000000000"
_BASE64 = {"cx", "ue_px"}

# Headers whose value says nothing of the package.
_PER_REQUEST = {"Host", "Content-Length"}

# With a thread, where a batch ends depends on when the thread woke up.
UNEVEN = ("batches/threaded", "batches/threaded_get")
# Here it is looked at how many connections the requests came over.
COUNT_CONNECTIONS = ("batches/default", "batches/default_get", "batches/threaded")


@dataclass
class Observation:
    """What one package did in one scenario."""

    requests: List[Request] = field(default_factory=list)
    seen: Any = None


def normalise_event(event: Mapping[str, str], version: str) -> Dict[str, str]:
    """Replace what is new in each run by the name of its form, and decode base64."""
    return {key: _normalise(key, value, version) for key, value in event.items()}


def _normalise(key: str, value: Any, version: str) -> str:
    if not isinstance(value, str):
        return f"not a text: {value!r}"
    if key == "eid" and _MADE_UUID.fullmatch(value):
        return "<uuid 4>"
    if key == "ttm" and value > _NOW_AT_LEAST and _MILLISECONDS.fullmatch(value):
        return "<milliseconds>"
    if key in {"dtm", "stm"} and _MILLISECONDS.fullmatch(value):
        return "<milliseconds>"
    if key == "tv" and value == f"py-{version}":
        return "<py-version>"
    if key in _BASE64:
        try:
            decoded = base64.urlsafe_b64decode(value).decode("utf-8")
            if base64.urlsafe_b64encode(decoded.encode("utf-8")).decode("ascii") == value:
                value = f"base64url of {decoded}"
        except ValueError:
            return f"not base64url: {value}"
    return _MADE_UUID.sub("<uuid 4>", value)


def normalise(name: str, observed: Observation, version: str) -> Dict[str, Any]:
    """Everything of an observation that has to be the same, as one document."""
    requests = []
    events: List[Dict[str, str]] = []
    for request in observed.requests:
        sent = [normalise_event(event, version) for event in events_of(request)]
        events += sent
        headers = {
            key: _REQUESTS_VERSION.sub("python-requests/<version>", value)
            for key, value in request.headers.items()
            if key not in _PER_REQUEST
        }
        entry: Dict[str, Any] = {"line": f"{request.method} {request.path}", "headers": headers}
        if request.method == "POST":
            document = request.document
            entry["schema"] = document.get("schema")
            entry["keys"] = " ".join(sorted(document))
        if name not in UNEVEN:
            entry["events"] = sent
        requests.append(entry)
    arrived = {event.get("eid", "") for each in observed.requests for event in events_of(each)}
    result: Dict[str, Any] = {"seen": _normalise_seen(observed.seen, arrived)}
    if name in UNEVEN:
        result["events"] = events
        result["requests"] = requests[:1]
    else:
        result["requests"] = requests
    if name in COUNT_CONNECTIONS:
        clients = {request.client for request in observed.requests}
        result["connections"] = "one" if len(clients) == 1 else "one per request"
    return result


def _normalise_seen(value: Any, arrived: Set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _normalise_seen(each, arrived) for key, each in value.items()}
    if isinstance(value, list):
        return [_normalise_seen(each, arrived) for each in value]
    if isinstance(value, str) and value in arrived:
        return "<eid of an event that arrived>"
    return _MADE_UUID.sub("<uuid 4>", value) if isinstance(value, str) else value


def events_of(request: Request) -> List[Dict[str, str]]:
    """The events of a request; a redirected one carries none."""
    if request.method == "POST" or request.query:
        return request.events
    return []


def differences(reference: Any, ours: Any, where: str = "") -> Iterator[str]:
    """Every place where two documents differ, one readable line each."""
    if isinstance(reference, dict) and isinstance(ours, dict):
        for key in sorted({*reference, *ours}):
            place = f"{where}.{key}" if where else key
            yield from differences(reference.get(key, _ABSENT), ours.get(key, _ABSENT), place)
    elif isinstance(reference, list) and isinstance(ours, list):
        for index in range(max(len(reference), len(ours))):
            old = reference[index] if index < len(reference) else _ABSENT
            new = ours[index] if index < len(ours) else _ABSENT
            yield from differences(old, new, f"{where}[{index}]")
    elif type(reference) is not type(ours) or reference != ours:
        yield f"{where}: {_text(reference)} -> {_text(ours)}"


class _Absent:
    """Stands for what only the other side has."""


_ABSENT = _Absent()


def _text(value: Any) -> str:
    if value is _ABSENT:
        return "(nothing)"
    shown = json.dumps(_shortened(value), ensure_ascii=False, sort_keys=True)
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")


def _shortened(value: Any) -> Any:
    """Of what only one side has, leave out what every request and event has."""
    if isinstance(value, list):
        return [_shortened(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "line" in value:
        return {key: _shortened(value[key]) for key in ("line", "events") if key in value}
    return {key: each for key, each in value.items() if not str(each).startswith("<")}


def milliseconds(observed: Mapping[str, Observation], key: str) -> Set[int]:
    """All the values of a time stamp in a run."""
    return {
        int(event[key])
        for each in observed.values()
        for request in each.requests
        for event in events_of(request)
        if _MILLISECONDS.fullmatch(event.get(key, ""))
    }


def compare(
    names: Sequence[str],
    reference: Mapping[str, Observation],
    ours: Mapping[str, Observation],
    versions: Tuple[str, str],
) -> Dict[str, List[str]]:
    """The differences of each scenario."""
    found = {}
    for name in names:
        old = normalise(name, reference[name], versions[0])
        new = normalise(name, ours[name], versions[1])
        found[name] = list(differences(old, new))
    return found
