"""The names and values that make up one event on the wire."""

from __future__ import annotations

from typing import Any, Dict, Optional

from snowplow_tracker._protocol import deferred, parameters
from snowplow_tracker._protocol.json import dumps
from snowplow_tracker._protocol.value_object import ValueObject
from snowplow_tracker.typing import JsonEncoderFunction, PayloadDict

__all__ = ["JsonEncoderFunction", "Payload", "PayloadDict"]


class Payload(ValueObject):
    """One event as pairs of names and values of the tracker protocol.

    Attributes:
        nv_pairs: The pairs.
    """

    _names_in_1_1_0 = {"nv_pairs": "_pairs"}  # noqa: RUF012 - never changed
    # Whether values may be deferred. On the class, since a subclass may not call this constructor.
    _deferred = False

    def __init__(self, dict_: Optional[PayloadDict] = None) -> None:
        """Create a payload with a copy of the pairs of a dictionary, or an empty one."""
        self._pairs: PayloadDict = {} if dict_ is None else {**dict_}

    @property
    def nv_pairs(self) -> PayloadDict:
        """The pairs themselves, not a copy."""
        if self._deferred:
            deferred.complete(self._pairs)
            self._deferred = False
        return self._pairs

    @nv_pairs.setter
    def nv_pairs(self, pairs: PayloadDict) -> None:
        self._pairs = pairs
        self._deferred = False

    def add(
        self,
        name: str,
        value: Any,
    ) -> None:
        """Add a pair, unless its value is `None` or the empty string.

        Args:
            name: The parameter of the protocol, such as `"uid"`.
            value: Its value. A value that the pipeline would refuse is corrected if this changes no
                meaning (`3.0` for a parameter with whole numbers), and otherwise logged once.
        """
        if type(value) is str and len(value) < parameters.LONG:
            if value:
                self._pairs[name] = value
        else:
            parameters.add(self._pairs, name, value)

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
        if type(self).add is not Payload.add:
            for name, value in dict_.items():
                self.add(name, value)
        elif all(dict_.values()):
            # fast path: nothing to leave out.
            self._pairs.update(dict_)
        else:
            for name, value in dict_.items():
                if value is not None and value != "":
                    self._pairs[name] = value

    def add_json(
        self,
        dict_: Optional[PayloadDict],
        encode_base64: bool,
        type_when_encoded: str,
        type_when_not_encoded: str,
        json_encoder: Optional[JsonEncoderFunction] = None,
    ) -> None:
        """Add a dictionary as JSON, unless it is `None` or empty.

        Args:
            dict_: The dictionary.
            encode_base64: Encode the JSON as URL-safe base64 with padding.
            type_when_encoded: The name of the pair if it is base64.
            type_when_not_encoded: The name of the pair otherwise.
            json_encoder: Converts objects that JSON cannot represent.

        Raises:
            TypeError: The dictionary contains a value that JSON cannot represent.
            ValueError: The dictionary contains itself.
        """
        if dict_ is None or dict_ == {}:
            return
        json = dumps(dict_, json_encoder)
        if encode_base64:
            self.add(type_when_encoded, deferred.to_base64(json.encode()))
        else:
            self.add(type_when_not_encoded, json)

    def get(self) -> PayloadDict:
        """Return the pairs themselves, not a copy."""
        return self.nv_pairs

    def _state(self) -> Dict[str, object]:
        value = {**vars(self), "_pairs": self.nv_pairs}
        value.pop("_deferred", None)
        return value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.nv_pairs!r})"


def add_enveloped(
    payload: Payload,
    envelope: deferred.Envelope,
    data: object,
    encode_base64: bool,
    json_encoder: Optional[JsonEncoderFunction],
    *,
    defer: bool,
    name: str,
) -> None:
    """Add data inside an envelope of the protocol, as `Payload.add_json` does.

    Args:
        payload: The payload to add the pair to.
        envelope: The envelope.
        data: The data for the envelope.
        encode_base64: Encode the JSON as base64.
        json_encoder: Converts objects that JSON cannot represent.
        defer: Whether the value may be deferred: a tracker of ours will get the payload.
        name: The name of the data in messages.
    """
    json = dumps(data, json_encoder, name=name)
    defer = defer and encode_base64 and type(payload) is Payload
    pairs = payload._pairs if defer else payload.nv_pairs
    envelope.put(pairs, json, encode_base64=encode_base64, defer=defer)
    if defer:
        payload._deferred = True
