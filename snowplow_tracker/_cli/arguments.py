"""What the arguments of several commands have in common."""

from __future__ import annotations

__all__ = ["ENDPOINT_HELP"]

ENDPOINT_HELP = (
    "the collector: a URL, or a host, which is spoken to by https, or by http if it is this machine "
    "(localhost, 127.*, [::1])"
)
