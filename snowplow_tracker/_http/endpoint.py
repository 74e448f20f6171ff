"""The URLs of requests, and what of them may be logged."""

from __future__ import annotations

import logging
import re
from typing import Any, Optional

from snowplow_tracker._messages import escaped
from snowplow_tracker._protocol.parameters import warn_once
from snowplow_tracker.contracts import one_of
from snowplow_tracker.typing import HttpProtocol

logger = logging.getLogger("snowplow_tracker.emitters")

PROTOCOLS = {"http", "https"}
METHODS = {"get", "post"}

_POST_PATH = "/com.snowplowanalytics.snowplow/tp2"
GET_PATH = "/i"

# These are strings, which `re` compiles at their first use: most programs need none of them.
# A colon before digits alone belongs to a host of that name, which may exist: 1.1.0 delivers to it.
_SCHEME_WITHOUT_SLASHES = r"(?i)https?(?::(?![0-9]+(?:/|$))|//)"
# Up to the last "@": a password may hold any character, and the "//" that `redact` looks for may be missing.
_UP_TO_HOST = r"(?is)\A((?:https?(?::/*|//)|[^:/?#@]*://)?).*@"
_USERINFO = r"(?<=://)[^\s/?#'\"]*@"
_QUERY = r"(?<=[?&])([^\s=&#'\"]+)=[^\s&#'\"]*"
# A name such as 127.example.com belongs to somebody else. Short forms such as 127.1 are addresses, too.
_THIS_MACHINE = r"(?i)(?:localhost\.?|127(?:\.[0-9]+){1,3}|\[::1\])(?::[0-9]*)?"
_MAX_SHOWN = 200
_ENCODE = ": special characters of a user name or a password must be percent-encoded."


def collector_uri(
    endpoint: Any, protocol: str, port: Optional[int], method: str, path: Optional[str]
) -> str:
    """Build the URL that requests go to.

    Args:
        endpoint: The collector: a host, a host with a path, or a URL.
        protocol: Used where the endpoint has none.
        port: Used where the endpoint has none.
        method: `"post"` or `"get"`: they have different paths.
        path: Path of POST requests; None for that of the tracker protocol.

    Raises:
        TypeError: The endpoint is not a string, or the port not an integer.
        ValueError: The endpoint is empty, or does not make a URL.
    """
    if not isinstance(endpoint, str):
        raise TypeError(f"endpoint must be a string, got {type(endpoint).__name__}.")
    if not endpoint:
        raise ValueError("No endpoint provided.")
    from urllib.parse import urlsplit  # slow to import, and first needed here

    one_of(protocol, PROTOCOLS, name="protocol")
    one_of(method, METHODS, name="method")
    shown = _shown(endpoint)
    if any(c.isspace() for c in endpoint):
        raise ValueError(
            f"endpoint {shown!r} has a space or a line break in it: remove it, or in a path or a password write %20."
        )
    scheme, separator, rest = endpoint.partition("://")
    if separator:
        protocol = scheme.lower()
        if protocol not in PROTOCOLS:
            raise ValueError(f"endpoint must be http or https, got {shown!r}.")
        if "://" in rest:
            raise ValueError(f"endpoint {shown!r} has two schemes: use one.")
    elif re.match(_SCHEME_WITHOUT_SLASHES, endpoint):
        raise ValueError(f"endpoint {shown!r} needs '://' after its scheme, as in 'https://host'.")
    else:
        rest = endpoint
    host, slash, own_path = rest.rstrip("/").partition("/")
    address = host.rpartition("@")[2]
    if address.count(":") > 1 and not address.startswith("["):
        raise ValueError(
            f"endpoint {shown!r} looks like an IPv6 address: write it in brackets, as in [::1] or [::1]:8080."
        )
    url = f"{protocol}://{host}"
    try:
        parts = urlsplit(url)
        own_port = parts.port
    except ValueError as error:
        # What Python says may show a part of the password, or all of it.
        reason = _ENCODE if "@" in rest else f": {error}."
        raise ValueError(f"endpoint {shown!r} is not a usable host or URL{reason}") from None
    if (
        not parts.hostname
        or parts.query
        or parts.fragment
        or any(not c.isprintable() or c in "\\?#" for c in rest)
    ):
        reason = _ENCODE if "@" in rest else "."
        raise ValueError(f"endpoint {shown!r} is not a usable host or URL{reason}")
    if port is not None:
        check_port("port", port)
        if own_port is None:
            url += f":{port}"
        elif own_port != int(port):
            raise ValueError(f"port is {port}, but endpoint {shown!r} says {own_port}.")
    added = GET_PATH if method == "get" else post_path(path)
    for known in (added, _POST_PATH):
        if (slash + own_path).endswith(known):
            # No error, and the URL that 1.1.0 made: a proxy may take this path off.
            warn_once(
                ("endpoint", shown),
                "endpoint %r ends in the path %s, but the path of requests is added to it: unless a proxy wants it so, "
                "pass %r.",
                shown,
                known,
                shown.rstrip("/")[: -len(known)],
                to=logger,
            )
            break
    return url + slash + own_path + added


def is_this_machine(endpoint: str) -> bool:
    """Return whether the host of an endpoint is this machine: `localhost`, `127.*` or `[::1]`."""
    host = endpoint.rpartition("://")[2].partition("/")[0].rpartition("@")[2]
    return re.fullmatch(_THIS_MACHINE, host) is not None


def warn_of_plain_http(endpoint: str, protocol: str, url: str) -> None:
    """Warn of events that cross a network unencrypted, because the endpoint of an `AsyncEmitter` has no protocol."""
    if protocol == "http" and "://" not in endpoint and not is_this_machine(url):
        logger.warning(
            "Events go to %s over plain http, the default of AsyncEmitter: pass protocol='https' or a full URL to "
            "encrypt them, or an endpoint with http:// to confirm.",
            url,
        )


def default_protocol(endpoint: str) -> HttpProtocol:
    """Return the protocol for an endpoint without one, in the commands and in `Tracker.from_environment`.

    It is https, so that no event crosses a network unencrypted by accident. On this machine it is http, since the
    collectors that developers start there have no certificate. The emitters keep the defaults of 1.1.0 instead.
    """
    return "http" if is_this_machine(endpoint) else "https"


def check_port(name: str, port: Any) -> None:
    """Check a port. It may be a string of digits, as from an environment variable: 1.1.0 took that.

    Raises:
        TypeError: It is not an integer.
        ValueError: It is not between 1 and 65535.
    """
    if isinstance(port, str) and port.isascii() and port.isdigit():
        port = int(port)
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"{name} must be an integer, got {type(port).__name__}.")
    if not 0 < port <= 65_535:
        raise ValueError(f"{name} must be between 1 and 65535, got {port}.")


def post_path(path: Optional[str]) -> str:
    """Return the path of POST requests."""
    return _POST_PATH if path is None else "/" + path.strip("/")


def as_post_url(url: str, path: Optional[str]) -> str:
    """Return where POST requests go, from the URL for GET requests. Another URL is returned as it is."""
    return url[: -len(GET_PATH)] + post_path(path) if url.endswith(GET_PATH) else url


def _shown(endpoint: str) -> str:
    """Return an endpoint as a message may show it, also where it is invalid."""
    return redact(re.sub(_UP_TO_HOST, lambda found: found[1], endpoint))


def redact(string: str) -> str:
    """Return a URL, or a string with URLs in it, without user names, passwords and the values of queries."""
    # A replacement that is a function: `re` imports a module for a template, which fails while the interpreter ends.
    return re.sub(_QUERY, lambda found: found[1] + "=…", re.sub(_USERINFO, "", string))


def printable(string: str, limit: int = _MAX_SHOWN) -> str:
    """Return what a collector sent in a form for logs: control characters escaped, and cut to a length.

    Args:
        string: A reason phrase, a header.
        limit: Maximum number of characters.
    """
    cut = string if len(string) <= limit else string[:limit] + "…"
    return escaped(cut)
