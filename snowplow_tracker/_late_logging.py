"""The loggers of the package, which import `logging` with the first emitter, or the first message before.

Importing it takes 5 ms, a fifth of all that importing this package takes, and many programs import a package that they
do not use in each run.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Tuple, cast

from snowplow_tracker._late_imports import guard

if TYPE_CHECKING:
    import logging

__all__ = ["get_logger", "late_logger"]

_PACKAGE = "snowplow_tracker"


def get_logger(name: str) -> logging.Logger:
    """Give a logger of the package."""
    with guard:
        import logging

    package = logging.getLogger(_PACKAGE)
    if not package.handlers:
        # A library does not decide where logs go, not even to stderr where nobody decides.
        package.addHandler(logging.NullHandler())
    return logging.getLogger(name)


def late_logger(name: str) -> logging.Logger:
    """Give what can be used as a logger of the package. The logger itself is what `get_logger` gives."""
    if "logging" in sys.modules:
        get_logger(
            name
        )  # so that it exists when logging is configured, which may switch off what exists
    return cast("logging.Logger", _LateLogger(name))


class _LateLogger:
    _name = _PACKAGE

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> Tuple[Any, ...]:
        return get_logger, (self._name,)

    def __getattr__(self, attribute: str) -> Any:
        # A test may have put a stand-in for the logger into the module of the same name.
        stand_in = vars(sys.modules.get(self._name, sys)).get("logger", self)
        if stand_in is not self:
            return getattr(stand_in, attribute)
        return getattr(get_logger(self._name), attribute)
