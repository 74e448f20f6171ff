"""The API as users write it, for type checkers only: this file is never run.

A signature that becomes harder to use shows here as an error, before it does in somebody's project.
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Dict, List, Optional

import requests

import snowplow_tracker
from snowplow_tracker import (
    AsyncEmitter,
    DeliveryStats,
    DropReason,
    Emitter,
    EmitterConfiguration,
    EmitterState,
    Event,
    EventStore,
    InMemoryEventStore,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    Snowplow,
    StructuredEvent,
    Subject,
    Tracker,
    TrackerConfiguration,
    disable_contracts,
    enable_contracts,
)
from snowplow_tracker.payload import Payload
from snowplow_tracker.sqlite_event_store import SQLiteEventStore
from snowplow_tracker.testing import Collector, RecordingEmitter
from snowplow_tracker.typing import PayloadDict, PayloadDictList

logger = logging.getLogger("shop")

# Subjects and entities ---------------------------------------------------------------------------

subject: Subject = (
    Subject()
    .set_platform("srv")
    .set_user_id("user-7")
    .set_screen_resolution(1920, 1080)
    .set_viewport(1200, 800)
    .set_color_depth(24)
    .set_timezone("Europe/London")
    .set_lang("en")
    .set_ip_address("203.0.113.7")
    .set_useragent("Mozilla/5.0")
    .set_domain_user_id("d")
    .set_domain_session_id("s")
    .set_domain_session_index(3)
    .set_network_user_id("n")
)
entity = SelfDescribingJson(
    "iglu:com.example/product/jsonschema/1-0-0",
    {"sku": "lamp-3", "price": Decimal("29.90"), "added": datetime.now(timezone.utc)},
)
several = SelfDescribingJson("iglu:com.example/list/jsonschema/1-0-0", [{"a": 1}, {"a": 2}])
schema: str = entity.schema
as_json: Dict[str, Any] = entity.to_json()
as_text: str = entity.to_string()

# Events ------------------------------------------------------------------------------------------

view = PageView("https://example.com/", page_title="Lamps", event_subject=subject, context=[entity])
view.page_title = "More lamps"
title: Optional[str] = view.page_title
ping = PagePing(page_url="https://example.com/", min_x=0, max_x=10, min_y=0, max_y=640)
screen = ScreenView(name="Lamps", id_=str(uuid.uuid4()))
structured = StructuredEvent("shop", "add", label="lamp-3", property_="colour", value=2.5)
described = SelfDescribing(
    event_json=entity, context=[several], true_timestamp=datetime.now(timezone.utc)
)
described.true_timestamp = 1_700_000_000_000
events: List[Event] = [view, ping, screen, structured, described]


class OwnEvent(Event):
    """An event type of a user's own, as 1.1.0 allowed it."""

    def __init__(self, level: int, event_subject: Optional[Subject] = None) -> None:
        super().__init__(event_subject=event_subject)
        self.payload.add("e", "se")
        self.payload.add("se_va", level)


# Callbacks, stores, sessions ---------------------------------------------------------------------


def on_success(sent: PayloadDictList) -> None:
    logger.info("%d sent", len(sent))


def on_failure(count: int, failed: List[Dict[str, Any]]) -> None:
    logger.info("%d sent, %d failed: %s", count, len(failed), failed[0]["eid"])


def on_drop(lost: PayloadDictList, reason: DropReason) -> None:
    logger.info("%d lost: %s", len(lost), reason.value)


class OwnStore:
    """A store with the four methods that 1.1.0 asks for."""

    def __init__(self) -> None:
        self._events: PayloadDictList = []

    def add_event(self, payload: PayloadDict) -> bool:
        self._events.append(payload)
        return True

    def get_events_batch(self) -> PayloadDictList:
        batch, self._events = self._events, []
        return batch

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        if need_retry:
            self._events = batch + self._events

    def size(self) -> int:
        return len(self._events)


own_store: EventStore = OwnStore()
memory: EventStore = InMemoryEventStore(logger, buffer_capacity=500)
file: EventStore = SQLiteEventStore(
    "/var/lib/shop/events.db",
    buffer_capacity=100_000,
    overflow="drop_oldest",
    durability="machine",
)

# Emitters ----------------------------------------------------------------------------------------

emitter = Emitter(
    "collector.example.com",
    protocol="https",
    port=443,
    method="post",
    batch_size=50,
    on_success=on_success,
    on_failure=on_failure,
    byte_limit=40_000,
    request_timeout=(3.05, 10),
    max_retry_delay_seconds=30,
    buffer_capacity=10_000,
    custom_retry_codes={500: False, 429: True},
    event_store=own_store,
    session=requests.Session(),
    on_drop=on_drop,
    overflow="block",
    overflow_timeout=0.5,
    max_retries=10,
    max_request_bytes=250_000,
    max_request_events=100,
    flush_interval=2.0,
    exit_timeout=3.0,
    path="/com.acme/track",
    headers={"X-Shop": "1"},
    server_anonymisation=True,
)
threaded = AsyncEmitter("https://collector.example.com", thread_count=2, event_store=memory)
producer = Emitter("collector.example.com", event_store=file, enqueue_only=True)
unsent: int = emitter.flush(timeout=2)
unsent = threaded.sync_flush(timeout=2)
unsent = threaded.close()
stats: DeliveryStats = threaded.stats()
lost: int = stats.dropped.get(DropReason.OVERFLOW, 0)
over: bool = threaded.state is EmitterState.CLOSED
emitter.set_flush_timer(1.5)
emitter.cancel_flush_timer()
with AsyncEmitter("collector.example.com") as scoped:
    scoped.flush()


class OwnEmitter(Emitter):
    """Overrides the seams that 1.1.0 has; real projects answer with a response as well as a number."""

    def http_post(self, data: str) -> Any:
        return requests.post(self.endpoint, data=data, timeout=5)

    def is_good_status_code(self, status_code: int) -> bool:
        return status_code < 300


class AnythingWithInput:
    """An emitter need not be one of ours."""

    def input(self, payload: PayloadDict) -> None:
        logger.info("%s", payload)

    def flush(self) -> None: ...

    def async_flush(self) -> None: ...

    def sync_flush(self) -> None: ...


# Trackers ----------------------------------------------------------------------------------------

tracker = Tracker("web", emitter, subject=subject, app_id="shop", encode_base64=False)
tracker = Tracker("web", [emitter, threaded, AnythingWithInput()])
for event in events:
    eid: Optional[str] = tracker.track(event)
tracker.track(OwnEvent(3, event_subject=subject))
payload: Payload = tracker.complete_payload(view)
tracker = tracker.set_subject(None).add_emitter(scoped).flush().flush(is_async=True)
tracker = tracker.flush(timeout=2).close(timeout=2)
with Tracker("scoped", RecordingEmitter()) as scoped_tracker:
    scoped_tracker.track(view)


def encode(value: object) -> object:
    return str(value)


configured: Tracker = Snowplow.create_tracker(
    namespace="jobs",
    endpoint="https://collector.example.com",
    method="get",
    app_id="shop",
    subject=subject,
    tracker_config=TrackerConfiguration(encode_base64=True, json_encoder=encode),
    emitter_config=EmitterConfiguration(
        batch_size=10,
        on_success=on_success,
        on_failure=on_failure,
        request_timeout=5.0,
        custom_retry_codes={418: False},
        event_store=memory,
        emitter_class=AsyncEmitter,
        thread_count=2,
        on_drop=on_drop,
    ),
)
configuration = EmitterConfiguration()
configuration.batch_size = 20
configuration.on_failure = on_failure
known: bool = configuration.set_retry_code(429, retry=True)
interval: Optional[float] = configuration.flush_interval
emitter_of_it: Emitter = configuration.emitter_class("collector.example.com")
configuration.exit_timeout = None
configuration.exit_timeout = "5"  # type: ignore[assignment]
configuration.exit_time = 5.0  # type: ignore[attr-defined]
found: Optional[Tracker] = Snowplow.get_tracker("jobs")
if found is not None:
    found.track(view)
Snowplow.add_tracker(tracker)
Snowplow.remove_tracker_by_namespace("jobs")
Snowplow.remove_tracker(tracker)
Snowplow.reset()

# What is deprecated stays typed ------------------------------------------------------------------

tracker.track_page_view("https://example.com/", "Lamps", tstamp=1_700_000_000_000.0)
tracker.track_struct_event("shop", "add", "lamp-3", "colour", 2, context=[entity])
tracker.track_self_describing_event(entity, event_subject=subject)
tracker.track_ecommerce_transaction(
    "A-1", 59.8, items=[{"sku": "lamp-3", "price": 29.9, "quantity": 2}]
)

# Testing -----------------------------------------------------------------------------------------

with Collector() as collector:
    Tracker("test", Emitter(collector.endpoint, batch_size=1)).track(view)
    collector.wait_for(1)
    first: Dict[str, Any] = collector.good[0].data
recorder = RecordingEmitter()

disable_contracts()
enable_contracts()
version: str = snowplow_tracker.__version__


def scopes_and_hooks(tracker: Tracker) -> None:
    """What events carry inside of a scope, and what a tracker does to all of them."""
    entity = SelfDescribingJson("iglu:com.acme/a/jsonschema/1-0-0", {"a": 1})
    with snowplow_tracker.Scope(user_id="u", entities=[entity], parameters={"res": "1x2"}) as scope:
        scope.set(page_url="https://a.example/", anonymous=False)
        scope.add_entity(entity)
    snowplow_tracker.current_scope().set(user_id=None)

    @snowplow_tracker.Scope(user_id="job")
    def job(number: int) -> str:
        return str(number)

    text: str = job(1)
    print(text)

    @tracker.before_track
    def change(event: Event) -> Optional[Event]:
        return event

    @tracker.before_track(must_succeed=True)
    def drop(event: Event) -> Optional[Event]:
        return None if event.event_subject is None else event

    @tracker.after_track
    def note(parameters: Dict[str, Any]) -> None:
        print(parameters["eid"])

    tracker.add_global_contexts({"a": entity, "b": lambda event: entity})
    tracker.add_global_contexts([(lambda event: True, [entity]), ({"accept": "x"}, entity)])
    tracker.remove_global_contexts("a").clear_global_contexts()
    tracker.redact("ip", lambda value: None).redact("$..email", str, schema="x")
    dropped: int = tracker.stats().dropped_by_hooks
    print(dropped, change, drop, note, Tracker.from_environment({}, batch_size=5))


async def in_an_event_loop(emitter: AsyncEmitter) -> None:
    """Flush and close without blocking the loop."""
    async with Tracker("n", emitter) as tracker:
        await tracker.aflush(timeout=1.0)
        await tracker.aclose()
