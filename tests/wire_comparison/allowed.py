"""The differences on purpose: their number in the contract, a reason, and exactly what differs.

A line that no longer occurs fails the comparison, so that this list stays true. The lines are what
`python -m tests.wire_comparison --raw` prints. A wide line is easier to compare than a wrapped one.
"""

from __future__ import annotations

from typing import Dict, List, Tuple

# What the numbers stand for; 0 is for what the contract says without a number.
REASONS: Dict[int, str] = {
    0: '(not numbered) an error names the parameter, where 1.1.0 says "value"; an unusable endpoint is refused',
    1: "tracking an event does not change it",
    2: "only a platform that was set overrides one that was set",
    3: "the platform is always there",
    4: "None clears a property, and unset ones read as None",
    5: "a screen view needs neither id nor name",
    6: "the time of sending has milliseconds",
    7: "redirects are not followed",
    8: "connections are kept",
    11: "each event of a GET batch has its own outcome",
    20: "configurations share nothing, and the capacity is honoured",
    21: "contracts that are off are off",
    22: "schemes in any case",
    23: "ecommerce items are copies, with the transaction's time or none",
    24: "data is encoded as a JSON user would expect",
    25: "a datetime is a true timestamp",
    26: "a key that the pipeline refuses is left out of a POST",
    28: "form events are valid",
    30: "an emitter that raises does not keep the event from the others",
    31: "lone surrogates are replaced",
    32: "the caller's list of emitters is copied",
    33: "the platform headset and string enums are accepted",
    34: "None and empty texts are left out",
    35: "what is plainly meant is sent in the form that the pipeline wants",
    36: "an event's own id and time of creation are kept",
    37: "a full queue is sent, rather than dropped from, while the collector is well",
}

# For each scenario, each difference with its number.
ALLOWED: Dict[str, List[Tuple[int, str]]] = {
    "tracker/emitter_that_raises": [
        (
            30,
            'requests[0]: (nothing) -> {"events": [{"aid": "app", "e": "pv", "p": "pc", "tna": "ns", "url": "https://acme.com/"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (30, 'seen: "RuntimeError" -> "<eid of an event that arrived>"'),
    ],
    "tracker/list_of_emitters_changed_later": [
        (
            32,
            'requests[1]: {"events": [{"aid": "app", "e": "pv", "p": "pc", "tna": "ns", "url": "https://acme.com/"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"} -> (nothing)',
        ),
    ],
    "tracker/bad_arguments": [
        (0, 'seen[1]: "ValueError: value is empty." -> "ValueError: page_url is empty."'),
        (0, 'seen[2]: "ValueError: value is empty." -> "ValueError: page_url is empty."'),
        (0, 'seen[3]: "ValueError: value is empty." -> "ValueError: category is empty."'),
        (0, 'seen[4]: "ValueError: value is empty." -> "ValueError: action is empty."'),
        (0, 'seen[5]: "ValueError: value is empty." -> "ValueError: schema is empty."'),
        (0, 'seen[6]: "ValueError: value is empty." -> "ValueError: page_url is empty."'),
        (
            0,
            'seen[7]: "ValueError: value is empty." -> "ValueError: page_url must be a string, not int."',
        ),
        (0, 'seen[8]: "ValueError: value is empty." -> "ValueError: id_ is empty."'),
        (0, 'seen[9]: "ValueError: value is empty." -> "ValueError: name is empty."'),
        (0, 'seen[10]: "ValueError: value is empty." -> "ValueError: page_url is empty."'),
        (
            0,
            "seen[11]: \"ValueError: value is not supported.\" -> \"ValueError: value is not supported. The platform must be one of 'app', 'cnsl', 'headset', 'iot', 'mob', 'pc', 'srv', 'tv', 'web', got 'fridge'.\"",
        ),
        (
            0,
            "seen[15]: \"ValueError: protocol is not supported.\" -> \"ValueError: protocol is not supported. It must be one of 'http', 'https', got 'ftp'.\"",
        ),
        (
            0,
            "seen[16]: \"ValueError: method is not supported.\" -> \"ValueError: method is not supported. It must be one of 'get', 'post', got 'put'.\"",
        ),
        (
            0,
            "seen[30]: \"ValueError: node_name is not supported.\" -> \"ValueError: node_name is not supported. It must be one of 'INPUT', 'SELECT', 'TEXTAREA', got 'DIV'.\"",
        ),
        (
            0,
            "seen[31]: \"ValueError: Unnamed parameter is not supported.\" -> \"ValueError: type_ is not supported. It must be one of 'button', 'checkbox', 'color', 'date', 'datetime', 'datetime-local', 'email', 'file', 'hidden', 'image', 'month', 'number', 'password', 'radio', 'range', 'reset', 'search', 'submit', 'tel', 'text', 'time', 'url', 'week', got 'wrong'.\"",
        ),
    ],
    "tracker/contracts_off": [
        (
            21,
            'requests[0].events[1]: (nothing) -> {"aid": "app", "e": "pv", "p": "pc", "tna": "ns"}',
        ),
        (
            21,
            'requests[0].events[2]: (nothing) -> {"aid": "app", "e": "se", "p": "pc", "tna": "ns"}',
        ),
        (21, 'seen[0]: "ValueError: value is empty." -> "<eid of an event that arrived>"'),
        (21, 'seen[1]: "ValueError: value is empty." -> "<eid of an event that arrived>"'),
        (21, 'seen[2]: "ValueError: value is empty." -> ""'),
    ],
    "subject/default_platform_of_the_event": [
        (2, 'requests[0].events[0].p: "pc" -> "srv"'),
    ],
    "subject/none": [
        (3, 'requests[0].events[0].p: (nothing) -> "pc"'),
    ],
    "subject/platforms": [
        (33, 'seen[0]: "ValueError: value is not supported." -> "headset"'),
    ],
    "subject/string_enum_as_text": [
        (
            33,
            'requests[0]: (nothing) -> {"events": [{"aid": "app", "e": "se", "p": "pc", "se_ac": "add", "se_ca": "shop", "tna": "ns"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (33, 'seen: "ValueError: value is empty." -> "<eid of an event that arrived>"'),
    ],
    "event/tracked_twice": [
        (1, 'requests[0].events[2].cd: "24" -> (nothing)'),
        (1, 'requests[0].events[2].duid: "duid" -> (nothing)'),
        (1, 'requests[0].events[2].ip: "127.0.0.1" -> (nothing)'),
        (1, 'requests[0].events[2].lang: "cs" -> (nothing)'),
        (1, 'requests[0].events[2].res: "1920x1080" -> (nothing)'),
        (1, 'requests[0].events[2].sid: "11111111-1111-1111-1111-111111111111" -> (nothing)'),
        (1, 'requests[0].events[2].tnuid: "nuid" -> (nothing)'),
        (1, 'requests[0].events[2].tz: "Europe/Prague" -> (nothing)'),
        (1, 'requests[0].events[2].ua: "agent/1.0 (🐎)" -> (nothing)'),
        (1, 'requests[0].events[2].uid: "user ž" -> (nothing)'),
        (1, 'requests[0].events[2].vid: "3" -> (nothing)'),
        (1, 'requests[0].events[2].vp: "1024x768" -> (nothing)'),
        (
            1,
            'requests[0].events[4].cx: "base64url of {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1\\", \\"data\\": [{\\"schema\\": \\"iglu:com.acme/entity/jsonschema/1-0-0\\", \\"data\\": {\\"id\\": 7, \\"text\\": \\"\u017elu\u0165ou\u010dk\xfd k\u016f\u0148 \U0001f40e \U0001d4b3\U00010348 \u2028 \\\\\\"q\\\\\\" \\\\\\\\ </b> \\\\t\\\\n & = + % \x7f\\"}}]}" -> (nothing)',
        ),
        (
            1,
            'seen: "aid cd dtm duid e eid ip lang p res sid tna tnuid tv tz ua uid url vid vp" -> "e url"',
        ),
    ],
    "event/cleared": [
        (4, 'requests[0].events[0].page: "Title" -> (nothing)'),
        (4, 'seen: "Title" -> null'),
    ],
    "event/set_to_nothing": [
        (4, 'requests[0].events[0].refr: "ref" -> (nothing)'),
    ],
    "event/unset_screen_view_property": [
        (4, 'seen: "KeyError" -> null'),
    ],
    "event/screen_view_without_id": [
        (
            5,
            'requests[0]: (nothing) -> {"events": [{"aid": "app", "e": "ue", "p": "pc", "tna": "ns", "ue_pr": "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0\\", \\"data\\": {\\"id\\": \\"<uuid 4>\\", \\"name\\": \\"Home\\"}}}"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (5, 'seen: "TypeError" -> "<eid of an event that arrived>"'),
    ],
    "event/screen_view_without_name": [
        (
            5,
            'requests[0]: (nothing) -> {"events": [{"aid": "app", "e": "ue", "p": "pc", "tna": "ns", "ue_pr": "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0\\", \\"data\\": {\\"id\\": \\"11111111-1111-1111-1111-111111111111\\"}}}"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (5, 'seen: "TypeError" -> "<eid of an event that arrived>"'),
    ],
    "event/own_classes": [
        (3, 'requests[0].events[3].p: (nothing) -> "pc"'),
    ],
    "event/unknown_key/post": [
        (26, 'requests[0].events[0].colour: "red" -> (nothing)'),
    ],
    "event/none_and_empty_in_a_plain_event": [
        (34, 'requests[0].events[0].page: "" -> (nothing)'),
        (34, 'requests[0].events[0].url: "None" -> (nothing)'),
    ],
    "event/datetime_as_true_timestamp": [
        (25, 'requests[0].events[0].ttm: (nothing) -> "1577934245678"'),
    ],
    "data/that_json_does_not_know/datetime": [
        (
            24,
            'requests[0]: (nothing) -> {"events": [{"aid": "app", "e": "ue", "p": "pc", "tna": "ns", "ue_pr": "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": \\"2020-01-02T03:04:05+00:00\\"}}}"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (24, 'seen: "TypeError" -> "<eid of an event that arrived>"'),
    ],
    "data/that_json_does_not_know/date": [
        (
            24,
            'requests[0]: (nothing) -> {"events": [{"aid": "app", "e": "ue", "p": "pc", "tna": "ns", "ue_pr": "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": \\"2020-01-02\\"}}}"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (24, 'seen: "TypeError" -> "<eid of an event that arrived>"'),
    ],
    "data/that_json_does_not_know/uuid": [
        (
            24,
            'requests[0]: (nothing) -> {"events": [{"aid": "app", "e": "ue", "p": "pc", "tna": "ns", "ue_pr": "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": \\"11111111-1111-1111-1111-111111111111\\"}}}"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (24, 'seen: "TypeError" -> "<eid of an event that arrived>"'),
    ],
    "data/that_json_does_not_know/decimal": [
        (
            24,
            'requests[0]: (nothing) -> {"events": [{"aid": "app", "e": "ue", "p": "pc", "tna": "ns", "ue_pr": "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": 1.5}}}"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (24, 'seen: "TypeError" -> "<eid of an event that arrived>"'),
    ],
    "data/that_json_does_not_know/enum": [
        (
            24,
            'requests[0]: (nothing) -> {"events": [{"aid": "app", "e": "ue", "p": "pc", "tna": "ns", "ue_pr": "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": \\"red\\"}}}"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (24, 'seen: "TypeError" -> "<eid of an event that arrived>"'),
    ],
    "data/that_json_does_not_know/set": [
        (
            24,
            'requests[0]: (nothing) -> {"events": [{"aid": "app", "e": "ue", "p": "pc", "tna": "ns", "ue_pr": "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": [5]}}}"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (24, 'seen: "TypeError" -> "<eid of an event that arrived>"'),
    ],
    "data/that_json_does_not_know/nan": [
        (
            24,
            'requests[0].events[0].ue_pr: "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": NaN}}}" -> "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": null}}}"',
        ),
    ],
    "data/that_json_does_not_know/infinity": [
        (
            24,
            'requests[0].events[0].ue_pr: "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": -Infinity}}}" -> "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": null}}}"',
        ),
    ],
    "data/lone_surrogate/base64": [
        (
            31,
            'requests[0]: (nothing) -> {"events": [{"aid": "app", "e": "ue", "p": "pc", "tna": "ns", "ue_px": "base64url of {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": \\"x?y\\"}}}"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (31, 'seen: "UnicodeEncodeError" -> "<eid of an event that arrived>"'),
    ],
    "data/lone_surrogate/plain": [
        (
            31,
            'requests[0].events[0].ue_pr: "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": \\"x\\udcffy\\"}}}" -> "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": \\"x?y\\"}}}"',
        ),
    ],
    "data/lone_surrogate/text": [
        (31, 'requests[0].events[0].url: "x\\udcffy" -> "x?y"'),
    ],
    "deprecated/form_change_type": [
        (
            28,
            'requests[0].events[0].ue_px: "base64url of {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/change_form/jsonschema/1-0-0\\", \\"data\\": {\\"formId\\": \\"form\\", \\"elementId\\": \\"id\\", \\"nodeName\\": \\"INPUT\\", \\"value\\": \\"v\\", \\"type\\": \\"TEXT\\"}}}" -> "base64url of {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/change_form/jsonschema/1-0-0\\", \\"data\\": {\\"formId\\": \\"form\\", \\"elementId\\": \\"id\\", \\"nodeName\\": \\"INPUT\\", \\"value\\": \\"v\\", \\"type\\": \\"text\\"}}}"',
        ),
    ],
    "deprecated/form_change_without_element": [
        (
            28,
            'requests[0].events[0].ue_px: "base64url of {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/change_form/jsonschema/1-0-0\\", \\"data\\": {\\"formId\\": \\"form\\", \\"elementId\\": null, \\"nodeName\\": \\"INPUT\\", \\"value\\": \\"v\\"}}}" -> "base64url of {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/change_form/jsonschema/1-0-0\\", \\"data\\": {\\"formId\\": \\"form\\", \\"nodeName\\": \\"INPUT\\", \\"value\\": \\"v\\"}}}"',
        ),
    ],
    "deprecated/transaction_items": [
        (23, 'requests[0].events[1].ttm: "<milliseconds>" -> (nothing)'),
        (
            23,
            'seen[1]: "context currency event_subject order_id price quantity sku tstamp" -> "currency price quantity sku"',
        ),
    ],
    "batches/default": [
        (8, 'connections: "one per request" -> "one"'),
    ],
    "batches/default_get": [
        (8, 'connections: "one per request" -> "one"'),
    ],
    "batches/create_tracker_capacity": [
        (
            20,
            'requests[0].events[2]: {"e": "pv", "p": "pc", "tna": "capacity", "url": "https://acme.com/2"} -> (nothing)',
        ),
        (
            20,
            'requests[0].events[3]: {"e": "pv", "p": "pc", "tna": "capacity", "url": "https://acme.com/3"} -> (nothing)',
        ),
        (
            20,
            'requests[0].events[4]: {"e": "pv", "p": "pc", "tna": "capacity", "url": "https://acme.com/4"} -> (nothing)',
        ),
        (
            20,
            'requests[1]: (nothing) -> {"events": [{"e": "pv", "p": "pc", "tna": "capacity", "url": "https://acme.com/2"}, {"e": "pv", "p": "pc", "tna": "capacity", "url": "https://acme.com/3"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (
            20,
            'requests[2]: (nothing) -> {"events": [{"e": "pv", "p": "pc", "tna": "capacity", "url": "https://acme.com/4"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (20, 'seen: "int 10000" -> "int 2"'),
    ],
    "batches/full_store_drops_the_newest": [
        (
            37,
            'requests[1]: (nothing) -> {"events": [{"aid": "app", "e": "pv", "p": "pc", "tna": "ns", "url": "https://acme.com/3"}, {"aid": "app", "e": "pv", "p": "pc", "tna": "ns", "url": "https://acme.com/4"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
    ],
    "batches/threaded": [
        (8, 'connections: "one per request" -> "one"'),
    ],
    "emitter/session_like_object": [
        (7, 'seen[0][2]: "data headers timeout" -> "allow_redirects data headers timeout"'),
        (7, 'seen[1][2]: "params timeout" -> "allow_redirects params timeout"'),
    ],
    "emitter/shared_retry_codes": [
        (20, "seen.418: false -> (nothing)"),
    ],
    "emitter/endpoint_with_a_space": [
        (
            0,
            'seen: "http://HOST/a b/com.snowplowanalytics.snowplow/tp2" -> "ValueError: endpoint \'http://HOST/a b\' has a space or a line break in it: remove it, or in a path or a password write %20."',
        ),
    ],
    "emitter/endpoint_scheme_in_capitals": [
        (
            22,
            'seen: "https://HTTPS://acme.com/com.snowplowanalytics.snowplow/tp2" -> "https://acme.com/com.snowplowanalytics.snowplow/tp2"',
        ),
    ],
    "answers/redirect": [
        (
            7,
            'requests[1].events[0]: (nothing) -> {"aid": "app", "e": "pv", "p": "pc", "tna": "ns", "url": "https://acme.com/1"}',
        ),
        (7, 'requests[1].headers.Content-Type: (nothing) -> "application/json; charset=utf-8"'),
        (7, 'requests[1].keys: (nothing) -> "data schema"'),
        (7, 'requests[1].line: "GET /elsewhere" -> "POST /com.snowplowanalytics.snowplow/tp2"'),
        (
            7,
            'requests[1].schema: (nothing) -> "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"',
        ),
        (
            7,
            'requests[2]: {"events": [{"aid": "app", "e": "pv", "p": "pc", "tna": "ns", "url": "https://acme.com/1"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"} -> (nothing)',
        ),
        (7, 'seen[0][0]: "sent" -> "failed"'),
        (7, 'seen[0][1]: "int 1" -> "int 0"'),
        (7, 'seen[0][2]: (nothing) -> "int 1"'),
    ],
    "answers/get_with_one_failure": [
        (
            11,
            'requests[2]: (nothing) -> {"events": [{"aid": "app", "e": "pv", "p": "pc", "tna": "ns", "url": "https://acme.com/0"}], "line": "GET /i"}',
        ),
    ],
    "structured/post/base64": [
        (35, 'requests[1].events[3].se_va: "True" -> "1"'),
        (35, 'requests[1].events[4].se_va: "False" -> "0"'),
    ],
    "structured/post/plain": [
        (35, 'requests[1].events[3].se_va: "True" -> "1"'),
        (35, 'requests[1].events[4].se_va: "False" -> "0"'),
    ],
    "structured/get/base64": [
        (35, 'requests[13].events[0].se_va: "True" -> "1"'),
        (35, 'requests[14].events[0].se_va: "False" -> "0"'),
    ],
    "structured/get/plain": [
        (35, 'requests[13].events[0].se_va: "True" -> "1"'),
        (35, 'requests[14].events[0].se_va: "False" -> "0"'),
    ],
    "true_timestamps/post/base64": [
        (35, 'requests[1].events[0].ttm: (nothing) -> "1368725287000"'),
    ],
    "true_timestamps/post/plain": [
        (35, 'requests[1].events[0].ttm: (nothing) -> "1368725287000"'),
    ],
    "true_timestamps/get/base64": [
        (35, 'requests[10].events[0].ttm: (nothing) -> "1368725287000"'),
    ],
    "true_timestamps/get/plain": [
        (35, 'requests[10].events[0].ttm: (nothing) -> "1368725287000"'),
    ],
    "event/own_eid_and_dtm_are_replaced": [
        (36, 'requests[0].events[0].dtm: "<milliseconds>" -> "5"'),
        (36, 'requests[0].events[0].eid: "<uuid 4>" -> "11111111-1111-1111-1111-111111111111"'),
    ],
    "data/that_json_does_not_know/bytes": [
        (
            24,
            'requests[0]: (nothing) -> {"events": [{"aid": "app", "e": "ue", "p": "pc", "tna": "ns", "ue_pr": "{\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\\", \\"data\\": {\\"schema\\": \\"iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1\\", \\"data\\": {\\"a\\": \\"bytes\\"}}}"}], "line": "POST /com.snowplowanalytics.snowplow/tp2"}',
        ),
        (24, 'seen: "TypeError" -> "<eid of an event that arrived>"'),
    ],
    "data/texts_of_other_types": [
        (35, 'requests[0].events[2].pp_max: "1.5" -> "2"'),
    ],
    "every stm": [
        (6, "whole seconds -> milliseconds"),
    ],
}
