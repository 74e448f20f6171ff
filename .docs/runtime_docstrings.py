"""For the reference: docstrings that are completed when the module is imported are read as they are then."""

import inspect
from typing import Any

import griffe


class RuntimeDocstrings(griffe.Extension):
    """Takes the docstrings of some classes from the running program."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Replace a docstring that leaves arguments to that of another class."""
        if cls.docstring is not None and " others: As for " in cls.docstring.value:
            cls.docstring.value = inspect.getdoc(griffe.dynamic_import(cls.path)) or ""
