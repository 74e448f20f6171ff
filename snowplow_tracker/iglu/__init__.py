"""Iglu schemas: finds them in registries, and validates data against them.

    from snowplow_tracker.iglu import Resolver, validate_self_describing

    resolver = Resolver("schemas/", "https://iglu.acme.example/api")
    for problem in validate_self_describing({"schema": "iglu:…", "data": {…}}, resolver):
        print(problem)

Finding schemas needs no extra; validating needs the extra `schemas` (``pip install "snowplow-tracker[schemas]"``).
"""

from snowplow_tracker.iglu.registries import ArchiveRegistry, FolderRegistry, HttpRegistry, Registry
from snowplow_tracker.iglu.resolver import Resolver, SchemaNotFoundError
from snowplow_tracker.iglu.schema_key import SchemaKey
from snowplow_tracker.iglu.validation import (
    Problem,
    SchemaExtraMissingError,
    validate_event,
    validate_self_describing,
)

__all__ = [
    "ArchiveRegistry",
    "FolderRegistry",
    "HttpRegistry",
    "Problem",
    "Registry",
    "Resolver",
    "SchemaExtraMissingError",
    "SchemaKey",
    "SchemaNotFoundError",
    "validate_event",
    "validate_self_describing",
]
