"""Integrations with frameworks: one module for each, imported only by its users."""

from typing import List

__all__: List[str] = []
