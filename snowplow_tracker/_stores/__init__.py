"""Parts of the durable stores: what a store can do, the SQLite file, the Redis stream, store URLs.

`sqlite_event_store` and `redis_event_store` put them together. Both stores keep to these rules:

- An exception of a signal handler, or a signal handler or finalizer that tracks, may come between any two bytecodes. So
  each step that changes state may be repeated or left out: what was handed out and is not settled comes back, and what
  was settled is settled again, to no effect.
- A lock is a reentrant one of C, taken by `with`, and not held while waiting for another process. Who holds it already
  is a signal handler or a finalizer: it notes what it wants, and its own thread sees to it.
- The process id is compared where state is used: C code may fork a process without Python's fork hooks.
"""
