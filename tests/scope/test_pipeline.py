"""Global entities, hooks and redaction: what a tracker does to its events besides completing them."""

from __future__ import annotations

import copy
import json
import logging
import signal
import threading
from collections import Counter, OrderedDict, defaultdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import NamedTuple

import pytest

from snowplow_tracker import (
    Event,
    PageView,
    Scope,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)
from snowplow_tracker.entities import (
    ClientSession,
    CloudInstance,
    RuleSet,
    SchemaRule,
    application_entity,
    host_entity,
)
from snowplow_tracker.iglu.typed import TypedData, TypedEvent
from snowplow_tracker.payload import Payload
from snowplow_tracker.redaction import cut, cut_ip, cut_query, hashed, remove
from snowplow_tracker.testing import RecordingEmitter

SCHEMA = "iglu:com.acme/thing/jsonschema/1-0-0"


def entity(**data):
    return SelfDescribingJson(SCHEMA, data)


def custom(schema="iglu:com.acme.shop/order/jsonschema/1-0-0", **data):
    return SelfDescribing(SelfDescribingJson(schema, data))


@pytest.fixture
def emitter():
    return RecordingEmitter()


@pytest.fixture
def tracker(emitter):
    return Tracker("n", emitter, Subject().set_user_id("tracker"))


def datas(event):
    return [each["data"] for each in event.contexts]


# Global entities


def test_global_entities_come_after_those_of_event_and_scope(tracker, emitter):
    """Static and computed entities are added to every event, also to one that is tracked twice."""
    tracker.add_global_contexts([entity(static=1), lambda event: entity(kind=type(event).__name__)])
    event = StructuredEvent("a", "b", context=[entity(own=1)])
    with Scope(entities=[entity(scope=1)]):
        tracker.track(event)
        tracker.track(event)
    for each in emitter.events:
        assert datas(each) == [
            {"own": 1},
            {"scope": 1},
            {"static": 1},
            {"kind": "StructuredEvent"},
        ]
    assert event.context == [entity(own=1)]


def test_named_ones_are_replaced_and_removed(tracker, emitter):
    """A name stands for one global entity: adding it again replaces, removing it removes, clearing removes all."""
    tracker.add_global_contexts({"a": entity(a=1), "b": entity(b=1)})
    tracker.add_global_contexts({"a": entity(a=2)})
    tracker.track(StructuredEvent("a", "b"))
    tracker.remove_global_contexts("a", "unknown")
    tracker.track(StructuredEvent("a", "b"))
    tracker.clear_global_contexts()
    tracker.track(StructuredEvent("a", "b"))
    assert [datas(each) for each in emitter.events] == [[{"a": 2}, {"b": 1}], [{"b": 1}], []]


class Home(ScreenView):
    pass


@pytest.mark.parametrize("kind", [ScreenView, Home])
def test_rules_find_screen_views(tracker, emitter, kind):
    """A rule set finds a screen view by its schema, also where it is of a class of the user."""
    rules = {"accept": "iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-*-*"}
    tracker.add_global_contexts([(rules, entity(by="rules"))])
    tracker.track(kind(name="Home"))
    tracker.track(PageView("https://a.example/"))
    assert [datas(each) for each in emitter.events] == [[{"by": "rules"}], []]


def test_conditions(tracker, emitter):
    """A filter decides by the event, a rule set by its schema; events without a schema match only what rejects."""
    tracker.add_global_contexts(
        {
            "filter": (lambda event: isinstance(event, PageView), entity(by="filter")),
            "rules": ({"accept": "iglu:com.acme.*/*/jsonschema/1-*-*"}, [entity(by="rules")]),
            "reject": (RuleSet(reject="iglu:com.acme.*/*/jsonschema/*-*-*"), entity(by="reject")),
            "several": (lambda event: True, [entity(by="one"), lambda event: None]),
        }
    )
    tracker.track(PageView("https://a.example/"))
    tracker.track(custom())
    tracker.track(custom("iglu:com.acme.shop/order/jsonschema/2-0-0"))
    tracker.track(ScreenView(name="Home"))
    by = [[data["by"] for data in datas(each)] for each in emitter.events]
    assert by == [["filter", "reject", "one"], ["rules", "one"], ["one"], ["reject", "one"]]


@pytest.mark.parametrize(
    ("rule", "schema", "matches"),
    [
        ("iglu:com.acme/a/jsonschema/1-0-0", "iglu:com.acme/a/jsonschema/1-0-0", True),
        ("iglu:com.acme/a/jsonschema/1-0-0", "iglu:com.acme/a/jsonschema/1-0-1", False),
        ("iglu:com.acme/*/jsonschema/1-*-*", "iglu:com.acme/b/jsonschema/1-9-12", True),
        ("iglu:com.acme/*/jsonschema/1-*-*", "iglu:com.acme.x/b/jsonschema/1-9-12", False),
        ("iglu:com.acme.*/*/jsonschema/*-*-*", "iglu:com.acme.x/b/jsonschema/1-9-12", True),
        ("iglu:com.acme.*/*/jsonschema/*-*-*", "iglu:com.acme/b/jsonschema/1-9-12", False),
        ("iglu:com.acme.*.*/*/jsonschema/*-*-*", "iglu:com.acme.x.y/b/jsonschema/1-0-0", True),
        ("iglu:com.acme/a/jsonschema/1-0-0", "nonsense", False),
    ],
)
def test_schema_rules(rule, schema, matches):
    """A wildcard stands for one part of the vendor, the name or a number, as in the JavaScript tracker."""
    assert SchemaRule(rule).matches(schema) is matches


@pytest.mark.parametrize(
    "rule",
    [
        "iglu:*/a/jsonschema/1-0-0",
        "iglu:com.*/a/jsonschema/1-0-0",
        "iglu:com.acme.*.x/a/jsonschema/1-0-0",
        "iglu:com.acme/a/avro/1-0-0",
        "com.acme/a/jsonschema/1-0-0",
        "",
        None,
    ],
)
def test_rules_of_another_form_are_refused(rule):
    """A rule that could match anything, or nothing, is refused when it is given."""
    with pytest.raises(ValueError, match="schema rule"):
        SchemaRule(rule)


@pytest.mark.parametrize(
    "contexts",
    [[5], {"a": "text"}, entity(a=1), [(1, entity())], [({"acept": []}, entity())], [()]],
)
def test_contexts_of_another_form_are_refused(tracker, contexts):
    """What is no entity, function or pair is refused when it is added."""
    with pytest.raises(TypeError):
        tracker.add_global_contexts(contexts)


@pytest.mark.parametrize("hooks", [0, 1])
def test_one_that_raises_is_logged_and_left_out(tracker, emitter, caplog, hooks):
    """A function, a filter or data without a JSON form costs its own entities and nothing else, also behind a hook."""
    if hooks:
        tracker.before_track(lambda event: event)

    def broken(event):
        raise LookupError

    tracker.add_global_contexts(
        {
            "function": broken,
            "filter": (broken, entity(a=1)),
            "data": lambda event: entity(what=object()),
            "result": lambda event: [5],
            "good": entity(good=1),
        }
    )
    with caplog.at_level(logging.ERROR):
        tracker.track(StructuredEvent("a", "b"))
    [event] = emitter.events
    assert datas(event) == [{"good": 1}]
    for name in ("function", "filter", "data", "result"):
        assert repr(name) in caplog.text


# Ready entities


def test_application_and_host(tracker, emitter):
    """The version is given or that of an installed package; the host says where the process runs."""
    assert application_entity("1.2").data == {"version": "1.2"}
    assert application_entity(package="pytest").data == {"version": pytest.__version__}
    with pytest.raises(ValueError, match="no-such-package"):
        application_entity(package="no-such-package")
    with pytest.raises(ValueError, match="version or package"):
        application_entity()
    data = host_entity(SCHEMA).data
    assert {"hostname", "python", "pid", "system"} <= set(data)


def test_host_in_lambda_and_kubernetes(monkeypatch):
    """Containers and functions are known by their environment."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "orders")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("POD_NAME", "pod-1")
    monkeypatch.setenv("POD_NAMESPACE", "shop")
    data = host_entity(SCHEMA).data
    assert (data["lambda_function"], data["pod"], data["namespace"]) == ("orders", "pod-1", "shop")


class Metadata(BaseHTTPRequestHandler):
    """The metadata services of two clouds."""

    cloud = "ec2"
    asked: Counter = Counter()  # noqa: RUF012

    def do_PUT(self):
        self.answer("token" if self.cloud == "ec2" else None)

    def do_GET(self):
        type(self).asked[self.path] += 1
        if self.cloud == "ec2" and self.headers["X-aws-ec2-metadata-token"] == "token":
            self.answer(
                json.dumps({"instanceId": "i-1", "region": "eu-west-1", "kernelId": None, "new": 1})
            )
        elif self.cloud == "gce" and self.headers["Metadata-Flavor"] == "Google":
            known = {
                name: name
                for name in ["cpuPlatform", "hostname", "image", "machineType", "name", "zone"]
            }
            self.answer(
                json.dumps(
                    {**known, "id": 5, "tags": ["web"], "attributes": {"ssh-keys": "secret"}}
                )
            )
        else:
            self.answer(None)

    def answer(self, body):
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write((body or "").encode())

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("cloud", ["ec2", "gce", "none"])
def test_cloud_instances(tracker, emitter, monkeypatch, cloud):
    """The metadata service is asked once, in the background; elsewhere there is no entity."""
    monkeypatch.setattr(Metadata, "cloud", cloud)
    monkeypatch.setattr(Metadata, "asked", Counter())
    server = HTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        instance = CloudInstance(ec2_url=url, gce_url=url)
        tracker.add_global_contexts({"cloud": instance})
        assert instance.wait(10)
        tracker.track(StructuredEvent("a", "b"))
        tracker.track(StructuredEvent("a", "b"))
    finally:
        server.shutdown()
        server.server_close()
    first, second = emitter.events
    assert first.contexts == second.contexts
    assert max(Metadata.asked.values()) == 1
    if cloud == "ec2":
        assert datas(first) == [{"instanceId": "i-1", "region": "eu-west-1"}]
    elif cloud == "gce":
        [data] = datas(first)
        assert (data["id"], data["tags"], data["attributes"]) == ("5", ["web"], None)
        assert "secret" not in str(data)
    else:
        assert first.contexts == []


def test_a_client_session_lasts_from_run_to_run(tmp_path):
    """The user and the session are kept in a private file; a session ends after a time without events."""
    path = tmp_path / "deep" / "session.json"
    first = ClientSession(path)
    one, two = first().data, first().data
    assert (one["sessionIndex"], one["eventIndex"], two["eventIndex"]) == (1, 1, 2)
    assert path.stat().st_mode & 0o077 == 0
    again = ClientSession(path)().data
    assert (again["userId"], again["sessionId"]) == (one["userId"], one["sessionId"])
    later = ClientSession(path, timeout=0)().data
    assert (later["userId"], later["sessionIndex"]) == (one["userId"], 2)
    assert later["previousSessionId"] == one["sessionId"]
    with Scope(anonymous=True):
        hidden = first().data
    assert (hidden["userId"][:8], hidden["previousSessionId"]) == ("0" * 8, None)
    path.write_text("nonsense", encoding="utf-8")
    assert ClientSession(path)().data["sessionIndex"] == 1


# Hooks


def test_hooks_change_and_drop_in_order(tracker, emitter):
    """Each hook gets what the one before returned; None drops the event, and `track` returns None."""

    @tracker.before_track
    def first(event):
        event.label = "first"
        return event

    @tracker.before_track(must_succeed=True)
    def second(event):
        return None if event.action == "drop" else StructuredEvent("b", event.label)

    assert tracker.track(StructuredEvent("a", "drop")) is None
    assert tracker.track(StructuredEvent("a", "keep")) is not None
    [event] = emitter.events
    assert event["se_ac"] == "first"
    assert tracker.stats().dropped_by_hooks == 1
    assert tracker.stats().emitters == (None,)


@pytest.mark.parametrize("change", [lambda event: event, copy.copy, copy.deepcopy])
def test_hooks_see_all_that_is_sent_and_it_is_sent_once(tracker, emitter, change):
    """A hook sees subject, page and entities of scope and tracker; what it returns, copied or not, has them once."""
    seen = []
    tracker.add_global_contexts([entity(everywhere=1)])

    @tracker.before_track
    def look(event):
        seen.append(event)
        return change(event)

    event = custom(order=1)
    with Scope(user_id="u", page_url="https://a.example/", entities=[entity(scope=1)]):
        tracker.track(event)
    [collected] = emitter.events
    assert (collected["uid"], collected["url"]) == ("u", "https://a.example/")
    assert datas(collected) == [{"scope": 1}, {"everywhere": 1}]
    assert seen[0].event_subject.standard_nv_pairs["uid"] == "u"
    assert len(seen[0].context) == 2
    assert event == custom(order=1)


def test_what_a_hook_removes_is_not_sent(tracker, emitter):
    """A user id, an entity or a key that a hook takes away does not come back, and the event stays as it was."""
    event = custom(email="e", nested={"email": "e"}, items=[{"email": "e"}])
    event.context = [entity(secret=1), entity(known=1)]

    @tracker.before_track
    def without(event):
        event.event_subject.set_user_id(None)
        event.context = [each for each in event.context if "secret" not in each.data]
        data = event.event_json.data
        del data["email"], data["nested"]["email"], data["items"][0]["email"]
        return event

    before = copy.deepcopy(event)
    with Scope(user_id="u"):
        tracker.track(event)
    [collected] = emitter.events
    assert "uid" not in collected
    assert datas(collected) == [{"known": 1}]
    assert collected.data == {"nested": {}, "items": [{}]}
    assert event == before


@pytest.mark.parametrize("must_succeed", [False, True])
def test_a_hook_that_raises(tracker, emitter, caplog, must_succeed):
    """It is logged and drops nothing, nor leaves anything half changed, unless it must succeed."""

    @tracker.before_track(must_succeed=must_succeed)
    def broken(event):
        event.label = "half changed"
        raise LookupError("oops")

    with caplog.at_level(logging.ERROR):
        event_id = tracker.track(StructuredEvent("a", "b"))
    assert "oops" in caplog.text
    if must_succeed:
        assert (event_id, emitter.events) == (None, [])
        assert tracker.stats().dropped_by_hooks == 1
    else:
        [event] = emitter.events
        assert "se_la" not in event


class OwnEvent:
    """An event of a class of its own, as 1.1.0 accepts it."""

    event_subject = None

    def build_payload(self, encode_base64, json_encoder, subject=None):
        return Payload({"e": "pv", "url": "https://own.example/"})


@pytest.mark.parametrize("must_succeed", [False, True])
def test_an_event_that_no_hook_can_see(tracker, emitter, caplog, must_succeed):
    """An object that is no `Event` is tracked without hooks, but dropped and logged where a hook must succeed."""
    tracker.before_track(lambda event: None, must_succeed=must_succeed)
    with caplog.at_level(logging.ERROR):
        event_id = tracker.track(OwnEvent())
    assert (event_id is None) == must_succeed == (not emitter.events)
    assert ("An event of type OwnEvent is dropped" in caplog.text) == must_succeed
    assert tracker.stats().dropped_by_hooks == must_succeed
    for nothing in (5, OwnEvent):
        with pytest.raises(TypeError, match="event must be an Event"):
            tracker.track(nothing)


def test_a_hook_that_returns_something_else(tracker, emitter, caplog):
    """What is no event is an error of the hook, and the event goes on without it."""
    tracker.before_track(str)  # type: ignore[arg-type, return-value]
    with caplog.at_level(logging.ERROR):
        tracker.track(StructuredEvent("a", "b"))
    assert "must return an Event or None, not str" in caplog.text
    assert len(emitter.events) == 1
    with pytest.raises(TypeError, match="hook"):
        tracker.before_track(5)  # type: ignore[call-overload]


def test_an_interrupt_in_a_hook_comes_out(tracker, emitter):
    """What a signal handler raises inside a hook is no fault of the hook."""

    class TimeLimitError(Exception):
        pass

    def handler(*_):
        raise TimeLimitError

    earlier = signal.signal(signal.SIGUSR1, handler)
    try:

        @tracker.before_track
        def slow(event):
            signal.raise_signal(signal.SIGUSR1)
            return event

        with pytest.raises(TimeLimitError):
            tracker.track(StructuredEvent("a", "b"))
    finally:
        signal.signal(signal.SIGUSR1, earlier)


def test_hooks_after_tracking(tracker, emitter, caplog):
    """They get the complete parameters in a dictionary of their own, and one that raises is logged."""
    seen = []

    @tracker.after_track
    def note(parameters):
        seen.append(dict(parameters))
        parameters.clear()
        raise LookupError("oops")

    with caplog.at_level(logging.ERROR):
        event_id = tracker.track(custom(a=1))
    assert seen[0]["eid"] == event_id
    assert isinstance(seen[0]["ue_px"], str)
    assert "oops" in caplog.text
    assert emitter.events[0].data == {"a": 1}


def test_types_of_users_go_through_hooks(tracker, emitter):
    """An event type with a `build_payload` of its own is completed once as well."""

    class Click(Event):
        def build_payload(self, encode_base64, json_encoder, subject=None):
            self.payload.add("e", "se")
            self.payload.add("se_ca", "x")
            return super().build_payload(encode_base64, json_encoder, subject)

    tracker.before_track(lambda event: event)
    with Scope(user_id="u", entities=[entity(scope=1)]):
        tracker.track(Click())
    [event] = emitter.events
    assert (event["uid"], event["se_ca"], datas(event)) == ("u", "x", [{"scope": 1}])


# Redaction


@pytest.mark.parametrize("encode_base64", [False, True])
def test_redaction_by_parameter_and_path(emitter, encode_base64):
    """Values are removed, hashed or cut wherever they came from: event, scope, subject, tracker or hook."""
    tracker = Tracker("n", emitter, encode_base64=encode_base64)
    tracker.redact("ip", cut_ip).redact("uid", hashed("key")).redact("url", cut_query)
    tracker.redact("ua", remove).redact("$..email", remove).redact("$.items[*].note", cut(2))
    tracker.redact("$.items[0]['the name']", remove)
    tracker.redact("$.age", remove, schema="iglu:com.acme/thing/jsonschema/*-*-*")
    event = custom(email="e", age=3, items=[{"note": "long", "the name": "x"}, {"note": "long"}])
    with Scope(
        user_id="u",
        ip_address="203.0.113.77",
        useragent="Mozilla",
        page_url="https://u:p@a.example/x?mail=e#y",
        entities=[entity(deep=[{"email": "e"}], age=3)],
    ):
        tracker.track(event)
    [collected] = emitter.events
    assert collected["ip"] == "203.0.113.0"
    assert len(collected["uid"]) == 64
    assert collected["url"] == "https://a.example/x"
    assert "ua" not in collected
    assert collected.data == {"age": 3, "items": [{"note": "lo"}, {"note": "lo"}]}
    assert datas(collected) == [{"deep": [{}]}]
    assert event.event_json.data["email"] == "e"
    assert collected.problems == []


def test_an_action_that_raises_sends_no_value(tracker, emitter, caplog):
    """Where a value cannot be redacted it is left out, and the event is sent."""

    def broken(value):
        raise LookupError("oops")

    tracker.redact("uid", broken)
    with caplog.at_level(logging.ERROR):
        tracker.track(StructuredEvent("a", "b"))
    [event] = emitter.events
    assert "uid" not in event
    assert "oops" in caplog.text


@pytest.mark.parametrize(
    ("value", "kept"),
    [("203.0.113.77", "203.0.113.0"), ("2001:db8:1:2::3", "2001:db8:1::"), ("nonsense", None)],
)
def test_networks(value, kept):
    """An IP address is cut to its network, and what is none is not sent."""
    assert cut_ip(value) == kept


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://user:p@ss@host/x?y", "https://host/x"),
        ("//u:p@host/x", "//host/x"),
        ("https://host/@user/a//b@c?d#e", "https://host/@user/a//b@c"),
        ("https://host?mail=a@b", "https://host"),
    ],
)
def test_a_url_is_cut(url, kept):
    """Of a URL the host and the path are kept, and nothing of a password, whatever characters it has."""
    assert cut_query(url) == kept


@pytest.mark.parametrize(
    ("path", "action", "data", "sent"),
    [
        ("$.tags[*]", remove, {"tags": ["a", "b"]}, {"tags": []}),
        ("$.tags[0]", remove, {"tags": ["a", "b"]}, {"tags": ["b"]}),
        (
            "$..tags[*]",
            lambda value: value or None,
            {"tags": [0, 1, 0, {"tags": [0, 2]}]},
            {"tags": [1, {"tags": [2]}]},
        ),
        ("$..a..b", lambda value: value + 1, {"a": {"a": {"b": 0}}}, {"a": {"a": {"b": 1}}}),
        ("$..*..b", lambda value: value + 1, {"a": [{"a": {"b": 0}}]}, {"a": [{"a": {"b": 1}}]}),
        ("$..a", lambda value: str(len(value)), {"a": {"a": "xyz"}}, {"a": "1"}),
        (
            "$..a",
            remove,
            {"a": {"a": 1}, "b": [{"a": 1}, [{"a": 1, "c": 2}]]},
            {"b": [{}, [{"c": 2}]]},
        ),
    ],
)
def test_each_place_of_a_path_is_redacted_once(tracker, emitter, path, action, data, sent):
    """A path that leads to a value in two ways changes it once, and a removed value leaves no null in a list."""
    tracker.redact(path, action)
    tracker.track(custom(**data))
    assert emitter.events[0].data == sent


def test_wrong_rules_are_refused(tracker):
    """A path that is not understood, a schema without a path and an action that is none are refused by name."""
    for path in ("$", "$.", "$.a[", "$a", "$.a[?(@.b)]"):
        with pytest.raises(ValueError, match=r"path|all of the data"):
            tracker.redact(path, remove)
    with pytest.raises(ValueError, match="schema"):
        tracker.redact("uid", remove, schema="iglu:com.acme/a/jsonschema/1-0-0")
    for name in ("userid", "user_id", "se_lable"):
        with pytest.raises(ValueError, match=f"target is '{name}'"):
            tracker.redact(name, remove)
    with pytest.raises(TypeError, match="action"):
        tracker.redact("uid", "hash")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"result of a call: hashed\(key\)"):
        tracker.redact("uid", hashed)
    with pytest.raises(TypeError, match=r"result of a call: cut\(length\)"):
        tracker.redact("page", cut)
    with pytest.raises(TypeError, match="length must be a whole number, not str"):
        cut("3")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="length must not be negative, got -1"):
        cut(-1)
    with pytest.raises(ValueError, match="key"):
        hashed("")


@pytest.mark.parametrize("target", ["e", "eid", "p", "tv", "ue_pr", "ue_px", "co", "cx"])
def test_what_each_event_must_have_cannot_be_redacted(target):
    """A rule that would make events failed ones, or would see data encoded, is refused at the call."""
    with pytest.raises(ValueError, match=f"target must not be '{target}'"):
        Tracker("n", RecordingEmitter()).redact(target, lambda value: None)


def test_a_list_of_names_to_remove_is_refused_by_its_type():
    """Names are arguments, one each; the message says so."""
    with pytest.raises(TypeError, match="names must be strings, one argument each, not list"):
        Tracker("n", RecordingEmitter()).remove_global_contexts(["basket"])


def test_a_dictionary_is_no_entity(caplog):
    """The message names the type that was given, not that of the keys in it."""
    with pytest.raises(ValueError, match="entities must be a list of SelfDescribingJson, not dict"):
        Scope(entities={"sku": "lamp"})
    with pytest.raises(ValueError, match="entities must be a list of SelfDescribingJson, not None"):
        Scope(entities=None)
    emitter = RecordingEmitter()
    tracker = Tracker("n", emitter)
    tracker.add_global_contexts([lambda event: {"sku": "lamp"}])
    tracker.track(PageView("https://example.com/"))
    assert len(emitter.events) == 1
    assert "an entity must be a SelfDescribingJson, not dict" in caplog.text


class Item(TypedData):
    """Data inside of an event, as it is generated from a schema."""

    def __init__(self, *, sku):
        self.sku = sku

    def to_data(self):
        return {"sku": self.sku}


class Order(TypedEvent):
    """An event with such data, as it is generated from a schema."""

    SCHEMA = "iglu:com.acme.shop/order/jsonschema/1-0-0"

    def __init__(self, *, items):
        super().__init__()
        self.items = items

    def to_data(self):
        return {"items": [each.to_data() for each in self.items]}


@pytest.mark.parametrize("kind", [dict, OrderedDict, lambda x: defaultdict(int, x)])
@pytest.mark.parametrize("raises", [True, False])
def test_a_hook_changes_nothing_of_the_program(tracker, emitter, kind, raises):
    """Whatever containers the data is in, a hook gets a copy, and a hook that raises leaves no trace of its changes."""
    data = kind({"email": "a@b", "inner": kind({"x": 1}), "items": [(kind({"y": 1}),)]})
    order = Order(items=[Item(sku="a")])
    before = copy.deepcopy((data, order))

    @tracker.before_track
    def change(event):
        if isinstance(event, Order):
            event.items[0].sku = "changed"
        else:
            held = event.event_json.data
            held["inner"]["x"] = held["items"][0][0]["y"] = 2
        if raises:
            raise ValueError
        return event

    tracker.track(SelfDescribing(SelfDescribingJson(Order.SCHEMA, data)))
    tracker.track(order)
    assert (data, order) == before
    first, second = (event.data for event in emitter.events)
    assert first["inner"] == {"x": 1 if raises else 2}
    assert second == {"items": [{"sku": "a" if raises else "changed"}]}


class Point(NamedTuple):
    """A pair that a hook reads by the names of its items."""

    x: float
    y: float


class Holder:
    """An object of the program, with a method of that name and something that cannot be copied."""

    def __init__(self):
        self.lock = threading.Lock()

    def to_data(self):
        return "held"


class Lazy:
    """An object that must not be looked into before it is needed."""

    __class__ = property(lambda self: self.look())

    def __getattr__(self, name):
        return self.look()

    def look(self):
        raise RuntimeError("Working outside of request context.")


def test_a_copy_keeps_the_types_of_the_data(emitter):
    """A hook finds what the program put in: named items, counters, objects; and no lazy object is looked into."""
    tracker = Tracker("n", emitter, json_encoder=lambda value: value.to_data())
    seen = []

    @tracker.before_track
    def look(event):
        data = event.event_json.data
        seen.append((data["point"].x, data["counter"].most_common(1), type(data["holder"])))
        return event

    data = {"point": Point(1, 2), "counter": Counter("aab"), "holder": Holder()}
    tracker.track(custom(**data))
    assert seen == [(1, [("a", 2)], Holder)]
    assert emitter.events[-1].data == {
        "point": [1, 2],
        "counter": {"a": 2, "b": 1},
        "holder": "held",
    }
    tracker.add_global_contexts([entity(tenant=Lazy())])
    Scope(entities=[entity(tenant=Lazy())])


def test_an_entity_that_is_kept_follows_no_later_change(tracker, emitter):
    """The data of global and scope entities is copied when it is given, from any mapping."""
    data = OrderedDict(items=1)
    tracker.add_global_contexts([SelfDescribingJson(SCHEMA, data)])
    with Scope(entities=[SelfDescribingJson(SCHEMA, data)]):
        data["items"] = 2
        tracker.track(PageView("https://e.example"))
    assert datas(emitter.events[-1]) == [{"items": 1}] * 2


@pytest.mark.parametrize("action", [hashed("key"), cut(3), cut_ip])
def test_null_stays_null(tracker, emitter, action):
    """A value that is not there is no value to hide: its hash would look like that of a person."""
    tracker.redact("$.user", action)
    tracker.track(custom(user=None))
    assert emitter.events[-1].data == {"user": None}


@pytest.mark.parametrize("text", ["no json", "[1", "[]", "{}", '{"data": 5}', '{"data": [1]}'])
@pytest.mark.parametrize("name", ["ue_pr", "ue_px", "co", "cx"])
def test_data_that_cannot_be_read_is_not_sent_past_a_rule(tracker, caplog, name, text):
    """Text that is no self-describing JSON raises nothing, and what a rule should protect in it is not sent."""
    arrived = []
    tracker.add_emitter(type("Taker", (), {"input": lambda _, payload: arrived.append(payload)})())
    tracker.redact("$..email", remove)
    tracker.track(Event({"e": "ue", name: text}))
    assert name not in arrived[0]
    assert "cannot be read" in caplog.text
