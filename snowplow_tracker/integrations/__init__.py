"""Frameworks: a module for each, which nothing else imports."""

from typing import List

__all__: List[str] = []
