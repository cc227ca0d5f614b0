"""What a dataset or a recipe lacks is told before the first step, in a sentence that says what to do."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from core.training.presets import PRESETS
from core.training.specs import TrainSpec
from tests.worker.ml.small_networks import save_small_networks
from tests.worker.small_datasets import write_people
from tests.worker.training.made_up import MadeUp, spec
from tests.worker.training.running import build, recipe
from worker.ml.errors import DatasetError, ModelError, RecipeError
from worker.ml.networks.catalogue import KINDS
from worker.ml.networks.pretrained import config_from
from worker.ml.networks.vgg_face import VGGFace, VGGFaceConfig
from worker.prepare import main


@pytest.fixture(scope="module")
def bare(work: Path, made_up: MadeUp) -> MadeUp:
    """Waveforms and pictures alone, of nobody whose gender is told."""
    write_people(work / "bare_people", count=12, seconds=0.6)
    recipe_json = '{"voice":{"features":["waveform"]},"face":{"size":32}}'
    out = work / "bare"
    assert main([str(work / "bare_people"), "--out", str(out), "--recipe-json", recipe_json]) == 0
    return MadeUp(out, made_up.models)


@pytest.mark.parametrize(
    ("task", "changes", "says"),
    [
        ("face_decoder", {}, "no landmarks of its faces.*--face picture,landmarks"),
        ("ve_conv", {}, "no embedding of its faces.*--face-encoder"),
        ("matching", {"loop": {"batch": 64}}, "A batch takes 64 people and the dataset's train part has 10"),
        (
            "matching",
            {"mix": "same", "group": "gender"},
            "Nobody in the dataset has the attribute 'gender'",
        ),
    ],
)
def test_what_the_dataset_lacks_is_told(bare: MadeUp, task: str, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(DatasetError, match=says) as refused:
        build(bare, spec(recipe(task, **changes)))
    assert refused.value.code == "dataset_mismatch"


@pytest.mark.parametrize(
    ("task", "changes", "says"),
    [
        ("face_decoder", {"sizes": {"texture_widths": (4,), "width": 3}}, "no setting 'width'"),
        ("ve_conv", {"sizes": {"widths": (4, 8)}}, "the same number of layers"),
        ("ast", {"sizes": {"width": 10, "heads": 3}}, "make no ast: 3 heads cannot share"),
        ("ast", {"unfreeze": 10_000}, "with 10000 frozen nothing would be learnt"),
        ("matching", {"face_sizes": {"embedding_length": 16, "image_size": 30}}, "power of two"),
        (
            "matching",
            {"clip_seconds": 0.5, "sizes": {"embedding_length": 16, "filter_stride": 64}},
            "too short for",
        ),
        ("matching", {"features": "pretrained", "sizes": {"filters": 3}}, "no setting 'filters'"),
    ],
)
def test_sizes_that_a_network_refuses_are_told(
    made_up: MadeUp, task: str, changes: dict[str, Any], says: str
) -> None:
    wanted = recipe(task, **changes)
    if "filters" in wanted.get("sizes", {}) and wanted.get("features") == "pretrained":
        wanted["face_sizes"] = {}
    with pytest.raises(RecipeError, match=says) as refused:
        build(made_up, spec(wanted))
    assert refused.value.code == "invalid_recipe"


def test_a_face_encoder_that_did_not_make_the_embeddings_is_refused(made_up: MadeUp, tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"image_size": 32, "widths": (4,), "depths": (1,), "classes": 3}
    for name, values in (
        ("longer", {"embedding_length": 24}),
        ("elsewhere", {"embedding_length": 16, "embedding_space": "other"}),
    ):
        VGGFace(VGGFaceConfig(**sizes, **values)).save_pretrained(tmp_path / name)
    for name, says in (("longer", "have 16 numbers and those of"), ("elsewhere", "speaks other")):
        with pytest.raises(DatasetError, match=says):
            build(made_up, spec(recipe("face_decoder", face_encoder=name)), {name: tmp_path / name})


def test_models_of_another_kind_are_refused(made_up: MadeUp, tmp_path: Path) -> None:
    others = save_small_networks(tmp_path)
    with pytest.raises(RecipeError, match="is of the kind ve_conv, and the face encoder has to be vgg_face"):
        build(made_up, spec(recipe("ve_conv", face_encoder="x")), {"x": others["ve_conv"]})
    with pytest.raises(RecipeError, match="encodes faces and not voices"):
        build(made_up, spec(recipe("gan", voice_encoder="x")), {"x": others["matching_face_encoder"]})
    with pytest.raises(ModelError, match="no folder of the model nowhere"):
        build(made_up, spec(recipe("ve_conv", face_decoder="nowhere")))


def test_a_parent_of_other_networks_or_sizes_is_refused(made_up: MadeUp, tmp_path: Path) -> None:
    others = save_small_networks(tmp_path)
    with pytest.raises(RecipeError, match="the parent has to be face_decoder"):
        build(made_up, spec(recipe("face_decoder"), parent="p"), {"p": others["ve_conv"]})
    with pytest.raises(RecipeError, match="The parent p has texture_side 8 and the recipe says 16"):
        build(
            made_up,
            spec(recipe("face_decoder", sizes={"texture_side": 16}), parent="p"),
            {"p": others["face_decoder"]},
        )


def test_noise_and_other_geometries_need_waveforms(made_up: MadeUp, tmp_path: Path) -> None:
    without = _without_waveforms(made_up, tmp_path)
    with pytest.raises(DatasetError, match=r"Noise is added to waveforms.*ve_conv,waveform"):
        build(without, spec(recipe("ve_conv", augmentation={"noise_db": 20})))
    sizes = {**recipe("ve_conv")["sizes"], "seconds": 2.0}
    with pytest.raises(DatasetError, match="hear other features than the dataset's ve_conv"):
        build(without, spec(recipe("ve_conv", sizes=sizes)))
    build(made_up, spec(recipe("ve_conv", sizes=sizes, augmentation={"noise_db": 20})))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"task": "matching", "mix": "balanced", "group": "gender"}, "balanced negatives are drawn"),
        ({"task": "matching", "mix": "same"}, "need a group"),
        ({"task": "matching", "group": "gender"}, "group is used by the mixes"),
        ({"task": "matching", "negatives": 64}, "a batch of 64 has 63 negatives"),
        ({"task": "matching", "voice_encoder": "x"}, "by features"),
        ({"task": "matching", "sizes": {"embedding_length": 64}}, "the same embedding_length"),
        ({"task": "matching", "sizes": {"clip_seconds": 3}}, "recipe.clip_seconds"),
        ({"task": "gan", "condition": "noise"}, "noise has no identity"),
        ({"task": "gan", "objective": "wasserstein"}, "relativistic"),
        ({"task": "gan", "face_encoder": "x", "discriminator_sizes": {"base_channels": 8}}, "starts from"),
        ({"task": "gan", "discriminator_sizes": {"image_size": 64}}, "the generator's"),
        ({"task": "face_decoder", "face_encoder": None}, "the identity term needs a face_encoder"),
        (
            {"task": "face_decoder", "face_encoder": None, "identity_weight": 0},
            "mirrored faces need embeddings",
        ),
        ({"task": "face_decoder", "compat": "original", "warp": True}, "the original has no warp"),
        ({"task": "ve_conv", "compat": "original"}, "pairs voices with the first face"),
        ({"task": "ve_conv", "weights": [0, 0, 0]}, "nothing would be learnt"),
        ({"task": "ve_conv", "weights": [1, -1, 0]}, "greater than or equal to 0"),
        (
            {"task": "ve_conv", "pairing": {"rule": "all_to_all", "most": 3}},
            "most is for the rule all_to_one",
        ),
        ({"task": "ast", "unfreeze": 10}, "so it needs fine_tune"),
        ({"task": "ast", "backbone": "x", "sizes": {"depth": 3}}, "the backbone's sizes"),
    ],
)
def test_combinations_that_cannot_work_are_refused_before_anything_runs(
    values: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        TrainSpec.model_validate({"model": "m", "dataset": "d", "recipe": values})


def test_every_preset_is_a_valid_recipe_and_survives_json() -> None:
    for name, preset in PRESETS.items():
        wanted = TrainSpec(model="m", dataset="d", recipe=preset.recipe, machine=preset.machine)
        assert TrainSpec.model_validate_json(wanted.model_dump_json()) == wanted
        assert preset.name == name and preset.sentence.endswith(".")
    tasks = {preset.recipe.task for preset in PRESETS.values()}
    assert tasks == {"face_decoder", "ve_conv", "ast", "matching", "gan", "default"}
    for task in ("face_decoder", "ve_conv", "ast"):
        assert {task, f"{task}-original", f"{task}-small"} <= PRESETS.keys()
        original = PRESETS[f"{task}-original"].recipe
        assert original.compat == "original"  # type: ignore[union-attr]


def _without_waveforms(made_up: MadeUp, tmp_path: Path) -> MadeUp:

    copy = tmp_path / "copy"
    shutil.copytree(made_up.dataset, copy)
    lines = [json.loads(line) for line in (copy / "index.jsonl").read_bytes().splitlines()]
    for line in lines:
        line["members"].pop("waveform", None)
    index = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    (copy / "index.jsonl").write_bytes(index)
    description = json.loads((copy / "dataset.json").read_bytes())
    description["index"]["sha256"] = hashlib.sha256(index).hexdigest()
    (copy / "dataset.json").write_text(json.dumps(description))
    return MadeUp(copy, made_up.models)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "default"])
def test_the_networks_take_the_sizes_of_every_preset(name: str) -> None:
    recipe: Any = PRESETS[name].recipe
    kinds: dict[str, dict[str, str]] = {
        "face_decoder": {"sizes": "face_decoder"},
        "ve_conv": {"sizes": "ve_conv"},
        "ast": {"sizes": "ast"},
        "matching": {"sizes": "matching_speech_encoder", "face_sizes": "matching_face_encoder"},
        "gan": {"sizes": "conditional_generator", "discriminator_sizes": "projection_discriminator"},
    }
    if getattr(recipe, "features", "raw") == "pretrained":
        kinds["matching"]["sizes"] = "voice_head"
    for field, kind in kinds[recipe.task].items():
        network = KINDS[kind].network_class()
        config = config_from(network.Config, dict(getattr(recipe, field)))
        if name.endswith("-small"):
            network(config)
