"""A place to work at, people to prepare a dataset from, and a disk that is full when a test wants it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.config import Settings
from tests.worker.place import Place
from tests.worker.small_datasets import write_people


@dataclass(frozen=True)
class SmallDisk:
    """A file system in memory, of as many KiB as a test wants."""

    folder: Path

    def resize(self, kib: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={kib}k", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Of 4 MiB. Mounting takes rights that not everybody has."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4096k", "voicesketch-test", str(folder)],
        capture_output=True,
        text=True,
    )
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def place(sqlite_settings: Settings, tmp_path: Path) -> Iterator[Place]:
    place = Place(sqlite_settings.model_copy(update={"cache_folder": tmp_path / "cache", "device": "cpu"}))
    yield place
    place.database.dispose()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return write_people(tmp_path / "people")
