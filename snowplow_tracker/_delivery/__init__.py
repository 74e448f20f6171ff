"""Delivery: the engine under every emitter. It handles every fault of stores, networks and collectors; none reaches `track()`.

The life of an event
====================

::

    Tracker.track                      pure: builds a dictionary of strings
      -> Emitter.input
           -> Engine.add -> Intake.add    into the store; the queue in memory takes it without a lock
                |
                |   a full batch, `flush_interval`, a flush, the end of the process
                v
         Flushing  or  WorkerLoop      a flush waits for what was queued when it began
           -> Sending.step             a permit; a batch from the store
                -> Emitter.send_events     (users override it)
                     -> Dispatch           bodies of bounded size; one request, one outcome
                          -> Emitter.http_post / http_get   -> _http
                     -> Settlement         sent: acknowledge · failed: requeue · refused: drop
                          -> the store, the ledger, on_success / on_failure / on_drop

The modules, from the bottom up; imports run in this direction only:

- `stats`, `counts`, `outcome`, `retry`: values and pure functions. `options`: the checks of the options, whose meanings
  stand in the docstring of `Emitter`. `request`: one request.
- `sender`: what the engine uses of an emitter.
- `state`: `Ledger`, `CircuitBreaker` and `Demand`, state machines without threads and stores, each with its invariant in
  its docstring and tests with a fake clock; and `Core`, which owns them, the permits and the one lock over all of it.
- `unreported`, `feedback`: drops that no log shows, and log records about delivery that come back as events.
- `settlement`: one interface for all stores, and what becomes of events.
- `sending`: a batch and its requests. `flushing`: waiting for it.
- `intake`: into the store.
- `threads`, `worker_loop`, `flush_timer`: worker threads, what they do, and the timers that flush and retry.
- `engine`: connects them. An emitter calls the engine; `input`, which is hot, also reads its `core`.

Below them all are `_process.atomic` and `_process.locking`: code that relies on one call being atomic, and locks that an
interrupt cannot leave locked.

Locks
=====

`locking.LockOrder` is the order in which a thread may take locks. The lock of a core is taken in `state` only. No lock is held
over a request, a call of a store, a callback or an import; the tests run with locks that check this. A thread that waits
holds no lock at all (`locking.Signal`).

Interrupts
==========

A signal handler may raise, or track, between any two bytecodes of the main thread. So an event and the count of what became
of it change in one assignment (`counts.Progress`) or in one call of C (`atomic.all_at_once`); and the permission to send is an
object that lives in the frame which asked for it (`state.Permit`), so that it is given back when that frame ends, however
it ends.
"""
