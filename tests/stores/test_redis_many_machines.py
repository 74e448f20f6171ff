"""The queue in Redis on several machines: a real cluster, a real Sentinel with a failover, TLS and an ACL user."""

import contextlib
import os
import subprocess
import sys
import time
import uuid

import pytest
import redis
import redis.cluster
import redis.sentinel

from snowplow_tracker.redis_event_store import RedisEventStore
from snowplow_tracker.testing import Collector
from support.programs import need
from support.redis_server import RedisServer, redis_server
from support.stores import open_store

OPTIONS = {"socket_timeout": 0.5, "exit_timeout": 0.2}
LEAST_RIGHTS = [
    "+hello",
    "+auth",
    "+select",
    "+ping",
    "+exec",
    "+xadd",
    "+xlen",
    "+xrange",
    "+xread",
    "+xdel",
    "+xreadgroup",
    "+xack",
    "+xclaim",
    "+xautoclaim",
    "+xpending",
    "+xinfo|consumers",
    "+xinfo|groups",
    "+xgroup|create",
    "+xgroup|delconsumer",
    "+eval",
]


def event():
    return {"e": "pv", "p": "srv", "tv": "py-test", "eid": str(uuid.uuid4())}


def add(store, count):
    events = [event() for _ in range(count)]
    assert all(store.add_event(dict(each)) for each in events)
    return {each["eid"] for each in events}


def until(condition, timeout=20.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def need_redis_5():
    if int(redis.__version__.partition(".")[0]) < 5:
        pytest.skip("redis-py before 5.0 reads no streams of a cluster")


def use(store):
    """Do everything that a store does with Redis."""
    sent = add(store, 30)
    first = store.get_events_batch(max_events=20)
    assert len(first) == 20
    store.cleanup(first[:10], False)
    store.cleanup(first[10:], True)
    until(lambda: store.size() == 20)
    again = store.get_events_batch(max_events=30)
    assert {each["eid"] for each in first[:10] + again} == sent
    store.renew(again)
    store._leases._renew_all()
    store.cleanup(again, False)
    assert (store.size(), store.remaining()) == (0, 0)
    assert store.wait_for_events(0.05) is False
    store._stream._has_autoclaim = False  # as with Redis before 6.2
    add(store, 1)
    store._leases._claim_at = 0.0
    store.cleanup(store.get_events_batch(), True)
    store.cleanup(store.get_events_batch(), False)
    store._stream.forget_dead_consumers(3600)
    assert not store.failing


def leave_bytes_of_a_stranger(client, stream):
    """Add what no client that decodes can read: a consumer, and an entry that the next worker throws out."""
    client.execute_command("XGROUP CREATECONSUMER", stream, "snowplow", b"\xff\xfe")
    client.execute_command("XADD", stream, "*", b"\xff\xfe", b"\xff\xfe")
    store = RedisEventStore(client, stream=stream, **OPTIONS)
    assert store.size() == 1
    assert store.wait_for_events(0.01) is True
    assert store.get_events_batch() == []
    assert store.remaining() == 0
    store.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Three masters; the URL of all of them."""
    need_redis_5()
    directory = tmp_path_factory.mktemp("cluster")
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(redis_server(directory / str(each), "--cluster-enabled", "yes"))
            for each in range(3)
        ]
        places = [f"127.0.0.1:{server.port}" for server in servers]
        program = [need("redis-cli"), "--cluster", "create", *places, "--cluster-yes"]
        subprocess.run(program, check=True, capture_output=True, timeout=30)

        def is_ready():
            with contextlib.suppress(redis.exceptions.RedisError):
                return all(
                    server.client().execute_command("CLUSTER INFO")["cluster_state"] == "ok"
                    for server in servers
                )

        until(is_ready)
        yield ",".join(places)


@pytest.mark.long
@pytest.mark.parametrize("stream", ["snowplow:events", "a", "b", "c", "d"])
def test_a_cluster_of_three_is_used_as_one_redis_is(cluster, stream):
    with contextlib.closing(
        open_store(f"redis+cluster://{cluster}/?stream={stream}&socket_timeout=0.5")
    ) as store:
        use(store)


@pytest.mark.long
@pytest.mark.parametrize("decode", [False, True])
def test_a_client_of_a_cluster_is_taken(cluster, decode):
    host, _, port = cluster.split(",")[0].partition(":")
    with contextlib.closing(
        redis.RedisCluster(host=host, port=int(port), decode_responses=decode)
    ) as client:
        stream = f"of-a-client-{decode}"
        store = RedisEventStore(client, stream=stream, **OPTIONS)
        use(store)
        leave_bytes_of_a_stranger(client, stream)
        use(store)
        store.close()


def test_a_user_with_the_least_rights_is_enough_in_a_cluster(cluster):
    rights = [
        "+cluster|slots",
        "+cluster|shards",
        "+cluster|myid",
        "+command",
        "+readonly",
        "+info",
    ]
    for place in cluster.split(","):
        host, _, port = place.partition(":")
        with redis.Redis(host, int(port)) as client:
            user = ["least", "on", ">secret", "resetkeys", "~least", "-@all"]
            client.execute_command("ACL SETUSER", *user, *LEAST_RIGHTS, *rights)
    store = RedisEventStore(f"redis+cluster://least:secret@{cluster}", stream="least", **OPTIONS)
    use(store)
    store.close()


def test_a_cluster_that_is_away_costs_no_event():
    need_redis_5()
    store = RedisEventStore("redis+cluster://127.0.0.1:1,127.0.0.1:2", **OPTIONS)
    assert store.add_event(event())
    assert store.failing
    assert store.size() == 1
    store._writer._spill.clear()


class Sentinels:
    """One master with one replica, and a Sentinel that makes the replica the master when that one is gone."""

    def __init__(self, directory, stack):
        self.master = stack.enter_context(redis_server(directory / "master"))
        replica_of = ("--replicaof", f"127.0.0.1 {self.master.port}")
        self.replica = stack.enter_context(redis_server(directory / "replica", *replica_of))
        until(lambda: self.replica.client().info("replication")["master_link_status"] == "up")
        file = directory / "sentinel.conf"
        file.write_text(
            f"sentinel monitor main 127.0.0.1 {self.master.port} 1\n"
            "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
        )
        self.sentinel = RedisServer(directory / "sentinel")
        self.sentinel._program = need("redis-server")
        log = directory / "sentinel" / "redis.log"
        self.sentinel._arguments = lambda _log: [
            *(str(file), "--sentinel", "--port", str(self.sentinel.port)),
            *("--bind", "127.0.0.1", "--dir", str(log.parent), "--logfile", str(log)),
        ]
        stack.callback(self.sentinel.stop)
        self.sentinel.start()
        self.asked = redis.sentinel.Sentinel([("127.0.0.1", self.sentinel.port)])
        until(lambda: self.asked.discover_slaves("main"))
        self.url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{self.sentinel.port}/main/0"

    def has_new_master(self):
        """Return whether the replica became the master."""
        with contextlib.suppress(redis.sentinel.MasterNotFoundError):
            return self.asked.discover_master("main") == ("127.0.0.1", self.replica.port)
        return False


@pytest.fixture
def sentinels(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Sentinels(tmp_path, stack)


@pytest.mark.long
def test_a_failover_in_the_middle_of_a_drain_loses_nothing(sentinels):
    store = RedisEventStore(sentinels.url, **OPTIONS)
    sent = add(store, 1000)
    with sentinels.master.client() as client:
        client.set("mark", 1)
        assert client.wait(1, 5000) == 1  # otherwise it is a matter of luck what the replica has
    with Collector(respond=lambda _: time.sleep(0.02)) as collector:
        program = [
            sys.executable,
            "-m",
            "snowplow_tracker",
            "worker",
            "--endpoint",
            collector.endpoint,
        ]
        options = ["--store", f"{sentinels.url}?claim_after=2", "--batch", "5"]
        worker = subprocess.Popen([*program, *options], env=dict(os.environ))
        try:
            until(lambda: len(collector.events) >= 50)
            sentinels.master.kill()
            assert len(collector.events) < 1000
            sent |= add(store, 20)  # while there is no master
            until(sentinels.has_new_master)
            until(lambda: not store.failing)
            sent |= add(store, 20)
            until(lambda: {each.event_id for each in collector.events} >= sent)
            assert {each.event_id for each in collector.events} == sent
        finally:
            worker.terminate()
            worker.wait(20)
        assert worker.returncode == 0
    store.close()


@pytest.mark.long
@pytest.mark.parametrize("decode", [False, True])
def test_a_client_of_sentinel_is_taken(sentinels, decode):
    if decode and tuple(map(int, redis.__version__.split(".")[:2])) < (4, 4):
        pytest.skip("redis-py before 4.4 cannot be kept from decoding")
    client = sentinels.asked.master_for("main", decode_responses=decode)
    store = RedisEventStore(client, **OPTIONS)
    use(store)
    leave_bytes_of_a_stranger(client, "snowplow:events")
    use(store)


@pytest.mark.long
def test_a_user_with_the_least_rights_is_enough_by_tls(tmp_path):
    with redis_server(tmp_path, tls=True) as server:
        with server.client() as client:
            rights = ["on", ">secret", "resetkeys", "~snowplow:events", "-@all", *LEAST_RIGHTS]
            client.execute_command("ACL SETUSER", "snowplow", *rights)
        store = RedisEventStore(server.url.replace("://", "://snowplow:secret@"), **OPTIONS)
        use(store)
        store.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://host:26379",
        "redis+sentinel://host:26379/main/x",
        "redis+sentinel:///main",
        "redis+cluster://user:secret@host:1,:2",
        "redis+cluster://host/1",
    ],
)
def test_what_is_no_url_is_refused_without_its_password(url):
    with pytest.raises(ValueError, match="redis-py does not accept the URL") as caught:
        RedisEventStore(url)
    assert "secret" not in str(caught.value)
