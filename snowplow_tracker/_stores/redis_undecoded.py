"""Reading what strangers may have written, with a client that decodes what it reads."""

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
"""The option by which redis-py's own commands for binary data keep a client from decoding an answer."""
_KNOWN_SINCE = (4, 4)
"""Before, redis-py let its own commands alone have it."""


def decodes(client: Any) -> bool:
    """Return whether a client, ours or that of a user, makes strings of what it reads."""
    if isinstance(client, LazyCluster):
        return client.decodes
    encoder = getattr(client, "get_encoder", lambda: None)()
    return bool(getattr(encoder, "decode_responses", False))


class Undecoded:
    """The reading commands of a client that decodes, or of its pipeline, whose answers stay bytes.

    Otherwise every one of them would fail for a single entry, or a consumer's name, that is no text.

    Args:
        client: Of redis-py; its class says how a command is written.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        command = getattr(self._client, name)
        function: Any = getattr(command, "__func__", None)
        # A user's own class may count on being called by one of its own; redis-py only needs `execute_command`.
        if getattr(function, "__module__", "").partition(".")[0] == "redis" and _is_known():
            command = partial(function, self)
        return partial(_read, command)

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Do what a command comes down to."""
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
            "The client of Redis cannot be kept from decoding, and cannot read past an entry of the stream that is no "
            "text (%s): pass one without decode_responses.",
            error,
            to=logger,
        )
        raise
