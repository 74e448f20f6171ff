"""The rules of the locks: one order, and nothing of others under one. All tests run with locks that check the order."""

from __future__ import annotations

import logging
import threading
from typing import Any, Callable, List

import pytest

from snowplow_tracker import AsyncEmitter, InMemoryEventStore
from support import locks
from support.collector_with_faults import Answer, CollectorWithFaults
from support.inside import locking
from support.processes import run_program
from support.tracking import track_many


def take(lock: locking.Lock) -> None:
    with lock:
        pass


def test_a_lock_out_of_order_is_found() -> None:
    """The check names a lock that is taken under one that comes later or is of the same kind, and nothing else."""
    core, store, other = (
        locking.new_lock(locking.LockOrder.CORE),
        locking.new_lock(locking.LockOrder.STORE),
        locking.new_lock(locking.LockOrder.CORE),
    )
    with core, store, core:
        assert locks.held() == ["CORE", "STORE", "CORE"]
    assert not locks.violations
    with store, core:
        pass
    with core, other:
        pass
    with core:
        thread = threading.Thread(target=take, args=(other,))
        thread.start()
        thread.join()
    found = [violation.partition(" in ")[0] for violation in locks.violations]
    assert found == ["CORE was taken under STORE", "CORE was taken under CORE"]
    del locks.violations[:]


def test_an_import_or_a_connection_under_a_lock_is_found() -> None:
    """The check names what may take long and is done while a lock is held."""
    with locking.new_lock(locking.LockOrder.CORE), pytest.raises(ImportError):
        import no_module_of_this_name  # type: ignore[import-not-found] # noqa: F401
    assert [violation.partition(" in ")[0] for violation in locks.violations][:1] == [
        "import under CORE"
    ]
    del locks.violations[:]


class LookingStore(InMemoryEventStore):
    """A store of the user's, which looks at the locks that it is called under."""

    thread_safe = False
    seen: List[str]

    def add_event(self, payload: Any) -> bool:
        self.seen += locks.held()
        return super().add_event(payload)

    def get_events_batch(self, *, max_events: Any = None) -> Any:
        self.seen += locks.held()
        return super().get_events_batch(max_events=max_events)

    def cleanup(self, batch: Any, need_retry: bool) -> None:
        self.seen += locks.held()
        super().cleanup(batch, need_retry)

    def size(self) -> int:
        self.seen += locks.held()
        return super().size()


@pytest.mark.parametrize("own_store", [False, True])
def test_callbacks_stores_and_requests_come_without_a_lock(
    make: Callable[..., Any], collector: CollectorWithFaults, own_store: bool
) -> None:
    """Whatever becomes of events, no lock is held while a store, a callback or a request of the user's runs."""
    seen: List[str] = []
    calls: List[str] = []

    def noting(name: str) -> Callable[..., None]:
        def callback(*_: object) -> None:
            calls.append(name)
            seen.extend(locks.held())

        return callback

    options = {name: noting(name) for name in ("on_success", "on_failure", "on_drop")}
    if own_store:
        store = LookingStore(logging.getLogger("of the user"), 3)
        store.seen = seen
        options["event_store"] = store  # type: ignore[assignment]
    emitter = make(
        batch_size=2, max_retries=1, buffer_capacity=3, overflow="drop_newest", **options
    )
    make_request = emitter.request_method.post

    def post(*arguments: Any, **named: Any) -> Any:
        seen.extend(locks.held())
        return make_request(*arguments, **named)

    emitter.request_method.post = post
    for status in (200, 503, 422):
        collector.behaviour = lambda *_, status=status: Answer(status=status)
        track_many(emitter, 9)
        emitter.sync_flush(timeout=0.3)
    emitter.close(timeout=0)
    assert {*calls} == {"on_success", "on_failure", "on_drop"}
    assert not seen
    assert isinstance(emitter, AsyncEmitter) or emitter.stats().queued == 0


def test_a_change_of_state_that_takes_no_lock_is_not_missed() -> None:
    """A thread that is about to wait is woken by a change that comes while it checks the state."""
    signal = locking.Signal(locking.new_lock(locking.LockOrder.CORE))

    def check() -> bool:
        signal.notify()  # what another thread may do at this moment
        return False

    assert signal.wait(check, timeout=5)
    assert not signal.waiting


REPLACED = """
import gc, sys, threading, _thread
from snowplow_tracker import AsyncEmitter, Emitter, StructuredEvent, Tracker

emitter = {emitter}
tracker = Tracker("shop", emitter)
tracker.track(StructuredEvent("shop", "before"))
for thing in gc.get_objects():
    if str(type(thing).__module__).startswith("snowplow_tracker"):  # a few types have a descriptor there
        for name, value in [*getattr(thing, "__dict__", {{}}).items()]:
            if isinstance(value, _thread.RLock):
                setattr(thing, name, threading._PyRLock())
for _ in range(5):
    tracker.track(StructuredEvent("shop", "after"))
print(emitter.flush(timeout=5), emitter.stats().sent)
tracker.track(StructuredEvent("shop", "the last"))
"""


@pytest.mark.parametrize(
    "emitter", ['Emitter(sys.argv[1], protocol="http")', "AsyncEmitter(sys.argv[1])"]
)
def test_locks_that_are_replaced(emitter: str, collector: CollectorWithFaults) -> None:
    """The library eventlet puts Python's own locks in the place of those made before it patched: all events arrive as before."""
    done = run_program(REPLACED.format(emitter=emitter), collector.endpoint)
    assert (done.status, done.output.split()) == (0, ["0", "6"]), done
    assert len(collector.arrived) == 7
