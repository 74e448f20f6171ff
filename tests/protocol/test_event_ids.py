"""Ids of events."""

import os
import threading
import uuid

from snowplow_tracker import _event_ids

MANY = 3 * _event_ids._BLOCK + 1


def test_ids_are_random_uuids():
    """Each id is the canonical text of a UUID of version 4, and no two are the same."""
    ids = [_event_ids.new_id() for _ in range(MANY)]
    assert len(set(ids)) == MANY
    for text in ids:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)


def test_every_random_digit_is_used(monkeypatch):
    """The digits of the random bytes are those of the id at the same place, but for two."""
    digits = "0123456789abcdef0123456789abcdef01234"
    monkeypatch.setattr(os, "urandom", lambda size: bytes.fromhex(digits * (size * 2 // 37)))
    block = _event_ids._new_block()
    assert block == ["01234567-9abc-4f01-b456-89abcdef0123"] * _event_ids._BLOCK


def test_threads_never_share_an_id():
    """Threads that ask at the same time each get ids of their own."""
    ids = []

    def take():
        ids.extend([_event_ids.new_id() for _ in range(MANY)])

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 4 * MANY


def test_a_forked_child_makes_ids_of_its_own():
    """What is left of a block is used by the parent alone."""
    _event_ids.new_id()
    assert _event_ids._ids
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, _event_ids.new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        of_child = pipe.read()
    assert uuid.UUID(of_child)
    assert of_child not in {_event_ids.new_id() for _ in range(MANY)}
