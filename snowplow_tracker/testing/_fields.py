"""The columns of an enriched event that the parameters of the protocol fill."""

from __future__ import annotations

import math
from typing import Any, Dict, Mapping, Optional, Tuple

# The columns of the enriched event, by parameter, as the protocol's documentation lists them.
FIELDS: Dict[str, str] = {
    "e": "event",
    "eid": "event_id",
    "tv": "v_tracker",
    "tna": "name_tracker",
    "aid": "app_id",
    "p": "platform",
    "dtm": "dvce_created_tstamp",
    "stm": "dvce_sent_tstamp",
    "ttm": "true_tstamp",
    "tz": "os_timezone",
    "lang": "br_lang",
    "uid": "user_id",
    "duid": "domain_userid",
    "tnuid": "network_userid",
    "nuid": "network_userid",
    "sid": "domain_sessionid",
    "vid": "domain_sessionidx",
    "ip": "user_ipaddress",
    "ua": "useragent",
    "res": "dvce_screenwidth, dvce_screenheight",
    "vp": "br_viewwidth, br_viewheight",
    "ds": "doc_width, doc_height",
    "cd": "br_colordepth",
    "cs": "doc_charset",
    "url": "page_url",
    "refr": "page_referrer",
    "page": "page_title",
    "pp_mix": "pp_xoffset_min",
    "pp_max": "pp_xoffset_max",
    "pp_miy": "pp_yoffset_min",
    "pp_may": "pp_yoffset_max",
    "se_ca": "se_category",
    "se_ac": "se_action",
    "se_la": "se_label",
    "se_pr": "se_property",
    "se_va": "se_value",
    "ue_px": "unstruct_event",
    "ue_pr": "unstruct_event",
    "cx": "contexts",
    "co": "contexts",
    "tr_id": "tr_orderid",
    "tr_af": "tr_affiliation",
    "tr_tt": "tr_total",
    "tr_tx": "tr_tax",
    "tr_sh": "tr_shipping",
    "tr_ci": "tr_city",
    "tr_st": "tr_state",
    "tr_co": "tr_country",
    "tr_cu": "tr_currency",
    "ti_id": "ti_orderid",
    "ti_sk": "ti_sku",
    "ti_nm": "ti_name",
    "ti_ca": "ti_category",
    "ti_pr": "ti_price",
    "ti_qu": "ti_quantity",
    "ti_cu": "ti_currency",
    "fp": "user_fingerprint",
    "tid": "txn_id",
    "mac": "mac_address",
}

# The type and the schema of the enriched event.
ENRICHED_TYPES: Dict[str, Tuple[str, Optional[str]]] = {
    "pv": ("page_view", "iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0"),
    "pp": ("page_ping", "iglu:com.snowplowanalytics.snowplow/page_ping/jsonschema/1-0-0"),
    "se": ("struct", "iglu:com.google.analytics/event/jsonschema/1-0-0"),
    "ue": ("unstruct", None),
    "tr": ("transaction", "iglu:com.snowplowanalytics.snowplow/transaction/jsonschema/1-0-0"),
    "ti": (
        "transaction_item",
        "iglu:com.snowplowanalytics.snowplow/transaction_item/jsonschema/1-0-0",
    ),
}

_SIZES = {"res", "vp", "ds"}
_TIMES = {"dtm", "stm", "ttm"}
_INTEGERS = {"vid", "pp_mix", "pp_max", "pp_miy", "pp_may", "ti_qu"}
_DECIMALS = {"se_va", "tr_tt", "tr_tx", "tr_sh", "ti_pr"}
_DECODED = {"ue_px", "ue_pr", "cx", "co", "e"}


def enriched_fields(parameters: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the columns of a valid event by their names.

    Args:
        parameters: the event as it arrived; its self-describing parts are left out.
    """
    fields: Dict[str, Any] = {}
    for name, value in parameters.items():
        column = FIELDS.get(name)
        if column is None or name in _DECODED:
            continue
        if name in _SIZES:
            fields.update(zip(column.split(", "), map(int, value.split("x"))))
        elif name in _TIMES:
            fields[column] = _iso_time(int(value))
        elif name in _INTEGERS:
            fields[column] = int(value)
        elif name in _DECIMALS:
            number = float(value)
            # JSON has no infinity, and a decimal number may be larger than any float.
            fields[column] = value if number in (math.inf, -math.inf) else number
        else:
            fields[column] = value
    return fields


def _iso_time(milliseconds: int) -> str:
    # Not the datetime class: tests replace it, and it does not know year 0.
    days, rest = divmod(milliseconds, 86_400_000)
    seconds, milliseconds = divmod(rest, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    year, month, day = _civil_date(days)
    return f"{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}Z"


def iso_time(seconds: float) -> str:
    """Return a time in ISO 8601 format.

    Args:
        seconds: seconds since the epoch.
    """
    return _iso_time(int(seconds * 1_000))


def _civil_date(days: int) -> Tuple[int, int, int]:
    """Return year, month and day of a day since the epoch, in the Gregorian calendar.

    The year is taken to begin in March, so that leap days come last: 146,097 days are 400 years.
    """
    era, day_of_era = divmod(days + 719_468, 146_097)
    year = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (month <= 2), month, day
