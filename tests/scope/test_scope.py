"""Scopes: what every event inside a request, a task or a job carries."""

from __future__ import annotations

import asyncio
import contextvars
import enum
import functools
import json
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from snowplow_tracker import (
    Event,
    PageView,
    Scope,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
    current_scope,
    disable_contracts,
    enable_contracts,
)
from snowplow_tracker.payload import Payload
from snowplow_tracker.scope import propagate
from snowplow_tracker.testing import RecordingEmitter

SCHEMA = "iglu:com.acme/thing/jsonschema/1-0-0"


def entity(**data):
    return SelfDescribingJson(SCHEMA, data)


def a_tracker(subject=None, **options):
    emitter = RecordingEmitter()
    return Tracker("n", emitter, subject, **options), emitter


def tracked(event=None, *, subject=None, **options):
    """The one event that a new tracker makes of this one."""
    tracker, emitter = a_tracker(subject, **options)
    tracker.track(event or StructuredEvent("a", "b"))
    [collected] = emitter.events
    return collected


def datas(event):
    return [each["data"] for each in event.contexts]


def test_events_inside_carry_the_values_and_events_outside_do_not():
    """A scope adds its values to the events that are tracked inside of it, and to no others."""
    with Scope(user_id="u", ip_address="192.0.2.1", page_url="https://a.example/", lang="de"):
        inside = tracked()
    outside = tracked()
    assert (inside["uid"], inside["ip"], inside["url"], inside["lang"]) == (
        "u",
        "192.0.2.1",
        "https://a.example/",
        "de",
    )
    assert not {"uid", "ip", "url", "lang"} & set(outside.parameters)
    assert inside.problems == []


def test_precedence_field_by_field():
    """Each value comes from the event, else the inner scope, else the outer one, else the tracker."""
    whole = Subject().set_user_id("t").set_lang("t").set_ip_address("t").set_timezone("t")
    own = Subject().set_user_id("e")
    with Scope(user_id="o", lang="o", ip_address="o"), Scope(user_id="i", lang="i"):
        event = tracked(StructuredEvent("a", "b", event_subject=own), subject=whole)
    assert [event[name] for name in ("uid", "lang", "ip", "tz")] == ["e", "i", "o", "t"]


@pytest.mark.parametrize("with_subject", [False, True])
def test_what_an_event_says_itself_goes_first(with_subject):
    """Page, referrer, and a parameter that the event was given, are not replaced by those of a scope."""
    subject = Subject().set_lang("en") if with_subject else None
    view = PageView("https://own.example/", event_subject=subject)
    with Scope(
        page_url="https://scope.example/", page_title="Scope", referrer="https://r.example/"
    ):
        event = tracked(view)
    assert (event["url"], event["page"], event["refr"]) == (
        "https://own.example/",
        "Scope",
        "https://r.example/",
    )
    custom = Event({"e": "pv", "url": "x", "uid": "own"}, event_subject=subject)
    with Scope(user_id="scope"):
        assert tracked(custom, subject=Subject().set_user_id("tracker"))["uid"] == "own"


def test_the_page_of_a_subject():
    """A page that a subject has goes before that of a scope where it is the event's, and after it where the tracker's."""
    tracker_subject = Subject().set_page_url("https://tracker.example/")
    own = Subject().set_page_url("https://event.example/")
    with Scope(page_url="https://scope.example/"):
        first = tracked(subject=tracker_subject)
        second = tracked(StructuredEvent("a", "b", event_subject=own), subject=tracker_subject)
        third = tracked(StructuredEvent("a", "b", event_subject=Subject()), subject=tracker_subject)
    assert [event["url"].split("//")[1] for event in (first, second, third)] == [
        "scope.example/",
        "event.example/",
        "scope.example/",
    ]


def test_types_of_users_have_the_same_precedence():
    """An event type with a `build_payload` of its own, as 1.1.0's users write it, is completed by the scope as well."""

    class Click(Event):
        def build_payload(self, encode_base64, json_encoder, subject=None):
            self.payload.add("e", "se")
            self.payload.add("url", "https://own.example/")
            return super().build_payload(encode_base64, json_encoder, subject)

    with Scope(user_id="u", page_url="https://scope.example/", entities=[entity(a=1)]):
        event = tracked(Click(context=[entity(own=1)]), subject=Subject().set_user_id("tracker"))
    assert (event["uid"], event["url"]) == ("u", "https://own.example/")
    assert datas(event) == [{"own": 1}, {"a": 1}]


@pytest.mark.parametrize("encode_base64", [False, True])
def test_entities_add_up(encode_base64):
    """An event has its own entities, those of outer scopes, and those of inner ones, each once."""
    event = SelfDescribing(entity(what=1), context=[entity(own=1)])
    with Scope(entities=[entity(outer=1)]), Scope(entities=[entity(inner=1)]):
        collected = tracked(event, encode_base64=encode_base64)
        without = tracked(encode_base64=encode_base64)
    assert datas(collected) == [{"own": 1}, {"outer": 1}, {"inner": 1}]
    assert datas(without) == [{"outer": 1}, {"inner": 1}]
    assert event.context == [entity(own=1)]


def test_none_keeps_a_value_from_being_sent():
    """A value of None is not sent, even where an outer scope or the tracker has one."""
    with Scope(user_id="u"), Scope(user_id=None, lang=None):
        event = tracked(subject=Subject().set_lang("de").set_user_id("t"))
    assert "uid" not in event
    assert "lang" not in event


def test_a_later_change_changes_later_events_alone():
    """What is queued stays as it was when it was tracked, whatever becomes of the scope and its entities."""
    tracker, emitter = a_tracker()
    basket = {"items": [1]}
    with Scope(user_id="before", entities=[SelfDescribingJson(SCHEMA, basket)]) as scope:
        tracker.track(StructuredEvent("a", "b"))
        scope.set(user_id="after", page_title="now")
        basket["items"].append(2)
        scope.add_entity(entity(more=1))
        tracker.track(StructuredEvent("a", "b"))
        scope.remove_entities(SCHEMA)
        tracker.track(StructuredEvent("a", "b"))
    first, second, third = emitter.events
    assert (first["uid"], datas(first)) == ("before", [{"items": [1]}])
    assert (second["uid"], second["page"]) == ("after", "now")
    assert datas(second) == [{"items": [1]}, {"more": 1}]
    assert third.contexts == []


def test_a_change_further_out_is_seen_further_in():
    """A scope that was opened earlier may still learn something, and the ones inside of it carry it."""
    with Scope(lang="de") as outer, Scope(user_id="u"):
        tracked()
        outer.set(lang="en", user_id="o")
        event = tracked()
    assert (event["lang"], event["uid"]) == ("en", "u")


def test_subject_and_parameters():
    """A subject gives what was set on it, not its default platform; any other parameter goes by its name."""
    with Scope(Subject().set_viewport(3, 4), parameters={"res": "1x2", "fp": 5}):
        event = tracked(subject=Subject().set_platform("srv"))
    assert (event["p"], event["vp"], event["res"], event["fp"]) == ("srv", "3x4", "1x2", "5")
    with Scope(Subject().set_platform("pc")):
        assert tracked(subject=Subject().set_platform("srv"))["p"] == "pc"
    with Scope(platform="mob"):
        assert tracked(subject=None)["p"] == "mob"


def test_anonymous_events_say_nothing_about_who():
    """In an anonymous scope no identifier is sent, whoever set it, until an inner scope ends that."""
    subject = Subject().set_user_id("t").set_domain_user_id("d").set_ip_address("192.0.2.1")
    own = Subject().set_network_user_id("n").set_domain_session_id("s").set_domain_session_index(3)
    with Scope(anonymous=True, useragent="Mozilla"):
        event = tracked(StructuredEvent("a", "b", event_subject=own), subject=subject)
        assert not {"uid", "duid", "tnuid", "sid", "vid", "ip"} & set(event.parameters)
        assert event["ua"] == "Mozilla"
        with Scope(user_id="u"):
            assert "uid" not in tracked()
            assert current_scope().is_anonymous
        with Scope(user_id="u", anonymous=False):
            assert tracked()["uid"] == "u"


def test_bad_input_is_refused_by_name():
    """A misspelled value, a reserved parameter and an entity that is none are refused where they are given."""
    with pytest.raises(TypeError, match="usr_id"):
        Scope(usr_id="u")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="usr_id"):
        Scope().set(usr_id="u")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="'eid'"):
        Scope(parameters={"eid": "x"})
    with pytest.raises(ValueError, match="SelfDescribingJson"):
        Scope(entities=[{"schema": SCHEMA}])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="subject"):
        Scope(subject={"uid": "u"})  # type: ignore[arg-type]
    with Scope() as scope, pytest.raises(RuntimeError, match="open already"):
        scope.__enter__()


def test_data_without_a_json_form_is_refused_by_track_and_known_to_an_encoder():
    """The tracker's `json_encoder` is asked about entities of a scope as about those of an event."""
    with Scope(entities=[entity(what=object())]):
        with pytest.raises(TypeError, match="object"):
            tracked()
        assert datas(tracked(json_encoder=lambda value: "known")) == [{"what": "known"}]


def test_current_scope_outside_of_any_has_no_effect():
    """Code that sets something on the current scope works where there is none, and changes nothing."""
    current_scope().set(user_id="u")
    assert "uid" not in tracked()
    with Scope() as scope:
        assert current_scope() is scope
        current_scope().set(user_id="u")
        assert tracked()["uid"] == "u"


def test_it_shows_no_personal_data():
    """The repr names what is set and no values."""
    shown = repr(Scope(user_id="secret-user", entities=[entity(email="secret-mail")]))
    assert "secret" not in shown
    assert "uid" in shown


def test_decorated_functions():
    """Each call of a decorated function, also of a coroutine function, has a scope of its own."""

    @Scope(user_id="job", entities=[entity(job=1)])
    def job(extra=None):
        if extra:
            current_scope().set(page_title=extra)
        return tracked()

    @Scope(user_id="task")
    async def task():
        await asyncio.sleep(0)
        return tracked()

    assert job("x")["page"] == "x"
    assert "page" not in job()
    assert job.__name__ == "job"
    assert asyncio.run(task())["uid"] == "task"
    assert "uid" not in tracked()


def rows():
    yield 1


async def rows_later():
    yield 1


class Rows:
    def __call__(self):
        yield 1


@pytest.mark.parametrize("put_in", [propagate, Scope(user_id="u")])
def test_generator_functions_cannot_be_put_into_a_scope(put_in):
    """A generator would share its scope with whoever iterates over it, or run outside of it, so it is refused."""
    for function in (rows, rows_later, functools.partial(rows), Rows()):
        with pytest.raises(TypeError, match="generator"):
            put_in(function)
    with pytest.raises(TypeError, match="A scope is for functions, not an object of type int"):
        put_in(5)


@pytest.mark.parametrize("put_in", [propagate, Scope(user_id="u")])
def test_an_object_with_an_asynchronous_call_runs_in_the_scope(put_in):
    """An object that is called like a coroutine function runs in the scope as such a function does."""

    class Task:
        async def __call__(self):
            await asyncio.sleep(0)
            return tracked()

    with Scope(user_id="u"):
        task = put_in(Task())
    assert asyncio.run(task())["uid"] == "u"


def decorated(function):
    """Return a function that hides what kind of function it calls."""

    @functools.wraps(function)
    def call(*arguments):
        return function(*arguments)

    return call


@pytest.mark.parametrize("put_in", [propagate, Scope(user_id="u")])
def test_a_decorated_function_runs_in_the_scope_as_well(put_in):
    """A coroutine is awaited in the scope, and a generator refused, where a decorator hides that there is one."""

    @decorated
    async def task():
        await asyncio.sleep(0)
        return tracked()

    with Scope(user_id="u"):
        task, iterate = put_in(task), put_in(decorated(rows))
    assert asyncio.run(task())["uid"] == "u"
    with pytest.raises(TypeError, match="generator"):
        iterate()


def test_an_exception_closes_the_scope():
    """A scope that is left by an exception is over, and the exception comes out."""
    with pytest.raises(LookupError), Scope(user_id="u"):
        raise LookupError
    assert "uid" not in tracked()


def test_generators_that_are_read_by_turns():
    """Scopes that are closed in the order in which they were opened leave none of them open."""
    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter)

    def rows(user, count):
        with Scope(user_id=user):
            yield from range(count)

    assert len(list(zip(rows("one", 2), rows("two", 3)))) == 2
    one, two = rows("one", 1), rows("two", 2)
    next(one), next(two)
    assert list(one) == []
    tracker.track(StructuredEvent("a", "the outer scope is closed"))
    with Scope(page_url="https://example.com"):
        assert list(two) == [1]
        tracker.track(StructuredEvent("a", "both are closed"))
    tracker.track(StructuredEvent("a", "all are closed"))
    assert [(event.get("uid"), event.get("url")) for event in emitter.events] == [
        (None, None),
        (None, "https://example.com"),
        (None, None),
    ]


def test_a_scope_that_is_closed_in_another_context():
    """An asynchronous generator that another task closes ends its scope without an error."""

    async def generator():
        with Scope(user_id="u"):
            yield tracked()

    async def main():
        iterator = generator()
        event = await asyncio.ensure_future(iterator.__anext__())
        await iterator.aclose()
        return event, tracked()

    inside, outside = asyncio.run(main())
    assert inside["uid"] == "u"
    assert "uid" not in outside


def test_threads_start_outside_and_propagate_takes_them_in():
    """A thread sees no scope of others; a function that was propagated runs in the one where that was done."""
    seen = {}

    def run(name):
        seen[name] = tracked().get("uid")

    with Scope(user_id="u") as scope:
        threads = [
            threading.Thread(target=run, args=("plain",)),
            threading.Thread(target=propagate(run), args=("propagated",)),
        ]
        late = propagate(run)
    for thread in threads:
        thread.start()
        thread.join(10)
    scope.set(user_id="later")
    late("late")
    with Scope(user_id="other"):
        late("inside another")
        assert tracked()["uid"] == "other"
    assert seen == {
        "plain": None,
        "propagated": "u",
        "late": "later",
        "inside another": "later",
    }


def test_a_thread_pool_that_copies_the_context_shares_the_scope():
    """What a synchronous function sets in a framework's thread pool is seen by the request that called it."""

    async def main():
        loop = asyncio.get_running_loop()
        with Scope(lang="de"), ThreadPoolExecutor(1) as pool:
            context = contextvars.copy_context()
            await loop.run_in_executor(
                pool, context.run, lambda: current_scope().set(user_id="from the pool")
            )
            return tracked()

    assert asyncio.run(main())["uid"] == "from the pool"


def test_five_hundred_users_in_threads():
    """500 concurrent requests of different users in threads mix nothing."""
    tracker, emitter = a_tracker(Subject().set_user_id("nobody"))
    barrier = threading.Barrier(50)

    def request(number):
        barrier.wait(30)
        with Scope(user_id=f"u{number}", entities=[entity(number=number)]) as scope:
            for step in range(3):
                scope.set(page_title=f"{number}-{step}")
                tracker.track(StructuredEvent("a", f"{number}-{step}"))

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(request, range(500)))
    assert_unmixed(emitter.events)


@pytest.mark.long
def test_five_hundred_users_in_asyncio():
    """500 concurrent requests of different users in one event loop mix nothing."""
    tracker, emitter = a_tracker(Subject().set_user_id("nobody"))

    async def request(number):
        with Scope(user_id=f"u{number}", entities=[entity(number=number)]):
            for step in range(3):
                await asyncio.sleep(0)
                current_scope().set(page_title=f"{number}-{step}")
                await asyncio.gather(one_step(number, step))

    async def one_step(number, step):
        await asyncio.sleep(0)
        tracker.track(StructuredEvent("a", f"{number}-{step}"))

    async def main():
        await asyncio.gather(*map(request, range(500)))

    asyncio.run(main())
    assert_unmixed(emitter.events)


@pytest.mark.long
@pytest.mark.parametrize("patch", ["early", "late", "never"])
def test_five_hundred_users_in_greenlets(patch):
    """500 concurrent requests of different users in greenlets mix nothing, patched early, late or never."""
    pytest.importorskip("gevent")
    patching = "from gevent import monkey; monkey.patch_all()\n"
    program = (patching if patch == "early" else "") + textwrap.dedent(
        """
        from snowplow_tracker import Scope, SelfDescribingJson, StructuredEvent, Tracker, current_scope
        from snowplow_tracker.scope import propagate
        from snowplow_tracker.testing import RecordingEmitter
        PATCH
        import json, gevent
        emitter = RecordingEmitter()
        tracker = Tracker("n", emitter)
        schema = "iglu:com.acme/thing/jsonschema/1-0-0"
        def request(number):
            with Scope(user_id=f"u{number}", entities=[SelfDescribingJson(schema, {"number": number})]):
                for step in range(3):
                    gevent.sleep(0)
                    current_scope().set(page_title=f"{number}-{step}")
                    gevent.spawn(propagate(one_step), number, step).join()
        def one_step(number, step):
            gevent.sleep(0)
            tracker.track(StructuredEvent("a", f"{number}-{step}"))
        gevent.joinall([gevent.spawn(request, number) for number in range(500)])
        print(json.dumps([
            [event["uid"], event["page"], event["se_ac"], event.contexts[0]["data"]["number"]]
            for event in emitter.events
        ]))
        """
    ).replace("PATCH", patching if patch == "late" else "")
    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    rows = json.loads(result.stdout)
    assert len(rows) == 1500
    for uid, page, action, number in rows:
        assert (uid, page) == (f"u{number}", action)


def assert_unmixed(events):
    assert len(events) == 1500
    for event in events:
        number = event["se_ac"].split("-")[0]
        assert event["uid"] == f"u{number}"
        assert event["page"] == event["se_ac"]
        assert datas(event) == [{"number": int(number)}]


def test_a_scope_travels_as_json():
    """What `as_dict` returns survives JSON and becomes a scope with all that events carried, outer scopes included."""
    with Scope(Subject().set_domain_session_index(3), lang="de", entities=[entity(a=1)]), Scope(
        user_id="u", page_title=None, anonymous=False
    ) as scope:
        travelled = Scope.from_dict(json.loads(json.dumps(scope.as_dict())))
        here = tracked()
    with travelled:
        there = tracked()
    skip = {"eid", "dtm"}
    assert {name: value for name, value in here.parameters.items() if name not in skip} == {
        name: value for name, value in there.parameters.items() if name not in skip
    }


@pytest.mark.parametrize(
    "values",
    [{}, [], None, {"parameters": 1}, {"parameters": {}, "entities": [1], "anonymous": None}],
)
def test_what_is_no_travelled_scope_is_refused(values):
    """`from_dict` raises ValueError for anything that `as_dict` did not return."""
    with pytest.raises(ValueError, match="as_dict"):
        Scope.from_dict(values)


def test_a_subclass_that_completes_payloads_itself_sees_the_scope():
    """`complete_payload` stays the seam that it was: an override gets the scope's values from the one it calls."""

    class Own(Tracker):
        def complete_payload(self, event):
            payload = super().complete_payload(event)
            assert isinstance(payload, Payload)
            assert payload.nv_pairs["uid"] == "u"
            payload.add("page", "own")
            return payload

    emitter = RecordingEmitter()
    with Scope(user_id="u", entities=[entity(a=1)]):
        Own("n", emitter).track(StructuredEvent("a", "b"))
    [event] = emitter.events
    assert (event["page"], datas(event)) == ("own", [{"a": 1}])


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"platform": "desktop"}, ValueError, "platform must be one of .*got 'desktop'"),
        ({"user_id": ["user-7"]}, TypeError, "user_id must be a string, not list"),
        ({"parameters": {"p": "desktop"}}, ValueError, "'p' in parameters must be one of"),
        ({"parameters": {"uid": {"id": 7}}}, TypeError, "'uid' in parameters must be a string"),
    ],
)
def test_a_wrong_value_is_refused_at_the_call(values, error, message):
    """A platform that the protocol does not know and a collection in the place of a string name the parameter."""
    with pytest.raises(error, match=message):
        Scope(**values)
    with Scope() as scope, pytest.raises(error, match=message):
        scope.set(**values)


class Device(enum.Enum):
    """A platform of a program's own."""

    PHONE = "mob"


@pytest.mark.parametrize("platform", ["mob", b"mob", Device.PHONE])
def test_a_scope_takes_what_a_subject_takes(platform):
    """Bytes and members of enums are values of a scope, as they are of a subject."""
    as_subject = tracked(subject=Subject().set_platform(platform).set_user_id(platform))
    with Scope(platform=platform, user_id=platform):
        as_scope = tracked()
    assert as_scope["p"] == as_subject["p"] == "mob"
    assert as_scope["uid"] == as_subject["uid"] == "mob"


def test_disabled_contracts_switch_off_the_checks_of_a_scope():
    """As with all checks of arguments, the values are then sent as they are."""
    disable_contracts()
    try:
        with Scope(platform="desktop", user_id=["x"]):
            event = tracked()
    finally:
        enable_contracts()
    assert (event["p"], event["uid"]) == ("desktop", "['x']")
