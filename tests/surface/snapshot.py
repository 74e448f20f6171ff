"""Write down the public surface of the `snowplow_tracker` that this interpreter imports.

Two snapshots are kept beside this file:

* `snowplow-tracker-1.1.0.json`, the surface of the release that we replace. It is made once, in
  an environment that holds that release: `python tests/surface/snapshot.py reference`.
* `api.txt`, our own surface. A change of the surface updates it on purpose:
  `python tests/surface/snapshot.py ours`.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import json
import logging
import pkgutil
import re
import sys
import types
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

PACKAGE = "snowplow_tracker"
HERE = Path(__file__).parent
REFERENCE = HERE / "snowplow-tracker-1.1.0.json"
OURS = HERE / "api.txt"

# 1.1.0 ships its tests inside the package; nobody imports them.
NOT_API = {"snowplow_tracker.test"}

# They import what is not installed everywhere; tests/integrations pins them.
NEEDS_FRAMEWORK = {
    f"snowplow_tracker.integrations.{name}"
    for name in ("celery", "django", "flask", "opentelemetry", "rq")
}

_ADDRESS = re.compile(r"<([\w.]+) object at 0x[0-9a-f]+>")
_SCALARS = (str, int, float, bool, tuple, set, frozenset, list, dict, type(None))


def public_modules() -> List[str]:
    """Names of the modules whose names users may import."""
    package = importlib.import_module(PACKAGE)
    found = [PACKAGE, f"{PACKAGE}._version"]
    for module in pkgutil.walk_packages(package.__path__, f"{PACKAGE}."):
        private = any(part.startswith("_") for part in module.name.split("."))
        if not private and module.name not in NOT_API | NEEDS_FRAMEWORK:
            found.append(module.name)
    return sorted(found)


def describe_module(name: str) -> Dict[str, Any]:
    """Describe every public name of a module that is the module's or the package's own."""
    module = importlib.import_module(name)
    # A module that says what is public is believed; 1.1.0 had none that did.
    public = getattr(module, "__all__", [name for name in vars(module) if name[0] != "_"])
    described = {}
    for attribute in sorted({*public, "__version__"}):
        if hasattr(module, attribute):
            description = describe(name, getattr(module, attribute))
            if description is not None:
                described[attribute] = description
    return described


def describe(module: str, value: object) -> Optional[Dict[str, Any]]:
    """Describe one object, or give None for what is only an import from elsewhere."""
    if isinstance(value, types.ModuleType):
        return None
    if isinstance(value, logging.Logger):
        return {"kind": "logger", "name": value.name}
    if inspect.isclass(value) or inspect.isroutine(value):
        home = getattr(value, "__module__", "") or ""
        if not home.startswith(PACKAGE):
            # `warn` of the warnings module is the one foreign function with a reader.
            return {"kind": "import"} if home == "_warnings" else None
        if home != module and not is_private(home):
            return {"kind": "re-export", "of": home}
        if inspect.isclass(value):
            return describe_class(value)
        return {"kind": "function", "parameters": parameters(value)}
    if getattr(value, "__module__", None) in {"typing", "typing_extensions", "__future__"}:
        # A bare `Optional` is an import; an alias made here has arguments.
        return {"kind": "alias"} if getattr(value, "__args__", None) else None
    if isinstance(value, _SCALARS):
        return {"kind": "constant", "value": stable_repr(value)}
    return {"kind": "alias"} if getattr(value, "__args__", None) else None


def is_private(module: str) -> bool:
    """Whether a module is ours alone."""
    return any(part.startswith("_") for part in module.split("."))


def describe_class(cls: type) -> Dict[str, Any]:
    """Describe a class with all its public members."""
    members: Dict[str, Any] = {}
    for name, value in sorted(own_members(cls)):
        if isinstance(value, staticmethod):
            kind: Dict[str, Any] = {
                "kind": "staticmethod",
                "parameters": parameters(value.__func__),
            }
        elif isinstance(value, classmethod):
            kind = {"kind": "classmethod", "parameters": parameters(value.__func__)}
        elif inspect.isfunction(value):
            kind = {"kind": "method", "parameters": parameters(value)}
        elif isinstance(value, property):
            kind = {"kind": "property", "writable": value.fset is not None}
        elif inspect.isdatadescriptor(value):
            kind = {"kind": "property", "writable": hasattr(type(value), "__set__")}
        elif isinstance(value, cls):
            kind = {"kind": "member", "value": stable_repr(getattr(value, "value", value))}
        else:
            kind = {"kind": "attribute"}
        members[name] = kind
    bases = [base.__name__ for base in cls.__bases__ if base is not object]
    described: Dict[str, Any] = {"kind": "class", "bases": bases, "members": members}
    # From 3.14 on they are computed when somebody asks, and stand in the class only after that.
    annotations = (
        cls.__annotations__ if sys.version_info >= (3, 14) else vars(cls).get("__annotations__", {})
    )
    if getattr(cls, "_fields", None) or hasattr(cls, "__total__"):
        described["fields"] = sorted(annotations)
    return described


def own_members(cls: type) -> Iterator[Any]:
    """Public members of the class, with those it has from private classes of the package."""
    seen = set()
    for owner in cls.__mro__:
        home = owner.__module__
        if owner is not cls and not (home.startswith(PACKAGE) and is_hidden(owner)):
            continue
        for name, value in vars(owner).items():
            if name in seen or (name.startswith("_") and name != "__init__"):
                continue
            # Protocols get an `__init__` from the typing module; it says nothing of ours.
            if name == "__init__" and not value.__module__.startswith(PACKAGE):
                continue
            if issubclass(cls, enum.Enum) and not isinstance(value, cls):
                continue
            seen.add(name)
            yield name, value


def is_hidden(cls: type) -> bool:
    """Whether users have no public path to a class."""
    return cls.__name__.startswith("_") or is_private(cls.__module__)


def parameters(function: Any) -> List[Dict[str, str]]:
    """Names, kinds and defaults of the parameters of a function."""
    described = []
    for parameter in inspect.signature(function).parameters.values():
        entry = {"name": parameter.name, "kind": parameter.kind.name}
        if parameter.default is not parameter.empty:
            entry["default"] = stable_repr(parameter.default)
        described.append(entry)
    return described


def stable_repr(value: Any) -> str:
    """A `repr` that is the same in each run and in each version of Python."""
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(repr, value))) + "}"
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    return _ADDRESS.sub(lambda found: f"<{found[1].rsplit('.', 1)[-1]}>", repr(value))


def surface() -> Dict[str, Any]:
    """The surface of the installed package, by module."""
    described = {name: describe_module(name) for name in public_modules()}
    # What lives in a private module is described where it first appears, and only there.
    first: Dict[Any, str] = {}
    for module, names in described.items():
        for name, entry in names.items():
            if entry["kind"] in {"class", "function"}:
                value = getattr(importlib.import_module(module), name)
                if first.setdefault(value, module) != module:
                    names[name] = {"kind": "re-export", "of": first[value]}
    return described


def as_text(described: Dict[str, Any]) -> str:
    """The surface as lines that read well in a diff."""
    lines = []
    for module, names in described.items():
        lines.append(module)
        for name, entry in names.items():
            lines += [f"    {line}" for line in _lines(name, entry)]
        lines.append("")
    return "\n".join(lines)


def _lines(name: str, entry: Dict[str, Any]) -> Iterator[str]:
    kind = entry["kind"]
    if kind == "re-export":
        yield f"{name} (of {entry['of']})"
    elif kind == "constant":
        # The version has one home, and this is not it.
        yield name if "VERSION" in name.upper() else f"{name} = {entry['value']}"
    elif kind == "member":
        yield f"{name} = {entry['value']}"
    elif kind == "logger":
        yield f"{name}: logger {entry['name']!r}"
    elif kind == "class":
        yield f"class {name}({', '.join(entry['bases'])})"
        if "fields" in entry:
            yield f"    fields: {', '.join(entry['fields'])}"
        for member, description in entry["members"].items():
            for line in _lines(member, description):
                yield f"    {line}"
    elif kind == "property":
        yield f"{name}: property{'' if entry['writable'] else ', read only'}"
    elif "parameters" in entry:
        word = "" if kind in {"function", "method"} else f"{kind} "
        yield f"{word}{name}({_signature(entry['parameters'])})"
    else:
        yield f"{name}: {kind}"


def _signature(described: List[Dict[str, str]]) -> str:
    shown = []
    keyword_only = False
    for parameter in described:
        text = parameter["name"]
        if "default" in parameter:
            text += f"={parameter['default']}"
        if parameter["kind"] == "VAR_POSITIONAL":
            text, keyword_only = f"*{text}", True
        elif parameter["kind"] == "VAR_KEYWORD":
            text = f"**{text}"
        elif parameter["kind"] == "KEYWORD_ONLY" and not keyword_only:
            shown.append("*")
            keyword_only = True
        shown.append(text)
    return ", ".join(shown)


def main(arguments: List[str]) -> int:
    """Write the snapshot that is asked for."""
    wanted = arguments[0] if arguments else ""
    version = importlib.import_module(PACKAGE).__version__
    if wanted == "reference":
        if version != "1.1.0":
            print(f"This interpreter imports {version}, not 1.1.0.", file=sys.stderr)
            return 2
        REFERENCE.write_text(json.dumps(surface(), indent=1) + "\n", encoding="utf-8")
        print(f"wrote {REFERENCE}")
        return 0
    if wanted == "ours":
        OURS.write_text(as_text(surface()), encoding="utf-8")
        print(f"wrote {OURS}")
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
