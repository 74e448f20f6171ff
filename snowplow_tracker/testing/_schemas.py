"""Converts the option ``schemas`` of users to an object that validates data."""

from __future__ import annotations

import os
from typing import Any, List, Optional

from snowplow_tracker.testing.records import Schemas


def make_schemas(source: Any) -> Optional[Schemas]:
    """Return an object that validates data against the given schemas.

    Args:
        source: a folder, an archive or a registry, several of them in a list, a
            `snowplow_tracker.iglu.Resolver`, or an object with a method ``problems``. None for no
            schemas.

    Raises:
        ImportError: the extra ``schemas`` is not installed.
        ValueError: the source has none of these forms.
    """
    if source is None or callable(getattr(source, "problems", None)):
        return source  # type: ignore[no-any-return]
    from snowplow_tracker.iglu import Resolver
    from snowplow_tracker.iglu.validation import load_extra

    # Here, so that a missing extra is reported before the first event arrives.
    load_extra()
    if isinstance(source, Resolver):
        return _ResolverSchemas(source)
    sources = source if isinstance(source, (list, tuple)) else [source]
    return _ResolverSchemas(
        Resolver(*[os.fspath(each) if isinstance(each, os.PathLike) else each for each in sources])
    )


class _ResolverSchemas:
    """Validates data against the schemas that a resolver finds."""

    def __init__(self, resolver: Any) -> None:
        self.resolver = resolver

    def problems(self, where: str, schema: str, data: Any) -> List[str]:
        """Return the violations of the schema.

        Args:
            where: the name of the data in messages.
            schema: the URI of the schema.
            data: the decoded data.
        """
        from snowplow_tracker.iglu import validate_self_describing

        found = validate_self_describing({"schema": schema, "data": data}, self.resolver)
        return [f"{where} at {each.path}: {each.message} ({schema})" for each in found]

    def schema(self, uri: str) -> Any:
        """Return a schema as JSON data, or None if there is none.

        Args:
            uri: the URI of the schema.
        """
        try:
            return self.resolver.resolve(uri)
        except (LookupError, ValueError):
            return None
