"""The old name of `snowplow_tracker._process.exit`, until the engine uses that."""

import sys

from snowplow_tracker._process import exit as _exit
from snowplow_tracker._process.exit import finish, hold, is_exiting, register, release

__all__ = ["finish", "hold", "is_exiting", "register", "release"]

# One module, so that `is_exiting` is one variable.
sys.modules[__name__] = _exit
