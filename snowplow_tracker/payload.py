"""The pairs of names and values that make up one event on the wire."""

from binascii import b2a_base64
from typing import Any, Optional

from snowplow_tracker import _json
from snowplow_tracker._by_value import ByValue
from snowplow_tracker.contracts import plain
from snowplow_tracker.typing import JsonEncoderFunction as JsonEncoderFunction
from snowplow_tracker.typing import PayloadDict as PayloadDict

__all__ = ["JsonEncoderFunction", "Payload", "PayloadDict"]

_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Payload(ByValue):
    """One event as pairs of names and values of the tracker protocol.

    Attributes:
        nv_pairs: The pairs.
    """

    def __init__(self, dict_: Optional[PayloadDict] = None) -> None:
        """Start with the pairs of a dictionary, which is copied, or with none."""
        self.nv_pairs: PayloadDict = {} if dict_ is None else dict(dict_)

    def add(
        self,
        name: str,
        value: Any,
    ) -> None:
        """Add a pair, unless its value is `None` or the empty text."""
        if type(value) is str:
            if value:
                self.nv_pairs[name] = value
        elif value is not None and value != "":
            self.nv_pairs[name] = plain(value)

    def add_dict(
        self,
        dict_: PayloadDict,
        base64: bool = False,  # noqa: ARG002 - kept for its callers; never used
    ) -> None:
        """Add each pair of a dictionary, as `add` does.

        Args:
            dict_: The pairs.
            base64: Not used.
        """
        pairs = self.nv_pairs
        for name, value in dict_.items():
            # `add` again, written out: this runs three times for every event tracked, and calls
            # would double its cost (0.3 us for a page view).
            if type(value) is str:
                if value:
                    pairs[name] = value
            elif value is not None:
                self.add(name, value)

    def add_json(
        self,
        dict_: Optional[PayloadDict],
        encode_base64: bool,
        type_when_encoded: str,
        type_when_not_encoded: str,
        json_encoder: Optional[JsonEncoderFunction] = None,
    ) -> None:
        """Add a dictionary as JSON text, unless it is `None` or empty.

        Args:
            dict_: The dictionary.
            encode_base64: Encode the text as base64, in the alphabet for URLs, with padding.
            type_when_encoded: The name of the pair with base64.
            type_when_not_encoded: The name of the pair without.
            json_encoder: Asked about objects that JSON does not know.

        Raises:
            TypeError: The dictionary holds something that has no JSON form.
            ValueError: The dictionary holds itself.
        """
        if dict_ is None or dict_ == {}:
            return
        text = _json.dumps(dict_, json_encoder)
        if encode_base64:
            encoded = b2a_base64(text.encode(), newline=False).translate(_TO_URL_SAFE)
            self.add(type_when_encoded, encoded.decode("ascii"))
        else:
            self.add(type_when_not_encoded, text)

    def get(self) -> PayloadDict:
        """Give the pairs themselves, not a copy."""
        return self.nv_pairs

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.nv_pairs!r})"
