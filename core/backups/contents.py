"""Which objects a backup holds, kept on disk beside the work: a place may have millions, and memory stays flat."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_ROWS_AT_ONCE = 5000


@dataclass(frozen=True)
class Known:
    """An object in a backup."""

    key: str
    size: int
    sha256: str


class Contents:
    """Objects by their keys: those that are in the file, and those that the tables name."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="voicesketch-backup-")
        self._rows = sqlite3.connect(Path(self._folder.name) / "contents.sqlite3", isolation_level=None)
        # Good for one run of one program.
        self._rows.execute("PRAGMA journal_mode=OFF")
        self._rows.execute("PRAGMA synchronous=OFF")
        self._rows.execute(
            "CREATE TABLE held (key TEXT PRIMARY KEY, size INTEGER, sha256 TEXT) WITHOUT ROWID"
        )
        self._rows.execute("CREATE TABLE named (key TEXT PRIMARY KEY) WITHOUT ROWID")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.close()
        self._folder.cleanup()

    def hold(self, known: Known) -> None:
        self._rows.execute(
            "INSERT OR REPLACE INTO held VALUES (?, ?, ?)", (known.key, known.size, known.sha256)
        )

    def name(self, keys: Iterable[str]) -> None:
        """Says anew which objects the tables name."""
        self._rows.execute("BEGIN")
        self._rows.execute("DELETE FROM named")
        self.name_more(keys)
        self._rows.execute("COMMIT")

    def name_more(self, keys: Iterable[str]) -> None:
        self._rows.executemany("INSERT OR IGNORE INTO named VALUES (?)", ((key,) for key in keys))

    def is_held(self, known: Known) -> bool:
        found = self._rows.execute("SELECT size, sha256 FROM held WHERE key = ?", (known.key,)).fetchone()
        return bool(found == (known.size, known.sha256))

    def is_named(self, key: str) -> bool:
        return self._rows.execute("SELECT 1 FROM named WHERE key = ?", (key,)).fetchone() is not None

    def count_missing(self) -> int:
        query = "SELECT count(*) FROM named WHERE key NOT IN (SELECT key FROM held)"
        return int(self._rows.execute(query).fetchone()[0])

    def next_missing(self, after: str) -> list[str]:
        """Some thousands of those that are named and not held, behind a key."""
        query = (
            "SELECT key FROM named WHERE key > ? AND key NOT IN (SELECT key FROM held) ORDER BY key LIMIT ?"
        )
        return [key for (key,) in self._rows.execute(query, (after, _ROWS_AT_ONCE))]

    def both(self) -> Iterator[Sequence[Known]]:
        """Held and named, some thousands at a time."""
        after = ""
        while True:
            query = (
                "SELECT key, size, sha256 FROM held WHERE key > ? AND key IN (SELECT key FROM named)"
                " ORDER BY key LIMIT ?"
            )
            some = [Known(*row) for row in self._rows.execute(query, (after, _ROWS_AT_ONCE))]
            if not some:
                return
            yield some
            after = some[-1].key

    def count_both(self) -> tuple[int, int]:
        """How many objects are held and named, and their bytes."""
        query = "SELECT count(*), coalesce(sum(size), 0) FROM held WHERE key IN (SELECT key FROM named)"
        count, size = self._rows.execute(query).fetchone()
        return int(count), int(size)
