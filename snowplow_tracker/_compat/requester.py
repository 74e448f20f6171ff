"""The object through which 1.1.0 made its requests, and which its users replace or wrap."""

from __future__ import annotations

from typing import Any, Callable

__all__ = ["Requester"]


class Requester:
    """The two functions with which an emitter makes its requests.

    Args:
        post: Called as `requests.post` is.
        get: Called as `requests.get` is.
    """

    post: Callable[..., Any]
    get: Callable[..., Any]

    def __init__(self, post: Callable[..., Any], get: Callable[..., Any]) -> None:
        self.post = post
        self.get = get
