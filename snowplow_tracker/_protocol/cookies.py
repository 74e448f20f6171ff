"""User and session ids from the cookies of a browser."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Tuple

from snowplow_tracker._protocol.parameters import MAX_LENGTHS, canonical_uuid

_MAX_INDEX = 2**31 - 1


def parse_cookies(header: str) -> Iterator[Tuple[str, str]]:
    """Yield the names and values in a `Cookie` header. Malformed parts are skipped."""
    for part in header.split(";"):
        name, separator, value = part.partition("=")
        if separator:
            yield name.strip(), value.strip().strip('"')


def id_cookie_values(cookies: Dict[str, str], prefix: str, suffix: Optional[str]) -> Dict[str, str]:
    """Return the parameters in the id cookie of the JavaScript tracker; none if it contains no domain user id.

    Its name is the prefix, `id`, a dot and a suffix that is a hash of the domain: `_sp_id.1fff`. Without a suffix, it is
    the most recently used cookie.
    """
    start = f"{prefix}id."
    if suffix is not None:
        value = cookies.get(f"{start}{suffix}", "")
    else:
        found = [value for name, value in cookies.items() if name.startswith(start)]
        value = max(found, key=_last_used, default="")
    values = parse_id_cookie(value)
    return values if "duid" in values else {}


def parse_id_cookie(value: str) -> Dict[str, str]:
    """Return the valid parameters in an id cookie.

    Separated by dots, it contains the domain user id, its time of creation, the number of the visit, the current time,
    the time of the previous visit, and the session id; newer versions add more.
    """
    parts = _parts(value)
    values: Dict[str, str] = {}
    if 0 < len(parts[0]) <= MAX_LENGTHS["duid"] and parts[0].isprintable():
        values["duid"] = parts[0]
    if len(parts) > 2 and _is_number(parts[2]) and int(parts[2]) <= _MAX_INDEX:
        values["vid"] = str(int(parts[2]))
    session_id = canonical_uuid(parts[5]) if len(parts) > 5 else None
    if session_id is not None:
        values["sid"] = session_id.lower()
    return values


def _last_used(value: str) -> int:
    parts = _parts(value)
    return int(parts[3]) if len(parts) > 3 and _is_number(parts[3]) else 0


def _parts(value: str) -> List[str]:
    if "%" in value:
        from urllib.parse import unquote

        value = unquote(value)
    return value.strip().split(".")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20
