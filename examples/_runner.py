"""What the examples share: where to send to, and the proof that everything arrived."""

import argparse
import sys
from typing import Callable, List, Optional

from snowplow_tracker.testing import Collector, EventsMissingError

# An example takes the endpoint of a collector, and returns the ids of the events that it tracked.
Example = Callable[[str], List[Optional[str]]]


def run(example: Example, description: Optional[str]) -> int:
    """Run an example against the endpoint on the command line, or against a local collector."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "endpoint", nargs="?", help="URL of a collector (default: one is started on this machine)"
    )
    endpoint = parser.parse_args().endpoint
    if endpoint is not None:
        print(f"{len(example(endpoint))} events were tracked")
        return 0
    with Collector() as collector:
        tracked = example(collector.endpoint)
        try:
            collector.wait_for(len(tracked))
        except EventsMissingError as error:
            print(error, file=sys.stderr)
            return 1
        collector.print_events()
        missing = set(tracked) - {event.event_id for event in collector.good}
        if missing:
            print(f"missing or not valid: {missing}", file=sys.stderr)
        return 1 if missing else 0
