"""The user, page and device of a request, for all frameworks."""

from __future__ import annotations

import logging
import re
from threading import get_ident
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Optional,
    Protocol,
    Tuple,
    Union,
)
from urllib.parse import quote

from snowplow_tracker._process.interrupts import is_interrupt
from snowplow_tracker._protocol.cookies import id_cookie_values, parse_cookies
from snowplow_tracker._protocol.parameters import MAX_LENGTHS
from snowplow_tracker.events import PageView
from snowplow_tracker.integrations.errors import check_tracker, track_exception
from snowplow_tracker.scope import Scope, ScopeState
from snowplow_tracker.typing import Unpack

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from typing_extensions import TypedDict

    from snowplow_tracker.tracker import Tracker

    class RequestOptions(TypedDict, total=False):
        """The options that every middleware has; see `snowplow_tracker.integrations.wsgi.SnowplowMiddleware`."""

        trusted_proxies: Union[int, Iterable[str]]
        useragent: bool
        language: bool
        page: bool
        ip_address: bool
        id_cookie: bool
        cookie_prefix: str
        cookie_suffix: Optional[str]
        network_cookie: Optional[str]
        privacy_signals: bool
        is_anonymous: Optional[Callable[[Any], bool]]
        user_id: Optional[Callable[[Any], Any]]
        page_views: Union[bool, Callable[[Any], bool]]
        exceptions: bool

else:
    RequestOptions = Dict[str, Any]

DEFAULTS: RequestOptions = {
    "trusted_proxies": 0,
    "useragent": True,
    "language": True,
    "page": True,
    "ip_address": True,
    "id_cookie": True,
    "cookie_prefix": "_sp_",
    "cookie_suffix": None,
    "network_cookie": "sp",
    "privacy_signals": True,
    "is_anonymous": None,
    "user_id": None,
    "page_views": False,
    "exceptions": False,
}
"""The options that every middleware has, and their defaults."""

TRACKED = "snowplow_tracker.exception"
"""The key in a WSGI environment of an exception that was tracked before the middleware sees it."""

logger = logging.getLogger("snowplow_tracker.integrations")

_MAPPED_PREFIX = 96  # the length of ::ffff:0:0/96, the network of IPv4-mapped addresses

_SITE = r"[A-Za-z][A-Za-z0-9+.-]*://(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_PLACE = r"(?:[A-Za-z0-9/:?@!$&'()*+,;=~._-]|%[0-9A-Fa-f]{2})*"
_URL = re.compile(rf"{_SITE}(?:[/?]{_PLACE})?(?:#{_PLACE})?")
_SPLIT_URL = re.compile(rf"({_SITE})([/?#].*|)", re.DOTALL)
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DEFAULT_PORT = re.compile(r"^(http://[^/?#]*):80(?=[/?#]|$)|^(https://[^/?#]*):443(?=[/?#]|$)")
_NUMBER = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}){{3}}")
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{1,35}")


class IncomingRequest(Protocol):
    """The interface to a request of a framework."""

    @property
    def raw(self) -> Any:
        """The framework's own request, which is passed to functions of users."""

    @property
    def peer(self) -> Optional[str]:
        """The IP address of the peer of the connection."""

    @property
    def method(self) -> Optional[str]:
        """The HTTP method, in capital letters."""

    def header(self, name: str) -> Optional[str]:
        """Return a header by its lower-case name. Several with the same name are joined by commas."""

    def url(self, scheme: Optional[str]) -> Optional[str]:
        """Return the URL of the request, with the scheme from a trusted proxy if it is not None."""


_RequestValues = Tuple[Dict[str, Any], Optional[bool]]
"""The parameters of a request, and whether its events are anonymous; None if it does not tell."""


class RequestScope(Scope):
    """The scope of one request. The request is read when its first event is tracked."""

    def __init__(self, load: Callable[[], _RequestValues]) -> None:
        """Create the scope of a request. It is read by `load`."""
        super().__init__()
        self._load: Optional[Callable[[], _RequestValues]] = load
        self._loaded: _RequestValues = ({}, None)
        self._loading_in: Optional[int] = None

    def _merge(self, around: ScopeState) -> ScopeState:
        load, thread = self._load, get_ident()
        # A user's function may track an event itself.
        if load is not None and self._loading_in != thread:
            self._loading_in = thread
            try:
                self._loaded = load()
                self._load = None
            finally:
                self._loading_in = None
        pairs, anonymous = self._loaded
        if anonymous is None:
            anonymous = around.anonymous
        return super()._merge(ScopeState({**around.pairs, **pairs}, around.entities, anonymous))


class RequestTracking:
    """Opens the scope of each request, and tracks page views and exceptions.

    Its arguments are those of `snowplow_tracker.integrations.wsgi.SnowplowMiddleware`.

    Raises:
        TypeError: An option is unknown or has the wrong type, or an option needs a tracker.
        ValueError: A proxy is neither an address nor a network.
    """

    def __init__(
        self,
        tracker: Optional[Tracker] = None,
        **options: Unpack[RequestOptions],
    ) -> None:
        unknown = [name for name in options if name not in DEFAULTS]
        if unknown:
            raise TypeError(
                f"{', '.join(unknown)} is not an option of the middleware. The options are: {', '.join(DEFAULTS)}."
            )
        self._options: RequestOptions = {**DEFAULTS, **options}
        self.tracks_page_views = bool(self._options["page_views"])
        self.tracks_exceptions = self._options["exceptions"]
        if tracker is not None:
            check_tracker(tracker)
        elif self.tracks_page_views or self.tracks_exceptions:
            raise TypeError("page_views and exceptions need a tracker.")
        for name in ("is_anonymous", "user_id"):
            function = self._options[name]
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function, not {type(function).__name__}.")
        self.tracker = tracker
        self._proxy_count, self._proxy_networks = _checked_proxies(self._options["trusted_proxies"])

    def scope(self, request: IncomingRequest) -> RequestScope:
        """Return the scope of a request, which is not open yet."""
        return RequestScope(
            # If the request cannot be read, it counts as anonymous: it may have a privacy signal.
            lambda: _guarded("The request", self._values, request, in_doubt=({}, True))
        )

    def track_page_view(
        self, request: IncomingRequest, status: int, content_type: Optional[str]
    ) -> None:
        """Track the view of a page, if the response is one. Call it inside the scope of the request."""
        if not 200 <= status < 300 or not (content_type or "").startswith("text/html"):
            return
        if request.method in ("HEAD", "OPTIONS"):  # nobody sees a page
            return
        wanted = self._options["page_views"]
        if callable(wanted) and not _guarded("page_views", wanted, request.raw):
            return
        url = self._url(request)
        if self.tracker is not None and url:
            try:
                self.tracker.track(PageView(url))
            except (TypeError, ValueError) as error:
                if is_interrupt(error):
                    raise
                logger.exception("The page view of a request could not be tracked.")

    def track_exception(self, error: BaseException) -> None:
        """Track an exception that the application did not handle. Call it inside the scope of the request."""
        if self.tracker is not None and self.tracks_exceptions:
            track_exception(self.tracker, error, is_fatal=False)

    def _values(self, request: IncomingRequest) -> _RequestValues:
        """Return the parameters of a request, and whether its events are anonymous."""
        options = self._options
        anonymous = self._asks_for_anonymity(request)
        values: Dict[str, Any] = {}
        if options["useragent"]:
            values["ua"] = (request.header("user-agent") or "")[: MAX_LENGTHS["ua"]]
        if options["language"]:
            values["lang"] = _first_language(request.header("accept-language"))
        if options["page"]:
            values["url"] = self._url(request)
            values["refr"] = _usable_url(request.header("referer"))
        if not anonymous:
            values.update(self._identifiers(request))
        # Unknown values are left out. Only the address is set to None, which hides that of the tracker's subject.
        known = {name: value for name, value in values.items() if value or name == "ip"}
        return known, anonymous or None

    def _identifiers(self, request: IncomingRequest) -> Dict[str, Any]:
        options = self._options
        values: Dict[str, Any] = {}
        if options["ip_address"]:
            values["ip"] = self._client_address(request)
        header = request.header("cookie")
        network_cookie = options["network_cookie"]
        if header and (options["id_cookie"] or network_cookie):
            cookies = dict(parse_cookies(header))
            if options["id_cookie"]:
                prefix, suffix = options["cookie_prefix"], options["cookie_suffix"]
                values.update(id_cookie_values(cookies, prefix, suffix))
            if network_cookie:
                network_id = cookies.get(network_cookie, "")
                if len(network_id) <= MAX_LENGTHS["tnuid"] and network_id.isprintable():
                    values["tnuid"] = network_id
        if options["user_id"] is not None:
            user_id = _guarded("user_id", options["user_id"], request.raw)
            values["uid"] = None if user_id is None else str(user_id)
        return values

    def _asks_for_anonymity(self, request: IncomingRequest) -> bool:
        signals = (request.header("dnt"), request.header("sec-gpc"))
        if self._options["privacy_signals"] and "1" in signals:
            return True
        is_anonymous = self._options["is_anonymous"]
        if is_anonymous is None:
            return False
        # If the function raises, the request counts as anonymous.
        return bool(_guarded("is_anonymous", is_anonymous, request.raw, in_doubt=True))

    def _url(self, request: IncomingRequest) -> Optional[str]:
        scheme = None
        if self._comes_from_proxy(request):
            named = (request.header("x-forwarded-proto") or "").rpartition(",")[2].strip().lower()
            scheme = named if named in {"http", "https"} else None
        return _usable_url(_DEFAULT_PORT.sub(r"\1\2", request.url(scheme) or ""))

    def _comes_from_proxy(self, request: IncomingRequest) -> bool:
        return self._proxy_count > 0 or (
            bool(self._proxy_networks) and self._is_proxy(_plain_address(request.peer))
        )

    def _client_address(self, request: IncomingRequest) -> Optional[str]:
        """Return the address of the user: the last address that does not belong to a trusted proxy."""
        peer = _plain_address(request.peer)
        if not self._proxy_count and not self._proxy_networks:
            return peer
        forwarded = [each for each in (request.header("x-forwarded-for") or "").split(",") if each]
        if self._proxy_count:
            if len(forwarded) < self._proxy_count:
                return peer  # the request did not come through all proxies
            return _plain_address(forwarded[-self._proxy_count])
        address = peer
        while self._is_proxy(address) and forwarded:
            address = _plain_address(forwarded.pop())
        return address

    def _is_proxy(self, address: Optional[str]) -> bool:
        from ipaddress import ip_address

        if address is None:
            return False
        known = ip_address(address)
        return any(known in network for network in self._proxy_networks)


def _guarded(
    name: str, function: Callable[[Any], Any], argument: Any, *, in_doubt: Any = None
) -> Any:
    try:
        return function(argument)
    except Exception as error:
        if is_interrupt(error):
            raise
        logger.exception("%s raised; events of this request are sent without its values.", name)
        return in_doubt


def _checked_proxies(
    proxies: Union[int, Iterable[str]],
) -> Tuple[int, List[Union[IPv4Network, IPv6Network]]]:
    from ipaddress import ip_network

    if isinstance(proxies, int) and not isinstance(proxies, bool) and proxies >= 0:
        return proxies, []
    if isinstance(proxies, (int, str, bytes)) or not isinstance(proxies, Iterable):
        raise TypeError(
            "trusted_proxies must be the number of proxies in front of the application, or a list of their addresses"
            f" and networks, not {proxies!r}."
        )
    return 0, [_plain_network(ip_network(network, strict=False)) for network in proxies]


def _plain_network(network: Union[IPv4Network, IPv6Network]) -> Union[IPv4Network, IPv6Network]:
    """Return the IPv4 network that a network of IPv4-mapped addresses stands for, or else the network itself."""
    from ipaddress import IPv4Network

    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_PREFIX:
        return network
    return IPv4Network(f"{mapped}/{network.prefixlen - _MAPPED_PREFIX}")


def _plain_address(text: Optional[str]) -> Optional[str]:
    """Return an IP address without port, brackets, zone and spaces, or None if it is not an IP address.

    A server whose socket takes IPv4 and IPv6 gives an IPv4 address as `::ffff:192.0.2.1`.
    """
    if not text:
        return None
    address = text.strip()
    if _IPV4.fullmatch(address):
        return address
    from ipaddress import ip_address

    address = address.strip('"')
    if address.startswith("["):
        address = address[1:].partition("]")[0]
    elif address.count(":") == 1:
        address = address.partition(":")[0]
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(known, "ipv4_mapped", None) or known)


def _usable_url(url: Optional[str]) -> Optional[str]:
    """Return a URL that the pipeline accepts, or None: with any other URL the whole event would fail."""
    if not url:
        return None
    if _URL.fullmatch(url) is None:
        parts = _SPLIT_URL.fullmatch(url)
        if parts is None:
            return None
        place, mark, fragment = parts.group(2).partition("#")
        url = f"{parts.group(1)}{_quoted(place)}{mark}{_quoted(fragment)}"
    if len(url) > MAX_LENGTHS["url"]:
        url = url.partition("?")[0]
    return url if len(url) <= MAX_LENGTHS["url"] else None


def _quoted(place: str) -> str:
    return quote(_BARE_PERCENT.sub("%25", place), safe="%/:?@!$&'()*+,;=~-._")


def _first_language(header: Optional[str]) -> Optional[str]:
    """Return the preferred language of an `Accept-Language` header; the first one if several are equal."""
    best: Optional[str] = None
    best_quality = 0.0
    for part in (header or "")[:1000].split(","):
        tag, _, parameters = part.partition(";")
        quality = _quality(parameters)
        if quality > best_quality and _LANGUAGE.fullmatch(tag.strip()):
            best, best_quality = tag.strip(), quality
            if quality >= 1:
                break
    return best


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
