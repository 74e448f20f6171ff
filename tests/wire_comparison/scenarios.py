"""The program that runs under both packages: everything a user can make a tracker send.

Run as `python scenarios.py HOST:PORT RESULT_FILE`. Before each scenario the collector is told its
name, and afterwards what the program itself saw of it (results, errors, warnings, callbacks) goes
into the result file. Nothing here may depend on which package is imported.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fnmatch
import http.client
import json
import logging
import sys
import threading
import time
import traceback
import uuid
import warnings
from collections import OrderedDict
from typing import Any, Callable, Dict, List, Optional, Tuple

import snowplow_tracker as sp
from snowplow_tracker import emitters, payload, self_describing_json, subject

MARK_PATH = "/mark/"
RAISED = "the scenario raised"
DEADLINE = 10.0

LINK_CLICK = "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1"
ENTITY = "iglu:com.acme/entity/jsonschema/1-0-0"
# Fixed ids are no version 4, so that they are told apart from made ones.
FIXED_ID = "11111111-1111-1111-1111-111111111111"
UNICODE = 'žluťoučký kůň 🐎 𝒳𐍈 \u2028 "q" \\ </b> \t\n & = + % \x7f'

SCENARIOS: Dict[str, Tuple[Callable[[Any], Any], List[Any]]] = {}


def scenario(name: str, answers: Optional[List[Any]] = None) -> Callable[[Any], Any]:
    """Register a scenario; `answers` are what the collector says first, before its 200s."""

    def register(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        assert name not in SCENARIOS, name
        SCENARIOS[name] = (function, answers or [])
        return function

    return register


class Kit:
    """What a scenario works with; it flushes at the end what was made here."""

    def __init__(self, host: str) -> None:
        """Remember where the collector is."""
        self.host = host
        self.made: List[Any] = []

    def emitter(self, cls: Any = None, **options: Any) -> Any:
        """An emitter that delivers to the collector."""
        made = (cls or sp.Emitter)(self.host, **{"protocol": "http", **options})
        self.made.append(made)
        return made

    def tracker(self, emitter: Any = None, **options: Any) -> Any:
        """A tracker with an emitter."""
        settings = {"namespace": "ns", "app_id": "app", **options}
        return sp.Tracker(emitters=emitter or self.emitter(), **settings)

    def finish(self) -> None:
        """Send what is queued."""
        for emitter in self.made:
            emitter.sync_flush()


def attempt(function: Callable[[], Any]) -> Any:
    """The result of a call, or its error. Python words its own errors differently by version."""
    try:
        return shown(function())
    except ValueError as error:
        if isinstance(error, UnicodeError):
            return type(error).__name__
        return f"ValueError: {error}"
    except Exception as error:
        return type(error).__name__


def shown(value: Any) -> Any:
    """A value as JSON, with the types of what JSON would not tell apart."""
    if isinstance(value, dict):
        return {str(key): shown(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(each) for each in value]
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float)):
        return f"{type(value).__name__} {value!r}"
    return type(value).__name__


def entity(**data: Any) -> Any:
    """An entity to attach."""
    return sp.SelfDescribingJson(ENTITY, data or {"id": 7, "text": UNICODE})


def full_subject() -> Any:
    """A subject on which everything is set."""
    return (
        sp.Subject()
        .set_platform("srv")
        .set_user_id("user ž")
        .set_screen_resolution(1920, 1080)
        .set_viewport(1024, 768)
        .set_color_depth(24)
        .set_timezone("Europe/Prague")
        .set_lang("cs")
        .set_domain_user_id("duid")
        .set_domain_session_id(FIXED_ID)
        .set_domain_session_index(3)
        .set_ip_address("127.0.0.1")
        .set_useragent("agent/1.0 (🐎)")
        .set_network_user_id("nuid")
    )


# --- every event, over every way of sending -------------------------------------------------

EVENTS: Dict[str, Callable[[], List[Any]]] = {
    "page_view": lambda: [
        sp.PageView("https://acme.com/"),
        sp.PageView("https://acme.com/?q=a&b=%20#x", "Title", "https://ref.com/"),
        sp.PageView(page_url=UNICODE, page_title=UNICODE, referrer=UNICODE),
        sp.PageView("https://acme.com/", "", ""),
        sp.PageView("https://acme.com/", None, None, None, None, None),
    ],
    "page_ping": lambda: [
        sp.PagePing("https://acme.com/"),
        sp.PagePing("https://acme.com/", "Title", "https://ref.com/", 0, 10, -5, 2**31 - 1),
        sp.PagePing("https://acme.com/", min_x=1, max_y=4),
    ],
    "structured": lambda: [
        sp.StructuredEvent("shop", "add"),
        sp.StructuredEvent("shop", "add", "label", "property", 2),
        sp.StructuredEvent("shop", "add", "", "", None),
        sp.StructuredEvent(UNICODE, UNICODE, label=UNICODE, property_=UNICODE, value=2.5),
        *(
            sp.StructuredEvent("number", "add", value=value)
            for value in (0, 0.0, -0.0, 1e-07, 2.50, 1e22, 10**20, -3, 1 / 3, True, False)
        ),
    ],
    "screen_view": lambda: [
        sp.ScreenView(FIXED_ID, "Home"),
        sp.ScreenView(
            FIXED_ID, UNICODE, "feed", "Before", FIXED_ID[::-1], "list", "swipe", None, None, None
        ),
        sp.ScreenView(name="Home", id_=FIXED_ID, type="", previous_name=""),
    ],
    "self_describing": lambda: [
        sp.SelfDescribing(sp.SelfDescribingJson(LINK_CLICK, {"targetUrl": "https://acme.com/"})),
        sp.SelfDescribing(sp.SelfDescribingJson(LINK_CLICK, {"targetUrl": UNICODE})),
        sp.SelfDescribing(sp.SelfDescribingJson(LINK_CLICK, {})),
        sp.SelfDescribing(sp.SelfDescribingJson(LINK_CLICK, [{"a": 1}, {"b": [None, True, ""]}])),
        sp.SelfDescribing(
            sp.SelfDescribingJson(
                LINK_CLICK,
                OrderedDict(
                    z=1, a=(1, 2), n=None, t=True, e="", f=1e-07, g=2.50, b=2**70, deep={"x": [{}]}
                ),
            )
        ),
        sp.SelfDescribing(
            sp.SelfDescribingJson(LINK_CLICK, {7: "int", 2.5: "float", True: "bool", None: "none"})
        ),
    ],
    "plain": lambda: [
        sp.Event({"e": "pv", "url": "https://acme.com/"}),
        sp.Event({"e": "se", "se_ca": "c", "se_ac": "a", "se_va": 0, "se_la": UNICODE}),
        sp.Event({"e": "pv"}, true_timestamp=5, context=[entity()]),
    ],
    "with_entities": lambda: [
        sp.PageView("https://acme.com/", context=[entity()]),
        sp.PageView("https://acme.com/", context=(entity(), entity(a=None, b={"c": 1.0}))),
        sp.PageView("https://acme.com/", context=[]),
        sp.ScreenView(FIXED_ID, "Home", context=[entity(a=1)]),
        sp.SelfDescribing(
            sp.SelfDescribingJson(LINK_CLICK, {"a": 1}), context=[entity(), entity()]
        ),
    ],
    "with_subjects": lambda: [
        sp.PageView("https://acme.com/", event_subject=full_subject()),
        sp.ScreenView(FIXED_ID, "Home", event_subject=full_subject()),
        sp.StructuredEvent("a", "b", event_subject=full_subject().set_user_id("")),
    ],
    "true_timestamps": lambda: (
        [
            sp.PageView("https://acme.com/", true_timestamp=value)
            for value in (0, 1, 1368725287000, 1368725287000.9, -5, -5.9, 0.0, True, None)
        ]
        + [
            sp.ScreenView(FIXED_ID, "Home", true_timestamp=1368725287000),
            sp.PageView("https://acme.com/", true_timestamp="1368725287000"),  # type: ignore[arg-type]
        ]
    ),
}


def _send_all(name: str, method: str, base64: bool) -> Callable[[Kit], Any]:
    def run(kit: Kit) -> Any:
        tracker = kit.tracker(kit.emitter(method=method), encode_base64=base64)
        return [attempt(lambda event=event: tracker.track(event)) for event in EVENTS[name]()]

    return run


for _name in EVENTS:
    for _method in ("post", "get"):
        for _base64 in (True, False):
            scenario(f"{_name}/{_method}/{'base64' if _base64 else 'plain'}")(
                _send_all(_name, _method, _base64)
            )


# --- trackers ---------------------------------------------------------------------------------


@scenario("tracker/identities")
def _identities(kit: Kit) -> Any:
    emitter = kit.emitter()
    for options in (
        {"app_id": None},
        {"app_id": ""},
        {"namespace": ""},
        {"namespace": "ž"},
        {"namespace": None},
    ):
        kit.tracker(emitter, **options).track(sp.PageView("https://acme.com/"))
    sp.Tracker("ns", emitter, None, "app", False).track(sp.PageView("u", context=[entity()]))
    return kit.tracker(emitter).standard_nv_pairs["tna"]


@scenario("tracker/several_emitters")
def _several(kit: Kit) -> Any:
    tracker = kit.tracker([kit.emitter(), kit.emitter(method="get")])
    tracker.track(sp.PageView("https://acme.com/", context=[entity()]))
    return tracker.add_emitter(kit.emitter()).track(sp.StructuredEvent("a", "b")) is not None


class InputOnly:
    """The least that is an emitter: it keeps what it is given."""

    def __init__(self) -> None:
        self.given: List[Any] = []

    def input(self, pairs: Dict[str, Any]) -> None:
        self.given.append(pairs)


def _without_variables(pairs: Dict[str, Any]) -> Any:
    return {
        key: type(value).__name__ if key in {"eid", "dtm", "stm", "tv"} else shown(value)
        for key, value in pairs.items()
    }


@scenario("tracker/own_emitter")
def _own_emitter(kit: Kit) -> Any:
    own = InputOnly()
    tracker = kit.tracker(own, subject=full_subject(), encode_base64=False)
    tracker.track(sp.PagePing("https://acme.com/", min_x=1, max_x=0, true_timestamp=4.5))
    tracker.track(sp.StructuredEvent("a", "b", value=2.50, context=[entity(a=1)]))
    tracker.flush()
    tracker.flush(is_async=True)
    return [_without_variables(pairs) for pairs in own.given]


@scenario("tracker/emitter_that_raises")
def _raising_emitter(kit: Kit) -> Any:
    class Raising(InputOnly):
        def input(self, pairs: Dict[str, Any]) -> None:
            raise RuntimeError

    tracker = kit.tracker([Raising(), kit.emitter()])
    return attempt(lambda: tracker.track(sp.PageView("https://acme.com/")))


@scenario("tracker/list_of_emitters_changed_later")
def _changed_list(kit: Kit) -> Any:
    given = [kit.emitter()]
    tracker = kit.tracker(given)
    given.append(kit.emitter())
    tracker.track(sp.PageView("https://acme.com/"))


@scenario("tracker/overridden_methods")
def _overridden(kit: Kit) -> Any:
    class Mine(sp.Tracker):
        def complete_payload(self, event: Any) -> Any:
            completed = super().complete_payload(event)
            completed.add("uid", "overridden")
            return completed

        def track_self_describing_event(self, *args: Any, **kwargs: Any) -> Any:
            self.track(sp.PageView(sorted(kwargs).__repr__()))
            return self

    tracker = Mine("ns", kit.emitter(), app_id="app")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracker.track_link_click("https://acme.com/")
    return attempt(lambda: tracker.track(event=sp.PageView("https://acme.com/")))


@scenario("tracker/patched_ids")
def _patched_ids(kit: Kit) -> Any:
    tracker = kit.tracker()
    kept = sp.Tracker.get_uuid, sp.Tracker.get_timestamp
    sp.Tracker.get_uuid = staticmethod(lambda: FIXED_ID)
    sp.Tracker.get_timestamp = staticmethod(lambda tstamp=None: 1234)
    try:
        return tracker.track(sp.PageView("https://acme.com/"))
    finally:
        sp.Tracker.get_uuid, sp.Tracker.get_timestamp = map(staticmethod, kept)


@scenario("tracker/timestamps")
def _timestamps(_kit: Kit) -> Any:
    return [shown(sp.Tracker.get_timestamp(value)) for value in (0, 1.9, 1368725287000, True)]


@scenario("tracker/bad_arguments")
def _bad_arguments(kit: Kit) -> Any:
    page_view = sp.PageView("https://acme.com/")
    return [
        attempt(call)
        for call in (
            lambda: sp.Tracker("ns", []),
            lambda: sp.PageView(""),
            lambda: sp.PagePing(""),
            lambda: sp.StructuredEvent("", "a"),
            lambda: sp.StructuredEvent("c", ""),
            lambda: sp.SelfDescribingJson("", {}),
            lambda: sp.PageView(None),  # type: ignore[arg-type]
            lambda: sp.PageView(5),  # type: ignore[arg-type]
            lambda: sp.ScreenView("", "Home"),
            lambda: sp.ScreenView(FIXED_ID, ""),
            lambda: setattr(page_view, "page_url", ""),
            lambda: sp.Subject().set_platform("fridge"),
            lambda: sp.Subject().set_screen_resolution(0, 1),
            lambda: sp.Subject().set_screen_resolution(1, -1),
            lambda: sp.Subject().set_viewport(1, 0),
            lambda: sp.Emitter("localhost", protocol="ftp"),
            lambda: sp.Emitter("localhost", method="put"),
            lambda: sp.Emitter(""),
            lambda: sp.Snowplow.create_tracker("ns", None),  # type: ignore[arg-type]
            lambda: sp.EmitterConfiguration(batch_size=-1),
            lambda: sp.EmitterConfiguration(batch_size="1"),
            lambda: sp.EmitterConfiguration(byte_limit=-1),
            lambda: sp.EmitterConfiguration(byte_limit=1.5),
            lambda: sp.EmitterConfiguration(buffer_capacity=-1),
            lambda: sp.EmitterConfiguration(buffer_capacity="1"),
            lambda: sp.TrackerConfiguration(encode_base64="yes"),
            lambda: kit.tracker().track_site_search([]),
            lambda: kit.tracker().track_link_click(""),
            lambda: kit.tracker().track_add_to_cart("", 1),
            lambda: kit.tracker().track_form_change("", None, "INPUT", None),
            lambda: kit.tracker().track_form_change("f", None, "DIV", None),
            lambda: kit.tracker().track_form_change("f", None, "INPUT", None, "wrong"),
            lambda: kit.tracker().track_form_submit("f", elements=[{"name": "n"}]),
            lambda: kit.tracker().track_ecommerce_transaction("", 1),
            lambda: kit.tracker().track_ecommerce_transaction_item("o", "", 1, 1),
        )
    ]


@scenario("tracker/contracts_off")
def _contracts_off(kit: Kit) -> Any:
    tracker = kit.tracker()
    sp.disable_contracts()
    try:
        tracker.track(sp.StructuredEvent("a", "b", event_subject=sp.Subject().set_viewport(0, 0)))
        return [
            attempt(lambda: tracker.track(sp.PageView(""))),
            attempt(lambda: tracker.track(sp.StructuredEvent("", ""))),
            attempt(lambda: shown(sp.SelfDescribingJson("", {}).schema)),
        ]
    finally:
        sp.enable_contracts()


# --- subjects ---------------------------------------------------------------------------------


@scenario("subject/on_the_tracker")
def _subject_on_tracker(kit: Kit) -> Any:
    held = full_subject()
    tracker = kit.tracker(subject=held)
    tracker.track(sp.PageView("https://acme.com/"))
    held.set_user_id("changed")
    tracker.track(sp.PageView("https://acme.com/"))
    tracker.subject.set_lang("de")
    tracker.track(sp.ScreenView(FIXED_ID, "Home"))
    tracker.set_subject(sp.Subject().set_platform("tv")).track(sp.PageView("https://acme.com/"))
    return shown(tracker.subject.standard_nv_pairs)


@scenario("subject/of_the_event_comes_first")
def _subject_of_event(kit: Kit) -> Any:
    tracker = kit.tracker(subject=full_subject())
    of_event = sp.Subject().set_platform("mob").set_user_id("event").set_viewport(1, 2)
    tracker.track(sp.PageView("https://acme.com/", event_subject=of_event))
    tracker.track(sp.PageView("https://acme.com/"))
    return shown(of_event.standard_nv_pairs)


@scenario("subject/default_platform_of_the_event")
def _default_platform(kit: Kit) -> Any:
    tracker = kit.tracker(subject=sp.Subject().set_platform("srv"))
    tracker.track(sp.PageView("u", event_subject=sp.Subject().set_user_id("event")))
    tracker.track(sp.PageView("u", event_subject=sp.Subject().set_platform("pc")))


@scenario("subject/none")
def _no_subject(kit: Kit) -> Any:
    tracker = kit.tracker()
    tracker.set_subject(None).track(sp.PageView("https://acme.com/"))
    tracker.track(sp.PageView("u", event_subject=sp.Subject().set_user_id("event")))
    return tracker.subject


@scenario("subject/combined")
def _combined(_kit: Kit) -> Any:
    one = sp.Subject().set_platform("mob").set_user_id("one")
    two = sp.Subject().set_platform("tv").set_lang("cs")
    return [
        dict(sorted(shown(pairs).items()))
        for pairs in (one.combine_subject(two), one.combine_subject(None))
    ]


@scenario("subject/empty_values")
def _empty_values(kit: Kit) -> Any:
    held = sp.Subject().set_user_id("").set_lang(None).set_color_depth(0)  # type: ignore[arg-type]
    kit.tracker(subject=held).track(sp.PageView("https://acme.com/"))
    return held.set_domain_session_index(0).standard_nv_pairs["vid"]


@scenario("subject/platforms")
def _platforms(kit: Kit) -> Any:
    class Platform(str, enum.Enum):
        SERVER = "srv"

    tracker = kit.tracker()
    for platform in sorted(subject.SUPPORTED_PLATFORMS - {"headset"}):
        tracker.track(sp.PageView("u", event_subject=sp.Subject().set_platform(platform)))
    return [
        attempt(lambda: sp.Subject().set_platform("headset").standard_nv_pairs["p"]),
        attempt(
            lambda: str.__str__(
                sp.Subject().set_platform(Platform.SERVER).combine_subject(None)["p"]
            )
        ),
    ]


@scenario("subject/string_enum_as_text")
def _string_enums(kit: Kit) -> Any:
    class Category(str, enum.Enum):
        SHOP = "shop"

    tracker = kit.tracker()
    return attempt(lambda: tracker.track(sp.StructuredEvent(Category.SHOP, "add")))


# --- events that are changed, reused or of the user's own making --------------------------------


@scenario("event/tracked_twice")
def _tracked_twice(kit: Kit) -> Any:
    event = sp.PageView("https://acme.com/")
    first = kit.tracker(subject=full_subject())
    first.track(event)
    first.track(event)
    kit.tracker(first.emitters[0], namespace="other").track(event)
    rich = sp.SelfDescribing(sp.SelfDescribingJson(LINK_CLICK, {"a": 1}), context=[entity()])
    first.track(rich)
    rich.context = []
    rich.true_timestamp = None
    first.track(rich)
    return " ".join(sorted(event.payload.get()))


@scenario("event/changed_before_it_is_tracked")
def _changed_before(kit: Kit) -> Any:
    event = sp.PagePing("https://acme.com/", context=[])
    event.page_url, event.page_title, event.referrer = "https://acme.com/2", "Title", "ref"
    event.min_x, event.max_x, event.min_y, event.max_y = 1, 2, 3, 4
    event.context.append(entity())
    event.true_timestamp = 12
    event.event_subject = sp.Subject().set_user_id("later")
    kit.tracker().track(event)
    screen = sp.ScreenView(FIXED_ID, "Home")
    screen.type, screen.transition_type, screen.name = "feed", "swipe", "Changed"
    kit.tracker(kit.made[0]).track(screen)
    described = sp.SelfDescribing(sp.SelfDescribingJson(LINK_CLICK, {"a": 1}))
    described.event_json = sp.SelfDescribingJson(ENTITY, {"b": 1})
    kit.tracker(kit.made[0]).track(described)
    return [shown(event.page_title), shown(event.min_x), screen.name, screen.type]


@scenario("event/changed_after_it_was_tracked")
def _changed_after(kit: Kit) -> Any:
    held, data, entities = full_subject(), {"a": 1}, [entity(a=1)]
    tracker = kit.tracker(subject=held)
    tracker.track(sp.SelfDescribing(sp.SelfDescribingJson(LINK_CLICK, data), context=entities))
    data["a"] = 2
    entities.append(entity(b=1))
    held.set_user_id("later")


@scenario("event/cleared")
def _cleared(kit: Kit) -> Any:
    event = sp.PageView("https://acme.com/", "Title", "ref")
    event.page_title = None
    kit.tracker().track(event)
    return event.page_title


@scenario("event/set_to_nothing")
def _set_to_nothing(kit: Kit) -> Any:
    event = sp.PageView("https://acme.com/", "Title", "ref")
    event.referrer = ""
    kit.tracker().track(event)


@scenario("event/unset_screen_view_property")
def _unset(_kit: Kit) -> Any:
    return attempt(lambda: sp.ScreenView(FIXED_ID, "Home").type)


@scenario("event/screen_view_without_id")
def _no_id(kit: Kit) -> Any:
    tracker = kit.tracker(encode_base64=False)
    return attempt(lambda: tracker.track(sp.ScreenView(name="Home")))  # type: ignore[call-arg]


@scenario("event/screen_view_without_name")
def _no_name(kit: Kit) -> Any:
    tracker = kit.tracker(encode_base64=False)
    return attempt(lambda: tracker.track(sp.ScreenView(id_=FIXED_ID)))  # type: ignore[call-arg]


class Purchase(sp.Event):
    """Sets `self.payload` as 1.1.0's own events do."""

    def __init__(self, category: str, **common: Any) -> None:
        super().__init__(**common)
        self.payload.add("e", "se")
        self.payload.add("se_ca", category)
        self.payload.add("se_ac", "purchase")
        self.payload.add("se_la", "")


class Stamped(Purchase):
    """Adds to what the base class builds."""

    def build_payload(
        self, encode_base64: bool, json_encoder: Any, subject: Any = None
    ) -> payload.Payload:
        built = super().build_payload(encode_base64, json_encoder, subject)
        built.add("se_va", 3)
        built.add_json({"a": UNICODE}, encode_base64, "cx", "co", json_encoder)
        return built


class FromNothing(sp.Event):
    """Never calls the base class."""

    def build_payload(
        self, encode_base64: bool, json_encoder: Any, subject: Any = None
    ) -> payload.Payload:
        return payload.Payload({"e": "pv", "url": f"{encode_base64} {subject is None}"})


class Described(sp.SelfDescribing):
    """Makes its data while it is built."""

    def build_payload(
        self, encode_base64: bool, json_encoder: Any, subject: Any = None
    ) -> payload.Payload:
        self.event_json = sp.SelfDescribingJson(LINK_CLICK, {"late": True})
        return super().build_payload(encode_base64, json_encoder, subject=subject)


@scenario("event/own_classes")
def _own_classes(kit: Kit) -> Any:
    tracker = kit.tracker(subject=full_subject())
    replaced = Purchase("c")
    replaced.payload = payload.Payload({"e": "pv", "url": "replaced"})
    direct = sp.PageView("https://acme.com/")
    direct.payload.add("page", "added to the payload")
    direct.payload.nv_pairs["refr"] = "put into the pairs"
    return [
        attempt(lambda event=event: tracker.track(event))
        for event in (
            Purchase("c"),
            Purchase("c", context=[entity()], true_timestamp=3, event_subject=full_subject()),
            Stamped("c"),
            FromNothing(),
            Described(sp.SelfDescribingJson(ENTITY, {"a": 1}), context=[entity()]),
            replaced,
            direct,
        )
    ]


@scenario("event/own_eid_and_dtm_are_replaced")
def _own_eid(kit: Kit) -> Any:
    kit.tracker().track(sp.Event({"e": "pv", "eid": FIXED_ID, "dtm": 5, "aid": "mine", "p": "tv"}))


@scenario("event/unknown_key/post")
def _unknown_key_post(kit: Kit) -> Any:
    kit.tracker().track(sp.Event({"e": "pv", "colour": "red", "f_pdf": "1", "ad_ba": "y"}))


@scenario("event/unknown_key/get")
def _unknown_key_get(kit: Kit) -> Any:
    emitter = kit.emitter(method="get")
    kit.tracker(emitter).track(sp.Event({"e": "pv", "colour": "red", "f_pdf": "1"}))


@scenario("event/none_and_empty_in_a_plain_event")
def _none_in_plain(kit: Kit) -> Any:
    kit.tracker().track(sp.Event({"e": "pv", "url": None, "page": ""}))


@scenario("event/datetime_as_true_timestamp")
def _datetime_ttm(kit: Kit) -> Any:
    moment = dt.datetime(2020, 1, 2, 3, 4, 5, 678000, tzinfo=dt.timezone.utc)
    kit.tracker().track(sp.PageView("https://acme.com/", true_timestamp=moment))  # type: ignore[arg-type]


# --- the vocabulary ----------------------------------------------------------------------------


@scenario("payload/methods")
def _payload_methods(_kit: Kit) -> Any:
    made = payload.Payload({"a": 1, "n": None, "e": ""})
    made.add("zero", 0)
    made.add("none", None)
    made.add("empty", "")
    made.add("false", False)
    made.add("list", [])
    made.add_dict({"d": 1, "skipped": None, "empty": ""})
    made.add_dict({"f": 1}, True)
    made.add_json(None, True, "x", "y")
    made.add_json({}, True, "x", "y")
    made.add_json({"a": "ž🐎"}, True, "encoded", "z")
    made.add_json({"a": "ž🐎", "f": 1.0}, False, "z", "text")
    made.add_json({"a": {1}}, False, "z", "by_encoder", json_encoder=list)
    return [shown(made.get()), made.get() is made.nv_pairs]


@scenario("self_describing_json/methods")
def _sdj_methods(_kit: Kit) -> Any:
    made = self_describing_json.SelfDescribingJson(ENTITY, {"a": "ž🐎", "f": 1.0})
    made.data["b"] = [1]
    return [made.schema, shown(made.data), shown(made.to_json()), made.to_string()]


class Money:
    """Something that JSON does not know."""

    def __init__(self, amount: str) -> None:
        self.amount = amount


def _encode(value: Any) -> Any:
    if isinstance(value, Money):
        return {"amount": value.amount, "text": UNICODE}
    if isinstance(value, (dt.datetime, uuid.UUID)):
        return f"mine: {value}"
    raise TypeError


@scenario("json_encoder/asked_first")
def _asked_first(kit: Kit) -> Any:
    moment = dt.datetime(2020, 1, 2)  # noqa: DTZ001 (it is the encoder's)
    data = {"money": Money("5"), "at": moment, "id": uuid.UUID(FIXED_ID)}
    for base64 in (True, False):
        tracker = kit.tracker(encode_base64=base64, json_encoder=_encode)
        tracker.track(
            sp.SelfDescribing(sp.SelfDescribingJson(LINK_CLICK, data), context=[entity(**data)])
        )


@scenario("json_encoder/by_configuration")
def _by_configuration(kit: Kit) -> Any:
    tracker = sp.Snowplow.create_tracker(
        "encoder",
        f"http://{kit.host}",
        app_id="app",
        tracker_config=sp.TrackerConfiguration(encode_base64=False, json_encoder=_encode),
    )
    kit.made += tracker.emitters
    tracker.track(sp.SelfDescribing(sp.SelfDescribingJson(LINK_CLICK, {"m": Money("1")})))
    sp.Snowplow.remove_tracker(tracker)


class Colour(enum.Enum):
    """An enumeration of the user's."""

    RED = "red"


UNKNOWN = {
    "datetime": dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc),
    "date": dt.date(2020, 1, 2),
    "uuid": uuid.UUID(FIXED_ID),
    "decimal": decimal.Decimal("1.50"),
    "enum": Colour.RED,
    "set": {5},
    "nan": float("nan"),
    "infinity": float("-inf"),
    "object": object(),
    "bytes": b"bytes",
}


def _send_data(value: Any) -> Callable[[Kit], Any]:
    described = sp.SelfDescribingJson(LINK_CLICK, {"a": value})

    def run(kit: Kit) -> Any:
        tracker = kit.tracker(encode_base64=False)
        return attempt(lambda: tracker.track(sp.SelfDescribing(described)))

    return run


for _name, _value in UNKNOWN.items():
    scenario(f"data/that_json_does_not_know/{_name}")(_send_data(_value))


@scenario("data/lone_surrogate/base64")
def _surrogate_base64(kit: Kit) -> Any:
    described = sp.SelfDescribingJson(LINK_CLICK, {"a": "x\udcffy"})
    return attempt(lambda: kit.tracker().track(sp.SelfDescribing(described)))


@scenario("data/lone_surrogate/plain")
def _surrogate_plain(kit: Kit) -> Any:
    described = sp.SelfDescribingJson(LINK_CLICK, {"a": "x\udcffy"})
    tracker = kit.tracker(encode_base64=False)
    return attempt(lambda: tracker.track(sp.SelfDescribing(described)))


@scenario("data/lone_surrogate/text")
def _surrogate_text(kit: Kit) -> Any:
    return attempt(lambda: kit.tracker().track(sp.PageView("x\udcffy")))


@scenario("data/texts_of_other_types")
def _other_types(kit: Kit) -> Any:
    class Text(str):
        __slots__ = ()

    tracker = kit.tracker()
    tracker.track(sp.PageView("u", 5, 2.50))  # type: ignore[arg-type]
    tracker.track(sp.PageView("u", True, False))  # type: ignore[arg-type]
    tracker.track(sp.PagePing("u", min_x="7", max_x=1.5))  # type: ignore[arg-type]
    tracker.track(sp.PageView("u", Text("title"), context=[entity(a=Text("b"))]))
    tracker.track(sp.StructuredEvent("a", "b", value="12"))  # type: ignore[arg-type]
    tracker.track(sp.StructuredEvent("a", "b", value=decimal.Decimal("1.50")))  # type: ignore[arg-type]


# --- the deprecated methods -----------------------------------------------------------------------


@scenario("deprecated/pages")
def _old_pages(kit: Kit) -> Any:
    return _warned(
        kit,
        lambda t: t.track_page_view("https://acme.com/"),
        lambda t: t.track_page_view("u", "Title", "ref", [entity()], 12, full_subject()),
        lambda t: t.track_page_ping("u"),
        lambda t: t.track_page_ping("u", "T", "r", 1, 2, 3, 4, [entity()], 12.5, full_subject()),
    )


@scenario("deprecated/links_carts_forms")
def _old_links(kit: Kit) -> Any:
    element = {"name": "n", "value": "v", "nodeName": "INPUT", "type": "text"}
    return _warned(
        kit,
        lambda t: t.track_link_click("u"),
        lambda t: t.track_link_click("u", "id", ["a", "b"], "_blank", "text", [entity()], 1),
        lambda t: t.track_link_click("u", "", (), "", ""),
        lambda t: t.track_add_to_cart("sku", 2),
        lambda t: t.track_add_to_cart(
            "sku", 2, "n", "c", 0.0, "EUR", [entity()], 1, full_subject()
        ),
        lambda t: t.track_remove_from_cart("sku", 2),
        lambda t: t.track_remove_from_cart("sku", 2, "n", "c", 1e-07, "EUR", None, 1),
        lambda t: t.track_form_change("form", "id", "INPUT", "value", "text", ["c"], None, 1),
        lambda t: t.track_form_change("form", "id", "TEXTAREA", None),
        lambda t: t.track_form_submit("form"),
        lambda t: t.track_form_submit("form", ["c"], [element], [entity()], 1, full_subject()),
        lambda t: t.track_form_submit("form", [], []),
        lambda t: t.track_site_search(["a", "b"]),
        lambda t: t.track_site_search(("a",), {"f": True, "g": "x"}, 0, 10, None, 1),
    )


@scenario("deprecated/form_change_type")
def _old_form_type(kit: Kit) -> Any:
    return _warned(kit, lambda t: t.track_form_change("form", "id", "INPUT", "v", "TEXT"))


@scenario("deprecated/form_change_without_element")
def _old_form_no_element(kit: Kit) -> Any:
    return _warned(kit, lambda t: t.track_form_change("form", None, "INPUT", "v"))


@scenario("deprecated/form_submit_with_none")
def _old_form_none(kit: Kit) -> Any:
    element = {"name": "n", "value": None, "nodeName": "INPUT", "type": "text"}
    return [
        _warned(kit, lambda t: t.track_form_submit("form", elements=[element])),
        shown(element),
    ]


@scenario("deprecated/transactions")
def _old_transactions(kit: Kit) -> Any:
    return _warned(
        kit,
        lambda t: t.track_ecommerce_transaction_item("order", "sku", 0, 0),
        lambda t: t.track_ecommerce_transaction_item(
            "order", "sku", 2.5, 3, "n", "c", "EUR", [entity()], 12, full_subject()
        ),
        lambda t: t.track_ecommerce_transaction("order", 12.5),
        lambda t: t.track_ecommerce_transaction(
            "order", 1, "aff", 0, 0.0, "city", "state", "country", "EUR", [], [entity()], 12
        ),
        lambda t: t.track_ecommerce_transaction(
            "order",
            10,
            currency="EUR",
            items=[
                {"sku": "a", "price": 1, "quantity": 2},
                {"sku": "b", "price": 2.5, "quantity": 1, "name": "n"},
            ],
            context=[entity()],
            tstamp=1368725287000,
            event_subject=full_subject(),
        ),
    )


@scenario("deprecated/transaction_items")
def _old_items(kit: Kit) -> Any:
    item = {"sku": "a", "price": 1, "quantity": 2, "currency": "USD"}
    seen = _warned(kit, lambda t: t.track_ecommerce_transaction("order", 1, items=[item]))
    return [seen, " ".join(sorted(item))]


@scenario("deprecated/screens_and_events")
def _old_screens(kit: Kit) -> Any:
    described = sp.SelfDescribingJson(LINK_CLICK, {"a": UNICODE})
    return _warned(
        kit,
        lambda t: t.track_screen_view(),
        lambda t: t.track_screen_view("name", "id", [entity()], 12, full_subject()),
        lambda t: t.track_mobile_screen_view("name"),
        lambda t: t.track_mobile_screen_view(
            "name", FIXED_ID, "feed", "p", "pi", "pt", "swipe", [entity()], 12, full_subject()
        ),
        lambda t: t.track_struct_event("c", "a"),
        lambda t: t.track_struct_event("c", "a", "l", "p", 0, [entity()], 12, full_subject()),
        lambda t: t.track_self_describing_event(described),
        lambda t: t.track_self_describing_event(described, [entity()], 12, full_subject()),
        lambda t: t.track_unstruct_event(described),
        lambda t: t.track_unstruct_event(described, [entity()], 12, full_subject()),
    )


def _warned(kit: Kit, *calls: Callable[[Any], Any]) -> Any:
    """Make the calls; tell for each what it returned, and where its warnings point."""
    tracker = kit.tracker()
    seen = []
    for call in calls:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = attempt(lambda call=call: call(tracker) is tracker)
        mine = [each.category.__name__ for each in caught if each.filename == __file__]
        seen.append([result, *sorted(mine)])
    return seen


# --- emitters -------------------------------------------------------------------------------------


def _page_views(tracker: Any, count: int) -> None:
    for number in range(count):
        tracker.track(sp.PageView(f"https://acme.com/{number}"))


@scenario("batches/default")
def _default_batches(kit: Kit) -> Any:
    _page_views(kit.tracker(), 25)


@scenario("batches/default_get")
def _default_get(kit: Kit) -> Any:
    _page_views(kit.tracker(kit.emitter(method="get")), 3)


@scenario("batches/of_three")
def _of_three(kit: Kit) -> Any:
    _page_views(kit.tracker(kit.emitter(batch_size=3)), 7)
    _page_views(kit.tracker(kit.emitter(batch_size=3, method="get")), 4)


@scenario("batches/byte_limit_of_one")
def _byte_limit(kit: Kit) -> Any:
    emitter = kit.emitter(byte_limit=1)
    _page_views(kit.tracker(emitter), 2)
    return shown(emitter.bytes_queued)


@scenario("batches/capacity_below_batch_size")
def _small_capacity(kit: Kit) -> Any:
    emitter = kit.emitter(batch_size=5, buffer_capacity=2)
    _page_views(kit.tracker(emitter), 5)
    return shown(emitter.batch_size)


@scenario("batches/create_tracker_capacity")
def _capacity_of_configuration(kit: Kit) -> Any:
    tracker = sp.Snowplow.create_tracker(
        "capacity",
        f"http://{kit.host}",
        emitter_config=sp.EmitterConfiguration(buffer_capacity=2, batch_size=5),
    )
    kit.made += tracker.emitters
    _page_views(tracker, 5)
    sp.Snowplow.remove_tracker(tracker)
    return shown(tracker.emitters[0].event_store.buffer_capacity)


@scenario("batches/threaded")
def _threaded(kit: Kit) -> Any:
    _page_views(kit.tracker(kit.emitter(sp.AsyncEmitter)), 25)


@scenario("batches/threaded_get")
def _threaded_get(kit: Kit) -> Any:
    _page_views(kit.tracker(kit.emitter(sp.AsyncEmitter, method="get")), 5)


@scenario("batches/flush_timer")
def _flush_timer(kit: Kit) -> Any:
    sent = threading.Event()
    emitter = kit.emitter(on_success=lambda _events: sent.set())
    emitter.set_flush_timer(0.05)
    kit.tracker(emitter).track(sp.PageView("https://acme.com/"))
    arrived = sent.wait(DEADLINE)
    emitter.cancel_flush_timer()
    return arrived


@scenario("batches/full_store_drops_the_newest")
def _full_store(kit: Kit) -> Any:
    class Held(sp.Emitter):
        def reached_limit(self) -> bool:
            return False

    _page_views(kit.tracker(kit.emitter(Held, buffer_capacity=3)), 5)


@scenario("emitter/session_headers_and_cookies")
def _session(kit: Kit) -> Any:
    import requests

    session = requests.Session()
    session.headers["X-Mine"] = "yes"
    session.cookies.set("mine", "1")
    for method in ("post", "get"):
        _page_views(kit.tracker(kit.emitter(session=session, method=method, batch_size=1)), 2)


@scenario("emitter/session_like_object")
def _session_like(kit: Kit) -> Any:
    class Answer:
        status_code = 200

    class Like:
        def __init__(self) -> None:
            self.calls: List[Any] = []

        def post(self, *args: Any, **kwargs: Any) -> Any:
            self.calls.append(
                ["post", len(args), " ".join(sorted(kwargs)), type(kwargs.get("data")).__name__]
            )
            return Answer()

        def get(self, *args: Any, **kwargs: Any) -> Any:
            self.calls.append(
                ["get", len(args), " ".join(sorted(kwargs)), type(kwargs.get("params")).__name__]
            )
            return Answer()

    like = Like()
    for method in ("post", "get"):
        _page_views(kit.tracker(kit.emitter(session=like, method=method, batch_size=1)), 1)
    return like.calls


@scenario("emitter/callbacks", [200, 400])
def _callbacks(kit: Kit) -> Any:
    calls: List[Any] = []
    for method in ("post", "get"):
        emitter = kit.emitter(
            method=method,
            batch_size=2,
            on_success=lambda events: calls.append(list(map(_without_variables, events))),
            on_failure=lambda sent, events: calls.append([sent, len(events)]),
        )
        tracker = kit.tracker(emitter)
        for _ in range(4 if method == "post" else 2):
            tracker.track(sp.PagePing("https://acme.com/", min_x=1))
    return calls


@scenario("emitter/own_store")
def _own_store(kit: Kit) -> Any:
    class Store:
        def __init__(self) -> None:
            self.held: List[Any] = []
            self.calls: List[Any] = []

        def add_event(self, payload: Dict[str, Any]) -> bool:
            self.calls.append(_without_variables(payload))
            self.held.append(payload)
            return True

        def get_events_batch(self) -> List[Any]:
            batch, self.held = self.held, []
            return batch

        def cleanup(self, batch: List[Any], need_retry: bool) -> None:
            self.calls.append([len(batch), need_retry])

        def size(self) -> int:
            return len(self.held)

    seen = []
    for method in ("post", "get"):
        store = Store()
        emitter = kit.emitter(event_store=store, method=method, batch_size=2)
        _page_views(kit.tracker(emitter), 2)
        seen.append(store.calls)
    return seen


@scenario("emitter/overridden_http_post")
def _overridden_post(kit: Kit) -> Any:
    bodies: List[Any] = []

    class Mine(sp.Emitter):
        def http_post(self, data: str) -> int:
            bodies.append([type(data).__name__, sorted(json.loads(data))])
            return super().http_post(data)

        def http_get(self, payload: Dict[str, Any]) -> int:
            bodies.append([type(payload).__name__, "stm" in payload])
            return super().http_get(payload)

    _page_views(kit.tracker(kit.emitter(Mine)), 1)
    _page_views(kit.tracker(kit.emitter(Mine, method="get")), 1)
    kit.finish()
    return bodies


@scenario("emitter/input_directly")
def _input_directly(kit: Kit) -> Any:
    given = {"e": "pv", "url": "u", "p": "pc", "tv": "x", "vid": 3, "page": "ž"}
    for method in ("post", "get"):
        kit.emitter(method=method).input(dict(given))


@scenario("emitter/configuration")
def _configuration(kit: Kit) -> Any:
    calls: List[Any] = []
    config = sp.EmitterConfiguration(
        batch_size=2,
        on_success=lambda events: calls.append(len(events)),
        request_timeout=(2, 3),
        custom_retry_codes={},
    )
    config.set_retry_code(500, False)
    tracker = sp.Snowplow.create_tracker(
        "configured", f"http://{kit.host}", "get", "app", full_subject(), emitter_config=config
    )
    kit.made += tracker.emitters
    _page_views(tracker, 3)
    kit.finish()
    sp.Snowplow.reset()
    timeout = shown(tracker.emitters[0].request_timeout)
    return [calls, timeout, shown(tracker.emitters[0].custom_retry_codes)]


@scenario("emitter/shared_retry_codes")
def _shared_codes(_kit: Kit) -> Any:
    sp.EmitterConfiguration().set_retry_code(418, False)
    seen = shown(sp.EmitterConfiguration().custom_retry_codes)
    sp.EmitterConfiguration().custom_retry_codes.clear()
    return seen


@scenario("emitter/set_retry_code")
def _set_retry_code(_kit: Kit) -> Any:
    config = sp.EmitterConfiguration(custom_retry_codes={})
    answers = [
        config.set_retry_code(*arguments)
        for arguments in ((418,), (418, False), (200,), (299, True), ("418",), (418, "no"))
    ]
    return [answers, shown(config.custom_retry_codes)]


def _endpoints(host: str) -> List[Dict[str, Any]]:
    name, port = host.split(":")
    return [
        {"endpoint": host},
        {"endpoint": f"{host}/"},
        {"endpoint": f"{host}///"},
        {"endpoint": f"http://{host}"},
        {"endpoint": f"http://{host}/", "protocol": "https"},
        {"endpoint": f"{host}/some/path"},
        {"endpoint": f"http://{host}/some/path/"},
        {"endpoint": name, "port": int(port)},
        {"endpoint": f"http://{name}", "port": int(port)},
        {"endpoint": f"{name}/", "port": int(port)},
        {"endpoint": f"{host}/ž"},
    ]


@scenario("emitter/endpoint_forms")
def _endpoint_forms(kit: Kit) -> Any:
    for method in ("post", "get"):
        for form in _endpoints(kit.host):
            emitter = sp.Emitter(**{"protocol": "http", "method": method, **form})
            kit.tracker(emitter).track(sp.PageView("https://acme.com/"))
            emitter.sync_flush()


@scenario("emitter/endpoint_with_a_space")
def _endpoint_space(kit: Kit) -> Any:
    endpoint = f"http://{kit.host}/a b"
    kit.tracker(kit.emitter(), namespace="control").track(sp.PageView("https://acme.com/"))
    return str(attempt(lambda: sp.Emitter(endpoint).endpoint)).replace(kit.host, "HOST")


@scenario("emitter/endpoint_texts")
def _endpoint_texts(_kit: Kit) -> Any:
    uri = sp.Emitter.as_collector_uri
    return [
        uri("acme.com"),
        uri("acme.com", "http"),
        uri("acme.com", port=99),
        uri("acme.com", "http", 99, "get"),
        uri("http://acme.com", "https", 99),
        uri("https://acme.com:8080/path//"),
        uri("user:pass@acme.com"),
        uri("[::1]", "http", 9090),
    ]


@scenario("emitter/endpoint_scheme_in_capitals")
def _capitals(_kit: Kit) -> Any:
    return sp.Emitter.as_collector_uri("HTTPS://acme.com")


@scenario("emitter/good_status_codes")
def _good_codes(_kit: Kit) -> Any:
    return [sp.Emitter.is_good_status_code(code) for code in (-1, 199, 200, 204, 299, 300, 404)]


@scenario("emitter/attach_sent_timestamp")
def _attach(_kit: Kit) -> Any:
    events: List[Dict[str, Any]] = [{"e": "pv"}, {"e": "pp", "stm": "old"}]
    sp.Emitter.attach_sent_timestamp(events)
    return [_without_variables(event) for event in events]


@scenario("emitter/module_names")
def _module_names(_kit: Kit) -> Any:
    return [
        emitters.PAYLOAD_DATA_SCHEMA,
        shown(emitters.DEFAULT_MAX_LENGTH),
        subject.DEFAULT_PLATFORM,
        emitters.logger.name,
        sp.logger is emitters.logger,
    ]


# --- answers ---------------------------------------------------------------------------------------


def _after_failure(kit: Kit, **options: Any) -> Any:
    """Track two events in one batch, wait until they are delivered, and give what was called."""
    calls: List[Any] = []
    sent = threading.Event()

    def on_success(events: List[Any]) -> None:
        calls.append(["sent", len(events)])
        sent.set()

    def on_failure(count: int, events: List[Any]) -> None:
        calls.append(["failed", count, len(events)])

    emitter = kit.emitter(batch_size=2, on_success=on_success, on_failure=on_failure, **options)
    _page_views(kit.tracker(emitter), 2)
    assert sent.wait(DEADLINE)
    return calls


for _status in (301, 404, 429, 500, 503):
    if _status != 301:
        scenario(f"answers/{_status}_then_200", [_status])(_after_failure)


def _given_up(kit: Kit, **options: Any) -> Any:
    """Track two events of which the first is refused for good."""
    calls: List[Any] = []
    emitter = kit.emitter(
        batch_size=1,
        on_success=lambda events: calls.append(["sent", len(events)]),
        on_failure=lambda count, events: calls.append(["failed", count, len(events)]),
        **options,
    )
    _page_views(kit.tracker(emitter), 2)
    return calls


for _status in (400, 401, 403, 410, 422):
    scenario(f"answers/{_status}_is_not_retried", [_status])(_given_up)


@scenario("answers/custom_codes", [503])
def _custom_codes(kit: Kit) -> Any:
    return _given_up(kit, custom_retry_codes={503: False})


@scenario("answers/custom_code_to_retry", [400])
def _custom_retry(kit: Kit) -> Any:
    return _after_failure(kit, custom_retry_codes={400: True})


@scenario("answers/no_connection")
def _no_connection(_kit: Kit) -> Any:
    # Port 9 on loopback is `discard`, which nothing serves here.
    calls: List[Any] = []
    emitter = sp.Emitter(
        "127.0.0.1:9",
        protocol="http",
        batch_size=1,
        custom_retry_codes={-1: False},
        on_failure=lambda count, events: calls.append([count, len(events)]),
    )
    _page_views(sp.Tracker("ns", emitter), 1)
    return calls


@scenario("answers/redirect", [[301, {"Location": "/elsewhere"}]])
def _redirect(kit: Kit) -> Any:
    return _given_up(kit, custom_retry_codes={301: False})


@scenario("answers/get_with_one_failure", [503])
def _get_one_failure(kit: Kit) -> Any:
    emitter = kit.emitter(method="get", batch_size=2)
    _page_views(kit.tracker(emitter), 2)
    emitter.flush()


@scenario("answers/cookies_are_not_kept", [[200, {"Set-Cookie": "sp=network-user; Path=/"}]])
def _cookies(kit: Kit) -> Any:
    _page_views(kit.tracker(kit.emitter(batch_size=1)), 2)


def mark(host: str, name: str, answers: List[Any]) -> None:
    """Tell the collector what comes now."""
    connection = http.client.HTTPConnection(host, timeout=DEADLINE)
    connection.request("PUT", MARK_PATH + name, json.dumps(answers))
    connection.getresponse().read()
    connection.close()


def main(host: str, result_file: str, pattern: str = "*") -> None:
    """Run the scenarios and write down what they saw."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    seen: Dict[str, Any] = {}
    took: Dict[str, float] = {}
    for name, (function, answers) in SCENARIOS.items():
        if not fnmatch.fnmatch(name, pattern):
            continue
        mark(host, name, answers)
        kit = Kit(host)
        started = time.monotonic()
        try:
            seen[name] = shown(function(kit))
            kit.finish()
        except Exception:
            seen[name] = {RAISED: traceback.format_exc()}
        took[name] = time.monotonic() - started
    mark(host, "end", [])
    with open(result_file, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump({"version": sp.__version__, "seen": seen, "took": took}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
