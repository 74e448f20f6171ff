"""Events that 1.1.0 pickled, which may wait in a queue of tasks while the package is updated."""

import base64
import pickle
import zlib

from snowplow_tracker import (
    Event,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)
from snowplow_tracker.testing import RecordingEmitter

# pickle.dumps([...], protocol=2) of the events below, under snowplow-tracker 1.1.0.
PICKLED_BY_1_1_0 = (
    "eNp9UmlvEzEUTNL0IIUeHOUq97XlCFDu0lKOlitShRQJ+UtleXdNvCXZ7KztBD5Ygn+O7c0BFPrJ79CbN2/GPyq7KAWRTLv9"
    "rN3tU5Wz6CvP67zHUyXrGWtx2kt4v/bJRp9dgPLKT1QMJgIyXSqVMva93WUxqvsxBi07WryYtJNTBtNkxg6mPZqxJJeYMTgU"
    "kLItcdRIxWH2MEsmbKDzNg77lsYRUvXrWhxzvqQwr2VI5mxIPV0qdbjHI4WF/VwGrVpz8GLRcjlqcIws2nmpWBqzPKYjUscN"
    "ThSkMiwVpCKcLEglMU75UofjtKPgzqFRN1X8m8KZXZwl866ics2pSjrcwncyLDcmdfhfpSVvf6Exl1GehEnaqjVtvjVOcc7y"
    "PW9wIRBV4XS8aHBJWOkui0IzzXFFylAs7AjL4Oo/FPhzAd2T3fSvLR9dCdcs+nWDG4W/VEaCdxgCMmWzpNXWayFWvBcxUww3"
    "DW55nULcbpStzEws75DZsSluD+4Ih1o3uBuI35AY7gkLcN8DMKx6gINEinLO0+JDNn1cfMkHFvyhwaOhOI8Nnjhxno4EeeZY"
    "LTmrxxA0y7sZz1XCJdYMngdeSOvuulj3B6bMOrwhNvRBlKzLkdI5j4t7a81RYdvneGEJbRq8HJJ7ZfDakXsTDKyTHFtk0gc0"
    "Ytj2akR4O6yxCO/E6jDrMbxvVPTosg/2Mh3y+i+DSjKJ"
)
EVENTS = [
    PageView("u", "t", event_subject=Subject().set_user_id("me"), true_timestamp=5),
    SelfDescribing(
        SelfDescribingJson("iglu:a", {"a": 1}), context=[SelfDescribingJson("iglu:b", {"b": 1})]
    ),
    ScreenView("id", "name"),
    StructuredEvent("c", "a", value=2),
]


def test_events_pickled_by_1_1_0_are_tracked():
    """They are the events that they were, with subject and timestamp, and can be tracked and changed."""
    events = pickle.loads(zlib.decompress(base64.b64decode(PICKLED_BY_1_1_0)))  # noqa: S301 - ours
    assert events == EVENTS
    emitter = RecordingEmitter()
    tracker = Tracker("ns", emitter)
    for event in events:
        assert isinstance(event, Event)
        tracker.track(event)
    first, second, _, fourth = emitter.payloads
    assert (first["url"], first["uid"], first["ttm"]) == ("u", "me", 5)
    assert {"ue_px", "cx"} <= set(second)
    assert fourth["se_va"] == 2
    events[0].page_url = "other"
    assert (events[0].payload.nv_pairs["url"], EVENTS[0].page_url) == ("other", "u")
