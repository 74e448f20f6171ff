"""The options of the tracker that `Snowplow.create_tracker` creates."""

from __future__ import annotations

from typing import Optional

from snowplow_tracker._protocol.json import check_json_encoder
from snowplow_tracker.typing import JsonEncoderFunction

__all__ = ["JsonEncoderFunction", "TrackerConfiguration"]


class TrackerConfiguration:
    """Options of a tracker, for `Snowplow.create_tracker`."""

    _encode_base64 = True

    def __init__(
        self,
        encode_base64: bool = True,
        json_encoder: Optional[JsonEncoderFunction] = None,
    ) -> None:
        """Create a configuration.

        Args:
            encode_base64: Send self-describing data as base64.
            json_encoder: Converts objects in self-describing data that JSON cannot represent, as
                `default` of `json.dumps`.

        Raises:
            TypeError: `json_encoder` cannot be called with one argument.
        """
        self.encode_base64 = encode_base64
        self.json_encoder = json_encoder

    @property
    def encode_base64(self) -> bool:
        """Whether self-describing data is sent as base64. Setting a value that is not a `bool` has no effect."""
        return self._encode_base64

    @encode_base64.setter
    def encode_base64(self, value: bool) -> None:
        if isinstance(value, (bool, type(None))):
            self._encode_base64 = value

    @property
    def json_encoder(self) -> Optional[JsonEncoderFunction]:
        """The function that converts objects in self-describing data that JSON cannot represent."""
        return self._json_encoder

    @json_encoder.setter
    def json_encoder(self, value: Optional[JsonEncoderFunction]) -> None:
        check_json_encoder(value)
        self._json_encoder = value

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(encode_base64={self.encode_base64!r}, "
            f"json_encoder={self.json_encoder!r})"
        )
