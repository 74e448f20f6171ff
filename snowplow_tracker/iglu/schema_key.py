"""The URI of a schema."""

from __future__ import annotations

import re
from typing import NamedTuple, Tuple

from snowplow_tracker._protocol.parameters import SCHEMA_URI

__all__ = ["SchemaKey"]


class SchemaKey(NamedTuple):
    """The URI of a schema: `iglu:vendor/name/format/version`.

    Keys sort by vendor and name, then by version as numbers.
    """

    vendor: str
    name: str
    format: str
    version: Tuple[int, int, int]
    """SchemaVer: model, revision and addition."""

    @classmethod
    def parse(cls, uri: str) -> SchemaKey:
        """Parse a URI.

        Args:
            uri: For example `iglu:com.acme/order/jsonschema/1-0-0`.

        Raises:
            ValueError: It is not such a URI.
        """
        match = re.fullmatch(SCHEMA_URI, uri) if isinstance(uri, str) else None
        # With ".." as a vendor, the path would leave the folder of a registry.
        if match is None or not match["vendor"].strip("."):
            raise ValueError(
                f"{uri!r} is not the URI of a schema, such as iglu:com.acme/order/jsonschema/1-0-0"
            )
        model, revision, addition = match["version"].split("-")
        return cls(
            match["vendor"],
            match["name"],
            match["format"],
            (int(model), int(revision), int(addition)),
        )

    @property
    def path(self) -> str:
        """The path in a registry: `vendor/name/format/1-0-0`."""
        return f"{self.vendor}/{self.name}/{self.format}/{self.schema_ver}"

    @property
    def schema_ver(self) -> str:
        """The version in its written form: `1-0-0`."""
        return "-".join(map(str, self.version))

    @property
    def uri(self) -> str:
        """The complete URI."""
        return f"iglu:{self.path}"

    def __str__(self) -> str:
        return self.uri
