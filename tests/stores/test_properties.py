"""Queues whose files are damaged, and whose streams somebody else writes to."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snowplow_tracker.redis_event_store import RedisEventStore
from snowplow_tracker.sqlite_event_store import SQLiteEventStore, SQLiteStoreError
from support.inside import bodies as event_bodies
from support.inside import identity, sqlite_file
from support.redis_server import redis_server
from support.repetitions import repetitions

LIMIT = 5.0
"""Seconds that whatever is done with a damaged file may take: it must not hang."""
FEW = settings(
    max_examples=repetitions(80),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

EVENT = {"e": "pv", "eid": "new"}


# Bodies

some_json = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
).map(json.dumps)
scraps = st.text('{}[],:"0ae\\ \ud800', max_size=8)
texts = some_json | scraps
bodies = st.lists(texts, max_size=5) | st.lists(
    texts.map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=6), max_size=5
)


def read(body):
    """Read an event as Python does."""
    try:
        event = json.loads(body)
    except (TypeError, ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


@settings(max_examples=repetitions(400))
@given(bodies=bodies | st.lists(st.none() | st.integers() | texts, max_size=4))
@example(bodies=['{"a":1', '"b":2},{}'])
@example(bodies=['{"a":[0', '{"e":"pv"}', "0]},{},{}"])
@example(bodies=[' {"a":1}\n', '\ufeff{"a":1}', '{"a":' * 100_000])
@example(bodies=[b' {"a":1}', '{"a":1}'.encode("utf-16"), b'\xef\xbb\xbf{"a":1}', b'{"a":"\xff"}'])
def test_a_body_is_an_event_or_nothing(bodies):
    """Whatever a body is, it is read as Python reads it, and raises nothing."""
    assert [*map(event_bodies.decode, bodies)] == [*map(read, bodies)]


@given(
    st.text(max_size=12)
    | st.integers(0, 3).flatmap(
        lambda place: st.text(max_size=12).map(
            lambda text: " ".join(
                text if number == place else part
                for number, part in enumerate(identity.own_identity().split(" "))
            )
        )
    )
)
@example(identity.own_identity().rpartition(" ")[0].rpartition(" ")[0] + " 99999999999 -")
def test_any_name_of_a_holder_is_gone_or_not(name):
    """Whatever stands in the place of a holder's name, it is told whether that process is gone."""
    assert identity.is_gone(name) in (True, False)


# Damaged files


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file with events of which some are out."""
    path = tmp_path_factory.mktemp("whole") / "events.db"
    store = SQLiteEventStore(path)
    for number in range(12):
        store.add_event({"e": "pv", "eid": str(number), "page": "x" * 50})
    held = store.get_events_batch(max_events=5)
    assert len(held) == 5
    connection = sqlite3.connect(str(path))
    assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    connection.close()
    copy = path.with_name("whole.db")
    shutil.copy(str(path), str(copy))
    store.close()
    return copy


@pytest.fixture
def paths(tmp_path):
    """Paths of new files, one for each example."""
    return (tmp_path / f"{number}" / "events.db" for number in itertools.count())


@st.composite
def damages(draw):
    """Functions that damage bytes, preferably those that are not zero."""
    flips = draw(
        st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=5)
    )
    length = draw(st.none() | st.integers(0, 10**6))
    everywhere = draw(st.booleans())

    def damage(content: bytes) -> bytes:
        places = [at for at, byte in enumerate(content) if byte or everywhere]
        changed = bytearray(content)
        for place, mask in flips:
            changed[places[place % len(places)]] ^= mask
        return bytes(changed if length is None else changed[: length % len(changed)])

    return damage


def use(store):
    """Do all that can be done with a store."""
    store.size()
    store.remaining()
    store.wait_for_events(0.001)
    store.add_event(dict(EVENT))
    batch = store.get_events_batch(max_events=4)
    store.renew(batch)
    store.cleanup(batch[:1], need_retry=True)
    store.cleanup(batch[1:], need_retry=False)
    store.cleanup(store.get_events_batch(), need_retry=False)
    store.size()


@FEW
@given(damage=damages())
def test_a_damaged_file_is_refused_or_used(whole, paths, damage):
    """A file of which bytes were changed or cut off is refused as what it is, or used without an exception."""
    path = next(paths)
    path.parent.mkdir()
    path.write_bytes(damage(whole.read_bytes()))
    start = time.monotonic()
    try:
        store = SQLiteEventStore(path, lock_timeout=0.1)
    except SQLiteStoreError:
        pass
    else:
        use(store)
        store.close()
    assert time.monotonic() - start < LIMIT
    shutil.rmtree(path.parent)


@settings(FEW, max_examples=repetitions(30))
@given(damage=damages(), of_log=st.booleans(), interval=st.sampled_from([0.0, 60.0]))
def test_damage_while_a_file_is_open_never_raises(
    whole, paths, monkeypatch, damage, of_log, interval
):
    """When the file or its log is changed under an open store, using it raises nothing and ends in time."""
    path = next(paths)
    path.parent.mkdir()
    shutil.copy(str(whole), str(path))
    start = time.monotonic()
    # Whether the damage is noticed before the file is used, or by the errors that it gives.
    monkeypatch.setattr(sqlite_file, "_LOOK_INTERVAL", interval)
    store = SQLiteEventStore(path, lock_timeout=0.1)
    store.add_event({"e": "pv", "eid": "before"})
    batch = store.get_events_batch(max_events=2)
    target = path.with_name(path.name + "-wal") if of_log else path
    content = damage(target.read_bytes())
    with target.open("r+b") as file:
        file.write(content)
        file.truncate()
    use(store)
    store.cleanup(batch, need_retry=True)
    store.close()
    assert time.monotonic() - start < LIMIT
    shutil.rmtree(path.parent)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"CREATE TRIGGER added", b"CREATE TRIGGER \xff\xff\xff\xff\xff"),
        (b"UPDATE total SET events = events + 1", b"UPDATE total SET e\xffents = events + 1"),
        (b"UPDATE total SET events = events - 1", b"UPDATE tot\xffl SET events = events - 1"),
        (b"CREATE TABLE event (id INTEGER", b"CREATE TABLE ev\xffnt (id INTEGER"),
        (b"last_id INTEGER", b"lost_id INTEGER"),
    ],
)
def test_a_file_with_other_tables_is_refused(whole, tmp_path, old, new):
    """A file whose tables or triggers have another definition is damaged, also where their names are no text any more."""
    content = whole.read_bytes()
    assert old in content
    path = tmp_path / "events.db"
    path.write_bytes(content.replace(old, new))
    with pytest.raises(SQLiteStoreError, match=r"events\.db"):
        SQLiteEventStore(path)


@pytest.mark.parametrize("holder", ["", "x", b"\xff\xfe", "a b 1;2 c", "\ud7ff" * 9])
def test_leases_of_a_damaged_holder_run_out(whole, tmp_path, holder):
    """Events that are out with a holder whose name cannot be read are handed out again when the lease has run out."""
    path = tmp_path / "events.db"
    shutil.copy(str(whole), str(path))
    connection = sqlite3.connect(str(path))
    connection.execute("UPDATE lease SET holder = ?, until = 0", (holder,))
    connection.commit()
    connection.close()
    store = SQLiteEventStore(path)
    assert len(store.get_events_batch()) == 12
    store.close()


# Streams


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


entries = st.lists(
    st.dictionaries(
        st.sampled_from([b"event", b"Event", b"", b"other"]) | st.binary(max_size=4),
        texts.map(lambda text: text.encode(errors="surrogatepass"))
        | st.binary(max_size=8)
        | st.sampled_from([b'{"e":"pv"}', b"{}", b"[]", b'{"eid":' + b"[" * 5_000]),
        min_size=1,
        max_size=3,
    ),
    max_size=6,
)


def as_text(entry):
    """Return an entry that a client can read which decodes: redis-py raises for what is no UTF-8."""
    return {
        name.decode(errors="replace"): value.decode(errors="replace")
        for name, value in entry.items()
    }


@pytest.mark.parametrize("decodes", [False, True], ids=["bytes", "text"])
@settings(FEW, max_examples=repetitions(30))
@given(entries=entries)
def test_entries_of_strangers_do_no_harm(server, decodes, entries):
    """Whatever others write into the stream, our events come out, and what is no event is cleared away."""
    with server.client() as client:
        client.flushall()
        store = RedisEventStore(
            server.client(decode_responses=decodes, socket_timeout=2), exit_timeout=2
        )
        for each in entries:
            client.xadd(store.stream, each if not decodes else as_text(each))
        store.add_event(dict(EVENT))
        store.close()
        store = RedisEventStore(
            server.client(decode_responses=decodes, socket_timeout=2), exit_timeout=2
        )
        found = []
        for _ in range(len(entries) + 2):
            batch = store.get_events_batch(max_events=3)
            assert all(isinstance(event, dict) for event in batch)
            found += batch
            store.cleanup(batch, need_retry=False)
        store.close()
        assert EVENT in found
        assert client.xlen(store.stream) == 0


@settings(FEW, max_examples=repetitions(10))
@given(value=st.sampled_from(["string", "list", "hash"]), text=st.text(max_size=3))
def test_a_key_of_another_type_never_raises(server, value, text):
    """Where somebody keeps something else under the stream's name, using the store raises nothing but errors of Redis."""
    with server.client() as client:
        client.flushall()
        store = RedisEventStore(server.url, exit_timeout=10, socket_timeout=1)
        if value == "string":
            client.set(store.stream, text.encode())
        elif value == "list":
            client.rpush(store.stream, text.encode())
        else:
            client.hset(store.stream, "event", text.encode())
        store.add_event(dict(EVENT))
        assert store.get_events_batch() == []
        store.size()
        client.flushall()
        store.close()
