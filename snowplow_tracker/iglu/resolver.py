"""Finds schemas in several registries."""

from __future__ import annotations

import os
import re
import time
from typing import Any, Dict, List, Optional, Set, Tuple, Union

from snowplow_tracker._messages import ADD_PUBLIC
from snowplow_tracker.iglu.registries import Registry, RegistryError, registry_from
from snowplow_tracker.iglu.schema_key import SchemaKey

__all__ = ["Resolver", "SchemaNotFoundError"]

_FORGET_MISSES_AFTER = 60.0
"""Seconds after which a failed look-up in a registry is retried."""


_SNOWPLOW = re.compile(r"com\.snowplow(analytics)?(\.|\Z)")
"""The vendors of Snowplow."""


class SchemaNotFoundError(LookupError):
    """No registry has the schema. The message lists the registries with the result of each."""


class Resolver:
    """Finds schemas in several registries, in order, and caches them.

    It is thread-safe.

    Args:
        sources: Folders, archives, URLs of registries (`http…`), or `Registry` objects.

    Raises:
        ValueError: A folder or an archive does not exist.
    """

    def __init__(self, *sources: Union[str, os.PathLike[str], Registry]) -> None:
        self._registries: List[Registry] = [
            registry_from(each) if isinstance(each, (str, os.PathLike)) else each
            for each in sources
        ]
        self._schemas: Dict[SchemaKey, Dict[str, Any]] = {}
        self._misses: Dict[SchemaKey, Tuple[float, str]] = {}
        self.compiled: Dict[SchemaKey, Any] = {}
        """The validators that `validation` created from the schemas."""

    @property
    def registries(self) -> Tuple[Registry, ...]:
        """The registries, in the order of the look-ups."""
        return tuple(self._registries)

    @property
    def remote(self) -> bool:
        """Whether a look-up may make a request."""
        return any(each.remote for each in self._registries)

    def knows(self, schema: Union[str, SchemaKey]) -> bool:
        """Return whether `resolve` would make no request for a schema.

        Raises:
            ValueError: `schema` is not the URI of a schema.
        """
        key = _key(schema)
        return not self.remote or key in self._schemas or self._recent_miss(key) is not None

    def resolve(self, schema: Union[str, SchemaKey]) -> Dict[str, Any]:
        """Return a schema. It must not be changed.

        Args:
            schema: Its URI, such as `iglu:com.acme/order/jsonschema/1-0-0`.

        Raises:
            SchemaNotFoundError: No registry has it.
            ValueError: `schema` is not the URI of a schema.
        """
        key = _key(schema)
        found = self._schemas.get(key)
        if found is not None:
            return found
        miss = self._recent_miss(key)
        if miss is None:
            said, failed = [], []
            for registry in self._registries:
                try:
                    found = registry.lookup(key)
                except RegistryError as error:
                    failed.append(f"{registry.name} ({error})")
                    said.append(failed[-1])
                    continue
                if found is not None:
                    return self._schemas.setdefault(key, found)
                said.append(registry.name)
            miss = self._miss_text(key, said, failed)
            self._misses[key] = (time.monotonic(), miss)
        raise SchemaNotFoundError(miss)

    def keys(self) -> List[SchemaKey]:
        """Return the sorted keys of the schemas in folders and archives."""
        found: Set[SchemaKey] = set()
        for registry in self._registries:
            found.update(registry.keys())
        return sorted(found)

    def has_vendor(self, schema: Union[str, SchemaKey]) -> bool:
        """Return whether these registries should have a schema, because they have others of its vendor.

        The schemas of Snowplow are public, and a registry that has some of them need not have all. So only Iglu Central
        should. Another registry on the network may have any other vendor.

        Raises:
            ValueError: `schema` is not the URI of a schema.
        """
        key = _key(schema)
        known = self.keys()
        if _SNOWPLOW.match(key.vendor):
            return self._has_iglu_central or key in known
        return self.remote or any(each.vendor == key.vendor for each in known)

    @property
    def _has_iglu_central(self) -> bool:
        return any("iglucentral.com" in registry.name.lower() for registry in self._registries)

    def _recent_miss(self, key: SchemaKey) -> Optional[str]:
        at, text = self._misses.get(key, (float("-inf"), ""))
        return text if time.monotonic() - at < _FORGET_MISSES_AFTER else None

    def _miss_text(self, key: SchemaKey, said: List[str], failed: List[str]) -> str:
        if not said:
            return f"{key} was not found: no registry is configured"
        known = self.keys()
        if key in known:
            return f"{key} cannot be read from {', '.join(failed)}"
        text = f"{key} was not found in {', '.join(said)}"
        others = [each.schema_ver for each in known if each[:3] == key[:3]]
        if others:
            return f"{text}; there is {', '.join(others)}"
        if self._has_iglu_central or any(each.vendor == key.vendor for each in known):
            return text
        return f"{text}; {ADD_PUBLIC}"


def sources_from_environment() -> List[str]:
    """Return the sources in the environment variable SNOWPLOW_SCHEMAS, which are separated by commas."""
    listed = os.environ.get("SNOWPLOW_SCHEMAS", "").split(",")
    return [each.strip() for each in listed if each.strip()]


def _key(schema: Union[str, SchemaKey]) -> SchemaKey:
    return schema if isinstance(schema, SchemaKey) else SchemaKey.parse(schema)
