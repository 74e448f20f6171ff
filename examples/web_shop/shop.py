"""The shop: a WSGI application that tracks each request on behalf of the visitor who made it."""

import uuid
from http.cookies import SimpleCookie
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple
from urllib.parse import parse_qs
from wsgiref.util import request_uri

from snowplow_tracker import (
    Event,
    PageView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)

PRODUCTS = {"lamp-3": ("Lamp", 29.9), "desk-1": ("Desk", 180.0), "chair-7": ("Chair", 75.5)}

_ECOMMERCE = "iglu:com.snowplowanalytics.snowplow.ecommerce"


class WebShop:
    """Lists products, keeps baskets, and takes orders."""

    def __init__(self, tracker: Tracker) -> None:
        """Set up a shop that reports to the tracker."""
        self.tracked: List[Optional[str]] = []
        self._tracker = tracker
        self._baskets: Dict[str, List[str]] = {}

    def __call__(
        self, environ: Dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request."""
        visitor = _Visitor(environ)
        status, page = self._answer(environ, visitor)
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Set-Cookie", visitor.cookie)]
        start_response(status, headers)
        return [page.encode("utf-8")]

    def _answer(self, environ: Dict[str, Any], visitor: "_Visitor") -> Tuple[str, str]:
        action = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if action == ("GET", "/"):
            self._track_page(environ, visitor, "All products")
            return "200 OK", "\n".join(PRODUCTS)
        if action == ("POST", "/basket"):
            return self._add_to_basket(_form(environ).get("sku", ""), visitor)
        if action == ("POST", "/order"):
            return self._order(visitor)
        sku = environ["PATH_INFO"].rpartition("/")[2]
        if action[0] == "GET" and sku in PRODUCTS:
            self._track_page(environ, visitor, PRODUCTS[sku][0], [_product(sku)])
            return "200 OK", "{}: {} EUR".format(*PRODUCTS[sku])
        return "404 Not Found", "there is nothing here"

    def _add_to_basket(self, sku: str, visitor: "_Visitor") -> Tuple[str, str]:
        if sku not in PRODUCTS:
            return "400 Bad Request", "no such product"
        self._baskets.setdefault(visitor.id, []).append(sku)
        price = PRODUCTS[sku][1]
        self._track(
            StructuredEvent(
                category="shop",
                action="add-to-basket",
                label=sku,
                value=price,
                event_subject=visitor.subject,
            )
        )
        return "200 OK", "added"

    def _order(self, visitor: "_Visitor") -> Tuple[str, str]:
        basket = self._baskets.pop(visitor.id, [])
        if not basket:
            return "409 Conflict", "the basket is empty"
        order_id = str(uuid.uuid4())
        transaction = SelfDescribingJson(
            f"{_ECOMMERCE}/transaction/jsonschema/1-0-0",
            {
                "transaction_id": order_id,
                "revenue": round(sum(PRODUCTS[sku][1] for sku in basket), 2),
                "currency": "EUR",
                "payment_method": "card",
            },
        )
        self._track(
            SelfDescribing(
                SelfDescribingJson(
                    f"{_ECOMMERCE}/snowplow_ecommerce_action/jsonschema/1-0-1",
                    {"type": "transaction"},
                ),
                event_subject=visitor.subject,
                context=[transaction, *map(_product, basket)],
            )
        )
        return "200 OK", order_id

    def _track_page(
        self,
        environ: Dict[str, Any],
        visitor: "_Visitor",
        title: str,
        entities: Optional[List[SelfDescribingJson]] = None,
    ) -> None:
        self._track(
            PageView(
                page_url=request_uri(environ),
                page_title=title,
                referrer=environ.get("HTTP_REFERER"),
                event_subject=visitor.subject,
                context=entities,
            )
        )

    def _track(self, event: Event) -> None:
        self.tracked.append(self._tracker.track(event))


class _Visitor:
    """Who made a request: known by a cookie, new without one."""

    def __init__(self, environ: Dict[str, Any]) -> None:
        cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
        known = cookies.get("visitor")
        self.id = str(uuid.uuid4()) if known is None else known.value
        self.cookie = f"visitor={self.id}; Path=/; HttpOnly"
        # A subject of its own for each request: threads that serve others never see it.
        self.subject = Subject().set_domain_user_id(self.id).set_ip_address(environ["REMOTE_ADDR"])
        if "HTTP_USER_AGENT" in environ:
            self.subject.set_useragent(environ["HTTP_USER_AGENT"])
        if "customer" in cookies:
            self.subject.set_user_id(cookies["customer"].value)


def _product(sku: str) -> SelfDescribingJson:
    name, price = PRODUCTS[sku]
    return SelfDescribingJson(
        f"{_ECOMMERCE}/product/jsonschema/1-0-0",
        {"id": sku, "name": name, "category": "furniture", "price": price, "currency": "EUR"},
    )


def _form(environ: Dict[str, Any]) -> Dict[str, str]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8")).items()}
