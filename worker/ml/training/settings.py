"""How a training is run, apart from what is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class RunSettings:
    """See `core.training.parts.Machine`; of these only `seed` and `precision` change what is learnt.

    Attributes:
        folder: the run folder (docs/training.md). Checkpoints that lie in it are gone on from.
        device: `auto`, `cpu`, `cuda` or `cuda:1`; of several processes each takes the GPU of its number.
        deterministic: only algorithms that give the same bits every time, where there are such.
        loader_threads: of each process.
        log_steps: steps from one point of the curves to the next.
        validate_epochs: epochs from one validation to the next; the last epoch of a phase is always validated.
        sample_pictures: samples drawn after a validation.
        checkpoint_minutes: longest time between two checkpoints, besides those at the end of an epoch.
        dataset_sha256: of the dataset version. A checkpoint of another one is refused.
        spec_sha256: of everything else that decides what is learnt. A checkpoint of another one is refused.
    """

    folder: Path
    seed: int = 0
    precision: Precision = "auto"
    device: str = "auto"
    deterministic: bool = True
    loader_threads: int = 4
    log_steps: int = 10
    validate_epochs: int = 1
    sample_pictures: int = 8
    checkpoint_minutes: float = 10.0
    dataset_sha256: str = ""
    spec_sha256: str = ""
