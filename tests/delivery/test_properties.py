"""Whatever a collector says about when to come back."""

from __future__ import annotations

import math
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from support.inside import retry
from support.repetitions import repetitions

NOW = 1_700_000_000.0

days = [
    "Wed",
    "Wed,",
    ",",
    "21",
    "31",
    "0",
    "99",
    "Oct",
    "Foo",
    "2015",
    "0000",
    "99999",
    "21-Oct-15",
]
times = ["07:28:00", "25:61:61", "07.28.00", ":", "::", "12:00", "00:00:00.5", "1e9"]
zones = [
    "GMT",
    "EST",
    "-0000",
    "+9999",
    "-2400",
    "+",
    "-",
    "()",
    "(",
    ")",
    "²",
    "٣",
    "\ud800",
    "\0",
]
parts_of_dates = st.lists(st.sampled_from([*days, *times, *zones]), max_size=8).map(" ".join)
values = (
    st.text(st.characters(), max_size=30)
    | st.text(string.digits + " ,:+-.GMT", max_size=30)
    | parts_of_dates
    | st.integers(-5, 10**400).map(str)
    | st.none()
    | st.binary(max_size=3)
    | st.integers()
)


@settings(max_examples=repetitions(500))
@given(value=values)
def test_any_retry_after_is_a_delay_or_unreadable(value):
    """Any `Retry-After` is read as seconds from now, none of them negative, or as nothing."""
    seconds = retry.parse_retry_after(value, lambda: NOW)
    assert seconds is None or (seconds >= 0 and not math.isnan(seconds))


@settings(max_examples=repetitions(200))
@given(value=values, max_delay=st.floats(0, 10**6))
def test_no_retry_after_makes_us_wait_longer_than_the_maximum(value, max_delay):
    """Whatever a collector asks for, it is left alone no longer than the maximum."""
    waits = retry.Backoff(retry.RetryPolicy(), lambda: 1_000.0, lambda: 0.5)
    waits.failed(max_delay, value)
    assert 0 <= waits.wait(forced=True) <= max_delay + 1e-6
    assert 0 <= waits.wait(forced=False) <= max_delay + 1e-6
