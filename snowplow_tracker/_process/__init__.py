"""The process around the tracker: how it forks, how it is interrupted, and how it ends.

- `exit`: the end of the process, in each way in which one can end. `signals`: handlers for SIGTERM and others.
  `libraries`: hooks for libraries whose processes end without `atexit`. `pool_workers`: SIGTERM in process pools.
- `fork`: the one registry of what starts again in a forked child. `identity`: names of processes, for leases.
- `interrupts`: which exceptions are meant to stop a thread, and so must come out.
- `atomic`, `locking`: changes of state that an interrupt cannot leave half done, and the order of locks.
- `clock`, `event_loops`, `unpicklable`: small parts of these.
"""
