"""Ids of events."""

from __future__ import annotations

import os
import threading
import uuid
from collections import Counter
from typing import List

import pytest

from snowplow_tracker import Tracker
from support.inside import event_ids
from support.processes import run_program

MANY = 1_000


def test_ids_are_random_uuids() -> None:
    """Each id is the canonical string of a UUID of version 4, and no two are the same."""
    ids = [Tracker.get_uuid() for _ in range(MANY)]
    assert len(set(ids)) == MANY
    for text in ids:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)


def test_every_random_digit_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digits of the random bytes are those of the id at the same place, but for the version and the variant."""
    monkeypatch.setattr(
        event_ids, "urandom", lambda size: bytes.fromhex("0123456789abcdef" * 2)[:size]
    )
    assert Tracker.get_uuid() == "01234567-89ab-4def-8123-456789abcdef"


def test_all_variants_occur() -> None:
    """The random bits of the variant are used."""
    counted = Counter(Tracker.get_uuid()[19] for _ in range(MANY))
    assert set(counted) == set("89ab")
    assert min(counted.values()) > MANY / 8


def test_threads_never_share_an_id() -> None:
    """Threads that ask at the same time each get ids of their own."""
    ids: List[str] = []

    def take() -> None:
        ids.extend([Tracker.get_uuid() for _ in range(MANY)])

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 4 * MANY


COPIES = """
    import ctypes, os, sys
    import snowplow_tracker
    from snowplow_tracker import PageView, Tracker
    from snowplow_tracker.testing import RecordingEmitter

    tracker = Tracker("copied", RecordingEmitter())
    view = PageView("https://example.com/")
    own = os.getpid()
    os.getpid = lambda: own  # a machine that was copied keeps all its process ids
    ids = [tracker.track(view) for _ in range(3)]
    for _ in range(5):
        child = FORK()
        if child == 0:
            os.write(1, "".join(tracker.track(view) + "\\n" for _ in range(20)).encode())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    print("\\n".join([*ids, *(tracker.track(view) for _ in range(20))]))
"""


@pytest.mark.parametrize("fork", ["os.fork", "ctypes.PyDLL(None).fork"])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_copy_that_cannot_know_that_it_is_one_repeats_no_id(fork: str) -> None:
    """Copies with the same process id, as snapshots of a whole machine are, never use an id again."""
    done = run_program(COPIES.replace("FORK", fork))
    assert done.status == 0, done
    ids = done.output.split()
    assert len(ids) == len(set(ids)) == 3 + 6 * 20
