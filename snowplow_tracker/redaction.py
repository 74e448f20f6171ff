"""Redaction: removes personal data, which must not leave the process, from every event in one place.

    tracker.redact("ip", cut_ip)
    tracker.redact("uid", hashed("a secret of yours"))
    tracker.redact("$..email", remove)
    tracker.redact("$.customer.name", cut(1), schema="iglu:com.acme.*/*/jsonschema/*-*-*")

Rules apply to the complete event before it is queued: to values of the event, its subject, its scope, the tracker and
hooks.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any, Callable, List, Optional, Tuple, Union

from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._protocol import deferred
from snowplow_tracker._protocol.bodies import KNOWN_KEYS
from snowplow_tracker._protocol.json import dumps
from snowplow_tracker._protocol.schema_rules import RuleSet
from snowplow_tracker.typing import PayloadDict

__all__ = ["Redact", "cut", "cut_ip", "cut_query", "hashed", "remove"]

Redact = Callable[[Any], Any]
"""Called with a value, which is never None: null stays null. Returns the value to send instead, or None to send none."""

logger: logging.Logger = logging.getLogger("snowplow_tracker.tracker")

_REQUIRED = frozenset(("e", "eid", "p", "tv"))
"""The parameters that each event must have."""
_DATA = frozenset(("ue_pr", "ue_px", "co", "cx"))
"""The parameters with all data of a self-describing event, or of the entities, as JSON or base64."""

_PATH = re.compile(r"(\.\.|\.)([\w-]+|\*)|\[(\d+|\*)\]|\['([^']+)'\]")

_Step = Tuple[bool, Union[str, int]]
"""Whether to search at any depth, and the key, the index or `*`."""


def remove(value: Any) -> None:
    """Return None, so that the value is not sent."""


def hashed(key: str) -> Redact:
    """Return a function that replaces a value by its HMAC-SHA256 in hexadecimal. Equal values have equal hashes.

    Args:
        key: A secret. Without it, nobody can find the value by hashing guesses.

    Raises:
        ValueError: The key is empty.
    """
    if not key:
        raise ValueError("key is empty: anybody could find the values by hashing guesses.")
    import hashlib
    import hmac

    secret = key.encode()

    def hash_value(value: Any) -> str:
        return hmac.new(secret, str(value).encode(errors="replace"), hashlib.sha256).hexdigest()

    return hash_value


def cut(length: int) -> Redact:
    """Return a function that keeps the first characters of a value.

    Args:
        length: The number of characters to keep.

    Raises:
        TypeError: The length is not a whole number.
        ValueError: The length is negative.
    """
    if not isinstance(length, int):
        raise TypeError(f"length must be a whole number, not {type(length).__name__}.")
    if length < 0:
        raise ValueError(f"length must not be negative, got {length}.")

    def cut_value(value: Any) -> str:
        return str(value)[:length]

    return cut_value


def cut_ip(value: Any) -> Optional[str]:
    """Return an IP address with only its first three numbers (IPv4) or 48 bits (IPv6); the rest is zero.

    Args:
        value: The address. A value that is not an IP address is not sent.
    """
    import ipaddress

    try:
        address = ipaddress.ip_address(str(value))
    except ValueError:
        return None
    bits = 24 if address.version == 4 else 48
    network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
    return str(network.network_address)


def cut_query(value: Any) -> str:
    """Return a URL without its query, its fragment and its userinfo.

    Args:
        value: The URL.
    """
    url = re.split(r"[?#]", str(value), maxsplit=1)[0]
    # Up to the last "@" of the host: a password may contain others.
    return re.sub(r"\A([^/]*//)[^/]*@", lambda found: found[1], url)


class Redaction:
    """The rules of one tracker, in the order in which they were added."""

    def __init__(self) -> None:
        self._parameters: Tuple[Tuple[str, Redact], ...] = ()
        self._paths: Tuple[Tuple[List[_Step], Redact, Optional[RuleSet]], ...] = ()

    def add(self, target: str, action: Redact, schema: Optional[str] = None) -> None:
        """Add a rule, as `Tracker.redact` does."""
        if not callable(action):
            raise TypeError(f"action must be a function, not {type(action).__name__}.")
        if action in (hashed, cut):
            # What they return is a function, whose repr would be sent instead of the value.
            name = "hashed(key)" if action is hashed else "cut(length)"
            raise TypeError(f"action must be the result of a call: {name}.")
        if not isinstance(target, str) or not target:
            raise ValueError("target must be the name of a parameter or a JSON path.")
        if target.startswith("$"):
            rules = None if schema is None else RuleSet(schema)
            self._paths += ((_parsed(target), action, rules),)
            return
        if schema is not None:
            raise ValueError("schema needs a JSON path as target: a parameter has no schema.")
        if target not in KNOWN_KEYS:
            # A rule for an unknown name would remove nothing, and personal data would be sent.
            raise ValueError(
                f"target is {target!r}, which is neither a parameter of the protocol (the user id is 'uid', the"
                " IP address 'ip') nor a JSON path (it begins with '$')."
            )
        if target in _REQUIRED:
            raise ValueError(
                f"target must not be {target!r}: the pipeline refuses events without it."
            )
        if target in _DATA:
            raise ValueError(
                f"target must not be {target!r}, which has all data of an event or of its entities: use a JSON path,"
                " such as $.email, or a hook."
            )
        self._parameters += ((target, action),)

    def apply(self, pairs: PayloadDict) -> None:
        """Redact a payload in place.

        If an action raises, the value is not sent, since the rule exists to protect it.
        """
        for name, action in self._parameters:
            if name in pairs:
                value = _redacted(action, pairs[name])
                if value is None or value == "":
                    del pairs[name]
                else:
                    pairs[name] = value
        if self._paths:
            for envelope in (deferred.UNSTRUCT_EVENT, deferred.CONTEXTS):
                try:
                    envelope.change(pairs, self._apply_to_data)
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    # It was given as text, which is no self-describing JSON.
                    logger.warning("Data that cannot be read for redaction is not sent: %s", error)
                    for name in (envelope.encoded_name, envelope.plain_name):
                        pairs.pop(name, None)

    def _apply_to_data(self, text: str) -> str:
        """Redact a self-describing JSON, or a list of them."""
        held = json.loads(text)
        for each in held if isinstance(held, list) else [held]:
            for path, action, rules in self._paths:
                if rules is None or rules.matches(str(each.get("schema"))):
                    _redact_path(each.get("data"), path, action)
        return dumps(held)


def _redacted(action: Redact, value: Any) -> Any:
    try:
        return action(value)
    except Exception as error:
        if is_interrupt(error):
            raise
        logger.exception("The redaction %r raised; the value is not sent.", action)
        return None


def _parsed(path: str) -> List[_Step]:
    steps: List[_Step] = []
    position = 1
    while position < len(path):
        match = _PATH.match(path, position)
        if match is None:
            raise ValueError(
                f"{path!r} is not a supported JSON path, such as $.a.b, $.a[0], $.a[*].b, $['a b'] or $..a."
            )
        dots, name, index, quoted = match.groups()
        key: Union[str, int] = name or quoted or index
        if index is not None and index != "*":
            key = int(index)
        steps.append((dots == "..", key))
        position = match.end()
    if not steps:
        raise ValueError(
            "$ alone would remove all of the data; use a hook to drop the event instead."
        )
    return steps


def _redact_path(data: Any, path: List[_Step], action: Redact) -> None:
    # All places are found before the first is changed: each is redacted once, also if the path leads to it in two ways.
    nodes = {id(data): data}
    places: List[Tuple[Any, Any]] = []
    for anywhere, key in path:
        found = list(nodes.values())
        if anywhere:
            for node in found:  # it grows meanwhile, down to the leaves
                found += [node[place] for place in _places(node, "*")]
            found = list({id(node): node for node in found}.values())
        places = [(node, place) for node in found for place in _places(node, key)]
        nodes = {id(node[place]): node[place] for node, place in places}
    places = [(node, place) for node, place in places if node[place] is not None]
    for node, place in places:
        node[place] = _redacted(action, node[place])
    # From the end, so that the positions in a list stay right.
    for node, place in reversed(places):
        if node[place] is None:
            del node[place]


def _places(data: Any, key: Union[str, int]) -> List[Any]:
    if isinstance(data, dict):
        return list(data) if key == "*" else [key] if key in data else []
    if isinstance(data, list):
        if key == "*":
            return list(range(len(data)))
        return [key] if isinstance(key, int) and key < len(data) else []
    return []
