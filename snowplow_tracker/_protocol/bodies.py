"""Encodes events as bodies of POST requests, with a maximum number of events and of bytes."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Callable, Dict, List, Tuple

from snowplow_tracker._protocol.text import well_formed
from snowplow_tracker.typing import PayloadDict, PayloadDictList

logger = logging.getLogger("snowplow_tracker.emitters")

PAYLOAD_DATA_SCHEMA = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"

_PREFIX = f'{{"schema":"{PAYLOAD_DATA_SCHEMA}","data":['
_SUFFIX = "]}"
_FRAME = len(_PREFIX) + len(_SUFFIX)

# Every key that payload_data 1-0-4 knows. One key outside it fails the whole POST downstream.
KNOWN_KEYS = frozenset(
    """
    e eid tv tna aid p dtm stm ttm ctype
    uid duid tnuid nuid sid vid ip ua fp tid mac
    tz lang res vp ds cd cs cookie
    f_pdf f_qt f_realp f_wma f_dir f_fla f_java f_gears f_ag
    url refr page pp_mix pp_max pp_miy pp_may
    se_ca se_ac se_la se_pr se_va
    ue_px ue_pr ue_na cx co
    tr_id tr_af tr_ci tr_st tr_co tr_tt tr_tx tr_sh tr_cu
    ti_id ti_sk ti_nm ti_na ti_ca ti_pr ti_qu ti_cu
    ad_ba ad_ca ad_ad ad_uid sa sn st sp
    """.split()  # noqa: SIM905 - a table, by topic
)
_BYTES_AT_ONCE = 32_768
"""After this many bytes a background thread lets the threads that track run."""
_PAUSE_SECONDS = 0.0001
"""For that. A pause of 0 ends before a waiting thread is awake, and has no effect."""

REQUIRED_KEYS = frozenset({"e", "p", "tv"})

_escape: Callable[[str], str] = json.encoder.encode_basestring_ascii


class _Shape:
    """The data for all events with the same names in the same order."""

    __slots__ = ("complete", "names", "template", "unknown")

    def __init__(self, names: List[str]) -> None:
        known = [name for name in names if name in KNOWN_KEYS]
        self.names = names
        self.template = "{" + ",".join(f'"{name}":%s' for name in known) + "}"
        self.unknown = [name for name in names if name not in KNOWN_KEYS]
        self.complete = REQUIRED_KEYS.issubset(names)


class EventEncoder:
    """Encodes events as JSON (fast path).

    Events come in a handful of shapes, so what depends on the keys alone is worked out once per shape: the check
    against the schema, and a template.
    """

    _MAX_SHAPES = 1_000

    def __init__(self) -> None:
        self._shapes: Dict[Tuple[str, ...], _Shape] = {}
        self._last_shape = _Shape([])

    def encode(self, event: PayloadDict) -> str:
        """Encode one event."""
        shape = self._last_shape
        if [*event] != shape.names:
            shape = self._last_shape = self._shapes.get(tuple(event)) or self._learn(event)
        values = event.values()
        if shape.unknown:
            values = {key: event[key] for key in event if key in KNOWN_KEYS}.values()
        try:
            text = shape.template % (*map(_escape, values),)
        except TypeError:
            # A custom store or a direct input() may contain values that are not strings.
            text = shape.template % tuple(_escape(str(value)) for value in values)
        if "\\ud" in text:  # half of a surrogate pair, or a harmless emoji
            text = shape.template % tuple(_escape(well_formed(str(value))) for value in values)
        return text

    def _learn(self, event: PayloadDict) -> _Shape:
        shape = _Shape([*event])
        if shape.unknown:
            logger.warning(
                "Left out of POST requests, since the payload_data schema does not allow them and would refuse the "
                "whole request: %s",
                ", ".join(map(repr, shape.unknown)),
            )
        if not shape.complete:
            logger.warning(
                "Events without %s are sent separately, since the collector's schema refuses them.",
                ", ".join(sorted(REQUIRED_KEYS.difference(event))),
            )
        if len(self._shapes) >= self._MAX_SHAPES:
            self._shapes.clear()
        self._shapes[tuple(event)] = shape
        return shape

    def is_complete(self, event: PayloadDict) -> bool:
        """Return whether an event has the required parameters of a POST."""
        return REQUIRED_KEYS.issubset(event)

    def next_body(
        self, events: PayloadDictList, max_bytes: int, *, yielding: bool = False
    ) -> Tuple[str, int]:
        """Encode as many of the first events as one request may contain; at least one, even if it is too large.

        Args:
            events: The events from the store.
            max_bytes: Maximum size of the body.
            yielding: Whether to let other threads run from time to time.

        Returns:
            The body, and the number of events in it. The number is 0 if complete and incomplete events are mixed,
            which must not be in one request.
        """
        texts: List[str] = []
        size = _FRAME
        pause_at = 0 if yielding else sys.maxsize
        complete = True
        for event in events:
            if size > pause_at:
                time.sleep(_PAUSE_SECONDS)
                pause_at = size + _BYTES_AT_ONCE
            text = self.encode(event)
            if self._last_shape.complete is not complete:
                if texts:
                    return "", 0
                complete = False
            size += len(text) + 1
            if texts and size - 1 > max_bytes:
                break
            texts.append(text)
        return _PREFIX + ",".join(texts) + _SUFFIX, len(texts)
