"""Send one event of each type to a local collector, and show what arrived."""

from __future__ import annotations

import argparse
import sys
import uuid
from typing import List, Optional

from snowplow_tracker._cli.common import SWITCHED_OFF, say, show, writing_to
from snowplow_tracker._delivery.options import is_disabled_by_environment
from snowplow_tracker.events.page_ping import PagePing
from snowplow_tracker.events.page_view import PageView
from snowplow_tracker.events.screen_view import ScreenView
from snowplow_tracker.events.self_describing import SelfDescribing
from snowplow_tracker.events.structured_event import StructuredEvent
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.snowplow import Snowplow
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker

EPILOG = """\
Exit status:
  0    every event arrived and is valid
  1    some did not
  2    SNOWPLOW_DISABLED=1 switches tracking off, so that there is nothing to show
"""


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""


def run(_args: argparse.Namespace) -> int:
    """Run the demo; return the exit status."""
    from snowplow_tracker.testing.collector import Collector, EventsMissingError

    if is_disabled_by_environment():
        return say("demo", f"{SWITCHED_OFF}: unset it to see events arrive", 2)
    with Collector() as collector:
        show(f"A collector listens on {collector.endpoint}", sys.stdout)
        subject = Subject().set_platform("srv").set_user_id("visitor-7").set_lang("en")
        tracker = Snowplow.create_tracker(
            namespace="demo",
            endpoint=collector.endpoint,
            app_id="snowplow-tracker-demo",
            subject=subject,
        )
        try:
            with tracker:
                sent = _track_one_of_each(tracker)
        finally:
            Snowplow.remove_tracker(tracker)
        show(f"{len(sent)} events were tracked. This is what arrived:\n", sys.stdout)
        try:
            collector.wait_for(len(sent), 10.0)
        except EventsMissingError as error:
            show(str(error), sys.stderr)
            return 1
        with writing_to(sys.stdout):
            collector.print_events()
        arrived = {event.event_id for event in collector.good}
        missing = [each for each in sent if each not in arrived]
        if missing:
            show(f"Not valid: {', '.join(map(str, missing))}", sys.stderr)
            return 1
    show("All of them arrived, and all are valid.", sys.stdout)
    return 0


def _track_one_of_each(tracker: Tracker) -> List[Optional[str]]:
    shop = "https://shop.example.com"
    events = [
        PageView(page_url=f"{shop}/lamps", page_title="Lamps", referrer="https://example.com"),
        PagePing(page_url=f"{shop}/lamps", page_title="Lamps", min_y=0, max_y=640),
        ScreenView(id_=str(uuid.uuid4()), name="Basket", type="list", previous_name="Lamps"),
        StructuredEvent(category="shop", action="add-to-basket", label="lamp-3", value=2),
        SelfDescribing(
            SelfDescribingJson(
                "iglu:com.example.shop/order/jsonschema/1-0-0",
                {"orderId": "A-1017", "total": 59.8, "currency": "EUR"},
            ),
            event_subject=Subject().set_user_id("customer-42").set_ip_address("203.0.113.7"),
            context=[
                SelfDescribingJson(
                    "iglu:com.example.shop/product/jsonschema/1-0-0",
                    {"sku": "lamp-3", "quantity": 2, "price": 29.9},
                ),
                SelfDescribingJson(
                    "iglu:com.example.shop/voucher/jsonschema/1-0-0", {"code": "WELCOME"}
                ),
            ],
        ),
    ]
    return [tracker.track(event) for event in events]
