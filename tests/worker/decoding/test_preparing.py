"""A dataset made through decoding processes is the same to the byte, and hostile inputs are left out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile import fragile
from tests.worker.small_datasets import picture, plan_of, recipe, voice
from tests.worker.test_preparation import Files, prepare, rejects
from worker.decoding.decoders import Decoders
from worker.preparation import Preparer

SOUND = {
    "a/x.wav": voice(),
    "a/p.png": picture(),
    "b/y.flac": voice(2.0, 1, "FLAC"),
    "b/p.jpg": picture(1, kind="JPEG"),
}
HOSTILE = {"a/crash.wav": voice() + fragile.CRASH, "b/crash.png": picture(2) + fragile.CRASH}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / "here", tmp_path / "apart"]
    for folder in folders:
        folder.mkdir()
    return folders


def test_inputs_decoded_apart_give_the_same_dataset_without_those_that_crash(folders: list[Path]) -> None:
    forms = {
        key: "picture" if key.endswith(("png", "jpg")) else "recording" for key in sorted(SOUND | HOSTILE)
    }
    plan = plan_of(forms, recipe())
    here, apart = folders
    with Decoders(2, program=fragile.PROGRAM) as decoders:
        made, report = prepare(
            plan, {**SOUND, **HOSTILE}, apart, Preparer(plan.recipe, decode=decoders.decode)
        )
    assert rejects(report) == dict.fromkeys(HOSTILE, "decoder_crashed")

    damaged: Files = {**SOUND, **dict.fromkeys(HOSTILE, b"neither")}
    again, _ = prepare(plan, damaged, here, Preparer(plan.recipe))
    assert [shard.sha256 for shard in made] == [shard.sha256 for shard in again]
    assert [shard.kept for shard in made] == [shard.kept for shard in again] and sum(
        shard.kept for shard in made
    ) == 4
