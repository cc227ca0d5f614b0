"""Identifiers: unique without asking the database, and sorted by the time they were made."""

from __future__ import annotations

import secrets
import time

# Crockford's base 32: no i, l, o, u to misread, and in the order of what it stands for.
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
# A random byte for each random digit: its last five bits.
_DIGIT_OF_BYTE = bytes(ord(_DIGITS[byte & 31]) for byte in range(256))
_DIGITS_OF_TIME, _RANDOM_DIGITS = 10, 16


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters: 48 bits of milliseconds, 80 random bits."""
    return new_ids(prefix, 1)[0]


def new_ids(prefix: str, count: int) -> list[str]:
    """So many identifiers at once, at a fraction of the cost of each by itself; in no order among themselves."""
    milliseconds = time.time_ns() // 1_000_000
    since = "".join(_DIGITS[milliseconds >> 5 * place & 31] for place in reversed(range(_DIGITS_OF_TIME)))
    random = secrets.token_bytes(_RANDOM_DIGITS * count).translate(_DIGIT_OF_BYTE).decode()
    return [
        f"{prefix}_{since}{random[first : first + _RANDOM_DIGITS]}"
        for first in range(0, len(random), _RANDOM_DIGITS)
    ]
