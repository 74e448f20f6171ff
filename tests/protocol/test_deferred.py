"""Nobody but the queue sees a deferred value: whoever looks at a payload sees its base64, with the envelope around it."""

import base64
import copy
import functools
import json
import pickle
import types
from contextlib import contextmanager
from unittest import mock

import pytest

from snowplow_tracker import (
    AsyncEmitter,
    DropReason,
    Emitter,
    EventStore,
    InMemoryEventStore,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    Tracker,
)
from snowplow_tracker.payload import Payload
from snowplow_tracker.testing import Collector, RecordingEmitter
from support.protocol import CONTEXTS, UNSTRUCT_EVENT

EVENT_SCHEMA = "iglu:com.acme/order/jsonschema/1-0-0"
ENTITY_SCHEMA = "iglu:com.acme/user/jsonschema/1-0-0"
# Its base64 has both letters in which the alphabet for URLs differs, and padding.
DATA = {"text": "é漢字😀 ?>~ÿ", "list": [1, 2.5, None, True], "nested": {"a": {"b": "c"}}}
NOWHERE = "http://127.0.0.1:1"
EMITTERS = [Emitter, AsyncEmitter]
DEFERRED_NAMES = ("ue_px", "cx")


def rich_event(data=DATA):
    """Return an event with data, and with an entity."""
    return SelfDescribing(
        SelfDescribingJson(EVENT_SCHEMA, data), context=[SelfDescribingJson(ENTITY_SCHEMA, data)]
    )


def enveloped(schema, data):
    """Return data in an envelope as base64, made with nothing but the standard library."""
    text = json.dumps({"schema": schema, "data": data}, ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode()


def complete_values(data=DATA):
    """Return what has to be seen of a rich event with this data."""
    return {
        "ue_px": enveloped(UNSTRUCT_EVENT, {"schema": EVENT_SCHEMA, "data": data}),
        "cx": enveloped(CONTEXTS, [{"schema": ENTITY_SCHEMA, "data": data}]),
    }


COMPLETE = complete_values()


def is_complete(pairs):
    """Tell whether both values of a rich event are as they have to be seen."""
    return {name: pairs[name] for name in DEFERRED_NAMES} == COMPLETE


def is_text(pairs):
    """Tell whether all values are text, as they have to be for POST."""
    return {type(value) for value in pairs.values()} == {str}


class Kept:
    """An emitter that has nothing but `input`."""

    def __init__(self):
        self.events = []

    def input(self, payload):
        self.events.append(payload)


class OwnStore(EventStore):
    """A store with the four methods and nothing else, which keeps the dictionaries that it gets."""

    def __init__(self):
        self.events = []
        self.seen = []

    def add_event(self, payload):
        self.seen.append(dict(payload))
        self.events.append(payload)
        return True

    def get_events_batch(self):
        batch, self.events = self.events, []
        return batch

    def cleanup(self, batch, need_retry):
        if need_retry:
            self.events[:0] = batch

    def size(self):
        return len(self.events)


class RefusingStore(OwnStore):
    """A store that has no room."""

    def add_event(self, payload):
        super().add_event(payload)
        self.events.clear()
        return False


class FailingStore(OwnStore):
    """A store that is broken."""

    def add_event(self, payload):
        self.seen.append(dict(payload))
        raise RuntimeError("no")


class WatchedMemory(InMemoryEventStore):
    """The store in memory, with an override that looks at what comes in."""

    def __init__(self):
        super().__init__(mock.Mock())
        self.seen = []

    def add_event(self, payload):
        self.seen.append(dict(payload))
        return super().add_event(payload)


@pytest.fixture
def make_emitter():
    """Make emitters that send nothing by themselves, and throw away what they hold in the end."""
    made = []

    def make(cls=Emitter, **options):
        class Unsent(cls):
            def reached_limit(self):
                return False

        emitter = Unsent(NOWHERE, **{"flush_interval": None, **options})
        made.append(emitter)
        return emitter

    yield make
    for emitter in made:
        emitter.close(timeout=0)
        emitter.event_store.get_events_batch()


class TestPayloads:
    """What a payload shows."""

    @pytest.mark.parametrize(
        "event",
        [
            rich_event(),
            SelfDescribing(SelfDescribingJson(EVENT_SCHEMA, DATA)),
            PageView("u", context=[SelfDescribingJson(ENTITY_SCHEMA, DATA)] * 2),
            ScreenView("id", "n", context=[SelfDescribingJson(ENTITY_SCHEMA, DATA)]),
            PageView("u"),
        ],
        ids=["data and entity", "data", "entities", "screen view", "neither"],
    )
    def test_base64_is_that_of_the_plain_text(self, event):
        """With base64, a payload holds the base64 of the very text that it holds without."""
        wanted = dict(event.build_payload(False, None).nv_pairs)
        for plain, encoded in (("ue_pr", "ue_px"), ("co", "cx")):
            if plain in wanted:
                text = wanted.pop(plain).encode()
                wanted[encoded] = base64.urlsafe_b64encode(text).decode()
        assert event.build_payload(True, None).nv_pairs == wanted
        assert event.build_payload(True, None).get() == wanted

    @pytest.mark.parametrize(
        "look", [lambda payload: payload.nv_pairs, Payload.get], ids=["nv_pairs", "get"]
    )
    def test_what_a_tracker_builds_is_complete(self, look):
        """A payload from `complete_payload` holds the base64 of data in its envelope."""
        pairs = look(Tracker("ns", Kept()).complete_payload(rich_event()))
        assert is_complete(pairs)
        assert {"-", "_", "="} <= set("".join(COMPLETE.values()))
        assert look(rich_event().build_payload(True, None)).items() >= COMPLETE.items()

    def test_the_pairs_are_live(self):
        """`nv_pairs` gives the same dictionary each time, and a change of it stays."""
        payload = rich_event().build_payload(True, None)
        payload.nv_pairs["cx"] = "mine"
        assert payload.nv_pairs is payload.get()
        assert payload.nv_pairs["cx"] == "mine"

    def test_what_is_added_afterwards_counts(self):
        """A value that is added over a deferred one, before anybody looked, replaces it."""
        payload = rich_event().build_payload(True, None)
        payload.add("cx", "mine")
        payload.add_dict({"ue_px": "too"})
        assert (payload.nv_pairs["cx"], payload.nv_pairs["ue_px"]) == ("mine", "too")

    def test_pairs_that_are_set_are_left_alone(self):
        """Bytes that somebody sets as pairs of a payload are theirs, and stay what they are."""
        payload = rich_event().build_payload(True, None)
        payload.nv_pairs = {"cx": b"mine"}
        assert payload.nv_pairs == {"cx": b"mine"}

    @pytest.mark.parametrize(
        "duplicate",
        [
            copy.copy,
            copy.deepcopy,
            lambda payload: pickle.loads(pickle.dumps(payload)),  # noqa: S301 - our own
            lambda payload: Payload(payload.nv_pairs),
            lambda payload: Payload(payload.get()),
        ],
        ids=["copy", "deepcopy", "pickle", "of nv_pairs", "of get"],
    )
    @pytest.mark.parametrize("read_first", [False, True])
    def test_copies_are_complete(self, duplicate, read_first):
        """A copy of a payload is complete and equal to it, whether or not somebody looked before."""
        payload = rich_event().build_payload(True, None)
        if read_first:
            assert is_complete(payload.nv_pairs)
        twin = duplicate(payload)
        assert twin == payload
        assert is_complete(twin.nv_pairs)
        assert is_complete(payload.nv_pairs)
        twin.add("uid", "x")
        assert twin != payload
        assert "uid" not in payload.nv_pairs

    def test_equality_does_not_depend_on_looking(self):
        """Two payloads of one event are equal, whichever of them somebody looked at."""
        first, second = (rich_event().build_payload(True, None) for _ in range(2))
        other = rich_event({"a": 1}).build_payload(True, None)
        assert first.nv_pairs
        assert first == second
        assert hash(first) == hash(second)
        assert first != other
        assert Payload({**COMPLETE, "e": "ue"}) == rich_event().build_payload(True, None)

    def test_what_is_printed_is_complete(self):
        """The `repr` of a payload shows its values as text."""
        payload = rich_event().build_payload(True, None)
        pairs = eval(repr(payload), {"Payload": Payload}).nv_pairs  # noqa: S307 - our own
        assert is_complete(pairs)

    def test_events_of_users_see_complete_values(self):
        """An override of `build_payload` that calls ours may read what it built."""
        seen = []

        class Own(SelfDescribing):
            def build_payload(self, encode_base64, json_encoder, subject=None):
                payload = super().build_payload(encode_base64, json_encoder, subject)
                seen.append(dict(payload.nv_pairs))
                return payload

        emitter = Kept()
        event = rich_event()
        Tracker("ns", emitter).track(Own(event.event_json, context=event.context))
        assert is_complete(seen[0])
        assert is_complete(emitter.events[0])


class TestOverridesOfCompletePayload:
    """What a subclass of the tracker sees, and may return."""

    @pytest.mark.parametrize("cls", [Kept, None], ids=["custom emitter", "our emitter"])
    def test_super_gives_complete_values(self, cls, make_emitter):
        """An override sees complete values, and its change of them is what the emitter gets."""
        seen = []

        class Own(Tracker):
            def complete_payload(self, event):
                payload = super().complete_payload(event)
                seen.append(dict(payload.nv_pairs))
                payload.nv_pairs["cx"] = "mine"
                return payload

        emitter = make_emitter() if cls is None else cls()
        Own("ns", emitter).track(rich_event())
        (pairs,) = emitter.event_store.event_buffer if cls is None else emitter.events
        assert is_complete(seen[0])
        assert pairs["ue_px"] == COMPLETE["ue_px"]
        assert pairs["cx"] == "mine"

    @pytest.mark.parametrize("cls", [Kept, None], ids=["custom emitter", "our emitter"])
    def test_a_payload_that_is_kept_is_complete(self, cls, make_emitter):
        """Somebody who keeps the payload sees complete values after the emitter took it."""
        kept = []

        class Own(Tracker):
            def complete_payload(self, event):
                kept.append(super().complete_payload(event))
                return kept[0]

        Own("ns", make_emitter() if cls is None else cls()).track(rich_event())
        assert is_complete(kept[0].nv_pairs)

    @pytest.mark.parametrize(
        "convert",
        [
            lambda payload: types.SimpleNamespace(nv_pairs=payload.nv_pairs),
            lambda payload: mock.Mock(nv_pairs=dict(payload.get())),
            lambda payload: type("Sub", (Payload,), {})(payload.nv_pairs),
        ],
        ids=["namespace", "mock", "subclass"],
    )
    def test_it_may_return_something_else(self, convert, make_emitter):
        """An override may return any object that has the pairs."""

        class Own(Tracker):
            def complete_payload(self, event):
                return convert(super().complete_payload(event))

        ours, custom = make_emitter(), Kept()
        event_id = Own("ns", [ours, custom]).track(rich_event())
        for pairs in (ours.event_store.event_buffer[0], custom.events[0]):
            assert is_complete(pairs)
            assert pairs["eid"] == event_id


@contextmanager
def by_a_subclass(make, seen):
    class Own(Emitter):
        def input(self, payload):
            seen.append(dict(payload))
            super().input(payload)

    yield make(Own)


@contextmanager
def by_a_mixin(make, seen):
    class Mixin:
        def input(self, payload):
            seen.append(dict(payload))
            super().input(payload)

    class Own(Mixin, Emitter):
        pass

    yield make(Own)


@contextmanager
def on_the_instance(make, seen):
    emitter = make()
    original = emitter.input

    def replacement(payload):
        seen.append(dict(payload))
        original(payload)

    emitter.input = replacement
    yield emitter


@contextmanager
def as_a_method_of_the_instance(make, seen):
    emitter = make()

    def replacement(self, payload):
        seen.append(dict(payload))
        Emitter.input(self, payload)

    emitter.input = types.MethodType(replacement, emitter)
    yield emitter


@contextmanager
def by_a_mock_of_the_class(make, seen):
    emitter = make()
    original = emitter.input
    with mock.patch.object(Emitter, "input") as patched:
        patched.side_effect = lambda payload: (seen.append(dict(payload)), original(payload))
        yield emitter


@contextmanager
def by_a_mock_with_autospec(make, seen):
    emitter = make()
    original = Emitter.input
    with mock.patch.object(Emitter, "input", autospec=True) as patched:
        patched.side_effect = lambda self, payload: (
            seen.append(dict(payload)),
            original(self, payload),
        )
        yield emitter


@contextmanager
def by_a_mock_that_wraps(make, seen):
    emitter = make()
    with mock.patch.object(Emitter, "input", wraps=emitter.input) as patched:
        yield emitter
    seen += [dict(call.args[0]) for call in patched.call_args_list]


@contextmanager
def by_a_mock_that_wraps_on_the_instance(make, seen):
    emitter = make()
    with mock.patch.object(emitter, "input", wraps=emitter.input) as patched:
        yield emitter
    seen += [dict(call.args[0]) for call in patched.call_args_list]


@contextmanager
def by_a_wrapper_of_the_class(make, seen):
    original = Emitter.input

    @functools.wraps(original)
    def wrapper(self, payload):
        seen.append(dict(payload))
        return original(self, payload)

    with mock.patch.object(Emitter, "input", wrapper):
        yield make()


WAYS_TO_WATCH = [
    by_a_subclass,
    by_a_mixin,
    on_the_instance,
    as_a_method_of_the_instance,
    by_a_mock_of_the_class,
    by_a_mock_with_autospec,
    by_a_mock_that_wraps,
    by_a_mock_that_wraps_on_the_instance,
    by_a_wrapper_of_the_class,
]


class TestEmitters:
    """What the `input` of emitters sees that are not ours, or not as we made them."""

    @pytest.mark.parametrize("watched", WAYS_TO_WATCH, ids=lambda way: way.__name__)
    @pytest.mark.parametrize("others", [0, 1], ids=["alone", "with another"])
    def test_whoever_replaces_input_sees_text(self, watched, others, make_emitter):
        """A replacement of `input` gets complete values, and may hand them on to ours."""
        seen = []
        with watched(make_emitter, seen) as emitter:
            event_id = Tracker("ns", [emitter, *[Kept()] * others]).track(rich_event())
        assert len(seen) == 1
        assert is_complete(seen[0])
        (queued,) = emitter.event_store.event_buffer
        assert is_complete(queued)
        assert queued["eid"] == event_id

    def test_after_a_patch_all_is_as_before(self, make_emitter):
        """An emitter whose class was patched for a while queues complete events afterwards."""
        emitter = make_emitter()
        tracker = Tracker("ns", emitter)
        with mock.patch.object(Emitter, "input", autospec=True) as patched:
            tracker.track(rich_event())
        tracker.track(rich_event())
        assert is_complete(patched.call_args[0][1])
        assert [is_complete(pairs) for pairs in emitter.event_store.event_buffer] == [True]

    @pytest.mark.parametrize("make", [list, tuple, lambda each: each[0]])
    def test_an_emitter_with_nothing_but_input(self, make):
        """A custom emitter gets complete values."""
        emitter = Kept()
        Tracker("ns", make([emitter])).track(rich_event())
        assert is_complete(emitter.events[0])

    def test_the_recording_emitter(self):
        """`RecordingEmitter` keeps complete values, and decodes them."""
        emitter = RecordingEmitter()
        Tracker("ns", emitter).track(rich_event())
        assert is_complete(emitter.payloads[0])
        (event,) = emitter.events
        assert is_complete(event.parameters)
        assert (event.schema, event.data) == (EVENT_SCHEMA, DATA)
        assert event.contexts == [{"schema": ENTITY_SCHEMA, "data": DATA}]

    @pytest.mark.parametrize("order", ["oc", "co", "oco", "coc", "oo"])
    @pytest.mark.parametrize("cls", EMITTERS)
    def test_ours_and_custom_ones_side_by_side(self, order, cls, make_emitter):
        """Whatever the order of our emitters (o) and custom ones (c), each has complete events of its own."""
        emitters = [make_emitter(cls) if letter == "o" else Kept() for letter in order]
        tracker = Tracker("ns", emitters)
        event_ids = [tracker.track(rich_event()) for _ in range(2)]
        for letter, emitter in zip(order, emitters):
            queued = emitter.event_store.event_buffer if letter == "o" else emitter.events
            assert [pairs["eid"] for pairs in queued] == event_ids
            assert all(map(is_complete, queued))
            if letter == "o":
                assert all(map(is_text, queued))
        given = [id(pairs) for emitter in emitters for pairs in getattr(emitter, "events", ())]
        assert len(set(given)) == len(given) == 2 * order.count("c")


class Drops:
    """Keeps what `on_drop` was called with."""

    def __init__(self):
        self.events = []
        self.reasons = []

    def __call__(self, events, reason):
        self.events += events
        self.reasons.append(reason)


class TestDroppedEvents:
    """What `on_drop` gets."""

    @pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest"])
    @pytest.mark.parametrize("method", ["post", "get"])
    @pytest.mark.parametrize("cls", EMITTERS)
    def test_when_the_queue_is_full(self, overflow, method, cls, make_emitter):
        """An event for which there is no room is reported complete; for POST all of it is text."""
        drops = Drops()
        emitter = make_emitter(
            cls, method=method, buffer_capacity=1, overflow=overflow, on_drop=drops
        )
        tracker = Tracker("ns", emitter)
        event_ids = [tracker.track(rich_event()) for _ in range(2)]
        (dropped,) = drops.events
        (queued,) = emitter.event_store.event_buffer
        wanted = event_ids if overflow == "drop_oldest" else event_ids[::-1]
        assert [dropped["eid"], queued["eid"]] == wanted
        assert drops.reasons == [DropReason.OVERFLOW]
        assert is_complete(dropped)
        assert is_complete(queued)
        assert {**queued, "eid": "", "dtm": ""} == {**dropped, "eid": "", "dtm": ""}
        assert is_text(dropped) or method == "get"

    @pytest.mark.parametrize("method", ["post", "get"])
    @pytest.mark.parametrize("cls", EMITTERS)
    def test_when_the_emitter_is_closed(self, method, cls, make_emitter):
        """What a closed emitter gives up, and what is tracked after that, is reported complete."""
        drops = Drops()
        emitter = make_emitter(cls, method=method, on_drop=drops)
        tracker = Tracker("ns", emitter)
        event_ids = [tracker.track(rich_event())]
        assert emitter.close(timeout=0) == 1
        event_ids.append(tracker.track(rich_event()))
        assert [pairs["eid"] for pairs in drops.events] == event_ids
        assert drops.reasons == [DropReason.EXIT] * 2
        assert all(map(is_complete, drops.events))
        assert all(map(is_text, drops.events)) or method == "get"

    @pytest.mark.parametrize(
        ("store_class", "reason"),
        [(RefusingStore, DropReason.OVERFLOW), (FailingStore, DropReason.STORE_FAILED)],
    )
    @pytest.mark.parametrize("method", ["post", "get"])
    def test_when_a_custom_store_does_not_take_it(self, store_class, reason, method, make_emitter):
        """An event that a store refused, or raised at, was complete there and is reported complete."""
        drops = Drops()
        store = store_class()
        emitter = make_emitter(event_store=store, method=method, on_drop=drops)
        event_id = Tracker("ns", emitter).track(rich_event())
        (dropped,) = drops.events
        assert drops.reasons == [reason]
        assert dropped["eid"] == event_id
        assert store.seen == drops.events
        assert is_complete(dropped)
        assert is_text(dropped) or method == "get"


OPTIONS = [
    {},
    {"byte_limit": 1_000_000},
    {"method": "get"},
    {"method": "get", "byte_limit": 1_000_000},
]


class TestStores:
    """What is seen in stores."""

    @pytest.mark.parametrize("options", OPTIONS, ids=str)
    @pytest.mark.parametrize("cls", EMITTERS)
    def test_the_store_in_memory(self, options, cls, make_emitter):
        """What is read out of the store in memory is complete, however it is read."""
        emitter = make_emitter(cls, **options)
        event_id = Tracker("ns", emitter).track(rich_event())
        store = emitter.event_store
        (looked_at,) = store.event_buffer
        (taken,) = store.get_events_batch(max_events=1)
        store.cleanup([taken], need_retry=True)
        (again,) = store.get_events_batch()
        assert looked_at == taken == again
        assert taken["eid"] == event_id
        assert is_complete(taken)
        assert is_text(taken) or "method" in options

    @pytest.mark.parametrize("options", OPTIONS, ids=str)
    @pytest.mark.parametrize("store_class", [OwnStore, WatchedMemory])
    def test_stores_of_users(self, options, store_class, make_emitter):
        """A custom store, and a subclass of the one in memory, get complete values."""
        store = store_class()
        Tracker("ns", make_emitter(event_store=store, **options)).track(rich_event())
        (taken,) = store.get_events_batch()
        assert store.seen == [taken]
        assert is_complete(taken)
        assert is_text(taken) or "method" in options

    @pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
    def test_a_store_that_is_set_later(self, before, make_emitter):
        """An emitter whose store is replaced gives complete values to the new one, whichever it had."""
        first, second = (OwnStore(), None) if before else (None, OwnStore())
        emitter = make_emitter(event_store=first)
        emitter.event_store = second or InMemoryEventStore(mock.Mock())
        Tracker("ns", emitter).track(rich_event())
        (taken,) = emitter.event_store.get_events_batch()
        assert is_complete(taken)
        assert is_text(taken)

    @pytest.mark.parametrize("on_the_class", [False, True])
    def test_a_spy_on_the_store_in_memory(self, on_the_class, make_emitter):
        """A replacement of `add_event` that an emitter finds in place gets complete values."""
        store = InMemoryEventStore(mock.Mock())
        target = InMemoryEventStore if on_the_class else store
        with mock.patch.object(target, "add_event", return_value=True) as spy:
            Tracker("ns", make_emitter(event_store=store)).track(rich_event())
        assert is_complete(spy.call_args[0][0])

    @pytest.mark.parametrize("status", [200, 400, 500])
    @pytest.mark.parametrize("method", ["post", "get"])
    def test_what_sending_sees(self, status, method, make_emitter):
        """Overrides and callbacks of an emitter that sends see complete values."""
        seen = []
        requests = []

        class Own(Emitter):
            def send_events(self, evts):
                seen.extend(map(dict, evts))
                super().send_events(evts)

            def http_post(self, data):
                requests.extend(json.loads(data)["data"])
                return status

            def http_get(self, payload):
                requests.append(dict(payload))
                return status

        emitter = make_emitter(
            Own,
            method=method,
            on_success=lambda events: seen.extend(map(dict, events)),
            on_failure=lambda _count, events: seen.extend(map(dict, events)),
            on_drop=lambda events, _reason: seen.extend(map(dict, events)),
            max_retries=1,
        )
        tracker = Tracker("ns", emitter)
        tracker.track(rich_event())
        tracker.flush()
        emitter.close(timeout=0)
        assert len(seen) == {200: 2, 400: 3, 500: 3}[status]
        assert all(map(is_complete, seen))
        assert [is_complete(each) for each in requests] == [True]


class TestArrival:
    """What arrives at a collector."""

    @pytest.mark.parametrize("cls", EMITTERS)
    @pytest.mark.parametrize("encode_base64", [True, False])
    @pytest.mark.parametrize("method", ["post", "get"])
    def test_rich_events_arrive(self, cls, encode_base64, method):
        """Events with data and entities can be decoded by a collector, and are what was tracked."""
        wanted = [{**DATA, "number": number} for number in range(3)]
        with Collector() as collector, cls(collector.endpoint, method=method) as emitter:
            tracker = Tracker("ns", emitter, encode_base64=encode_base64)
            for data in wanted:
                tracker.track(rich_event(data))
            tracker.flush()
            events = collector.wait_for(3)
            problems = collector.problems
        assert problems == []
        by_number = sorted(events, key=lambda event: event.data["number"])
        assert [event.data for event in by_number] == wanted
        assert [event.schema for event in by_number] == [EVENT_SCHEMA] * 3
        assert [event.contexts for event in by_number] == [
            [{"schema": ENTITY_SCHEMA, "data": data}] for data in wanted
        ]
        for event, data in zip(by_number, wanted):
            assert (event.parameters.items() >= complete_values(data).items()) == encode_base64
            assert ("ue_pr" in event, "co" in event) == (not encode_base64,) * 2


class TestData:
    """What becomes of the data itself."""

    @pytest.mark.parametrize("encode_base64", [True, False])
    @pytest.mark.parametrize("make", [Kept, RecordingEmitter, None])
    def test_what_is_changed_afterwards_does_not_count(self, encode_base64, make, make_emitter):
        """Data that changes after `track` leaves what was queued as it was."""
        data = copy.deepcopy(DATA)
        event = rich_event(data)
        emitter = make_emitter() if make is None else make()
        custom = Kept()
        Tracker("ns", [emitter, custom], encode_base64=encode_base64).track(event)
        before = copy.deepcopy(custom.events)
        data["nested"]["a"]["b"] = "changed"
        data["list"].append(object())
        event.context.append(SelfDescribingJson(ENTITY_SCHEMA, {}))
        event.event_json = SelfDescribingJson(EVENT_SCHEMA, {})
        if make is None:
            (queued,) = emitter.event_store.event_buffer
        else:
            (queued,) = emitter.events if make is Kept else emitter.payloads
        assert {name: str(value) for name, value in queued.items()} == {
            name: str(value) for name, value in before[0].items()
        }
        assert is_complete(queued) if encode_base64 else '"b": "c"' in queued["ue_pr"]
        assert custom.events == before

    @pytest.mark.parametrize("encode_base64", [True, False])
    @pytest.mark.parametrize("place", ["data", "entity"])
    def test_what_json_cannot_hold_is_refused_at_once(self, encode_base64, place, make_emitter):
        """Data without a JSON form raises where it is tracked, and nothing is queued."""
        bad = SelfDescribingJson(EVENT_SCHEMA, {"deep": [{"er": object()}]})
        good = SelfDescribingJson(EVENT_SCHEMA, DATA)
        event, entity = (bad, good) if place == "data" else (good, bad)
        ours, custom = make_emitter(), Kept()
        tracker = Tracker("ns", [ours, custom], encode_base64=encode_base64)
        where = "event_json.data" if place == "data" else r"context\[0\].data"
        with pytest.raises(TypeError, match=rf"^{where}\.deep\[0\]\.er: object has no JSON form"):
            tracker.track(SelfDescribing(event, context=[entity]))
        assert (ours.event_store.size(), custom.events) == (0, [])
        tracker.track(rich_event())
        assert (ours.event_store.size(), len(custom.events)) == (1, 1)

    @pytest.mark.parametrize("json_encoder", [None, lambda _value: "asked"])
    @pytest.mark.parametrize(
        ("text", "arrives_as"),
        [
            ("plain", "plain"),
            ("", ""),
            ('"\\\n\t\x00\x7f', '"\\\n\t\x00\x7f'),
            ("Grüße, 漢字, 😀", "Grüße, 漢字, 😀"),
            ("\u2028\u2029\ufeff", "\u2028\u2029\ufeff"),
            ("\ud83d\ude00", "😀"),
            ("\ude00\ud83d", "??"),
            ("\ud83d😀\ude00", "?😀?"),
            ("before \ud800 after", "before ? after"),
            ("\udfff", "?"),
            ("ü\udc80漢", "ü?漢"),
        ],
        ids=ascii,
    )
    def test_text_of_all_kinds(self, text, arrives_as, json_encoder, make_emitter):
        """Any text is queued as UTF-8, with a question mark for half a surrogate pair; two halves are one character."""
        data = {"value": text, f"key{text}": [text]}
        wanted = complete_values({"value": arrives_as, f"key{arrives_as}": [arrives_as]})
        ours, custom = make_emitter(), Kept()
        tracker = Tracker("ns", [ours, custom], json_encoder=json_encoder)
        tracker.track(rich_event(data))
        assert rich_event(data).build_payload(True, json_encoder).nv_pairs.items() >= wanted.items()
        assert ours.event_store.event_buffer[0].items() >= wanted.items()
        assert custom.events[0].items() >= wanted.items()
