"""Ids of events."""

from __future__ import annotations

import errno
import os
import sys
import threading
import uuid
from collections import Counter
from typing import List, Optional

import pytest

from snowplow_tracker import Tracker
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
    digits = bytes.fromhex("0123456789abcdef" * 2)
    monkeypatch.setattr(os, "getrandom", lambda size, _flags: digits[:size], raising=False)
    assert Tracker.get_uuid() == "01234567-89ab-4def-8123-456789abcdef"


@pytest.mark.parametrize("refusal", [errno.ENOSYS, errno.EPERM, errno.EAGAIN, None])
def test_ids_are_drawn_where_there_is_no_getrandom(
    refusal: Optional[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old kernels, sandboxes and other systems, which refuse the call of Linux or have none, draw ids all the same."""

    def refuse(_size: int, _flags: int) -> bytes:
        assert refusal is not None
        raise OSError(refusal, os.strerror(refusal))

    if refusal is None:
        monkeypatch.delattr(os, "getrandom", raising=False)
    else:
        monkeypatch.setattr(os, "getrandom", refuse, raising=False)
    ids = {Tracker.get_uuid() for _ in range(MANY)}
    assert len(ids) == MANY
    assert {uuid.UUID(each).version for each in ids} == {4}


def test_what_a_signal_handler_raises_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time limit that is an OSError, and passes while an id is drawn, is not taken for a refusal."""

    def interrupted(_size: int, _flags: int) -> bytes:
        raise TimeoutError

    monkeypatch.setattr(os, "getrandom", interrupted, raising=False)
    with pytest.raises(TimeoutError):
        Tracker.get_uuid()


BESIDE_A_BUSY_THREAD = """
    import resource, threading
    from snowplow_tracker import Tracker

    is_done = False

    def compute():
        while not is_done:
            pass

    thread = threading.Thread(target=compute)
    thread.start()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    for _ in range(2_000):
        Tracker.get_uuid()
    print(resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before)
    is_done = True
    thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the bytes come from os.urandom")
def test_drawing_an_id_keeps_the_interpreter() -> None:
    """A thread that draws ids beside one that computes does not wait for it at each id."""
    done = run_program(BESIDE_A_BUSY_THREAD)
    assert done.status == 0, done
    assert int(done.output) < 200  # with os.urandom, 760 to 1,780


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
