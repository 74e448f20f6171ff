"""The engine under every emitter: it connects intake, sending, flushing and closing. The package shows it in a diagram.

`Engine` and its parts use an emitter only as a `Sender`, and hold only a weak reference to it.
"""

from __future__ import annotations

import logging
import sys
import weakref
from functools import partial
from typing import Any, Callable, Optional, cast

from snowplow_tracker._compat.store_in_use import StoreInUse
from snowplow_tracker._delivery import unreported
from snowplow_tracker._delivery.counts import Progress
from snowplow_tracker._delivery.flushing import AutomaticFlush, Flushing
from snowplow_tracker._delivery.intake import Intake
from snowplow_tracker._delivery.retry import RetryPolicy, fresh_random
from snowplow_tracker._delivery.sender import Owner, Sender
from snowplow_tracker._delivery.sending import Dispatch, Sending
from snowplow_tracker._delivery.settlement import Settlement, StoreAccess, passes_on
from snowplow_tracker._delivery.state import Batch, Core, Phase, permit_in_use
from snowplow_tracker._delivery.stats import DeliveryStats, EmitterState
from snowplow_tracker._delivery.threads import Workers
from snowplow_tracker._delivery.worker_loop import WorkerLoop
from snowplow_tracker._http.endpoint import redact
from snowplow_tracker._messages import events_text
from snowplow_tracker._process import exit as process_exit
from snowplow_tracker._process.clock import monotonic
from snowplow_tracker.event_store import EventStore
from snowplow_tracker.typing import PayloadDict, PayloadDictList

logger = logging.getLogger("snowplow_tracker.emitters")


class Engine:
    """Delivers the events of one emitter.

    Args:
        owner: A weak reference to the emitter.
        flush_interval: Seconds after which events are sent although the batch is not full; None for never.
        thread_count: Maximum number of worker threads; 0 to send in the threads that call it.
        sends: False if another process sends.
        waits: Whether a thread that tracks makes room, or waits for it, while the collector accepts events.
        clock: Monotonic seconds.
        random: Numbers from 0 to 1.
        policy: When to retry.
    """

    def __init__(
        self,
        owner: Owner,
        *,
        flush_interval: Optional[float] = None,
        thread_count: int = 0,
        sends: bool = True,
        waits: bool = False,
        clock: Callable[[], float] = monotonic,
        random: Callable[[], float] = fresh_random,
        policy: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
    ) -> None:
        self._owner = owner
        self.sends = sends
        """Whether this process sends."""
        self._clock = clock
        self._random = random
        self._policy = policy
        self.store: StoreAccess
        """The store."""
        self._is_finalizing = self._is_collected = False
        background = thread_count > 0
        self.core = Core(policy, clock, random)
        self._settlement = Settlement(self.core, owner, in_background=background)
        self._intake = Intake(
            self.core,
            self._settlement,
            owner,
            waits=waits and sends,
            has_workers=self._has_workers,
            clock=clock,
        )
        self._dispatch = Dispatch(self._settlement, in_background=background)
        self._sending = Sending(self.core, self._settlement, self._dispatch, owner, wake=self._wake)
        self._flushing = Flushing(
            self.core, self._sending, self._settlement, owner, look=self._look, wake=self._wake
        )
        self.loop = WorkerLoop(
            self.core,
            self._sending,
            self._settlement,
            owner,
            flush_interval=flush_interval,
            look=self._look,
        )
        """The work of the worker threads, for a thread of the user that calls `consume`."""
        self.workers = (
            Workers(thread_count, self.loop.run, self._wake_all) if thread_count else None
        )
        self.deliver = self._sending.deliver
        """Sends events in requests of bounded size, and settles each: the work of `Emitter.send_events`."""
        self.unsent = self._settlement.unsent
        """Returns the number of events that are not delivered yet."""

    # Life

    @property
    def state(self) -> EmitterState:
        """The state of the emitter."""
        return self.core.life

    def use_store(self, store: EventStore, *, as_text: bool) -> None:
        """Set the store. What waits in an earlier `InMemoryEventStore`, from which nothing would be sent, moves to it.

        Args:
            store: The store.
            as_text: Whether the values of events have to become strings.
        """
        reference = weakref.ref(self)  # the store may outlive the emitter

        def on_overflow(events: PayloadDictList) -> None:
            engine = reference()
            if engine is not None and not engine.is_collected():
                engine._settlement.overflowed(events, queued=True)

        def on_lost(count: int, what: str) -> None:
            engine = reference()
            if engine is not None and not engine.is_collected():
                engine._settlement.lost(count, what)

        earlier: Optional[StoreAccess] = getattr(self, "store", None)
        self.store = self._settlement.store = StoreAccess(
            store, on_overflow, on_lost, as_text=as_text
        )
        if earlier is not None:
            counts, in_flight = self.core.snapshot()
            self.store.count_from_outside(counts.settled + in_flight)
            if earlier.store is not store and earlier.is_in_memory_alone():
                self._move_events(earlier)

    def _move_events(self, earlier: StoreAccess) -> None:
        batch = Batch(0)
        try:
            earlier.take(batch, sys.maxsize)
            earlier.acknowledge(batch.events, batch, Progress({}))
        except Exception as error:
            if passes_on(error):
                raise
            logger.exception("The event store that was replaced raised an error.")
        for event in batch.events:
            self.add(event)

    def visible_store(self) -> EventStore:
        """Return the store as users see it: while they send events, it has the engine settle them."""
        store = self.store.store
        if self.core.permits_out:
            permit = permit_in_use(self.core)
            if permit is not None and permit.batch.progress.open:
                return cast("EventStore", StoreInUse(store, self._sending.settle))
        return store

    def note_failure(self) -> None:
        """Note that an attempt that a user made failed."""
        permit = permit_in_use(self.core)
        if permit is not None:
            self._settlement.note_failure(permit)
            return
        self._settlement.failed(None, self.core.breaker.generation)
        self._settlement.count_failed_attempts(1)

    def note_success(self) -> None:
        """Note that an attempt that a user made succeeded."""
        self.core.succeeded()

    def size_in_bytes(self, event: PayloadDict) -> int:
        """Return the size of an event in a POST; 0 if it cannot be encoded, and will be dropped when it is sent."""
        try:
            return len(self._dispatch.encoder.encode(event))
        except Exception as error:
            if passes_on(error):
                raise
            return 0

    def after_fork(self) -> None:
        """Start again in a forked child, without what the parent is sending."""
        was_closed = self.state is EmitterState.CLOSED
        self.core.set_up_locks()  # a function of this thread may still be using it
        core = Core(self._policy, self._clock, self._random)
        self.core = self._settlement.core = self._sending.core = core
        self._flushing.core = self.loop.core = core
        self._intake.after_fork(core)
        if was_closed:
            core.life = EmitterState.CLOSED
        if self.workers is not None:
            self.workers.forget()
        self.store.reset_after_fork()

    def stop(self) -> None:
        """End the worker threads: the emitter was collected."""
        if sys.is_finalizing():
            return  # a stopped thread may hold the lock for ever
        self._is_collected = True
        # Without the lock: a finalizer runs anywhere, also where another emitter's store is locked.
        self.core.life = EmitterState.CLOSED
        self._wake_all()

    def revive(self, sender: Sender) -> None:
        """Continue after the emitter was collected, because a finalizer tracks with it."""
        self._owner.refer_to(sender)
        self._is_collected = False
        if self._intake.accepts:
            self.core.life = EmitterState.ACTIVE

    def is_collected(self) -> bool:
        """Return whether the emitter was collected, so that only a finalizer can be using it."""
        return self._is_collected or self._owner.is_gone()

    def _wake_all(self) -> None:
        self.core.wake_all()

    def recover_stopped_threads(self) -> None:
        """Take over from the threads that the interpreter stopped during shutdown, so that nothing waits for them."""
        if not self._is_finalizing and sys.is_finalizing():
            self._is_finalizing = True
            for batch in self.core.renew_after_the_end():
                self._sending.requeue_orphan(batch)

    # Intake

    def add(self, event: PayloadDict) -> bool:
        """Queue an event. An error of the store is logged; an interrupt is raised.

        Returns:
            Whether the caller should flush if the batch is full.
        """
        core = self.core
        if not self._intake.add(event):
            return False
        if core.demand.phase is not Phase.AWAKE:
            self._wake()
        if process_exit.is_exiting:
            self._send_at_the_end()
        if not self._intake.accepts:  # closed meanwhile: the event would stay in the store
            self.abandon()
            return False
        return (
            self.sends
            and not core.breaker.failing
            and (self.workers is None or not core.demand.wanted)
        )

    def _send_at_the_end(self) -> None:
        """Send what was tracked after the process began to end, and drop what cannot be sent now."""
        self.recover_stopped_threads()
        try:
            process_exit.finish(self._owner.get())
        except Exception as error:
            if not passes_on(error):
                self.abandon()
            raise

    def _wake(self) -> None:
        """Note that there are events. The emitter stays alive until they are settled.

        Raises:
            ReferenceError: The emitter was collected, and a finalizer tracks with it.
        """
        sender = self._owner.get()
        if self._is_collected:
            raise ReferenceError("The emitter was collected.")
        core = self.core
        if core.life is EmitterState.NEW:
            core.life = EmitterState.ACTIVE
        if self.sends:
            process_exit.prepare()
            core.wake(partial(process_exit.hold, sender))
        else:
            core.wake(bool)
        if self.workers is not None:
            self.workers.ensure_started()

    def _look(self) -> bool:
        """Release the emitter if no event is left; return whether that is so."""
        core = self.core
        if core.demand.phase is Phase.ASLEEP:
            return True
        if not core.begin_to_look():
            return False
        empty = self._settlement.is_empty()
        return core.looked(empty=empty, release=partial(process_exit.release, self._owner.get()))

    def _has_workers(self) -> bool:
        return self.workers is not None and self.workers.alive()

    # Flushing and closing

    def request_flush(self) -> int:
        """Ask the worker threads to send what is queued now; return the number of events that are not delivered yet."""
        core = self.core
        core.enter()
        queued = self._settlement.size()
        if queued:
            core.want(queued, forced=True)
            if core.demand.phase is not Phase.AWAKE:
                self._wake()  # the store has events of an earlier process
            elif self.workers is not None:
                self.workers.ensure_started()
            if not self._has_workers():
                core.want_nothing()  # no thread can send them; the next full batch asks again
        return core.unsent(queued)

    def flush_soon(self) -> int:
        """Ask the worker threads to send; if there are none, send in the calling thread."""
        unsent = self.request_flush()
        if unsent and self.workers is not None and not self.workers.alive():
            return self.flush_here(None)
        return unsent

    def flush_by_workers(self, flush: Callable[[], Any], timeout: Optional[float]) -> int:
        """Ask for a flush, and wait until what is queued now is settled, an attempt failed, or `timeout` is over."""
        if self.core.enter() is not None:
            return self.unsent()

        def ask() -> None:
            flush()
            self.request_flush()  # a user's override of `flush` may not have asked for it

        if self.workers is not None and not sys.is_finalizing():
            self.workers.ensure_started()
            if self.workers.alive():
                deadline = None if timeout is None else self._clock() + timeout
                unsent = self._flushing.by_workers(ask, timeout, self.workers.alive)
                if not unsent or self.workers.alive():
                    return unsent
                timeout = None if deadline is None else max(0.0, deadline - self._clock())
        ask()
        return self.flush_here(timeout)

    def flush_here(self, timeout: Optional[float]) -> int:
        """Send what is queued now in the calling thread, until an attempt fails or `timeout` is over."""
        permit = self.core.enter()
        if permit is not None:
            permit.flush_again = True
            return self.unsent()
        return self._flushing.here(timeout)

    def close(self, timeout: float, *, final: bool = True) -> int:
        """Send what is queued within `timeout` seconds; then, if `final`, close the emitter and its store."""
        self.core.enter()
        if self.state is EmitterState.CLOSED:
            return 0
        self.core.life = EmitterState.CLOSING
        deadline = self._clock() + timeout
        if self.sends:
            if self.workers is not None and not self.is_inside():
                self.flush_by_workers(self.request_flush, timeout)
            else:
                self.flush_here(timeout)
        if not final:
            self.core.life = EmitterState.ACTIVE
            return self.unsent()
        self._intake.accepts = False
        process_exit.release(self._owner.get())
        self.core.set_life(EmitterState.CLOSED)
        core = self.core
        while core.ledger.in_flight() and not self.is_inside():
            # Events that were tracked meanwhile are being sent.
            rest = deadline - self._clock()
            if rest <= 0 or not core.changed.wait(lambda: not core.ledger.in_flight(), rest):
                break
        unsent = self.unsent()
        if unsent and self.sends:
            self.warn_unsent("The emitter is closed", unsent)
        self.abandon()
        for line in unreported.take_summary(redact(self._owner.get().endpoint)):
            unreported.warn("%s", line)
        self.store.close()
        return unsent

    def warn_unsent(self, what: str, count: int) -> None:
        """Warn of events that could not be sent, with the endpoint and the last error."""
        reason = self._settlement.last_reason
        unreported.warn(
            "%s with %s that could not be sent to %s%s.%s",
            what,
            events_text(count),
            redact(self._owner.get().endpoint),
            f" ({reason})" if reason else "",
            f" The store keeps {'it' if count == 1 else 'them'}." if self.store.durable else "",
        )

    def warn_of_rest(self, what: str) -> None:
        """Warn of all events that are not delivered yet, if this process sends them."""
        unsent = self.unsent() if self.sends else 0
        if unsent:
            self.warn_unsent(what, unsent)

    def abandon(self) -> None:
        """Drop the events in a store that is not durable."""
        if self.store.durable:
            return
        self._sending.abandon()
        self._look()

    def stats(self) -> DeliveryStats:
        """Take a snapshot of the counters."""
        self._sending.recover_lost()
        return self._settlement.stats()

    def deadline(self) -> Optional[float]:
        """Return the deadline of the flush in which this thread makes a request; None for no deadline."""
        permit = permit_in_use(self.core)
        return None if permit is None else permit.deadline

    def is_inside(self) -> bool:
        """Return whether the calling code runs within a delivery, as a callback or a signal handler."""
        return permit_in_use(self.core) is not None

    def ask_for_retry(self) -> bool:
        """Ask the worker threads to send once the delay after a failure is over; return False if there are none."""
        if self.workers is None:
            return False
        self.workers.ensure_started()
        if not self.workers.alive():
            return False
        if not self.core.demand.wanted:
            self.core.want(1)
        return True

    def retry_pending(self) -> bool:
        """Return whether events wait for a timer: for the next attempt after a failure, or left by an automatic flush."""
        core = self.core
        return (core.breaker.failing or core.has_backlog) and core.demand.phase is not Phase.ASLEEP

    def schedule_retry(self, start_timer: Callable[[float], object]) -> None:
        """Start a timer with the seconds until the next attempt, if one is pending."""
        if process_exit.is_exiting:  # the exit hook retries itself, and no thread may start now
            return
        if self.retry_pending() and self.state is not EmitterState.CLOSED:
            start_timer(max(0.01, self.core.breaker.wait(forced=False)))

    def retry_full_batch(self, is_full: Callable[[], bool]) -> None:
        """Have the worker threads retry a full batch; without any, retry here once the delay after a failure is over."""
        if not self.retry_pending() or self.state is EmitterState.CLOSED:
            return
        if is_full() and not self.ask_for_retry() and self.core.breaker.wait(forced=False) <= 0:
            with AutomaticFlush(self.core, one_batch=True):
                self.flush_here(None)

    def flush_by_timer(self, flush: Callable[[], object]) -> None:
        """Flush, unless the delay after a failure is not over."""
        if not (self.core.breaker.failing and self.core.breaker.wait(forced=False) > 0):
            with AutomaticFlush(self.core):
                flush()

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed."""
        return self.core.breaker.failing

    @property
    def retry_delay(self) -> float:
        """Seconds from the last failed attempt to the next; 0 if the last attempt succeeded."""
        return self.core.breaker.delay

    @retry_delay.setter
    def retry_delay(self, seconds: float) -> None:
        self.core.set_delay(seconds)

    def end_call(self) -> None:
        """End a call from outside: release the lock if an interrupt has just left it locked."""
        self.core.release_leaked_lock()

    # The end of the program

    def begin_to_finish(self) -> bool:
        """Start to send without waiting, so that several emitters send at the same time; return False without threads."""
        if self.workers is None:
            return False
        self.request_flush()
        return True

    def try_to_finish(self, timeout: float) -> None:
        """Send what is queued within `timeout` seconds, and keep the rest."""
        if self.sends and self.state is not EmitterState.CLOSED:
            self.close(timeout, final=False)

    def finish(self, timeout: float) -> bool:
        """Send what is queued within `timeout` seconds, and report what could not be sent.

        Returns:
            False if there is nothing to finish, or it is being sent by the calling code.
        """
        if not self.sends or self.state is EmitterState.CLOSED or self.is_inside():
            return False
        deadline = self._clock() + timeout
        while True:
            # Other threads may still track events, and rely on this one to send them.
            unsent = self.close(max(0.0, deadline - self._clock()), final=False)
            if not unsent or self._clock() >= deadline:
                break
        if unsent:
            self.warn_unsent("The program ends", unsent)
            self.abandon()
        return True
