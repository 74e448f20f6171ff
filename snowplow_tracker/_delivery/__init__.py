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
- `ledger`, `breaker`, `demand`: state machines that know no thread, no clock and no store. Each has its invariant in its
  docstring, and tests of its own with a clock that the test moves.
- `core`: the one lock over them, and the permits.
- `store_access`, `settlement`, `dispatch`, `sending`, `flushing`: one task each.
- `engine`: wires them, and is all that `emitters` knows.

Locks
=====

A store's own lock is taken last, and nothing else is taken while it is held; the lock of a core comes before it. No lock is
held over a request, a call of a store, a callback or an import. A thread that waits holds no lock at all (`locking.Signal`).

Interrupts
==========

A signal handler may raise, or track, between any two bytecodes of the main thread. So an event and the count of what became
of it change in one assignment (`ledger.Progress`) or in one call of C (`atomic.all_at_once`); and leave to send is an object
that lives in the frame which asked for it (`core.Permit`), so that it comes back when that frame is gone, however it ended.
"""
