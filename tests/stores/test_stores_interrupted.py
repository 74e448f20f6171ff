"""Signal handlers that raise, or that track, while their thread is in a durable store."""

import textwrap

import pytest

from support.processes import run_program
from support.redis_server import redis_server


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(params=["sqlite", "redis", "redis, write behind"])
def made(request, tmp_path):
    """The source of a store."""
    if request.param == "sqlite":
        return f"SQLiteEventStore({str(tmp_path / 'events.db')!r})"
    url = request.getfixturevalue("redis_url")
    behind = "behind" in request.param
    return (
        f"RedisEventStore({url!r}, stream={tmp_path.name!r}, claim_after=3, write_behind={behind})"
    )


SETUP = """
    import logging, random, signal, sys, time
    from snowplow_tracker.redis_event_store import RedisEventStore
    from snowplow_tracker.sqlite_event_store import SQLiteEventStore

    def drain(store, seconds=20):
        found = []
        deadline = time.monotonic() + seconds
        while store.remaining() != 0 and time.monotonic() < deadline:
            batch = store.get_events_batch()
            found += [event["eid"] for event in batch]
            store.cleanup(batch, need_retry=False)
            if not batch:
                time.sleep(0.02)
        assert store.remaining() == 0, (store.remaining(), store.size())
        return found

    store = STORE
"""


def run(made, program, deadline=120):
    source = textwrap.dedent(SETUP).replace("STORE", made) + textwrap.dedent(program)
    finished = run_program(source, deadline=deadline)
    assert finished.status == 0, finished.errors
    return finished


@pytest.mark.long
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "TimeLimit", "TimeoutError"])
def test_an_interrupt_at_any_moment_leaves_a_store_that_goes_on(made, error):
    """It comes out of every method, and whatever was accepted is delivered afterwards."""
    run(
        made,
        """
        class TimeLimit(Exception):
            pass

        armed = False
        def hit(*_):
            if armed:
                raise ERROR

        signal.signal(signal.SIGALRM, hit)
        chance = random.Random(7)
        accepted, settled, raised, number = set(), set(), 0, 0
        for _ in range(ROUNDS):
            batch = []
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(2e-5, 1.5e-3))
                for _ in range(3):
                    number += 1
                    if store.add_event({"eid": str(number)}):
                        accepted.add(str(number))
                batch = store.get_events_batch(max_events=5)
                again, done = batch[:1], batch[1:]
                store.cleanup(again, need_retry=True)
                settled.update(event["eid"] for event in done)
                store.cleanup(done, need_retry=False)
                store.size()
            except ERROR:
                raised += 1
            finally:
                armed = False
                signal.setitimer(signal.ITIMER_REAL, 0)
        batch = again = done = None  # nobody settles those of the last round
        settled.update(drain(store))
        assert raised > ROUNDS / 4, raised
        assert accepted <= settled, sorted(accepted - settled)
        """.replace("ERROR", error).replace("ROUNDS", "200"),
    )


@pytest.mark.long
def test_a_signal_handler_may_use_the_store_that_it_interrupts(made):
    """It waits for nobody, and what it added is there afterwards."""
    run(
        made,
        """
        handled = 0
        def handle(*_):
            global handled
            handled += 1
            assert store.add_event({"eid": f"handler-{handled}"})
            store.size()
            store.cleanup(store.get_events_batch(max_events=1), need_retry=True)
            signal.setitimer(signal.ITIMER_REAL, 0.003)

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.003)
        added = 0
        ends = time.monotonic() + 1
        while time.monotonic() < ends:
            added += store.add_event({"eid": f"main-{added}"})
            batch = store.get_events_batch(max_events=1)
            store.cleanup(batch, need_retry=True)
            store.size()
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        found = drain(store)
        assert handled > 20, handled
        expected = {f"handler-{n + 1}" for n in range(handled)} | {f"main-{n}" for n in range(added)}
        assert expected <= set(found), sorted(expected - set(found))[:10]
        """,
    )


@pytest.mark.long
def test_what_a_signal_handler_added_survives_the_end_of_the_process(tmp_path):
    """A last event, added by a handler that then ends the process at once, is in the file."""
    path = str(tmp_path / "events.db")
    program = f"""
        import os, signal
        from snowplow_tracker.sqlite_event_store import SQLiteEventStore

        store = SQLiteEventStore({path!r})
        def last(*_):
            store.add_event({{"eid": "last"}})
            os._exit(0)

        signal.signal(signal.SIGALRM, last)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        while True:
            store.add_event({{"eid": "first"}})
    """
    from snowplow_tracker.sqlite_event_store import SQLiteEventStore

    for _ in range(5):
        assert run_program(program, deadline=30).status == 0
    store = SQLiteEventStore(path)
    found = []
    while True:
        batch = store.get_events_batch()
        if not batch:
            break
        found += [event["eid"] for event in batch]
        store.cleanup(batch, need_retry=False)
    store.close()
    assert found.count("last") == 5
