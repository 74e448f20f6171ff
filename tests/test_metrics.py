"""Delivery counters as Prometheus text, and for a callback."""

from __future__ import annotations

import gc
import os
import queue
import re

import pytest

from snowplow_tracker import DropReason, Emitter, PageView, Tracker
from snowplow_tracker.metrics import FAMILIES, Reporter, prometheus_text, samples
from snowplow_tracker.testing import Collector, Response
from support.processes import run_program

LINE = re.compile(r'([a-z_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+)\} (\d+)')


def values(text):
    """Return the numbers of a text, by name and labels, and see that each line has the form."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            name, labels, value = LINE.fullmatch(line).groups()
            found[name, labels] = int(value)
    return found


def test_the_numbers_are_those_of_the_emitter():
    """Each counter and gauge of the emitter is there, with the namespace, and without the password."""
    with Collector(respond=lambda _: Response(status=400)) as collector:
        host = collector.endpoint.partition("//")[2]
        emitter = Emitter(f"http://user:secret@{host}", batch_size=2)
        tracker = Tracker("shop", emitter)
        for _ in range(3):
            tracker.track(PageView("https://example.com/"))
    text = prometheus_text(tracker)
    assert "secret" not in text
    labels = f'namespace="shop",endpoint="{collector.endpoint}{"/com.snowplowanalytics.snowplow/tp2"}",emitter="Emitter"'
    assert values(text) == {
        ("snowplow_events_tracked_total", labels): 3,
        ("snowplow_events_sent_total", labels): 0,
        **{
            ("snowplow_events_dropped_total", f'{labels},reason="{reason.value}"'): 0
            for reason in DropReason
        },
        ("snowplow_events_dropped_total", labels + ',reason="rejected"'): 2,
        ("snowplow_events_retried_total", labels): 0,
        ("snowplow_requests_failed_total", labels): 1,
        ("snowplow_events_queued", labels): 1,
        ("snowplow_events_in_flight", labels): 0,
    }
    for family in FAMILIES:
        assert f"# TYPE {family.name}" in text
    emitter.close(timeout=0)


def test_each_reason_for_a_drop_is_there_from_the_start():
    """An alert on an increase sees the first loss: before it, there is a sample of 0 for its reason."""
    emitter = Emitter("http://127.0.0.1:9")
    found = {
        sample.labels["reason"]: sample.value
        for sample in samples(emitter)
        if sample.family.stat == "dropped"
    }
    assert found == {reason.value: 0 for reason in DropReason}
    emitter.close()


def test_a_source_without_counters_is_refused():
    """What is neither a tracker nor an emitter is told at the call; an emitter of the user's own is left out."""
    with pytest.raises(TypeError, match="sources must be trackers or emitters, got int"):
        samples(5)

    class Own:
        def input(self, payload):
            pass

        def flush(self):
            pass

    assert samples(Tracker("own", Own())) == []


def test_a_namespace_is_escaped():
    """Quotes, backslashes and line breaks in a label do not break the text."""
    tracker = Tracker('a"b\\c\nd', Emitter("http://127.0.0.1:9"))
    assert all(
        r'namespace="a\"b\\c\nd"' in labels for _, labels in values(prometheus_text(tracker))
    )


def test_a_callback_hears_now_and_then():
    """It gets the counters again and again, goes on after it raised, and stops when it is told to."""
    heard = queue.Queue()

    def callback(stats):
        heard.put(stats)
        raise ZeroDivisionError

    tracker = Tracker("shop", Emitter("http://127.0.0.1:9"))
    reporter = Reporter(tracker, callback, every=0.02)
    first, second = heard.get(timeout=10), heard.get(timeout=10)
    assert first.emitters[0].tracked == second.emitters[0].tracked == 0
    reporter.stop()


@pytest.mark.long
def test_a_callback_keeps_no_tracker_alive():
    """It ends when its tracker is collected."""
    heard = queue.Queue()
    reporter = Reporter(Tracker("n", Emitter("http://127.0.0.1:9")), heard.put, every=60)
    gc.collect()
    assert reporter._stopped.wait(10)
    assert heard.empty()


FORK = """
    import os, signal, sys, time, warnings
    warnings.simplefilter("ignore")
    from snowplow_tracker import Emitter, Tracker
    from snowplow_tracker.metrics import Reporter

    def report(stats):
        if os.getpid() != parent:
            os._exit(7)

    parent = os.getpid()
    tracker = Tracker("n", Emitter("http://127.0.0.1:9"))
    Reporter(tracker, report, every=0.01)
    stopped = Reporter(tracker, lambda stats: os._exit(8), every=0.5)
    stopped.stop()
    time.sleep(0.05)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        time.sleep(20)
    sys.exit(os.WEXITSTATUS(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_reports_as_well():
    """A reporter that nobody holds calls its function in a forked child too, and one that was stopped does not."""
    finished = run_program(FORK)
    assert (finished.status, finished.errors) == (7, "")


def test_emitters_with_the_same_labels_are_added_up():
    """The text has one line for each set of labels; an emitter that was given twice counts once."""
    first, second = Emitter("http://127.0.0.1:9"), Emitter("http://127.0.0.1:9")
    tracker = Tracker("n", [first, second])
    tracker.track(PageView("https://example.com/"))
    tracker.track(PageView("https://example.com/"))
    for sources in [(first, second, first), (tracker,), (tracker, tracker)]:
        text = prometheus_text(*sources)
        assert len(values(text)) == len(re.findall(r"(?m)^[a-z]", text))
        assert [
            number for (name, _), number in values(text).items() if name.endswith("_tracked_total")
        ] == [4]
    tracker.close(timeout=0)


@pytest.mark.parametrize("every", [0, -1, float("nan"), float("inf"), 1e30])
def test_a_time_that_is_none_is_refused(every):
    """The time between two calls is a number that a thread can wait for."""
    with pytest.raises(ValueError, match="every must"):
        Reporter(Tracker("n", Emitter("http://127.0.0.1:9")), print, every=every)
    with pytest.raises(TypeError, match="every must be a number, got str '60'"):
        Reporter(Tracker("n", Emitter("http://127.0.0.1:9")), print, every="60")
    with pytest.raises(TypeError, match="callback must be callable"):
        Reporter(Tracker("n", Emitter("http://127.0.0.1:9")), None)


def test_a_reporter_of_several_trackers_is_refused():
    """A list of trackers, which is an error of the call, is answered with the name of the parameter."""
    with pytest.raises(TypeError, match="tracker must be a Tracker, not list"):
        Reporter([Tracker("n", Emitter("http://127.0.0.1:9"))], print)
