"""User and session ids from the cookies of a browser."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, Optional, Tuple
from urllib.parse import unquote

__all__ = ["id_cookie_values", "parse_cookies"]

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MAX_ID_LENGTH = 128
_MAX_INDEX = 2**31 - 1


def parse_cookies(header: str) -> Iterator[Tuple[str, str]]:
    """Yield the names and values in a `Cookie` header. Malformed parts are skipped."""
    for part in header.split(";"):
        name, separator, value = part.partition("=")
        if separator:
            yield name.strip(), value.strip().strip('"')


def id_cookie_values(cookies: Dict[str, str], prefix: str, suffix: Optional[str]) -> Dict[str, Any]:
    """Return the parameters in the id cookie of the JavaScript tracker.

    Its name is the prefix, `id`, a dot and a suffix that is a hash of the domain: `_sp_id.1fff`. Its value contains,
    separated by dots, the domain user id, its time of creation, the number of the visit, the current time, the time of
    the previous visit, and the session id.

    Args:
        cookies: All cookies by name.
        prefix: The `cookieName` of the JavaScript tracker.
        suffix: The part after the dot. None: the most recently used cookie.
    """
    start = f"{prefix}id."
    if suffix is not None:
        return _parsed(cookies.get(f"{start}{suffix}", ""))
    found = [value for name, value in cookies.items() if name.startswith(start)]
    if not found:
        return {}
    return _parsed(found[0] if len(found) == 1 else max(found, key=_last_used))


def _parsed(value: str) -> Dict[str, Any]:
    parts = (unquote(value) if "%" in value else value).split(".")
    values: Dict[str, Any] = {}
    if 0 < len(parts[0]) <= _MAX_ID_LENGTH and parts[0].isprintable():
        values["duid"] = parts[0]
    if len(parts) > 2 and _is_number(parts[2]) and int(parts[2]) <= _MAX_INDEX:
        values["vid"] = int(parts[2])
    if len(parts) > 5 and _UUID.fullmatch(parts[5]):
        values["sid"] = parts[5].lower()
    return values if "duid" in values else {}


def _last_used(value: str) -> int:
    parts = unquote(value).split(".")
    return int(parts[3]) if len(parts) > 3 and _is_number(parts[3]) else 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20
