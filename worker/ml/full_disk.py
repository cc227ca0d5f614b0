"""What it looks like when a disk has no room left, whoever noticed."""

from __future__ import annotations

import errno

# EFBIG: the file system, or whoever started the process, allows no file as large as that.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_full(failure: BaseException) -> bool:
    """Whether a file could not be written for want of room or because of a quota."""
    return isinstance(failure, OSError) and failure.errno in _FULL
