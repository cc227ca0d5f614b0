"""The default model on disk: what its `config.json` says.

The configuration carries every size the networks need and the SHA-256 of the weights, so a folder is complete in
itself and a half-copied or mixed-up one is refused before anything is drawn. Safetensors holds numbers and nothing
that could run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from worker.ml.errors import ModelError
from worker.ml.model_folders import CONFIG_FILE, SPEECH_TO_FACE, read_config_values, write_config_values
from worker.ml.weight_files import write_tensors


@dataclass(frozen=True)
class ModelConfig:
    """What `config.json` says.

    Attributes:
        name, revision: together the version, `name@revision`.
        clip_seconds: how much of a recording the model listens to, after pauses are shortened.
        voice_encoder, face_generator: the arguments of the networks of these names.
        weights_sha256: of the weights file; empty until they are saved.
        head: sizes of `IdentityHead`; empty for models with the earlier `VoiceToFace`.
        kind: what sort of model this is.
    """

    name: str
    revision: int
    clip_seconds: float
    voice_encoder: dict[str, int]
    face_generator: dict[str, Any]
    weights_sha256: str = ""
    kind: str = field(default=SPEECH_TO_FACE)
    head: dict[str, int] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Name and revision, as shown to people and written into pictures."""
        return f"{self.name}@{self.revision}"


def read_config(folder: Path) -> ModelConfig:
    """Read and check `config.json`."""
    path = folder / CONFIG_FILE
    try:
        config = ModelConfig(**read_config_values(folder))
    except TypeError as failure:
        raise ModelError(
            "checkpoint_mismatch", f"{path} does not describe a model of ours: {failure}."
        ) from failure
    if config.kind != SPEECH_TO_FACE:
        raise ModelError(
            "checkpoint_mismatch", f"{path} describes a {config.kind!r}, not a {SPEECH_TO_FACE!r} model."
        )
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
