"""The subject of an event: its user, device and session."""

from __future__ import annotations

from copy import copy
from typing import Any, Dict, Optional, Type, TypeVar

from snowplow_tracker._messages import choice_text
from snowplow_tracker._protocol.cookies import parse_id_cookie
from snowplow_tracker._protocol.parameters import pixels, sent_value
from snowplow_tracker._protocol.text import plain
from snowplow_tracker._protocol.value_object import ValueObject
from snowplow_tracker.contracts import contracts_enabled, greater_than, one_of
from snowplow_tracker.typing import SUPPORTED_PLATFORMS, PayloadDict, SupportedPlatform

__all__ = [
    "DEFAULT_PLATFORM",
    "SUPPORTED_PLATFORMS",
    "PayloadDict",
    "Subject",
    "SupportedPlatform",
    "greater_than",
    "one_of",
]

DEFAULT_PLATFORM = "pc"


_IDENTIFIERS = ("duid", "ip", "sid", "tnuid", "uid")
_SHOWN = frozenset({"cd", "cookie", "cs", "ds", "lang", "p", "res", "tz", "vp"})
"""Parameters that are not personal data."""


class Subject(ValueObject):
    """The user, device and session that events belong to.

    A tracker has one for all its events. An event may have its own, whose values take precedence.
    Every setter returns the subject, so that calls can be chained. A value of `None` is not sent;
    in the subject of an event it also keeps the tracker's value from being sent. A value that the
    pipeline would refuse is corrected if this changes no meaning, and otherwise kept and logged once.

    Attributes:
        standard_nv_pairs: The parameters to send, by their names in the tracker protocol.
    """

    # A separate flag, since the user may choose the default platform. On the class, since a subject
    # may come from an old pickle without it.
    _platform_chosen = False

    def __init__(self) -> None:
        """Create a subject that has only the default platform."""
        self.standard_nv_pairs: Dict[str, Any] = {"p": DEFAULT_PLATFORM}

    def set_platform(self, value: SupportedPlatform) -> Subject:
        """Set the platform on which events happen.

        Args:
            value: `"web"`, `"mob"` (mobile), `"app"` (another application), `"pc"` (desktop),
                `"srv"` (server), `"tv"`, `"cnsl"` (games console), `"iot"` or `"headset"`.

        Raises:
            ValueError: The platform is not one of the protocol.
        """
        try:
            one_of(value, SUPPORTED_PLATFORMS, name="value")
        except ValueError:
            raise ValueError(
                f"value is not supported. The platform {choice_text(SUPPORTED_PLATFORMS, value)}"
            ) from None
        self.standard_nv_pairs["p"] = plain(value)
        self._platform_chosen = True
        return self

    def set_user_id(self, user_id: Optional[str]) -> Subject:
        """Set the id of the user in your own system."""
        return self._set("uid", user_id)

    def set_screen_resolution(self, width: int, height: int) -> Subject:
        """Set the size of the screen.

        Args:
            width: In pixels.
            height: In pixels.

        Raises:
            ValueError: A side is not a number, or not greater than 0.
        """
        return self._set("res", _dimensions(width, height))

    def set_viewport(self, width: int, height: int) -> Subject:
        """Set the size of the part of the page that is visible.

        Args:
            width: In pixels.
            height: In pixels.

        Raises:
            ValueError: A side is not a number, or not greater than 0.
        """
        return self._set("vp", _dimensions(width, height))

    def set_document_size(self, width: int, height: int) -> Subject:
        """Set the size of the whole page.

        Args:
            width: In pixels.
            height: In pixels.

        Raises:
            ValueError: A side is not a number, or not greater than 0.

        New in version 1.2.0.
        """
        return self._set("ds", _dimensions(width, height))

    def set_document_charset(self, charset: Optional[str]) -> Subject:
        """Set the character encoding of the page, such as `UTF-8`.

        New in version 1.2.0.
        """
        return self._set("cs", charset)

    def set_cookies_allowed(self, allowed: Optional[bool]) -> Subject:
        """Set whether the browser accepts cookies.

        New in version 1.2.0.
        """
        return self._set("cookie", None if allowed is None else str(int(bool(allowed))))

    def set_page_url(self, url: Optional[str]) -> Subject:
        """Set the URL of the page on which events happen, for events without their own.

        New in version 1.2.0.
        """
        return self._set("url", url)

    def set_page_title(self, title: Optional[str]) -> Subject:
        """Set the title of the page on which events happen, for events without their own.

        New in version 1.2.0.
        """
        return self._set("page", title)

    def set_referrer(self, referrer: Optional[str]) -> Subject:
        """Set the URL that linked to the page, for events without their own.

        New in version 1.2.0.
        """
        return self._set("refr", referrer)

    def set_color_depth(self, depth: Optional[int]) -> Subject:
        """Set the number of bits per pixel of the screen."""
        return self._set("cd", depth)

    def set_timezone(self, timezone: Optional[str]) -> Subject:
        """Set the time zone, such as `Europe/London`."""
        return self._set("tz", timezone)

    def set_lang(self, lang: Optional[str]) -> Subject:
        """Set the language, such as `en`."""
        return self._set("lang", lang)

    def set_domain_user_id(self, duid: Optional[str]) -> Subject:
        """Set the id of the user from a first-party cookie."""
        return self._set("duid", duid)

    def set_domain_session_id(self, sid: Optional[str]) -> Subject:
        """Set the id of the session, a UUID."""
        return self._set("sid", sid)

    def set_domain_session_index(self, vid: Optional[int]) -> Subject:
        """Set the number of the session: how many sessions the user has had, this one included."""
        return self._set("vid", vid)

    def set_ip_address(self, ip: Optional[str]) -> Subject:
        """Set the IP address of the user."""
        return self._set("ip", ip)

    def set_useragent(self, ua: Optional[str]) -> Subject:
        """Set the user agent of the user's browser."""
        return self._set("ua", ua)

    def set_network_user_id(self, nuid: Optional[str]) -> Subject:
        """Set the id of the user from a third-party cookie."""
        return self._set("tnuid", nuid)

    def set_from_id_cookie(self, cookie: Optional[str]) -> Subject:
        """Set the domain user id, session index and session id from a cookie of the JavaScript tracker.

        Args:
            cookie: The value of the cookie `_sp_id.…`. A part that is not valid changes nothing.

        New in version 1.2.0.
        """
        value = plain(cookie)
        if type(value) is str:
            self.standard_nv_pairs.update(parse_id_cookie(value))
        return self

    @classmethod
    def from_id_cookie(cls: Type[_Subject], cookie: Optional[str]) -> _Subject:
        """Return a new subject with the values of a cookie of the JavaScript tracker.

        Args:
            cookie: The value of the cookie `_sp_id.…`, as for `set_from_id_cookie`.

        New in version 1.2.0.
        """
        subject = cls()
        subject.set_from_id_cookie(cookie)
        return subject

    def anonymise(self) -> Subject:
        """Remove what identifies a person: the user, domain user, network user and session ids, and the IP address.

        In the subject of an event, this also keeps those of the tracker's subject from being sent.

        New in version 1.2.0.
        """
        for name in _IDENTIFIERS:
            self.standard_nv_pairs[name] = None
        return self

    def copy(self: _Subject) -> _Subject:
        """Return an independent copy.

        New in version 1.2.0.
        """
        return copy(self)

    def combine_subject(self, subject: Optional[Subject]) -> PayloadDict:
        """Return the parameters of both subjects; those of this one take precedence.

        The exception is a platform that was never set on this subject: the other's platform is used.

        Args:
            subject: The other subject, usually the tracker's.
        """
        own = self.standard_nv_pairs
        if subject is None:
            return own
        combined = {**subject.standard_nv_pairs, **own}
        if not self._platform_chosen and own.get("p") == DEFAULT_PLATFORM:
            combined["p"] = subject.standard_nv_pairs.get("p") or DEFAULT_PLATFORM
        return combined

    def _set(
        self,
        name: str,
        value: Any,
    ) -> Subject:
        self.standard_nv_pairs[name] = sent_value(name, value)
        return self

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name!r}: {value!r}" if name in _SHOWN or value is None else f"{name!r}: ..."
            for name, value in self.standard_nv_pairs.items()
        )
        return f"<{type(self).__name__} {{{shown}}}>"


_Subject = TypeVar("_Subject", bound=Subject)


def _dimensions(width: Any, height: Any) -> str:
    if not contracts_enabled():
        return f"{width}x{height}"
    width = pixels(width, "width")
    height = pixels(height, "height")
    greater_than(width, 0, name="width")
    greater_than(height, 0, name="height")
    return f"{width}x{height}"
