"""A dataset is put together from the sidecars of its shards, all of them, and counts everything."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.datasets.plan import LeftOut, Plan
from tests.worker.small_datasets import fetch_of, npy, picture, plan_of, recipe, voice
from worker.preparation import Preparer, assemble

PEOPLE = ("ann", "ben", "cem", "dot", "eve")  # eve is for tests


def sidecars(plan: Plan, files: dict[str, bytes | BaseException], folder: Path) -> list[bytes]:
    preparer = Preparer(plan.recipe, device="cpu")
    return [preparer.prepare(shard, fetch_of(files), folder).sidecar for shard in plan.shards()]


def both_sides(**values: Any) -> tuple[Plan, dict[str, bytes | BaseException]]:
    keys = {
        f"{name}/{what}": form
        for name in PEOPLE
        for what, form in (("a.wav", "recording"), ("b.png", "picture"))
    }
    files: dict[str, bytes | BaseException] = {
        key: voice(1.0, at) if form == "recording" else picture(at)
        for at, (key, form) in enumerate(keys.items())
    }
    return plan_of(keys, recipe(**values)), files


def test_the_version_is_named_by_its_description_which_vouches_for_the_rest(tmp_path: Path) -> None:
    plan, files = both_sides()
    made = assemble(plan, sidecars(plan, files, tmp_path))
    description = json.loads(made.files["dataset.json"])
    assert made.sha256 == hashlib.sha256(made.files["dataset.json"]).hexdigest()
    for name, file in (("index", "index.jsonl"), ("people", "people.jsonl")):
        assert description[name]["sha256"] == hashlib.sha256(made.files[file]).hexdigest()
        assert description[name]["size_bytes"] == len(made.files[file])
    for shard in description["shards"]:
        tar = (tmp_path / Path(shard["file"]).name).read_bytes()
        assert (shard["sha256"], shard["size_bytes"]) == (hashlib.sha256(tar).hexdigest(), len(tar))
    assert description["plan_sha256"] == plan.sha256
    assert description["counts"]["by_split"]["test"] == {"people": 1, "voices": 1, "faces": 1}


def test_the_order_in_which_shards_were_finished_does_not_matter(tmp_path: Path) -> None:
    plan, files = both_sides(shard_entries=2)
    made = sidecars(plan, files, tmp_path)
    assert len(made) == 5
    assert assemble(plan, made).files == assemble(plan, made[::-1]).files


def test_every_line_of_the_index_leads_to_its_members(tmp_path: Path) -> None:
    plan, files = both_sides()
    made = assemble(plan, sidecars(plan, files, tmp_path))
    lines = [json.loads(line) for line in made.files["index.jsonl"].splitlines()]
    assert [line["key"] for line in lines] == [entry.key for entry in plan.entries]
    assert len({line["number"] for line in lines}) == len(lines)
    for line in lines:
        content = (tmp_path / f"{line['shard']:05d}.tar").read_bytes()
        offset, size = line["members"]["json"]
        notes = json.loads(content[offset : offset + size])
        assert {name: notes[name] for name in ("key", "person", "side", "split", "number")} == {
            name: line[name] for name in ("key", "person", "side", "split", "number")
        }
        content_of_input = files[line["key"]]
        assert isinstance(content_of_input, bytes)
        assert line["sha256"] == hashlib.sha256(content_of_input).hexdigest()


def test_somebody_who_lost_a_side_is_left_out_and_named(tmp_path: Path) -> None:
    plan, files = both_sides()
    files["ben/b.png"] = b"no picture"
    made = assemble(plan, sidecars(plan, files, tmp_path))
    report = json.loads(made.files["report.json"])
    assert {one["key"]: one["reason"] for one in report["rejects"]} == {
        "ben/a.wav": "no_pair",
        "ben/b.png": "not_image",
    }
    assert b'"ben"' not in made.files["people.jsonl"] + made.files["index.jsonl"]
    assert made.summary["people"] == 4 and made.summary["rejected"] == 2
    assert made.summary["features"] == ["picture", "waveform"]

    alone = replace(plan, recipe=plan.recipe.model_copy(update={"both_sides": False}))
    kept = assemble(alone, sidecars(alone, files, tmp_path))
    [ben] = [row for row in map(json.loads, kept.files["people.jsonl"].splitlines()) if row["id"] == "ben"]
    assert (ben["voices"], ben["faces"]) == (1, 0)


def test_statistics_are_of_the_kept_recordings_of_the_train_split_alone(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    features = {
        name: chance.normal(at, 1 + at, (1024, 128)).astype(np.float32) for at, name in enumerate(PEOPLE)
    }
    keys = {f"{name}/voice.npy": "array" for name in PEOPLE} | {f"{name}/b.png": "picture" for name in PEOPLE}
    files: dict[str, bytes | BaseException] = {
        f"{name}/voice.npy": npy(array) for name, array in features.items()
    }
    files |= {f"{name}/b.png": picture(at) for at, name in enumerate(PEOPLE)}
    files["cem/b.png"] = b""  # so cem is no part of the dataset, and eve is for tests
    plan = plan_of(dict(sorted(keys.items())), recipe(voice={"features": ["ast"]}))
    description = json.loads(assemble(plan, sidecars(plan, files, tmp_path)).files["dataset.json"])
    pooled = np.concatenate([features[name] for name in ("ann", "ben", "dot")]).astype(np.float64)
    found = description["statistics"]["ast"]
    assert (found["frames"], found["split"]) == (3 * 1024, "train")
    assert found["mean"] == pytest.approx(pooled.mean(), rel=1e-9)
    assert found["std"] == pytest.approx(pooled.std(), rel=1e-9)


def test_what_planning_left_out_is_in_the_report(tmp_path: Path) -> None:
    plan, files = both_sides()
    plan = replace(plan, left_out=(LeftOut("zoe/x.wav", "no_pair", "There is no face of 'zoe'."),))
    made = assemble(plan, sidecars(plan, files, tmp_path))
    assert json.loads(made.files["report.json"])["rejects"] == [
        {"key": "zoe/x.wav", "reason": "no_pair", "message": "There is no face of 'zoe'."}
    ]
    assert made.summary["rejects"] == {"no_pair": 1}


def test_missing_doubled_and_foreign_sidecars_are_refused(tmp_path: Path) -> None:
    plan, files = both_sides()
    made = sidecars(plan, files, tmp_path)
    for wrong in (made[:-1], [*made, made[0]], [made[0]] * len(made)):
        with pytest.raises(ValueError, match="sidecars"):
            assemble(plan, wrong)
    foreign = json.loads(made[0])
    foreign["entries"].pop()
    with pytest.raises(ValueError, match="not of this plan"):
        assemble(plan, [json.dumps(foreign).encode(), *made[1:]])


def test_embeddings_of_two_encoders_are_not_mixed(tmp_path: Path) -> None:
    plan, files = both_sides(shard_entries=2)
    made = [json.loads(one) for one in sidecars(plan, files, tmp_path)]
    for at, one in enumerate(made):
        one["face_encoder"] = {
            "version": f"vgg@{1 + (at == 2)}",
            "weights_sha256": "0",
            "embedding_space": "",
        }
    with pytest.raises(ValueError, match="different encoders"):
        assemble(plan, [json.dumps(one).encode() for one in made])


def test_a_dataset_of_which_nothing_is_left_still_has_a_report(tmp_path: Path) -> None:
    plan, files = both_sides()
    made = assemble(plan, sidecars(plan, dict.fromkeys(files, b""), tmp_path))
    assert made.summary["entries"] == 0
    assert made.summary["rejects"] == {"empty_file": 5, "not_image": 5}
    assert made.files["report/outcomes.png"].startswith(b"\x89PNG")
    assert json.loads(made.files["dataset.json"])["statistics"]["ast"] is None
