"""Which dataset versions a machine keeps, so that its disk does not fill up with those that nobody trains on any more.

Versions that share shards share files on the disk: what each holds are hard links to content that is kept under its
SHA-256, and content goes with the last version that links to it. Several workers of a machine share one cache. Whoever
reads a version holds a lock on it, which the kernel lets go of when they die; the last time it was taken is when the
version was last used.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger()

_CONTENTS = "files"
_GOING = ".going-"
_FETCHING = ".fetching-"
_ABANDONED_SECONDS = 86_400.0


class DatasetCache:
    """Safe to use from one thread at a time; other processes may use the same folder."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._held: dict[str, int] = {}

    @property
    def contents(self) -> Path:
        """Where content lies, each file under its SHA-256."""
        return self._folder / _CONTENTS

    def hold(self, sha256: str) -> Path:
        """The folder of a version, which stays until `release`, whoever needs room."""
        self.contents.mkdir(parents=True, exist_ok=True)
        if sha256 not in self._held:
            self._held[sha256] = _lock(self._lock_of(sha256), fcntl.LOCK_SH)
        os.utime(self._lock_of(sha256))
        folder = self._folder / sha256
        folder.mkdir(exist_ok=True)
        return folder

    def release(self) -> None:
        """Lets go of every version held."""
        while self._held:
            os.close(self._held.popitem()[1])

    def make_room(self, coming_bytes: int) -> None:
        """Removes the versions used longest ago until what comes fits below the limit, or nothing more can go."""
        self._clear_away()
        while self.used_bytes() + coming_bytes > self._limit and self.remove_oldest():
            pass

    def remove_oldest(self) -> bool:
        """Removes the version used longest ago that nobody holds; answers whether there was one."""
        for used_at, sha256 in sorted((self._used_at(sha256), sha256) for sha256 in self._versions()):
            if self._remove(sha256):
                log.info("no longer kept", dataset=sha256, unused_seconds=round(time.time() - used_at))
                return True
        return False

    def used_bytes(self) -> int:
        """What all files take together, those with several names counted once."""
        sizes: dict[tuple[int, int], int] = {}
        for path in self._folder.rglob("*"):
            with suppress(FileNotFoundError):  # somebody else is at it, too
                status = path.stat(follow_symlinks=False)
                sizes[status.st_dev, status.st_ino] = status.st_size if path.is_file() else 0
        return sum(sizes.values())

    def _versions(self) -> list[str]:
        return [
            path.name
            for path in (self._folder.iterdir() if self._folder.is_dir() else ())
            if path.is_dir() and path.name != _CONTENTS and not path.name.startswith(".")
        ]

    def _used_at(self, sha256: str) -> float:
        for path in (self._lock_of(sha256), self._folder / sha256):
            with suppress(FileNotFoundError):
                return path.stat().st_mtime
        return 0.0

    def _remove(self, sha256: str) -> bool:
        path = self._lock_of(sha256)
        try:
            lock = _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            going = self._folder / f"{_GOING}{sha256}"
            shutil.rmtree(going, ignore_errors=True)
            # At once: a version that is torn down half way would look like one that is being fetched.
            with suppress(FileNotFoundError):
                (self._folder / sha256).rename(going)
            shutil.rmtree(going, ignore_errors=True)
            path.unlink(missing_ok=True)
        finally:
            os.close(lock)
        self._remove_unlinked()
        return True

    def _remove_unlinked(self) -> None:
        """Removes content that no version links to. Who has just fetched some and finds it gone fetches it again."""
        for path in self.contents.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_nlink == 1 and not path.name.startswith(_FETCHING):
                    path.unlink()

    def _clear_away(self) -> None:
        """Removes what workers that were killed left half done."""
        for path in [*self._folder.glob(f"{_GOING}*"), *self.contents.glob(f"{_FETCHING}*")]:
            with suppress(FileNotFoundError):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()

    def _lock_of(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.lock"


def _lock(path: Path, how: int) -> int:
    """A lock on a file that is there; its descriptor.

    Raises:
        BlockingIOError: it is to be had at once, and somebody else has it.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, how)
            # Whoever had it before may have removed the file with what it stands for.
            with suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == path.stat().st_ino:
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
