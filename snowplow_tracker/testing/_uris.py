"""The page URLs that the pipeline can parse.

It parses like java.net.URI. If this fails, it escapes illegal characters in the path, the query and
the fragment, and tries again. So spaces, braces and stray percent signs there are accepted, while
an invalid scheme, host or bracket fails the event.
"""

from __future__ import annotations

import re
from typing import Optional

# RFC 2396 with Java's additions: non-ASCII characters are allowed, except controls and spaces.
_OTHER = "\u00a1-\u167f\u1681-\u1fff\u2010-\u2027\u2030-\u205e\u2060-\u2fff\u3001-\U0010ffff"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
_AUTHORITY = re.compile(rf"(?:[A-Za-z0-9_.~!*'();:@&=+$,\-{_OTHER}]|%[0-9A-Fa-f]{{2}})+")
_IPV6 = re.compile(
    r"(?:[^\[\]@/]*@)?\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9_.~-]+)?\](?::[0-9]*)?",
    re.ASCII,
)


def uri_problem(url: str) -> Optional[str]:
    """Return why the pipeline cannot parse a URL.

    Args:
        url: the page URL or the referrer, as sent.

    Returns:
        The problem, or None if it can be parsed.
    """
    url = url.replace(" ", "%20")
    before_path = re.split(r"[/?#]", url, maxsplit=1)[0]
    scheme, colon, _ = before_path.partition(":")
    if not colon:
        # No scheme: a path, or a host where it begins with two slashes.
        return _authority_problem(url[2:]) if url.startswith("//") else None
    if not scheme:
        return "it has nothing before the first colon"
    if not _SCHEME.fullmatch(scheme):
        return f"{scheme[:60]!r} is not a scheme"
    rest = url[len(scheme) + 1 :]
    if not rest or rest.startswith("#"):
        return "it has nothing after the scheme"
    return _authority_problem(rest[2:]) if rest.startswith("//") else None


def _authority_problem(rest: str) -> Optional[str]:
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not authority:
        # "file:///etc/hosts" has a path instead of a host.
        return None if rest.startswith("/") and len(rest) > 1 else "it has no host"
    if "[" in authority or "]" in authority:
        return None if _IPV6.fullmatch(authority) else f"{authority[:60]!r} is not a host"
    return None if _AUTHORITY.fullmatch(authority) else f"{authority[:60]!r} is not a host"
