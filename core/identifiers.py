"""Identifiers: unique without asking the database, and sorted by the time they were made."""

from __future__ import annotations

import base64
import secrets
import time

# Crockford's base 32: no i, l, o, u to misread, and in the order of what it stands for.
_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghjkmnpqrstvwxyz")


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters: 48 bits of milliseconds, 80 random bits."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    # Twenty bytes are 32 characters without padding; the first six are always zero.
    digits = base64.b32encode(number.to_bytes(20, "big"))[6:].translate(_CROCKFORD)
    return f"{prefix}_{digits.decode()}"
