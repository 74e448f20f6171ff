"""The rules of the tracker protocol: what a collector and the pipeline behind it accept.

This table is independent of the code that builds payloads, so that each can reveal mistakes of the
other. It describes what the pipeline does, not what would be tidy: whatever the pipeline accepts is
valid here.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Collection, Dict, Iterator, List, Mapping, Optional, Tuple

from snowplow_tracker.testing._decoding import decode_contexts, decode_unstruct

PAYLOAD_DATA_SCHEMA = re.compile(
    r"iglu:com\.snowplowanalytics\.snowplow/payload_data/jsonschema/1-0-[0-4]"
)
CONTENT_TYPES = frozenset({"application/json", "application/json; charset=utf-8"})

# Whether a larger payload is lost depends on what is behind the collector, so it counts as an error.
MAX_PAYLOAD_BYTES = 1_048_576
MAX_BODY_BYTES = 2_097_152
MAX_REQUEST_LINE_BYTES = 20_480
MAX_USERAGENT = 1_000

EVENT_TYPES = {
    "pv": "page view",
    "pp": "page ping",
    "se": "structured",
    "ue": "self-describing",
    "tr": "transaction",
    "ti": "transaction item",
}
PLATFORMS = frozenset({"web", "iot", "app", "mob", "pc", "cnsl", "tv", "srv", "headset"})

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
# The syntax of java.math.BigDecimal.
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE]([+-]?[0-9]{1,10}))?", re.ASCII)
_SIZE = re.compile(r"([0-9]+)x([0-9]+)", re.ASCII)
# RFC 2396 with Java's additions: non-ASCII characters are allowed, except controls and spaces.
_OTHER = "\u00a1-\u167f\u1681-\u1fff\u2010-\u2027\u2030-\u205e\u2060-\u2fff\u3001-\U0010ffff"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
_AUTHORITY = re.compile(rf"(?:[A-Za-z0-9_.~!*'();:@&=+$,\-{_OTHER}]|%[0-9A-Fa-f]{{2}})+")
_IPV6 = re.compile(
    r"(?:[^\[\]@/]*@)?\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9_.~-]+)?\](?::[0-9]*)?",
    re.ASCII,
)
_CURRENCY = re.compile(r"[A-Za-z]{3}", re.ASCII)

_MAX_INT32 = 2**31 - 1
# The years 0 to 9999: other times cannot be stored.
_FIRST_MILLISECOND = -62_167_219_200_000
_LAST_MILLISECOND = 253_402_300_799_999
# No valid number is longer, apart from leading zeros.
_MAX_DIGITS = 20

# A check returns None for a valid value, or else the end of the sentence "eid ... must be".
_Check = Callable[[str], Optional[str]]


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units, as the pipeline counts: an emoji is two."""
    return len(text) if text.isascii() else len(text) + sum(each > "\uffff" for each in text)


def _matches(pattern: re.Pattern[str], wanted: str) -> _Check:
    def check(value: str) -> Optional[str]:
        return None if pattern.fullmatch(value) else wanted

    return check


def _at_most(length: int) -> _Check:
    def check(value: str) -> Optional[str]:
        actual = utf16_length(value)
        if actual <= length:
            return None
        unit = "characters" if actual == len(value) else "UTF-16 units"
        return f"at most {length:,} {unit} long; it has {actual:,}"

    return check


def _integer(value: str) -> Optional[int]:
    if not _INTEGER.fullmatch(value):
        return None
    digits = value.lstrip("+-").lstrip("0")
    # Python takes quadratic time for long numbers, which are outside every range anyway.
    if len(digits) > _MAX_DIGITS:
        digits = "9" * _MAX_DIGITS
    return -int(digits or "0") if value[0] == "-" else int(digits or "0")


def int32(value: str) -> Optional[str]:
    number = _integer(value)
    if number is not None and -_MAX_INT32 - 1 <= number <= _MAX_INT32:
        return None
    return "a 32-bit integer"


def milliseconds(value: str) -> Optional[str]:
    number = _integer(value)
    if number is None:
        return "whole milliseconds since the epoch"
    if _FIRST_MILLISECOND <= number <= _LAST_MILLISECOND:
        return None
    return "milliseconds since the epoch, from year 0 to year 9999"


def decimal(value: str) -> Optional[str]:
    match = _DECIMAL.fullmatch(value)
    if match is not None and abs(int(match.group(3) or "0")) <= _MAX_INT32:
        return None
    return "a decimal number"


def size(value: str) -> Optional[str]:
    match = _SIZE.fullmatch(value)
    if match is not None and all(int32(each) is None for each in match.groups()):
        return None
    return "WIDTHxHEIGHT in whole numbers"


def _url(value: str) -> Optional[str]:
    problem = _url_problem(value)
    if problem is not None:
        return f"a URL; {problem}"
    return _at_most(10_000)(value)


def _url_problem(url: str) -> Optional[str]:
    """Return why the pipeline cannot parse a URL, or None if it can.

    It parses like java.net.URI. If this fails, it escapes illegal characters in the path, the query and
    the fragment, and tries again. So spaces, braces and stray percent signs there are accepted, while
    an invalid scheme, host or bracket fails the event.
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


def _one_of(choices: Collection[str]) -> _Check:
    known = ", ".join(sorted(choices))

    def check(value: str) -> Optional[str]:
        return None if value in choices else f"one of {known}"

    return check


def _anything(_value: str) -> Optional[str]:
    return None


_uuid = _matches(_UUID, "a UUID in hyphenated form")
_currency = _matches(_CURRENCY, "a currency code of three letters")

# For each parameter, the column of the enriched event that it fills (two for a size), and the check of its values.
PARAMETERS: Dict[str, Tuple[str, _Check]] = {
    "e": ("event", _one_of(EVENT_TYPES)),
    "eid": ("event_id", _uuid),
    "tv": ("v_tracker", _at_most(100)),
    "tna": ("name_tracker", _at_most(128)),
    "aid": ("app_id", _at_most(255)),
    "p": ("platform", _one_of(PLATFORMS)),
    "dtm": ("dvce_created_tstamp", milliseconds),
    "stm": ("dvce_sent_tstamp", milliseconds),
    "ttm": ("true_tstamp", milliseconds),
    "tz": ("os_timezone", _at_most(255)),
    "lang": ("br_lang", _at_most(255)),
    "uid": ("user_id", _at_most(255)),
    "duid": ("domain_userid", _at_most(128)),
    "tnuid": ("network_userid", _at_most(128)),
    "sid": ("domain_sessionid", _uuid),
    "vid": ("domain_sessionidx", int32),
    "ip": ("user_ipaddress", _at_most(128)),
    "ua": ("useragent", _at_most(MAX_USERAGENT)),
    "res": ("dvce_screenwidth, dvce_screenheight", size),
    "vp": ("br_viewwidth, br_viewheight", size),
    "ds": ("doc_width, doc_height", size),
    "cd": ("br_colordepth", _at_most(12)),
    "cs": ("doc_charset", _at_most(128)),
    "url": ("page_url", _url),
    "refr": ("page_referrer", _url),
    "page": ("page_title", _at_most(2_000)),
    "pp_mix": ("pp_xoffset_min", int32),
    "pp_max": ("pp_xoffset_max", int32),
    "pp_miy": ("pp_yoffset_min", int32),
    "pp_may": ("pp_yoffset_max", int32),
    "se_ca": ("se_category", _at_most(1_000)),
    "se_ac": ("se_action", _at_most(1_000)),
    "se_la": ("se_label", _at_most(4_096)),
    "se_pr": ("se_property", _at_most(1_000)),
    "se_va": ("se_value", decimal),
    "tr_id": ("tr_orderid", _at_most(255)),
    "tr_af": ("tr_affiliation", _at_most(255)),
    "tr_ci": ("tr_city", _at_most(255)),
    "tr_st": ("tr_state", _at_most(255)),
    "tr_co": ("tr_country", _at_most(255)),
    "tr_tt": ("tr_total", decimal),
    "tr_tx": ("tr_tax", decimal),
    "tr_sh": ("tr_shipping", decimal),
    "tr_cu": ("tr_currency", _currency),
    "ti_id": ("ti_orderid", _at_most(255)),
    "ti_sk": ("ti_sku", _at_most(255)),
    "ti_nm": ("ti_name", _at_most(255)),
    "ti_ca": ("ti_category", _at_most(255)),
    "ti_pr": ("ti_price", decimal),
    "ti_qu": ("ti_quantity", int32),
    "ti_cu": ("ti_currency", _currency),
    "nuid": ("network_userid", _anything),
    "ue_px": ("unstruct_event", _anything),
    "ue_pr": ("unstruct_event", _anything),
    "cx": ("contexts", _anything),
    "co": ("contexts", _anything),
    "fp": ("user_fingerprint", _anything),
    "tid": ("txn_id", _anything),
    "mac": ("mac_address", _anything),
}
PARAMETERS.update(
    dict.fromkeys(
        # These have no column in enriched events.
        "ctype cookie sa sn st sp ue_na ti_na "  # noqa: SIM905
        "f_pdf f_qt f_realp f_wma f_dir f_fla f_java f_gears f_ag "
        "ad_ba ad_ca ad_ad ad_uid".split(),
        ("", _anything),
    )
)

_REQUIRED = ("tv", "p", "e")


def payload_problems(parameters: Mapping[str, Any]) -> List[str]:
    """Return the problems of an event, one sentence each, that make the pipeline refuse every event of its POST."""
    problems = missing_problems(parameters)
    for name, value in parameters.items():
        if name not in PARAMETERS:
            problems.append(f"{shortened(name)} is not a parameter of the protocol")
        elif not isinstance(value, str):
            problems.append(f"{name} is {shortened(value)}, which is not a string")
    return problems


def missing_problems(parameters: Mapping[str, Any]) -> List[str]:
    """Return a sentence for each missing parameter that is required, whatever the HTTP method."""
    return [f"{name} is missing" for name in _REQUIRED if name not in parameters]


def field_problems(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems, one sentence each, that make only this event fail."""
    for name, value in parameters.items():
        if name in PARAMETERS and isinstance(value, str):
            wanted = PARAMETERS[name][1](value)
            if wanted is not None:
                yield f"{name} is {shortened(value)}, but must be {wanted}"
    if "eid" not in parameters:
        yield "eid is missing"
    try:
        unstruct = decode_unstruct(parameters)
    except ValueError as error:
        yield str(error)
    else:
        if unstruct is None and parameters.get("e") == "ue":
            yield "a self-describing event has neither ue_px nor ue_pr"
    try:
        decode_contexts(parameters)
    except ValueError as error:
        yield str(error)


def shortened(value: Any, limit: int = 60) -> str:
    """Return the repr of a value, cut if it is longer than the limit."""
    if isinstance(value, str):
        return repr(value if len(value) <= limit else value[: limit - 3] + "...")
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return f"a {type(value).__name__}"
    return text if len(text) <= limit else text[: limit - 3] + "..."
