"""The queue in Redis, against a real redis-server with real processes."""

import contextlib
import json
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
import uuid

import pytest
import redis

from snowplow_tracker import AsyncEmitter, DropReason, Emitter, PageView, Tracker
from snowplow_tracker.redis_event_store import RedisEventStore
from snowplow_tracker.testing import Collector, Response
from support.inside import redis_clients, redis_leases
from support.processes import run_program
from support.redis_server import redis_server

LOGGER = "snowplow_tracker.emitters"
REDIS_PY = tuple(int(part) for part in redis.__version__.split(".")[:2])


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(shared):
    """An empty Redis that a test does not stop."""
    with shared.client() as client:
        client.flushall()
    return shared


@pytest.fixture
def own_server(tmp_path):
    """A Redis that survives restarts with all it was told, and that a test may stop."""
    with redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.fixture
def make_store():
    stores = []

    def make(target, **options):
        options = {"exit_timeout": 0.2, "socket_timeout": 0.5, **options}
        stores.append(RedisEventStore(getattr(target, "url", target), **options))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def event(**pairs):
    return {"e": "pv", "p": "srv", "tv": "py-test", "eid": str(uuid.uuid4()), **pairs}


def add(store, count):
    events = [event() for _ in range(count)]
    assert all(store.add_event(dict(each)) for each in events)
    return [each["eid"] for each in events]


def ids(events):
    return [each["eid"] for each in events]


def until(condition, timeout=15.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def told(caplog, server):
    """Return what was logged about this Redis, and not about one that a store of an earlier test still asks for."""
    texts = [each.getMessage() for each in caplog.records if "Redis" in each.getMessage()]
    return [text for text in texts if "connecting to" not in text or str(server.port) in text]


def write_all(store):
    """Have a store write what is in memory."""
    before, store.exit_timeout = store.exit_timeout, 10
    store.close()
    store.exit_timeout = before


DYING_WORKER = """
    import os, sys
    from snowplow_tracker.redis_event_store import RedisEventStore

    store = RedisEventStore(sys.argv[1])
    batch = store.get_events_batch(max_events=int(sys.argv[2]))
    print(len(batch), flush=True)
    os._exit(0)
"""


def take_and_die(server, count):
    """Have a worker that is handed events and ends without a word."""
    program = start(DYING_WORKER, server.url, count)
    assert program.communicate(timeout=30)[0].split() == [str(count)]


def start(program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )


# Handing out and settling


def test_events_come_out_in_order_and_as_they_went_in(server, make_store):
    """Events come out first in, first out, with all their values, text beyond ASCII and half surrogates included."""
    store = make_store(server)
    events = [event(page="größer 🎈"), event(se_va=2.5, page="\ud800"), event()]
    for each in events:
        assert store.add_event(dict(each))
    assert store.size() == 3
    assert store.get_events_batch(max_events=2) == events[:2]
    assert store.size() == 1
    assert store.get_events_batch() == events[2:]
    assert store.get_events_batch() == []


def test_settled_events_leave_nothing_behind(server, make_store):
    """What was delivered is neither in the stream nor among what was handed out."""
    store = make_store(server)
    add(store, 5)
    store.cleanup(store.get_events_batch(), need_retry=False)
    assert (store.size(), store.remaining()) == (0, 0)
    with server.client() as client:
        assert client.xpending("snowplow:events", "snowplow")["pending"] == 0


def test_failed_events_go_first_in_their_old_order_to_anybody(server, make_store):
    """What could not be sent is handed out again before what is new, by any worker, under the same ids."""
    one, other = make_store(server), make_store(server)
    eids = add(one, 6)
    batch = one.get_events_batch(max_events=4)
    one.cleanup(batch[2:], need_retry=True)
    one.cleanup(batch[:2], need_retry=True)
    assert one.size() == other.size() == 6
    assert ids(other.get_events_batch()) == eids
    assert one.get_events_batch() == []


def test_several_workers_share_the_work(server, make_store):
    """An event is handed to one worker only."""
    one, other = make_store(server), make_store(server)
    eids = add(one, 10)
    first, second = one.get_events_batch(max_events=5), other.get_events_batch(max_events=5)
    assert ids(first) + ids(second) == eids


def test_copies_of_events_are_known_by_their_event_id(server, make_store):
    """A `send_events` of a user's may hand back plain dictionaries."""
    store = make_store(server)
    add(store, 2)
    store.cleanup([dict(each) for each in store.get_events_batch()], need_retry=False)
    assert store.remaining() == 0


def test_an_event_that_was_never_handed_out_is_added_for_a_retry(server, make_store):
    """Events given to `send_events` from outside find their way into the queue."""
    store = make_store(server)
    stranger = event()
    store.cleanup([stranger], need_retry=True)
    assert store.get_events_batch() == [stranger]


def test_what_is_no_event_is_thrown_out_once(server, make_store, caplog):
    """An entry of somebody else does not stop the queue; that it went is said."""
    store = make_store(server)
    with server.client() as client:
        client.xadd("snowplow:events", {"other": "thing"})
        client.xadd("snowplow:events", {"event": "[1]"})
        client.xadd("snowplow:events", {"event": '{"a":1},{"b":2}'})
    eids = add(store, 1)
    assert ids(store.get_events_batch()) == eids
    assert "3 entries of snowplow:events hold no event" in caplog.text
    assert store.remaining() == 1


@pytest.mark.parametrize("options", [{"protocol": 2}, {"protocol": 3}, {"decode_responses": True}])
def test_a_client_of_the_users_may_be_set_up_in_any_way(server, make_store, options):
    """A client that is passed in may speak either protocol, and decode or not."""
    if "protocol" in options and int(redis.__version__.split(".")[0]) < 5:
        options = {}  # it knows one protocol
    with server.client(**options) as client:
        store = make_store(client)
        eids = add(store, 3)
        store.cleanup(store.get_events_batch(), need_retry=True)
        assert store.size() == 3
        assert ids(store.get_events_batch()) == eids
        assert store.wait_for_events(0.01) is False
        add(store, 1)
        assert store.wait_for_events(5) is True


NO_UTF8 = b"\xff\xfe"


def leave_what_is_no_utf8(client, stream="snowplow:events", group="snowplow"):
    """Do with a stream what a stranger may do: entries, groups and consumers whose names and data are no UTF-8."""
    client.xadd(stream, {"event": NO_UTF8})
    client.xadd(stream, {NO_UTF8: "{}"})
    client.execute_command("XGROUP CREATE", stream, NO_UTF8, "0")
    with contextlib.suppress(redis.exceptions.ResponseError):  # the group is there
        client.execute_command("XGROUP CREATE", stream, group, "0")
    client.execute_command("XGROUP CREATECONSUMER", stream, group, NO_UTF8)


def need_redis_py_4_4():
    if REDIS_PY < (4, 4):
        pytest.skip("redis-py before 4.4 cannot be kept from decoding")


@pytest.mark.parametrize("protocol", [None, 2, 3])
@pytest.mark.parametrize("has_autoclaim", [True, False])
def test_what_is_no_utf8_stops_no_client_that_decodes(server, make_store, protocol, has_autoclaim):
    """A stranger's bytes cost nobody's events, whichever way the client of the user reads."""
    need_redis_py_4_4()
    options = {} if protocol is None or REDIS_PY < (5,) else {"protocol": protocol}
    with server.client() as stranger, server.client(decode_responses=True, **options) as client:
        store = make_store(client, claim_after=0.1)
        store._stream._has_autoclaim = has_autoclaim
        eids = add(store, 2)
        leave_what_is_no_utf8(stranger)
        eids += add(store, 2)
        assert store.size() == 6
        assert store.wait_for_events(0.01) is True
        # A worker that died was handed all, the stranger's entries included.
        stranger.xreadgroup("snowplow", "dead", {"snowplow:events": ">"}, count=6)
        time.sleep(0.2)
        batch = store.get_events_batch()
        assert ids(batch) == eids
        store.cleanup(batch[:2], need_retry=True)
        store.cleanup(batch[2:], need_retry=False)
        batch = store.get_events_batch()
        assert ids(batch) == eids[:2]
        store.renew(batch)
        store._leases._renew_all()
        store.cleanup(batch, need_retry=False)
        assert (store.size(), store.remaining()) == (0, 0)
        store.close()
        assert client.get("a key that the user reads") is None
        client.set("a key that the user reads", "größer")
        assert client.get("a key that the user reads") == "größer"


def test_what_is_no_utf8_makes_room_for_a_client_that_decodes(server, make_store):
    """The oldest entries are evicted also where they are a stranger's."""
    need_redis_py_4_4()
    with server.client() as stranger, server.client(decode_responses=True) as client:
        store = make_store(client, buffer_capacity=5, overflow="drop_oldest")
        lost = []
        store.lost_listener = lambda count, what: lost.append(count)
        store.overflow_listener = lambda events: None
        leave_what_is_no_utf8(stranger)
        eids = add(store, 5)
        assert ids(store.get_events_batch()) == eids
        assert sum(lost) == 1  # the other one had no event


class Deaf(redis.Redis):
    """Does not hand the options on."""

    def execute_command(self, *args, NEVER_DECODE=None, **options):  # noqa: N803 - redis-py's
        return super().execute_command(*args, **options)


class Own(redis.Redis):
    """Has its own way to read."""

    def xreadgroup(self, *args, **options):
        return super().xreadgroup(*args, **options)


@pytest.mark.parametrize("client_class", [Deaf, Own])
def test_a_client_that_decodes_whatever_it_is_told_is_named(
    server, make_store, caplog, client_class
):
    """Where a client cannot be kept from decoding, one warning says what stops, and what to pass instead."""
    with server.client() as stranger:
        pool = redis.ConnectionPool.from_url(server.url, decode_responses=True)
        store = make_store(client_class(connection_pool=pool))
        eids = add(store, 1)
        assert ids(store.get_events_batch()) == eids
        stranger.xadd("snowplow:events", {"event": NO_UTF8})
        with pytest.raises(UnicodeDecodeError):
            store.get_events_batch()
        stranger.xadd("snowplow:events", {"event": NO_UTF8})
        with pytest.raises(UnicodeDecodeError):
            store.get_events_batch()
    (record,) = caplog.records
    assert (record.name, record.levelname) == (LOGGER, "WARNING")
    assert "without decode_responses" in record.getMessage()


def test_what_keeps_a_client_from_decoding_is_what_redis_py_has():
    """The option is that of redis-py, which has it for its own commands."""
    assert redis.client.NEVER_DECODE == redis_clients._NEVER_DECODE


# Workers that die


@pytest.mark.long
def test_events_of_a_silent_worker_are_claimed(server, make_store, monkeypatch):
    """What a worker held that gives no sign of life goes to another one, and its name is forgotten in the end."""
    monkeypatch.setattr(redis_leases, "_DEAD_CONSUMER_AFTER", 0.6)
    living = make_store(server, claim_after=0.3)
    eids = add(living, 4)
    take_and_die(server, 3)
    held = living.get_events_batch()
    assert ids(held) == eids[3:]
    found = []
    until(lambda: found.extend(living.get_events_batch()) or len(found) == 3)
    assert ids(found) == eids[:3]
    with server.client() as client:

        def names():
            """Return who is known after another look for events."""
            living.get_events_batch()
            known = client.xinfo_consumers("snowplow:events", "snowplow")
            return [each["name"] for each in known]

        until(lambda: names() == [living.consumer.encode()])


@pytest.mark.long
def test_a_slow_worker_keeps_its_events(server, make_store):
    """While a worker lives, nobody takes its events away, however long it needs."""
    slow, other = make_store(server, claim_after=0.3), make_store(server, claim_after=0.3)
    add(slow, 3)
    batch = slow.get_events_batch()
    ends = time.monotonic() + 1.0
    while time.monotonic() < ends:
        assert other.get_events_batch() == []
    slow.cleanup(batch, need_retry=False)
    assert other.remaining() == 0


@pytest.mark.long
@pytest.mark.parametrize("command", ["XAUTOCLAIM"])
def test_redis_before_6_2_claims_too(tmp_path, make_store, command):
    """Without XAUTOCLAIM, events that came back or whose worker died are claimed by older commands."""
    with redis_server(tmp_path, "--rename-command", command, "") as server:
        store = make_store(server, claim_after=0.2)
        eids = add(store, 4)
        batch = store.get_events_batch(max_events=2)
        store.cleanup(batch, need_retry=True)
        store.cleanup(store.get_events_batch(), need_retry=True)
        take_and_die(server, 4)
        with server.client() as client:
            client.xdel("snowplow:events", batch[0].entry_id)
        found = []
        until(lambda: found.extend(store.get_events_batch()) or len(found) == 3)
        assert ids(found) == eids[1:]


PRODUCER = """
    import sys
    from snowplow_tracker import AsyncEmitter, PageView, Tracker
    from snowplow_tracker.redis_event_store import RedisEventStore

    store = RedisEventStore(sys.argv[1], write_behind=sys.argv[3] == "behind")
    emitter = AsyncEmitter("http://127.0.0.1:9", event_store=store, enqueue_only=True)
    tracker = Tracker("test", emitter)
    for number in range(int(sys.argv[2])):
        print(tracker.track(PageView(f"https://example.com/{number}")), flush=True)
"""

WORKER = [sys.executable, "-m", "snowplow_tracker", "worker"]


def start_worker(url, endpoint, *arguments):
    return subprocess.Popen(
        [*WORKER, "--store", url, "--endpoint", endpoint, *arguments], stderr=subprocess.DEVNULL
    )


@pytest.mark.long
def test_producers_and_workers_that_are_killed_lose_nothing(server):
    """Whatever was tracked by programs that were killed at random arrives, by workers that were killed too."""
    url = f"{server.url}?claim_after=1"
    with Collector(respond=lambda _: time.sleep(0.02)) as collector:
        producers = [start(PRODUCER, server.url, 100_000, "through") for _ in range(3)]
        producers.append(start(PRODUCER, server.url, 500, "behind"))
        workers = [start_worker(url, collector.endpoint, "--batch", "20") for _ in range(2)]
        try:
            for _ in range(4):
                collector.wait_for(len(collector.events) + 100)
                workers[0].kill()
                workers.append(start_worker(url, collector.endpoint, "--batch", "50"))
                workers.pop(0).wait()
            for producer in producers[:3]:
                producer.kill()
            tracked = [line for each in producers for line in each.communicate()[0].split("\n")]
            # A line that was cut off by the kill names no event.
            tracked = {line for line in tracked if len(line) == 36}
            until(lambda: len(collector.events) >= len(tracked), 30)
            until(lambda: tracked <= {each.event_id for each in collector.events}, 30)
        finally:
            for each in [*producers, *workers]:
                each.kill()
                each.wait()
    assert len(tracked) > 500
    # Up to one event of each killed producer is in the queue although its `track()` did not return.
    assert len({each.event_id for each in collector.events} - tracked) <= 3


# Redis that comes and goes


def test_a_restart_of_redis_loses_nothing(own_server, make_store):
    """Events added before, during and after a crash of Redis come out in order, those handed out are settled."""
    store = make_store(own_server)
    eids = add(store, 3)
    batch = store.get_events_batch(max_events=2)
    own_server.kill()
    eids += add(store, 3)
    store.cleanup(batch[:1], need_retry=False)
    store.cleanup(batch[1:], need_retry=True)
    assert store.get_events_batch() == []
    assert store.failing
    assert store.remaining() is None
    own_server.start()
    until(lambda: not store.failing and store.remaining() == store.size() == 5)
    assert ids(store.get_events_batch()) == eids[1:]


def test_a_redis_that_forgot_everything_is_told_again(tmp_path, make_store):
    """When Redis comes back empty, the group is made anew, and a worker adds again what it still holds."""
    with redis_server(tmp_path) as server:
        store = make_store(server)
        eids = add(store, 2)
        batch = store.get_events_batch()
        server.kill()
        server.start()
        eids += add(store, 1)
        store.cleanup(batch, need_retry=True)
        assert sorted(ids(store.get_events_batch())) == sorted(eids)


def test_what_vanishes_from_redis_is_told_by_the_worker_that_misses_it(server, make_store, caplog):
    """A stream that is deleted with its group is logged once, and not counted: others may have delivered its events."""
    store = make_store(server)
    lost = []
    store.lost_listener = lambda count, what: lost.append(count)
    add(store, 2)
    batch = store.get_events_batch(max_events=1)
    with server.client() as client:
        client.flushall()
    eids = add(store, 1)
    assert ids(store.get_events_batch()) == eids
    assert store.get_events_batch() == []
    store.cleanup(batch, need_retry=True)
    assert ids(store.get_events_batch()) == ids(batch)
    assert caplog.text.count("is gone from Redis") == 1
    assert lost == []


def test_leased_events_that_others_trim_do_not_hide_new_ones(server, make_store):
    """New events are counted, although a worker that died had leased more events than that, which are trimmed."""
    store = make_store(server)
    add(store, 5)
    take_and_die(server, 5)
    with server.client() as client:
        client.xtrim(store.stream, maxlen=0, approximate=False)
    eids = add(store, 2)
    assert make_store(server).size() > 0
    worker = make_store(server)
    assert worker.wait_for_events(1.0)
    assert ids(worker.get_events_batch()) == eids
    assert worker.size() == 0
    assert not worker.wait_for_events(0.01)


@pytest.mark.alone
def test_an_outage_costs_the_caller_one_timeout(own_server, make_store, caplog):
    """While Redis hangs, the first call waits for the timeout, the others do not; it is said once."""
    store = make_store(own_server, spill_capacity=50, socket_timeout=0.3)
    eids = add(store, 1)
    with own_server.paused():
        started = time.monotonic()
        eids += add(store, 50)
        seconds = time.monotonic() - started
        assert not store.add_event(event())
    assert 0.3 <= seconds < 1.0
    until(lambda: not store.failing and store.remaining() >= 51)
    # What the first call wrote before its time was up may be there twice: under the same id.
    assert list(dict.fromkeys(ids(store.get_events_batch()))) == eids
    messages = [each.getMessage() for each in caplog.records if "Redis" in each.getMessage()]
    assert [text.split(" (")[0] for text in messages if "cannot" in text] == [
        "Redis cannot be used"
    ]
    assert any("Redis is back" in text for text in messages)


def test_without_a_spill_an_outage_is_answered_with_false(own_server, make_store):
    """With `spill_capacity=0` nothing is taken that Redis does not have."""
    store = make_store(own_server, spill_capacity=0)
    assert add(store, 1)
    own_server.kill()
    assert store.add_event(event()) is False
    assert store.size() == 1
    own_server.start()
    until(lambda: store.add_event(event()))


@pytest.mark.long
def test_the_end_of_a_program_writes_what_is_in_memory(server):
    """A program that writes from a thread ends with all its events in Redis, without closing anything."""
    program = start(PRODUCER, server.url, 2_000, "behind")
    tracked = program.communicate(timeout=30)[0].split()
    assert program.returncode == 0
    with server.client() as client:
        entries = client.xrange("snowplow:events")
    assert [json.loads(fields[b"event"])["eid"] for _, fields in entries] == tracked


@pytest.mark.long
def test_the_end_of_a_program_says_what_redis_did_not_take(tmp_path):
    """A program that ends while Redis is away ends in time, and tells how many events it loses."""
    program = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PRODUCER), "redis://127.0.0.1:1/0", "7", "through"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert program.returncode == 0
    assert "The program ends with 7 events that Redis did not accept." in program.stderr


@pytest.mark.long
def test_write_behind_keeps_up_with_threads(server, make_store):
    """Many threads that write behind lose nothing, and every event is counted at once."""
    store = make_store(server, write_behind=True)
    eids = []
    threads = [threading.Thread(target=lambda: eids.extend(add(store, 500))) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert store.size() >= 2_000  # what is on its way may be counted twice
    write_all(store)
    assert store.size() == 2_000
    batches = iter(store.get_events_batch, [])
    assert sorted(each["eid"] for batch in batches for each in batch) == sorted(eids)


@pytest.mark.parametrize("write_behind", [False, True])
def test_a_fork_takes_nothing_of_its_parent(server, make_store, write_behind):
    """Parent and child each add their own events, and the child does not settle the parent's."""
    store = make_store(server, write_behind=write_behind)
    eids = add(store, 2)
    write_all(store)
    batch = store.get_events_batch(max_events=1)
    child = os.fork()
    if child == 0:
        try:
            store.cleanup(batch, need_retry=False)  # not the child's to settle
            store.add_event(event(eid="child"))
            write_all(store)
            os._exit(0 if store.remaining() == 3 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    store.cleanup(batch, need_retry=False)
    assert ids(store.get_events_batch()) == [eids[1], "child"]


# Capacity


def test_the_newest_is_refused_when_it_is_full(server, make_store):
    """The default policy refuses what does not fit, until there is room again."""
    store = make_store(server, buffer_capacity=3)
    eids = add(store, 3)
    assert store.add_event(event()) is False
    assert store.remaining() == 3
    store.cleanup(store.get_events_batch(max_events=1), need_retry=False)
    eids += add(store, 1)
    assert ids(store.get_events_batch()) == eids[1:]


def test_the_oldest_make_room_and_are_reported(server, make_store):
    """With "drop_oldest" those that waited longest go, each reported, those being sent are spared."""
    store = make_store(server, buffer_capacity=4, overflow="drop_oldest")
    evicted = []
    store.overflow_listener = evicted.extend
    eids = add(store, 2)
    batch = store.get_events_batch(max_events=1)
    eids += add(store, 4)
    assert ids(evicted) == eids[1:3]
    store.cleanup(batch, need_retry=True)
    assert ids(store.get_events_batch()) == [eids[0], *eids[3:]]


@pytest.mark.alone
def test_blocking_waits_for_room_but_not_for_long(server, make_store):
    """With "block" an event waits until a worker makes room, or is refused when the time is up."""
    store = make_store(server, buffer_capacity=2, overflow="block", overflow_timeout=0.2)
    worker = make_store(server)
    add(store, 2)
    started = time.monotonic()
    assert store.add_event(event()) is False
    assert 0.2 <= time.monotonic() - started < 1
    store.overflow_timeout = 10
    batch = worker.get_events_batch(max_events=1)
    timer = threading.Timer(0.1, worker.cleanup, (batch, False))
    timer.start()
    assert store.add_event(event()) is True
    timer.join()


def test_writing_behind_reports_what_did_not_fit(server, make_store):
    """What was taken into memory and finds the stream full is reported, not lost in silence."""
    store = make_store(server, buffer_capacity=10, write_behind=True)
    dropped = []
    store.overflow_listener = dropped.extend
    eids = add(store, 25)
    write_all(store)
    assert ids(dropped) == eids[10:]
    assert store.remaining() == 10


def test_an_emitter_counts_what_the_store_refuses(server, make_store):
    """Drops of the store are in the counters and callbacks of the emitter."""
    store = make_store(server, buffer_capacity=2, overflow="drop_oldest")
    dropped = []
    emitter = Emitter(
        "http://127.0.0.1:9",
        event_store=store,
        enqueue_only=True,
        on_drop=lambda events, reason: dropped.extend((each["eid"], reason) for each in events),
    )
    tracker = Tracker("test", emitter)
    eids = [tracker.track(PageView("https://example.com")) for _ in range(5)]
    assert dropped == [(eid, DropReason.OVERFLOW) for eid in eids[:3]]
    assert emitter.stats().dropped == {DropReason.OVERFLOW: 3}


# Emitters over it


@pytest.mark.long
@pytest.mark.parametrize("emitter_class", [Emitter, AsyncEmitter])
@pytest.mark.parametrize("write_behind", [False, True])
def test_an_emitter_delivers_through_it(server, make_store, emitter_class, write_behind):
    """One process may add and send: everything arrives once, also after the collector was down."""
    with Collector() as collector:
        collector.respond = lambda _: Response(503)
        emitter = emitter_class(
            collector.endpoint,
            event_store=make_store(server, write_behind=write_behind),
            max_retry_delay_seconds=1,
        )
        tracker = Tracker("test", emitter)
        eids = [tracker.track(PageView("https://example.com")) for _ in range(25)]
        emitter.flush(timeout=0.3)
        collector.respond = None
        assert emitter.flush(timeout=15) == 0
        assert sorted(each.event_id for each in collector.events) == sorted(eids)
        emitter.close()


def test_what_a_closed_emitter_leaves_is_kept(server, make_store):
    """Events that were not delivered are there for the next worker."""
    emitter = Emitter("http://127.0.0.1:9", event_store=make_store(server), exit_timeout=0.1)
    tracker = Tracker("test", emitter)
    eids = [tracker.track(PageView("https://example.com")) for _ in range(12)]
    assert emitter.close() == 12
    assert ids(make_store(server).get_events_batch()) == eids


# Redis that refuses, and entries that cannot be read


@pytest.mark.long
def test_a_redis_without_memory_takes_each_event_once_and_still_delivers(
    tmp_path, make_store, caplog
):
    """What Redis refused is written later, what it took is not written again, and events go out meanwhile."""
    with redis_server(tmp_path, "--maxmemory-policy", "noeviction") as server:
        store = make_store(server, write_behind=True)
        eids = add(store, 300)
        write_all(store)
        store.cleanup(store.get_events_batch(max_events=1), need_retry=True)  # makes the group
        with server.client() as client:
            limit = client.info("memory")["used_memory"]
            client.config_set("maxmemory", limit + 150_000)
            eids += [
                each["eid"]
                for each in (event(page="x" * 2_000) for _ in range(400))
                if store.add_event(each)
            ]
            until(lambda: "accepts no events" in caplog.text)
            batch = store.get_events_batch(max_events=100)
            assert ids(batch) == eids[:100]
            store.cleanup(batch, need_retry=False)
            client.config_set("maxmemory", 0)
            until(lambda: not store.failing)
            write_all(store)
            entries = client.xrange("snowplow:events")
        assert [json.loads(fields[b"event"])["eid"] for _, fields in entries] == eids[100:]
        assert len(eids) == 700
    # What is delivered makes room, which may be full again: each time is told once.
    assert caplog.text.count("accepts no events") == caplog.text.count("accepts events again")


@pytest.mark.parametrize("kind", ["sync", "threaded", "enqueue_only"])
def test_a_redis_without_memory_is_told_of_once(tmp_path, make_store, caplog, kind):
    """However often it refuses events, its outage has one begin and one end in the log."""
    options = {"enqueue_only": True} if kind == "enqueue_only" else {"max_retry_delay_seconds": 0.1}
    kind_of_emitter = AsyncEmitter if kind == "threaded" else Emitter
    with redis_server(tmp_path, "--maxmemory-policy", "noeviction") as server:
        store = make_store(server, socket_timeout=10)
        emitter = kind_of_emitter("http://127.0.0.1:9", event_store=store, **options)
        tracker = Tracker("test", emitter)
        tracker.track(PageView("https://example.com"))
        with server.client() as client:
            until(lambda: client.xlen("snowplow:events") == 1)
            client.config_set("maxmemory", 100_000)
            for _ in range(40):
                tracker.track(PageView("https://example.com"))
                time.sleep(0.05)
            assert store.failing
            client.config_set("maxmemory", 0)
            until(lambda: client.xlen("snowplow:events") == 41)
            until(lambda: "accepts events again" in caplog.text)
        logged = told(caplog, server)
        assert ["accepts no events" in logged[0], "accepts events again" in logged[-1]] == [
            True
        ] * 2
        assert len(logged) == 2
        emitter.close(timeout=0)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
        (
            ["CONFIG", "SET", "min-replicas-to-write", 1],
            ["CONFIG", "SET", "min-replicas-to-write", 0],
        ),
        (["ACL", "SETUSER", "default", "-xadd"], ["ACL", "SETUSER", "default", "+xadd"]),
        (["ACL", "SETUSER", "default", "-xlen"], ["ACL", "SETUSER", "default", "+xlen"]),
        (
            ["ACL", "SETUSER", "default", "-xreadgroup"],
            ["ACL", "SETUSER", "default", "+xreadgroup"],
        ),
        (["SET", "snowplow:events", "mine"], ["DEL", "snowplow:events"]),
        (["CONFIG", "SET", "requirepass", "x"], ["CONFIG", "SET", "requirepass", ""]),
    ],
    ids=[
        "read only",
        "no replicas",
        "no XADD",
        "no XLEN",
        "no XREADGROUP",
        "wrong type",
        "password",
    ],
)
def test_what_redis_refuses_has_one_begin_and_one_end_in_the_log(
    tmp_path, make_store, caplog, begin, end
):
    """Whatever Redis refuses, and whatever it still accepts, its outage is neither told again nor said to be over early."""
    with redis_server(tmp_path) as server, Collector() as collector, server.client() as client:
        store = make_store(server, socket_timeout=10)
        emitter = Emitter(collector.endpoint, event_store=store, max_retry_delay_seconds=0.1)
        tracker = Tracker("test", emitter)
        tracker.track(PageView("https://example.com"))
        client.execute_command(*begin)
        client.client_kill_filter(_type="normal", skipme=True)
        failing = []
        for _ in range(20):
            tracker.track(PageView("https://example.com"))
            store.size()
            failing.append(store.failing)
            time.sleep(0.05)
        first = failing.index(True)
        assert all(failing[first:])
        client.execute_command(*end)

        def is_over():
            tracker.track(PageView("https://example.com"))
            return not emitter.flush(timeout=1) and not store.failing

        until(is_over)
        logged = told(caplog, server)
        assert len(logged) == 2
        assert any(
            text in logged[0] for text in ("accepts no", "refuses commands", "cannot be used")
        )
        assert any(text in logged[1] for text in ("again after", "is back after"))
        emitter.close()


def test_all_that_a_replica_refuses_is_one_outage(server, make_store, caplog):
    """Adding, leasing, acknowledging and requeueing fail for one reason, and the last that works again ends the outage."""
    store = make_store(server, socket_timeout=10)
    eids = add(store, 3)
    first, second = store.get_events_batch(max_events=1), store.get_events_batch(max_events=1)
    with server.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            eids += add(store, 1)
            store.cleanup(first, need_retry=False)
            store.cleanup(second, need_retry=True)
            assert store.get_events_batch() == []
            assert store.remaining() == 4
            time.sleep(0.5)
            assert len(told(caplog, server)) == 1
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
        write_all(store)
        until(lambda: ids(store.get_events_batch()) == eids[1:])
    assert not store.failing
    assert len(told(caplog, server)) == 2


def test_delivered_events_make_room_in_a_redis_without_memory(tmp_path, make_store):
    """Redis that accepts no events hands them out, and removes those that are delivered."""
    with redis_server(tmp_path, "--maxmemory-policy", "noeviction") as server:
        store = make_store(server)
        add(store, 3)
        with server.client() as client:
            client.config_set("maxmemory", 100_000)
            store.cleanup(store.get_events_batch(), need_retry=False)
            assert store.remaining() == 0
            assert not store.failing


def test_an_outage_of_redis_ends_when_redis_answers(tmp_path, make_store, caplog):
    """While Redis is down nothing says that it is back, whatever is known without asking it."""
    with redis_server(tmp_path) as server:
        store = make_store(server)
        add(store, 1)
        write_all(store)
        server.kill()
        for _ in range(40):
            store.add_event(event())
            time.sleep(0.05)
        assert ["cannot be used" in text for text in told(caplog, server)] == [True]
        server.start()
        write_all(store)
        assert ["is back" in text for text in told(caplog, server)] == [False, True]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_signal_after_which_the_program_goes_on_keeps_what_is_in_memory():
    """SIGHUP with a handler of the program: what Redis does not take stays, and the handler is called."""
    ended = run_program(
        """
        import os, signal
        from snowplow_tracker import Emitter, PageView, Tracker, flush_on_sigterm
        from snowplow_tracker.redis_event_store import RedisEventStore

        signal.signal(signal.SIGHUP, lambda *_: print("the program's handler"))
        flush_on_sigterm(signal.SIGHUP)
        store = RedisEventStore("redis://127.0.0.1:1/0", write_behind=True, exit_timeout=0.1)
        emitter = Emitter("127.0.0.1", event_store=store, enqueue_only=True, exit_timeout=0.1)
        Tracker("n", emitter).track(PageView("https://e.example"))
        os.kill(os.getpid(), signal.SIGHUP)
        print("goes on with", emitter.stats().queued)
        """
    )
    assert ended.output.splitlines() == ["the program's handler", "goes on with 1"]


def test_an_entry_that_cannot_be_read_is_lost_alone(server, make_store, caplog):
    """Deeply nested, cut off or not text: each is dropped, counted and logged, and nothing else is."""
    store = make_store(server)
    lost = []
    store.lost_listener = lambda count, what: lost.append(count)
    poison = ["[" * 100_000, '{"eid": "', "[1]", '{"a": 1}, {"b": 2}', b"\xff\xfe", "5", "null"]
    eids = []
    with server.client() as client:
        for body in poison:
            eids += add(store, 1)
            client.xadd("snowplow:events", {"event": body})
    assert ids(store.get_events_batch()) == eids
    assert sum(lost) == len(poison)
    assert f"{len(poison)} entries of snowplow:events hold no event" in caplog.text
    assert store.remaining() == len(eids)


# Getting in


def test_passwords_are_passed_on(tmp_path, make_store, caplog):
    """A URL with user and password gets in, one without does not and says why."""
    with redis_server(tmp_path, "--requirepass", "secret") as server:
        with_password = server.url.replace("//", "//default:secret@")
        store = make_store(with_password)
        eids = add(store, 2)
        assert ids(store.get_events_batch()) == eids
        other = make_store(server.url, spill_capacity=0)
        assert not other.add_event(event())
        assert "AuthenticationError" in caplog.text
        assert "secret" not in caplog.text


@pytest.mark.long
def test_tls_is_passed_on(tmp_path, make_store):
    """A rediss:// URL speaks TLS and checks the certificate."""
    with redis_server(tmp_path, tls=True) as server:
        store = make_store(server)
        eids = add(store, 2)
        assert ids(store.get_events_batch()) == eids
        suspicious = make_store(server.url.partition("?")[0], spill_capacity=0)
        assert suspicious.add_event(event()) is False


def test_a_key_of_something_else_is_left_alone(server, make_store, caplog):
    """A key that holds no stream is not touched, and nothing raises into `track()`."""
    with server.client() as client:
        client.set("snowplow:events", "mine")
        store = make_store(server, spill_capacity=1)
        assert store.add_event(event())
        assert not store.add_event(event())
        assert store.get_events_batch() == []
        assert client.get("snowplow:events") == b"mine"
        client.delete("snowplow:events")
        write_all(store)
        assert client.xlen("snowplow:events") == 1
    assert "WRONGTYPE" in caplog.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"client_or_url": None}, "client_or_url must be a URL or a client .*, got NoneType"),
        ({"client_or_url": b"redis://h"}, "client_or_url must be a URL or a client .*, got bytes"),
        ({"client_or_url": redis.Redis}, "client_or_url must be .*, got the class Redis"),
        ({"client_or_url": redis.ConnectionPool()}, "client_or_url must be .*ConnectionPool"),
        ({"stream": 5}, "stream must be a string, got int"),
        ({"consumer": 5}, "consumer must be a string, got int"),
        ({"buffer_capacity": "5"}, "buffer_capacity must be a number, got str"),
        ({"claim_after": None}, "claim_after must be a number, got NoneType"),
    ],
)
def test_arguments_of_a_wrong_type_are_named(options, said):
    """What is no URL, client, string or number is refused at the call, and not when the first event is added."""
    with pytest.raises(TypeError, match=said):
        RedisEventStore(**options)


def test_a_client_for_coroutines_is_refused():
    """Its methods return coroutines, which nobody would await; the message says what to pass."""
    asynchronous = pytest.importorskip("redis.asyncio", reason="it came with redis-py 4.2")
    with pytest.raises(TypeError, match=r"client_or_url must be .* of redis\.asyncio"):
        RedisEventStore(asynchronous.Redis())


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"buffer_capacity": 0}, "buffer_capacity"),
        ({"overflow": "explode"}, "overflow"),
        ({"overflow_timeout": -1}, "overflow_timeout"),
        ({"exit_timeout": -1}, "exit_timeout"),
        ({"claim_after": 0}, "claim_after"),
        ({"socket_timeout": 0}, "socket_timeout"),
        ({"spill_capacity": -1}, "spill_capacity"),
        ({"spill_capacity": 0, "write_behind": True}, "spill_capacity"),
        ({"stream": ""}, "stream"),
        ({"client_or_url": "http://host"}, "scheme"),
        ({"client_or_url": "redis://host/0?unheard_of=1"}, "unheard_of"),
    ],
)
def test_arguments_out_of_range_are_named(options, name):
    """What makes no sense is refused at once, by name, without a connection."""
    with pytest.raises(ValueError, match=name):
        RedisEventStore(**options)


def test_without_redis_py_the_error_names_the_extra(monkeypatch):
    """Who did not install redis-py is told how to."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"snowplow-tracker\[redis\]"):
        RedisEventStore()


def test_a_store_that_is_not_used_has_no_thread(server, make_store):
    """Threads come with work and go when it is done."""
    before = threading.active_count()
    store = make_store(server)
    add(store, 3)
    assert threading.active_count() == before


def test_an_outage_leaves_the_numbers_of_the_program_alone(own_server, make_store):
    """A program that seeded the module `random` draws the same numbers with and without retries of ours."""
    random.seed(7)
    expected = random.getstate()
    store = make_store(own_server, spill_capacity=50)
    add(store, 1)
    own_server.kill()
    add(store, 3)
    own_server.start()
    until(lambda: not store.failing)
    assert random.getstate() == expected
