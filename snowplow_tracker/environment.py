"""The environment variables (twelve-factor apps), from which `Tracker.from_environment` creates a tracker.

| variable | meaning | default |
|---|---|---|
| `SNOWPLOW_ENDPOINT` | the collector: a URL, or a host (see below) | none: required, unless tracking is disabled |
| `SNOWPLOW_NAMESPACE` | the name of the tracker | `python` |
| `SNOWPLOW_APP_ID` | the id of the application | none |
| `SNOWPLOW_PLATFORM` | `srv`, `web`, `mob`, `app`, `pc`, `tv`, `cnsl`, `iot` or `headset` | `srv` |
| `SNOWPLOW_EMITTER` | `async` sends in the background, `sync` in the thread that tracks | `async` |
| `SNOWPLOW_METHOD` | `post` or `get` | `post` |
| `SNOWPLOW_BATCH_SIZE` | number of queued events that are sent at once | the default of the emitter |
| `SNOWPLOW_STORE` | the URL of a durable queue: `sqlite:///…`, `redis://…`, as for the worker | in memory |
| `SNOWPLOW_ENQUEUE_ONLY` | `1`: only add events to that queue; a worker sends them | `0` |
| `SNOWPLOW_DEBUG` | `1`: print what is tracked and delivered to stderr | `0` |
| `SNOWPLOW_DISABLED` | `1`: nothing is queued, sent or opened; `track()` still checks its input | `0` |
| `SNOWPLOW_VALIDATE` | `warn` or `raise`: validate events when they are tracked | `off` |
| `SNOWPLOW_SCHEMAS` | folders, archives and registries with the schemas to validate with, separated by commas | none |
| `SNOWPLOW_IGLU_API_KEY` | the key of the registries, for the commands | none |

An endpoint without `http://` or `https://` is used with https; on this machine (`localhost`, `127.*`, `[::1]`) with http.
This is the same for both emitters, and in the commands of `snowplow-tracker`. In code, `Emitter("host")` uses https and
`AsyncEmitter("host")` uses http, as in 1.1.0, so include the scheme there.

`SNOWPLOW_DISABLED`, `SNOWPLOW_VALIDATE` and `SNOWPLOW_SCHEMAS` of the process apply to every tracker, however it is created. The
command `worker` reads `SNOWPLOW_STORE` and `SNOWPLOW_ENDPOINT`, the command `track` reads `SNOWPLOW_ENDPOINT`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional

from snowplow_tracker._delivery.options import SWITCHED_OFF, SWITCHED_ON
from snowplow_tracker._http.endpoint import collector_uri, default_protocol
from snowplow_tracker._messages import choice_text, escaped, naming
from snowplow_tracker.emitters import AsyncEmitter, Emitter
from snowplow_tracker.subject import SUPPORTED_PLATFORMS, Subject

if TYPE_CHECKING:
    from snowplow_tracker.tracker import Tracker

__all__: List[str] = []

_MAX_LINE = 4_000
_EMITTERS = {"async": AsyncEmitter, "sync": Emitter}


def tracker_from(
    kind: Any,
    environment: Optional[Mapping[str, str]],
    subject: Optional[Subject],
    options: Dict[str, Any],
) -> Tracker:
    """Create a tracker of a class from environment variables. See `Tracker.from_environment`."""
    environment = os.environ if environment is None else environment
    disabled = _is_on(environment, "SNOWPLOW_DISABLED")
    options = {**_emitter_options(environment, disabled=disabled), **options}
    endpoint = options.pop("endpoint", None)
    if not endpoint and environment.get("SNOWPLOW_ENDPOINT"):
        endpoint = environment["SNOWPLOW_ENDPOINT"]
        with naming("SNOWPLOW_ENDPOINT"):
            # The emitter checks it again, where the error might be about an option.
            collector_uri(endpoint, "https", None, "post", None)
    if not endpoint:
        if not disabled:
            raise ValueError(
                "SNOWPLOW_ENDPOINT is not set: it names the collector. SNOWPLOW_DISABLED=1 switches tracking off."
            )
        endpoint = "localhost"
    if isinstance(endpoint, str):
        # The emitters have different defaults, which they keep from 1.1.0.
        options.setdefault("protocol", default_protocol(endpoint))
    printer = _DebugPrinter() if _is_on(environment, "SNOWPLOW_DEBUG") else None
    if printer is not None:
        printer.listen(options)
    if subject is None:
        platform: Any = _one_of(environment, "SNOWPLOW_PLATFORM", SUPPORTED_PLATFORMS, "srv")
        subject = Subject().set_platform(platform)
    name = _one_of(environment, "SNOWPLOW_EMITTER", _EMITTERS, "async")
    tracker: Tracker = kind(
        namespace=environment.get("SNOWPLOW_NAMESPACE") or "python",
        emitters=_EMITTERS[name](endpoint, **options),
        subject=subject,
        app_id=environment.get("SNOWPLOW_APP_ID") or None,
        **_validation(environment),
    )
    if printer is not None:
        tracker.after_track(printer.tracked)
    return tracker


def _validation(environment: Mapping[str, str]) -> Dict[str, Any]:
    mode = environment.get("SNOWPLOW_VALIDATE", "").strip().lower() or None
    named = environment.get("SNOWPLOW_SCHEMAS", "").split(",")
    schemas: Any = [name.strip() for name in named if name.strip()] or None
    if mode not in {None, "off", "0"}:
        # Imported here, since few programs validate.
        from snowplow_tracker.iglu.checks import MODES
        from snowplow_tracker.iglu.resolver import Resolver

        _one_of(environment, "SNOWPLOW_VALIDATE", MODES, "off")
        if schemas:
            with naming("SNOWPLOW_SCHEMAS"):
                schemas = Resolver(*schemas)
    return {"validate": mode, "schemas": schemas}


def _emitter_options(environment: Mapping[str, str], *, disabled: bool) -> Dict[str, Any]:
    options: Dict[str, Any] = {
        "method": _one_of(environment, "SNOWPLOW_METHOD", ("post", "get"), "post")
    }
    size = environment.get("SNOWPLOW_BATCH_SIZE", "").strip()
    if size:
        # Python refuses to convert thousands of digits to an integer.
        if not (size.isascii() and size.isdigit() and len(size) < 19 and int(size)):
            raise ValueError(
                f"SNOWPLOW_BATCH_SIZE must be a whole number above 0, not {size!r:.50}."
            )
        options["batch_size"] = int(size)
    if disabled:
        options["enabled"] = False
        return options
    store = environment.get("SNOWPLOW_STORE")
    if store:
        from snowplow_tracker._stores.urls import open_store

        with naming("SNOWPLOW_STORE"):
            options["event_store"] = open_store(store)
    if _is_on(environment, "SNOWPLOW_ENQUEUE_ONLY"):
        if not store:
            raise ValueError("SNOWPLOW_ENQUEUE_ONLY needs SNOWPLOW_STORE, which a worker empties.")
        options["enqueue_only"] = True
    return options


def _is_on(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "").strip().lower()
    if value not in (*SWITCHED_ON, *SWITCHED_OFF):
        raise ValueError(f"{name} must be 1 or 0, not {value!r}.")
    return value in SWITCHED_ON


def _one_of(environment: Mapping[str, str], name: str, known: Any, default: str) -> str:
    value = environment.get(name, "").strip().lower() or default
    if value not in known:
        raise ValueError(f"{name} {choice_text(known, value)}")
    return value


class _DebugPrinter:
    """Prints each event that is tracked, and the result of its delivery, to standard error.

    It is for development: values are printed unchanged, personal data included.
    """

    def listen(self, options: Dict[str, Any]) -> None:
        """Add callbacks to the options of an emitter that print the result of each delivery."""
        for name, report in (
            ("on_success", self._sent),
            ("on_failure", self._failed),
            ("on_drop", self._dropped),
        ):
            options[name] = _both(report, options.get(name))

    def tracked(self, parameters: Dict[str, Any]) -> None:
        """Print an event."""
        from snowplow_tracker.testing.records import CollectedEvent

        event = CollectedEvent({name: str(value) for name, value in parameters.items()})
        hidden = {"e", "eid", "dtm", "tv", "tna", "ue_px", "ue_pr", "cx", "co"}
        shown = [
            f"{name}={value}" for name, value in event.parameters.items() if name not in hidden
        ]
        lines = [f"tracked {event.event_name} {event.event_id}: {' '.join(shown)}"]
        if event.data is not None:
            lines.append(f"  data {_compact(event.data)}")
        lines += [
            f"  entity {each.get('schema')} {_compact(each.get('data'))}" for each in event.contexts
        ]
        lines += [f"  PROBLEM: {problem}" for problem in event.problems]
        self._print(lines)

    def _sent(self, events: List[Dict[str, Any]]) -> None:
        self._print([f"delivered {len(events)}: {_ids(events)}"])

    def _failed(self, sent: int, events: List[Dict[str, Any]]) -> None:
        self._print([f"failed to deliver {len(events)} ({sent} sent): {_ids(events)}"])

    def _dropped(self, events: List[Dict[str, Any]], reason: Any) -> None:
        self._print([f"dropped {len(events)} ({getattr(reason, 'value', reason)}): {_ids(events)}"])

    def _print(self, lines: List[str]) -> None:
        if sys.stderr is not None:
            text = "".join(f"snowplow: {escaped(line)[:_MAX_LINE]}\n" for line in lines)
            sys.stderr.write(text)


def _both(report: Callable[..., None], other: Optional[Callable[..., Any]]) -> Callable[..., None]:
    if other is None:
        return report

    def call(*arguments: Any) -> None:
        report(*arguments)
        other(*arguments)

    return call


def _compact(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)


def _ids(events: List[Dict[str, Any]]) -> str:
    shown = " ".join(str(event.get("eid")) for event in events[:5])
    return f"{shown} ..." if len(events) > 5 else shown
