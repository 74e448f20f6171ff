"""Delivery: the engine under every emitter. It owns every fault of the world, and lets none of them into `track()`.

The life of an event
====================

::

    Tracker.track                      pure: builds a dictionary of strings, asks nobody
      -> Emitter.input
           -> Engine.add               into the store; the queue in memory takes it without a lock
                |
                |   a full batch, `flush_interval`, a flush, the end of the process
                v
         Flushing  or  a worker        waits for what was queued when it began
           -> Sending.step             a permit; a batch from the store
                -> Emitter.send_events     (users override it)
                     -> Dispatch           bodies of bounded size; one request, one outcome
                          -> Emitter.http_post / http_get   -> _http
                     -> Settlement         sent: acknowledge · failed: requeue · refused: drop
                          -> the store, the ledger, on_success / on_failure / on_drop

What there is, from the bottom up; imports run in this direction only:

- `stats`, `outcome`, `retry`, `options`: values and pure functions.
- `_process.atomic`, `_process.locking`: what relies on one call being atomic, and locks that an interrupt cannot leave behind.
- `state`: `Ledger`, `CircuitBreaker` and `Demand`, state machines that know no thread, no clock and no store, each with its
  invariant in its docstring and tests with a clock that the test moves; and `Core`, which has them, the permits and the one
  lock over all of it.
- `store_access`, `settlement`, `dispatch`, `sending`, `flushing`: one task each.
- `engine`: wires them, and is all that `emitters` knows.

Locks
=====

`locking.LockOrder` is the order in which a thread may take locks. The lock of a core is taken in `state` only. No lock is held
over a request, a call of a store, a callback or an import; the tests run with locks that check this. A thread that waits
holds no lock at all (`locking.Signal`).

Interrupts
==========

A signal handler may raise, or track, between any two bytecodes of the main thread. So an event and the count of what became
of it change in one assignment (`state.Progress`) or in one call of C (`atomic.all_at_once`); and leave to send is an object
that lives in the frame which asked for it (`state.Permit`), so that it comes back when that frame is gone, however it ended.
"""
