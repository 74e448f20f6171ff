"""The environments that programs run in, what they have in common, and the certificate of the collector."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Dict, List, Optional, Sequence

PROJECT = Path(__file__).resolve().parent.parent.parent
REFERENCE = ("snowplow-tracker==1.1.0",)
PEERS: Dict[str, Sequence[str]] = {
    "mixpanel": ("mixpanel",),
    "segment": ("segment-analytics-python",),
    "rudder": ("rudder-sdk-python",),
    "posthog": ("posthog",),
    "amplitude": ("amplitude-analytics",),
    "opentelemetry": ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"),
    "sentry": ("sentry-sdk",),
}


class CommandError(Exception):
    """A command ended with an error."""


def run(command: Sequence[str]) -> str:
    """Run a command without the variables that could change what it imports; give what it printed."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise CommandError(f"{' '.join(command)}\n{textwrap.indent(last, '    ')}")
    return done.stdout


class Environments:
    """Virtual environments, kept in a directory from run to run.

    Args:
        folder: The directory.
        python: The interpreter that they are made with.
    """

    def __init__(self, folder: Path, python: str) -> None:
        self._folder = folder
        self._python = python

    def get(self, name: str, requirements: Sequence[str], version: str = "") -> str:
        """Make an environment with the requirements, unless it is there; give its interpreter.

        Args:
            name: Of its directory.
            requirements: For pip.
            version: Of what requirements that are files hold: another one makes the environment anew.
        """
        home = self._folder / name
        python = str(home / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        mark = home / "made-of"
        wanted = "\n".join([self._python, version or " ".join(requirements)])
        if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
            return python
        run([self._python, "-m", "venv", "--clear", str(home)])
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, *requirements])
        mark.write_text(wanted, encoding="utf-8")
        return python

    def reference(self) -> str:
        """Give the interpreter that has 1.1.0."""
        return self.get("snowplow-tracker-1.1.0", REFERENCE)

    def ours(self) -> str:
        """Give the interpreter that has our package: built from the checkout, or what runs this if it is installed."""
        sources = PROJECT / "snowplow_tracker"
        if not sources.is_dir():
            if importlib.util.find_spec("snowplow_tracker") is None:
                raise CommandError(
                    f"There is no snowplow_tracker in {PROJECT}, and none is installed."
                )
            return sys.executable
        files = sorted(sources.rglob("*.py"))
        version = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
        with tempfile.TemporaryDirectory() as folder:
            mark = self._folder / "ours" / "made-of"
            if mark.exists() and version in mark.read_text(encoding="utf-8"):
                return self.get("ours", (), version)
            run([self._python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, str(PROJECT)])
            wheel = next(Path(folder).glob("*.whl"))
            return self.get("ours", (f"{wheel}[redis]",), version)

    def peer(self, name: str) -> str:
        """Give the interpreter that has a peer."""
        return self.get(name, PEERS[name])


class Certificate:
    """A certificate for the loopback address, and a bundle that makes clients trust it.

    The bundle also holds the authorities that requests brings along: loading them is part of what a request over https
    costs whoever does it each time.

    Args:
        folder: Where to keep the files.
        python: An interpreter that has certifi.
    """

    def __init__(self, folder: Path, python: str) -> None:
        self.file = folder / "collector.pem"
        self.bundle = folder / "authorities.pem"
        if self.file.exists() and self.bundle.exists():
            return
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        run([
            *("openssl", "req", "-x509", "-nodes", "-days", "3650", "-subj", "/CN=127.0.0.1"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
            *("-keyout", str(key), "-out", str(certificate)),
        ])  # fmt: skip
        authorities = Path(run([python, "-c", "import certifi; print(certifi.where())"]).strip())
        own = certificate.read_bytes()
        self.file.write_bytes(key.read_bytes() + own)
        self.bundle.write_bytes(authorities.read_bytes() + b"\n" + own)


def variables(bundle: Optional[Path]) -> Dict[str, str]:
    """Give the environment variables of a measured program: none that changes what it imports or how it connects."""
    kept: List[str] = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "TEMP"]
    result = {name: os.environ[name] for name in kept if name in os.environ}
    result["PYTHONDONTWRITEBYTECODE"] = "1"
    if bundle is not None:
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "OTEL_EXPORTER_OTLP_CERTIFICATE"):
            result[name] = str(bundle)
    return result
