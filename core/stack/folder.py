"""The data folder: where everything lies in it, who may use it, and that one stack uses it at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from core.errors import StackError

LITTLE_SPACE = 2**30  # bytes
NO_SPACE = 2**20
# What a disk of its own has at its top.
NOBODYS = frozenset({"lost+found"})


@dataclass(frozen=True)
class DataFolder:
    """The names inside a data folder. Making one of these touches nothing on disk."""

    path: Path

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def record(self) -> Path:
        return self.path / "stack.json"

    @property
    def credentials(self) -> Path:
        return self.path / "credentials.json"

    @property
    def ports(self) -> Path:
        return self.path / "ports.json"

    @property
    def client(self) -> Path:
        return self.path / "client.json"

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.sqlite3"

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy's address of the ledger; in one, `%` and `?` mean something."""
        return f"sqlite+pysqlite:///{quote(str(self.ledger))}"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def seaweedfs(self) -> Path:
        return self.path / "seaweedfs"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    @property
    def run(self) -> Path:
        """An empty folder for programs that need a working folder and should find nothing in it."""
        return self.path / "run"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def has_little_space(self) -> bool:
        return shutil.disk_usage(self.path).free < LITTLE_SPACE

    def has_no_space(self) -> bool:
        """Too little for any of the programs to start."""
        return shutil.disk_usage(self.path).free < NO_SPACE


@contextmanager
def locked(path: Path) -> Iterator[DataFolder]:
    """Makes the folder where needed and holds it while the block runs.

    Raises:
        StackError: it cannot be written to, holds something else, or another stack holds it.
    """
    folder = DataFolder(path.absolute())
    try:
        str(folder.path).encode()
    except UnicodeEncodeError:
        raise StackError(
            "The name of the data folder is not UTF-8, and not all that works in it takes such a name; choose another "
            "with --data."
        ) from None
    try:
        folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_ours(folder)
        folder.path.chmod(0o700)
        for part in (folder.log("any").parent, folder.run):
            part.mkdir(exist_ok=True, mode=0o700)
        descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StackError(
            f"The data folder {folder.path} cannot be written to ({error.strerror}); choose another with --data."
        ) from error
    try:
        _lock(descriptor, folder)
        yield folder
    finally:
        # The lock goes with the descriptor; the file stays, or two processes could hold locks on two files.
        os.close(descriptor)


def _check_ours(folder: DataFolder) -> None:
    """A folder of other things would be closed to everybody else, and nobody could tell what in it is ours.

    Raises:
        StackError: it has something in it, and none of what a stack leaves.
    """
    found = {entry.name for entry in folder.path.iterdir()} - NOBODYS
    ours = (folder.lock, folder.ledger, folder.credentials)
    if found and not found.intersection(path.name for path in ours):
        raise StackError(
            f"The folder {folder.path} holds other things; choose a new or an empty one with --data."
        )


def _lock(descriptor: int, folder: DataFolder) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 32, 0).decode().strip()
        raise StackError(
            f"The data folder {folder.path} is in use by another voicesketch (process {holder or 'unknown'}); "
            "stop that one first, or choose another folder with --data."
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def is_locked(folder: DataFolder) -> bool:
    """Whether a stack runs on the folder now."""
    try:
        with folder.lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
