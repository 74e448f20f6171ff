"""Who, or what, an event is about."""

from typing import Any, Dict, Optional

from snowplow_tracker._by_value import ByValue
from snowplow_tracker.contracts import greater_than as greater_than
from snowplow_tracker.contracts import one_of as one_of
from snowplow_tracker.contracts import plain
from snowplow_tracker.typing import SUPPORTED_PLATFORMS as SUPPORTED_PLATFORMS
from snowplow_tracker.typing import PayloadDict as PayloadDict
from snowplow_tracker.typing import SupportedPlatform as SupportedPlatform

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


class Subject(ByValue):
    """The user, device and session that events belong to.

    A tracker has one for all its events, and an event may have its own, whose values go first.
    Every setter returns the subject, so that calls can be chained. A value of `None` is not sent;
    in the subject of an event it also keeps the tracker's value from being sent.

    Attributes:
        standard_nv_pairs: The pairs to send.
    """

    # Kept beside the pairs, since a platform that was chosen can be the default one. On the class,
    # since a subject may come from a pickle that does not have it.
    _platform_chosen = False

    def __init__(self) -> None:
        """Start with nothing but the default platform."""
        self.standard_nv_pairs: Dict[str, Any] = {"p": DEFAULT_PLATFORM}

    def set_platform(self, value: SupportedPlatform) -> "Subject":
        """Set the platform that the event happens on.

        Raises:
            ValueError: The protocol does not know the platform.
        """
        one_of(value, SUPPORTED_PLATFORMS, name="value")
        self.standard_nv_pairs["p"] = plain(value)
        self._platform_chosen = True
        return self

    def set_user_id(self, user_id: Optional[str]) -> "Subject":
        """Set the id that the business gives its user."""
        return self._set("uid", user_id)

    def set_screen_resolution(self, width: int, height: int) -> "Subject":
        """Set the size of the screen in pixels.

        Raises:
            ValueError: A side is not greater than 0.
        """
        return self._set("res", _dimensions(width, height))

    def set_viewport(self, width: int, height: int) -> "Subject":
        """Set the size in pixels of what is visible of the page.

        Raises:
            ValueError: A side is not greater than 0.
        """
        return self._set("vp", _dimensions(width, height))

    def set_color_depth(self, depth: Optional[int]) -> "Subject":
        """Set the number of bits per pixel of the screen."""
        return self._set("cd", depth)

    def set_timezone(self, timezone: Optional[str]) -> "Subject":
        """Set the time zone, `Europe/London`."""
        return self._set("tz", timezone)

    def set_lang(self, lang: Optional[str]) -> "Subject":
        """Set the language, `en`."""
        return self._set("lang", lang)

    def set_domain_user_id(self, duid: Optional[str]) -> "Subject":
        """Set the id that a first-party cookie gives the user."""
        return self._set("duid", duid)

    def set_domain_session_id(self, sid: Optional[str]) -> "Subject":
        """Set the id of the session, a UUID."""
        return self._set("sid", sid)

    def set_domain_session_index(self, vid: Optional[int]) -> "Subject":
        """Set the number of the session, counted over all sessions of the user."""
        return self._set("vid", vid)

    def set_ip_address(self, ip: Optional[str]) -> "Subject":
        """Set the IP address of the user."""
        return self._set("ip", ip)

    def set_useragent(self, ua: Optional[str]) -> "Subject":
        """Set the user agent of the user's browser."""
        return self._set("ua", ua)

    def set_network_user_id(self, nuid: Optional[str]) -> "Subject":
        """Set the id that a third-party cookie gives the user."""
        return self._set("tnuid", nuid)

    def combine_subject(self, subject: Optional["Subject"]) -> PayloadDict:
        """Give the pairs of another subject with those of this one over them.

        A platform that was never chosen is a guess, and gives way to that of the other.

        Args:
            subject: The other subject, in practice the tracker's.
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
    ) -> "Subject":
        self.standard_nv_pairs[name] = plain(value)
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.standard_nv_pairs!r}>"


def _dimensions(width: int, height: int) -> str:
    greater_than(width, 0, name="width")
    greater_than(height, 0, name="height")
    return f"{width}x{height}"
