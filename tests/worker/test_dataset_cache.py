"""Which datasets stay on a worker's disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from worker.dataset_cache import DatasetCache

KEPT = """
import sys, time
from pathlib import Path
from worker.dataset_cache import DatasetCache
DatasetCache(Path(sys.argv[1]), 1).hold(sys.argv[2])
print("held", flush=True)
time.sleep(60)
"""


def fetch(cache: DatasetCache, version: str, *contents: str, used_at: float) -> Path:
    """As if a program had read a version of these files of 1000 bytes, and ended."""
    folder = cache.hold(version)
    for name in contents:
        content = cache.contents / name
        content.write_bytes(name.encode().ljust(1000))
        os.link(content, folder / name)
    cache.release()
    os.utime(folder.with_name(f"{version}.lock"), (used_at, used_at))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "datasets"


def test_the_one_used_longest_ago_goes_first_and_what_others_share_stays(folder: Path) -> None:
    cache = DatasetCache(folder, 4000)
    older = fetch(cache, "older", "only-older", "shared", used_at=2000)
    newer = fetch(cache, "newer", "shared", used_at=3000)
    oldest = fetch(cache, "oldest", "only-oldest", used_at=1000)
    assert cache.used_bytes() == 3000, "what two versions share is there once"
    cache.make_room(1000)
    assert oldest.is_dir(), "it fits"
    cache.make_room(2000)
    assert not oldest.exists() and older.is_dir()
    cache.make_room(3000)
    assert not older.exists() and newer.is_dir()
    assert [path.name for path in cache.contents.iterdir()] == ["shared"]
    assert sorted(path.name for path in folder.iterdir()) == ["files", "newer", "newer.lock"]


def test_one_that_is_read_stays_however_little_room_there_is(folder: Path) -> None:
    here, elsewhere = DatasetCache(folder, 1), DatasetCache(folder, 1)
    used = fetch(elsewhere, "used", "a", used_at=1000)
    unused = fetch(elsewhere, "unused", "b", used_at=2000)
    elsewhere.hold("used")
    here.make_room(10**9)
    assert used.is_dir() and not unused.exists()
    elsewhere.release()
    here.hold("used")
    here.make_room(10**9)
    assert used.is_dir(), "not even one's own"
    here.release()
    assert here.remove_oldest() and not used.exists()
    assert not here.remove_oldest(), "there is no other"


def test_a_worker_that_was_killed_holds_nothing(folder: Path) -> None:
    cache = DatasetCache(folder, 1)
    used = fetch(cache, "used", "a", used_at=1000)
    with subprocess.Popen(
        [sys.executable, "-c", KEPT, str(folder), "used"], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        assert not cache.remove_oldest()
        other.kill()
    assert cache.remove_oldest() and not used.exists()


def test_leftovers_of_killed_workers_are_cleared_away(folder: Path) -> None:
    cache = DatasetCache(folder, 10**9)
    kept = fetch(cache, "kept", "a", used_at=1000)
    (folder / ".going-other").mkdir()
    (folder / ".going-other" / "shard").write_bytes(b"half removed")
    old, young = cache.contents / ".fetching-old", cache.contents / ".fetching-young"
    for path in (old, young):
        path.write_bytes(b"half fetched")
    os.utime(old, (1000, 1000))
    cache.make_room(0)
    assert sorted(path.name for path in folder.iterdir()) == ["files", "kept", "kept.lock"]
    assert young.exists() and not old.exists() and kept.is_dir(), "somebody may be fetching the young one"
    assert cache.remove_oldest() and young.exists()
