"""The queue in memory."""

import base64
import dis
import json
import logging
import random
import sys
import threading
import time
from collections import Counter
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Type

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowplow_tracker import InMemoryEventStore
from snowplow_tracker import event_store as event_store_module
from support import locks
from support.protocol import CONTEXTS, UNSTRUCT_EVENT

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


@pytest.mark.long
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


@pytest.mark.parametrize(
    ("argument", "value", "error", "what"),
    [
        ("buffer_capacity", "10", TypeError, "must be a number, got str '10'"),
        ("buffer_capacity", True, TypeError, "must be a number, got bool True"),
        ("buffer_capacity", 0, ValueError, "must be greater than 0, got 0"),
        ("buffer_capacity", float("nan"), ValueError, "must be greater than 0, got nan"),
        ("buffer_bytes", 1.5, TypeError, "must be an integer, got float 1.5"),
        ("buffer_bytes", -1, ValueError, "must not be negative, got -1"),
        ("overflow", "explode", ValueError, "is not supported"),
        ("overflow_timeout", -1, ValueError, "must not be negative, got -1"),
        ("overflow_timeout", "1", TypeError, "must be a number, got str '1'"),
        ("overflow_timeout", float("inf"), ValueError, "must be a finite number"),
    ],
)
def test_bad_arguments_are_refused_by_name(
    argument: str, value: Any, error: Type[Exception], what: str
) -> None:
    """A value that cannot work is an error that names the parameter and says what is wrong with it."""
    with pytest.raises(error, match=f"{argument} {what}"):
        InMemoryEventStore(LOGGER, **{argument: value})


@pytest.mark.parametrize(("capacity", "room"), [(1.5, 2), (2.0, 2), (float("inf"), 100)])
def test_a_capacity_that_is_a_float(capacity: Any, room: int) -> None:
    """A capacity of a float has room for as many events as in 1.1.0, also where events come back."""
    store = InMemoryEventStore(LOGGER, capacity)
    added = [store.add_event({"eid": str(number)}) for number in range(20)]
    assert added == [number < room for number in range(20)]
    batch = store.get_events_batch(max_events=1)
    store.add_event({"eid": "new"})
    store.cleanup(batch, need_retry=True)
    assert store.size() == min(room, 21)


def test_a_forked_child_starts_empty() -> None:
    """After a fork nothing is in it, nothing counts as handed out, and it takes as much as a new one."""
    store = InMemoryEventStore(LOGGER, 3)
    store._keeps_room = True
    for number in range(3):
        store.add_event({"eid": str(number)})
    store.get_events_batch(max_events=2)
    assert (store.size(), store.add_event({"eid": "3"})) == (1, False)
    store.reset_after_fork()
    assert store.size() == 0
    assert store.event_buffer == []
    assert store.get_events_batch() == []
    added = [store.add_event({"eid": str(number), "e": "pv"}) for number in range(4)]
    assert added == [True, True, True, False]
    assert store.size() == 3
    assert [event["eid"] for event in store.get_events_batch()] == ["0", "1", "2"]


def test_a_forked_child_needs_no_lock_of_the_parent() -> None:
    """After a fork it works, though a thread that only the parent has was at work in it."""
    store = InMemoryEventStore(LOGGER, 1, overflow="drop_oldest")
    with store._lock:
        store.reset_after_fork()
        assert store.add_event({"eid": "1"})
        assert store.add_event({"eid": "2"})
        assert store.get_events_batch() == [{"eid": "2"}]
    del locks.violations[:]  # one thread plays both processes, and holds both locks


# --- late values -------------------------------------------------------------------------------

LATE = {"ue_px": b'\0{"schema": "s", "data": "\xc3\xa9?>~"}', "e": "ue", "cx": b'\0[{"a": 1}]'}


def completed(event: Dict[str, Any]) -> Dict[str, Any]:
    """Return an event with its late values as they have to come out."""
    done = dict(event)
    for name, schema in (("ue_px", UNSTRUCT_EVENT), ("cx", CONTEXTS)):
        if isinstance(done.get(name), bytes):
            text = json.dumps(
                {"schema": schema, "data": json.loads(done[name][1:])}, ensure_ascii=False
            )
            done[name] = base64.urlsafe_b64encode(text.encode()).decode()
    return done


@pytest.mark.parametrize("late", [LATE, {"cx": LATE["cx"]}, {"e": "ue", "ue_px": LATE["ue_px"]}])
@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("max_events", [None, 1])
def test_late_values_come_out_complete(
    late: Dict[str, Any], as_text: bool, max_events: Optional[int]
) -> None:
    """A late value is complete when it is looked at, handed out, put back and handed out again."""
    store = InMemoryEventStore(LOGGER)
    store._returns_text = as_text
    store.add_event({**late, "dtm": 5})
    store.add_event({"dtm": 5, **late})
    wanted = completed({**late, "dtm": "5" if as_text else 5})
    assert store.event_buffer == [wanted, wanted]
    batch = store.get_events_batch(max_events=max_events)
    assert batch == [wanted] * (max_events or 2)
    store.cleanup(batch, need_retry=True)
    assert store.event_buffer == [wanted, wanted]
    assert store.get_events_batch() == [wanted, wanted]


def test_a_late_name_alone_makes_no_late_value() -> None:
    """What is no late value under the name of one, or looks like one under another, comes out as it went in."""
    store = InMemoryEventStore(LOGGER)
    event = {"cx": "text", "ue_px": b"bytes", "co": b"\0bytes", "ue_pr": b"bytes"}
    store.add_event(event)
    assert store.get_events_batch() == [event]


@pytest.mark.parametrize("as_text", [False, True])
def test_the_oldest_is_thrown_out_complete(as_text: bool) -> None:
    """An event that makes room for a newer one is reported with complete values."""
    store = InMemoryEventStore(LOGGER, 1, overflow="drop_oldest")
    store._returns_text = as_text
    evicted: List[Dict[str, Any]] = []
    store.overflow_listener = evicted.extend
    store.add_event({**LATE, "dtm": 1})
    store.add_event({**LATE, "dtm": 2})
    assert evicted == [completed({**LATE, "dtm": "1" if as_text else 1})]
    assert store.event_buffer == [completed({**LATE, "dtm": "2" if as_text else 2})]


@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest", "block"])
@pytest.mark.parametrize("as_text", [False, True])
def test_what_does_not_fit_back_is_thrown_out_complete(overflow: Any, as_text: bool) -> None:
    """An event for which there is no room when others come back is reported with complete values."""
    store = InMemoryEventStore(LOGGER, 2, overflow=overflow)
    store._returns_text = as_text
    evicted: List[Dict[str, Any]] = []
    store.overflow_listener = evicted.extend
    events = [{**LATE, "dtm": number} for number in range(4)]
    wanted = [
        completed({**event, "dtm": str(event["dtm"]) if as_text else event["dtm"]})
        for event in events
    ]
    for event in events[:2]:
        store.add_event(event)
    batch = store.get_events_batch()
    for event in events[2:]:
        store.add_event(event)
    store.cleanup(batch, need_retry=True)
    kept, lost = (wanted[2:], wanted[:2]) if overflow == "drop_oldest" else (wanted[:2], wanted[2:])
    assert evicted == lost
    assert store.event_buffer == kept


# --- threads -----------------------------------------------------------------------------------

ADDERS = 8
TAKERS = 2
MOST_TAKEN = 5
# More than adders can be about to add and takers can have taken: something is always in a full one.
CROWDED = 32


def event_of(adder: int, number: int) -> Dict[str, Any]:
    """Return an event that can be told to be whole: each value says whose it is."""
    eid = f"{adder}-{number}"
    names = "abcdefgh"[: (adder + number) % 9]
    event: Dict[str, Any] = {f"{name}{adder % 3}": f"{eid}-{name}" for name in names}
    if number % 4 == 0:
        event["cx"] = b"\0" + json.dumps([eid]).encode()
    if number % 2 == 0:
        return {"eid": eid, **event}
    return {**event, "eid": eid}


def is_whole(event: Dict[str, Any]) -> bool:
    """Tell whether an event came out as it went in."""
    adder, number = event["eid"].split("-")
    wanted = completed(event_of(int(adder), int(number)))
    return list(event.items()) == list(wanted.items())


class Crowd:
    """Threads that add events to a store and take them out, in steps of single instructions.

    Within the store, a thread now and then lets the others go on, wherever it is: between any two instructions, as it
    happens when the interpreter switches threads, only much more often.
    """

    def __init__(self, store: InMemoryEventStore, *, puts_back: bool) -> None:
        self.added: List[Tuple[int, int]] = []
        self.refused: List[Tuple[int, int]] = []
        self.taken: List[Dict[str, Any]] = []
        self.evicted: List[Dict[str, Any]] = []
        self.sizes: List[int] = []
        self._store = store
        self._puts_back = puts_back
        self._errors: List[BaseException] = []
        self._go = threading.Event()
        self._all_added = threading.Event()
        store.overflow_listener = self.evicted.extend

    def run(self, *, adders: int, takers: int, each: int) -> None:
        """Add events from some threads while others take, until all are added and the store is empty."""
        adding = [self._start(number, self._add, number, each) for number in range(adders)]
        taking = [self._start(adders + number, self._take) for number in range(takers)]
        self._go.set()
        for thread in adding:
            thread.join(20)
        self._all_added.set()
        for thread in taking:
            thread.join(20)
        assert not any(thread.is_alive() for thread in adding + taking)
        self.taken += self._store.get_events_batch()
        assert self._errors == []

    def _start(self, seed: int, work: Any, *arguments: int) -> threading.Thread:
        switch_now = random.Random(seed).random
        is_ready = threading.Event()

        def trace(frame: Any, event: str, _: object) -> Any:
            if frame.f_code.co_filename != event_store_module.__file__:
                return None
            frame.f_trace_lines = False
            frame.f_trace_opcodes = True
            if event == "opcode" and switch_now() < 0.1:
                time.sleep(0)
            return trace

        def run() -> None:
            try:
                sys.settrace(trace)
                is_ready.set()
                assert self._go.wait(20)
                work(*arguments)
            except BaseException as error:
                self._errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        # One after the other: two threads that call `sys.settrace` at the same time get an error.
        assert is_ready.wait(20)
        return thread

    def _add(self, adder: int, each: int) -> None:
        for number in range(each):
            taken = self._store.add_event(event_of(adder, number))
            (self.added if taken else self.refused).append((adder, number))
            self.sizes.append(self._store.size())

    def _take(self) -> None:
        rounds = 0
        while True:
            was_last = self._all_added.is_set()
            batch = self._store.get_events_batch(max_events=MOST_TAKEN)
            if not batch and was_last:
                return
            rounds += 1
            put_back = self._puts_back and rounds % 2 == 0
            self._store.cleanup(batch, need_retry=put_back)
            self.sizes.append(self._store.size())
            if not put_back:
                self.taken += batch


@pytest.fixture
def hectic() -> Iterator[None]:
    """Have the interpreter switch threads as often as it can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


@pytest.mark.long
@pytest.mark.usefixtures("hectic")
@pytest.mark.parametrize("keeps_room", [True, False], ids=["as in an emitter", "alone"])
@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest", "block"])
def test_threads_do_not_lose_or_mix_events(overflow: Any, keeps_room: bool) -> None:
    """Whoever adds, takes and puts back at the same time, each event comes out once, and whole."""
    store = InMemoryEventStore(LOGGER, CROWDED, overflow=overflow, overflow_timeout=10)
    store._keeps_room = keeps_room
    crowd = Crowd(store, puts_back=True)
    crowd.run(adders=ADDERS, takers=TAKERS, each=50)
    came_out = crowd.taken + crowd.evicted
    assert all(map(is_whole, came_out))
    added = Counter(f"{adder}-{number}" for adder, number in crowd.added)
    assert Counter(event["eid"] for event in came_out) == added
    assert len(crowd.added) + len(crowd.refused) == ADDERS * 50
    assert (store.size(), store.event_buffer) == (0, [])
    if overflow != "drop_newest":
        assert crowd.refused == []
    if keeps_room and overflow != "drop_oldest":
        assert crowd.evicted == []
    # Of those that come back without their room being kept, as many as do not fit are thrown out.
    coming_back = 0 if keeps_room else MOST_TAKEN
    assert max(crowd.sizes) <= CROWDED + ADDERS + coming_back
    # Nothing is left behind that takes away room.
    for number in range(CROWDED):
        assert store.add_event(event_of(0, number))
    assert store.size() == CROWDED


@pytest.mark.long
@pytest.mark.usefixtures("hectic")
@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest", "block"])
def test_events_of_a_thread_stay_in_order(overflow: Any) -> None:
    """However many threads add, the events of each come out in the order in which it added them."""
    store = InMemoryEventStore(LOGGER, CROWDED, overflow=overflow, overflow_timeout=10)
    crowd = Crowd(store, puts_back=False)
    crowd.run(adders=ADDERS, takers=1, each=50)
    numbers: Dict[str, List[int]] = {}
    for event in crowd.taken:
        adder, number = event["eid"].split("-")
        numbers.setdefault(adder, []).append(int(number))
    assert numbers
    assert all(each == sorted(each) for each in numbers.values())
    assert len(crowd.taken) + len(crowd.evicted) == len(crowd.added)


class _PausedAdder:
    """A capacity at which one thread stops: after it found room for its event, and before that is in the store."""

    def __init__(self, store: InMemoryEventStore) -> None:
        outer = self

        class Capacity(int):
            # The comparison with a number on the left asks the type that is derived from it first.
            def __gt__(self, other: int) -> bool:
                answer = int(self) > other
                if threading.current_thread() is outer._thread:
                    outer._reached.set()
                    outer._go_on.wait(30)
                return answer

            __hash__ = int.__hash__

        self._store = store
        self._reached = threading.Event()
        self._go_on = threading.Event()
        self._thread: Optional[threading.Thread] = None
        store.buffer_capacity = Capacity(store.buffer_capacity)

    def start(self, event: Dict[str, str]) -> None:
        """Begin to add an event, and stop in the middle of it."""
        self._thread = threading.Thread(target=self._store.add_event, args=(event,))
        self._thread.start()
        assert self._reached.wait(30)

    def go_on(self, timeout: float = 30) -> None:
        """Let it end, and wait for that."""
        self._go_on.set()
        assert self._thread is not None
        self._thread.join(timeout)


def test_what_is_not_in_yet_is_neither_handed_out_nor_forgotten() -> None:
    """An event that another thread is about to put in is handed out once it is in."""
    store = InMemoryEventStore(LOGGER, 2)
    adder = _PausedAdder(store)
    store.add_event({"eid": "1"})
    adder.start({"eid": "2", "e": "pv"})
    assert store.get_events_batch() == [{"eid": "1"}]
    assert store.size() == 0
    assert store.get_events_batch() == []
    adder.go_on()
    assert store.size() == 1
    assert store.get_events_batch() == [{"eid": "2", "e": "pv"}]
    assert store.size() == 0


@pytest.mark.parametrize("overflow", ["drop_newest", "block"])
def test_an_event_that_comes_in_while_the_newest_is_thrown_out(overflow: Any) -> None:
    """An event that gets in while the newest one is thrown out stays whole, and so does that one."""

    class LetsItIn(str):
        """A value that lets the other thread go on when somebody looks at it."""

        __slots__ = ()

        @property
        def __class__(self) -> Any:
            adder.go_on(timeout=0.2)
            return str

        def __str__(self) -> str:
            adder.go_on(timeout=0.2)
            return "3-c"

    store = InMemoryEventStore(LOGGER, 3, overflow=overflow)
    store._returns_text = True
    evicted: List[Dict[str, Any]] = []
    store.overflow_listener = evicted.extend
    adder = _PausedAdder(store)
    store.add_event({"eid": "1", "a": "1-a"})
    batch = store.get_events_batch()
    store.add_event({"eid": "2", "b": "2-b"})
    store.add_event({"eid": "3", "c": LetsItIn("3-c")})
    adder.start({"eid": "4", "d": "4-d", "e": "4-e"})
    store.cleanup(batch, need_retry=True)
    adder.go_on()
    came_out = store.get_events_batch() + evicted
    assert sorted(came_out, key=lambda event: event["eid"]) == [
        {"eid": "1", "a": "1-a"},
        {"eid": "2", "b": "2-b"},
        {"eid": "3", "c": "3-c"},
        {"eid": "4", "d": "4-d", "e": "4-e"},
    ]


def test_an_interrupt_while_taking_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-C in the middle of a take, all events are there and counted."""

    class Interrupting(str):
        __slots__ = ()
        armed = True

        def __str__(self) -> str:
            if Interrupting.armed:
                raise KeyboardInterrupt
            return "x"

    store = InMemoryEventStore(LOGGER)
    store._returns_text = True
    events = [{"eid": str(number), "url": Interrupting("x")} for number in range(5)]
    for event in events:
        store.add_event(dict(event))
    with pytest.raises(KeyboardInterrupt):
        store.get_events_batch(max_events=3)
    Interrupting.armed = False
    assert store.size() == 5
    taken = store.get_events_batch()
    assert [event["eid"] for event in taken] == list("01234")
    assert store.size() == 0


def test_a_value_without_a_text_harms_no_other_event() -> None:
    """An event whose value cannot be written as text is handed out as it is; those around it are whole."""

    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    bad = Bad()
    store = InMemoryEventStore(LOGGER)
    store._returns_text = True
    store.add_event({"eid": "1", "n": 1})
    store.add_event({"eid": "2", "x": bad, "z": 1})
    store.add_event({"eid": "3"})
    assert store.get_events_batch() == [
        {"eid": "1", "n": "1"},
        {"eid": "2", "x": bad, "z": 1},
        {"eid": "3"},
    ]
    assert store.size() == 0


def test_a_buffer_that_is_set_keeps_what_is_coming_in() -> None:
    """Setting `event_buffer` replaces what waits, and neither loses nor miscounts an event on its way in."""
    store = InMemoryEventStore(LOGGER)
    store.add_event({"eid": "1"})
    adder = _PausedAdder(store)
    adder.start({"eid": "3"})
    store.event_buffer = [{"eid": "2"}]
    adder.go_on()
    assert store.event_buffer == [{"eid": "2"}, {"eid": "3"}]
    assert store.size() == 2


def test_an_event_whose_arrival_was_interrupted_takes_no_room() -> None:
    """An interrupt before an event is in takes no room."""

    class Interrupted(int):
        def __gt__(self, _: int) -> bool:
            raise KeyboardInterrupt

        __hash__ = int.__hash__

    store = InMemoryEventStore(LOGGER, 2)
    store.buffer_capacity = Interrupted(2)
    with pytest.raises(KeyboardInterrupt):
        store.add_event({"eid": "1"})
    store.buffer_capacity = 2
    assert store.size() == 0
    assert store.add_event({"eid": "2"})
    assert store.add_event({"eid": "3"})
    assert not store.add_event({"eid": "4"})
    assert store.get_events_batch() == [{"eid": "2"}, {"eid": "3"}]
    assert store.size() == 0


# After these the interpreter looks for signals, from Python 3.11 to 3.13: so `with` needs no help there.
LOOKS_FOR_SIGNALS = ("CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD", "RESUME")


def interrupted_at(number: int, call: Callable[[], object]) -> bool:
    """Make a call, and raise KeyboardInterrupt before its bytecode of this number; return whether there was one.

    Only those are counted before which a signal handler can run.
    """
    seen = 0
    before_it: Dict[Any, int] = {}

    def can_interrupt(frame: Any) -> bool:
        if not (3, 11) <= sys.version_info < (3, 14):
            return True
        last = before_it.get(frame)
        before_it[frame] = frame.f_lasti
        return last is not None and dis.opname[frame.f_code.co_code[last]] in LOOKS_FOR_SIGNALS

    def trace(frame: Any, event: str, _: object) -> Any:
        nonlocal seen
        frame.f_trace_opcodes = True
        if event == "opcode" and can_interrupt(frame):
            seen += 1
            if seen == number:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def taken_by_another_thread(store: InMemoryEventStore) -> List[Any]:
    """Return what a thread takes out, and nothing if it has to wait for long."""
    taken: List[Any] = []
    thread = threading.Thread(target=lambda: taken.extend(store.get_events_batch()), daemon=True)
    thread.start()
    thread.join(5)
    return taken


@pytest.mark.parametrize("need_retry", [False, True], ids=["forget", "requeue"])
def test_an_interrupt_never_leaves_the_lock_of_the_queue_behind(*, need_retry: bool) -> None:
    """Wherever an interrupt ends `cleanup`, another thread can take events out at once."""
    was_interrupted, number = True, -1
    while was_interrupted:
        store = InMemoryEventStore(LOGGER)
        for each in range(4):
            store.add_event({"eid": str(each)})
        batch = store.get_events_batch(max_events=2)
        number += 1  # 0: Python 3.12 sees no bytecodes of a function the first time
        was_interrupted = interrupted_at(number, partial(store.cleanup, batch, need_retry))
        was_interrupted = was_interrupted or number == 0
        assert taken_by_another_thread(store), f"interrupted before bytecode {number}"
    assert number > (5 if (3, 11) <= sys.version_info < (3, 14) else 20)
