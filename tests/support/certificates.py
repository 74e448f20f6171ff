"""Certificates for servers on this machine."""

import subprocess
from pathlib import Path

from support.programs import need


def make_certificate(directory: Path) -> Path:
    """Make a certificate for 127.0.0.1 that nobody signed, with its key in the same file."""
    key, public, both = directory / "key.pem", directory / "public.pem", directory / "both.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(public)]
    subprocess.run(
        [
            need("openssl"),
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            *subject,
            *files,
        ],
        check=True,
        capture_output=True,
    )
    both.write_text(key.read_text() + public.read_text())
    return both
