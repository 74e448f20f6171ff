"""Fixtures of the delivery tests."""

from support.fixtures import collector, emitter_class, make

__all__ = ["collector", "emitter_class", "make"]
