"""The ZIP of a job's faces: made while it is sent, so that its size costs neither memory nor disk.

Names and sums of what went in are written to temporary files as the faces go by: `results.csv` and `manifest.json`
tell of exactly those in the archive, also when the job runs on meanwhile.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from typing import IO, Any

from core.faces.contact_sheet import NOTICE
from core.faces.exports import Result, csv_lines
from core.queries import ItemRow
from core.store import Store
from dashboard.prefetching import fetched_ahead
from dashboard.zip_writer import ZipWriter

TABLE, MANIFEST = "results.csv", "manifest.json"
_IN_MEMORY = 2 * 2**20


def face_archive(
    store: Store, lines: Iterable[tuple[ItemRow, Result]], about: dict[str, Any]
) -> Iterator[bytes]:
    """The archive, piece by piece.

    Args:
        lines: what to put in; lines without a face are in the tables only.
        about: what the manifest says first; plain JSON.

    Raises:
        StorageUnavailable: the store cannot be reached.
    """
    archive = ZipWriter()
    with ExitStack() as held:
        held.callback(archive.close)
        table: IO[bytes] = held.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY))
        manifest: IO[bytes] = held.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY))
        head = json.dumps({**about, "notice": NOTICE}, ensure_ascii=False, indent=1)
        manifest.write((head.removesuffix("\n}") + ',\n "faces": [').encode())
        count = 0
        waiting: list[bytes] = []

        def kept() -> Iterator[Result]:
            nonlocal count
            wanted = (
                ((row, line), row.face_key if line.face else None, row.face_bytes or 0) for row, line in lines
            )
            for (row, line), face in fetched_ahead(store, wanted):
                if face is not None:
                    waiting.append(archive.entry(line.face, face))
                    manifest.write((",\n  " if count else "\n  ").encode() + _entry(row, line, len(face)))
                    count += 1
                elif line.face:
                    line = _without_face(line)
                yield line

        for text in csv_lines(kept()):
            table.write(text.encode())
            yield from waiting
            waiting.clear()
        manifest.write(b"\n ]\n}\n")
        for name, file in ((TABLE, table), (MANIFEST, manifest)):
            yield from archive.entry_of(name, file)
        yield from archive.end()


def _entry(row: ItemRow, line: Result, size: int) -> bytes:
    entry = {
        "file": line.face,
        "sha256": row.face_sha256,
        "bytes": size,
        "item": row.id,
        "recording": line.recording,
        "recording_sha256": row.recording_sha256,
        "model_version": line.model_version,
    }
    return json.dumps(entry, ensure_ascii=False).encode()


def _without_face(line: Result) -> Result:
    return Result(**{**asdict(line), "face": "", "error_message": "The picture is no longer in the store."})
