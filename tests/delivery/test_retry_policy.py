"""When an attempt is made again: pure arithmetic, with the clock and the randomness given."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.inside import retry


class Clock:
    """A monotonic clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def backoff(clock: Clock, chance: float = 1.0) -> retry.Backoff:
    return retry.Backoff(retry.RetryPolicy(), clock, lambda: chance)


def test_windows_grow_up_to_the_maximum() -> None:
    """Each failure in a row widens the window, and no window is wider than the maximum."""
    windows = [retry.RetryPolicy().window(failures, max_delay=60) for failures in range(1, 40)]
    assert windows == sorted(windows)
    assert windows[0] < windows[1] < windows[2]
    assert windows[-1] == 60


@pytest.mark.long
@given(
    failures=st.integers(1, 10**9),
    max_delay=st.floats(0, 10**6),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_every_delay_is_within_the_window(failures: int, max_delay: float, chance: float) -> None:
    """Whatever the number of failures, the delay is a number between zero and the maximum."""
    policy = retry.RetryPolicy()
    delay = policy.delay(failures, max_delay, lambda: chance)
    assert 0 <= delay <= policy.window(failures, max_delay) <= max_delay


def test_jitter_is_full() -> None:
    """A delay may be anything from nothing to the whole window, so that clients spread out."""
    policy = retry.RetryPolicy()
    assert policy.delay(5, 60, lambda: 0.0) == 0
    assert policy.delay(5, 60, lambda: 0.999) == pytest.approx(policy.window(5, 60), rel=0.01)


def test_attempts_in_an_outage_stay_few() -> None:
    """Even a lucky streak of short delays makes few attempts, since the windows grow."""
    clock = Clock()
    waits = backoff(clock, chance=0.5)
    attempts = 0
    while clock.now < 1_005:
        attempts += 1
        waits.failed(max_delay=60)
        clock.now += waits.wait(forced=False)
    assert attempts <= 10


def test_a_success_resets_the_delay() -> None:
    """After a success nothing is waited for, and the next failure starts with the first window."""
    clock = Clock()
    waits = backoff(clock)
    waits.failed(max_delay=60)
    first = waits.delay
    for _ in range(5):
        waits.failed(max_delay=60)
    assert waits.delay > first
    assert waits.failing
    waits.succeeded()
    assert not waits.failing
    assert waits.wait(forced=False) == 0
    waits.failed(max_delay=60)
    assert waits.delay == first


def test_a_forced_attempt_skips_our_own_delay_only() -> None:
    """Who asks for an attempt need not wait for the backoff, but for what the collector asked for."""
    clock = Clock()
    waits = backoff(clock)
    waits.failed(max_delay=60)
    assert waits.wait(forced=False) > 0
    assert waits.wait(forced=True) == 0
    waits.failed(max_delay=60, retry_after="7")
    assert waits.wait(forced=True) == 7
    clock.now += 7
    assert waits.wait(forced=True) == 0


def test_retry_after_is_honoured_up_to_the_maximum() -> None:
    """A collector that asks for an hour gets the longest delay that the user allows."""
    clock = Clock()
    waits = backoff(clock, chance=0.0)
    waits.failed(max_delay=30, retry_after="3600")
    assert waits.wait(forced=False) == 30


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 5 ", 5.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("٣", None),
        ("Wed, 99 Foo 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after_in_seconds(value: Optional[str], seconds: Optional[float]) -> None:
    """A number of seconds is read, and what cannot be read is as if it were not there."""
    assert retry.parse_retry_after(value) == seconds


@pytest.mark.parametrize(("offset", "seconds"), [(90, 90.0), (-90, 0.0)])
def test_retry_after_as_a_date(offset: int, seconds: float) -> None:
    """An HTTP date is the time until then, and nothing if it has passed."""
    now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)
    value = format_datetime(now + timedelta(seconds=offset), usegmt=True)
    assert retry.parse_retry_after(value, now.timestamp) == seconds


def test_a_number_beyond_any_limit_is_capped() -> None:
    """A `Retry-After` of four hundred digits neither raises nor waits for ever."""
    waits = backoff(Clock())
    waits.failed(max_delay=10, retry_after="9" * 400)
    assert waits.wait(forced=False) == 10


def test_the_delays_of_one_seed_are_reproducible() -> None:
    """The randomness is the caller's: the same numbers give the same delays."""

    def delays() -> List[float]:
        numbers = iter([0.1, 0.9, 0.5])
        return [retry.RetryPolicy().delay(n, 60, lambda: next(numbers)) for n in (1, 2, 3)]

    assert delays() == delays()
