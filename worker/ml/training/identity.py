"""What a checkpoint must agree with before a run goes on from it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from worker.ml.training.failures import TrainingFailed
from worker.ml.training.settings import RunSettings
from worker.ml.training.task import Phase

_WORDS = {
    "dataset": "another version of the dataset",
    "spec": "another recipe",
    "seed": "another seed",
    "precision": "another precision",
    "phases": "other phases",
}


def identity(run: RunSettings, phases: Sequence[Phase]) -> dict[str, Any]:
    """Everything that decides what is learnt."""
    told = json.dumps([asdict(phase) for phase in phases], sort_keys=True)
    return {
        "dataset": run.dataset_sha256,
        "spec": run.spec_sha256,
        "seed": run.seed,
        "precision": run.precision,
        "phases": hashlib.sha256(told.encode()).hexdigest(),
    }


def check_identity(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """
    Raises:
        TrainingFailed: `checkpoint_mismatch`.
    """
    others = [words for name, words in _WORDS.items() if found.get(name) != expected[name]]
    if others:
        raise TrainingFailed(
            "checkpoint_mismatch",
            f"The checkpoint in the run folder is of {' and '.join(others)}. Run this training in a folder of its own.",
        )


def versions() -> dict[str, str]:
    """Of what a result depends on besides."""
    return {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
