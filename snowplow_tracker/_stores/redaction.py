"""Removes secrets from the URL of a store."""

from __future__ import annotations

import re

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*:/*"
# Up to the last @, since an unquoted password may contain any character.
_USERINFO_OF_URL = re.compile(rf"^({_SCHEME}).*@", re.DOTALL)
# The form of a URL, which messages show, has no secrets.
_FORM = r"\[\[user\]:password@\]host\[:port\]/db,?(?:\s|$)"
_USERINFO = re.compile(rf"({_SCHEME})(?!/*{_FORM})\S*@")
# What follows a URL in a sentence belongs to the sentence.
_OPTION = re.compile(r"([?&]([^\s=&?'\"]+)=)[^\s&'\"]*?(?=[,.;:)]*(?:[\s&'\"]|$))")
_SHOWN_OPTIONS = frozenset(
    {
        *("buffer_capacity", "overflow", "overflow_timeout", "max_bytes", "lease_seconds"),
        *("lock_timeout", "durability", "stream", "group", "consumer", "claim_after"),
        *("spill_capacity", "socket_timeout", "exit_timeout", "write_behind", "db", "protocol"),
    }
)


def _hide(found: re.Match[str]) -> str:
    # A function: for a template, `re` would import a module, which fails during the end of the interpreter.
    return found[1] + "***@"


def redact(text: str) -> str:
    """Return a URL, or a message with URLs, without possible secrets: users, passwords, and values of unknown options."""
    text = _USERINFO_OF_URL.sub(_hide, text)
    text = _USERINFO.sub(_hide, text)
    return _OPTION.sub(_redact_option, text)


def _redact_option(match: re.Match[str]) -> str:
    return match.group() if match.group(2) in _SHOWN_OPTIONS else f"{match.group(1)}***"
