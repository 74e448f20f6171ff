"""What the pipeline asks of parameters: mended where no meaning is lost, left out, or kept, and said once."""

import datetime as dt
import enum
import math
from decimal import Decimal
from fractions import Fraction

import pytest

from snowplow_tracker import (
    Event,
    PagePing,
    PageView,
    ScreenView,
    StructuredEvent,
    Subject,
    Tracker,
)
from snowplow_tracker.payload import Payload
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.testing import RecordingEmitter
from support.inside import parameters

UTC = dt.timezone.utc
ID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


class Level(enum.IntEnum):
    HIGH = 3


def sent(event):
    """Return what is sent of an event by POST."""
    emitter = RecordingEmitter()
    Tracker("ns", emitter).track(event)
    return {name: str(value) for name, value in emitter.payloads[0].items()}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2, "2"),
        (0, "0"),
        (2.5, "2.5"),
        (3.0, "3.0"),
        (1e-07, "1e-07"),
        (True, "1"),
        (Level.HIGH, "3"),
        (Fraction(1, 4), "0.25"),
        (Fraction(4, 2), "2"),
        (Decimal("2.50"), "2.50"),
        ("7.5", "7.5"),
        (10**30, str(10**30)),
    ],
)
@pytest.mark.parametrize("parameter", ["se_va", "tr_tt", "tr_tx", "tr_sh", "ti_pr"])
def test_decimals(value, text, parameter, caplog):
    """What is a number is sent as one, in the form that Python's `str` has."""
    assert sent(Event({parameter: value}))[parameter] == text
    assert sent(StructuredEvent("c", "a", value=value))["se_va"] == text
    assert not caplog.records


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("-Infinity"), 10**5000],
    ids=lambda value: str(value)[:9] if type(value) is not int else "long",
)
def test_what_is_no_number_is_left_out(value, caplog):
    """A value that no pipeline can read is left out with one warning, and the event is sent."""
    for _ in range(2):
        assert "se_va" not in sent(StructuredEvent("c", "a", value=value))
    (record,) = caplog.records
    assert record.name == "snowplow_tracker.events"
    assert record.getMessage().startswith("se_va is left out")


@pytest.mark.parametrize(
    ("parameter", "value"), [("vid", "5.0"), ("ti_qu", "many"), ("cd", "x" * 13)]
)
def test_strings_that_are_no_whole_number_are_said(parameter, value, caplog):
    """A session index or quantity has to be a whole number, and a colour depth short; `+5` is one."""
    assert sent(PageView("u", parameters={parameter: value}))[parameter] == value
    assert len(caplog.records) == 1
    Subject().set_domain_session_index("+5").set_color_depth("24-bit")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("value", ["abc", "1_000", [1], "nan"])
def test_a_string_that_is_no_number_is_kept_and_said(value, caplog):
    """A string that is no number stays what it is, since a failed event can be repaired."""
    for _ in range(2):
        assert sent(StructuredEvent("c", "a", value=value))["se_va"] == str(value)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("value", [" 10", "10 ", "10\n", "\u00a010"])
@pytest.mark.parametrize(
    ("parameter", "event"),
    [
        ("se_va", lambda value: StructuredEvent("c", "a", value=value)),
        ("pp_mix", lambda value: PagePing("u", min_x=value)),
    ],
)
def test_a_number_with_a_space_is_none_to_the_pipeline(parameter, event, value, caplog):
    """Python reads numbers with spaces around them, and the pipeline does not."""
    assert sent(event(value))[parameter] == value
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{parameter} is {value!r}, which is no number: the pipeline would refuse the whole event. (logged once)"
    )


@pytest.mark.parametrize("value", ["10", "2.5", "-1e-7", "+5", ".5", "5.", ""])
def test_a_string_that_is_a_number_is_nothing_to_say(value, caplog):
    """Numbers as strings are fine, and the empty string is left out, as in 1.1.0."""
    assert sent(StructuredEvent("c", "a", value=value)).get("se_va", "") == value
    assert not caplog.records


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_numbers_of_transactions_are_looked_at_as_others_are(caplog):
    """Each number of a transaction and of an item that is none is sent, and said once."""
    tracker = Tracker("ns", RecordingEmitter())
    item = {"sku": "s", "price": "free", "quantity": "two"}
    for _ in range(2):
        tracker.track_ecommerce_transaction("o", "a", tax_value="b", shipping="c", items=[item])
        tracker.track_ecommerce_transaction("o", "1", tax_value=2, shipping=None, items=[])
    names = [record.getMessage().partition(" is ")[0] for record in caplog.records]
    assert names == ["tr_tt", "tr_tx", "tr_sh", "ti_pr", "ti_qu"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (3, "3"),
        (0.0, "0"),
        (-2.0, "-2"),
        (True, "1"),
        (Decimal("3.00"), "3"),
        ("7", "7"),
    ],
)
@pytest.mark.parametrize(
    "parameter", ["pp_mix", "pp_max", "pp_miy", "pp_may", "vid", "ti_qu", "cd"]
)
def test_whole_numbers(value, text, parameter, caplog):
    """A whole number is sent as one, whatever its type."""
    assert sent(Event({parameter: value}))[parameter] == text
    assert not caplog.records


def test_whole_numbers_by_their_setters(caplog):
    """Setters, properties and constructors all mend."""
    subject = Subject().set_domain_session_index(4.0).set_color_depth(24.0)
    subject.set_screen_resolution(1920.0, Decimal(1080)).set_viewport(1280.4, 719.6)
    subject.set_document_size(0.2, True)
    ping = PagePing("u", min_x=1.0, event_subject=subject)
    ping.max_y = 7.6
    assert ping.min_x == 1
    pairs = sent(ping)
    assert {name: pairs[name] for name in ("vid", "cd", "res", "vp", "ds", "pp_mix", "pp_may")} == {
        "vid": "4",
        "cd": "24",
        "res": "1920x1080",
        "vp": "1280x720",
        "ds": "1x1",
        "pp_mix": "1",
        "pp_may": "8",
    }
    assert not caplog.records


@pytest.mark.parametrize(
    ("value", "text"), [(1.5, "1.5"), (2**31, str(2**31)), (Decimal("1E+999999"), "1E+999999")]
)
def test_numbers_that_do_not_fit_are_kept_and_said(value, text, caplog):
    """A session index or a quantity that is no 32-bit integer stays, and is said once."""
    for _ in range(2):
        assert sent(Event({"ti_qu": value}))["ti_qu"] == text
    assert [record.getMessage()[:6] for record in caplog.records] == ["ti_qu "]


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "wide", [1]])
def test_sizes_that_are_none_are_refused(value):
    """A size is refused where it is passed, by name."""
    with pytest.raises(ValueError, match=r"^height must be a number of pixels, not "):
        Subject().set_viewport(1, value)


@pytest.mark.parametrize(
    ("value", "ttm"),
    [
        (0, 0),
        (5, 5),
        (999_999_999, 999_999_999),
        (-1_700_000_000, -1_700_000_000),
        (1_700_000_000, 1_700_000_000_000),
        (1_700_000_000.123, 1_700_000_000_123),
        (1_700_000_000_123, 1_700_000_000_123),
        (1_700_000_000_123.9, 1_700_000_000_123),
        (1_700_000_000_123_456, 1_700_000_000_123),
        (1_700_000_000_123_456_789, 1_700_000_000_123),
        (Decimal("1700000000.5"), 1_700_000_000_500),
        ("1700000000123", 1_700_000_000_123),
        ("2024-01-01T00:00:00Z", 1_704_067_200_000),
        ("2024-01-01T00:00:00.250+00:00", 1_704_067_200_250),
        ("2024-01-01T02:00:00+02:00", 1_704_067_200_000),
        (b"2024-01-01T00:00:00Z", 1_704_067_200_000),
        (dt.datetime(2024, 1, 1, tzinfo=UTC), 1_704_067_200_000),
        (dt.datetime(1970, 2, 1, tzinfo=UTC), 2_678_400_000),
        (dt.datetime(1600, 2, 1, tzinfo=UTC), -11_673_417_600_000),
        ("2024-01-01", int(dt.datetime(2024, 1, 1).timestamp() * 1000)),  # noqa: DTZ001 - local time
        (dt.date(2024, 1, 1), int(dt.datetime(2024, 1, 1).timestamp() * 1000)),  # noqa: DTZ001 - local time
    ],
)
def test_times(value, ttm, caplog):
    """Times are whole milliseconds: numbers of other units, dates and ISO strings are turned into them."""
    assert sent(PageView("u", true_timestamp=value))["ttm"] == str(ttm)
    assert PageView("u", created_timestamp=value).created_timestamp == ttm
    assert not caplog.records


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        -math.inf,
        "soon",
        "",
        ...,
        [],
        dt.time(1),
        10**17 - 1,
        1e300,
        Decimal("1E+99999999"),
    ],
    ids=repr,
)
def test_what_is_no_time_is_left_out_or_refused(value, caplog):
    """As a true timestamp it is left out with a warning; as the time of creation it is refused by name."""
    for _ in range(2):
        assert "ttm" not in sent(PageView("u", true_timestamp=value))
    (record,) = caplog.records
    assert record.getMessage().startswith("true_timestamp is left out")
    with pytest.raises(ValueError, match=r"^created_timestamp must be a point in time, not "):
        PageView("u", created_timestamp=value)


@pytest.mark.parametrize(
    ("parameter", "limit"),
    [
        ("se_ca", 1000),
        ("se_la", 4096),
        ("page", 2000),
        ("url", 10_000),
        ("uid", 255),
        ("tr_ci", 255),
    ],
)
def test_long_strings_are_kept_and_said(parameter, limit, caplog):
    """A string that is too long in UTF-16 code units stays whole, and is said once per parameter."""
    fits = ["x" * limit, "😀" * (limit // 2)]
    for string in [*fits, "x" * (limit + 1), "😀" * (limit // 2 + 1)]:
        assert sent(Event({parameter: string}))[parameter] == string
        assert len(caplog.records) == (string not in fits)
    assert f"{parameter} has {limit + 1} characters" in caplog.text


def test_long_strings_are_seen_from_every_side(caplog):
    """Constructors, properties, setters and trackers look at lengths."""
    StructuredEvent("c" * 1001, "a")
    PageView("u").page_title = "t" * 2001
    Subject().set_useragent("u" * 1001)
    Tracker("n" * 129, RecordingEmitter(), app_id="a" * 256)
    Payload().add("lang", "l" * 256)
    names = [record.getMessage().split()[0] for record in caplog.records]
    assert names == ["se_ca", "page", "ua", "tna", "aid", "lang"]


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (ID, ID),
        (ID.upper(), ID.upper()),
        (ID.replace("-", ""), ID),
        (f"{{{ID}}}", ID),
        (f"urn:uuid:{ID}", ID),
        (f" {ID} ", ID),
    ],
)
def test_ids_become_canonical(given, canonical, caplog):
    """A UUID in another form is written as the pipeline wants it."""
    assert Subject().set_domain_session_id(given).standard_nv_pairs["sid"] == canonical
    event = PageView("u", event_id=given)
    assert event.event_id == sent(event)["eid"] == canonical
    assert sent(Event({"eid": given}))["eid"] == canonical
    screen = ScreenView(given, "name", previous_id=given).build_payload(False, None).nv_pairs
    assert screen["ue_pr"].count(f'"{canonical}"') == 2
    assert not caplog.records


def test_ids_that_are_none(caplog):
    """A session id that is no UUID is kept and said; as an event's id it is refused, or replaced and said."""
    for value in (
        "s",
        "6ba7b8109dad-11d1-80b4-00c0-4fd430c8",
        ID[:-1],
        ID[:-1] + "g",
        "\uff0d".join(ID),
    ):
        assert Subject().set_domain_session_id(value).standard_nv_pairs["sid"] == value
    assert Event({"eid": "mine"}).payload.get()["eid"] == "mine"
    assert sent(Event({"eid": "mine"}))["eid"] != "mine"
    assert [record.getMessage().split()[0] for record in caplog.records] == ["sid", "An"]
    with pytest.raises(ValueError, match=r"^event_id must be a UUID, not 'mine' \(str\)\.$"):
        PageView("u", event_id="mine")


@pytest.mark.parametrize(
    "url", ["http://", "https:///path", "http://[::1/", "http://host:port/", "http://h:70000"]
)
@pytest.mark.parametrize("parameter", ["url", "refr"])
def test_urls_that_do_not_parse_are_kept_and_said(url, parameter, caplog):
    """A URL that the pipeline cannot read stays, and is said once per kind of trouble."""
    page = PageView(*((url,) if parameter == "url" else ("u", None, url)))
    assert sent(page)[parameter] == url
    assert sent(Event({parameter: url}))[parameter] == url
    assert [record.getMessage().split()[0] for record in caplog.records] == [parameter]


@pytest.mark.parametrize(
    "url",
    ["https://acme.com/a b", "https://user:secret@acme.com:8080/", "http://[::1]:80/x", "mailto:me", "/a", "u", "file:///x",
     "https://münchen.de/ü", "https://acme.com", "https://acme.com?x=http://y"],
)  # fmt: skip
def test_urls_that_parse_are_left_alone(url, caplog):
    """A URL is sent as it is, the second time too."""
    for _ in range(2):
        pairs = sent(PageView(url, referrer=url))
        assert pairs["url"] == pairs["refr"] == url
    assert not caplog.records


@pytest.mark.parametrize(
    "schema",
    [
        "order",
        "iglu:com.acme/order/1-0-0",
        "iglu:com.acme/order/jsonschema/1",
        "iglu:com.acme/order/jsonschema/1-*-*",
        "iglu:com.acme/order/jsonschema/0-0-0",
        "com.acme/order/jsonschema/1-0-0",
        "https://acme.com/order.json",
        "iglu:com.acme/order/jsonschema/1-0-0 ",
        "iglu:com.acmé/order/jsonschema/1-0-0",
    ],
)
def test_a_malformed_schema_is_kept_and_said(schema, caplog):
    """A schema that no registry can have is sent as in 1.1.0, and one warning shows what the pipeline wants."""
    for _ in range(3):
        assert SelfDescribingJson(schema, {}).to_json() == {"schema": schema, "data": {}}
    SelfDescribingJson("another", {})
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("snowplow_tracker.events", "WARNING")
    assert record.getMessage().startswith(f"schema is {schema!r}, ")
    assert "iglu:vendor/name/format/version" in record.getMessage()


@pytest.mark.parametrize(
    "schema",
    [
        "iglu:com.acme/order/jsonschema/1-0-0",
        "iglu:com.acme-2.x_y/order_line-2/avro/12-3-40",
    ],
)
def test_a_good_schema_is_nothing_to_say(schema, caplog):
    """Whatever the pipeline can look up is taken in silence."""
    entity = SelfDescribingJson(schema, {})
    entity.schema = schema
    assert entity.schema == schema
    assert not caplog.records


def test_looking_at_schemas_takes_no_memory_without_end():
    """A program that makes up its schemas has them looked at again, and none kept for ever."""
    for number in range(5_000):
        SelfDescribingJson(f"iglu:com.acme/order/jsonschema/1-0-{number}", {})
        assert len(parameters.known_schemas) <= 1_000


@pytest.mark.parametrize("value", [["user-7"], {"id": 7}, {"user-7"}, ("user-7",)])
def test_a_collection_in_the_place_of_a_string_is_kept_and_said(value, caplog):
    """1.1.0 sent the text of a list for a user id, which stays, and one warning names the parameter."""
    for _ in range(2):
        subject = Subject().set_user_id(value)
    assert sent(PageView("u", event_subject=subject))["uid"] == str(value)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"uid is a {type(value).__name__}")
