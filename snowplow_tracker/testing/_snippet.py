"""Generates the Python code that tracks an event."""

from __future__ import annotations

import pprint
import re
from typing import Any, Dict, List, Optional, Tuple

from snowplow_tracker.testing.records import CollectedEvent

_WIDTH = 88
# Longer code is not useful, and formatting it takes long.
_MAX_PRETTY = 50_000

# The methods of the subject by the parameter that they set.
_SUBJECT = {
    "p": "set_platform",
    "uid": "set_user_id",
    "res": "set_screen_resolution",
    "vp": "set_viewport",
    "cd": "set_color_depth",
    "tz": "set_timezone",
    "lang": "set_lang",
    "duid": "set_domain_user_id",
    "sid": "set_domain_session_id",
    "vid": "set_domain_session_index",
    "ip": "set_ip_address",
    "ua": "set_useragent",
    "tnuid": "set_network_user_id",
}
_PAGE = {"url": "page_url", "page": "page_title", "refr": "referrer"}
# The class for a type of event, its required parameters, and its arguments by parameter.
_CLASSES: Dict[str, Tuple[str, Tuple[str, ...], Dict[str, str]]] = {
    "pv": ("PageView", ("url",), _PAGE),
    "pp": (
        "PagePing",
        ("url",),
        {**_PAGE, "pp_mix": "min_x", "pp_max": "max_x", "pp_miy": "min_y", "pp_may": "max_y"},
    ),
    "se": (
        "StructuredEvent",
        ("se_ca", "se_ac"),
        {
            "se_ca": "category",
            "se_ac": "action",
            "se_la": "label",
            "se_pr": "property_",
            "se_va": "value",
        },
    ),
}
# Parameters that the tracker adds by itself, or that `snippet` writes for every class.
_OWN = {"eid", "tv", "dtm", "stm", "ttm", "tna", "aid", "ue_px", "ue_pr", "cx", "co"}
# Numbers that Python reads and prints as they are.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,14})", re.ASCII)
_FORMS = {
    **dict.fromkeys(("cd", "vid", "pp_mix", "pp_max", "pp_miy", "pp_may"), _INTEGER),
    **dict.fromkeys(
        ("res", "vp"), re.compile(r"(0|[1-9][0-9]{0,9})x(0|[1-9][0-9]{0,9})", re.ASCII)
    ),
    "se_va": re.compile(rf"{_INTEGER.pattern}(\.[0-9]{{1,15}})?", re.ASCII),
}


def snippet(event: CollectedEvent, endpoint: str) -> str:
    """Return a program that tracks the same event as one that arrived, with the collector at this endpoint."""
    class_name, arguments = _class_and_arguments(event)
    names = {"Snowplow", class_name}
    if class_name == "SelfDescribing" or event.contexts:
        names.add("SelfDescribingJson")
    if event.contexts:
        entities = ",\n".join(map(_described, event.contexts))
        arguments.append(f"context=[\n    {_indented(entities)},\n]")
    ttm = str(event.get("ttm", ""))
    if _INTEGER.fullmatch(ttm):
        arguments.append(f"true_timestamp={ttm}")
    subject = _subject(event)
    if subject:
        names.add("Subject")
        arguments.append("event_subject=subject")
    of_tracker = [
        f"namespace={_literal(event.get('tna') or 'sp')}",
        f"endpoint={_literal(endpoint)}",
    ]
    if event.get("aid"):
        of_tracker.append(f"app_id={_literal(event['aid'])}")
    lines = [
        f"from snowplow_tracker import {', '.join(sorted(names))}",
        "",
        _call("tracker = Snowplow.create_tracker", of_tracker),
        *subject,
        f"tracker.track(\n    {_indented(_call(class_name, arguments))}\n)",
        "tracker.flush()",
    ]
    return "\n".join(lines) + "\n"


def _subject(event: CollectedEvent) -> List[str]:
    calls = []
    for name, method in _SUBJECT.items():
        code = _code(name, event.get(name))
        # A computer is the platform of every subject.
        if code is not None and (name, event[name]) != ("p", "pc"):
            calls.append(f"subject.{method}({code})")
    return ["subject = Subject()", *calls] if calls else []


def _class_and_arguments(event: CollectedEvent) -> Tuple[str, List[str]]:
    if event.event_type == "ue" and event.unstruct is not None:
        return "SelfDescribing", [_described(event.unstruct)]
    parameters = {name: event[name] for name in event.parameters if name not in {*_OWN, *_SUBJECT}}
    class_name, required, arguments = _CLASSES.get(str(event.event_type), ("", (), {}))
    codes = {name: _code(name, value) for name, value in parameters.items() if name != "e"}
    if (
        class_name
        and all(map(event.get, required))
        and all(name in arguments and code is not None for name, code in codes.items())
    ):
        return class_name, [
            f"{arguments[name]}={codes[name]}" for name in arguments if name in codes
        ]
    # Its own class cannot express it, or there is none.
    return "Event", [_literal(parameters)]


def _code(name: str, value: Any) -> Optional[str]:
    """Return the code for the value of a parameter; None if its argument cannot have this value."""
    if not isinstance(value, str):
        return None
    form = _FORMS.get(name)
    if form is None:
        return _literal(value)
    return value.replace("x", ", ") if form.fullmatch(value) else None


def _described(described: Dict[str, Any]) -> str:
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
