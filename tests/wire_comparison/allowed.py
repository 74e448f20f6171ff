"""The differences on purpose: their number in the contract, a reason, and exactly what differs.

A line that no longer occurs fails the comparison, so that this list stays true.
"""

from __future__ import annotations

from typing import Dict, List, Tuple

# What a number stands for, in a line.
REASONS: Dict[int, str] = {}

# For each scenario, each difference with its number.
ALLOWED: Dict[str, List[Tuple[int, str]]] = {}
