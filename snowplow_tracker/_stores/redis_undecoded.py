"""Reads entries that may not be UTF-8 with a client that decodes answers."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any, Callable

from snowplow_tracker._protocol.parameters import warn_once
from snowplow_tracker._stores.redis_topology import LazyCluster

__all__ = ["Undecoded", "decodes"]

logger = logging.getLogger("snowplow_tracker.emitters")

_NEVER_DECODE = "NEVER_DECODE"
"""The option by which redis-py's own commands for binary data prevent the client from decoding."""
_KNOWN_SINCE = (4, 4)
"""Before this version, redis-py accepted the option only from its own commands."""


def decodes(client: Any) -> bool:
    """Return whether a client, ours or a user's, decodes answers to strings."""
    if isinstance(client, LazyCluster):
        return client.decodes
    encoder = getattr(client, "get_encoder", lambda: None)()
    return bool(getattr(encoder, "decode_responses", False))


class Undecoded:
    """The reading commands of a decoding client, or of its pipeline, with answers in bytes.

    Otherwise every command would fail because of a single entry, or consumer name, that is not UTF-8.

    Args:
        client: A client of redis-py, whose class has the commands.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        command = getattr(self._client, name)
        function: Any = getattr(command, "__func__", None)
        # A user's class may need to be called with an instance of itself; redis-py only needs `execute_command`.
        if getattr(function, "__module__", "").partition(".")[0] == "redis" and _is_known():
            command = partial(function, self)
        return partial(_read, command)

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Execute a command."""
        return self._client.execute_command(*arguments, **{**options, _NEVER_DECODE: []})


def _is_known() -> bool:
    version = sys.modules["redis"].__version__.split(".")
    return (int(version[0]), int(version[1])) >= _KNOWN_SINCE


def _read(command: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return command(*arguments, **options)
    except UnicodeDecodeError as error:
        warn_once(
            ("redis", "decoding"),
            "The client of Redis cannot be prevented from decoding, and cannot read past an entry of the stream that "
            "is not UTF-8 (%s): pass one without decode_responses.",
            error,
            to=logger,
        )
        raise
