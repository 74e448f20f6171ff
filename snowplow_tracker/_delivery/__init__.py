"""Delivering: everything between a completed payload and the collector.

Private. `delivery` decides when events are taken from the store and sent, and waits; a `batch` in hand knows what becomes
of its events; `encoding` makes bounded request bodies; `transport` makes one HTTP request, by the short way of `direct`
where it can; `outcome` judges the answer; `retry` says when to try again; `stats` counts. `store_access` and `sender` are
what the engine knows of stores and emitters. `worker` and `flush_timer` start the threads; `lifecycle` knows about exit
and fork; `options` explains and checks what can be set.
"""
