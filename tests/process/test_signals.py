"""`flush_on_sigterm()`: signals that would end the process at once."""

from __future__ import annotations

import signal
import threading
from typing import Type

import pytest

from snowplow_tracker import flush_on_sigterm
from snowplow_tracker.emitters import AsyncEmitter, Emitter
from support.collector_with_faults import Answer, CollectorWithFaults, in_turn
from support.processes import Finished, run_program

START = """
    import os, signal, sys, tempfile, threading, time
    import snowplow_tracker
    from snowplow_tracker import AsyncEmitter, Emitter, PageView, Tracker, flush_on_sigterm

    cls = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[sys.argv[1]]
    emitter = cls(sys.argv[2], protocol="http", batch_size=100, flush_interval=60, exit_timeout=5)
    tracker = Tracker("signals", emitter)

    def track(count=25):
        for number in range(count):
            tracker.track(PageView("https://example.com/%d" % number))

    def end(number=signal.SIGTERM):
        os.kill(os.getpid(), number)
        time.sleep(5)
"""


def check_that_all_arrived(done: Finished, collector: CollectorWithFaults) -> None:
    """Check that a program ended without an error, and that its 25 events arrived once each."""
    assert done.status == 0, done
    assert len(collector.arrived) == 25
    assert not collector.repeated


@pytest.mark.long
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_the_default_action_comes_after_the_events(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, name: str
) -> None:
    """25 of 25 events arrive, and the process ends by the signal, as its parent expects."""
    program = f"""
    flush_on_sigterm(signal.{name})
    track()
    end(signal.{name})
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint)
    assert done.status == -getattr(signal, name), done
    assert len(collector.arrived) == 25
    assert done.errors == ""


def test_an_earlier_handler_is_called_with_the_signal(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """The program's own handler runs after the events were sent; what it tracks, and what comes later, is sent too."""
    program = """
    def stop(number, frame):
        print(number, emitter.stats().sent, frame.f_code.co_name)
        track(1)

    signal.signal(signal.SIGTERM, stop)
    flush_on_sigterm()
    flush_on_sigterm()  # twice is once
    track()
    os.kill(os.getpid(), signal.SIGTERM)
    track(1)
    os._exit(0)  # as uvicorn ends by the signal, without exit hooks
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint)
    assert done.status == 0, done
    assert done.output.split() == ["15", "25", "<module>"]
    assert len(collector.arrived) == 27


def test_a_handler_that_is_installed_later_and_calls_ours(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """Handlers that chain to each other in a circle do not call each other for ever."""
    program = """
    flush_on_sigterm()
    ours = signal.getsignal(signal.SIGTERM)
    calls = []

    def wraps(number, frame):
        calls.append(number)
        ours(number, frame)

    signal.signal(signal.SIGTERM, wraps)
    flush_on_sigterm()
    track()
    end()
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint)
    assert done.status == -signal.SIGTERM, done
    assert len(collector.arrived) == 25


@pytest.mark.parametrize("handler", ["signal.SIG_IGN", "lambda *_: None"])
def test_a_program_that_goes_on_is_left_alone(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, handler: str
) -> None:
    """An ignored signal stays ignored; after a SIGHUP that reloads something the program sends as before."""
    program = f"""
    signal.signal(signal.SIGHUP, {handler})
    flush_on_sigterm(signal.SIGHUP)
    track(3)
    os.kill(os.getpid(), signal.SIGHUP)
    track(3)
    assert emitter.stats().queued >= 3, emitter.stats()
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint)
    assert done.status == 0, done
    assert len(collector.arrived) == 6


def test_a_program_that_goes_on_loses_nothing_to_an_outage(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """Events that cannot be sent at a SIGHUP that reloads something are kept, and sent later."""
    collector.behaviour = in_turn(Answer(status=503), Answer(status=503))
    program = """
    emitter.exit_timeout = 0.2
    signal.signal(signal.SIGHUP, lambda *_: None)
    flush_on_sigterm(signal.SIGHUP)
    track(3)
    os.kill(os.getpid(), signal.SIGHUP)
    assert not emitter.stats().dropped, emitter.stats()
    emitter.exit_timeout = 10
    assert emitter.sync_flush(timeout=10) == 0
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint)
    assert done.status == 0, done
    assert len(collector.arrived) == 3


@pytest.mark.long
def test_ctrl_c_is_still_a_keyboard_interrupt(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """SIGINT sends and then raises KeyboardInterrupt, which a program may catch and go on from."""
    program = """
    flush_on_sigterm(signal.SIGINT)
    track(3)
    try:
        end(signal.SIGINT)
    except KeyboardInterrupt:
        print("caught")
    track(3)
    assert emitter.stats().queued == 3, emitter.stats()
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint)
    assert (done.status, done.output) == (0, "caught\n"), done
    assert len(collector.arrived) == 6


@pytest.mark.long
def test_a_signal_in_the_middle_of_a_request(collector: CollectorWithFaults) -> None:
    """The events of the request that it interrupts are sent as well, and the process ends in time."""
    calls = []

    def behave(request: object) -> Answer:
        calls.append(request)
        return Answer(fault="silence", keeps=False) if len(calls) == 1 else Answer()

    collector.behaviour = behave
    program = """
    flush_on_sigterm()
    track(24)

    def end_when_it_is_under_way():
        while emitter.stats().in_flight != 25:
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_when_it_is_under_way, daemon=True).start()
    tracker.track(PageView("https://example.com/"))
    emitter.flush()
    """
    done = run_program(START + program, "Emitter", collector.endpoint)
    assert done.status == 128 + signal.SIGTERM, done
    assert len(collector.arrived) == 25, done
    assert done.seconds < 5


@pytest.mark.alone
def test_a_second_signal_ends_at_once(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """Who sends SIGTERM again, while a silent collector is waited for, does not wait for `exit_timeout`."""
    collector.behaviour = Answer(fault="silence")
    program = """
    flush_on_sigterm()
    track()
    for delay in (0.2, 0.6):
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGTERM)).start()
    time.sleep(10)
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint)
    assert done.status == -signal.SIGTERM, done
    assert done.seconds < 3


@pytest.mark.alone
def test_a_collector_that_is_down_delays_the_end_by_exit_timeout_at_most(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """The events that could not be sent are told, and the process ends by the signal in time."""
    collector.refuse()
    program = """
    emitter.exit_timeout = 0.5
    flush_on_sigterm()
    track()
    end()
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint)
    assert done.status == -signal.SIGTERM, done
    assert "25 events" in done.errors
    assert "Traceback" not in done.errors
    assert done.seconds < 3


@pytest.mark.long
def test_the_workers_of_a_pool_that_is_terminated(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """`with Pool() as pool` ends its workers by SIGTERM: their events arrive without any line of ours."""
    program = """
    import multiprocessing

    def work(number):
        track(1)

    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(work, range(25), chunksize=1)
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint)
    check_that_all_arrived(done, collector)


@pytest.mark.parametrize("parent", ["does nothing", "calls flush_on_sigterm()"])
def test_a_worker_that_cannot_run_handlers_is_terminated(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, parent: str
) -> None:
    """A worker in C code, as where it waits for tasks, ends with its pool, and its events arrive."""
    program = """
    import hashlib, multiprocessing

    def work(started):
        track()
        started.set()
        hashlib.pbkdf2_hmac("sha512", b"", b"", 200_000_000)

    context = multiprocessing.get_context("fork")
    if "flush_on_sigterm" in sys.argv[3]:
        flush_on_sigterm()
    with context.Manager() as manager:
        started = manager.Event()
        with context.Pool(1) as pool:
            pool.apply_async(work, (started,))
            assert started.wait(10)
            time.sleep(0.3)
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint, parent)
    check_that_all_arrived(done, collector)
    assert done.seconds < 8


@pytest.mark.parametrize("method", ["os.fork", "subprocess"])
def test_a_child_of_a_worker_ends_by_sigterm(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, method: str
) -> None:
    """SIGTERM ends a process that a task starts, and not the worker that started it."""
    program = """
    import multiprocessing, subprocess

    def fork():
        child = os.fork()
        if not child:
            time.sleep(20)
            os._exit(1)
        time.sleep(0.3)
        os.kill(child, signal.SIGTERM)
        return os.waitpid(child, 0)[1]

    def start():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"])
        time.sleep(0.3)
        child.terminate()
        return -child.wait()

    def work(_):
        track(5)
        return {"os.fork": fork, "subprocess": start}[sys.argv[3]](), os.getpid()

    with multiprocessing.get_context("fork").Pool(1) as pool:
        results = pool.map(work, range(5), chunksize=1)
    assert results == [(signal.SIGTERM, results[0][1])] * 5, results
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint, method)
    check_that_all_arrived(done, collector)


def test_an_event_loop_in_a_task_may_handle_signals(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """A worker whose task runs an event loop with handlers for other signals ends with its pool, and sends."""
    program = """
    import asyncio, multiprocessing

    async def serve():
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)
        track(5)
        await asyncio.sleep(20)

    def work(number):
        if number == 4:
            asyncio.run(serve())
        track(5)

    with multiprocessing.get_context("fork").Pool(1) as pool:
        results = pool.imap(work, range(5))
        for _ in range(4):
            next(results)
        time.sleep(0.5)
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint)
    check_that_all_arrived(done, collector)
    assert done.seconds < 8


def test_the_other_workers_of_an_executor_that_is_broken(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """When a worker of a `ProcessPoolExecutor` dies, the others are terminated, and their events arrive."""
    program = """
    import concurrent.futures, multiprocessing

    def work(path):
        track()
        open(path, "w").close()
        time.sleep(20)

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "started")
        context = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            pool.submit(work, path)
            while not os.path.exists(path):
                time.sleep(0.01)
            try:
                pool.submit(die).result(10)
            except concurrent.futures.process.BrokenProcessPool:
                print("broken")
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint)
    assert done.status == 0, done
    assert done.output.strip() == "broken", done
    assert len(collector.arrived) == 25
    assert not collector.repeated
    assert done.seconds < 8


@pytest.mark.parametrize(
    "then", ["calls flush_on_sigterm()", "has a handler that calls the earlier one"]
)
def test_a_task_that_handles_sigterm_as_well(
    emitter_class: Type[Emitter], collector: CollectorWithFaults, then: str
) -> None:
    """A terminated pool ends and sends, also if a task asked for that after its first event."""
    program = """
    import multiprocessing

    def work(_):
        track(5)
        if "flush" in sys.argv[3]:
            flush_on_sigterm()
        else:
            earlier = signal.getsignal(signal.SIGTERM)
            signal.signal(signal.SIGTERM, lambda number, frame: earlier(number, frame))

    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.map(work, range(5), chunksize=1)
        pool.apply_async(time.sleep, (20,))
        time.sleep(0.3)
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint, then)
    check_that_all_arrived(done, collector)
    assert done.seconds < 8


def test_a_task_may_handle_sigterm(
    emitter_class: Type[Emitter], collector: CollectorWithFaults
) -> None:
    """A handler that a task installs is the only one that runs; afterwards a terminated pool still sends."""
    program = """
    import multiprocessing

    def work(_):
        track(5)
        seen = []
        earlier = signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)
        signal.signal(signal.SIGTERM, earlier)
        return seen, os.getpid()

    with multiprocessing.get_context("fork").Pool(1) as pool:
        results = pool.map(work, range(5), chunksize=1)
    assert results == [([1], results[0][1])] * 5, results
    """
    done = run_program(START + program, emitter_class.__name__, collector.endpoint)
    check_that_all_arrived(done, collector)


@pytest.mark.long
def test_asyncio_still_hears_of_the_signal(collector: CollectorWithFaults) -> None:
    """Handlers of an event loop run, whether they were installed before or after."""
    program = """
    import asyncio

    async def main():
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        flush_on_sigterm()
        track()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stopped.wait(), 5)
        print(emitter.stats().sent)

    asyncio.run(main())
    """
    done = run_program(START + program, AsyncEmitter.__name__, collector.endpoint)
    assert (done.status, done.output) == (0, "25\n"), done


def test_outside_the_main_thread_it_says_what_to_do() -> None:
    """Python allows signal handlers in the main thread only, and the error says so."""
    raised = []

    def call() -> None:
        try:
            flush_on_sigterm()
        except RuntimeError as error:
            raised.append(str(error))

    thread = threading.Thread(target=call, name="worker-7")
    thread.start()
    thread.join()
    assert "main thread" in raised[0]
    assert "worker-7" in raised[0]


@pytest.mark.parametrize("number", [signal.SIGKILL, 0, 10_000, "SIGTERM", None])
def test_what_is_no_signal_is_refused(number: object) -> None:
    """A number that is no signal, or one that cannot be handled, is named, and nothing is installed."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match=r"SIGKILL|0|SIGTERM|None"):
        flush_on_sigterm(number)  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGTERM) is before
