"""Rules for schemas, with the wildcards of the JavaScript tracker."""

from __future__ import annotations

import re
from typing import Iterable, List, Optional, Union

_PART = "[A-Za-z0-9_-]+"
_NAME = "[A-Za-z0-9_.-]+"
_NUMBER = "[0-9]+"
_RULE = re.compile(
    rf"iglu:({_PART}\.{_PART}(?:\.{_PART})*(?:\.\*)*)/({_NAME}|\*)/jsonschema"
    rf"/((?:{_NUMBER}|\*)-(?:{_NUMBER}|\*)-(?:{_NUMBER}|\*))"
)

Rules = Union[str, Iterable[str]]


class SchemaRule:
    """The URI of a schema in which `*` matches any name, any number, and any part of a vendor after the second.

    Args:
        rule: The rule, such as `iglu:com.acme.*/*/jsonschema/*-*-*`.

    Raises:
        ValueError: The rule is invalid.
    """

    def __init__(self, rule: str) -> None:
        match = _RULE.fullmatch(rule) if isinstance(rule, str) else None
        if match is None:
            raise ValueError(
                f"{rule!r} is not a schema rule, such as iglu:com.acme.*/*/jsonschema/1-*-*; the first two parts "
                "of the vendor cannot be wildcards, and no name can follow a wildcard."
            )
        self._rule = rule
        vendor, name, version = (re.escape(part) for part in match.groups())
        self._pattern = re.compile(
            "iglu:{}/{}/jsonschema/{}".format(
                vendor.replace(r"\*", _PART),
                name.replace(r"\*", _NAME),
                version.replace(r"\*", _NUMBER),
            )
        )

    def matches(self, schema: str) -> bool:
        """Return whether a schema matches.

        Args:
            schema: Its URI.
        """
        return self._pattern.fullmatch(schema) is not None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._rule!r})"


class RuleSet:
    """A set of schemas: those that match a rule of `accept` and no rule of `reject`.

    Args:
        accept: One or several rules. Without any, every schema is accepted that is not rejected.
        reject: One or several rules.

    Raises:
        ValueError: A rule is invalid, or there are no rules at all.
    """

    def __init__(self, accept: Rules = (), reject: Rules = ()) -> None:
        self.accept: List[SchemaRule] = _parsed(accept)
        self.reject: List[SchemaRule] = _parsed(reject)
        if not self.accept and not self.reject:
            raise ValueError("A rule set needs a rule in accept or in reject.")

    def matches(self, schema: Optional[str]) -> bool:
        """Return whether a schema is in the set.

        Args:
            schema: Its URI, or None for an event without a schema, such as a page view, which only a rule set
                without `accept` matches.
        """
        if schema is None:
            return not self.accept
        if any(rule.matches(schema) for rule in self.reject):
            return False
        return not self.accept or any(rule.matches(schema) for rule in self.accept)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(accept={self.accept!r}, reject={self.reject!r})"


def event_schema(event: object) -> Optional[str]:
    """Return the URI of the schema of a self-describing event, or None for other events.

    Args:
        event: The event.
    """
    schema = getattr(type(event), "SCHEMA", None)  # of a generated class, or a screen view
    if schema is None:
        schema = getattr(getattr(event, "event_json", None), "schema", None)
    return schema if isinstance(schema, str) else None


def _parsed(rules: Rules) -> List[SchemaRule]:
    return [SchemaRule(rule) for rule in ([rules] if isinstance(rules, str) else rules)]
