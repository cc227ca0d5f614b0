"""`python -m worker.draw`: from a folder of recordings to a folder of faces, with no servers."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from worker import draw
from worker.ml.pictures import read_metadata

SAMPLES = Path(__file__).parents[3] / "samples"


def table(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_sample_gets_a_face_that_tells_its_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw.main([str(SAMPLES), "--out", str(tmp_path), "--device", "cpu"]) == 0
    rows = table(tmp_path)
    assert len(rows) == 10
    assert {row["state"] for row in rows} == {"done"}
    assert "10 of 10" in capsys.readouterr().out
    said = read_metadata((tmp_path / "harbour.png").read_bytes())
    assert said["recording_sha256"] == hashlib.sha256((SAMPLES / "harbour.flac").read_bytes()).hexdigest()
    assert said["model_version"] == rows[0]["model_version"]
    assert (tmp_path / "contact_sheet.png").stat().st_size > 50_000


def test_a_bad_recording_fails_alone_and_same_names_stay_apart(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    shutil.copy(SAMPLES / "kettle.flac", folder / "talk.flac")
    shutil.copy(SAMPLES / "violin.flac", folder / "more" / "talk.flac")
    (folder / "broken.wav").write_bytes(b"")
    assert draw.main([str(folder), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 1
    rows = {row["key"]: row for row in table(tmp_path / "out")}
    assert rows["broken.wav"]["error_code"] == "empty_file"
    assert {rows["talk.flac"]["face"], rows["more/talk.flac"]["face"]} == {"talk.png", "talk-2.png"}
    first, second = ((tmp_path / "out" / name).read_bytes() for name in ("talk.png", "talk-2.png"))
    assert first != second


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert (
            draw.main([str(SAMPLES / "gravel.flac"), "--out", str(tmp_path / name), "--device", "cpu"]) == 0
        )
    assert (tmp_path / "one" / "gravel.png").read_bytes() == (tmp_path / "two" / "gravel.png").read_bytes()


def test_json_is_all_that_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw.main([str(SAMPLES / "gravel.flac"), "--out", str(tmp_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["total"], said["done"], said["failed"]) == (1, 1, 0)


def test_a_table_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results.csv").mkdir()
    assert draw.main([str(SAMPLES / "gravel.flac"), "--out", str(tmp_path), "--json"]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"{tmp_path} cannot be written: Is a directory.\n")


def test_wrong_usage_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    sample = str(SAMPLES / "gravel.flac")
    for arguments in (
        [str(tmp_path / "empty"), "--out", str(tmp_path / "out")],
        [str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")],
        [sample, "--out", str(tmp_path / "out"), "--model", "nobody"],
        [sample, "--out", sample + "/out"],
        [sample, "--out", str(tmp_path / "out"), "--device", "abacus"],
    ):
        assert draw.main(arguments) == 2
        assert capsys.readouterr().err.strip().count("\n") == 0


def test_the_module_runs_and_starts_without_loading_torch_for_a_mistake(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "worker.draw",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "| torch\n" not in ended.stderr
