"""Delivering: everything between a completed payload and the collector.

Private. `delivery` moves events from the store to the collector and settles their fate; `encoding` makes bounded
request bodies; `transport` makes one HTTP request; `outcome` judges its answer; `retry` says when to try again;
`worker` and `flush_timer` are the only places that start threads; `lifecycle` knows about exit and fork.
"""
