"""Check that the sdist and the wheel in a folder hold what they should, and nothing else.

Run from the root of a git checkout: ``python .ci/check_distributions.py FOLDER``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

SDIST_ONLY = (
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "tests/",
    "examples/",
    ".docs/",
)
# Written by the build, and the ignore file without which a build from the sdist could pick up stray files.
ADDED_TO_SDIST = {"PKG-INFO", ".gitignore"}
RUNTIME_DEPENDENCIES = {"requests<3,>=2.25.1", "typing-extensions>=3.7.4"}


def tracked_files(*prefixes: str) -> set[str]:
    listing = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True)
    return {name for name in listing.stdout.splitlines() if name.startswith(prefixes)}


def difference(what: str, found: set[str], expected: set[str]) -> list[str]:
    problems = [f"{what}: {name} is missing" for name in sorted(expected - found)]
    return problems + [f"{what}: {name} does not belong there" for name in sorted(found - expected)]


def check_sdist(path: Path, version: str) -> list[str]:
    root = f"snowplow_tracker-{version}/"
    with tarfile.open(path) as archive:
        names = [member.name for member in archive.getmembers() if not member.isdir()]
    outside = [f"sdist: {name} is outside {root}" for name in names if not name.startswith(root)]
    found = {name[len(root) :] for name in names}
    expected = tracked_files("snowplow_tracker/", *SDIST_ONLY) | ADDED_TO_SDIST
    return outside + difference("sdist", found, expected)


def check_wheel(path: Path, version: str) -> list[str]:
    info = f"snowplow_tracker-{version}.dist-info/"
    with zipfile.ZipFile(path) as archive:
        found = set(archive.namelist())
        metadata = Parser().parsestr(archive.read(info + "METADATA").decode())
        wheel = Parser().parsestr(archive.read(info + "WHEEL").decode())
    names = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    # The plugin for pytest is installed beside the package.
    plugin = tracked_files("snowplow_tracker/testing/_plugin/")
    expected = tracked_files("snowplow_tracker/") - plugin | {Path(name).name for name in plugin}
    problems = difference("wheel", found, expected | {info + name for name in names})

    dependencies = metadata.get_all("Requires-Dist", [])
    needed = {name.replace(" ", "").lower() for name in dependencies if "extra ==" not in name}
    facts = {
        "name": (metadata["Name"], "snowplow-tracker"),
        "version": (metadata["Version"], version),
        "licence": (metadata["License-Expression"], "Apache-2.0"),
        "python": (metadata["Requires-Python"], ">=3.8"),
        "readme": (metadata["Description-Content-Type"], "text/markdown"),
        "dependencies": (needed, RUNTIME_DEPENDENCIES),
        "pure": (wheel["Root-Is-Purelib"], "true"),
        "tag": (wheel.get_all("Tag"), ["py3-none-any"]),
        "typed": ("snowplow_tracker/py.typed" in found, True),
    }
    return problems + [
        f"wheel: {what} is {value!r}, expected {expected!r}"
        for what, (value, expected) in facts.items()
        if value != expected
    ]


def main() -> int:
    folder = Path(sys.argv[1])
    source = Path("snowplow_tracker/_version.py").read_text(encoding="utf-8")
    version = re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE)[0]
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    problems = check_sdist(sdist, version) + check_wheel(wheel, version)
    for problem in problems:
        print(problem)
    print(f"{sdist.name} and {wheel.name}: {'wrong' if problems else 'hold what they should'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
