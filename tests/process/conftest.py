"""Fixtures of the tests of processes."""

from support.fixtures import collector, emitter_class

__all__ = ["collector", "emitter_class"]
