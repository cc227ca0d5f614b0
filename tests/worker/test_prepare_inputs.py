"""What datasets are prepared from: any name, any number, and what becomes of files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.datasets.layouts import plan_folder
from core.progress import Silent
from tests.worker.preparing import rejects_of, report_of, run
from tests.worker.small_datasets import picture, recipe, voice
from worker.dataset_folder import InputFolder, prepare_folder
from worker.dataset_inputs import Changed


def test_inputs_that_cannot_be_used_are_counted_named_and_told_by_the_exit_code(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (people / "person00" / "clip 0.wav").write_bytes(b"")
    (people / "person01" / "portrait.png").write_bytes(picture()[:100])
    (people / "person02" / "ключ.wav").write_bytes(voice(0.1))
    assert run(people, tmp_path / "out") == 1
    assert rejects_of(tmp_path / "out") == {
        "person00/clip 0.wav": "empty_file",
        "person01/portrait.png": "corrupt_image",
        "person01/clip 0.wav": "no_pair",  # their only picture is gone
        "person01/clip 1.wav": "no_pair",
        "person02/ключ.wav": "too_short",
    }
    told = capsys.readouterr()
    assert "1 left out: corrupt_image" in told.err
    assert "14 entries of 5 people" in told.out
    counts = report_of(tmp_path / "out")["counts"]
    assert counts["entries"] + sum(counts["rejects"].values()) == counts["inputs"] == 19
    assert counts["people_without_entries"] == 1


def test_a_file_that_is_no_medium_is_named_and_is_no_failure(people: Path, tmp_path: Path) -> None:
    (people / "person00" / "notes.txt").write_text("hello")
    assert run(people, tmp_path / "out") == 0
    assert rejects_of(tmp_path / "out") == {"person00/notes.txt": "not_media"}


def test_ordinary_names_in_any_case_and_any_number_of_clips_are_kept(tmp_path: Path) -> None:
    root = tmp_path / "people"
    (root / "Ann").mkdir(parents=True)
    names = [f"{number:05d}.WAV" for number in range(22)] + ["holiday in Rome.Flac", "déjà vu.ogg"]
    for seed, name in enumerate(names):
        kind = {".flac": "FLAC", ".ogg": "OGG"}.get(Path(name).suffix.lower(), "WAV")
        (root / "Ann" / name).write_bytes(voice(0.6, seed, kind))
    (root / "Ann" / "me.JPeG").write_bytes(picture(kind="JPEG"))
    (root / "Ann" / "me too.tiff").write_bytes(picture(kind="TIFF"))
    assert run(root, tmp_path / "all") == 0
    assert report_of(tmp_path / "all")["counts"]["entries"] == 26

    limited = '{"voice":{"features":["waveform"],"max_clips":20},"face":{"size":32}}'
    assert run(root, tmp_path / "some", recipe_json=limited) == 0
    assert list(rejects_of(tmp_path / "some").values()) == ["clip_limit"] * 4


def test_an_input_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(voice())

    def growing(path: Path) -> bytes:
        content = path.read_bytes()
        with path.open("ab") as file:
            file.write(b"more")
        return content

    def replaced(path: Path) -> bytes:
        content = path.read_bytes()
        (tmp_path / "new").write_bytes(content)
        (tmp_path / "new").replace(path)
        return content

    def half(path: Path) -> bytes:
        return path.read_bytes()[:100]

    for read in (growing, replaced, half):
        with pytest.raises(Changed):
            InputFolder(tmp_path, read).fetch("a.wav")
    assert InputFolder(tmp_path).fetch("a.wav") == path.read_bytes()


def test_an_input_that_vanishes_or_is_forbidden_is_named(people: Path, tmp_path: Path) -> None:
    plan = plan_folder(people, recipe())
    (people / "person01" / "clip 0.wav").unlink()
    looped = people / "person02" / "clip 1.wav"
    looped.unlink()
    looped.symlink_to(looped)
    prepare_folder(plan, people, tmp_path / "out", Silent(), device="cpu")
    assert rejects_of(tmp_path / "out") == {
        "person01/clip 0.wav": "unreadable_file",
        "person02/clip 1.wav": "unreadable_file",
    }


def test_where_nothing_can_be_kept_the_report_says_why_and_there_is_no_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "people" / "a").mkdir(parents=True)
    (tmp_path / "people" / "a" / "x.wav").write_bytes(b"")
    assert run(tmp_path / "people", tmp_path / "out", recipe_json='{"face":null}') == 2
    assert "Nothing could be kept" in capsys.readouterr().err
    assert rejects_of(tmp_path / "out") == {"a/x.wav": "empty_file"}
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_an_empty_folder_is_told_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", tmp_path / "out") == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
