"""Ids of events: random UUIDs.

Each is drawn from the operating system when it is needed. Ids or random state kept ahead would be used again by a copy
of the process: by a child that C code forks, and by a snapshot of the whole machine that is resumed many times (AWS
Lambda SnapStart, Firecracker), which no process id and no clock tells for certain.
"""

import errno
import os

# The variant keeps two random bits of a digit, and sets the others: 8, 9, a or b.
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4))


_REFUSALS = frozenset([errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EAGAIN])
"""Errors of `getrandom` where `os.urandom` knows another way: an old kernel, a sandbox, a machine that just starts."""


def _random_bytes() -> bytes:
    # Fast path: `os.urandom` makes the same system call, but lets another thread have the interpreter meanwhile. One that
    # computes keeps it for 5 ms; beside a thread that sends, each event would cost two changes of thread.
    try:
        return os.getrandom(16, os.GRND_NONBLOCK)
    except (OSError, AttributeError) as error:
        is_missing = not hasattr(os, "getrandom")  # outside Linux
        if not is_missing and getattr(error, "errno", None) not in _REFUSALS:
            raise  # a signal handler raised it
    return os.urandom(16)


def new_id() -> str:
    """Return a new random UUID (version 4, RFC 9562) as a string."""
    # Fast path: hex() puts two of the four dashes in, where uuid.UUID takes twice the time.
    digits = _random_bytes().hex("-", 6)
    return f"{digits[:13]}-4{digits[14:17]}-{_VARIANT[digits[17]]}{digits[18:]}"
