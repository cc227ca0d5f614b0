"""Datasets prepared on this machine: the same however often the program was killed, and never silently less."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.layouts import plan_folder
from core.progress import Lines, Silent
from tests.worker.ml.small_networks import save_small_networks
from tests.worker.small_datasets import picture, recipe, voice, write_people
from worker.dataset_folder import InputFolder, prepare_folder
from worker.dataset_inputs import Changed
from worker.prepare import main

QUICK = '{"voice":{"features":["waveform"]},"face":{"size":32},"shard_entries":6}'
VOICES = '{"voice":{"features":["ve_conv","ast"]},"face":null,"shard_entries":6}'
REPOSITORY = Path(__file__).resolve().parents[2]
PAIRS = REPOSITORY.parent / "shared" / "data" / "paired_clips"


def run(root: Path, out: Path, *more: str, recipe_json: str = QUICK) -> int:
    return main([str(root), "--out", str(out), "--recipe-json", recipe_json, "--device", "cpu", *more])


def content_of(out: Path) -> dict[str, str]:
    """Every file of a dataset by its hash, without what is kept for the next run."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".progress" not in path.parts
    }


def report_of(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "report.json").read_bytes())
    return report


def rejects_of(out: Path) -> dict[str, str]:
    return {reject["key"]: reject["reason"] for reject in report_of(out)["rejects"]}


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return write_people(tmp_path / "people")


def test_two_runs_make_the_same_dataset(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(people, tmp_path / "one") == 0
    assert "18 entries of 6 people" in capsys.readouterr().out
    assert run(people, tmp_path / "two") == 0
    one, two = content_of(tmp_path / "one"), content_of(tmp_path / "two")
    assert one == two
    assert {"dataset.json", "index.jsonl", "people.jsonl", "report.json", "report/outcomes.png"} < one.keys()


def test_a_dataset_tells_neither_when_nor_where_it_was_made(people: Path, tmp_path: Path) -> None:
    run(people, tmp_path / "out")
    told = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*.json*") if path.is_file())
    assert str(tmp_path).encode() not in told
    elsewhere = tmp_path / "elsewhere"
    people.rename(elsewhere)
    for path in elsewhere.rglob("*.*"):
        os.utime(path, (1, 1))
    run(elsewhere, tmp_path / "later")
    assert content_of(tmp_path / "later") == content_of(tmp_path / "out")


def test_a_second_run_takes_over_what_is_whole(people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(people, out)
    before = content_of(out)
    times = {path: path.stat().st_mtime_ns for path in (out / "shards").glob("*.tar")}
    assert run(people, out) == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "shards").glob("*.tar")} == times
    assert content_of(out) == before


@pytest.mark.parametrize("harm", ["cut", "changed", "sidecar", "gone"])
def test_a_damaged_shard_is_made_again(harm: str, people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(people, out)
    before = content_of(out)
    tar = out / "shards" / "00001.tar"
    content = bytearray(tar.read_bytes())
    if harm == "cut":
        tar.write_bytes(content[:-600])
    elif harm == "changed":
        content[len(content) // 2] ^= 1
        tar.write_bytes(content)
    elif harm == "sidecar":
        tar.with_suffix(".json").write_bytes(b"{}")
    else:
        tar.unlink()
    assert run(people, out) == 0
    assert content_of(out) == before


def test_an_input_that_changed_between_two_runs_is_read_again(people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(people, out)
    replaced = people / "person03" / "clip 1.wav"
    replaced.write_bytes(voice(1.1, seed=99))
    os.utime(replaced, ns=(1, 1))
    assert run(people, out) == 0
    run(people, tmp_path / "fresh")
    assert content_of(out) == content_of(tmp_path / "fresh")


def real_or_made_up(tmp_path: Path) -> tuple[Path, str]:
    """A folder of people with both sides, and the recipe for it."""
    wanted = '{"voice":{"features":["ve_conv"]},"face":{"crop":"none"},"shard_entries":6}'
    root = tmp_path / "people"
    if not PAIRS.is_dir():
        return write_people(root, 40), wanted
    for number in range(60):
        person = root / f"av{number:04d}"
        person.mkdir(parents=True)
        (person / "voice.flac").symlink_to(PAIRS / "voice" / f"av{number:04d}.flac")
        (person / "face.jpg").symlink_to(PAIRS / "face_ori" / f"av{number:04d}.jpg")
    return root, wanted


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_dataset(tmp_path: Path) -> None:
    root, wanted = real_or_made_up(tmp_path)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "worker.prepare", root, "--out", out, "--recipe-json", wanted]
    child = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (out / "shards" / "00001.tar").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    made = {path: path.stat().st_ino for path in (out / "shards").glob("*.tar")}
    planned = len(plan_folder(root, recipe()).entries) // 6
    assert 2 <= len(made) < planned, "the run was to die in its middle"
    assert not (out / "dataset.json").exists()

    assert run(root, out, recipe_json=wanted) == 0
    first = out / "shards" / "00000.tar"
    assert first.stat().st_ino == made[first], "what was whole was made again"
    assert run(root, tmp_path / "undisturbed", recipe_json=wanted) == 0
    assert content_of(out) == content_of(tmp_path / "undisturbed")


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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 5 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=5m", "none", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can make a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_told_in_one_sentence_and_the_next_run_goes_on(
    small_disk: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = small_disk / "out"
    ballast = small_disk / "ballast"
    two_features = '{"voice":{"features":["ve_conv"]},"face":{"size":32},"shard_entries":2}'
    ballast.write_bytes(bytes(2_000_000))
    assert run(people, out, recipe_json=two_features) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("The disk is full")
    whole = {path.name for path in (out / "shards").glob("*.tar")}
    assert whole == {"00000.tar"}
    assert not list(out.rglob("*.part")) and not (out / "dataset.json").exists()

    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True)
    assert run(people, out, recipe_json=two_features) == 0
    assert run(people, tmp_path / "fresh", recipe_json=two_features) == 0
    assert content_of(out) == content_of(tmp_path / "fresh")


def test_a_limit_on_the_size_of_files_is_told_like_a_full_disk(people: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "worker.prepare",
        people,
        "--out",
        tmp_path / "out",
        "--recipe-json",
        VOICES,
    ]
    child = subprocess.run(
        command,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )
    assert child.returncode == 2
    assert child.stderr.strip().splitlines()[-1].startswith("The disk is full")
    assert "Traceback" not in child.stderr
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_folder_of_another_dataset_is_left_alone(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(people, tmp_path / "out")
    before = content_of(tmp_path / "out")
    assert run(people, tmp_path / "out", recipe_json=VOICES) == 2
    assert "Choose another folder" in capsys.readouterr().err
    assert content_of(tmp_path / "out") == before


def test_a_dataset_is_not_put_among_its_own_inputs(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(people, people / "prepared") == 2
    assert "within the data" in capsys.readouterr().err
    assert not (people / "prepared").exists()


@pytest.mark.parametrize(
    ("recipe_json", "told"),
    [
        ("{", "recipe"),
        ('{"voice":null,"face":null}', "prepares nothing"),
        ('{"voice":{"features":["x"]}}', "features"),
    ],
)
def test_a_wrong_recipe_is_told_in_a_sentence(
    recipe_json: str, told: str, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(people, tmp_path / "out", recipe_json=recipe_json) == 2
    error = capsys.readouterr().err
    assert told in error and len(error.strip().splitlines()) == 1


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


def test_scripts_get_one_json_object(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(people, tmp_path / "out", "--json") == 0
    told = capsys.readouterr()
    summary = json.loads(told.out)
    assert summary["sha256"] == hashlib.sha256((tmp_path / "out" / "dataset.json").read_bytes()).hexdigest()
    assert (summary["entries"], summary["people"], summary["rejected"]) == (18, 6, 0)
    assert told.err == ""


def test_embeddings_are_of_the_encoder_in_a_folder_whose_path_is_not_told(
    people: Path, tmp_path: Path
) -> None:
    folders = save_small_networks(tmp_path / "networks")
    wanted = '{"voice":null,"face":{"outputs":["embedding"],"encoder":"x"}}'
    encoder = ("--face-encoder", str(folders["vgg_face"]))
    assert run(people, tmp_path / "one", *encoder, recipe_json=wanted) == 0
    (tmp_path / "networks").rename(tmp_path / "moved")
    encoder = ("--face-encoder", str(folders["vgg_face"]).replace("networks", "moved"))
    assert run(people, tmp_path / "two", *encoder, recipe_json=wanted) == 0
    assert content_of(tmp_path / "one") == content_of(tmp_path / "two")
    description = json.loads((tmp_path / "one" / "dataset.json").read_bytes())
    assert description["recipe"]["face"]["encoder"] == description["face_encoder"]["version"]
    assert description["features"]["embedding"] == {"dtype": "float32", "shape": [16]}
    assert run(people, tmp_path / "none", recipe_json=wanted) == 2


def test_two_programs_do_not_write_into_one_folder(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    told: list[int] = []

    class Meddling(Silent):
        def step(self, doing: str, done: int, total: int) -> None:
            if not told:
                told.append(run(people, out))

    prepare_folder(plan_folder(people, recipe(shard_entries=6)), people, out, Meddling(), device="cpu")
    assert told == [2]
    assert "Another process" in capsys.readouterr().err


def test_progress_is_told_in_lines_where_there_is_no_terminal(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Lines(every_seconds=0) as progress:
        prepare_folder(plan_folder(people, recipe()), people, tmp_path / "out", progress, device="cpu")
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "preparing 18/18" and len(lines) > 2
