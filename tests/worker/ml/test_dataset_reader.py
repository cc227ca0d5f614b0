"""A prepared dataset is read by person and side, one array at a time, and only if it is what it says it is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.datasets.layouts import plan_folder
from core.progress import Silent
from tests.worker.small_datasets import recipe, voice, write_people
from worker.dataset_folder import prepare_folder
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.errors import DatasetError
from worker.ml.images import read_picture, resized


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of people, and the dataset made of it."""
    place = tmp_path_factory.mktemp("datasets")
    people = write_people(place / "people", 5)
    wanted = recipe(voice={"features": ["ve_conv", "waveform"]})
    prepare_folder(plan_folder(people, wanted), people, place / "dataset", Silent(), device="cpu")
    return people, place / "dataset"


@pytest.fixture
def dataset(prepared: tuple[Path, Path]) -> Iterator[PreparedDataset]:
    with PreparedDataset.open(prepared[1], check_shards=True) as dataset:
        yield dataset


def test_entries_are_found_by_person_and_side(dataset: PreparedDataset) -> None:
    assert len(dataset.people) == 5 and len(dataset.entries) == 15
    for person in dataset.people.values():
        voices, faces = dataset.of(person.id, "voice"), dataset.of(person.id, "face")
        assert (len(voices), len(faces)) == (person.voices, person.faces) == (2, 1)
        assert {entry.split for entry in voices + faces} == {person.split}
    assert dataset.of("nobody", "voice") == []
    assert sum(len(dataset.split(split)) for split in ("train", "validation", "test")) == 5


def test_arrays_and_pictures_come_back_as_they_were_made(
    dataset: PreparedDataset, prepared: tuple[Path, Path]
) -> None:
    for entry in dataset.entries:
        if entry.side == "voice":
            assert dataset.array(entry, "ve_conv").shape == (2, 257, 601)
            waveform = dataset.array(entry, "waveform")
            assert len(waveform) / 16_000 == pytest.approx(entry.duration_seconds or 0, abs=1e-3)
            assert dataset.notes(entry)["key"] == entry.key
        else:
            original = read_picture((prepared[0] / entry.key).read_bytes()).rgb
            assert (dataset.picture(entry) == resized(original, 32, 32)).all()
            with pytest.raises(KeyError):
                dataset.array(entry, "ve_conv")
    clip = next(entry for entry in dataset.entries if entry.key == "person00/clip 0.wav")
    assert np.abs(dataset.array(clip, "waveform")).max() > 0.05
    assert clip.sha256 and (prepared[0] / clip.key).read_bytes() == voice(1.0, 0)


def test_a_stream_gives_every_entry_of_a_part_once_with_all_its_members(dataset: PreparedDataset) -> None:
    streamed = [(entry.number, set(members)) for entry, members in dataset.stream("train")]
    assert [number for number, _ in streamed] == [e.number for e in dataset.entries if e.split == "train"]
    assert all(members in ({"ve_conv", "waveform", "json"}, {"picture", "json"}) for _, members in streamed)


def test_threads_read_the_same_and_a_closed_dataset_opens_again(dataset: PreparedDataset) -> None:
    entry = dataset.entries[0]
    wanted = dataset.array(entry, "waveform").tobytes()
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda _: dataset.array(entry, "waveform").tobytes(), range(64))
        assert set(found) == {wanted}
    dataset.close()
    assert dataset.array(entry, "waveform").tobytes() == wanted  # opens the shard again


def copy_of(folder: Path, to: Path) -> Path:
    for path in folder.rglob("*"):
        if path.is_file():
            (to / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (to / path.relative_to(folder)).write_bytes(path.read_bytes())
    return to


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("index.jsonl", "dataset_mismatch"),
        ("people.jsonl", "dataset_mismatch"),
        ("dataset.json", "dataset_mismatch"),
        ("shards/00000.tar", "dataset_mismatch"),
    ],
)
def test_a_file_that_is_not_the_one_it_was_made_with_is_noticed(
    name: str, code: str, prepared: tuple[Path, Path], tmp_path: Path
) -> None:
    version = PreparedDataset.open(prepared[1]).sha256
    folder = copy_of(prepared[1], tmp_path / "copy")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        PreparedDataset.open(folder, sha256=version, check_shards=True)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")


@pytest.mark.parametrize("name", ["dataset.json", "index.jsonl", "shards/00001.tar"])
def test_a_missing_file_is_told_by_its_name(name: str, prepared: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copy_of(prepared[1], tmp_path / "copy")
    (folder / name).unlink()
    with pytest.raises(DatasetError, match=Path(name).name) as caught:
        PreparedDataset.open(folder)
    assert caught.value.code == "dataset_not_found"


def test_a_shard_that_is_cut_off_is_noticed_without_reading_it(
    prepared: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = copy_of(prepared[1], tmp_path / "copy")
    os.truncate(folder / "shards" / "00000.tar", 5_000)
    with pytest.raises(DatasetError, match=r"00000\.tar"):
        PreparedDataset.open(folder)


def test_a_description_of_another_format_is_refused(prepared: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copy_of(prepared[1], tmp_path / "copy")
    description = json.loads((folder / "dataset.json").read_bytes())
    for wrong in ({**description, "format": 99}, [1, 2], {}):
        (folder / "dataset.json").write_text(json.dumps(wrong))
        with pytest.raises(DatasetError) as caught:
            PreparedDataset.open(folder)
        assert caught.value.code == "dataset_mismatch"
