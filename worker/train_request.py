"""What a run folder asks for, read and checked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from core.training.specs import TrainSpec

REQUEST = "request.json"


class TrainRequest(BaseModel):
    """`request.json`.

    Attributes:
        dataset: folder of the prepared dataset; `dataset_sha256` names the version that it must be.
        models: a folder for every model that the spec refers to, by that reference.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: TrainSpec
    dataset: Path
    dataset_sha256: str
    models: dict[str, Path] = {}
    device: str = "auto"


def read_request(run: Path) -> TrainRequest:
    """
    Raises:
        OSError: there is none.
        ValidationError: it is not one.
    """
    return TrainRequest.model_validate_json((run / REQUEST).read_bytes())


def spec_sha256(spec: TrainSpec) -> str:
    """Names what is learnt, apart from dataset, seed and precision. Machines, names and limits change nothing of it."""
    decisive = {"recipe": spec.recipe.model_dump(mode="json"), "parent": spec.parent}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
