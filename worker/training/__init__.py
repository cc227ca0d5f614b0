"""What is trained: one file a task, put together from networks, losses and a prepared dataset by a checked spec."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import cast

from core.training.specs import TrainSpec
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.training.task import Phase, Task

# By the spec's `task`. Imported when one is asked for: some bring large libraries along.
MODULES = {
    "face_decoder": "worker.training.face_decoder",
    "ve_conv": "worker.training.ve_conv",
    "ast": "worker.training.ast",
    "matching": "worker.training.matching",
    "gan": "worker.training.gan",
    "default": "worker.training.default_model",
}


def build_task(
    spec: TrainSpec, dataset: PreparedDataset, models: Mapping[str, Path], device: str
) -> tuple[Task, tuple[Phase, ...]]:
    """What the engine trains for a spec, and its phases in order. Everything the dataset must hold is checked here.

    Every task's module has a function of this name and these arguments.

    Args:
        models: the folder of every model that the spec refers to, by the reference as it stands in the spec.
        device: where frozen networks are used while the task is put together; the engine moves them afterwards.

    Raises:
        RecipeError: `invalid_recipe`: what the spec asks for cannot be done.
        DatasetError: `dataset_mismatch`: the dataset does not hold what the task needs.
        ModelError: a model that cannot be loaded.
    """
    module = import_module(MODULES[spec.recipe.task])
    return cast("tuple[Task, tuple[Phase, ...]]", module.build_task(spec, dataset, models, device))
