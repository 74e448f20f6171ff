"""The object that made the requests in 1.1.0, and that its users replace or wrap."""

from __future__ import annotations

from typing import Any, Callable


class Requester:
    """The two functions with which an emitter makes its requests.

    Args:
        post: Called like `requests.post`.
        get: Called like `requests.get`.
    """

    post: Callable[..., Any]
    get: Callable[..., Any]

    def __init__(self, post: Callable[..., Any], get: Callable[..., Any]) -> None:
        self.post = post
        self.get = get
