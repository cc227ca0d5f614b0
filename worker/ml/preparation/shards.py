"""Shards: tar files that stream like WebDataset's and whose members can be read alone.

The same members in the same order give the same bytes: no times, owners or rights are kept. The offset of each
member's content is told, so that a reader fetches one array with one range read. Hashing goes on while writing.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

NOTES = "json"  # the member with what is known of an entry
SUFFIXES = {
    "ve_conv": "ve_conv.npy",
    "ast": "ast.npy",
    "waveform": "waveform.npy",
    "picture": "picture.png",
    "landmarks": "landmarks.npy",
    "embedding": "embedding.npy",
    NOTES: "json",
}
_BLOCK = tarfile.BLOCKSIZE


def member_name(number: int, what: str) -> str:
    """Such as `00000012.ve_conv.npy`: the name of a member of entry 12."""
    return f"{number:08d}.{SUFFIXES[what]}"


class ShardWriter:
    """Writes one shard. The file has its name only once it is whole, so that a death leaves nothing half.

    Attributes:
        sha256, size_bytes: of the whole file, after a clean end of the `with` block.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(f"{path.name}.part")
        self._file = self._unfinished.open("wb", buffering=1 << 20)
        self._digest = hashlib.sha256()
        self._at = 0
        self.sha256 = ""
        self.size_bytes = 0

    def add_array(self, number: int, what: str, array: npt.NDArray[Any]) -> tuple[int, int]:
        """Adds an array as `.npy`; answers offset and size of its content in the file."""
        array = np.ascontiguousarray(array)
        return self._add(member_name(number, what), _npy_header(array.shape, array.dtype.str), array)

    def add_bytes(self, number: int, what: str, content: bytes) -> tuple[int, int]:
        """Adds a member; answers offset and size of its content in the file."""
        return self._add(member_name(number, what), content, None)

    def _add(self, name: str, head: bytes, array: npt.NDArray[Any] | None) -> tuple[int, int]:
        info = tarfile.TarInfo(name)
        info.size = len(head) + (array.nbytes if array is not None else 0)
        self._write(info.tobuf(tarfile.USTAR_FORMAT))
        offset = self._at
        self._write(head)
        if array is not None and array.nbytes:
            self._write(array.reshape(-1).view(np.uint8).data)
        self._write(bytes(-info.size % _BLOCK))
        return offset, info.size

    def _write(self, content: bytes | memoryview) -> None:
        self._file.write(content)
        self._digest.update(content)
        self._at += len(content)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._drop()
            return
        try:
            self._write(bytes(2 * _BLOCK))
            self._file.close()  # what was buffered may still find the disk full
        except OSError:
            self._drop()
            raise
        self._unfinished.replace(self._path)
        self.sha256, self.size_bytes = self._digest.hexdigest(), self._at

    def _drop(self) -> None:
        with suppress(OSError):
            self._file.close()
        self._unfinished.unlink(missing_ok=True)


def canonical_json(value: Any) -> bytes:
    """Equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


@lru_cache(maxsize=64)
def _npy_header(shape: tuple[int, ...], kind: str) -> bytes:
    file = BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue()
