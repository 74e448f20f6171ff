"""Parts of the durable stores: what they have in common, the SQLite file, the Redis stream, store URLs.

`sqlite_event_store` and `redis_event_store` combine them:

- both: `durable`, `leasing`, `bodies` (events as bytes), `urls` and `redaction` (the URL of a store, and its secrets);
- SQLite: `sqlite_file` and `sqlite_access` (the file, and one user of it at a time), `sqlite_adding`, `sqlite_leases`;
- Redis: `redis_clients` and `redis_link` (the connection, and what to do without it), `redis_stream` (the commands),
  `redis_writer`, `redis_leases`, `redis_counts`.

Both stores follow these rules:

- An exception of a signal handler, or a signal handler or finalizer that tracks, may occur between any two bytecodes.
  So each step that changes state may be repeated or left out: leased events that are not settled are requeued, and to
  settle an event again has no effect.
- A lock is a reentrant one in C, taken by `with`, and not held while waiting for another process. If the thread already
  holds it, the caller is a signal handler or a finalizer: it records its request, and the interrupted code does it.
- The process id is compared wherever state is used, since C code may fork a process without Python's fork hooks.
"""
