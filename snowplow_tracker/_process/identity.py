"""Names of processes, by which another process of the same machine can detect that one has ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional, Tuple

from snowplow_tracker._process.interrupts import is_interrupt, suppress

_UNKNOWN = "-"


def own_identity() -> str:
    """Return a name for this process that no earlier or later process has.

    A process id alone is reused after some time, and has another meaning in another container or
    after a restart of the machine. So both are part of the name if the system provides them.
    """
    pid = os.getpid()
    started, _ = _started_and_state(pid)
    return " ".join([*_scope(), str(pid), started or _UNKNOWN])


def is_gone(identity: str) -> bool:
    """Return whether a process has certainly ended; False if this cannot be detected."""
    parts = identity.split(" ")
    if len(parts) != 4:
        return False
    boot, namespace, pid, started = parts
    if not (pid.isascii() and pid.isdigit() and len(pid) < 10):
        return False  # damaged
    own_boot, own_namespace = _scope()
    if boot != own_boot:
        return _UNKNOWN not in (boot, own_boot)
    if namespace != own_namespace:
        return False
    if started == _UNKNOWN:
        return not _exists(int(pid))
    now_started, state = _started_and_state(int(pid))
    # A zombie has ended, although its parent has not waited for it yet.
    return now_started != started or state in ("Z", "X")


def _scope() -> Tuple[str, str]:
    """Return the boot of the machine and the container, within which process ids are unique."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return boot, os.readlink("/proc/self/ns/pid")
    return _UNKNOWN, _UNKNOWN


def _started_and_state(pid: int) -> Tuple[Optional[str], Optional[str]]:
    """Return when a process was started, in ticks of the kernel's clock, and its state."""
    with suppress(OSError, IndexError):
        # The second field, the name of the program in parentheses, may itself contain spaces and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return fields[19].decode(), fields[0].decode()
    return None, None


def _exists(pid: int) -> bool:
    if os.name != "posix":
        return True  # there, signal 0 would end the process
    try:
        os.kill(pid, 0)
    except OSError as error:
        if is_interrupt(error):
            raise
        return not isinstance(error, ProcessLookupError)
    return True
