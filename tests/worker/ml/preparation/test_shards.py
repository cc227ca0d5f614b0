"""Shards are plain tar files, always the same bytes, whole or not there, and each member can be read alone."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from worker.ml.preparation.shards import ShardWriter, canonical_json

ARRAY = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)


def write(path: Path) -> tuple[ShardWriter, dict[str, tuple[int, int]]]:
    with ShardWriter(path) as writer:
        places = {
            "ve_conv": writer.add_array(7, "ve_conv", ARRAY),
            "json": writer.add_bytes(7, "json", b'{"key":"a"}'),
            "landmarks": writer.add_array(8, "landmarks", ARRAY[:, ::2, 0]),
            "picture": writer.add_bytes(8, "picture", bytes(513)),
        }
    return writer, places


def test_any_tar_program_reads_a_shard(tmp_path: Path) -> None:
    write(tmp_path / "00000.tar")
    with tarfile.open(tmp_path / "00000.tar") as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == [
            "00000007.ve_conv.npy",
            "00000007.json",
            "00000008.landmarks.npy",
            "00000008.picture.png",
        ]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
        array = tar.extractfile(members[0])
        assert array is not None
        assert (np.load(io.BytesIO(array.read())) == ARRAY).all()


def test_every_member_can_be_read_by_its_place_alone(tmp_path: Path) -> None:
    _, places = write(tmp_path / "00000.tar")
    content = (tmp_path / "00000.tar").read_bytes()
    offset, size = places["ve_conv"]
    assert (np.load(io.BytesIO(content[offset : offset + size])) == ARRAY).all()
    offset, size = places["landmarks"]
    assert (np.load(io.BytesIO(content[offset : offset + size])) == ARRAY[:, ::2, 0]).all()
    offset, size = places["json"]
    assert content[offset : offset + size] == b'{"key":"a"}'


def test_the_same_members_make_the_same_bytes_and_the_hash_is_told(tmp_path: Path) -> None:
    first, _ = write(tmp_path / "a.tar")
    second, _ = write(tmp_path / "b.tar")
    content = (tmp_path / "a.tar").read_bytes()
    assert first.sha256 == second.sha256 == hashlib.sha256(content).hexdigest()
    assert first.size_bytes == len(content)


def test_a_shard_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ShardWriter(tmp_path / "a.tar") as writer:
        writer.add_array(0, "ast", ARRAY)
        raise RuntimeError("died")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_shard_stays_until_the_next_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "a.tar")
    before = (tmp_path / "a.tar").read_bytes()
    with pytest.raises(RuntimeError), ShardWriter(tmp_path / "a.tar"):
        raise RuntimeError("died")
    assert (tmp_path / "a.tar").read_bytes() == before


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    assert (
        canonical_json({"b": 1, "a": "é"}) == canonical_json({"a": "é", "b": 1}) == '{"a":"é","b":1}'.encode()
    )
