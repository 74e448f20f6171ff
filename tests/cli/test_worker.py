"""The command that delivers from a store: ``python -m snowplow_tracker worker``, as a process of its own."""

import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import uuid
from pathlib import Path

import pytest
import requests

from snowplow_tracker.__main__ import main
from snowplow_tracker.redis_event_store import RedisEventStore
from snowplow_tracker.sqlite_event_store import SQLiteEventStore
from snowplow_tracker.testing import Collector, Response
from support.inside import redaction
from support.redis_server import redis_server
from support.stores import open_store

COMMAND = [sys.executable, "-m", "snowplow_tracker", "worker"]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(params=["sqlite", "redis"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/queue.db"
    # A stream of its own for each test.
    return f"{request.getfixturevalue('redis_url')}?stream={uuid.uuid4()}"


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/queue.db"


@pytest.fixture
def collector():
    with Collector() as running:
        yield running


@pytest.fixture
def start():
    processes = []

    def start(url, endpoint, *arguments, **options):
        options = {"stderr": subprocess.PIPE, "text": True, **options}
        command = [*COMMAND, "--store", url, "--endpoint", endpoint, *arguments]
        processes.append(subprocess.Popen(command, **options))
        return processes[-1]

    yield start
    for each in processes:
        each.kill()
        each.wait()
        if each.stderr:
            each.stderr.close()


def fill(url, count, **pairs):
    store = open_store(url)
    eids = [str(uuid.uuid4()) for _ in range(count)]
    for eid in eids:
        assert store.add_event({"e": "pv", "p": "srv", "tv": "py-test", "eid": eid, **pairs})
    store.close()
    return eids


def size(url):
    store = open_store(url)
    try:
        return store.size()
    finally:
        store.close()


def arrived(collector):
    return sorted(each.event_id for each in collector.events)


def end(process, timeout=20):
    _, errors = process.communicate(timeout=timeout)
    return process.returncode, errors


def slow_down(collector, seconds):
    """Have every answer take its time; the event tells that the first request is there."""
    asked = threading.Event()

    def respond(_request):
        asked.set()
        time.sleep(seconds)

    collector.respond = respond
    return asked


@pytest.mark.long
def test_it_delivers_all_and_ends_when_it_is_asked_to(url, collector, start):
    """With --exit-when-empty it delivers what is there, once, says so in plain lines, and succeeds."""
    eids = fill(url, 1_200)
    status, errors = end(start(url, collector.endpoint, "--exit-when-empty"))
    assert (status, arrived(collector)) == (0, sorted(eids))
    assert "Stopped: 1200 events sent, 0 dropped, 0 left in the store." in errors
    assert "\x1b" not in errors
    assert "\r" not in errors
    assert len(collector.requests) == 3


@pytest.mark.long
def test_a_host_alone_is_asked_by_https_except_for_this_machine(sqlite_url, collector, start):
    """An endpoint without a scheme means what it means for `track`: https, but http on this machine."""
    eids = fill(sqlite_url, 3)
    process = start(sqlite_url, "collector.invalid")
    assert "to https://collector.invalid/" in process.stderr.readline()
    process.kill()
    process.wait()
    address = collector.endpoint.partition("://")[2]
    status, errors = end(start(f"{sqlite_url}?lease_seconds=1", address, "--exit-when-empty"))
    assert (status, arrived(collector)) == (0, sorted(eids)), errors


@pytest.mark.long
def test_a_store_that_does_not_exist_is_not_taken_for_an_empty_one(url, collector, start):
    """With --exit-when-empty a wrong name is status 2 each time, since nothing is created; an empty store is well."""
    for _ in range(2):
        status, errors = end(start(url, collector.endpoint, "--exit-when-empty"))
        assert status == 2, errors
        assert "no program has added events yet, or --store is wrong" in errors
        assert "Traceback" not in errors
    assert not Path(url.partition("://")[2]).exists()
    fill(url, 1)
    for _ in range(2):
        assert end(start(url, collector.endpoint, "--exit-when-empty"))[0] == 0


@pytest.mark.long
def test_a_worker_may_be_started_before_the_store_exists(url, collector, start):
    """Without --exit-when-empty it warns once, and delivers what comes."""
    process = start(url, collector.endpoint)
    assert "the worker creates it and waits for events" in process.stderr.readline()
    fill(url, 2)
    collector.wait_for(2)
    process.terminate()
    status, errors = end(process)
    assert status == 0
    assert "no program has added" not in errors


@pytest.mark.long
@pytest.mark.parametrize("arguments", [[], ["--exit-when-empty"]])
def test_a_worker_that_is_switched_off_says_so(sqlite_url, collector, start, arguments):
    """With SNOWPLOW_DISABLED=1 a worker could deliver nothing: it ends with status 2, and creates no file."""
    environment = {**os.environ, "SNOWPLOW_DISABLED": "1"}
    status, errors = end(start(sqlite_url, collector.endpoint, *arguments, env=environment))
    assert status == 2
    assert "SNOWPLOW_DISABLED=1 switches tracking off" in errors
    assert not Path(sqlite_url.partition("://")[2]).exists()


@pytest.mark.long
def test_it_waits_for_events_and_stops_when_told_to(url, collector, start):
    """It delivers what comes in later, and a SIGTERM or SIGINT ends it well."""
    for number in (signal.SIGTERM, signal.SIGINT):
        process = start(url, collector.endpoint)
        collector.clear()
        eids = fill(url, 3)
        collector.wait_for(3)
        eids += fill(url, 2)
        collector.wait_for(5)
        process.send_signal(number)
        status, errors = end(process)
        assert (status, arrived(collector)) == (0, sorted(eids)), errors


@pytest.mark.alone
def test_an_idle_worker_costs_nothing(url, collector, start):
    """While there is nothing to do it sleeps, and still is there at once when there is."""
    process = start(url, collector.endpoint)
    fill(url, 1)
    collector.wait_for(1)

    def cpu():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = cpu()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    assert cpu() - before < 0.15
    fill(url, 1)
    started = time.monotonic()
    collector.wait_for(2)
    assert time.monotonic() - started < 1.5


@pytest.mark.long
def test_sigterm_finishes_what_is_in_flight_and_nothing_more(url, collector, start):
    """A request that is under way ends well, the rest stays in the store."""
    eids = fill(url, 40)
    asked = slow_down(collector, 0.5)
    process = start(url, collector.endpoint, "--batch", "10")
    assert asked.wait(10)
    process.terminate()
    status, errors = end(process)
    delivered = len(collector.events)
    assert status == 0, errors
    assert 10 <= delivered < 30
    assert size(url) == 40 - delivered
    assert arrived(collector) == sorted(eids[:delivered])


@pytest.mark.alone
def test_what_does_not_end_in_time_is_kept(sqlite_url, start):
    """When a request under way does not end within --timeout, the status says so, and the events stay."""
    eids = fill(sqlite_url, 3)
    with Collector() as collector:
        asked = slow_down(collector, 1.5)
        process = start(sqlite_url, collector.endpoint, "--timeout", "0.3")
        assert asked.wait(10)
        process.terminate()
        started = time.monotonic()
        status, errors = end(process)
        assert time.monotonic() - started < 2
    assert status == 3
    assert "3 of them in requests that did not end in time" in errors
    with Collector() as collector:
        assert end(start(sqlite_url, collector.endpoint, "--exit-when-empty"))[0] == 0
        assert arrived(collector) == sorted(eids)


@pytest.mark.long
def test_a_second_signal_ends_it_at_once(sqlite_url, start):
    """Who does not want to wait for what is in flight signals again."""
    fill(sqlite_url, 1)
    with Collector() as collector:
        asked = slow_down(collector, 2)
        process = start(sqlite_url, collector.endpoint, "--timeout", "30", "--request-timeout", "9")
        assert asked.wait(10)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        while process.poll() is None and time.monotonic() - started < 3:
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
        assert process.wait(1) == 130


@pytest.mark.long
def test_an_outage_of_the_collector_is_waited_out(url, start):
    """While the collector is down there are few attempts; when it is back, everything arrives."""
    eids = fill(url, 30)
    collector = Collector().start()
    collector.stop()
    process = start(url, collector.endpoint, "--exit-when-empty", "--max-retry-delay", "1")
    lines = []
    while len([line for line in lines if "failed" in line]) < 2:
        lines.append(process.stderr.readline())
        assert lines[-1], lines
    with collector.start():
        status, errors = end(process)
        assert (status, arrived(collector)) == (0, sorted(eids)), errors


@pytest.mark.long
def test_being_told_to_stop_before_the_store_is_empty_is_no_success(sqlite_url, start):
    """With --exit-when-empty, an early stop is told from a complete run."""
    fill(sqlite_url, 2)
    with Collector(respond=lambda _: Response(503)) as collector:
        process = start(sqlite_url, collector.endpoint, "--exit-when-empty")
        collector.wait_for_requests(1)
        process.terminate()
        assert end(process)[0] == 3
    assert size(sqlite_url) == 2


@pytest.mark.long
def test_events_that_are_refused_for_good_show_in_the_status(sqlite_url, start):
    """Lost events are logged, and make the worker end with a status of its own."""
    fill(sqlite_url, 2)
    with Collector(respond=lambda _: Response(422)) as collector:
        status, errors = end(start(sqlite_url, collector.endpoint, "--exit-when-empty"))
    assert status == 4
    assert "Dropped (rejected): 2 events" in errors
    assert "2 dropped, 0 left" in errors


@pytest.mark.long
def test_an_outage_of_redis_is_waited_out(tmp_path, collector, start):
    """A worker may be started before Redis, and lives through its restarts."""
    with redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        server.kill()
        process = start(server.url, collector.endpoint)
        while "Redis cannot be used" not in process.stderr.readline():
            assert process.poll() is None
        server.start()
        eids = fill(server.url, 5)
        collector.wait_for(5)
        server.kill()
        server.start()
        eids += fill(server.url, 5)
        collector.wait_for(10)
        process.terminate()
        assert end(process)[0] == 0
        assert arrived(collector) == sorted(eids)


@pytest.mark.long
def test_it_does_not_take_an_outage_for_an_empty_store(tmp_path, collector, start):
    """With --exit-when-empty it waits for Redis rather than ending with its job undone."""
    with redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        eids = fill(server.url, 5)
        server.kill()
        process = start(server.url, collector.endpoint, "--exit-when-empty")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        server.start()
        assert end(process)[0] == 0
        assert arrived(collector) == sorted(eids)


@pytest.mark.long
def test_progress_is_one_changing_line_on_a_terminal(sqlite_url, start):
    """On a terminal one line is drawn anew, and log lines come above it."""
    fill(sqlite_url, 300)
    ours, theirs = pty.openpty()
    with Collector(respond=lambda _: time.sleep(0.05)) as collector:
        environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
        arguments = ("--exit-when-empty", "--batch", "10")
        process = start(sqlite_url, collector.endpoint, *arguments, stderr=theirs, env=environment)
        os.close(theirs)
        screen = read_all(ours)
    assert process.wait(10) == 0
    lines = screen.replace("\r\n", "\n").split("\n")
    drawn = [each.split("\r")[0] for line in lines for each in line.split("\r\x1b[K")]
    progress = [text for text in drawn if text.startswith("sent ")]
    assert len(progress) > 3
    assert re.fullmatch(r"sent 300, queued 0, [\d,]+/s, failed attempts 0", progress[-1])
    assert len([line for line in lines if "sent " in line and "Stopped" not in line]) <= 2
    assert lines[0].endswith("/com.snowplowanalytics.snowplow/tp2.")
    assert "Stopped: 300 events sent" in lines[-2]


def read_all(terminal, timeout=20):
    deadline = time.monotonic() + timeout
    text = b""
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                chunk = os.read(terminal, 65_536)
            except OSError:  # Linux: the other side is closed
                chunk = b""
            if not chunk:
                break
            text += chunk
    os.close(terminal)
    return text.decode()


@pytest.mark.long
def test_elsewhere_progress_is_a_line_now_and_then(sqlite_url, start):
    """Without a terminal, lines with a time are logged every --report-every seconds while something happens."""
    fill(sqlite_url, 200)
    with Collector(respond=lambda _: time.sleep(0.05)) as collector:
        arguments = ("--exit-when-empty", "--batch", "10", "--report-every", "0.1")
        _, errors = end(start(sqlite_url, collector.endpoint, *arguments))
    lines = [line for line in errors.splitlines() if " INFO sent " in line]
    assert lines
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ INFO sent \d", line) for line in lines)


@pytest.mark.long
def test_the_way_of_sending_is_up_to_the_user(sqlite_url, collector, start):
    """Path, headers, method, and threads are those asked for; the addresses may come from the environment."""
    fill(sqlite_url, 4)
    environment = {
        **os.environ,
        "SNOWPLOW_STORE": sqlite_url,
        "SNOWPLOW_ENDPOINT": collector.endpoint,
    }

    def run(*arguments):
        subprocess.run(
            [*COMMAND, "--exit-when-empty", *arguments],
            check=True,
            timeout=20,
            env=environment,
            capture_output=True,
        )

    run("--path", "/com.acme/track", "--header", "X-Team: shop")
    [request] = collector.requests
    assert (request.path, request.headers["x-team"]) == ("/com.acme/track", "shop")
    fill(sqlite_url, 4)
    run("--method", "get", "--threads", "2")
    assert [each.method for each in collector.requests[1:]] == ["GET"] * 4


PRODUCER = """
    import sys
    from snowplow_tracker import PageView, Tracker

    sync, in_background = (
        Tracker.from_environment(
            {
                "SNOWPLOW_ENDPOINT": sys.argv[2],
                "SNOWPLOW_EMITTER": emitter,
                "SNOWPLOW_BATCH_SIZE": "2",
                "SNOWPLOW_STORE": sys.argv[1],
                "SNOWPLOW_ENQUEUE_ONLY": "1",
            }
        )
        for emitter in ("sync", "async")
    )
    for tracker in (sync, in_background):
        for page in range(25):
            print(tracker.track(PageView(f"https://example.com/{page}")))
        tracker.flush()
        tracker.flush(is_async=True)
    in_background.close()
    assert "requests" not in sys.modules
"""


@pytest.mark.long
def test_a_producer_that_only_queues_makes_no_request(url, collector, start):
    """The program that tracks never speaks to the collector, not even at its end; the worker delivers."""
    program = [sys.executable, "-c", textwrap.dedent(PRODUCER), url, collector.endpoint]
    eids = subprocess.run(
        program, check=True, capture_output=True, text=True, timeout=30
    ).stdout.split()
    assert collector.requests == []
    assert len(eids) == 50
    assert end(start(url, collector.endpoint, "--exit-when-empty"))[0] == 0
    assert arrived(collector) == sorted(eids)


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"SNOWPLOW_STORE": "file://x"}, "SNOWPLOW_STORE: 'file://x' is not the URL of a store"),
        ({"SNOWPLOW_ENDPOINT": "ftp://h"}, "SNOWPLOW_ENDPOINT: endpoint must be http or https"),
    ],
)
def test_a_variable_with_a_wrong_value_is_named(variables, text, tmp_path, monkeypatch, capsys):
    """Who configures a worker by variables reads which one is wrong, and no file is created."""
    monkeypatch.setenv("SNOWPLOW_STORE", f"sqlite:///{tmp_path}/queue.db")
    monkeypatch.setenv("SNOWPLOW_ENDPOINT", "http://127.0.0.1:9")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["worker"]) == 2
    assert text in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ([], 2, "--store, --endpoint"),
        (["--store", "mysql://host/db", "--endpoint", "host"], 2, "'mysql://host/db' is not the"),
        (["--store", "sqlite://", "--endpoint", "host"], 2, "names no file"),
        (["--store", "sqlite://w.db", "--endpoint", "host", "--exit-when-empty"], 2, "names no"),
        (["--store", "sqlite:///x?color=red", "--endpoint", "host"], 2, "'color' is not an option"),
        (["--store", "redis://h/0?claim_after=x", "--endpoint", "h"], 2, "claim_after must be a"),
        (["--store", "redis://h/0", "--endpoint", "ftp://host"], 2, "http or https"),
        (
            ["--store", "sqlite:////nowhere/at/all.db", "--endpoint", "host"],
            1,
            "/nowhere/at/all.db",
        ),
        (["--batch", "0"], 2, "at least 1"),
        (["--timeout", "-1"], 2, "more than 0"),
        (["--header", "X"], 2, "NAME: VALUE"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments, status, text):
    """Wrong arguments, and a store that cannot be opened, end it at once with a reason and no traceback."""
    result = subprocess.run(
        [*COMMAND, *arguments], check=False, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == status
    assert text in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.long
def test_the_help_tells_the_exit_statuses():
    """What a status means is in --help."""
    text = subprocess.run(
        [*COMMAND, "--help"], check=True, capture_output=True, text=True, timeout=30
    ).stdout
    for status in (0, 1, 2, 3, 4, 130):
        assert re.search(rf"^  {status} +\w", text, re.MULTILINE)


def test_urls_name_stores_with_their_options(tmp_path, monkeypatch):
    """Three slashes make a relative path, four an absolute one; options of the store are in the query."""
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///queue.db?buffer_capacity=5&overflow=drop_oldest")
    assert isinstance(store, SQLiteEventStore)
    assert (store.path, store.buffer_capacity) == (str(tmp_path / "queue.db"), 5)
    store.close()
    store = open_store(
        f"sqlite:///{tmp_path}/other.db",
    )
    assert store.path == str(tmp_path / "other.db")
    store.close()
    store = open_store(
        "unix:///run/redis.sock?db=3&stream=a%20b&claim_after=7&health_check_interval=9"
    )
    assert isinstance(store, RedisEventStore)
    assert (store.stream, store.claim_after) == ("a b", 7.0)
    assert "unix:///run/redis.sock?db=3&health_check_interval=***" in repr(store)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://user:secret@host:1/0?stream=a", "redis://***@host:1/0?stream=a"),
        ("redis://:secret@host/0", "redis://***@host/0"),
        ("rediss://secret@host/0", "rediss://***@host/0"),
        ("redis://user:se/cr:e@t#?@host/0", "redis://***@host/0"),
        ("redis://user:sec ret@host/0", "redis://***@host/0"),
        ("unix://user:secret@/run/redis.sock?db=1", "unix://***@/run/redis.sock?db=1"),
        ("redis:user:secret@host", "redis:***@host"),
        ("redis://host/0?password=secret&db=2", "redis://host/0?password=***&db=2"),
        ("redis://host/0?ssl_password=secret", "redis://host/0?ssl_password=***"),
        (
            "it went from redis://u:secret@host/0 to http://u:secret@h",
            "it went from redis://***@host/0 to http://***@h",
        ),
        (
            "it must be sqlite:///path, redis://[[user]:password@]host[:port]/db, rediss://...",
            "it must be sqlite:///path, redis://[[user]:password@]host[:port]/db, rediss://...",
        ),
        (
            "it must be redis://[[user]:password@]host[:port]/db, not redis://u:secret@h/0",
            "it must be redis://[[user]:password@]host[:port]/db, not redis://***@h/0",
        ),
        ("redis://[[user]:password@]secret@h/0", "redis://***@h/0"),
        ("the URL redis://h/0?foo=se,cret, its scheme", "the URL redis://h/0?foo=***, its scheme"),
        ("see redis://h/0?foo=secret.", "see redis://h/0?foo=***."),
        ("sqlite:////var/queue.db?overflow=block", "sqlite:////var/queue.db?overflow=block"),
        (
            "2026-01-02 12:00:00,1 INFO sent 1, queued 2",
            "2026-01-02 12:00:00,1 INFO sent 1, queued 2",
        ),
    ],
)
def test_passwords_are_not_shown(text, shown):
    """The log names stores without users, passwords, and options that may be secret."""
    assert redaction.redact(text) == shown


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:secret@host:port/0",
        "redis://user:sec/ret@host/0",
        "redis://user:secret@host/0?unheard_of=secret",
        "redis://user:secret@[host/0",
        "redis://user:secret@ho\u2100st/0",
        "redis://user:secret@host/0?claim_after=soon",
        "mysql://user:secret@host/0",
        "redis+tls://user:secret@host",
        "sqlite://user:secret@host",
        "postgres:secret@host",
    ],
)
def test_no_error_about_a_url_shows_what_is_secret(url):
    """Whatever is wrong with a URL, the message holds no part of its password, nor does what caused it."""
    with pytest.raises(ValueError) as caught:
        open_store(url)
    shown = "".join(traceback.format_exception(None, caught.value, caught.value.__traceback__))
    assert not re.search("secret@|=secret|sec/|ret@", shown.split("ValueError: ")[-1])
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://u:secret@h/0?foo=secret", "'redis://***@h/0?foo=***': it has no option 'foo'."),
        ("redis://u:secret@h:port/0", "must be percent-encoded, and a port is a number."),
        ("redis://h:port/0", "'redis://h:port/0': Port could not be cast"),
        ("redis+cluster://u:secret@h/3", "'redis+cluster://***@h/3': a cluster has no databases"),
        ("redis+sentinel://u:secret@h", "the path of a Sentinel URL must be /service"),
    ],
)
def test_an_error_about_a_url_says_what_is_wrong(url, reason):
    """The reason is in words that help, also where the URL has a password, and names nothing of the code of redis-py."""
    with pytest.raises(ValueError, match="redis-py does not accept the URL") as caught:
        open_store(url)
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "__init__" not in str(caught.value)


def test_the_representation_of_a_store_shows_no_password():
    """A repr may be logged by anybody."""
    store = RedisEventStore("redis://user:secret@127.0.0.1:1/0")
    assert "127.0.0.1:1" in repr(store)
    assert "secret" not in repr(store)
    assert "user" not in repr(store)


@pytest.mark.long
@pytest.mark.parametrize("number", [1, 2])
def test_it_runs_with_standard_streams_closed(sqlite_url, collector, number):
    """A daemon without standard output or error delivers as well, and nothing gets their numbers."""
    eids = fill(sqlite_url, 3)
    command = [*COMMAND, "--store", sqlite_url, "--endpoint", collector.endpoint]
    status = subprocess.run(
        ["sh", "-c", f'exec "$@" {number}>&-', "sh", *command, "--exit-when-empty"],
        check=False,
        timeout=30,
    ).returncode
    assert (status, arrived(collector)) == (0, sorted(eids))


@pytest.mark.long
def test_it_goes_on_when_nobody_reads_its_log(sqlite_url, collector, start):
    """A pipe that breaks costs the log, not the delivery."""
    process = start(sqlite_url, collector.endpoint, "--report-every", "0.05")
    process.stderr.readline()
    process.stderr.close()
    process.stderr = None
    eids = []
    for _ in range(3):
        eids += fill(sqlite_url, 5)
        collector.wait_for(len(eids))
    process.terminate()
    assert process.wait(20) == 0
    assert arrived(collector) == sorted(eids)


@pytest.mark.long
@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": ""}, {"NO_COLOR": "1"}])
def test_a_terminal_that_knows_no_codes_gets_plain_lines(sqlite_url, start, variables):
    """Codes are only for terminals that know them, and for users who want them."""
    fill(sqlite_url, 20)
    ours, theirs = pty.openpty()
    with Collector(respond=lambda _: time.sleep(0.05)) as collector:
        environment = {**os.environ, "TERM": "xterm", **variables}
        arguments = ("--exit-when-empty", "--batch", "10")
        process = start(sqlite_url, collector.endpoint, *arguments, stderr=theirs, env=environment)
        os.close(theirs)
        screen = read_all(ours)
    assert process.wait(10) == 0
    assert "Stopped: 20 events sent" in screen
    assert "\x1b" not in screen


@pytest.mark.long
def test_a_collector_that_takes_long_gets_each_event_once(sqlite_url, start):
    """Requests of a batch that together take longer than its lease do not have it sent again."""
    eids = fill(sqlite_url, 60)
    with Collector(respond=lambda _: time.sleep(0.03)) as collector:
        arguments = ("--exit-when-empty", "--method", "get")
        status, errors = end(
            start(f"{sqlite_url}?lease_seconds=0.5", collector.endpoint, *arguments)
        )
        assert status == 0, errors
        assert arrived(collector) == sorted(eids)
        assert len(collector.requests) == 60


@pytest.mark.long
def test_a_worker_leaves_a_file_that_was_deleted(sqlite_url, collector, start):
    """A running worker delivers from the file that is there now, and does not stay with the one that is gone."""
    process = start(sqlite_url, collector.endpoint)
    eids = fill(sqlite_url, 2)
    collector.wait_for(2)
    # The queue itself last: otherwise the worker might open a new one, and the rest of it be deleted.
    for suffix in ("-wal", "-shm", "-reserve", ""):
        Path(sqlite_url.partition("///")[2] + suffix).unlink(missing_ok=True)
    eids += fill(sqlite_url, 3)
    collector.wait_for(5)
    process.terminate()
    assert end(process)[0] == 0
    assert arrived(collector) == sorted(eids)


def metrics_address(process):
    """Return where a worker says that its metrics are."""
    while True:
        line = process.stderr.readline()
        assert line, "it ended"
        found = re.search(r"Metrics are at (\S+)\.$", line)
        if found:
            return found[1]


@pytest.mark.long
def test_metrics_are_served(sqlite_url, collector, start):
    """Prometheus finds the counters of the worker, and whether store and collector are well, at the port that is given."""
    fill(sqlite_url, 7)
    process = start(sqlite_url, collector.endpoint, "--metrics-port", "0")
    address = metrics_address(process)
    collector.wait_for(7)
    deadline = time.monotonic() + 10
    while True:
        answer = requests.get(address, timeout=5)
        if re.search(r"^snowplow_events_sent_total\{.*\} 7$", answer.text, re.MULTILINE):
            break
        assert time.monotonic() < deadline, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for reason in ("rejected", "lost", "overflow"):
        dropped = rf'^snowplow_events_dropped_total\{{.*reason="{reason}"\}} 0$'
        assert re.search(dropped, answer.text, re.MULTILINE)
    assert "\nsnowplow_store_up 1\n" in answer.text
    assert "\nsnowplow_collector_up 1\n" in answer.text
    assert requests.get(address.replace("metrics", "other"), timeout=5).status_code == 404
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.long
def test_events_that_the_store_lost_are_in_the_metrics(sqlite_url, collector, start):
    """An entry that cannot be read counts as lost, so that the alert on dropped events sees it."""
    fill(sqlite_url, 2)
    connection = sqlite3.connect(sqlite_url.partition("://")[2])
    with connection:
        connection.execute("UPDATE event SET body = '{' WHERE id = 1")
    connection.close()
    process = start(sqlite_url, collector.endpoint, "--metrics-port", "0")
    address = metrics_address(process)
    collector.wait_for(1)
    lost = r'^snowplow_events_dropped_total\{.*reason="lost"\} 1$'
    deadline = time.monotonic() + 10
    while not re.search(lost, requests.get(address, timeout=5).text, re.MULTILINE):
        assert time.monotonic() < deadline
    process.terminate()
    status, errors = end(process)
    assert status == 4
    assert "1 dropped" in errors


@pytest.mark.long
def test_a_port_for_metrics_that_is_taken(sqlite_url, collector, start):
    """A port that cannot be had is an error in one line, at the start."""
    port = collector.endpoint.rpartition(":")[2]
    process = start(sqlite_url, collector.endpoint, "--metrics-port", port)
    assert process.wait(10) == 1
    assert "Cannot serve metrics at 127.0.0.1:" in process.stderr.read()
