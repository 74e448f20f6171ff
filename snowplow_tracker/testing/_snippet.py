"""Generates the Python code that tracks an event."""

from __future__ import annotations

import math
import pprint
from typing import Any, Dict, List, Optional, Set, Tuple

from snowplow_tracker.testing.records import CollectedEvent

_WIDTH = 88
# Longer code is not useful, and formatting it takes long.
_MAX_PRETTY = 50_000

# The method of the subject, and whether it takes a string, an integer or two of them.
_SUBJECT = {
    "p": ("set_platform", str),
    "uid": ("set_user_id", str),
    "res": ("set_screen_resolution", tuple),
    "vp": ("set_viewport", tuple),
    "cd": ("set_color_depth", int),
    "tz": ("set_timezone", str),
    "lang": ("set_lang", str),
    "duid": ("set_domain_user_id", str),
    "sid": ("set_domain_session_id", str),
    "vid": ("set_domain_session_index", int),
    "ip": ("set_ip_address", str),
    "ua": ("set_useragent", str),
    "tnuid": ("set_network_user_id", str),
}
# The class, and for each of its arguments the parameter and the type.
_CLASSES: Dict[str, Tuple[str, Dict[str, Tuple[str, type]]]] = {
    "pv": (
        "PageView",
        {"page_url": ("url", str), "page_title": ("page", str), "referrer": ("refr", str)},
    ),
    "pp": (
        "PagePing",
        {
            "page_url": ("url", str),
            "page_title": ("page", str),
            "referrer": ("refr", str),
            "min_x": ("pp_mix", int),
            "max_x": ("pp_max", int),
            "min_y": ("pp_miy", int),
            "max_y": ("pp_may", int),
        },
    ),
    "se": (
        "StructuredEvent",
        {
            "category": ("se_ca", str),
            "action": ("se_ac", str),
            "label": ("se_la", str),
            "property_": ("se_pr", str),
            "value": ("se_va", float),
        },
    ),
}
_REQUIRED = {"pv": ("url",), "pp": ("url",), "se": ("se_ca", "se_ac")}
# Parameters that the tracker adds by itself.
_OWN = {"e", "eid", "tv", "dtm", "stm", "ttm", "tna", "aid", "ue_px", "ue_pr", "cx", "co"}


def snippet(event: CollectedEvent) -> str:
    """Return a program that tracks the same event as one that arrived."""
    names: Set[str] = {"Snowplow"}
    subject = _subject(event)
    call = _event(event, names, ["event_subject=subject"] if subject else [])
    if subject:
        names.add("Subject")
    arguments = [
        f"namespace={_literal(event.get('tna') or 'sp')}",
        'endpoint="http://127.0.0.1:9090"',
    ]
    if event.get("aid"):
        arguments.append(f"app_id={_literal(event['aid'])}")
    lines = [
        f"from snowplow_tracker import {', '.join(sorted(names))}",
        "",
        _call("tracker = Snowplow.create_tracker", arguments),
        *subject,
        f"tracker.track(\n    {_indented(call)}\n)",
        "tracker.flush()",
    ]
    return "\n".join(lines) + "\n"


def _subject(event: CollectedEvent) -> List[str]:
    calls = []
    for name, (method, kind) in _SUBJECT.items():
        value = event.get(name)
        if not isinstance(value, str) or (name == "p" and value == "pc"):
            continue
        numbers = value.split("x") if kind is tuple else [value]
        if kind is not str:
            if not all(each.isascii() and each.isdigit() and len(each) < 12 for each in numbers):
                continue
            calls.append(f"subject.{method}({', '.join(str(int(each)) for each in numbers)})")
        else:
            calls.append(f"subject.{method}({_literal(value)})")
    return ["subject = Subject()", *calls] if calls else []


def _event(event: CollectedEvent, names: Set[str], last: List[str]) -> str:
    arguments = []
    event_type = str(event.event_type)
    if event_type == "ue" and event.unstruct is not None:
        class_name = "SelfDescribing"
        arguments.append(_described(event.unstruct, names))
    else:
        typed = _typed_arguments(event)
        if typed is None:
            class_name = "Event"
            skipped = {*_OWN, *_SUBJECT} - {"e"}
            pairs = {name: event[name] for name in event.parameters if name not in skipped}
            arguments.append(_literal(pairs))
        else:
            class_name = _CLASSES[event_type][0]
            arguments.extend(typed)
    names.add(class_name)
    if event.contexts:
        described = ",\n".join(_described(entity, names) for entity in event.contexts)
        arguments.append(f"context=[\n    {_indented(described)},\n]")
    ttm = event.get("ttm")
    if isinstance(ttm, str) and ttm.isascii() and ttm.isdigit() and len(ttm) < 16:
        arguments.append(f"true_timestamp={int(ttm)}")
    return _call(class_name, [*arguments, *last])


def _typed_arguments(event: CollectedEvent) -> Optional[List[str]]:
    """Return the arguments of the event's own class; None if the class cannot express the event."""
    known = _CLASSES.get(str(event.event_type))
    if known is None or not all(event.get(name) for name in _REQUIRED[str(event.event_type)]):
        return None
    arguments = []
    covered = _OWN | set(_SUBJECT)
    for argument, (name, kind) in known[1].items():
        covered.add(name)
        if name not in event:
            continue
        value = event[name]
        if kind is not str:
            number = _number(value, kind)
            if number is None:
                return None
            arguments.append(f"{argument}={number!r}")
        else:
            arguments.append(f"{argument}={_literal(value)}")
    return arguments if covered.issuperset(event.parameters) else None


def _number(text: Any, kind: type) -> Any:
    try:
        number = float(text) if kind is float else int(text)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number == int(number) and "." not in str(text) else number


def _described(described: Dict[str, Any], names: Set[str]) -> str:
    names.add("SelfDescribingJson")
    return _call("SelfDescribingJson", [_literal(described["schema"]), _literal(described["data"])])


def _call(function: str, arguments: List[str]) -> str:
    line = f"{function}({', '.join(arguments)})"
    if "\n" not in line and len(line) <= _WIDTH - 12:
        return line
    inner = "".join(f"\n    {_indented(each)}," for each in arguments)
    return f"{function}({inner}\n)"


def _indented(code: str) -> str:
    return code.replace("\n", "\n    ")


def _literal(value: Any) -> str:
    text = repr(value)
    if isinstance(value, str):
        # Double quotes, as formatters use them.
        if '"' not in value and text.startswith("'"):
            return '"' + text[1:-1].replace("\\'", "'") + '"'
        return text
    if len(text) > _MAX_PRETTY or len(text) <= _WIDTH // 2:
        return text
    return pprint.pformat(value, width=_WIDTH - 12, sort_dicts=False)
