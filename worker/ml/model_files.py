"""A model on disk: a folder with `config.json`, `model.safetensors` and a card for people, `README.md`.

The configuration carries every size the networks need and the SHA-256 of the weights, so a folder is complete in
itself and a half-copied or mixed-up one is refused before anything is drawn. Safetensors holds numbers and nothing
that could run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from worker.ml.errors import ModelError
from worker.ml.weight_files import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    read_config_values,
    write_config_values,
    write_tensors,
)

KIND = "speech_to_face"
MODELS_FOLDER = Path(__file__).resolve().parents[2] / "weights"


@dataclass(frozen=True)
class ModelConfig:
    """What `config.json` says.

    Attributes:
        name, revision: together the version, `name@revision`.
        clip_seconds: how much of a recording the model listens to, after pauses are shortened.
        voice_encoder, face_generator: the arguments of the networks of these names.
        weights_sha256: of the weights file; empty until they are saved.
        kind: what sort of model this is.
    """

    name: str
    revision: int
    clip_seconds: float
    voice_encoder: dict[str, int]
    face_generator: dict[str, Any]
    weights_sha256: str = ""
    kind: str = field(default=KIND)

    @property
    def version(self) -> str:
        """Name and revision, as shown to people and written into pictures."""
        return f"{self.name}@{self.revision}"


def find_model(name_or_folder: str) -> Path:
    """The folder of a model given as a folder, as `name` or as `name@revision` of one that ships with us."""
    folder = Path(name_or_folder)
    if (folder / CONFIG_FILE).is_file():
        return folder
    name, _, revision = name_or_folder.partition("@")
    shipped = MODELS_FOLDER / name
    plain_name = name not in ("", ".", "..") and os.sep not in name
    if plain_name and (shipped / CONFIG_FILE).is_file():
        if revision and read_config(shipped).version != name_or_folder:
            raise ModelError(
                "model_not_found",
                f"There is no model {name_or_folder}; here is {read_config(shipped).version}.",
            )
        return shipped
    known = sorted(path.parent.name for path in MODELS_FOLDER.glob(f"*/{CONFIG_FILE}"))
    raise ModelError(
        "model_not_found",
        f"There is no model {name_or_folder!r}. Give a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, or one of: "
        f"{', '.join(known) or 'none shipped'}.",
    )


def read_config(folder: Path) -> ModelConfig:
    """Read and check `config.json`."""
    path = folder / CONFIG_FILE
    try:
        config = ModelConfig(**read_config_values(folder))
    except TypeError as failure:
        raise ModelError(
            "checkpoint_mismatch", f"{path} does not describe a model of ours: {failure}."
        ) from failure
    if config.kind != KIND:
        raise ModelError("checkpoint_mismatch", f"{path} describes a {config.kind!r}, not a {KIND!r} model.")
    return config


def write_model(folder: Path, config: ModelConfig, tensors: Mapping[str, torch.Tensor]) -> ModelConfig:
    """Save a model.

    The directions of the face generator are kept in half precision: they make up most of the file, and the rounding
    is a hundredth of a grey level.
    """
    kept = {
        name: tensor.half() if name.endswith("_directions") else tensor for name, tensor in tensors.items()
    }
    values = asdict(config) | {"weights_sha256": write_tensors(folder, kept)}
    write_config_values(folder, values)
    return ModelConfig(**values)
