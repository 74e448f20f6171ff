"""Visitors of the shop: HTTP clients, each with its own cookies."""

import http.client
from http.cookies import SimpleCookie
from typing import Dict, Optional
from urllib.parse import urlencode


class Visitor:
    """Makes requests as a browser does."""

    def __init__(self, port: int, user_agent: str, customer: Optional[str] = None) -> None:
        """Prepare to visit the shop on the port; a customer is known by name."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._user_agent = user_agent
        self._cookies: Dict[str, str] = {} if customer is None else {"customer": customer}
        self._page: Optional[str] = None

    def visit(self, sku: str) -> None:
        """Look around, take a product and order it."""
        self._request("GET", "/")
        self._request("GET", f"/products/{sku}")
        self._request("POST", "/basket", urlencode({"sku": sku}))
        self._request("POST", "/order")
        self._connection.close()

    def _request(self, method: str, path: str, form: str = "") -> None:
        headers = {
            "User-Agent": self._user_agent,
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
        }
        if self._page is not None:
            headers["Referer"] = self._page
        self._connection.request(method, path, form, headers)
        response = self._connection.getresponse()
        page = response.read().decode("utf-8")
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {page}")
        received = SimpleCookie(response.getheader("Set-Cookie", ""))
        self._cookies.update({name: cookie.value for name, cookie in received.items()})
        if method == "GET":
            self._page = f"http://127.0.0.1:{self._connection.port}{path}"
