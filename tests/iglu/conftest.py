"""What the tests of schemas share."""

import pytest
from support.iglu import SCHEMAS, registry

from snowplow_tracker.iglu import Resolver

__all__ = ["registry"]


@pytest.fixture
def resolver():
    """A resolver of the schemas of these tests."""
    return Resolver(SCHEMAS)
