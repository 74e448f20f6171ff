"""Libraries that start processes. Most of their children end by `os._exit`, after finalizers of their own."""

from __future__ import annotations

import pytest

from support.collector_with_faults import CollectorWithFaults
from support.processes import run_program
from support.servers import need_library

START = """
    import os, sys, time
    from snowplow_tracker import AsyncEmitter, Emitter, StructuredEvent, Tracker

    cls = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[sys.argv[1]]
    tracker = Tracker("pool", cls(sys.argv[2], batch_size=10, flush_interval=60))
    METHOD = sys.argv[3] if len(sys.argv) > 3 else None

    def work(number=0):
        tracker.track(StructuredEvent("pool", "work"))
        return number

    def work_five_times():
        for number in range(5):
            work(number)
"""

PROCESSES = (
    START
    + """
    if __name__ == "__main__":
        context = library.get_context(METHOD)
        children = [context.Process(target=work_five_times) for _ in range(5)]
        for child in children:
            child.start()
        for child in children:
            child.join(30)
            assert child.exitcode == 0, child.exitcode
"""
)
POOL = (
    START
    + """
    if __name__ == "__main__":
        pool = library.get_context(METHOD).Pool(2, maxtasksperchild=7)
        assert list(pool.map(work, range(25), chunksize=1)) == list(range(25))
        pool.close()
        pool.join()
"""
)
EXECUTOR = (
    START
    + """
    if __name__ == "__main__":
        import concurrent.futures, multiprocessing
        context = multiprocessing.get_context(METHOD)
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            assert list(pool.map(work, range(25))) == list(range(25))
"""
)


@pytest.mark.parametrize("emitter", ["Emitter", "AsyncEmitter"])
@pytest.mark.parametrize("kind", ["Process", "Pool"])
@pytest.mark.parametrize(
    ("library", "method"),
    [
        ("multiprocessing", "fork"),
        pytest.param("multiprocessing", "spawn", marks=pytest.mark.long),
        # It pickles the functions of a spawned program by value, and with them the tracker, which cannot be pickled.
        ("multiprocess", "fork"),
        ("billiard", "fork"),
        ("billiard", "spawn"),
    ],
)
def test_processes_and_pools(
    collector: CollectorWithFaults, library: str, method: str, kind: str, emitter: str
) -> None:
    """25 of 25 events arrive from children of multiprocessing and of the libraries that were made of it."""
    need_library(library)
    program = {"Process": PROCESSES, "Pool": POOL}[kind]
    program = f"    import {library} as library" + program
    done = run_program(program, emitter, collector.url, method)
    assert done.status == 0, done
    assert len(collector.arrived) == 25, done
    assert not collector.repeated


@pytest.mark.parametrize("emitter", ["Emitter", "AsyncEmitter"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_process_pool_executor(collector: CollectorWithFaults, method: str, emitter: str) -> None:
    """25 of 25 events arrive from `concurrent.futures`."""
    done = run_program(EXECUTOR, emitter, collector.url, method)
    assert done.status == 0, done
    assert len(collector.arrived) == 25, done
    assert not collector.repeated


@pytest.mark.parametrize("emitter", ["Emitter", "AsyncEmitter"])
@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_joblib(collector: CollectorWithFaults, backend: str, emitter: str) -> None:
    """25 of 25 events arrive from joblib's workers, which are not waited for when the program ends."""
    need_library("joblib")
    program = """
    import sys
    import joblib
    from snowplow_tracker import AsyncEmitter, Emitter, StructuredEvent, Tracker

    def work(number, made=[]):
        if not made:
            cls = {"Emitter": Emitter, "AsyncEmitter": AsyncEmitter}[sys.argv[1]]
            made.append(Tracker("pool", cls(sys.argv[2], batch_size=100, flush_interval=60)))
        made[0].track(StructuredEvent("pool", "work"))
        return number

    if __name__ == "__main__":
        calls = [joblib.delayed(work)(number) for number in range(25)]
        assert joblib.Parallel(n_jobs=2, backend=sys.argv[3])(calls) == list(range(25))
    """
    done = run_program(program, emitter, collector.url, backend)
    assert done.status == 0, done
    assert len(collector.arrived) == 25, done
    assert not collector.repeated
