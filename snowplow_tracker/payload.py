"""The pairs of names and values that make up one event on the wire."""

from binascii import b2a_base64
from typing import Any, Optional

from snowplow_tracker import _json
from snowplow_tracker._by_value import ByValue
from snowplow_tracker.contracts import plain
from snowplow_tracker.typing import JsonEncoderFunction as JsonEncoderFunction
from snowplow_tracker.typing import PayloadDict as PayloadDict

__all__ = ["JsonEncoderFunction", "Payload", "PayloadDict"]


class Payload(ByValue):
    """One event as pairs of names and values of the tracker protocol.

    Attributes:
        nv_pairs: The pairs.
    """

    def __init__(self, dict_: Optional[PayloadDict] = None) -> None:
        """Start with the pairs of a dictionary, which is copied, or with none."""
        self.nv_pairs: PayloadDict = {} if dict_ is None else {**dict_}

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
        if all(dict_.values()):
            # Nothing to leave out, as nearly always: two calls into C take 0.2 us for the pairs of
            # a subject with six fields, the loop 0.4.
            self.nv_pairs.update(dict_)
        else:
            for name, value in dict_.items():
                if value is not None and value != "":
                    self.nv_pairs[name] = value

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
            self.add(type_when_encoded, _to_base64(text))
        else:
            self.add(type_when_not_encoded, text)

    def get(self) -> PayloadDict:
        """Give the pairs themselves, not a copy."""
        return self.nv_pairs

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.nv_pairs!r})"


def add_enveloped(
    payload: Payload,
    schema: str,
    data: object,
    encode_base64: bool,
    type_when_encoded: str,
    type_when_not_encoded: str,
    json_encoder: Optional[JsonEncoderFunction],
) -> None:
    """Add data inside an envelope of the protocol: `Payload.add_json` of schema and data.

    The envelope is always the same, so it is put around the text: 0.2 us less than encoding it.

    Args:
        payload: Where to add the pair.
        schema: The schema of the envelope, which needs no escapes.
        data: What the envelope holds.
        encode_base64: Same as for `Payload.add_json`.
        type_when_encoded: Same as for `Payload.add_json`.
        type_when_not_encoded: Same as for `Payload.add_json`.
        json_encoder: Same as for `Payload.add_json`.
    """
    text = f'{{"schema": "{schema}", "data": {_json.dumps(data, json_encoder)}}}'
    if encode_base64:
        payload.nv_pairs[type_when_encoded] = _to_base64(text)
    else:
        payload.nv_pairs[type_when_not_encoded] = text


def _to_base64(text: str) -> str:
    # JSON seldom holds what becomes "+" or "/", and looking for them is 0.2 us quicker than a
    # translation of the whole.
    encoded = b2a_base64(text.encode(), newline=False).replace(b"+", b"-").replace(b"/", b"_")
    return encoded.decode("ascii")
