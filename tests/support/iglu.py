"""Schemas with every construct that Iglu schemas have, examples of their data, and a registry that serves them."""

import importlib.util
import json
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Dict, List

import pytest

from support.inside import model as models

SCHEMAS = Path(__file__).parent.parent / "iglu" / "schemas"

_ORDER = {
    "orderId": "A-1017",
    "total": 59.8,
    "currency": "EUR",
    "items": [
        {"sku": "lamp-3", "quantity": 2, "price": 29.9},
        {"sku": "bulb", "quantity": 1, "gift": True},
    ],
    "placedAt": "2026-11-27T17:30:00Z",
    "customerEmail": None,
}
_HOME = {"street": "Main Street 1", "country": "AT"}

VALID = [
    ("com.acme.shop/order_placed/jsonschema/1-0-0", {"orderId": "A-1"}),
    (
        "com.acme.shop/order_placed/jsonschema/1-0-1",
        {"orderId": "A-1", "total": 0.3, "coupon": "X"},
    ),
    ("com.acme.shop/order_placed/jsonschema/2-0-0", _ORDER),
    (
        "com.acme.shop/product/jsonschema/1-0-0",
        {"sku": "lamp", "tags": ["a", "b"], "size": "M", "weight": 0.5, "available": False},
    ),
    ("org.beta/product/jsonschema/1-0-0", {"id": 2**70}),
    (
        "com.acme.shop/cart/jsonschema/1-0-0",
        {
            "rows": [[{"sku": "a", "price": {"amount": 1, "currency": "EUR"}}, {"sku": "b"}], []],
            "pair": ["a", 1],
            "notes": ["gift", None],
        },
    ),
    ("com.acme.shop/payment/jsonschema/1-0-0", {"kind": "card", "lastDigits": "1234"}),
    ("com.acme.shop/payment/jsonschema/1-0-0", {"kind": "invoice", "dueInDays": 14}),
    (
        "com.acme.shop/refund/jsonschema/1-0-0",
        {"amount": "12", "means": {"kind": "invoice", "dueInDays": 3}},
    ),
    (
        "com.acme.shop/refund/jsonschema/1-0-0",
        {"amount": 12, "means": {"kind": "card", "lastDigits": "1234"}},
    ),
    (
        "com.acme.shop/search/jsonschema/1-0-0",
        {
            "terms": True,
            "page": 2,
            "order": 1,
            "sort": "newest first",
            "facets": {"a": [1, {"b": None}]},
        },
    ),
    (
        "com.acme.shop/preferences/jsonschema/1-0-0",
        {"theme": "dark", "hidden": {"news": True}, "sizes": {"size_a": 1}, "x-a": "b", "n": 3},
    ),
    (
        "com.acme.org/category/jsonschema/1-0-0",
        {
            "root": {
                "name": "a",
                "children": [{"name": "b", "children": [], "parent": {"name": "c"}}],
            },
            "path": ["a", ["b", ["c"]]],
        },
    ),
    (
        "com.acme.org/person/jsonschema/1-0-0",
        {"name": "Ada", "home": _HOME, "work": _HOME, "age": 36},
    ),
    (
        "com.acme.org/odd_names/jsonschema/1-0-0",
        {
            **dict.fromkeys(
                ["self", "class", "context", "event_subject", "true_timestamp", "super"], "x"
            ),
            **dict.fromkeys(
                ["user-id", "userId", "user_id", "2fa", "größe", "名前", "", "items", "str"], "y"
            ),
            **dict.fromkeys(
                ["quote\"'", "back\\slash", "new\nline", "to_data", "data", "schema"], "z"
            ),
        },
    ),
    ("com.acme.org/list/jsonschema/1-0-0", {"any": [1, "a", None]}),
    ("com.acme.org/nothing/jsonschema/1-0-0", {}),
    ("com.acme.org/anything/jsonschema/1-0-0", {"a": {"b": [1]}}),
    ("com.acme.org/readings/jsonschema/1-0-0", [{"at": 1, "value": 2.5}, {"at": 2, "value": 3}]),
    (
        "com.acme.org/formats/jsonschema/1-0-0",
        {
            "moment": "2026-02-28T23:59:60.5+01:00",
            "day": "2024-02-29",
            "time": "12:00:00",
            "mail": "ada@example.com",
            "host": "shop.example.com",
            "v4": "203.0.113.7",
            "v6": "2001:db8::1",
            "address": "https://example.com/a?b=c#d",
            "id": "3F2504E0-4F89-11D3-9A0C-0305E82C3301",
            "unknown": "anything",
        },
    ),
    ("com.acme.org/rules/jsonschema/1-0-0", {"a": 12, "b": "x", "short": "😀😀"}),
    ("com.acme.org/hostile/jsonschema/1-0-0", {"mode": "\u202etxt.exe", "hidden": 1}),
]
"""Data that is valid, by the paths of schemas. Optional properties that are null are left out: classes leave them out."""


@pytest.fixture
def registry():
    """A registry on this machine: its address, and what it was asked."""
    with serving() as server:
        yield server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api_key = None
    answer = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: List[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = SCHEMAS / self.path[len("/schemas/") :]
        if self.server.answer is not None:
            status, body = self.server.answer
        elif self.server.api_key is not None and self.headers.get("apikey") != self.server.api_key:
            status, body = 403, b"{}"
        elif path.is_file():
            status, body = 200, path.read_bytes()
        else:
            status, body = 404, b"{}"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


@contextmanager
def serving():
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def imported(text: str, path: Path) -> Any:
    """Import a generated module."""
    path.write_bytes(text.encode())
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def built(module: Any, model: models.ClassModel, data: Any) -> Any:
    """Return the object of a generated class that stands for data."""
    made = getattr(module, model.name)
    if model.is_value:
        (only,) = model.properties
        return made(**{only.name: _value(module, only.hint, data)})
    rest = dict(data)
    arguments: Dict[str, Any] = {}
    for each in model.properties:
        if each.key in rest:
            arguments[each.name] = _value(module, each.hint, rest.pop(each.key))
    if rest:
        arguments["additional"] = rest
    return made(**arguments)


def _value(module: Any, hint: Any, value: Any) -> Any:
    if isinstance(hint, models.UnionOf):
        hint = next(each for each in hint.members if _fits(each, value))
    if isinstance(hint, models.Object):
        return built(module, hint.model, value)
    if isinstance(hint, models.ListOf):
        return [_value(module, hint.item, each) for each in value]
    if isinstance(hint, models.DictOf):
        return {key: _value(module, hint.value, each) for key, each in value.items()}
    assert _fits(hint, value), (hint, value)
    return value


def _fits(hint: Any, value: Any) -> bool:
    if isinstance(hint, models.Object):
        model = hint.model
        required = {each.key for each in model.properties if each.required}
        known = {each.key: each.hint for each in model.properties}
        return (
            isinstance(value, dict)
            and required <= set(value)
            and (model.additional is not None or set(value) <= set(known))
            and all(_fits(known[key], each) for key, each in value.items() if key in known)
        )
    if isinstance(hint, models.LiteralOf):
        return any(value == each and type(value) is type(each) for each in hint.values)
    if isinstance(hint, models.ListOf):
        return isinstance(value, list) and all(_fits(hint.item, each) for each in value)
    if isinstance(hint, models.DictOf):
        return isinstance(value, dict) and all(_fits(hint.value, each) for each in value.values())
    if isinstance(hint, models.UnionOf):
        return any(_fits(each, value) for each in hint.members)
    assert isinstance(hint, models.Plain)
    if hint.name == "Any":
        return True
    if isinstance(value, bool):
        return hint.name == "bool"
    kinds = {"str": str, "int": int, "float": (int, float), "None": type(None)}
    return isinstance(value, kinds.get(hint.name, ()))


def schema(path: str) -> Dict[str, Any]:
    """Read one of the schemas."""
    return json.loads((SCHEMAS / path).read_text(encoding="utf-8"))
