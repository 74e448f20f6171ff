"""What the tests of schemas share."""

import pytest

from snowplow_tracker.iglu import Resolver
from support.iglu import SCHEMAS, registry

__all__ = ["registry"]


@pytest.fixture
def resolver():
    """A resolver of the schemas of these tests."""
    return Resolver(SCHEMAS)
