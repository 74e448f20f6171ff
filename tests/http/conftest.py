"""Fixtures of the tests of requests."""

from support.fixtures import collector, emitter_class, make

__all__ = ["collector", "emitter_class", "make"]
