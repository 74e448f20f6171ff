"""The end of a program that has not flushed."""

from __future__ import annotations

from collections import Counter
from typing import Type

import pytest

from snowplow_tracker.emitters import Emitter
from support.collector_with_faults import Answer, CollectorWithFaults
from support.inside import bypass
from support.processes import run_program

START = """
    import atexit, logging, multiprocessing, os, sys, threading, time
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker

    NAME, ENDPOINT, BATCH, HOW = sys.argv[1:5]

    def make(batch=BATCH, **options):
        cls = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[NAME]
        options.setdefault("exit_timeout", 5)
        return cls(ENDPOINT, protocol="http", batch_size=int(batch), **options)

    def track(tracker, count=25, what=HOW):
        for number in range(count):
            tracker.track(PageView("https://example.com/%d" % number, what))
"""

WAYS = (
    START
    + """
    def work():
        for batch in BATCH.split():
            track(Tracker("exit", make(batch)))
        if HOW == "sys.exit":
            sys.exit(3)
        if HOW == "unhandled exception":
            raise ZeroDivisionError

    if __name__ == "__main__":
        if HOW in ("spawn", "fork", "forkserver"):
            child = multiprocessing.get_context(HOW).Process(target=work)
            child.start()
            child.join()
            sys.exit(child.exitcode)
        work()
"""
)
STATUS = {"sys.exit": 3, "unhandled exception": 1}


@pytest.mark.long
@pytest.mark.parametrize(
    "how", ["normal", "sys.exit", "unhandled exception", "spawn", "fork", "forkserver"]
)
def test_all_is_sent_at_the_end(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, how: str
) -> None:
    """All events of an emitter with smaller and one with larger batches arrive, once, however the process ends."""
    done = run_program(WAYS, emitter_class.__name__, collector.endpoint, "10 100", how)
    assert done.status == STATUS.get(how, 0), done
    assert len(collector.arrived) == 2 * 25, done
    assert not collector.repeated
    assert done.seconds < 5


LOGGED = (
    START
    + """
    def work():
        track(Tracker("exit", make(exit_timeout=1, max_retry_delay_seconds=1)))
        print(time.monotonic())

    if __name__ == "__main__":
        if HOW == "fork":
            child = multiprocessing.get_context("fork").Process(target=work)
            child.start()
            child.join()
            sys.exit(child.exitcode)
        work()
"""
)


@pytest.mark.alone
@pytest.mark.parametrize("how", ["normal", "fork"])
@pytest.mark.parametrize("batch", [10, 100], ids=["above the batch", "below the batch"])
def test_the_end_is_bounded_and_tells_when_the_collector_is_down(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, batch: int, how: str
) -> None:
    """With the collector down the process ends in time and says how many events it could not send."""
    collector.refuse()
    done = run_program(LOGGED, emitter_class.__name__, collector.endpoint, batch, how)
    assert done.status == 0, done
    assert done.ended - float(done.output) < 1.6
    assert "25" in done.errors, done
    assert "Traceback" not in done.errors
    assert len(done.errors.splitlines()) < 5


@pytest.mark.long
@pytest.mark.parametrize("how", ["normal"])
def test_a_collector_that_comes_back_at_the_end(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, how: str
) -> None:
    """Within the exit deadline a failed attempt is made again."""
    failures = [Answer(status=503), Answer(fault="reset")]
    collector.behaviour = lambda _: failures.pop() if failures else Answer()
    done = run_program(
        WAYS.replace("make(batch)", "make(batch, max_retry_delay_seconds=0.3)"),
        emitter_class.__name__,
        collector.endpoint,
        100,
        how,
    )
    assert done.status == 0, done
    assert len(collector.arrived) == 25, done


@pytest.mark.long
def test_an_answer_in_flight_at_the_end(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """A request that is on its way when the program ends is neither lost nor sent twice."""
    collector.behaviour = Answer(wait=0.5)
    batch = 25 if emitter_class is not Emitter else 100
    done = run_program(WAYS, emitter_class.__name__, collector.endpoint, batch, "normal")
    assert done.status == 0, done
    assert len(collector.arrived) == 25, done
    assert not collector.repeated


TRACKED_LATE = (
    START
    + """
    def end(how):
        tracker = Tracker("exit", make())
        if how == "atexit before":
            track(tracker, 1, how)
            atexit.register(track, tracker, 24, how)
        elif how == "atexit first":
            atexit.register(track, tracker, 25, how)
        elif how == "atexit creates":
            atexit.register(lambda: track(Tracker("late", make()), 25, how))
        elif how == "thread":
            def late():
                time.sleep(0.2)
                track(tracker, 25, how)
            threading.Thread(target=late).start()
        elif how == "sys.exit in thread":
            def stop():
                track(tracker, 25, how)
                sys.exit(5)
            threading.Thread(target=stop).start()
        elif how == "closed":
            track(tracker, 25, how)
            tracker.close()
        elif how == "dropped":
            for _ in range(5):
                track(Tracker("dropped", make()), 5, how)
            del tracker
            import gc
            gc.collect()
        elif how == "flushed":
            track(tracker, 25, how)
            tracker.flush()
        elif how == "excepthook":
            sys.excepthook = lambda *_: track(tracker, 25, how)
            raise ZeroDivisionError
        elif how == "del":
            class Late:
                def __del__(self, track=track, tracker=tracker):
                    track(tracker, 25, how)
            late = Late()
            del late
        elif how == "registry":
            from snowplow_tracker import EmitterConfiguration, Snowplow
            config = EmitterConfiguration(
                batch_size=int(BATCH), emitter_class=type(tracker.emitters[0]), protocol="http")
            track(Snowplow.create_tracker("n", ENDPOINT, emitter_config=config), 25, how)
        elif how == "logging shut down":
            track(tracker, 25, how)
            atexit.register(logging.shutdown)
        elif how == "GET":
            track(Tracker("get", make(method="get")), 25, how)
        else:
            raise AssertionError(how)

    for how in HOW.split(", "):
        end(how)
"""
)


@pytest.mark.long
@pytest.mark.parametrize(
    "how",
    [
        "atexit before",
        "atexit first",
        "atexit creates",
        "excepthook",
        "logging shut down",
        # What disturbs none of the others comes in one program.
        "thread, sys.exit in thread, closed, dropped, flushed, del, registry, GET",
    ],
)
def test_unusual_ends(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, how: str
) -> None:
    """Events tracked by threads, by exit handlers or by emitters that nobody holds arrive, once."""
    done = run_program(TRACKED_LATE, emitter_class.__name__, collector.endpoint, 100, how)
    assert done.status == (1 if how == "excepthook" else 0), done
    arrived = Counter(event["page"] for event in collector.events())
    assert arrived == dict.fromkeys(how.split(", "), 25), done
    assert not collector.repeated
    assert "Traceback" not in done.errors


HECTIC = (
    START
    + """
    tracker = Tracker("exit", make(exit_timeout=1))

    def keep_tracking():
        while True:
            track(tracker, 1)
            time.sleep(0.001)

    for _ in range(4):
        threading.Thread(target=keep_tracking, daemon=True).start()
    time.sleep(0.3)
"""
)


@pytest.mark.long
def test_daemon_threads_that_track_during_the_end(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """Daemon threads that go on tracking while the interpreter goes down cause no crash, hang or noise."""
    done = run_program(HECTIC, emitter_class.__name__, collector.endpoint, 10, "")
    assert done.status == 0, done
    assert done.seconds < 4
    assert "Traceback" not in done.errors
    assert len(collector.arrived) > 25


MANY = (
    START
    + """
    for _ in range(20):
        track(Tracker("many", make(exit_timeout=1)), 3)
    print(time.monotonic())
"""
)


@pytest.mark.alone
def test_the_exit_deadline_is_for_all_emitters_together(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """Twenty emitters with a silent collector do not end one deadline after the other."""
    collector.behaviour = Answer(fault="silence")
    done = run_program(MANY, emitter_class.__name__, collector.endpoint, 100, "")
    assert done.status == 0, done
    assert done.ended - float(done.output) < 2.0
    assert "60" in done.errors or done.errors.count("3 events") == 20, done


STUBBED = """
    import sys
    from snowplow_tracker import AsyncEmitter, Emitter, Tracker

    for cls in (Emitter, AsyncEmitter, Tracker):
        kept = cls.__new__(cls)
        dropped = cls.__new__(cls)
        del dropped
    AsyncEmitter.__init__ = lambda self, *args, **kwargs: None
    stub = AsyncEmitter("x")
    import os
    child = os.fork()
    if child == 0:
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_objects_without_init_disturb_no_hook() -> None:
    """Emitters whose `__init__` was replaced by a stub break neither the exit, a fork nor their own end."""
    done = run_program(STUBBED)
    assert (done.status, done.errors) == (0, ""), done


INTERRUPTED = (
    START
    + """
    import signal
    track(Tracker("exit", make(exit_timeout=10)))
    signal.setitimer(signal.ITIMER_REAL, 0.7)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
"""
)


@pytest.mark.long
def test_a_second_ctrl_c_ends_the_wait_at_the_end(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """A Ctrl-C while the end waits for a silent collector ends the process at once."""
    collector.behaviour = Answer(fault="silence")
    done = run_program(INTERRUPTED, emitter_class.__name__, collector.endpoint, 100, "")
    assert done.in_time, done
    assert done.seconds < 4


EARLY_HANDLER = """
    import atexit, sys

    @atexit.register
    def late():
        for number in range(25):
            tracker.track(PageView("https://example.com/%d" % number))

    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker
    cls = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[sys.argv[1]]
    tracker = Tracker("exit", cls(sys.argv[2], protocol="http", batch_size=int(sys.argv[3])))
"""


@pytest.mark.parametrize("batch", [10, 100], ids=["above the batch", "below the batch"])
def test_an_exit_handler_that_runs_after_ours(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, batch: int
) -> None:
    """Events tracked by an exit handler from before the import, which runs last, arrive all the same."""
    done = run_program(EARLY_HANDLER, emitter_class.__name__, collector.endpoint, batch)
    assert done.status == 0, done
    assert len(collector.arrived) == 25, done
    assert not collector.repeated


@pytest.mark.parametrize("configured", ["", "logging.basicConfig(format='LOG %(message)s')"])
def test_closing_with_events_that_could_not_be_sent_is_told(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, configured: str
) -> None:
    """A program that closes its emitter in vain hears of it as one that just ends, also if it set up no logging."""
    collector.refuse()
    program = f"""
    import logging, sys
    import snowplow_tracker
    {configured}
    emitter = getattr(snowplow_tracker, sys.argv[1])(sys.argv[2], protocol="http", batch_size=100)
    tracker = snowplow_tracker.Tracker("closing", emitter)
    tracker.track(snowplow_tracker.PageView("https://example.com/"))
    assert emitter.close(timeout=0.1) == 1
    """
    done = run_program(program, emitter_class.__name__, collector.endpoint)
    assert done.status == 0, done
    said = [line for line in done.errors.splitlines() if "is closed" in line]
    prefix = "LOG " if configured else ""
    assert len(said) == 1
    assert said[0].startswith(f"{prefix}The emitter is closed with 1 event that could not be sent")
    assert collector.endpoint in said[0]
    assert "refused" in said[0]


@pytest.mark.alone
@pytest.mark.parametrize("end", ["", "tracker.close(timeout=2)", "tracker.flush(timeout=2)"])
def test_a_collector_that_is_gone_takes_no_time_from_another(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, end: str
) -> None:
    """The events of a collector that is well arrive, although one whose turn is earlier never answers."""
    with CollectorWithFaults() as gone:
        gone.behaviour = Answer(wait=30)
        program = f"""
        import sys
        from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker

        first = {emitter_class.__name__}(sys.argv[1], protocol="http", batch_size=100)
        second = Emitter(sys.argv[2], protocol="http", batch_size=100)
        tracker = Tracker("turns", [first, second])
        tracker.track(PageView("https://example.com/"))
        {end}
        """
        done = run_program(program, gone.endpoint, collector.endpoint)
    assert done.status == 0, done
    assert len(collector.arrived) == 1
    assert done.seconds < (2.5 if not end else 4.5) + 1


@pytest.mark.long
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_threads_that_go_on_in_a_multiprocessing_child(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, method: str
) -> None:
    """What threads of a child track after its exit hook, which runs before they are joined, arrives."""
    program = """
    import multiprocessing, sys, threading, time
    import snowplow_tracker

    def go_on(tracker):
        for _ in range(20):
            tracker.track(snowplow_tracker.PageView("https://example.com/"))
            time.sleep(0.005)

    def work(name, endpoint):
        emitter = getattr(snowplow_tracker, name)(endpoint, protocol="http")
        tracker = snowplow_tracker.Tracker("child", emitter)
        for _ in range(2):
            threading.Thread(target=go_on, args=(tracker,)).start()
        tracker.track(snowplow_tracker.PageView("https://example.com/"))

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        process = context.Process(target=work, args=sys.argv[2:])
        process.start()
        process.join(20)
        assert process.exitcode == 0, process.exitcode
    """
    done = run_program(program, method, emitter_class.__name__, collector.endpoint)
    assert done.status == 0, done
    assert len(collector.arrived) == 41


def test_ctrl_c_while_the_exit_waits_reports_what_is_dropped(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """An interrupt of the last sending ends the waiting, and each emitter's unsent events are reported."""
    collector.behaviour = Answer(fault="silence")
    program = """
    import signal
    emitters = [make(), make()]
    for emitter in emitters:
        track(Tracker("exit", emitter), 2)

    ending = threading.Event()
    atexit.register(ending.set)

    def interrupt():
        ending.wait()
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint, "10", "")
    assert done.errors.count("The program ends with 2 events") == 2, done
    assert done.seconds < 4, done


CLOSES_ALL_FILES = """
import os, select, socket, sys
from snowplow_tracker import Emitter, StructuredEvent, Tracker

emitter = Emitter(sys.argv[1], protocol="http", batch_size=1)
tracker = Tracker("shop", emitter)
tracker.track(StructuredEvent("shop", "before"))
os.closerange(3, 1000)
pairs = [socket.socketpair() for _ in range(10)]
tracker.track(StructuredEvent("shop", "after"))
emitter.close()
ends = [end for pair in pairs for end in pair]
print(select.select(ends, [], [], 0)[0], [end.send(b"x") for end in ends] == [1] * 20)
"""


@pytest.mark.skipif(
    not bypass.knows_requests(), reason="the connections are those of requests, which does not look"
)
def test_a_program_that_closes_all_its_files(collector: CollectorWithFaults) -> None:
    """A connection that the program closed under it is not used: what has its number now gets no events and stays open."""
    done = run_program(CLOSES_ALL_FILES, collector.endpoint)
    assert (done.status, done.output.strip(), done.errors) == (0, "[] True", ""), done
    assert len(collector.arrived) == 2
