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
from pathlib import Path

import pytest

from core.datasets.layouts import plan_folder
from core.progress import Lines, Silent
from tests.worker.conftest import SmallDisk
from tests.worker.ml.small_networks import save_small_networks
from tests.worker.preparing import VOICES, content_of, run
from tests.worker.small_datasets import recipe, voice, write_people
from worker.dataset_folder import prepare_folder

REPOSITORY = Path(__file__).resolve().parents[2]
PAIRS = REPOSITORY.parent / "shared" / "data" / "paired_clips"


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


def test_a_full_disk_is_told_in_one_sentence_and_the_next_run_goes_on(
    disk: SmallDisk, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk.resize(5 * 1024)
    out = disk.folder / "out"
    ballast = disk.folder / "ballast"
    two_features = '{"voice":{"features":["ve_conv"]},"face":{"size":32},"shard_entries":2}'
    ballast.write_bytes(bytes(2_000_000))
    assert run(people, out, recipe_json=two_features) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("The disk is full")
    whole = {path.name for path in (out / "shards").glob("*.tar")}
    assert whole == {"00000.tar"}
    assert not list(out.rglob("*.part")) and not (out / "dataset.json").exists()

    ballast.unlink()
    disk.resize(60 * 1024)
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
