"""Decide whether a request may be made without requests. In doubt, it may not.

Everything that users can do with requests still works, because it is left out only where that makes no difference: for a plain URL
and plain headers, without a proxy, a netrc entry or credentials to respect, with a requests and a urllib3 whose TLS
settings and headers are known here, and as long as no function that requests calls for a request was replaced, as
responses, requests-mock, httmock, httpretty, mocket, pook, vcrpy and tracing tools do.

The environment is read for each request: proxies may be set at any time.
"""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache, partial
from importlib.machinery import PathFinder
from types import FunctionType
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import urlencode

from snowplow_tracker._http.keep_alive import Origin
from snowplow_tracker._process.interrupts import is_interrupt

_PLAIN_URL = re.compile(
    r"(https?)://([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::([0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)",
    re.ASCII,
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
_PLAIN_HEADER = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", re.ASCII)
_SPECIAL_HEADERS = frozenset(
    [
        "accept-encoding",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)

_GENUINE = (
    ("requests.api", "", ("post", "get", "request")),
    ("requests.sessions", "Session", ("__init__", "post", "get", "request", "send", "get_adapter")),
    ("requests.sessions", "Session", ("merge_environment_settings", "prepare_request")),
    ("requests.models", "PreparedRequest", ("prepare",)),
    ("requests.adapters", "HTTPAdapter", ("__init__", "init_poolmanager", "send", "cert_verify")),
    ("requests.adapters", "HTTPAdapter", ("add_headers", "build_response")),
    ("urllib3.poolmanager", "PoolManager", ("urlopen", "connection_from_host")),
    ("urllib3.connectionpool", "HTTPConnectionPool", ("urlopen", "_make_request")),
    ("urllib3.connection", "HTTPConnection", ("connect", "request")),
    ("urllib3.util.connection", "", ("create_connection", "allowed_gai_family")),
    ("http.client", "HTTPConnection", ("request", "putrequest", "putheader", "endheaders", "send")),
    ("http.client", "HTTPConnection", ("connect", "getresponse", "close")),
    ("http.client", "HTTPSConnection", ("connect",)),
    ("http.client", "HTTPResponse", ("begin", "read")),
    ("socket", "", ("create_connection", "getaddrinfo")),
    ("socket", "socket", ("makefile",)),
    ("ssl", "", ("create_default_context",)),
    ("ssl", "SSLContext", ("wrap_socket",)),
)
"""The functions that a request by requests runs through, by module and class."""

_COOPERATIVE = ("gevent", "eventlet")
"""Packages that may replace functions of `socket` and `ssl`: they do not look at what is sent."""

_URLLIB3_VERSIONS = ((2, 4), (3, 0))
"""From the first version on, and before the second, TLS settings and headers are the ones implemented here."""


class Plan(NamedTuple):
    """A request that may be made without requests.

    Attributes:
        origin: Where it goes.
        target: Path and query.
        headers: What requests would send, but for Host and Content-Length.
    """

    origin: Origin
    target: str
    headers: Dict[str, str]


class _Installed(NamedTuple):
    requests: str
    urllib3: Tuple[int, ...]
    accept_encoding: str


def plan(
    url: str, headers: Mapping[str, str], params: Optional[Mapping[str, Any]] = None
) -> Optional[Plan]:
    """Return how to make a request without requests; None where requests has to make it.

    Args:
        url: Where to.
        headers: Beside those that requests sends by itself.
        params: For the query; None for none.
    """
    match = _PLAIN_URL.fullmatch(url)
    if match is None or is_replaced() or _environment_has_a_say():
        return None
    scheme, host, port, path = match.groups()
    installed = _installed()
    if installed is None or (host.rpartition(".")[2].isdigit() and not _is_dotted_quad(host)):
        return None
    own = {
        "User-Agent": f"python-requests/{installed.requests}",
        "Accept-Encoding": installed.accept_encoding,
        "Accept": "*/*",
        "Connection": "keep-alive",
    }
    names = {name.lower(): name for name in own}
    for name, value in headers.items():
        if (
            name.lower() in _SPECIAL_HEADERS
            or not _PLAIN_NAME.fullmatch(name)
            or not _PLAIN_HEADER.fullmatch(value)
        ):
            return None
        own.pop(names.get(name.lower(), ""), None)
        own[name] = value
    target = path
    if params:
        if not all(value is None or type(value) in (str, int, float) for value in params.values()):
            return None
        pairs = [(key, value) for key, value in params.items() if value is not None]
        target = f"{path}?{urlencode(pairs)}"
    return Plan(Origin(scheme, host, int(port) if port else None), target, own)


def prepare(url: str) -> bool:
    """Import what requests to a URL need; return False if requests has to make them."""
    if plan(url, {}) is None:
        return False
    if url.startswith("https"):
        import ssl  # noqa: F401

        try:
            import certifi  # noqa: F401
        except ImportError:
            return False
    import encodings.idna  # noqa: F401 - looking a host name up would import it, in the middle of a request

    return True


def _is_dotted_quad(host: str) -> bool:
    parts = host.split(".")
    return len(parts) == 4 and all(
        part.isdigit() and int(part) < 256 and str(int(part)) == part for part in parts
    )


def is_replaced() -> bool:
    """Return whether a function that requests calls for a request was replaced, to observe or answer requests.

    Modules that are not imported yet have not been changed.
    """
    for module_name, class_name, names in _GENUINE:
        module = sys.modules.get(module_name)
        if module is None:
            continue
        place = getattr(module, class_name, None) if class_name else module
        if place is None:
            continue
        if class_name and not _belongs_to(place, module_name):
            return True
        own_names = vars(module)
        for name in names:
            function = getattr(place, name, None)
            # Most are plain functions of their module; the others are asked about (fast path).
            if type(function) is FunctionType and function.__globals__ is own_names:
                continue
            if function is not None and not _is_cooperative(
                str(getattr(function, "__module__", "")), module_name
            ):
                return True
    package, api = sys.modules.get("requests"), sys.modules.get("requests.api")
    return any(
        getattr(package, name, None) is not getattr(api, name, None)
        for name in ("post", "get")
        if package is not None and api is not None
    )


def _belongs_to(place: Any, module_name: str) -> bool:
    owner = str(getattr(place, "__module__", None))
    return owner == module_name or _is_cooperative(owner, module_name)


def _is_cooperative(owner: str, module_name: str) -> bool:
    return module_name in ("socket", "ssl") and owner.partition(".")[0] in _COOPERATIVE


_plain_environment: Dict[Any, Any] = {}
"""The variables when they last named neither a proxy nor a netrc file: the same ones are not searched again (fast path)."""


def _environment_has_a_say() -> bool:
    """Return whether requests would take a proxy or credentials from the environment or from files."""
    global _plain_environment
    # The dictionary under `os.environ`. A program may have put a mapping of its own in its place, which has none.
    variables: Any = getattr(os.environ, "_data", None)
    if variables is None or variables != _plain_environment:
        before = dict(variables or {})  # copied first: another thread may change it meanwhile
        if "NETRC" in os.environ or _names_a_proxy():
            return True
        _plain_environment = before
    # `os.access` raises nothing for an absent file, so what a signal handler raises at this moment comes out.
    if any(os.access(os.path.expanduser(name), os.F_OK) for name in ("~/.netrc", "~/_netrc")):  # noqa: PTH111 - pathlib is slow to import
        return True
    if sys.platform not in ("darwin", "win32"):
        return False
    from urllib.request import getproxies

    return bool(getproxies())


def _names_a_proxy() -> bool:
    """Return whether a variable names a proxy, in upper or lower case."""
    return any(
        name.lower().endswith("_proxy") and name.lower() != "no_proxy" and os.environ.get(name)
        for name in os.environ
    )


def knows_requests() -> bool:
    """Return whether requests and urllib3 are installed in versions that are known here."""
    return _installed() is not None


@lru_cache(maxsize=None)
def _installed() -> Optional[_Installed]:
    """Return the versions of requests and urllib3 without importing them, which would take most of a short program's time."""
    requests = _version_in("requests", "__version__.py", "__version__")
    urllib3 = _version_in("urllib3", "_version.py", "__version__")
    numbers = tuple(int(part) for part in (urllib3 or "").split(".")[:2] if part.isdigit())
    if requests is None or not _URLLIB3_VERSIONS[0] <= numbers < _URLLIB3_VERSIONS[1]:
        return None
    accepted = _accept_encoding(numbers)
    return None if accepted is None else _Installed(requests, numbers, accepted)


def _accept_encoding(urllib3: Tuple[int, ...]) -> Optional[str]:
    """Return the encodings that urllib3 accepts; None where that is not certain."""
    accepted = "gzip, deflate"
    if _is_installed("brotlicffi") or _is_installed("brotli"):
        accepted += ", br"
    if urllib3 < (2, 6):
        return None if _is_installed("zstandard") else accepted
    if sys.version_info >= (3, 14):
        built_in = "_zstd" in sys.builtin_module_names
        return accepted + ", zstd" if built_in or _is_installed("_zstd") else accepted
    return None if _is_installed("backports") else accepted


def _is_installed(name: str) -> bool:
    return PathFinder.find_spec(name) is not None


def _version_in(package: str, file_name: str, variable: str) -> Optional[str]:
    try:
        spec = PathFinder.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            path = os.path.join(folder, file_name)  # noqa: PTH118 - pathlib is slow to import
            with open(path, encoding="utf-8") as file:  # noqa: PTH123
                found = re.search(
                    rf"^{variable}\s*(?:=\s*\w+\s*)?=\s*[\"']([\w.]+)[\"']",
                    file.read(),
                    re.MULTILINE,
                )
            if found:
                return found.group(1)
    except (OSError, ValueError) as error:
        if is_interrupt(error):
            raise
        # it is in an archive, for instance
    return None


def tls_context() -> Callable[[], Any]:
    """Prepare what verifies the collector's certificate, as requests with this urllib3 would.

    A context for each new connection: a bundle of authorities that was renewed is read again.

    Returns:
        What makes the context, once there is a connection.

    Raises:
        OSError: The environment names a bundle that is not there.
    """
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if bundle:
        if not os.access(bundle, os.F_OK):
            raise OSError(
                f"Could not find a suitable TLS CA certificate bundle, invalid path: {bundle}"
            )
    else:
        import certifi

        bundle = certifi.where()
    return partial(_make_context, bundle)


def _make_context(bundle: str) -> Any:
    import ssl

    is_folder = os.path.isdir(bundle)  # noqa: PTH112 - as above
    context = ssl.create_default_context(
        cafile=None if is_folder else bundle, capath=bundle if is_folder else None
    )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    return context
