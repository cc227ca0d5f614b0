"""A prepared dataset as training reads it: entries by person and side, and single arrays out of the shards.

Everything is vouched for: `dataset.json` by its name, index, people and shards by the checksums in it. Arrays are read
with one range read each, so that any order is as good as the order of the file; `stream` reads whole shards one after
the other, for stores where seeking is dear.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from worker.ml.errors import DatasetError
from worker.ml.weight_files import file_sha256

FORMAT = 1
Side = Literal["voice", "face"]
Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class PersonRow:
    """Somebody with entries. `voices` and `faces` count them."""

    id: str
    name: str
    split: Split
    attributes: Mapping[str, str]
    voices: int
    faces: int


@dataclass(frozen=True)
class EntryRow:
    """A recording or a picture after preparation.

    Attributes:
        number: unique in the dataset, and the name of its members in the shard.
        key: what it was called where it came from.
        members: offset and size of each in the file of the shard.
        duration_seconds: of the recording; None for faces and for arrays that were made before.
        sha256: of the content that it was made of.
    """

    number: int
    key: str
    person: str
    side: Side
    split: Split
    shard: int
    members: Mapping[str, tuple[int, int]]
    duration_seconds: float | None
    sha256: str


class PreparedDataset:
    """A folder with a dataset version. Safe to read from several threads, and after a fork.

    Attributes:
        sha256: of `dataset.json`; names the version.
        description: what `dataset.json` says.
        people: by id, in the order of the dataset.
        entries: in the order of the dataset.
    """

    def __init__(
        self,
        folder: Path,
        sha256: str,
        description: dict[str, Any],
        people: Mapping[str, PersonRow],
        entries: tuple[EntryRow, ...],
    ) -> None:
        self.folder, self.sha256, self.description = folder, sha256, description
        self.people, self.entries = people, entries
        self._by_person: dict[tuple[str, Side], list[EntryRow]] = defaultdict(list)
        for entry in entries:
            self._by_person[entry.person, entry.side].append(entry)
        self._shards = {int(shard["number"]): shard for shard in description["shards"]}
        self._open: dict[int, int] = {}
        self._opening = threading.Lock()

    @classmethod
    def open(cls, folder: str | Path, *, sha256: str | None = None, check_shards: bool = False) -> Self:
        """Open a dataset and check what it says of itself.

        Args:
            folder: with `dataset.json`, `index.jsonl`, `people.jsonl` and `shards/`.
            sha256: that the version must have.
            check_shards: whether every byte of the shards is checked as well, and not just their sizes.

        Raises:
            DatasetError: `dataset_not_found` or `dataset_mismatch`.
        """
        folder = Path(folder)
        content = _read(folder / "dataset.json")
        found = hashlib.sha256(content).hexdigest()
        if sha256 is not None and found != sha256:
            raise _mismatch(f"{folder} holds version {found[:12]}…, not {sha256[:12]}…")
        try:
            description = json.loads(content)
            if description["format"] != FORMAT:
                raise _mismatch(f"{folder} is of format {description['format']}, and {FORMAT} is read here")
            index = _vouched(folder / "index.jsonl", description["index"]["sha256"])
            rows = _vouched(folder / "people.jsonl", description["people"]["sha256"])
            people = [PersonRow(**json.loads(line)) for line in rows.splitlines()]
            entries = tuple(_entry(json.loads(line)) for line in index.splitlines())
            dataset = cls(folder, found, description, {person.id: person for person in people}, entries)
        except (ValueError, KeyError, TypeError) as failure:
            raise _mismatch(f"{folder} does not hold a dataset of ours") from failure
        dataset._check_shards(thoroughly=check_shards)
        return dataset

    def of(self, person: str, side: Side) -> list[EntryRow]:
        """A person's entries of one side, in the order of the dataset."""
        return self._by_person.get((person, side), [])

    def split(self, split: Split) -> list[PersonRow]:
        """The people of one part."""
        return [person for person in self.people.values() if person.split == split]

    def array(self, entry: EntryRow, what: str) -> npt.NDArray[Any]:
        """An array of an entry: `ve_conv`, `ast`, `waveform`, `landmarks` or `embedding`.

        Raises:
            KeyError: the entry has no such member.
        """
        return _npy(self._member(entry, what))

    def picture(self, entry: EntryRow) -> npt.NDArray[np.uint8]:
        """The picture of a face, uint8 RGB `[size, size, 3]`."""
        with Image.open(io.BytesIO(self.content(entry, "picture")), formats=["PNG"]) as image:
            return np.array(image)

    def notes(self, entry: EntryRow) -> dict[str, Any]:
        """What is known of an entry besides its row: loudness, sample rate, size of the picture."""
        notes: dict[str, Any] = json.loads(self.content(entry, "json"))
        return notes

    def content(self, entry: EntryRow, what: str) -> bytes:
        """A member as it lies in the shard."""
        return bytes(self._member(entry, what))

    def _member(self, entry: EntryRow, what: str) -> bytearray:
        offset, size = entry.members[what]
        content = bytearray(size)
        if os.preadv(self._descriptor(entry.shard), [content], offset) != size:
            raise _mismatch(f"Shard {entry.shard} of {self.folder} is cut off")
        return content

    def stream(self, split: Split) -> Iterator[tuple[EntryRow, dict[str, bytes]]]:
        """Every entry of a part with all its members, shard by shard, in the order of the files."""
        for entry in self.entries:
            if entry.split == split:
                yield entry, {what: self.content(entry, what) for what in entry.members}

    def close(self) -> None:
        """Closes the files of the shards. Reading opens them again."""
        with self._opening:
            for descriptor in self._open.values():
                os.close(descriptor)
            self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _path(self, shard: int) -> Path:
        # By its number and not by what a description from elsewhere might call it.
        return self.folder / "shards" / f"{shard:05d}.tar"

    def _descriptor(self, shard: int) -> int:
        with self._opening:
            if shard not in self._open:
                self._open[shard] = os.open(self._path(shard), os.O_RDONLY | os.O_CLOEXEC)
            return self._open[shard]

    def _check_shards(self, *, thoroughly: bool) -> None:
        for number, shard in self._shards.items():
            path = self._path(number)
            if not path.is_file():
                raise DatasetError(
                    "dataset_not_found", f"{path} is missing. Copy the dataset again, or go on preparing it."
                )
            if path.stat().st_size != shard["size_bytes"] or (
                thoroughly and file_sha256(path) != shard["sha256"]
            ):
                raise _mismatch(f"{path} is not the file that the dataset was made of")


def _entry(line: dict[str, Any]) -> EntryRow:
    members = {what: (int(offset), int(size)) for what, (offset, size) in line["members"].items()}
    return EntryRow(**{**line, "members": members})


def _npy(content: bytearray) -> npt.NDArray[Any]:
    """The array of a file, in the memory that it was read into: spectrograms are a megabyte each."""
    width = 2 if content[6:7] == b"\x01" else 4  # of the header's own length, by the format's version
    start = 8 + width + int.from_bytes(content[8 : 8 + width], "little")
    shape, fortran, kind = _header(bytes(content[:start]))
    array: npt.NDArray[Any] = np.frombuffer(content, kind, offset=start)
    return array.reshape(shape, order="F" if fortran else "C")


@lru_cache(maxsize=256)
def _header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type. There are as many headers as shapes; parsing one takes longer than reading most arrays.

    Raises:
        ValueError: no array, or one of Python objects, which are not unpickled.
    """
    file = io.BytesIO(header)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, kind = read(file)
    if kind.hasobject:
        raise ValueError("arrays of Python objects are not read")
    return shape, fortran, kind


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as failure:
        raise DatasetError(
            "dataset_not_found",
            f"{path} cannot be read ({failure.strerror or failure}). Is this a prepared dataset?",
        ) from failure


def _vouched(path: Path, sha256: str) -> bytes:
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _mismatch(f"{path} is not the file that the dataset was made of")
    return content


def _mismatch(what: str) -> DatasetError:
    return DatasetError("dataset_mismatch", f"{what}. Copy the dataset again, or prepare it anew.")
