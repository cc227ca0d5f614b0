"""Passwords of one data folder: made once, kept over restarts, readable by their owner only."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import StackError

BYTES = 32


@dataclass(frozen=True, repr=False)  # no repr: a credential must not end in a log by accident
class Credentials:
    valkey_password: str
    s3_access_key: str
    s3_secret_key: str
    secret_key: str  # signs the dashboard's sessions


def load_or_create(file: Path) -> Credentials:
    """The credentials of a data folder; a new folder gets new ones.

    Raises:
        StackError: when the file is there and cannot be used. It is never replaced: the data were made with it.
    """
    if file.exists():
        try:
            file.chmod(0o600)
            return Credentials(**json.loads(file.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise StackError(f"The credentials in {file} cannot be read: {error}.") from error
    credentials = Credentials(*(secrets.token_hex(BYTES) for _ in range(4)))
    write_private(file, json.dumps(asdict(credentials), indent=1) + "\n")
    return credentials


def write_private(file: Path, text: str) -> None:
    """Replaces a file in one step; nobody else can read it at any moment, and a crash leaves the old one whole."""
    partial = file.with_name(f".{file.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)
