"""The queue in memory."""

import logging
import threading
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowplow_tracker import InMemoryEventStore

LOGGER = logging.getLogger("snowplow_tracker.tests")
CAPACITY = 5

events = st.dictionaries(st.sampled_from("abcdef"), st.text(max_size=3), max_size=6)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("add"), events),
        st.tuples(st.just("take"), st.integers(1, 7)),
        st.tuples(st.just("put back"), st.just(0)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest"])
@given(actions=actions)
def test_it_is_a_bounded_queue(overflow: str, actions: List[Any]) -> None:
    """Whatever is added, taken and put back, it holds what a plain list would, and reports the rest."""
    store = InMemoryEventStore(LOGGER, CAPACITY, overflow=overflow)
    evicted: List[Dict[str, str]] = []
    store.overflow_listener = evicted.extend
    held: List[Dict[str, str]] = []
    lost: List[Dict[str, str]] = []
    out: List[List[Dict[str, str]]] = []
    for action, argument in actions:
        if action == "add":
            taken = store.add_event(dict(argument))
            assert taken == (len(held) < CAPACITY or overflow == "drop_oldest")
            if taken:
                held.append(argument)
        elif action == "take":
            batch = store.get_events_batch(max_events=argument)
            assert batch == held[:argument]
            del held[:argument]
            out.append(batch)
        elif out:
            batch = out.pop()
            store.cleanup(batch, need_retry=True)
            held[:0] = batch
        excess = max(0, len(held) - CAPACITY)
        if overflow == "drop_oldest":
            lost += held[:excess]
            del held[:excess]
        else:
            lost += held[len(held) - excess :]
            del held[len(held) - excess :]
        assert store.event_buffer == held
        assert store.size() == len(held)
        assert evicted == lost


def test_without_a_limit_it_hands_out_all() -> None:
    """`get_events_batch()` without a limit empties it, as it did in 1.1.0."""
    store = InMemoryEventStore(LOGGER)
    store.add_event({"eid": "1"})
    store.add_event({"eid": "2"})
    assert store.get_events_batch() == [{"eid": "1"}, {"eid": "2"}]
    assert store.size() == 0


def test_what_is_done_is_forgotten() -> None:
    """Events that need no retry do not come back."""
    store = InMemoryEventStore(LOGGER)
    store.add_event({"eid": "1"})
    store.cleanup(store.get_events_batch(), need_retry=False)
    assert store.size() == 0


def test_a_blocked_event_goes_in_when_there_is_room() -> None:
    """Under the policy `block`, adding waits until something is taken."""
    store = InMemoryEventStore(LOGGER, 1, overflow="block", overflow_timeout=30)
    store.add_event({"eid": "1"})
    added: List[bool] = []
    adder = threading.Thread(target=lambda: added.append(store.add_event({"eid": "2"})))
    adder.start()
    assert store.get_events_batch() == [{"eid": "1"}]
    adder.join(30)
    assert added == [True]
    assert store.event_buffer == [{"eid": "2"}]


def test_a_blocked_event_is_refused_in_the_end() -> None:
    """Under the policy `block`, adding gives up when its time is over."""
    store = InMemoryEventStore(LOGGER, 1, overflow="block", overflow_timeout=0.01)
    store.add_event({"eid": "1"})
    assert store.add_event({"eid": "2"}) is False


def test_alone_it_says_what_it_drops(caplog: pytest.LogCaptureFixture) -> None:
    """Without an emitter that listens, dropped events are logged by the logger it was given."""
    store = InMemoryEventStore(LOGGER, 1)
    store.add_event({"eid": "1"})
    store.add_event({"eid": "2"})
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"buffer_capacity": 0}, "buffer_capacity"),
        ({"overflow": "explode"}, "overflow"),
        ({"overflow_timeout": -1}, "overflow_timeout"),
    ],
)
def test_bad_options_are_named(options: Dict[str, Any], name: str) -> None:
    """An unusable option is refused by its name."""
    with pytest.raises(ValueError, match=name):
        InMemoryEventStore(LOGGER, **options)


def test_a_change_while_queueing_harms_no_other_event() -> None:
    """An event that changes while it is queued is refused; those around it stay whole."""

    class Growing(Dict[str, str]):
        def values(self) -> Any:
            return ["1", "2"]

    store = InMemoryEventStore(LOGGER)
    store.add_event({"eid": "1"})
    with pytest.raises(ValueError, match="changed"):
        store.add_event(Growing(eid="2"))
    store.add_event({"eid": "3"})
    assert store.event_buffer == [{"eid": "1"}, {"eid": "3"}]
