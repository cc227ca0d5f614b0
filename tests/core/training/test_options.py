"""What people write for a training in a shell, and what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import InvalidRequest
from core.training.options import checked, train_values
from core.training.presets import PRESETS
from core.training.specs import TrainSpec

GIVEN = {"model": "m", "dataset": "d", "parent": None}


def spec_of(preset: str | None, *settings: str, config: Path | None = None) -> TrainSpec:
    return checked(TrainSpec, train_values(preset, config, settings, GIVEN))


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_is_a_training_by_itself(name: str) -> None:
    spec = spec_of(name)
    assert spec.recipe == PRESETS[name].recipe
    assert spec.machine == PRESETS[name].machine


def test_single_values_go_over_the_preset_and_reach_every_part() -> None:
    spec = spec_of(
        "ast",
        "loop.batch=6",
        "fine_tune.epochs=2",
        "machine.processes=2",
        "after.gate.metric=ssim",
        "recipe.unfreeze=3",
        "backbone=vit@2",
    )
    assert spec.recipe.loop.batch == 6
    assert spec.recipe.loop.epochs == PRESETS["ast"].recipe.loop.epochs
    assert (spec.recipe.unfreeze, spec.recipe.backbone) == (3, "vit@2")  # type: ignore[union-attr]
    assert (spec.machine.processes, spec.after.gate and spec.after.gate.metric) == (2, "ssim")


def test_a_part_that_is_empty_can_be_filled_value_by_value() -> None:
    spec = spec_of("ast-small", "fine_tune=null", "fine_tune.epochs=3")
    assert spec.recipe.fine_tune.epochs == 3  # type: ignore[union-attr]


def test_a_file_goes_between_the_preset_and_the_values(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"recipe": {"loop": {"epochs": 7, "batch": 8}}, "machine": {"seed": 4}}))
    spec = spec_of("ve_conv", "loop.batch=2", config=path)
    assert (spec.recipe.loop.epochs, spec.recipe.loop.batch, spec.machine.seed) == (7, 2, 4)
    path.write_text(json.dumps({"recipe": {"task": "default", "loop": {"epochs": 7}}}))
    assert spec_of("ve_conv", config=path).recipe.task == "default"
    assert spec_of(None, config=path).recipe.loop.epochs == 7


@pytest.mark.parametrize(
    ("preset", "setting", "words"),
    [
        ("none", "a=1", "There is no preset 'none'. There are: face_decoder"),
        ("ve_conv", "loop.batch", "KEY=VALUE"),
        ("ve_conv", "=3", "KEY=VALUE"),
        ("ve_conv", "loop.batch=many", "recipe.loop.batch: Input should be a valid integer"),
        ("ve_conv", "lop.batch=4", "recipe.lop: There is no such setting"),
        ("ve_conv", "machine.seed=-1", "machine.seed"),
        (None, "seed=4", "task"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(preset: str | None, setting: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        spec_of(preset, setting)
    assert words in refused.value.message


def test_a_file_that_is_no_json_object_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for content, words in (("{", "not valid JSON"), ("[]", "no JSON object")):
        path.write_text(content)
        with pytest.raises(InvalidRequest, match=words):
            spec_of("ve_conv", config=path)
    with pytest.raises(InvalidRequest, match="cannot be read"):
        spec_of("ve_conv", config=tmp_path / "none.json")
