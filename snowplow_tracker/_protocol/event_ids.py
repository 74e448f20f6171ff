"""Ids of events: random UUIDs.

Each is drawn from the operating system when it is needed. Ids or random state kept ahead would be used again by a copy
of the process: by a child that C code forks, and by a snapshot of the whole machine that is resumed many times (AWS
Lambda SnapStart, Firecracker), which no process id and no clock tells for certain.
"""

from os import urandom

__all__ = ["new_id"]

# The variant keeps two random bits of a digit, and sets the others: 8, 9, a or b.
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4))


def new_id() -> str:
    """Return a new random UUID (version 4, RFC 9562) as a string."""
    # Fast path: hex() puts two of the four dashes in, where uuid.UUID takes twice the time.
    digits = urandom(16).hex("-", 6)
    return f"{digits[:13]}-4{digits[14:17]}-{_VARIANT[digits[17]]}{digits[18:]}"
